"""Streams for `git fast-import`, which writes any bytes under any name without a working tree or an index."""

from __future__ import annotations

import os
import re
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import METADATA_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cdk8s_publish.model import Folder, RenderedFile, Sha
    from cdk8s_publish.publish.branch.repository import Tip

_LATEST = "9999-12-31T23:59:59"
"""What stands for a moment whose year has more digits."""


class Identity(NamedTuple):
    """Author and committer of a commit, and its date in strict ISO 8601."""

    author: str
    date: str

    @property
    def environ(self) -> dict[str, str]:
        """The variables that git reads an identity from."""
        name, _, mail = self.author.rpartition(" <")
        pair = {"NAME": name, "EMAIL": mail.rstrip(">"), "DATE": f"@{self.raw_date}"}
        return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in pair.items()}

    @property
    def raw_date(self) -> str:
        """The date as git stores it: seconds since the epoch and the offset of the zone.

        Git reads no other form of a year after 2099, and a commit may name zones that no clock has (`+5130`).
        """
        moment, sign, hours, minutes = re.split(r"([+-])(\d\d):(\d\d)$", self.date.replace("Z", "+00:00"))[:4]
        local = datetime.fromisoformat(f"{min(moment, _LATEST, key=len)}+00:00")
        offset = 60 * (60 * int(hours) + int(minutes))
        seconds = int(local.timestamp()) - (offset if sign == "+" else -offset)
        return f"{seconds} {sign}{hours}{minutes}"


class FolderWrite(NamedTuple):
    """What one folder of the new tree shall hold: `files` replaces everything that `before` lists.

    Without `metadata` the folder is given up: its mark goes too.
    """

    before: Folder
    files: tuple[RenderedFile, ...]
    metadata: bytes | None


def _differing(before: Folder, files: Iterable[RenderedFile]) -> Iterator[RenderedFile]:
    return (file for file in files if before.files.get(file.path) != file.blob)


def blobs(files: Iterable[RenderedFile]) -> Iterator[bytes]:
    """Write the bytes of files."""
    for file in files:
        data = file.read()
        yield b"blob\ndata %d\n" % len(data)
        yield data
        yield b"\n"


def splice(ref: str, tip: Tip, writes: Sequence[FolderWrite]) -> Iterator[bytes]:
    """Write a commit on `ref` whose tree is the tip's with some folders replaced; blobs are there already.

    git answers with `040000 tree <id>` and a tab.
    """
    yield b"commit %s\ncommitter none <none> 0 +0000\ndata 0\n" % ref.encode()
    if tip.tree:
        yield b'M 040000 %s ""\n' % tip.tree.encode()
    for write in writes:
        prefix = os.fsencode(write.before.path + "/") if write.before.path else b""
        rendered = {file.path for file in write.files}
        for path in write.before.files:
            if path not in rendered:
                yield b"D %s\n" % _path(prefix + os.fsencode(path))
        for file in _differing(write.before, write.files):
            yield b"M 100644 %s %s\n" % (file.blob.encode(), _path(prefix + os.fsencode(file.path)))
        mark = _path(prefix + METADATA_FILE.encode())
        if write.metadata is None:
            yield b"D %s\n" % mark
        else:
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (mark, len(write.metadata), write.metadata)
    yield b'ls ""\n'


def note(ref: str, tip: Tip, sha: Sha, text: bytes, identity: Identity) -> Iterator[bytes]:
    """Write a note on `sha` and drop the one on the tip that it replaces, as a commit on top of the tip's notes.

    git answers with the id of that commit.
    """
    yield b"commit %s\nmark :1\n" % ref.encode()
    yield b"committer %s %s\n" % (identity.author.encode(), identity.raw_date.encode())
    yield b"data 22\nRecord source revision\n"
    if tip.notes:
        yield b"from %s\n" % tip.notes.encode()
    if tip.notes and tip.sha and tip.sha != sha:
        yield b"N %s %s\n" % (b"0" * len(sha), tip.sha.encode())
    yield b"N inline %s\ndata %d\n%s\n" % (sha.encode(), len(text), text)
    yield b"get-mark :1\n"


def _path(path: bytes) -> bytes:
    escaped = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"%s"' % escaped
