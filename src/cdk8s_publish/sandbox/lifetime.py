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
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import SynthError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GRACE_S = 5.0
"""How long a program may take to end after SIGTERM."""
STRAYS_TIMEOUT_S = 10.0
ORPHANS_AT_ONCE = 10_000
LISTED_STRAYS = 20
"""How many of them an error names: there may be thousands."""

_running: set[object] = set()
"""One token for each `run` that is under way, over all threads; from before its program starts."""
_programs: set[int] = set()
"""Process ids of the programs that were started and not yet ended."""
_guard = threading.Lock()
"""Held while programs start and while strays are ended, so that none is taken for one in the moment of its start."""


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
                _end_each(lambda: _strays_below(os.getpid()))


def end_all() -> None:
    """Kill the programs that run now, in whatever thread; each `run` returns with the end of its program."""
    for group in tuple(_programs):
        _signal_group(group, signal.SIGKILL)


def is_untrusted_code_running() -> bool:
    """Whether any program of `run` is alive: no process with a credential may be started beside it."""
    return bool(_running)


def start(program: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Start a program that is then known to be one, and no stray."""
    with _guard:
        process = program()
        _programs.add(process.pid)
    return process


def reap_orphans() -> None:
    """Ask for the exit status of orphans that have ended; until then each of them counts as a process.

    To be called now and then while programs run, or one that forks and exits uses up all processes there may be.
    """
    if not sys.platform.startswith("linux") or not _guard.acquire(blocking=False):
        return
    try:
        for _ in range(ORPHANS_AT_ONCE):
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid in _programs or os.getsid(ended.si_pid) == os.getsid(0):
                return  # the first one is for another thread to ask for, and gone the next time
            os.waitpid(ended.si_pid, os.WNOHANG)
    except (ChildProcessError, ProcessLookupError):
        return
    finally:
        _guard.release()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program with everything that descends from it."""
    family: list[_Stray] = []
    if process.poll() is None:
        family = _strays_below(process.pid)
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    for group in {process.pid, *(stray.group for stray in family)}:
        _signal_group(group, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    _programs.discard(process.pid)


def end_domain() -> None:
    """End every process that was started by the calling thread, or by what it started, however it has hidden.

    To be called only where `confinement.enter` says that the thread's processes are separate: the kernel delivers a
    signal for all processes to those alone, and in one step, so that not even processes that fork and exit escape.

    Raises:
        SynthError: one of them can't be ended.

    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(-1, signal.SIGKILL)
    _end_each(lambda: [stray for stray in _strays_below(os.getpid()) if _is_in_reach(stray)])


class _Stray(NamedTuple):
    pid: int
    group: int
    is_child: bool
    """Of ours; nobody else can take its exit status, without which it stays in the table of processes."""


def _end_each(find: Callable[[], list[_Stray]]) -> None:
    """End every process that `find` returns, until it finds none any more."""
    deadline = time.monotonic() + STRAYS_TIMEOUT_S
    while strays := find():
        if time.monotonic() > deadline:
            raise SynthError(
                "A process that the app left running can't be ended, so no credential is used beside it.",
                evidence=f"process ids: {', '.join(str(stray.pid) for stray in strays[:LISTED_STRAYS])}",
                hint="Look for a service that the app or the installer starts and don't start it here.",
            )
        # A group at a time: a process that forks and exits has no time to do so.
        for group in {stray.group for stray in strays}:
            _signal_group(group, signal.SIGKILL)
        for stray in strays:
            if stray.is_child:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(stray.pid, os.WNOHANG)
        time.sleep(0.001)


def _strays_below(ancestor: int) -> list[_Stray]:
    """Return the processes of untrusted code that descend from one; of ours, as we have inherited all orphans.

    Untrusted code starts in a session of its own and no process can join another session: what shares ours is ours.
    """
    children: dict[int, list[tuple[int, int, int]]] = {}
    processes = Path("/proc").iterdir() if sys.platform.startswith("linux") else ()
    for process in processes:
        with contextlib.suppress(OSError, ValueError):  # it has ended meanwhile, or is no process
            number = int(process.name)
            # Fields 4 to 6 of proc_pid_stat(5); the second field may hold spaces and brackets, so count after it.
            _, parent, group, session, *_ = (process / "stat").read_bytes().rpartition(b")")[2].split()
            children.setdefault(int(parent), []).append((number, int(group), int(session)))
    ours, me = os.getsid(0), os.getpid()
    found, pending = [], [ancestor]
    while pending:
        parent_id = pending.pop()
        for pid, group_id, session_id in children.get(parent_id, ()):
            pending.append(pid)
            if session_id != ours:
                found.append(_Stray(pid, group_id, is_child=parent_id == me))
    return found


def _is_in_reach(stray: _Stray) -> bool:
    try:
        os.kill(stray.pid, 0)
    except OSError:
        return False
    return True


def _signal_group(group: int, number: int) -> None:
    if group <= 1:  # to kill(2) these mean our own group, and every process there is
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
