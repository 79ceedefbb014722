"""What `--version` prints: this program and the ones it works with, as they are found on PATH."""

from __future__ import annotations

import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cdk8s_publish import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAMS = (
    ("git", "--version"),
    ("ssh", "-V"),
    ("gpg", "--version"),
    ("node", "--version"),
    ("npm", "--version"),
    ("cdk8s", "--version"),
    ("go", "version"),
    ("java", "-version"),
)
TIMEOUT_S = 60


def text() -> str:
    """Return one line for each program; one that is missing or does not answer is left out."""
    with ThreadPoolExecutor(len(PROGRAMS)) as pool:
        found = zip(PROGRAMS, pool.map(_first_line, PROGRAMS), strict=True)
        lines = [f"  {argv[0]:<8}{line}" for argv, line in found if line]
    return "\n".join((f"cdk8s-publish {__version__}", f"  {'python':<8}{platform.python_version()}", *lines))


def _first_line(argv: Sequence[str]) -> str:
    try:
        # ssh and java answer on their error output.
        shown = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S, check=True, text=True, errors="replace",
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return shown.strip().partition("\n")[0]
