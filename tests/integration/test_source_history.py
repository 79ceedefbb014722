"""A branch that holds the history of the sources is never published to, however it is named and whatever is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.remotes import git

if TYPE_CHECKING:
    from pathlib import Path

    from support.remotes import Remote
    from support.runner import Cli, Result

RUN = ("run", "--install", "none")
ALLOW = ("--allow", "foreign-branch")


def refused(cli: Cli, checkout: Checkout, remote: Remote, *options: str) -> Result:
    """Run with every consent there is; fail unless it is refused and nothing of the remote has moved."""
    before = remote.refs()
    done = cli.run(*RUN, "--allow", "foreign-branch, foreign-folder, other-source", *options, cwd=checkout.path).exits(
        5
    )
    assert remote.refs() == before
    return done


def test_branch__that_is_another_name_of_the_sources_is_refused__c3(checkout: Checkout, cli: Cli) -> None:
    checkout.origin.git("symbolic-ref", "refs/heads/manifests", "refs/heads/main")
    checkout.commit("Go on")
    checkout.git("reset", "--quiet", "--hard", "HEAD~1")
    done = refused(cli, checkout, checkout.origin)
    assert "`manifests` is another name of `main`, the branch that is being rendered" in done.text


def test_branch__that_is_another_name_of_a_default_branch_is_refused__c3(
    checkout: Checkout, cli: Cli, remote: Remote
) -> None:
    remote.commit("main", {"a": b"a"})
    remote.git("symbolic-ref", "refs/heads/manifests", "refs/heads/main")
    done = refused(cli, checkout, remote, "--repository", str(remote.path))
    assert "`manifests` is another name of `main`" in done.text


@pytest.mark.parametrize("depth", [0, 1], ids=["full", "shallow"])
@pytest.mark.parametrize("position", ["ahead", "behind", "beside", "same"])
def test_branch__with_the_history_of_a_detached_source_is_refused__c3(
    checkout: Checkout, cli: Cli, tmp_path: Path, position: str, depth: int
) -> None:
    base = checkout.sha
    checkout.commit("The rendered one")
    job = checkout.ci_checkout(tmp_path / "job", depth=depth)
    checkout.origin.git("symbolic-ref", "HEAD", "refs/heads/gone")
    checkout.origin.git("update-ref", "refs/heads/main", {"ahead": job.sha, "same": job.sha}.get(position, base))
    checkout.origin.git("update-ref", "refs/heads/kept", job.sha)
    if position in {"ahead", "beside"}:
        checkout.origin.commit("main", {"more": b"1"}, "Somebody goes on")
    done = refused(cli, job, checkout.origin, "--branch", "main")
    assert "your sources" in done.text


def test_branch__with_merged_manifests_is_still_the_source__c3(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    git("fetch", "--quiet", "origin", "manifests", cwd=checkout.path)
    git("merge", "--quiet", "--allow-unrelated-histories", "--message", "Merge", "FETCH_HEAD", cwd=checkout.path)
    checkout.commit("Go on, with a dist/hydrator.metadata")
    job = checkout.ci_checkout(tmp_path / "job")
    checkout.commit("One ahead")
    checkout.origin.git("symbolic-ref", "HEAD", "refs/heads/gone")
    refused(cli, job, checkout.origin, "--branch", "main")


def test_branch__of_another_repository_with_the_history_of_the_sources_is_refused(
    checkout: Checkout, cli: Cli, remote: Remote, tmp_path: Path
) -> None:
    job = checkout.ci_checkout(tmp_path / "job")
    checkout.commit("One ahead")
    checkout.git("push", "--quiet", str(remote.path), "HEAD:develop")
    refused(cli, job, remote, "--repository", str(remote.path), "--branch", "develop")


def test_branch__that_was_made_from_an_orphan_is_adopted(checkout: Checkout, cli: Cli) -> None:
    checkout.git("switch", "--quiet", "--orphan", "by-hand")
    checkout.write("dist/old.yaml", config_map("old"))
    checkout.git("add", "--all")
    checkout.git("commit", "--quiet", "--message", "By hand")
    checkout.git("push", "--quiet", "origin", "by-hand:manifests")
    checkout.git("switch", "--quiet", "main")
    cli.run(*RUN, cwd=checkout.path).exits(5)
    cli.run(*RUN, *ALLOW, cwd=checkout.path).ok()
    assert checkout.origin.log("manifests") == ["Start", "By hand"]


@pytest.mark.parametrize("depth", [0, 1], ids=["full", "shallow"])
def test_branch__of_our_publishes_with_commits_of_people_goes_on(
    checkout: Checkout, cli: Cli, tmp_path: Path, depth: int
) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.origin.commit("manifests", {"README.md": b"by hand"})
    checkout.render({"web.yaml": config_map("web", "2")}, "Next")
    job = checkout.ci_checkout(tmp_path / "job", depth=depth)
    cli.run(*RUN, cwd=job.path).ok()
    assert checkout.origin.log("manifests") == ["Next", "By somebody else", "Start"]


def test_branch__that_our_commits_were_put_on_goes_on_though_it_began_as_sources(checkout: Checkout, cli: Cli) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    tree = checkout.origin.git("rev-parse", "manifests^{tree}")
    message = checkout.origin.message("manifests")
    sources = checkout.origin.tip("main") or ""
    ours = git("commit-tree", "-p", sources, "-m", message, tree, cwd=checkout.origin.path)
    checkout.origin.git("update-ref", "refs/heads/manifests", ours)
    checkout.origin.commit("manifests", {"README.md": b"by hand"})
    checkout.render({"web.yaml": config_map("web", "2")}, "Next")
    cli.run(*RUN, cwd=checkout.path).ok()
    assert checkout.origin.log("manifests")[:2] == ["Next", "By somebody else"]
