"""The forms in which a secret can appear in a text: one idea for everybody who hides secrets or looks for them."""

from __future__ import annotations

import codecs
import html
import json
import re
from base64 import b64encode
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from cdk8s_publish import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK = "***"
SHORTEST = 4
"""Of a secret, or of one of its lines. A shorter one is contained in every other word, so nobody looks for it."""
_NEVER_SECRET = frozenset({"true", "false", "null", "none"})
"""Values that say nothing, and stand everywhere."""
_UNESCAPED = ("", "/", "!*'()", "$&+,;=", ";,/?:@&=+$!*'()#")
"""What programs leave alone besides letters and digits when they encode for a URL: Python, Go and ECMAScript."""
_JSON = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
"""The escapes of RFC 8259, section 7, without those that are never needed."""
_JSON_FOR_HTML = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
"""What Go's encoder escapes as well."""
_HEXADECIMAL = r"(\\[xuU])((?<=x)[0-9a-f]{2}|(?<=u)[0-9a-f]{4}|(?<=U)[0-9a-f]{8})"
_URL_SAFE = str.maketrans("+/", "-_")
"""From base64 to its alphabet for URLs and file names (RFC 4648, section 5)."""
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""What a text begins with whose letters are two bytes each."""
_SECRET = re.compile(rb"Secret(?<![A-Za-z0-9_]Secret)(?:Generator|List)?(?![A-Za-z0-9_])")
_ESCAPE = re.compile(rb"\\[xuU\r\n]")
_REMEMBERED_LINES = 1 << 15
"""Manifests repeat their lines, so that many are looked through once."""
_REMEMBERED_CHARACTERS = 500
"""Longer lines are not remembered: they hardly come again, and may be megabytes."""


def forms(text: str) -> set[str]:
    """Return how a text may be spelled within another one.

    As it is, percent-encoded, escaped for JSON (twice for JSON in JSON), YAML, Markdown or HTML, and in base64: of the
    text alone and, whatever stands before and after it, of a longer text such as `user:secret`.
    """
    escaped = set(_escaped_forms(text))
    spelled = {
        text,
        text.replace("'", "''"),
        printable.markdown(text),
        html.escape(text),
        *_url_forms(text),
        *escaped,
        *(form.translate(_JSON) for form in escaped),
        *_base64_forms(text),
        *_base64_forms(text.translate(_JSON)),
    }
    return {form for form in spelled if len(form) >= SHORTEST}


def needles(secret: str) -> set[str]:
    """Return every text to mask so that a secret can't be read: its forms, and those of its lines."""
    if not _is_known_by_itself(secret):
        return set()
    found = forms(secret).union(forms(secret.strip()), *map(forms, _lines(secret)))
    return {form for form in found if form == form.strip()}  # a line end behind a value is not its own


def find(secret: str, text: str) -> bool:
    """Whether a text holds a secret in any form; one of several lines also with other line ends, or none."""
    if not _is_known_by_itself(secret):
        return False
    return all(any(form in text for form in forms(line)) for line in _lines(secret) or [secret])


def may_hold_secret(data: bytes) -> bool:
    """Whether a file may describe a Kubernetes Secret: it names the kind, or has an escape that may hide that."""
    return bool(
        (b"Secret" in data and _SECRET.search(data))
        or b"secretgenerator" in data.lower()  # kustomize reads its fields in any case
        or (b"\\" in data and _ESCAPE.search(data))
        or data.startswith(UTF16)
    )


class Redactor:
    """Replaces texts by asterisks, in a time that hardly depends on how many they are."""

    def __init__(self, needles: Iterable[str]) -> None:
        # One pattern of all of them would be tried word by word at every character.
        self._words = frozenset(needles)
        lengths: dict[str, set[int]] = defaultdict(set)
        for word in self._words:
            lengths[word[:SHORTEST]].add(len(word))
        self._lengths = {beginning: sorted(found, reverse=True) for beginning, found in lengths.items()}
        self._has_lines = any("\n" in word for word in self._words)
        self._remembered = lru_cache(_REMEMBERED_LINES)(self._redacted)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to replace."""
        return not self._words

    def redact(self, text: str) -> str:
        """Return a text without any of them, also where they overlap."""
        if self.is_idle:
            return text
        return self._redacted(text) if self._has_lines else "\n".join(map(self._line, text.split("\n")))

    def _line(self, line: str) -> str:
        return self._remembered(line) if len(line) <= _REMEMBERED_CHARACTERS else self._redacted(line)

    def _redacted(self, text: str) -> str:
        parts: list[str] = []
        end = 0
        for start in range(len(text) - SHORTEST + 1):
            lengths = self._lengths.get(text[start : start + SHORTEST])
            if not lengths:
                continue
            longest = next((length for length in lengths if text[start : start + length] in self._words), 0)
            if longest and (start > end or not parts):
                parts += [text[end:start], MASK]
            if longest:
                end = max(end, start + longest)
        return "".join([*parts, text[end:]])


def _is_known_by_itself(secret: str) -> bool:
    return len(secret.strip()) >= SHORTEST and secret.strip().lower() not in _NEVER_SECRET


def _lines(secret: str) -> list[str]:
    """Return the lines of a secret that has several, but for those that mean nothing alone."""
    lines = [line.strip() for line in secret.splitlines()]
    return [line for line in lines if _is_known_by_itself(line)] if len(lines) > 1 else []


def _url_forms(text: str) -> Iterator[str]:
    for kept in _UNESCAPED:
        percent = quote(text, safe=kept, errors="surrogateescape")
        yield percent
        yield re.sub("%..", lambda match: match[0].lower(), percent)
    yield quote_plus(text, errors="surrogateescape")


def _escaped_forms(text: str) -> Iterator[str]:
    """Yield a text as JSON, and YAML between double quotes, have it; hexadecimal digits are in either case."""
    yaml = text.encode("unicode_escape").decode().replace('"', '\\"')
    for form in (text.translate(_JSON), json.dumps(text)[1:-1], yaml):
        for_html = form.translate(_JSON_FOR_HTML)
        yield from (form, for_html, form.replace("/", "\\/"), _upper(form), _upper(for_html))


def _upper(form: str) -> str:
    return re.sub(_HEXADECIMAL, lambda match: match[1] + match[2].upper(), form)


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
