"""The forms in which a secret can appear in a text: one idea for everybody who hides secrets or looks for them."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote

from cdk8s_publish import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST = 4
"""Of a secret. A shorter one is contained in every other word, so nobody looks for it within a text."""
_SHORTEST_LINE = 16
"""Of a secret of several lines, such as a key. Shorter lines (`=AbCd`, `}`) stand in other texts, too."""
_JSON = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
"""The escapes of RFC 8259, section 7, without those that are never needed."""
_URL_SAFE = str.maketrans("+/", "-_")
"""From base64 to its alphabet for URLs and file names (RFC 4648, section 5)."""


def forms(text: str) -> set[str]:
    """Return how a text may be spelled within another one.

    As it is, percent-encoded, escaped for JSON or Markdown, and in base64: of the text alone and, whatever stands
    before and after it, of a longer text such as `user:secret`.
    """
    percent = quote(text, safe="", errors="surrogateescape")
    lower = re.sub("%..", lambda match: match[0].lower(), percent)
    return {text, percent, lower, text.translate(_JSON), printable.markdown(text), *_base64_forms(text)}


def needles(secret: str) -> set[str]:
    """Return every text to mask so that a secret can't be read: its forms, and the lines of a key."""
    if len(secret) < SHORTEST:
        return set()
    return {*forms(secret), *_lines(secret)}


def find(secret: str, text: str) -> bool:
    """Whether a text holds a secret in any form; one of several lines also with other line ends, or none."""
    if len(secret) < SHORTEST:
        return False
    return all(any(form in text for form in forms(line)) for line in _lines(secret) or [secret])


def _lines(secret: str) -> list[str]:
    """Return the lines of a secret that has several, but for those that mean nothing alone."""
    lines = secret.split("\n")
    return [line.strip() for line in lines if len(line.strip()) >= _SHORTEST_LINE] if len(lines) > 1 else []


def _base64_forms(text: str) -> Iterator[str]:
    """Yield the text in base64, and what is always there of it in the base64 of a longer text."""
    content = text.encode("utf-8", "surrogateescape")
    spelled = [b64encode(content).decode()]
    for shift in range(3):
        # Six bits a character: a neighbour's bits are mixed into the first and the last one, the rest is always there.
        encoded = b64encode(b"\0" * shift + content).decode()
        first, end = -(-8 * shift // 6), 8 * (shift + len(content)) // 6
        spelled.append(encoded[first:end])
    for form in spelled:
        yield form
        yield form.translate(_URL_SAFE)
