"""Which files differ between what was rendered and what the tip holds; only those have to be read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import Sha
from cdk8s_publish.review.manifests import role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdk8s_publish.model import Folder, RenderedFile, RenderedManifests


class Delta(NamedTuple):
    """Which files differ between what was rendered and what the tip holds.

    A file counts as `kept` when the tip has the same bytes under any name of the same role, so renamed files are kept
    too. `changed` and `gone` are what is left on either side; `moved` is true when any file changed its name or bytes.
    """

    rendered: RenderedManifests
    folder: Folder
    kept: tuple[RenderedFile, ...]
    changed: tuple[RenderedFile, ...]
    gone: Mapping[str, Sha]
    moved: bool

    @property
    def wanted(self) -> tuple[Sha, ...]:
        """Blobs of the tip that checks and diffs have to read, sorted."""
        return tuple(sorted(set(self.gone.values())))


def delta(rendered: RenderedManifests, folder: Folder) -> Delta:
    """Pair the rendered files with those of the tip, by path first, then by bytes; a file of the tip is used once."""
    moved = [file for file in rendered.files if folder.files.get(file.path) != file.blob]
    same = {file.path for file in rendered.files}.difference(file.path for file in moved)
    left = sorted((path, blob) for path, blob in folder.files.items() if path not in same)
    spare = Counter((blob, role(path)) for path, blob in left)
    changed, used = [], Counter[tuple[Sha, str]]()
    for file in moved:
        key = (file.blob, role(file.path))
        if used[key] < spare[key]:
            used[key] += 1
        else:
            changed.append(file)
    gone = {}
    for path, blob in left:
        key = (blob, role(path))
        if used[key]:
            used[key] -= 1
        else:
            gone[path] = blob
    altered = {file.path for file in changed}
    kept = tuple(file for file in rendered.files if file.path not in altered)
    return Delta(rendered, folder, kept, tuple(changed), gone, moved=bool(moved or left))
