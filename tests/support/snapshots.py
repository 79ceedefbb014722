"""What a folder looks like, byte for byte, so that "nothing was touched" is an equation."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """Everything about one file that a program could have changed, access time apart."""

    mode: str
    owner: tuple[int, int]
    modified_ns: int
    content: str


def snapshot(folder: Path) -> dict[str, Entry]:
    """Return every path below a folder, the folder itself as `.`, with its metadata and content."""
    entries = {".": entry_of(folder)}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            entries[str(path.relative_to(folder))] = entry_of(path)
    return entries


def entry_of(path: Path) -> Entry:
    """Return one path's metadata and the digest of its bytes (links: where they point)."""
    info = path.lstat()
    content = ""
    if stat.S_ISLNK(info.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(info.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return Entry(stat.filemode(info.st_mode), (info.st_uid, info.st_gid), info.st_mtime_ns, content)


class Untouched:
    """Folders that must look afterwards as they did when this was made."""

    def __init__(self, *folders: Path) -> None:
        self.before = {folder: snapshot(folder) for folder in folders}

    def check(self) -> None:
        """Fail with the paths that appeared, disappeared or changed."""
        for folder, before in self.before.items():
            after = snapshot(folder)
            changed = sorted(path for path in before | after if before.get(path) != after.get(path))
            assert not changed, f"{folder} was touched: {changed}"
