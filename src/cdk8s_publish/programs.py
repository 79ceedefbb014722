"""Programs of ours, found once, before any untrusted code: what is put on the PATH later is not run.

Where the app's writing is confined (see `sandbox.confinement`) it can't change them either; where it is not, a
changed one is refused.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from cdk8s_publish.errors import MachineError

OURS = ("git", "gpg", "gpgconf", "sh", "ssh", "ssh-keygen")


class _Program(NamedTuple):
    """Where a program is, and what changes when another file takes its place or it is written to."""

    path: str
    state: tuple[int, ...]


_found: dict[str, _Program] = {}


def find_all(search_path: str) -> None:
    """Find the programs that we run; to be called before the first untrusted program starts.

    `search_path` is what the user's PATH holds. A program that is missing is missed by whoever needs it.
    """
    _found.clear()
    for name in OURS:
        path = shutil.which(name, path=search_path)
        if path:
            absolute = str(Path(path).absolute())
            _found[name] = _Program(absolute, _state(absolute))


def resolve(name: str) -> str:
    """Return the absolute path of one of `OURS`. Before `find_all` only the system's own folders are looked in.

    Raises:
        MachineError: it was not there at the start, or is not the same file any more.

    """
    if not _found:
        find_all(os.defpath)
    program = _found.get(name)
    if program is None:
        raise MachineError(f"The program {name} was not found.", hint=f"Install {name} and put it on the PATH.")
    if _state(program.path) != program.state:
        raise MachineError(
            f"The program {name} was changed during the run, so no credential is handed to it.",
            evidence=f"changed: {program.path}",
            hint="Look for what writes there: an installer, the app, or an update of the machine.",
        )
    return program.path


def _state(path: str) -> tuple[int, ...]:
    """Return what tells a file from every other one and changes when it is written to, whatever its times say.

    A link is followed; one that leads somewhere else afterwards leads to another file.
    """
    try:
        status = Path(path).stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns
