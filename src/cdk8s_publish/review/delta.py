"""Which files differ between what was rendered and what the tip holds; only those have to be read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import Sha
from cdk8s_publish.review.manifests import role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cdk8s_publish.model import Folder, RenderedFile, RenderedManifests


class Delta(NamedTuple):
    """Which files differ between what was rendered and what the tip holds.

    A file counts as `kept` when the tip has the same bytes under any name of the same role in the same top-level
    folder, so renamed files are kept too. `changed` and `gone` are what is left on either side; `moved` is true when
    any file changed its name or bytes.
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
    spare = Counter(_content(path, blob) for path, blob in left)
    renamed = Counter[tuple[Sha, str, str]]()
    changed = []
    for file in moved:
        content = _content(file.path, file.blob)
        if renamed[content] < spare[content]:
            renamed[content] += 1
        else:
            changed.append(file)
    altered = {file.path for file in changed}
    kept = tuple(file for file in rendered.files if file.path not in altered)
    return Delta(rendered, folder, kept, tuple(changed), _gone(left, renamed), moved=bool(moved or left))


def top_folder(path: str) -> str:
    """Return the first folder of a path: what environments that are rendered side by side have for themselves."""
    return path.partition("/")[0] if "/" in path else ""


def leaves_folder(before: str, after: str) -> bool:
    """Whether a file that moves leaves a top-level folder, which a controller may apply by itself.

    One that lies in no folder is read by whoever reads all of them.
    """
    return top_folder(before) not in {"", top_folder(after)}


def _gone(left: Sequence[tuple[str, Sha]], renamed: Counter[tuple[Sha, str, str]]) -> dict[str, Sha]:
    """Return what is left of the tip once the files that were only renamed are taken away."""
    gone = {}
    for path, blob in left:
        content = _content(path, blob)
        if renamed[content]:
            renamed[content] -= 1
        else:
            gone[path] = blob
    return gone


def _content(path: str, blob: Sha) -> tuple[Sha, str, str]:
    """Return what must be the same for a file to be only renamed: bytes, what its name makes of them, who reads it."""
    return blob, role(path), top_folder(path)
