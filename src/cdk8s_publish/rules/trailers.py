"""Which lines of a commit message are trailers (`Key: value` at its end).

The rule is git's own (git-interpret-trailers(1), trailer.c), so that a sentence that only quotes a trailer is none.
Two things are added for squash merges, whose message is made of several: a block of attributions behind the trailers is
looked past, and so is a line of dashes before it; and each of the squashed messages, which start with `* ` on GitHub
and GitLab, has trailers of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TRAILER = re.compile(r"([A-Za-z0-9-]+)[ \t]*:(.*)")
_GIT_GENERATED = ("Signed-off-by: ", "(cherry picked from commit ")
_ATTRIBUTIONS = frozenset({"co-authored-by", "signed-off-by"})
_DASHES = re.compile(r"-{3,}\s*")
_SPACES = " \t\r"
"""What git calls a space; Python's own idea holds more."""


def trailers(message: str) -> tuple[tuple[str, str], ...]:
    """Return key and value of each trailer in its order; a value that was folded is one line again."""
    found: list[tuple[str, str]] = []
    for section in _sections(message.split("\n")):
        found += _trailers(section)
    return tuple(found)


def _sections(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut the message of a squash merge into those that it was made of; any other message is one section."""
    start = 0
    for number, line in enumerate(lines):
        if line.startswith("* ") and number and _is_blank(lines[number - 1]):
            yield lines[start:number]
            start = number
    yield lines[start:]


def _trailers(lines: Sequence[str]) -> list[tuple[str, str]]:
    end = _content_end(lines, len(lines))
    start = _block_start(lines[:end])
    found = _parsed(lines[start:end])
    is_attribution = bool(found) and all(key.lower() in _ATTRIBUTIONS for key, _ in found)
    if not is_attribution:
        return found
    before = _content_end(lines, start)
    if before and _DASHES.fullmatch(lines[before - 1]):
        before -= 1
    return _trailers(lines[:before]) + found


def _content_end(lines: Sequence[str], end: int) -> int:
    """Return where blank lines and comments at the end begin."""
    while end and (_is_blank(lines[end - 1]) or lines[end - 1].startswith("#")):
        end -= 1
    return end


def _block_start(lines: Sequence[str]) -> int:
    """Return where the last paragraph begins if it is a block of trailers, else the end.

    It is one when it has nothing else, or when git wrote a line of it and at least a quarter are trailers. A line that
    continues another is of that one's kind. The first paragraph, the title, never is.
    """
    blank = [number for number, line in enumerate(lines) if _is_blank(line)]
    if not blank:
        return len(lines)
    start = blank[-1] + 1
    trailer_lines, other_lines = _count_lines(lines[start:])
    is_by_git = any(line.startswith(_GIT_GENERATED) for line in lines[start:])
    is_block = trailer_lines and (not other_lines or (is_by_git and trailer_lines * 3 >= other_lines))
    return start if is_block else len(lines)


def _count_lines(paragraph: Sequence[str]) -> tuple[int, int]:
    """Return how many lines are trailers, and how many others; comments and what continues a trailer are neither."""
    trailer_lines = other_lines = 0
    is_open = False
    for line in paragraph:
        is_trailer = line.startswith(_GIT_GENERATED) or _TRAILER.match(line) is not None
        is_continued = is_open and line[0] in _SPACES
        if is_trailer:
            trailer_lines += 1
        elif not is_continued and not line.startswith("#"):
            other_lines += 1
        is_open = is_trailer or is_continued
    return trailer_lines, other_lines


def _parsed(block: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    is_open = False
    for line in block:
        match = _TRAILER.match(line)
        if match:
            found.append((match[1], match[2].strip()))
        elif is_open and line[0] in _SPACES:
            key, value = found.pop()
            found.append((key, f"{value} {line.strip()}".strip()))
            continue
        is_open = bool(match)
    return found


def _is_blank(line: str) -> bool:
    return not line.strip(_SPACES)
