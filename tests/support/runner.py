"""Runs the program the way a user does: a process of its own, an empty home, nothing inherited."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from support.programs import ROOT, SEARCH_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ENTRYPOINT = ROOT / "entrypoint.py"
WITHOUT_LANDLOCK = f"""
import sys
sys.path.insert(0, {str(ROOT / "src")!r})
from cdk8s_publish.sandbox import landlock
landlock.version = lambda: 0
from cdk8s_publish.cli import console
console()
"""
CLI_TIMEOUT_S = 300
MEASURED = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
"""What makes the program record which of its lines run; empty unless `make coverage` runs the tests."""


@dataclass(frozen=True)
class Result:
    """How a run ended and everything it said."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Both streams, for looking for what must not be in either."""
        return self.stdout + self.stderr

    def ok(self) -> Result:
        """Return itself; fail with the whole output unless the run succeeded."""
        return self.exits(0)

    def exits(self, code: int) -> Result:
        """Return itself; fail with the whole output unless the exit code is this one."""
        assert self.code == code, f"exit code {self.code}, expected {code}\n{self.stdout}\n{self.stderr}"
        return self


@dataclass(frozen=True)
class Cli:
    """A user's machine: a private home and a private folder for temporary files, both empty at the start."""

    home: Path
    tmp: Path
    env: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str | Path, ...] = (sys.executable, ENTRYPOINT)

    def without_landlock(self) -> Cli:
        """Return the same machine with a kernel that has no Landlock."""
        return replace(self, program=(sys.executable, "-c", WITHOUT_LANDLOCK))

    @classmethod
    def create(cls, folder: Path, **env: str) -> Cli:
        """Make the two folders below `folder`."""
        home, tmp = folder / "home", folder / "tmp"
        home.mkdir(parents=True)
        tmp.mkdir()
        return cls(home, tmp, env)

    def environ(self, **env: str) -> dict[str, str]:
        """Return the whole environment of a run; an empty value takes a variable away."""
        base = {
            "PATH": SEARCH_PATH,
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **MEASURED,
        }
        return {name: value for name, value in {**base, **self.env, **env}.items() if value}

    def start(self, *args: str | Path, cwd: Path, **env: str) -> subprocess.Popen[str]:
        """Start a run in a process group of its own, so that it can be killed with all its children."""
        return subprocess.Popen(
            (*self.program, *map(str, args)),
            cwd=cwd,
            env=self.environ(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def run(self, *args: str | Path, cwd: Path, **env: str) -> Result:
        """Run to the end."""
        return self.finish(self.start(*args, cwd=cwd, **env))

    def finish(self, process: subprocess.Popen[str]) -> Result:
        """Wait for a run that was started; whatever it left running is killed with it."""
        try:
            stdout, stderr = process.communicate(timeout=CLI_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            raise AssertionError(f"still running after {CLI_TIMEOUT_S} s\n{stdout}\n{stderr}") from None
        return Result(process.returncode, stdout, stderr)

    def left_behind(self) -> list[str]:
        """Return what lies in the folder for temporary files."""
        return sorted(path.name for path in self.tmp.iterdir())
