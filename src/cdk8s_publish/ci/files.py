"""Files that are left in the user's workspace."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cdk8s_publish.sandbox.privileges import can_change_users

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def write_file(path: Path, parts: Iterable[str]) -> None:
    """Write a file that the user asked for; it and new folders belong to the owner of the folder above.

    What root leaves in a workspace would break the user's later steps.
    """
    with _as_owner(next(parent for parent in path.parents if os.path.lexists(parent))):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Names of files need not be UTF-8, but what is read as text must be.
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            stream.writelines(parts)


@contextmanager
def _as_owner(folder: Path) -> Iterator[None]:
    """Give up root's rights for those of a folder's owner, who may have let untrusted code put links there."""
    if not can_change_users():
        yield
        return
    status, group, groups = folder.lstat(), os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
