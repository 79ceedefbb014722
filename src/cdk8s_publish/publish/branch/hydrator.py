"""What the target branch remembers of a publish: `hydrator.metadata` in each folder, and the git note.

Both are in the format of Argo CD's hydrator and GitOps Promoter; keys that only we know are ignored by them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import TYPE_CHECKING

from cdk8s_publish.json_object import json_object, string
from cdk8s_publish.model import METADATA_FILE, Folder, Sha

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cdk8s_publish.model import SourceRevision

_FILE_MODE = b"100644"
_OWN_KEYS = frozenset({"directory", "manifests", "files", "sourceRef"})
"""What no other hydrator writes; each record of ours has at least one of the first two."""


def metadata(
    source: SourceRevision, source_url: str, directory: str, manifests: int, files: Mapping[str, Sha]
) -> bytes:
    """Return `hydrator.metadata` for a folder, `_OWN_KEYS` among its keys."""
    values = {
        "repoURL": source_url,
        "drySha": source.sha,
        "author": source.author,
        "date": source.date,
        "subject": source.subject,
        "body": source.body.strip(),
        "directory": directory,
        "manifests": manifests,
        "files": files_digest(files),
        "sourceRef": source.ref,
    }
    return (json.dumps({key: value for key, value in values.items() if value != ""}, indent=2) + "\n").encode()


def files_digest(files: Mapping[str, Sha]) -> str:
    """Return a digest of the files of a folder, which says whether what was recorded of them still holds."""
    listing = "\n".join(f"{blob} {path}" for path, blob in sorted(files.items()))
    return hashlib.sha256(os.fsencode(listing)).hexdigest()


def note(source: SourceRevision, paths: Mapping[str, Sha], fingerprints: Mapping[str, str]) -> str:
    """Return the note for a published commit.

    `paths` maps each folder to the source commit seen there last, `fingerprints` those of hermetic apps to what their
    render is a function of.
    """
    values: dict[str, object] = {"drySha": source.sha, "paths": dict(sorted(paths.items()))}
    if fingerprints:
        values["fingerprints"] = dict(sorted(fingerprints.items()))
    return json.dumps(values) + "\n"


def below(listing: Iterable[bytes], path: str) -> dict[str, Sha]:
    """Map the paths below a folder to blob ids; an entry that is no plain file carries its mode before the id."""
    prefix = os.fsencode(path + "/") if path else b""
    files = {}
    for entry in listing:
        head, _, name = entry.partition(b"\t")
        if name.startswith(prefix):
            mode, _, sha = head.split(b" ")
            blob = sha if mode == _FILE_MODE else mode + b" " + sha
            files[os.fsdecode(name[len(prefix) :])] = Sha(blob.decode())
    return files


def recorded_paths(listing: Iterable[bytes]) -> Iterator[str]:
    """Yield the folders that have a record, ours or that of another hydrator."""
    for entry in listing:
        folder, _, name = os.fsdecode(entry.partition(b"\t")[2]).rpartition("/")
        if name == METADATA_FILE:
            yield folder


def noted(note: bytes) -> dict[str, Sha]:
    """Read the source revision of each folder from a note: `{"drySha": …, "paths": {<folder>: <sha>}}`."""
    return {path: Sha(sha) for path, sha in _texts(note, "paths").items()}


def fingerprints(note: bytes) -> dict[str, str]:
    """Read the fingerprints of hermetic apps from a note, by folder."""
    return _texts(note, "fingerprints")


def _texts(note: bytes, key: str) -> dict[str, str]:
    values = json_object(note).get(key)
    texts = {string(path): string(text) for path, text in values.items()} if isinstance(values, dict) else {}
    return {path: text for path, text in texts.items() if text}


def recorded(path: str, files: Mapping[str, Sha], metadata: bytes, noted: Sha | None) -> Folder:
    """Make a folder of what `hydrator.metadata` says of it; a note is newer than the file.

    A record without any key of ours is that of another hydrator, and so is the folder. One that can't be read is ours
    where the note knows the folder.
    """
    values = json_object(metadata)
    is_ours = not _OWN_KEYS.isdisjoint(values) if values else noted is not None
    if not is_ours:
        return Folder(path, files)
    record, manifests = noted or string(values.get("drySha")), values.get("manifests")
    return Folder(
        path,
        files,
        is_managed=True,
        record=Sha(record) if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", record) else None,
        # Somebody may have edited the files since: then nobody knows the number.
        manifests=manifests if isinstance(manifests, int) and values.get("files") == files_digest(files) else None,
        source_url=string(values.get("repoURL")),
        directory=string(values.get("directory")) or None,
        source_ref=string(values.get("sourceRef")),
    )
