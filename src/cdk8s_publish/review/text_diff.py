"""Unified diffs of two texts.

The standard library's difflib needs sixteen times as long for texts like manifests, whose lines repeat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.printable import spelled_out_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONTEXT = 3
"""Unchanged lines around a change."""

MAX_LINES = 50_000
"""Longer texts are shown as replaced whole; comparing takes up to `MAX_EDITS` steps per line."""

MAX_EDITS = 64
"""How many edits are searched for the shortest path at a time. The rest follows from where that led."""

_NO_NEWLINE = "\\ No newline at end of file"


def unified(before: str, after: str) -> str:
    """Return the hunks of a unified diff, without the two lines that name files.

    Carriage returns, other invisible characters and a missing newline at the end are made visible.
    """
    if not before or not after:
        return _one_sided("+" if after else "-", spelled_out_text(after or before))
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
    old = new = done = 0
    for start, end in _ranges(edits):
        old, new = old + _count(edits[done:start], "+"), new + _count(edits[done:start], "-")
        removed, added = _count(edits[start:end], "+"), _count(edits[start:end], "-")
        yield f"@@ -{old + 1},{removed} +{new + 1},{added} @@\n"
        for tag, line in edits[start:end]:
            yield f"{tag}{spelled_out_text(line)}\n"
        old, new, done = old + removed, new + added, end


def _ranges(edits: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
    """Return start and end of each hunk."""
    ranges: list[tuple[int, int]] = []
    for index, (tag, _) in enumerate(edits):
        if tag == " ":
            continue
        start = max(index - CONTEXT, 0)
        if ranges and index - CONTEXT <= ranges[-1][1]:
            start, _ = ranges.pop()
        ranges.append((start, index + CONTEXT + 1))
    return ranges


def _count(edits: Sequence[tuple[str, str]], other: str) -> int:
    """Return how many lines one side has."""
    return sum(tag != other for tag, _ in edits)


def _matches(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of equal lines that a diff leaves in place, in order."""
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    for k in range(head):
        yield k, k
    # Lines that only one side has match nothing; the search does without them.
    shared = set(old[head : len(old) - tail]) & set(new[head : len(new) - tail])
    left, right = ([k for k in range(head, len(side) - tail) if side[k] in shared] for side in (old, new))
    if len(left) + len(right) <= MAX_LINES:
        for i, j in _myers([old[k] for k in left], [new[k] for k in right]):
            yield left[i], right[j]
    for k in range(tail, 0, -1):
        yield len(old) - k, len(new) - k


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """Return with how many equal lines both sides start."""
    shortest = min(len(old), len(new))
    return next((k for k in range(shortest) if old[k] != new[k]), shortest)


_Path = tuple["_Path | None", int, int, int]
"""The snakes (runs of equal lines) of one way through both texts, last one first: rest, old line, new line, length."""


def _myers(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of equal lines of a short way from one text to the other.

    Myers' algorithm ("An O(ND) Difference Algorithm and Its Variations", 1986), bounded: after `MAX_EDITS` edits the
    path that came furthest is kept and the search goes on from its end.
    """
    x = y = 0
    while x < len(old) and y < len(new):
        x, y, path = _advance(old, new, x, y)
        snakes = []
        while path:
            path, *snake = path
            snakes.append(snake)
        for i, j, length in reversed(snakes):
            for k in range(length):
                yield i + k, j + k


def _advance(old: Sequence[str], new: Sequence[str], x0: int, y0: int) -> tuple[int, int, _Path | None]:
    """Return where up to `MAX_EDITS` edits lead furthest, and the snakes on the way."""
    # By diagonal (lines removed less lines added): how far the best way got in the old text.
    best: dict[int, tuple[int, _Path | None]] = {1: (x0, None)}
    for edits in range(MAX_EDITS + 1):
        for k in range(-edits, edits + 1, 2):
            offset = y0 - x0 - k
            start, path = _furthest(best, k, len(old), len(new) - offset)
            if start < 0:
                continue
            x = start
            while x < len(old) and x + offset < len(new) and old[x] == new[x + offset]:
                x += 1
            best[k] = (x, (path, start, start + offset, x - start) if x > start else path)
            if x == len(old) and x + offset == len(new):
                return x, x + offset, best[k][1]
    k = max(best, key=lambda k: 2 * best[k][0] - k)
    return best[k][0], best[k][0] + y0 - x0 - k, best[k][1]


def _furthest(
    best: dict[int, tuple[int, _Path | None]], k: int, old_end: int, new_end: int
) -> tuple[int, _Path | None]:
    """Return where one more edit leads on diagonal `k`: down from the one above, or right from the one below.

    -1 where neither stays within the texts.
    """
    found: tuple[int, _Path | None] = (-1, None)
    if k + 1 in best:
        x, path = best[k + 1]
        if x <= old_end and x <= new_end:
            found = (x, path)
    if k - 1 in best:
        x, path = best[k - 1]
        if found[0] < x + 1 <= old_end and x + 1 <= new_end:
            found = (x + 1, path)
    return found
