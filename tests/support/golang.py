"""The Go toolchain, its caches, and whether its module proxy hands out what a test depends on."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.programs import RUN_TIMEOUT_S, SEARCH_PATH, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What cmd/go says of a proxy that may not hand a module out. A version that does not exist is a 404 or 410: our fault.
REFUSED = re.compile(r"(go|\S+\.go:\d+:\d+): \S+@\S+: reading \S+: 403 Forbidden")


def go() -> str:
    """Return the path of the go command; skip the test where there is none, also in CI: no set-up installs it."""
    return shutil.which("go", path=SEARCH_PATH) or pytest.skip("needs Go, which the set-up does not install")


def download_modules(folder: Path, env: Mapping[str, str]) -> None:
    """Download what the go.mod in a folder asks for; fail the test where that does not work.

    Only when each and every complaint is that the proxy refuses a module, the test is skipped.
    """
    command = (go(), "mod", "download")
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )
    skip_if_refused(done)
    assert done.returncode == 0, f"`go mod download` failed: {done.stderr}"


def skip_if_refused(done: subprocess.CompletedProcess[str]) -> None:
    """Skip the test when each and every complaint of a failed command is that the proxy refuses a module."""
    # What a complaint goes on with is indented.
    lines = [line for line in done.stderr.splitlines() if line[:1].strip()]
    complaints = [line for line in lines if not line.startswith("go: downloading ")]
    if done.returncode != 0 and complaints and all(map(REFUSED.match, complaints)):
        pytest.skip("; ".join(complaints))


def caches(*names: str) -> dict[str, str]:
    """Return the user's caches by the variables that name them: what was compiled once need not be again."""
    return {name: run(go(), "env", name).stdout.decode().strip() for name in names}
