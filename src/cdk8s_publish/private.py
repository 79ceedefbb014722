"""A folder that only this run can read, and that is gone afterwards, also after `kill -9`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_JANITOR = 'trap "" HUP INT TERM; read -r _; chmod -R u+rwX -- "$1" 2>/dev/null; rm -rf -- "$1"'
"""Waits for the end of its standard input, which comes when this process ends in whatever way, and cleans up."""


@contextmanager
def private_folder(parent: str | None = None) -> Iterator[Path]:
    """Create a folder with mode 0700 below `parent` (default: the system's temporary folder), for this run only."""
    folder = Path(tempfile.mkdtemp(prefix="cdk8s-publish-", dir=parent)).resolve()
    # In our own session: what is in another one counts as foreign code's stray and would be ended.
    janitor = subprocess.Popen(["sh", "-c", _JANITOR, "sh", str(folder)], stdin=subprocess.PIPE, env={}, cwd="/")
    try:
        yield folder
    finally:
        remove(folder)
        janitor.communicate()


def remove(folder: Path) -> None:
    """Remove a folder whatever is in it; installers leave read-only folders behind (Go's module cache)."""

    def make_writable(function: Callable[[str], object], path: str, _: object) -> None:
        if os.path.lexists(path):
            parent = Path(path).parent
            parent.chmod(0o700)
            if not Path(path).is_symlink():
                Path(path).chmod(0o700)
            function(path)

    shutil.rmtree(folder, onerror=make_writable)
