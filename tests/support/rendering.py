"""A rendered folder and the folder of a tip, made of file contents: what checks and diffs take."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdk8s_publish import redaction
from cdk8s_publish.model import Folder, Overwritten, RenderedFile, RenderedManifests, Sha
from cdk8s_publish.review.delta import Delta, delta

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdk8s_publish.model import Finding


def resource(
    name: str, *, kind: str = "ConfigMap", namespace: str = "", version: str = "v1", rest: str = "data: {a: b}\n"
) -> bytes:
    place = f"  namespace: {namespace}\n" if namespace else ""
    return f"apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n{place}{rest}".encode()


def blob(data: bytes) -> Sha:
    return Sha(hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest())


@dataclass(frozen=True)
class Rendering:
    """Writes files below a folder and remembers their bytes as blobs."""

    folder: Path
    blobs: dict[Sha, bytes] = field(default_factory=dict)

    def rendered(
        self,
        files: Mapping[str, bytes],
        *,
        path: str = "dist",
        overwritten: tuple[tuple[str, bytes], ...] = (),
        refused: tuple[Finding, ...] = (),
    ) -> RenderedManifests:
        listed = [
            RenderedFile(name, self._write(data), len(data), blob(data), redaction.may_hold_secret(data))
            for name, data in sorted(files.items())
        ]
        earlier = tuple(Overwritten(name, self.folder / blob(data)) for name, data in overwritten if self._write(data))
        return RenderedManifests("app", path, tuple(listed), earlier, refused)

    def tip(self, files: Mapping[str, bytes], manifests: int | None, *, is_managed: bool = True) -> Folder:
        self.blobs.update((blob(data), data) for data in files.values())
        return Folder("dist", {name: blob(data) for name, data in files.items()}, is_managed, manifests=manifests)

    def delta(self, new: Mapping[str, bytes], old: Mapping[str, bytes], manifests: int | None) -> Delta:
        return delta(self.rendered(new), self.tip(old, manifests))

    def _write(self, data: bytes) -> str:
        location = self.folder / blob(data)
        location.write_bytes(data)
        return str(location)
