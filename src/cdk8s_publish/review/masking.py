"""Keep the values of Secrets out of everything that is shown."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import yaml

from cdk8s_publish.review.manifests import fields, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from yaml.nodes import Node, ScalarNode

    from cdk8s_publish.model import Manifest

MASK = "***"
SHORTEST_WORD = 6
"""Shorter values would garble every other word, and are masked in the Secret alone."""

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Mask:
    """Masks the values of plain secrets, in the secrets themselves and wherever else they are repeated."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        # By their first characters: one pattern of all words would be tried word by word at every character of a text,
        # which takes minutes with a thousand secrets.
        self._words: dict[str, set[str]] = defaultdict(set)
        for manifest in manifests:
            if not manifest.is_plain_secret:
                continue
            for _, leaf in _sensitive(_compose(manifest)):
                for word in _spellings(leaf.value):
                    self._words[word[:SHORTEST_WORD]].add(word)

    def text(self, text: str) -> str:
        """Mask secret values of at least `SHORTEST_WORD` characters."""
        if not self._words:
            return text
        words: set[str] = set()
        for start in range(len(text) - SHORTEST_WORD + 1):
            beginning = text[start : start + SHORTEST_WORD]
            if beginning in self._words:
                words |= self._words[beginning]
        if not words:
            return text
        longest_first = sorted(words, key=lambda word: (-len(word), word))
        return re.sub("|".join(map(re.escape, longest_first)), MASK, text)

    def secrets(self, before: Sequence[Manifest], after: Sequence[Manifest]) -> tuple[str, str]:
        """Rewrite both sides of a Secret without comments and values; a changed value is marked as changed."""
        old = [_compose(manifest) for manifest in before]
        new = [_compose(manifest) for manifest in after]
        old_values, new_values = _values(old), _values(new)
        return self._masked(old, new_values, "before"), self._masked(new, old_values, "after")

    def _masked(self, roots: Sequence[Node], others: Mapping[tuple[str, ...], str], label: str) -> str:
        for root in roots:
            for path, leaf in _sensitive(root):
                is_changed = path in others and others[path] != leaf.value
                leaf.value = f"{MASK} ({label})" if is_changed else MASK
                leaf.tag, leaf.style = "tag:yaml.org,2002:str", None
        texts = [yaml.serialize(root, Dumper=yaml.CSafeDumper, allow_unicode=True) for root in roots]
        return self.text("---\n".join(texts))


def _compose(manifest: Manifest) -> Node:
    return cast("Node", yaml.compose(manifest.text, Loader=yaml.CSafeLoader))


def _values(roots: Iterable[Node]) -> dict[tuple[str, ...], str]:
    return {path: leaf.value for root in roots for path, leaf in _sensitive(root)}


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
        for line in form.splitlines():
            word = line.strip()
            if len(word) >= SHORTEST_WORD:
                yield word
