"""An older run never overwrites a newer one, whatever the checkouts look like and whatever the newer one changed."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map

if TYPE_CHECKING:
    from pathlib import Path

    from support.remotes import Remote
    from support.runner import Cli

RUN = ("run", "--install", "none")
NOTES = "refs/notes/hydrator.metadata"


def note(remote: Remote) -> dict[str, object]:
    """Return the note on the branch's newest commit."""
    found: dict[str, object] = json.loads(remote.git("notes", f"--ref={NOTES}", "show", remote.tip("manifests") or ""))
    return found


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=lambda order: "".join(map(str, order)))
def test_freshness__newest_of_three_commits_stays_in_any_order(
    checkout: Checkout, cli: Cli, tmp_path: Path, order: tuple[int, ...], depth: int
) -> None:
    jobs = []
    for number in range(3):
        checkout.render({"web.yaml": config_map("web", str(number))}, f"Commit {number}")
        jobs.append(checkout.ci_checkout(tmp_path / f"job-{number}", depth=depth))
    newest = -1
    for number in order:
        done = cli.run(*RUN, cwd=jobs[number].path).ok()
        assert ("skipped" in done.stdout.lower()) is (number < newest)
        newest = max(newest, number)
        assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web", str(newest))
        assert note(checkout.origin)["drySha"] == jobs[newest].sha


def test_freshness__record_survives_a_commit_beside_the_folder(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render({"web.yaml": config_map("web", "bad idea")}, "A bad idea")
    middle = checkout.ci_checkout(tmp_path / "middle")
    checkout.render({"web.yaml": config_map("web"), "db.yaml": config_map("db")}, "Take it back")
    cli.run(*RUN, cwd=checkout.path).ok()  # unchanged: only the note knows of this commit
    for number in range(2):
        checkout.origin.commit("manifests", {f"notes-{number}.md": b"by hand"})
    refs = checkout.origin.refs()
    assert "skipped" in cli.run(*RUN, cwd=middle.path).ok().stdout.lower()
    assert checkout.origin.refs() == refs


def test_freshness__run_that_changed_nothing_still_counts(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    tip = checkout.origin.tip("manifests")
    checkout.render({"web.yaml": config_map("web", "bad idea")}, "A bad idea")
    middle = checkout.ci_checkout(tmp_path / "middle")
    checkout.render({"web.yaml": config_map("web"), "db.yaml": config_map("db")}, "Take it back")
    newest = checkout.ci_checkout(tmp_path / "newest")
    assert "Nothing to publish" in cli.run(*RUN, cwd=newest.path).ok().stdout
    assert checkout.origin.tip("manifests") == tip
    assert note(checkout.origin)["drySha"] == newest.sha
    refs = checkout.origin.refs()
    assert "skipped" in cli.run(*RUN, cwd=middle.path).ok().stdout.lower()
    assert checkout.origin.refs() == refs


def test_freshness__holds_where_the_user_asks_for_an_old_protocol(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    (cli.home / ".gitconfig").write_text("[protocol]\n\tversion = 0\n")
    older = checkout.ci_checkout(tmp_path / "older")
    checkout.render({"web.yaml": config_map("web", "new")})
    cli.run(*RUN, cwd=checkout.path).ok()
    newer = checkout.origin.tip("manifests")
    cli.run(*RUN, cwd=older.path).ok()
    assert checkout.origin.tip("manifests") == newer


def test_freshness__that_can_not_be_told_is_no_newer_commit(
    checkout: Checkout, remote: Remote, cli: Cli, tmp_path: Path
) -> None:
    older = checkout.ci_checkout(tmp_path / "older")
    checkout.render({"web.yaml": config_map("web", "new")})
    target = ("--repository", str(remote.path))
    cli.run(*RUN, *target, cwd=checkout.path).ok()
    newer = remote.tip("manifests")
    checkout.origin.path.rename(tmp_path / "closed.git")
    done = cli.run(*RUN, *target, cwd=older.path).exits(5)
    assert "fetch-depth: 0" in done.text
    assert remote.tip("manifests") == newer
    cli.run(*RUN, *target, "--allow", "older-source", cwd=older.path).ok()
    assert remote.tip("manifests") != newer


def test_freshness__rollback_is_published_when_asked_for(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    old = checkout.ci_checkout(tmp_path / "old")
    checkout.render({"web.yaml": config_map("web", "2"), "db.yaml": config_map("db")}, "Newer")
    cli.run(*RUN, cwd=checkout.path).ok()
    assert "allow: older-source" in cli.run(*RUN, cwd=old.path).ok().text
    cli.run(*RUN, "--allow", "older-source", cwd=old.path).ok()
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web")
    assert note(checkout.origin)["drySha"] == old.sha


@pytest.mark.parametrize("is_gone", [False, True], ids=["kept", "collected"])
def test_freshness__diverged_history_publishes_with_a_warning(checkout: Checkout, cli: Cli, *, is_gone: bool) -> None:
    base = checkout.sha
    checkout.render({"web.yaml": config_map("web", "left"), "db.yaml": config_map("db")}, "Left")
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.git("reset", "--quiet", "--hard", base)
    checkout.origin.git("update-ref", "refs/heads/main", base)
    checkout.render({"web.yaml": config_map("web", "right"), "db.yaml": config_map("db")}, "Right")
    if is_gone:
        checkout.origin.git("reflog", "expire", "--expire=now", "--all")
        checkout.origin.git("gc", "--quiet", "--prune=now")
        fresh = checkout.path.with_name("fresh")
        checkout = checkout.ci_checkout(fresh)
    done = cli.run(*RUN, cwd=checkout.path).ok()
    assert "warning" in done.text.lower()
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web", "right")


def test_freshness__merge_keeps_both_sides_older(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    checkout.git("checkout", "--quiet", "-b", "side")
    checkout.write("side", b"1")
    checkout.git("add", "--all")
    checkout.git("commit", "--quiet", "--message", "Side")
    side = checkout.sha
    checkout.git("checkout", "--quiet", "main")
    checkout.render({"web.yaml": config_map("web", "main"), "db.yaml": config_map("db")}, "Main")
    older = checkout.ci_checkout(tmp_path / "older")
    checkout.git("merge", "--quiet", "--no-ff", "--message", "Merge", side)
    checkout.commit("After the merge")
    cli.run(*RUN, cwd=checkout.path).ok()
    assert "skipped" in cli.run(*RUN, cwd=older.path).ok().stdout.lower()


@pytest.fixture
def old_server(checkout: Checkout, tmp_path: Path) -> dict[str, str]:
    """Put a server that speaks only the oldest protocol before the origin; return the variables of its users."""
    wrapper = tmp_path / "ssh"
    wrapper.write_text('#!/bin/sh\nfor command; do :; done\nexec env -u GIT_PROTOCOL sh -c "$command"\n')
    wrapper.chmod(0o755)
    checkout.git("remote", "set-url", "origin", f"ssh://git@server{checkout.origin.path}")
    return {"GIT_SSH_COMMAND": str(wrapper), "GIT_SSH_VARIANT": "ssh"}


def test_freshness__holds_where_the_server_knows_only_an_old_protocol__e15(
    checkout: Checkout, cli: Cli, tmp_path: Path, old_server: dict[str, str]
) -> None:
    jobs = []
    for number in range(3):
        checkout.render({"web.yaml": config_map("web", str(number))}, f"Commit {number}")
        jobs.append(checkout.ci_checkout(tmp_path / f"job-{number}", url=f"ssh://git@server{checkout.origin.path}"))
        cli.run(*RUN, cwd=checkout.path, **old_server).ok()
    refs = checkout.origin.refs()
    assert "skipped" in cli.run(*RUN, cwd=jobs[1].path, **old_server).ok().stdout.lower()
    assert checkout.origin.refs() == refs
    checkout.render({"web.yaml": config_map("web", "3")}, "Commit 3")
    newest = checkout.ci_checkout(tmp_path / "newest", url=f"ssh://git@server{checkout.origin.path}")
    assert "unknown-source" not in cli.run(*RUN, cwd=newest.path, **old_server).ok().text
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web", "3")


def test_freshness__of_a_commit_that_an_old_server_lost_is_not_known(
    checkout: Checkout, cli: Cli, tmp_path: Path, old_server: dict[str, str]
) -> None:
    base = checkout.sha
    checkout.render({"web.yaml": config_map("web", "left")}, "Left")
    cli.run(*RUN, cwd=checkout.path, **old_server).ok()
    checkout.git("reset", "--quiet", "--hard", base)
    checkout.origin.git("update-ref", "refs/heads/main", base)
    checkout.render({"web.yaml": config_map("web", "right")}, "Right")
    job = checkout.ci_checkout(tmp_path / "job", url=f"ssh://git@server{checkout.origin.path}")
    assert "unknown-source" in cli.run(*RUN, cwd=job.path, **old_server).ok().text
