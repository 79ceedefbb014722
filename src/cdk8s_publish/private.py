"""A folder that only this run can read, and that is gone afterwards, also after `kill -9`."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_JANITOR = 'trap "" HUP INT TERM; read -r _; rm -rf -- "$1" 2>/dev/null || { chmod -R u+rwX -- "$1"; rm -rf -- "$1"; }'
"""Waits for the end of its standard input, which comes when this process ends in whatever way, and cleans up.

Installers leave folders behind that can't be written (Go's module cache), hence the second attempt.
"""


@contextmanager
def private_folder(parent: str | None = None) -> Iterator[Path]:
    """Create a folder with mode 0700 below `parent` (default: the system's temporary folder), for this run only."""
    folder = Path(tempfile.mkdtemp(prefix="cdk8s-publish-", dir=parent)).resolve()
    # In our own session: what is in another one counts as foreign code's stray and would be ended.
    janitor = subprocess.Popen(["sh", "-c", _JANITOR, "sh", str(folder)], stdin=subprocess.PIPE, env={}, cwd="/")
    try:
        yield folder
    finally:
        janitor.communicate()
