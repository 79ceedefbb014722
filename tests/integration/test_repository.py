"""The private repository on its own: what it does when git, or the remote, goes away in the middle."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.errors import MachineError, RemoteError
from cdk8s_publish.git import process
from cdk8s_publish.git.process import GitRunner
from cdk8s_publish.model import Remote as Address
from cdk8s_publish.publish.branch.repository import NOTES_REF, Repository
from support.remotes import GIT_ENV

if TYPE_CHECKING:
    from pathlib import Path

    from support.checkouts import Checkout
    from support.remotes import Remote
    from support.runner import Cli


def test_git__that_hangs_is_given_up_though_its_children_hold_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GIT_TIMEOUT_S", 0.2)
    start = time.monotonic()
    code, _, err = GitRunner(tmp_path, GIT_ENV, [("alias.hang", "!sleep 20; true")]).run("hang")
    assert code
    assert "timed out" in err
    assert time.monotonic() - start < 10


def test_note__that_can_not_be_read_is_an_error_and_not_absent(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    cli.run("run", "--install", "none", cwd=checkout.path).ok()
    remote = checkout.origin
    remote.git("config", "uploadpack.allowFilter", "true")
    tip = Repository(tmp_path / "whole.git", Address(remote.path.as_uri()), GIT_ENV).look("manifests")
    assert tip.notes == remote.tip(NOTES_REF)
    assert b"drySha" in tip.note
    # Commits and folders can be had, and nothing after them.
    packer, settings = tmp_path / "pack-objects", tmp_path / "gitconfig"
    packer.write_text('#!/bin/sh\nmkdir "$0-was-here" && exec "$@"\n')
    packer.chmod(0o755)
    settings.write_text(f"[uploadpack]\n\tpackObjectsHook = {packer}\n")
    environ = {**GIT_ENV, "GIT_CONFIG_GLOBAL": str(settings)}
    with pytest.raises(RemoteError, match="note"):
        Repository(tmp_path / "broken.git", Address(remote.path.as_uri()), environ).look("manifests")


@pytest.mark.parametrize("name", ["config", "commondir", "config.worktree", "hooks"])
def test_repository__that_another_program_has_changed_is_not_used_again(
    remote: Remote, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "private.git"
    repository = Repository(folder, Address(remote.path.as_uri()), GIT_ENV)
    repository.look("manifests")
    with (folder / name).open("a") as planted:
        planted.write("[core]\n\tsshCommand = evil\n")
    with pytest.raises(MachineError, match="Another program has changed the private repository"):
        repository.look("manifests")
