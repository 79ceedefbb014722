"""How long untrusted code lives: which of its programs run, and the end of every process that they leave behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cdk8s_publish.errors import SynthError

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE_S = 5.0
"""How long a program may take to end after SIGTERM."""
STRAYS_TIMEOUT_S = 10.0

_running: set[object] = set()
"""One token for each `run` that is under way, over all threads; from before its program starts."""
_programs: set[int] = set()
"""Process ids of the programs that were started and not yet ended."""
_guard = threading.Lock()
"""Held while strays are ended, so that no program is taken for one in the moment of its start."""


@contextlib.contextmanager
def no_strays_afterwards() -> Iterator[None]:
    """End what programs have left behind when the last `run` under way ends.

    Raises SynthError when such a process can't be ended.
    """
    token = object()
    with _guard:
        _running.add(token)
    try:
        yield
    finally:
        with _guard:
            _running.discard(token)
            if not _running:
                _end_strays()


def end_all() -> None:
    """Kill the programs that run now, in whatever thread; each `run` returns with the end of its program."""
    for group in tuple(_programs):
        _signal_group(group, signal.SIGKILL)


def is_untrusted_code_running() -> bool:
    """Whether any program of `run` is alive: no process with a credential may be started beside it."""
    return bool(_running)


def add(process: subprocess.Popen[bytes]) -> None:
    """Note a program that was started, for `end_all`."""
    _programs.add(process.pid)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program with everything that descends from it."""
    family = []
    if process.poll() is None:
        family = _untrusted(process.pid)
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    _signal_group(process.pid, signal.SIGKILL)
    for pid, _ in family:  # of one that had ended before, we have inherited them
        _signal(pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    _programs.discard(process.pid)


def _end_strays() -> None:
    """End every process of untrusted code that is still there: as a subreaper we have inherited all orphans."""
    deadline = time.monotonic() + STRAYS_TIMEOUT_S
    while strays := _untrusted(os.getpid()):
        if time.monotonic() > deadline:
            raise SynthError(
                "A process that the app left running can't be ended, so no credential is used beside it.",
                evidence=f"process ids: {', '.join(str(pid) for pid, _ in strays)}",
                hint="Look for a service that the app or the installer starts and don't start it here.",
            )
        for pid, is_child in strays:
            _signal(pid, signal.SIGKILL)
            if is_child:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        time.sleep(0.001)


def _untrusted(ancestor: int) -> list[tuple[int, bool]]:
    """Return the untrusted processes that descend from one: process id, and whether its parent is us.

    Untrusted code starts in a session of its own and no process can join another session: what shares ours is ours.
    """
    children: dict[int, list[tuple[int, int]]] = {}
    processes = Path("/proc").iterdir() if sys.platform.startswith("linux") else ()
    for process in processes:
        with contextlib.suppress(OSError, ValueError):  # it has ended meanwhile, or is no process
            number = int(process.name)
            fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
            children.setdefault(int(fields[1]), []).append((number, int(fields[3])))
    ours, me = os.getsid(0), os.getpid()
    found, pending = [], [ancestor]
    while pending:
        parent = pending.pop()
        for pid, session in children.get(parent, ()):
            pending.append(pid)
            if session != ours:
                found.append((pid, parent == me))
    return found


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
