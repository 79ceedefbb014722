"""A program can't reach a hidden folder, not even as its owner or as root; everything else works as before."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.sandbox.process import Command, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Landlock is Linux")

WAYS = """
cat hidden/file && echo read
ls hidden && echo list
echo more 2>/dev/null >>hidden/file && echo append
rm hidden/file && echo remove
mv hidden/file stolen && echo move
ln hidden/file stolen && echo link
touch hidden/new && echo create
mv hidden elsewhere && echo rename
sh -c 'cat hidden/file' && echo child
"""
LIFE = """
set -e
mkdir -p open/a open/b
echo text >open/a/file
mv open/a/file open/b/file
cat open/b/file
ln -s b open/link
rm -r open/a
: </dev/null >/dev/null
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a hidden one in it."""
    for name in ("hidden", "open"):
        (tmp_path / name).mkdir()
    (tmp_path / "hidden" / "file").write_text("secret\n")
    return tmp_path


def lines(folder: Path, script: str, *hidden: Path) -> list[str]:
    heard: list[str] = []
    environ = {"PATH": os.environ["PATH"]}
    command = Command(("sh", "-c", f"exec 2>/dev/null\n{script}"), folder, environ, timeout_s=60, hidden=hidden)
    run(command, on_line=heard.append)
    return heard


def test_hidden_folder__is_out_of_reach(folder: Path) -> None:
    assert lines(folder, WAYS, folder / "hidden") == []
    assert (folder / "hidden" / "file").read_text() == "secret\n"


def test_hidden_folder__would_be_in_reach_otherwise(folder: Path) -> None:
    assert {"read", "list", "append"} <= set(lines(folder, WAYS))


def test_hidden_folder__leaves_the_rest_as_it_is(folder: Path) -> None:
    assert lines(folder, LIFE, folder / "hidden") == ["text"]


def test_hidden_folder__stays_in_our_own_reach(folder: Path) -> None:
    lines(folder, "true", folder / "hidden")
    assert (folder / "hidden" / "file").read_text() == "secret\n"


def test_hidden_folder__may_be_missing(folder: Path) -> None:
    assert lines(folder, "echo works", folder / "nothing" / "here") == ["works"]
