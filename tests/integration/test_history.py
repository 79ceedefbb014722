"""What the target branch remembers, and that its notes follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map

if TYPE_CHECKING:
    from support.remotes import Remote
    from support.runner import Cli


def publish(cli: Cli, checkout: Checkout, count: int, history: str) -> None:
    """Publish `count` successive states."""
    for number in range(count):
        checkout.render({"web.yaml": config_map("web", str(number))}, f"State {number}")
        cli.run("--install", "none", "--history", history, cwd=checkout.path).ok()


@pytest.mark.parametrize(
    ("history", "kept"),
    [
        ("replace", ["State 3"]),
        ("keep", ["State 3", "State 2", "State 1", "State 0"]),
        ("keep: 1", ["State 3"]),
        ("keep: 3", ["State 3", "State 2", "State 1"]),
        ("keep: 9", ["State 3", "State 2", "State 1", "State 0"]),
    ],
)
def test_history__keeps_what_was_asked_for(checkout: Checkout, cli: Cli, history: str, kept: list[str]) -> None:
    publish(cli, checkout, 4, history)
    remote = checkout.origin
    assert remote.log("manifests") == kept
    for age, subject in enumerate(kept):
        held = remote.git("show", f"refs/heads/manifests~{age}:dist/web.yaml")
        assert held.encode() + b"\n" == config_map("web", subject.removeprefix("State "))
    remote.git("gc", "--quiet", "--prune=now")
    remote.fsck()
    notes = remote.git("notes", "--ref=refs/notes/hydrator.metadata", "list").splitlines()
    assert notes[-1].split()[1] in remote.git("rev-list", "refs/heads/manifests").split()


def test_history__can_change_its_mind(checkout: Checkout, cli: Cli) -> None:
    publish(cli, checkout, 2, "keep")
    publish(cli, checkout, 2, "replace")
    assert checkout.origin.log("manifests") == ["State 1"]
    publish(cli, checkout, 2, "keep: 2")
    assert checkout.origin.log("manifests") == ["State 1", "State 0"]


def test_history__keep_works_where_the_server_refuses_to_rewrite(checkout: Checkout, cli: Cli) -> None:
    checkout.origin.git("config", "receive.denyNonFastForwards", "true")
    publish(cli, checkout, 3, "keep")
    assert len(checkout.origin.log("manifests")) == 3
    checkout.render({"web.yaml": config_map("web", "9")})
    done = cli.run("--install", "none", "--history", "replace", cwd=checkout.path).exits(5)
    assert "history: keep" in done.text


def test_tag__marks_what_was_published_and_is_never_moved(checkout: Checkout, cli: Cli) -> None:
    run = ("run", "--install", "none", "--tag", "manifests-{short-sha}")
    cli.run(*run, cwd=checkout.path).ok()
    name = f"refs/tags/manifests-{checkout.sha[:12]}"
    assert checkout.origin.refs()[name] == checkout.origin.tip("manifests")
    cli.run(*run, cwd=checkout.path).ok()
    checkout.render({"web.yaml": config_map("web", "2")})
    before = checkout.origin.refs()
    fixed = ("run", "--install", "none", "--tag", name.removeprefix("refs/tags/"))
    assert "marks another commit already" in cli.run(*fixed, cwd=checkout.path).exits(5).text
    assert checkout.origin.refs() == before
    cli.run(*run, cwd=checkout.path).ok()
    assert checkout.origin.refs()[name] == before[name]
    assert checkout.origin.refs()[f"refs/tags/manifests-{checkout.sha[:12]}"] == checkout.origin.tip("manifests")


@pytest.mark.parametrize(
    ("history", "kept"),
    [
        ("replace", ["State 2", "By somebody else", "State 0"]),
        ("keep: 2", ["State 2", "State 1", "By somebody else", "State 0"]),
        ("keep", ["State 2", "State 1", "By somebody else", "State 0"]),
    ],
)
def test_history__commits_of_others_are_never_dropped(
    checkout: Checkout, cli: Cli, history: str, kept: list[str]
) -> None:
    publish(cli, checkout, 1, history)
    checkout.origin.commit("manifests", {"README.md": b"by hand"})
    for number in (1, 2):
        checkout.render({"web.yaml": config_map("web", str(number))}, f"State {number}")
        cli.run("--install", "none", "--history", history, cwd=checkout.path).ok()
    assert checkout.origin.log("manifests") == kept
    assert checkout.origin.files("manifests")["README.md"] == b"by hand"
    checkout.origin.fsck()


def test_history__of_a_configuration_repository_stays_when_its_default_branch_is_published_to(
    checkout: Checkout, remote: Remote, cli: Cli
) -> None:
    run = ("--install", "none", "--repository", str(remote.path), "--branch", "main")
    cli.run(*run, cwd=checkout.path).ok()
    for number in range(5):
        remote.commit("main", {f"cluster-{number}.yaml": b"a: b\n"}, f"By hand {number}")
    checkout.render({"web.yaml": config_map("web", "2")}, "Change the web")
    cli.run(*run, cwd=checkout.path).ok()
    assert remote.log("main")[:6] == ["Change the web", *(f"By hand {number}" for number in reversed(range(5)))]


def test_history__kept_in_part_says_what_helps_where_the_server_refuses_to_rewrite__m53(
    checkout: Checkout, cli: Cli
) -> None:
    checkout.origin.git("config", "receive.denyNonFastForwards", "true")
    publish(cli, checkout, 2, "keep: 2")
    checkout.render({"web.yaml": config_map("web", "9")}, "State 9")
    before = checkout.origin.refs()
    done = cli.run("--install", "none", "--history", "keep: 2", cwd=checkout.path).exits(5)
    assert "`history: keep`" in done.text
    assert checkout.origin.refs()["refs/heads/manifests"] == before["refs/heads/manifests"]
    cli.run("--install", "none", "--history", "keep", cwd=checkout.path).ok()
    assert checkout.origin.log("manifests") == ["State 9", "State 1", "State 0"]
