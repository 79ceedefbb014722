"""Resource-level changes: what a publication would do to each Kubernetes object, whatever file it is in."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections import defaultdict
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, cast

import yaml

from cdk8s_publish.model import Change, ChangeKind, Changes, ResourceId
from cdk8s_publish.review.manifests import fields, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from yaml.nodes import Node, ScalarNode

    from cdk8s_publish.model import Manifest, Sha
    from cdk8s_publish.review.checks import Checked
    from cdk8s_publish.review.manifests import Delta

CONTEXT = 3
"""Unchanged lines around a change."""

MAX_LINES = 50_000
"""Longer texts are shown as replaced whole; comparing takes up to `MAX_EDITS` steps per line."""

MAX_EDITS = 64
"""How many edits are searched for the shortest path at a time. The rest follows from where that led."""

_NOTHING = ResourceId("", "", "", "")
_MASK = "***"
_NEEDLE_MINIMUM = 6
_NO_NEWLINE = "\\ No newline at end of file"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SECRET_KIND = re.compile(rb"""kind["']?\s*:\s*["']?Secret\b""")
_INVISIBLE = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]")


def compare(delta: Delta, checked: Checked, old: Mapping[Sha, bytes]) -> Changes:
    """Compare by identity: a document that only moved to another file is no change.

    A file that holds no resources, or that can't be read on the tip, is compared as a file. Values of plain secrets
    appear on neither side, wherever they are repeated.
    """
    altered = {file.path for file in delta.changed}
    after = _by_resource(many for path, many in checked.parsed.items() if path in altered)
    kept = _by_resource(many for path, many in checked.parsed.items() if path not in altered)
    before = _by_resource(checked.before.values())
    mask = _Mask(chain.from_iterable((*before.values(), *after.values())))
    items = [
        _resource_change(before.get(resource, ()), after.get(resource, ()), mask)
        for resource in (before.keys() - kept.keys()) | after.keys()
        if _bytes(before.get(resource, ())) != _bytes(after.get(resource, ()))
    ]
    items += _file_changes(delta, checked, old, mask)
    items.sort(key=lambda item: (item.resource is None, item.resource or _NOTHING, item.file))
    return Changes(delta.rendered.path, tuple(items), checked.manifests, delta.moved)


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
            yield f"{separator}{_visible(head)}\n{item.diff}"
            separator = "\n"


def _by_resource(files: Iterable[tuple[Manifest, ...]]) -> dict[ResourceId, tuple[Manifest, ...]]:
    found: dict[ResourceId, tuple[Manifest, ...]] = {}
    for manifest in chain.from_iterable(files):
        found[manifest.resource] = (*found.get(manifest.resource, ()), manifest)
    return found


def _bytes(manifests: Sequence[Manifest]) -> list[bytes]:
    """Return the documents of one resource: one, except on a branch that nobody checked."""
    return sorted([manifest.text for manifest in manifests])


def _kind(before: object, after: object) -> ChangeKind:
    if not before:
        return ChangeKind.ADDED
    return ChangeKind.MODIFIED if after else ChangeKind.REMOVED


def _resource_change(before: Sequence[Manifest], after: Sequence[Manifest], mask: _Mask) -> Change:
    manifest = (*after, *before)[0]
    if any(one.is_plain_secret for one in (*before, *after)):
        old, new = mask.secrets(before, after)
    else:
        old, new = (mask.text(b"---\n".join(_bytes(side)).decode()) for side in (before, after))
    return Change(_kind(before, after), manifest.file, manifest.resource, unified(old, new))


def _file_changes(delta: Delta, checked: Checked, old: Mapping[Sha, bytes], mask: _Mask) -> Iterator[Change]:
    """Yield the changes of files that hold no resources, and of those whose old bytes can't be read."""
    rendered = {file.path for file in delta.rendered.files}
    changed = {file.path: file for file in delta.changed if file.path not in checked.parsed}
    gone = {path: old.get(blob) for path, blob in delta.gone.items() if path not in checked.before}
    for path in changed.keys() | gone.keys():
        before = gone.get(path) if path in delta.folder.files else b""
        after = b"" if path not in rendered else changed[path].read() if path in changed else None
        kind = _kind(path in delta.folder.files, path in rendered)
        yield Change(kind, path, None, _file_diff(before, after, mask))


def _file_diff(before: bytes | None, after: bytes | None, mask: _Mask) -> str:
    """Return the diff of two texts; empty where a side is unknown, is no text, or holds a Secret that nobody parsed."""
    if before is None or after is None or any(_SECRET_KIND.search(side) for side in (before, after)):
        return ""
    try:
        return unified(mask.text(before.decode()), mask.text(after.decode()))
    except UnicodeDecodeError:
        return ""


class _Mask:
    """Hides the values of plain secrets, in the secrets themselves and wherever else they are repeated."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        secrets = (manifest for manifest in manifests if manifest.is_plain_secret)
        values = {leaf.value for secret in secrets for _, leaf in _sensitive(_compose(secret))}
        self._words: dict[str, set[str]] = defaultdict(set)
        for word in {word for value in values for word in _spellings(value)}:
            self._words[word[:_NEEDLE_MINIMUM]].add(word)

    def text(self, text: str) -> str:
        """Hide secret values of at least six characters; shorter ones would garble every other word."""
        if not self._words:
            return text
        # One pattern of all words would be tried word by word at every character: minutes with a thousand secrets.
        grams = (text[start : start + _NEEDLE_MINIMUM] for start in range(len(text) - _NEEDLE_MINIMUM + 1))
        words = {word for gram in grams if gram in self._words for word in self._words[gram]}
        longest_first = sorted(words, key=lambda word: (-len(word), word))
        return re.sub("|".join(map(re.escape, longest_first)), _MASK, text) if words else text

    def secrets(self, before: Sequence[Manifest], after: Sequence[Manifest]) -> tuple[str, str]:
        """Write both sides of a Secret anew, without comments and values; a changed value is marked as changed."""
        old, new = ([_compose(manifest) for manifest in side] for side in (before, after))
        old_values, new_values = (
            {path: leaf.value for root in side for path, leaf in _sensitive(root)} for side in (old, new)
        )
        return self._hidden(old, new_values, "before"), self._hidden(new, old_values, "after")

    def _hidden(self, roots: Sequence[Node], others: Mapping[tuple[str, ...], str], label: str) -> str:
        for path, leaf in [found for root in roots for found in _sensitive(root)]:
            is_changed = path in others and others[path] != leaf.value
            leaf.value = f"{_MASK} ({label})" if is_changed else _MASK
            leaf.tag, leaf.style = "tag:yaml.org,2002:str", None
        texts = (yaml.serialize(root, Dumper=yaml.CSafeDumper, allow_unicode=True) for root in roots)
        return self.text("---\n".join(texts))


def _compose(manifest: Manifest) -> Node:
    return cast("Node", yaml.compose(manifest.text, Loader=yaml.CSafeLoader))


def _sensitive(root: Node) -> list[tuple[tuple[str, ...], ScalarNode]]:
    """Return the values that nobody may see, by where they are."""
    top = fields(root)
    annotations = fields(fields(top.get("metadata")).get("annotations"))
    parts = {
        "data": top.get("data"),
        "stringData": top.get("stringData"),
        _LAST_APPLIED: annotations.get(_LAST_APPLIED),
    }
    return [((name, *path), leaf) for name, part in parts.items() for path, leaf in leaves(part)]


def _spellings(value: str) -> Iterator[str]:
    """Yield how a value of a Secret may be written elsewhere: as it is, decoded, encoded; line by line."""
    forms = [value, b64encode(value.encode()).decode()]
    with suppress(ValueError):
        forms.append(b64decode(value, validate=True).decode())
    for form in forms:
        yield from (line.strip() for line in form.splitlines() if len(line.strip()) >= _NEEDLE_MINIMUM)


def unified(before: str, after: str) -> str:
    """Return the hunks of a unified diff, without the two lines that name files.

    Carriage returns, other invisible characters and a missing newline at the end are made visible.
    """
    if not before or not after:
        return _one_sided("+" if after else "-", _visible(after or before))
    return "".join(_hunks(list(_edits(_lines(before), _lines(after)))))


def _one_sided(tag: str, text: str) -> str:
    """Return the diff of what came or went as a whole; a first publish is made of nothing else."""
    if not text:
        return ""
    text, end = (text[:-1], "") if text.endswith("\n") else (text, f"\n{_NO_NEWLINE}")
    count = text.count("\n") + 1
    ranges = f"-0,0 +1,{count}" if tag == "+" else f"-1,{count} +0,0"
    return f"@@ {ranges} @@\n{tag}" + text.replace("\n", f"\n{tag}") + f"{end}\n"


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += f"\n{_NO_NEWLINE}"
    else:
        del lines[-1]
    return lines


def _visible(line: str) -> str:
    return _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape").decode(), line)


def _edits(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield every line of both sides with ` `, `-` or `+`; removals stand before additions."""
    x = y = 0
    for i, j in (*_matches(old, new), (len(old), len(new))):
        yield from (("-", line) for line in old[x:i])
        yield from (("+", line) for line in new[y:j])
        yield from ((" ", line) for line in old[i : i + 1])
        x, y = i + 1, j + 1


def _hunks(edits: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield the changed lines with `CONTEXT` lines around them, together where those touch."""
    ranges: list[tuple[int, int]] = []
    for index, (tag, _) in enumerate(edits):
        if tag != " ":
            touches = ranges and index - CONTEXT <= ranges[-1][1]
            start = ranges.pop()[0] if touches else max(index - CONTEXT, 0)
            ranges.append((start, index + CONTEXT + 1))
    old = new = done = 0
    for start, end in ranges:
        old, new = old + _count(edits[done:start], "+"), new + _count(edits[done:start], "-")
        removed, added = _count(edits[start:end], "+"), _count(edits[start:end], "-")
        yield f"@@ -{old + 1},{removed} +{new + 1},{added} @@\n"
        yield from (f"{tag}{_visible(line)}\n" for tag, line in edits[start:end])
        old, new, done = old + removed, new + added, end


def _count(edits: Sequence[tuple[str, str]], other: str) -> int:
    """Return how many lines one side has."""
    return sum(tag != other for tag, _ in edits)


def _matches(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of equal lines that a diff leaves in place, in order.

    Myers' algorithm ("An O(ND) Difference Algorithm", 1986), bounded: after `MAX_EDITS` edits the path that came
    furthest is kept and the search goes on from its end.
    """
    shortest = min(len(old), len(new))
    start = next((k for k in range(shortest) if old[k] != new[k]), shortest)
    tail = next((k for k in range(shortest - start) if old[-1 - k] != new[-1 - k]), shortest - start)
    yield from ((k, k) for k in range(start))
    common = set(old[start : len(old) - tail]) & set(new[start : len(new) - tail])
    left, right = ([k for k in range(start, len(side) - tail) if side[k] in common] for side in (old, new))
    if len(left) + len(right) <= MAX_LINES:
        a, b = [old[k] for k in left], [new[k] for k in right]
        yield from ((left[i], right[j]) for i, j in _myers(a, b))
    yield from ((len(old) - k, len(new) - k) for k in range(tail, 0, -1))


def _myers(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int]]:
    x = y = 0
    while x < len(old) and y < len(new):
        x, y, path = _advance(old, new, x, y)
        snakes = []
        while path:
            path, *snake = path
            snakes.append(snake)
        for i, j, length in reversed(snakes):
            yield from ((i + k, j + k) for k in range(length))


_Path = tuple["_Path | None", int, int, int]
"""The snakes (runs of equal lines) of one way through both texts, last one first: rest, old line, new line, length."""


def _advance(old: Sequence[str], new: Sequence[str], x0: int, y0: int) -> tuple[int, int, _Path | None]:
    """Return where up to `MAX_EDITS` edits lead furthest, and the snakes on the way."""
    # By diagonal (lines removed less lines added): how far the best way got in the old text.
    best: dict[int, tuple[int, _Path | None]] = {1: (x0, None)}
    for edits in range(MAX_EDITS + 1):
        for k in range(-edits, edits + 1, 2):
            ways = [best[k + 1]] if k + 1 in best else []
            if k - 1 in best:
                ways.append((best[k - 1][0] + 1, best[k - 1][1]))
            offset = y0 - x0 - k
            ways = [(x, path) for x, path in ways if x <= len(old) and x + offset <= len(new)]
            if not ways:
                continue
            start, path = max(ways, key=lambda way: way[0])
            x = start
            while x < len(old) and x + offset < len(new) and old[x] == new[x + offset]:
                x += 1
            best[k] = (x, (path, start, start + offset, x - start) if x > start else path)
            if x == len(old) and x + offset == len(new):
                return x, x + offset, best[k][1]
    k = max(best, key=lambda k: 2 * best[k][0] - k)
    return best[k][0], best[k][0] + y0 - x0 - k, best[k][1]
