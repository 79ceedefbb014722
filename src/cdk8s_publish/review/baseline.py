"""What a publish takes away: what the branch applies today, compared with what it would apply afterwards.

Both are read as a controller reads them, so a resource that is still rendered and that a kustomization file, an ignore
file or an annotation hides counts as taken away. No number that somebody remembered is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.review.controller.applied import count_staying, removals
from cdk8s_publish.review.controller.reading import Branch, read_folder, with_folders
from cdk8s_publish.review.controller.source_ignore import IGNORE_FILE
from cdk8s_publish.review.manifests import KUSTOMIZATION_FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cdk8s_publish.model import Manifest, RenderedFile, Sha
    from cdk8s_publish.review.controller.applied import ParseFile, Removals
    from cdk8s_publish.review.controller.reading import Reading, Unknown
    from cdk8s_publish.review.delta import Delta
    from cdk8s_publish.review.documents import Documents
    from cdk8s_publish.review.manifests import Parsed

    Read = Callable[[Iterable[Sha]], Mapping[Sha, bytes]]


class Loss(NamedTuple):
    """What one folder would no longer apply: `gone`, of the `before` resources that it applies today.

    `before` is counted no further than it takes to judge. `unknown` are places that go, and of which nobody can say
    what they applied. `after` says how a controller would read the folder; None where nothing changes.
    """

    folder: str
    gone: tuple[Manifest, ...]
    before: int
    unknown: tuple[Unknown, ...] = ()
    after: Reading | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all would be applied any more."""
        return self.after is not None and not self.after.files and not self.after.argo_only


def losses(
    deltas: Sequence[Delta], branch: Mapping[str, Sha], read: Read, old: Mapping[Sha, bytes], documents: Documents
) -> tuple[Loss, ...]:
    """Compare each folder of the branch with what replaces it; in the order of `deltas`.

    `branch` are all plain files of the tip and the ids of their contents, which `read` returns; `old` holds those that
    have been read already.
    """
    if not any(delta.moved for delta in deltas):
        return tuple(Loss(delta.folder.path, (), 0) for delta in deltas)
    files = _Files(deltas, branch, read, old, documents)
    found = [files.removed(one) for one in deltas]
    # So many resources that stay are enough for every share that is asked for, of one folder or of all.
    enough = 1 + sum(len(one.resources) + len(one.argo_only) for one in found)
    return tuple(files.loss(one, removed, enough) for one, removed in zip(deltas, found, strict=True))


class _Files:
    """The branch as it is and as it would be, of which each file is read and parsed once."""

    def __init__(
        self,
        deltas: Sequence[Delta],
        branch: Mapping[str, Sha],
        read: Read,
        old: Mapping[Sha, bytes],
        documents: Documents,
    ) -> None:
        self._read_blobs, self._documents = read, documents
        self._rendered: dict[Sha, RenderedFile] = {}
        self._readings: dict[str, Reading] = {}
        replaced = {}
        for delta in deltas:
            # What stands for a render that was left out has no bytes of its own; the branch has them.
            self._rendered |= {file.blob: file for file in delta.rendered.files if file.location}
            replaced[delta.folder.path] = {file.path: file.blob for file in delta.rendered.files}
        settings = (*KUSTOMIZATION_FILES, IGNORE_FILE)
        wanted = {blob for path, blob in branch.items() if path.endswith(settings)} - self._rendered.keys() - old.keys()
        self._contents = {**old, **read(sorted(wanted))}
        after = with_folders(branch, replaced)
        self._before = Branch(branch, lambda path: self._content(branch[path]))
        self._after = Branch(after, lambda path: self._content(after[path]))

    def removed(self, delta: Delta) -> Removals:
        """Return what one folder would no longer apply."""
        before = read_folder(self._before, delta.folder.path)
        return removals(before, self._reading_after(delta), self._parser(delta))

    def loss(self, delta: Delta, found: Removals, enough: int) -> Loss:
        """Count, as far as it takes, what stays beside it."""
        gone = (*found.resources, *found.argo_only)
        after = self._reading_after(delta) if delta.moved else None
        staying = count_staying(found, self._parser(delta), enough) if enough > 1 else 0
        return Loss(delta.folder.path, gone, len(gone) + staying, found.unknown, after)

    def _reading_after(self, delta: Delta) -> Reading:
        folder = delta.folder.path
        if folder not in self._readings:
            self._readings[folder] = read_folder(self._after, folder)
        return self._readings[folder]

    def _parser(self, delta: Delta) -> ParseFile:
        folder = delta.folder.path

        def parse(path: str, blob: Sha) -> Parsed:
            relative = path.removeprefix(f"{folder}/") if folder else path
            return self._documents.parse(relative, blob, lambda: self._content(blob))

        return parse

    def _content(self, blob: Sha) -> bytes:
        if blob not in self._contents:
            rendered = self._rendered.get(blob)
            self._contents |= {blob: rendered.read()} if rendered else self._read_blobs([blob])
        return self._contents[blob]
