"""Programs that tests start: looked up once, bounded in time, gone with the test run whatever happens."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 30
RUN_TIMEOUT_S = 300
PORTS = (10_000, 32_000)
WORKERS_MAX = 16
# Debian keeps servers out of an ordinary user's PATH.
SEARCH_PATH = os.pathsep.join(
    (str(ROOT / ".tools" / "bin"), str(ROOT / ".venv" / "bin"), os.environ["PATH"], "/usr/sbin", "/sbin")
)


def require(*names: str) -> None:
    """Skip the test where a program is missing; fail it in CI, where nothing may be missing."""
    missing = [name for name in names if not shutil.which(name, path=SEARCH_PATH)]
    if not missing:
        return
    message = f"{', '.join(missing)} not installed; `make setup` as root installs what tests need"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def require_toolchain(*names: str) -> None:
    """Skip the test where a language's own tools are missing, also in CI: the set-up does not install languages."""
    if not all(shutil.which(name, path=SEARCH_PATH) for name in names):
        pytest.skip(f"needs {' and '.join(names)}, which the set-up does not install")


def program(name: str) -> str:
    """Return the absolute path of a program that the test can't do without."""
    require(name)
    found = shutil.which(name, path=SEARCH_PATH)
    assert found
    return found


def run(
    *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a helper program of a test to its end; a failure of it is a failure of the test."""
    done = subprocess.run(argv, cwd=cwd, env=env, input=stdin, capture_output=True, timeout=RUN_TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{argv} failed: {done.stderr.decode(errors='replace')}"
    return done


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on and that no other test process is handed.

    Below the range from which the kernel serves outgoing connections: a port stays free until its server is up.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = random.randrange(*PORTS) // WORKERS_MAX * WORKERS_MAX + worker  # noqa: S311 - keeps no secret
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((LOOPBACK, port))
            return port


@contextlib.contextmanager
def server(argv: Sequence[str | Path], port: int, log: Path, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a server until the block ends.

    The kernel ends it as well when the test run is killed: `setpriv --pdeathsig` needs no clean-up of ours.
    """
    with log.open("wb") as stream:
        process = subprocess.Popen(
            (program("setpriv"), "--pdeathsig", "KILL", "--", *argv),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_port(process, port, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=5)


def wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return as soon as the server accepts connections; fail with its own words when it does not."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
    pytest.fail(f"{process.args!r} did not start: {log.read_text(errors='replace')}")
