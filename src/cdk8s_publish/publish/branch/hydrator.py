"""What the target branch remembers of a publish: `hydrator.metadata` in each folder, and the git note.

Both are in the format of Argo CD's hydrator and GitOps Promoter; keys that only we know are ignored by them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import TYPE_CHECKING

from cdk8s_publish.model import METADATA_FILE, Folder, Sha

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cdk8s_publish.model import SourceRevision

_FILE_MODE = b"100644"


def metadata(
    source: SourceRevision, source_url: str, directory: str, manifests: int, files: Mapping[str, Sha]
) -> bytes:
    """Return `hydrator.metadata` for a folder; the last four keys are our own."""
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
    return json.dumps(values, ensure_ascii=False) + "\n"


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


def managed_paths(listing: Iterable[bytes]) -> Iterator[str]:
    """Yield the folders that carry our mark."""
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
    values = _json_object(note).get(key)
    return {path: text for path, text in values.items() if isinstance(text, str)} if isinstance(values, dict) else {}


def managed(path: str, files: Mapping[str, Sha], metadata: bytes, noted: Sha | None) -> Folder:
    """Make a folder of what `hydrator.metadata` says of it; a note is newer than the file."""
    values = _json_object(metadata)
    record, manifests, directory = noted or values.get("drySha"), values.get("manifests"), values.get("directory")
    source_ref = values.get("sourceRef")
    return Folder(
        path,
        files,
        is_managed=True,
        record=Sha(record) if isinstance(record, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", record) else None,
        # Somebody may have edited the files since: then nobody knows the number.
        manifests=manifests if isinstance(manifests, int) and values.get("files") == files_digest(files) else None,
        source_url=str(values.get("repoURL", "")),
        directory=directory if isinstance(directory, str) else None,
        source_ref=source_ref if isinstance(source_ref, str) else "",
    )


def _json_object(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data or b"{}")
    except ValueError:  # somebody edited it by hand; our mark is the file's name, its content is information
        return {}
    return value if isinstance(value, dict) else {}
