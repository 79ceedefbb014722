"""Many runs at once on one branch: nobody's update is lost and the newest content stays."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.runner import ENTRYPOINT

if TYPE_CHECKING:
    from pathlib import Path

    from support.remotes import Remote
    from support.runner import Cli

PUBLISHERS = 24
NOTES = "refs/notes/hydrator.metadata"


def recorded(remote: Remote, path: str) -> str:
    """Return the source commit that the branch and its note name for a folder."""
    note = json.loads(remote.git("notes", f"--ref={NOTES}", "show", remote.tip("manifests") or ""))
    sha: str = note["paths"][path]
    return sha


@pytest.mark.slow
@pytest.mark.parametrize("history", ["replace", "keep"])
def test_race__of_24_publishers_on_24_folders_loses_none(checkout: Checkout, cli: Cli, history: str) -> None:
    runs = [
        cli.start(
            "--install=none",
            f"--path=apps/{number}",
            f"--history={history}",
            f'--app=mkdir -p "$CDK8S_OUTDIR" && sed s/web/web-{number}/ rendered/web.yaml >"$CDK8S_OUTDIR/web.yaml"',
            cwd=checkout.path,
        )
        for number in range(PUBLISHERS)
    ]
    results = [cli.finish(process) for process in runs]
    assert [result.code for result in results] == [0] * PUBLISHERS, [r.text for r in results if r.code]
    files = checkout.origin.files("manifests")
    for number in range(PUBLISHERS):
        assert files[f"apps/{number}/web.yaml"] == config_map(f"web-{number}")
        assert recorded(checkout.origin, f"apps/{number}") == checkout.sha
    assert len(files) == 2 * PUBLISHERS
    assert len(checkout.origin.log("manifests")) == (1 if history == "replace" else PUBLISHERS)
    checkout.origin.fsck()
    assert cli.left_behind() == []


@pytest.mark.slow
def test_race__of_successive_commits_ends_with_the_newest(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    commits = []
    for number in range(6):
        checkout.render({"web.yaml": config_map("web", str(number))}, f"Commit {number}")
        commits.append(checkout.ci_checkout(tmp_path / f"ci-{number}"))
    runs = [cli.start("--install", "none", cwd=commit.path) for commit in reversed(commits)]
    results = [cli.finish(process) for process in runs]
    assert [result.code for result in results] == [0] * len(commits), [r.text for r in results if r.code]
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web", "5")
    assert recorded(checkout.origin, "dist") == checkout.sha


def test_race__lost_against_a_neighbour_is_decided_again(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    """A hook of the server lets another folder in just before the first push arrives."""
    cli.run("--install", "none", cwd=checkout.path).ok()
    checkout.render({"web.yaml": config_map("web", "2"), "db.yaml": config_map("db")}, "Second")
    once, inner = tmp_path / "once", checkout.ci_checkout(tmp_path / "neighbour")
    command = f"{sys.executable} {ENTRYPOINT} run --install none --path neighbour"
    checkout.origin.hook(
        "pre-receive",
        f"[ -e {once} ] && exit 0; touch {once}\n"
        f"unset $(env | sed -n 's/^\\(GIT_[A-Z_]*\\)=.*/\\1/p'); cd {inner.path} && {command} >{once}.log 2>&1\n"
        "exit 0\n",
    )
    done = cli.run("--install", "none", cwd=checkout.path).ok()
    files = checkout.origin.files("manifests")
    assert files["dist/web.yaml"] == config_map("web", "2")
    assert files["neighbour/web.yaml"] == config_map("web", "2"), (tmp_path / "once.log").read_text()
    assert "moved" in done.text
