"""What a process may do to others: taken from untrusted code, and denied to others for ourselves (prctl(2))."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 4, 24, 36, 38
_CAPABILITIES = (16, 17, 19, 21, 38, 39, 40, 27, 29)
"""SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_ADMIN, PERFMON, BPF, CHECKPOINT_RESTORE (linux/capability.h): each of them
reads the memory of another process, or loads code into the kernel that does. MKNOD and AUDIT_WRITE are of no use to a
build: root without them has fewer rights than the processes above us, and the kernel lets nobody look into a process
with more rights than its own (ptrace(2), "Ptrace access mode checking"), not into the job's shell either."""

_CHANGING_USERS = 1 << 0 | 1 << 6 | 1 << 7
"""CHOWN, SETGID, SETUID as bits of CapEff in proc_pid_status(5)."""


def can_change_users() -> bool:
    """Whether files can be given to other users and programs run as them: as root, unless a container took that away.

    Kubernetes and the runners on it often do (`drop: [ALL]`).
    """
    if os.geteuid() != 0:
        return False
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:  # not Linux: root is root
        return True
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return effective is None or int(effective[1], 16) & _CHANGING_USERS == _CHANGING_USERS


def protect_self(names: Iterable[str]) -> None:
    """Make this process's memory and initial environment unreadable to code that runs as the same user.

    `/proc/<pid>/environ` shows the bytes the process was started with for as long as it lives. The kernel refuses it
    (and `/proc/<pid>/mem`, and ptrace) for a process that is not dumpable; the values of the variables in `names`
    are overwritten besides, which holds against root as well. The caller has read them before. Linux only.
    """
    for name in names:
        os.unsetenv(name)
    if not sys.platform.startswith("linux"):
        return
    _prctl(_PR_SET_DUMPABLE, 0)
    # Fields 50 and 51 of proc_pid_stat(5), counted from 1; the second field may hold spaces, so count after it.
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    block = b"\0" + ctypes.string_at(start, end - start)
    for name in names:
        head = b"\0" + os.fsencode(name) + b"="
        at = block.find(head)
        while at >= 0:
            value = at + len(head)
            ctypes.memset(start + value - 1, ord("*"), block.index(b"\0", value) - value)
            at = block.find(head, value)


def adopt_orphans() -> None:
    """Become the parent of every process whose own parent ends, among all that descend from this process."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def give_up() -> None:
    """Give up, for this thread and all that it starts, what lets a process look into another one."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    for capability in _CAPABILITIES:
        _prctl(_PR_CAPBSET_DROP, capability)


def _prctl(option: int, argument: int) -> None:
    """Call prctl(2) for this thread or process; without effect where there is no such call, or no right to it."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(argument), 0, 0, 0)
