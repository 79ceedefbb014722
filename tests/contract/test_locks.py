"""The locks are closed: what a locked package needs is locked as well, and is a wheel, wherever the set-up runs."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.programs import ROOT, program

if TYPE_CHECKING:
    from pathlib import Path

LOCKS = (*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "examples" / "python" / "requirements.txt")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def resolve(lock: Path, python: str, platform: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let uv follow every dependency without installing anything; it takes only what the lock has a hash for.

    uv asks the index for each package, every time. What it has cached is as good, because the lock says the versions.
    """
    argv = (
        *(program("uv"), "pip", "install", "--dry-run", "--require-hashes", "--only-binary=:all:"),
        *("--python-version", python, "--python-platform", platform, "--target", folder, "--requirement", lock),
    )
    cached = run(*argv, "--offline")
    return cached if cached.returncode == 0 else run(*argv)


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    env = {"UV_SYSTEM_CERTS": "1", **os.environ}
    # In the project's folder, because pyproject.toml has the overrides.
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS, ids=name)
def test_lock__has_a_wheel_of_everything_that_is_needed(lock: Path, python: str, tmp_path: Path) -> None:
    for platform in PLATFORMS:
        done = resolve(lock, python, platform, tmp_path)
        assert done.returncode == 0, f"{platform}: {done.stderr}"


def test_lock__without_a_dependency_is_refused(tmp_path: Path) -> None:
    text = (ROOT / "requirements" / "dev.txt").read_text()
    rest, count = re.subn(r"^coverage==.*\n(    --hash=.*\n)+", "", text, flags=re.MULTILINE)
    assert count == 1
    lock = tmp_path / "dev.txt"
    lock.write_text(rest)
    done = resolve(lock, PYTHONS[0], PLATFORMS[0], tmp_path / "target")
    assert done.returncode != 0
    assert "no trusted hash" in done.stderr
    assert "`coverage`" in done.stderr  # pytest-cov needs it with an extra


@pytest.mark.parametrize("lock", LOCKS, ids=name)
def test_lock__names_no_index(lock: Path) -> None:
    assert "://" not in lock.read_text()
    assert "--index" not in lock.read_text()
