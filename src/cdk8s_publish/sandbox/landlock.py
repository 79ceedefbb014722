"""Take folders out of the reach of a thread and of every program that it starts, whoever they belong to.

The runner's command files belong to the user that the app runs as, so file modes can't keep the app from them; the
kernel's Landlock can (https://docs.kernel.org/userspace-api/landlock.html). It is a list of what is allowed: everything
that lies beside the denied folders, on each level from the root down to them.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on every architecture."""
_ASK_VERSION = 1
_PATH_BENEATH = 1
_FILE_RIGHTS = 1 << 0 | 1 << 1 | 1 << 2
"""EXECUTE, WRITE_FILE, READ_FILE: the ones that also a rule for a single file may give."""
_RIGHTS = (1 << 14) - 1
"""All of version 2. Version 1 lacks REFER (1 << 13), without which no file can be moved between two folders."""
_USABLE_VERSION = 2


def deny_access(folders: Iterable[Path]) -> bool:
    """Take `folders` out of reach for good; the caller has set no_new_privs. Return whether the kernel can do it.

    Whoever is confined can't list the folders above the denied ones either, and finds nothing that appears directly
    in them later. Linux only.
    """
    denied = {os.path.realpath(folder) for folder in folders}
    if not denied or not sys.platform.startswith("linux"):
        return not denied
    if _call(_CREATE_RULESET, None, 0, _ASK_VERSION) < _USABLE_VERSION:
        return False
    attributes = struct.pack("=Q", _RIGHTS)
    rules = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return False
    try:
        for path in _beside(denied, "/"):
            _allow(rules, path)
        return _call(_RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def _beside(denied: set[str], folder: str) -> Iterator[str]:
    """Yield what lies in `folder` and, on the way to a denied folder, below it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.path in denied:
                continue
            if any(path.startswith(f"{entry.path}/") for path in denied):
                yield from _beside(denied, entry.path)
            else:
                yield entry.path


def _allow(rules: int, path: str) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # gone, or of a kind that can't be opened: then it is not allowed
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rule = struct.pack("=Qi", _RIGHTS if is_folder else _FILE_RIGHTS, descriptor)
        _call(_ADD_RULE, rules, _PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)


def _call(number: int, *args: int | bytes | None) -> int:
    """Make a system call; integers are passed in the width of a register."""
    wide = (ctypes.c_long(value) if isinstance(value, int) else value for value in args)
    return int(ctypes.CDLL(None).syscall(ctypes.c_long(number), *wide))
