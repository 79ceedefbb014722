"""Which files differ between what was rendered and what the tip holds; only those have to be read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.review.manifests import role

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from cdk8s_publish.model import Folder, RenderedFile, RenderedManifests, Sha


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
    moved = {file.path: file.blob for file in rendered.files if folder.files.get(file.path) != file.blob}
    unmoved = {file.path for file in rendered.files} - moved.keys()
    left = {path: folder.files[path] for path in sorted(folder.files.keys() - unmoved)}
    changed, gone = unpaired(moved, left, _content), unpaired(left, moved, _content)
    kept = tuple(file for file in rendered.files if file.path not in changed)
    altered = tuple(file for file in rendered.files if file.path in changed)
    return Delta(rendered, folder, kept, altered, gone, moved=bool(moved or left))


def top_folder(path: str) -> str:
    """Return the first folder of a path: what environments that are rendered side by side have for themselves."""
    return path.partition("/")[0] if "/" in path else ""


def leaves_folder(before: str, after: str) -> bool:
    """Whether a file that moves leaves a top-level folder, which a controller may apply by itself.

    One that lies in no folder is read by whoever reads all of them.
    """
    return top_folder(before) not in {"", top_folder(after)}


def unpaired(
    files: Mapping[str, Sha], others: Mapping[str, Sha], content: Callable[[str, Sha], Hashable]
) -> dict[str, Sha]:
    """Return the files that are left when each of the others has taken one with the same content."""
    spare = Counter(content(path, blob) for path, blob in others.items())
    left = {}
    for path, blob in files.items():
        key = content(path, blob)
        if spare[key]:
            spare[key] -= 1
        else:
            left[path] = blob
    return left


def _content(path: str, blob: Sha) -> tuple[Sha, str, str]:
    """Return what must be the same for a file to be only renamed: bytes, what its name makes of them, who reads it."""
    return blob, role(path), top_folder(path)
