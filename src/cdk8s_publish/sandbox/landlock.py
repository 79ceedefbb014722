"""The kernel's Landlock: a thread gives up, for good and for all that it starts, what no rule allows.

Numbers and formats are those of linux/landlock.h; what each version of the interface can do is described in
https://docs.kernel.org/userspace-api/landlock.html.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on every architecture."""
_ASK_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV, _RESOLVE_UNIX = 1 << 14, 1 << 15, 1 << 16
_BASIC_RIGHTS = (1 << 14) - 1
"""All of version 2. Version 1 lacks REFER (1 << 13), without which no file can be moved between two folders."""
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV | _RESOLVE_UNIX
"""The ones that a rule for a single file may give."""
_SCOPES = 1 << 0 | 1 << 1
"""ABSTRACT_UNIX_SOCKET and SIGNAL: neither reaches a process that did not inherit the restriction."""

USABLE, TRUNCATE, IOCTL_DEV, SCOPES, RESOLVE_UNIX = 2, 3, 5, 6, 9
"""The versions that brought what we use: Linux 5.19, 6.2, 6.10, 6.12 and 7.1."""


class Access(IntEnum):
    """What may be done with a file, or with everything in a folder."""

    NONE = 0
    READ = 1
    """Read, list and execute."""
    WRITE = 2
    """All of that; write, make, rename and remove; and connect to sockets."""


@cache
def version() -> int:
    """Return the version of the kernel's Landlock; 0 where there is none that can be used.

    It may be missing, switched off, or forbidden by a container's filter of system calls.
    """
    if not sys.platform.startswith("linux"):
        return 0
    found = _call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    return found if found >= USABLE else 0


def restrict(rules: Iterable[tuple[str, Access]]) -> None:
    """Restrict the calling thread to `rules`: what they don't allow is denied. It has set no_new_privs before.

    What a rule names and can't be opened is not allowed. In any domain that this makes, no process outside of it can
    be traced, nor its environment and memory be read. Raises OSError.
    """
    handled = _handled()
    attributes = struct.pack("=QQQ", handled, 0, _SCOPES if version() >= SCOPES else 0)
    ruleset = _checked(_call(_CREATE_RULESET, attributes, len(attributes), 0))
    try:
        for path, access in rules:
            _allow(ruleset, path, handled if access is Access.WRITE else _EXECUTE | _READ_FILE | _READ_DIR)
        _checked(_call(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _handled() -> int:
    """Return the rights that this kernel can deny."""
    handled = _BASIC_RIGHTS
    for needed, right in ((TRUNCATE, _TRUNCATE), (IOCTL_DEV, _IOCTL_DEV), (RESOLVE_UNIX, _RESOLVE_UNIX)):
        if version() >= needed:
            handled |= right
    return handled


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # gone, or of a kind that can't be opened
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rule = struct.pack("=Qi", rights if is_folder else rights & _FILE_RIGHTS, descriptor)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *args: int | bytes | None) -> int:
    """Make a system call; integers are passed in the width of a register."""
    wide = (ctypes.c_long(value) if isinstance(value, int) else value for value in args)
    return int(_libc().syscall(ctypes.c_long(number), *wide))
