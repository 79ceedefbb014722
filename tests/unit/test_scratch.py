from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.errors import MachineError
from cdk8s_publish.sandbox import scratch
from cdk8s_publish.sandbox.scratch import scratch_folder, temporary_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_temporary_folder__is_found_without_writing_into_it(tmp_path: Path) -> None:
    # What is written to find out would stay where the run is killed in that moment.
    folder = tmp_path / "temporary"
    folder.mkdir()
    before = folder.stat().st_mtime_ns
    assert temporary_folder({"TMPDIR": str(folder)}) == folder
    assert folder.stat().st_mtime_ns == before


@pytest.mark.parametrize("unusable", ["", "missing", "file"])
def test_temporary_folder__is_the_first_that_can_be_used(tmp_path: Path, unusable: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "good").mkdir()
    environ = {"TMPDIR": unusable and str(tmp_path / unusable), "TMP": str(tmp_path / "good")}
    assert temporary_folder(environ) == tmp_path / "good"


def test_temporary_folder__that_does_not_exist_anywhere_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "TEMPORARY", ())
    with pytest.raises(MachineError, match="no folder for temporary files can be written: /missing") as caught:
        temporary_folder({"TMPDIR": "/missing"})
    assert "TMPDIR" in caught.value.hint


def test_scratch_folder__is_ours_alone_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        assert folder.path.parent == tmp_path
        assert folder.path.stat().st_mode & 0o777 == 0o700
        (folder.path / "closed").mkdir()
        (folder.path / "closed" / "file").touch()
        (folder.path / "closed").chmod(0o500)
    assert list(tmp_path.iterdir()) == []


def test_scratch_folder__stays_until_the_last_program_that_writes_into_it_has_ended(tmp_path: Path) -> None:
    """A run that is killed leaves its git behind, which makes the folders anew that it misses."""
    with scratch_folder(tmp_path) as folder:
        program = "read -r _; mkdir -p %s/target.git && echo written" % folder.path  # noqa: UP031
        with subprocess.Popen(
            ("sh", "-c", program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(folder.descriptor,)
        ) as git:
            assert folder.clean_up.stdin
            folder.clean_up.stdin.close()  # as the kernel does for a process that is killed
            assert git.communicate(b"\n", timeout=30)[0] == b"written\n"
        folder.clean_up.wait(30)
    assert list(tmp_path.iterdir()) == []


def test_scratch_folder__may_be_given_up_early(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        folder.release()
        folder.release()
    assert list(tmp_path.iterdir()) == []
