from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish import programs
from cdk8s_publish.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    program(tmp_path / "second" / "git")
    programs.find_all(os.pathsep.join(map(str, (tmp_path / "first", tmp_path / "second"))))
    yield tmp_path
    programs.find_all(os.defpath)


def program(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def test_program__that_is_planted_before_it_on_the_path_is_not_run(folder: Path) -> None:
    program(folder / "first" / "git")
    assert programs.resolve("git") == f"{folder}/second/git"


def test_program__that_was_missing_is_not_found_later(folder: Path) -> None:
    program(folder / "first" / "ssh")
    with pytest.raises(MachineError, match="ssh was not found"):
        programs.resolve("ssh")


@pytest.mark.parametrize("change", ["written", "replaced", "removed", "made a link"])
def test_program__that_is_changed_is_refused(folder: Path, change: str) -> None:
    path = folder / "second" / "git"
    if change == "written":
        before = path.stat()
        with path.open("a") as file:
            file.write("true\n")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    if change == "replaced":
        program(folder / "other")
        (folder / "other").replace(path)
    if change == "removed":
        path.unlink()
    if change == "made a link":
        path.unlink()
        path.symlink_to("/bin/sh")
    with pytest.raises(MachineError, match="git was changed during the run"):
        programs.resolve("git")


def test_program__before_anybody_has_said_where_is_the_system_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_found", {})
    assert programs.resolve("sh") in {"/bin/sh", "/usr/bin/sh"}
