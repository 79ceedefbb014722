"""Keep the values of Secrets out of everything that is shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import yaml
from yaml.nodes import MappingNode, ScalarNode

from cdk8s_publish import redaction
from cdk8s_publish.review import plain_secrets
from cdk8s_publish.review.manifests import compose_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from yaml.nodes import Node

    from cdk8s_publish.model import Finding, Manifest

MASK = redaction.MASK


class Mask:
    """Masks the values of readable Secrets, in the Secrets themselves and wherever else they are repeated."""

    def __init__(self, values: Iterable[str]) -> None:
        texts = {text for value in values for text in (value, plain_secrets.decoded(value))}
        needles = set[str]().union(*map(redaction.needles, texts))
        self._redactor = redaction.Redactor(needles)
        self._has_spaces = any(" " in text.strip() for text in texts)

    def text(self, text: str) -> str:
        """Mask the values in a text, in every form that `redaction` knows."""
        return self._redactor.redact(text)

    def finding(self, finding: Finding) -> Finding:
        """Mask the values in what a rule says; the names of a resource and of a file are no secrets."""
        return finding._replace(
            message=self._around(finding.message, finding), hint=self._around(finding.hint, finding)
        )

    def _around(self, text: str, finding: Finding) -> str:
        for name in (finding.file, str(finding.resource or "")):
            if name and name in text:
                before, _, after = text.partition(name)
                return self.text(before) + name + self._around(after, finding)
        return self.text(text)

    def document(self, text: str) -> str:
        """Mask the values in a YAML document, also where quotes, escapes or line breaks spell them otherwise."""
        if self._redactor.is_idle:
            return text
        if "\\" in text or "''" in text or self._has_folded(text):
            text = "".join(self._respelled(text))
        return self.text(text)

    def _has_folded(self, text: str) -> bool:
        """Whether a value with spaces in it is spelled on several lines."""
        folded = " ".join(text.split())
        return self._has_spaces and self.text(folded).count(MASK) > self.text(text).count(MASK)

    def _respelled(self, text: str) -> Iterator[str]:
        """Yield the parts of a document, with every scalar that has a value in it masked and spelled plainly."""
        end = 0
        root = next(compose_all(text.encode()))
        for scalar in sorted(_scalars(root), key=lambda node: node.start_mark.index):
            masked = self.text(scalar.value)
            first, last = scalar.start_mark.index, scalar.end_mark.index
            spelled = text[first:last]
            if self.text(spelled).count(MASK) < masked.count(MASK) and first >= end:
                line_end = "\n" if spelled.endswith("\n") else ""
                yield text[end:first] + json.dumps(masked, ensure_ascii=False) + line_end
                end = last
        yield text[end:]

    def is_about(self, manifest: Manifest) -> bool:
        """Whether a document has a readable Secret in it."""
        return bool(plain_secrets.find(manifest.text))

    def secrets(self, before: Sequence[Manifest], after: Sequence[Manifest]) -> tuple[str, str]:
        """Rewrite both sides of a Secret without comments and values; a changed value is marked as changed."""
        old = [_compose(manifest.text) for manifest in before]
        new = [_compose(manifest.text) for manifest in after]
        old_values, new_values = _values(old), _values(new)
        return self._masked(old, new_values, "before"), self._masked(new, old_values, "after")

    def _masked(self, roots: Sequence[Node], others: Mapping[tuple[str, ...], str], label: str) -> str:
        for root in roots:
            for path, leaf in _sensitive(root):
                is_changed = path in others and others[path] != leaf.value
                leaf.value = f"{MASK} ({label})" if is_changed else MASK
                leaf.tag, leaf.style = "tag:yaml.org,2002:str", None
        texts = [yaml.serialize(root, Dumper=yaml.CSafeDumper, allow_unicode=True) for root in roots]
        return "---\n".join(map(self.document, texts))


def _compose(text: str | bytes) -> Node:
    return cast("Node", yaml.compose(text, Loader=yaml.CSafeLoader))


def _values(roots: Iterable[Node]) -> dict[tuple[str, ...], str]:
    return {path: leaf.value for root in roots for path, leaf in _sensitive(root)}


def _sensitive(root: Node) -> list[tuple[tuple[str, ...], ScalarNode]]:
    """Return the values that nobody may see, by where they are."""
    return [place for secret in plain_secrets.find_all(root) for place in secret.leaves]


def _scalars(root: Node) -> list[ScalarNode]:
    """Return the scalars of a document, each once, keys included."""
    found: dict[int, ScalarNode] = {}
    seen: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, ScalarNode):
            found[id(node)] = node
        elif id(node) not in seen:
            seen.add(id(node))
            stack += [one for pair in node.value for one in pair] if isinstance(node, MappingNode) else node.value
    return list(found.values())
