"""Resource-level changes: what a publication would do to each Kubernetes object, whatever file it is in."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from cdk8s_publish.model import Change, ChangeKind, Changes, ResourceId
from cdk8s_publish.printable import spelled_out_text
from cdk8s_publish.review.delta import leaves_folder, top_folder
from cdk8s_publish.review.identity import by_identity
from cdk8s_publish.review.masking import Mask
from cdk8s_publish.review.text_diff import unified

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cdk8s_publish.model import Manifest, Sha
    from cdk8s_publish.review.checks import Checked
    from cdk8s_publish.review.delta import Delta

MAX_TEXT_BYTES = 2 << 20
"""Nobody reads a longer text in a diff; both sides of it, and the lines of both, would be in memory."""

MAX_DIFFS_BYTES = 32 << 20
"""Of all diffs of a folder; what changes beside them is listed."""

_NOTHING = ResourceId("", "", "", "")
_SECRET_KIND = re.compile(rb"""kind["']?\s*:\s*["']?Secret\b""")


def compare(delta: Delta, checked: Checked, old: Mapping[Sha, bytes], mask: Mask | None = None) -> Changes:
    """Compare by identity: a document that only moved to another file of its top-level folder is no change.

    A file that holds no resources, or that can't be read on the tip, is compared as a file. Values of plain secrets
    appear on neither side, wherever they are repeated.
    """
    before = by_identity(chain.from_iterable(checked.before.values()), checked.custom)
    after, kept = _rendered(delta, checked)
    mask = mask or Mask(checked.exposed.values)
    items: list[Change] = []
    room = MAX_DIFFS_BYTES
    for resource in before.keys() | after.keys():
        for old_side, new_side in _pairs(before[resource], after[resource], kept[resource]):
            for change in _resource_changes(old_side, new_side, mask, room):
                items.append(change)
                room -= len(change.diff)
    items += _file_changes(delta, checked, old, mask)
    items.sort(key=_position)
    return Changes(delta.rendered.path, tuple(items), checked.manifests, delta.moved)


def _position(item: Change) -> tuple[bool, ResourceId, str]:
    """Sort resources first, then by file."""
    return item.resource is None, item.resource or _NOTHING, item.file


def patch(changes: Iterable[Changes]) -> Iterator[str]:
    """Yield the parts of one file with all diffs, paths relative to the root of the target branch."""
    separator = ""
    for one in changes:
        prefix = f"{one.path}/" if one.path else ""
        for item in one.items:
            before, after = (f"{side}/{prefix}{item.file}" for side in "ab")
            old = "/dev/null" if item.kind is ChangeKind.ADDED else before
            new = "/dev/null" if item.kind is ChangeKind.REMOVED else after
            names = (f"# {item.kind}: {item.title}", f"--- {old}", f"+++ {new}")
            head = "\n".join([name.replace("\n", "\\n") for name in names])
            yield f"{separator}{spelled_out_text(head)}\n{item.diff}"
            separator = "\n"


def _rendered(
    delta: Delta, checked: Checked
) -> tuple[dict[ResourceId, list[Manifest]], dict[ResourceId, list[Manifest]]]:
    """Return the resources of changed files, and those of unchanged ones as far as they were read."""
    changed = {file.path for file in delta.changed}
    after: list[Manifest] = []
    kept: list[Manifest] = []
    for path, manifests in checked.parsed.items():
        (after if path in changed else kept).extend(manifests)
    return by_identity(after, checked.custom), by_identity(kept, checked.custom)


def _pairs(
    before: Sequence[Manifest], after: Sequence[Manifest], kept: Sequence[Manifest]
) -> Iterator[tuple[Sequence[Manifest], Sequence[Manifest]]]:
    """Yield the documents of one resource that are compared: all of them, or those of each top-level folder.

    One that is there several times may be gone from one folder and stay in the others. `kept` are those in unchanged
    files.
    """
    if not kept and max(len(before), len(after)) < 2:  # noqa: PLR2004  # it is there once, wherever that is
        yield before, after
        return
    for folder in sorted({top_folder(manifest.file) for manifest in (*before, *after)}):
        old, new, others = (_within(folder, side) for side in (before, after, kept))
        if new or not others:
            yield old, new


def _within(folder: str, manifests: Sequence[Manifest]) -> list[Manifest]:
    return [manifest for manifest in manifests if top_folder(manifest.file) == folder]


def _bytes(manifests: Sequence[Manifest]) -> list[bytes]:
    """Return the documents of one resource: one, except where it was allowed to be there twice, or nobody checked."""
    return sorted([manifest.text for manifest in manifests])


def _kind(before: object, after: object) -> ChangeKind:
    if not before:
        return ChangeKind.ADDED
    return ChangeKind.MODIFIED if after else ChangeKind.REMOVED


def _resource_changes(before: Sequence[Manifest], after: Sequence[Manifest], mask: Mask, room: int) -> Iterator[Change]:
    if before and after and leaves_folder(before[0].file, after[0].file):
        yield _resource_change(before, (), mask, room)._replace(other_file=after[0].file)
        yield _resource_change((), after, mask, room)._replace(other_file=before[0].file)
    elif _bytes(before) != _bytes(after):
        yield _resource_change(before, after, mask, room)


def _resource_change(before: Sequence[Manifest], after: Sequence[Manifest], mask: Mask, room: int) -> Change:
    manifest = (*after, *before)[0]
    old_size, new_size = (sum(len(one.text) for one in side) for side in (before, after))
    if max(old_size, new_size) > min(MAX_TEXT_BYTES, room):
        note = _no_diff(old_size, new_size, "too long")
        return Change(_kind(before, after), manifest.file, manifest.resource, note)
    if any(map(mask.is_about, (*before, *after))):
        old, new = mask.secrets(before, after)
    else:
        old, new = ("---\n".join([mask.document(text.decode()) for text in _bytes(side)]) for side in (before, after))
    return Change(_kind(before, after), manifest.file, manifest.resource, unified(old, new))


def _file_changes(delta: Delta, checked: Checked, old: Mapping[Sha, bytes], mask: Mask) -> Iterator[Change]:
    """Yield the changes of files that hold no resources, and of those whose old bytes can't be read."""
    rendered = {file.path for file in delta.rendered.files}
    changed = {file.path: file for file in delta.changed if file.path not in checked.parsed}
    gone = {path: old.get(blob) for path, blob in delta.gone.items() if path not in checked.before}
    for path in changed.keys() | gone.keys():
        before: bytes | None = b""
        after: bytes | None = b""
        if path in delta.folder.files:
            before = gone.get(path)
        if path in rendered:
            after = changed[path].read() if path in changed else None
        kind = _kind(path in delta.folder.files, path in rendered)
        is_hidden = path in checked.exposed.files
        yield Change(kind, path, None, "" if is_hidden else _file_diff(before, after, mask))


def _file_diff(before: bytes | None, after: bytes | None, mask: Mask) -> str:
    """Return the diff of two texts; empty where a side is unknown, or holds a Secret that nobody parsed."""
    if before is None or after is None:
        return ""
    if b"\0" in before or b"\0" in after:
        return _no_diff(len(before), len(after), "not text")
    if max(len(before), len(after)) > MAX_TEXT_BYTES:
        return _no_diff(len(before), len(after), "too long")
    if any(_SECRET_KIND.search(side) for side in (before, after)):
        return ""
    try:
        return unified(mask.text(before.decode()), mask.text(after.decode()))
    except UnicodeDecodeError:
        return _no_diff(len(before), len(after), "not text")


def _no_diff(before: int, after: int, reason: str) -> str:
    return f"# No diff: {before:,} bytes before, {after:,} bytes after, {reason}\n"
