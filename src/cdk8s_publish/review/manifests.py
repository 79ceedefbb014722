"""Parse rendered files into manifests: identify each resource and keep the bytes of its document.

What counts as readable is what kustomize-controller reads (kustomize 5.8, `kio.ByteReader` and
`resource.Factory.SliceFromBytes`, then `ResMap.AsYaml`): files are cut at lines that start with `---`, each piece holds
one document, empty ones are skipped, a `List` stands for its items, and duplicate or non-string keys are fatal.
Only nodes are composed, never Python objects: identity is a handful of scalars.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import yaml
from yaml._yaml import CParser
from yaml.composer import ComposerError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from cdk8s_publish.model import (
    MANIFEST_SUFFIXES,
    CustomKind,
    Finding,
    Level,
    Manifest,
    ResourceId,
    Trait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MANIFESTS = "manifests"
"""Role of a file whose documents are resources for Flux."""

KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""Names under which kustomize looks for its own configuration (`konfig.RecognizedKustomizationFileNames`)."""

HELM_FILE = "Chart.yaml"
"""What makes a folder a Helm chart; it is no resource."""

MAX_DEPTH = 1_000
"""Levels of nesting that we follow. libyaml recurses on the C stack (100,000 levels crash the interpreter); the deepest
schemas of real custom resource definitions stay below 100."""

MAX_NODES = 500_000
"""Nodes per document, also once aliases are followed: a list of them takes 300 MB. etcd takes 1.5 MiB per object, so
what is larger is an attack ("billion laughs") or an accident, and kustomize-controller would hang on it."""

MAX_DOCUMENT_BYTES = 16 << 20
"""Bytes of a document. The API server reads no request of more than 3 MiB (`MaxRequestBodyBytes`); a `List`, which is
applied item by item, may be longer."""

_SEPARATOR = re.compile(rb"\n---[^\n]*(?:\n|\Z)")
_LEADING_SEPARATORS = re.compile(rb"(?:\xef\xbb\xbf)?(?:---[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z))+")

_NOT_FINITE = r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_NUMBER = re.compile(
    r"true|True|TRUE|false|False|FALSE"
    r"|[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)"
    r"|[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9_]+)?"
    rf"|{_NOT_FINITE}"
)
"""Plain scalars that Go's YAML decoder turns into a number or a boolean."""

_TYPED = re.compile(rf"{_NUMBER.pattern}|~|null|Null|NULL|[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}(?:[Tt \t].*)?")
"""Plain scalars that it turns into something else than a string."""

_NUMBER_TAGS = frozenset({"tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})
_MAYBE_NOT_FINITE = re.compile(rb"\.(?:inf|Inf|INF|nan|NaN|NAN)")
_NOT_FINITE_VALUE = re.compile(_NOT_FINITE)

LOCAL_ANNOTATION = "config.kubernetes.io/local-config"
"""kustomize ignores what carries it with any value but `false` (`konfig.IgnoredByKustomizeAnnotation`)."""

_HASH_ANNOTATION = "internal.config.kubernetes.io/needsHashSuffix"


class Parsed(NamedTuple):
    """What one file holds, in its order, and what is wrong with it."""

    manifests: tuple[Manifest, ...]
    findings: tuple[Finding, ...]


def role(path: str) -> str:
    """Return what a name makes of a file: `MANIFESTS`, the name of kustomize's or Helm's configuration, or nothing."""
    name = path.rpartition("/")[2]
    if name in KUSTOMIZATION_FILES or path == HELM_FILE:
        return name
    return MANIFESTS if path.endswith(MANIFEST_SUFFIXES) else ""


def parse(path: str, data: bytes) -> Parsed:
    """Read every document of a file; a document with a flaw becomes one finding and the next ones are still read."""
    manifests: list[Manifest] = []
    findings: list[Finding] = []
    counted = lines = 0
    for offset, text in documents(data):
        try:
            manifests.extend(_manifests(path, text))
        except FlawError as flaw:
            lines += data.count(b"\n", counted, offset)  # from the last flaw on: there may be one in every document
            counted = offset
            line = lines + flaw.line + 1
            hint = flaw.hint or "Correct the chart, or the file it includes, that writes this."
            findings.append(Finding(Level.ERROR, flaw.rule, f"{path}, line {line}: {flaw}.", path, hint=hint))
    return Parsed(tuple(manifests), tuple(findings))


class FlawError(Exception):
    """Why a document can't be published; `line` counts from 0 within the document."""

    def __init__(self, rule: str, message: str, line: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.rule = rule
        self.line = line
        self.hint = hint


def documents(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes of each document of a file, cut where kustomize cuts."""
    start = 0
    for match in _SEPARATOR.finditer(data):
        yield _document(data, start, match.start() + 1)
        start = match.start() + 1
    yield _document(data, start, len(data))


def _document(data: bytes, start: int, end: int) -> tuple[int, bytes]:
    separators = _LEADING_SEPARATORS.match(data, start, end)
    start = separators.end() if separators else start
    return start, data[start:end]


class _Composer(CParser):
    """Composes nodes and leaves their tags unresolved: only those the text names are set."""

    # Asked about every node. They have nothing to do, and a function of the interpreter that takes anything and returns
    # an empty string does that in a fraction of the time that one of ours needs: a quarter of all parsing.
    descend_resolver: Callable[..., object] = "".format
    ascend_resolver: Callable[..., object] = "".format
    resolve: Callable[..., object] = "".format


class _BoundedComposer(_Composer):
    """The same for a text that is long enough to nest too deeply, or to hold too many values."""

    _depth = 0
    _nodes = 0

    def descend_resolver(self, _parent: object, _index: object) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise FlawError("invalid-yaml", f"holds more than {MAX_NODES:,} values")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FlawError("invalid-yaml", f"nested deeper than {MAX_DEPTH:,} levels")

    def ascend_resolver(self) -> None:
        self._depth -= 1


def compose(text: bytes) -> Node | None:
    """Return the root node of a document, or None where there is no content.

    Raises:
        FlawError: the text is not YAML, or can't be turned into JSON.

    """
    root = _root(text)
    if root is not None:
        _refuse_unreadable(root)
        if _MAYBE_NOT_FINITE.search(text):
            _refuse_infinite(root)
    return root


def compose_all(text: bytes) -> Iterator[Node]:
    """Yield the root nodes of a text that may hold several documents; nobody has looked at their keys and aliases.

    Raises:
        FlawError: the text is not YAML from there on.

    """
    with _flaws(text):
        composer = _composer(text)
        while composer.check_node():
            node = composer.get_node()
            if node is not None:
                yield node


def _root(text: bytes) -> Node | None:
    if len(text) > MAX_DOCUMENT_BYTES:
        message = f"a document of {len(text):,} bytes; no API server takes more than 3 MiB"
        raise FlawError("invalid-yaml", message, hint="Split the object, or the list, that this is.")
    with _flaws(text):
        return _composer(text).get_single_node()


def _composer(text: bytes) -> _Composer:
    if not text.isascii():
        text.decode()
    return _Composer(text) if len(text) <= MAX_DEPTH else _BoundedComposer(text)


@contextmanager
def _flaws(text: bytes) -> Iterator[None]:
    """Say what is wrong with a text in the words of one error."""
    try:
        yield
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start)
        raise FlawError("invalid-yaml", f"byte 0x{text[error.start]:02x} is not UTF-8", line) from None
    except ReaderError as error:
        line = text.count(b"\n", 0, error.position)
        raise FlawError("invalid-yaml", f"character {error.character:#06x}: {error.reason}", line) from None
    except yaml.MarkedYAMLError as error:
        raise _marked(error) from None


def _marked(error: yaml.MarkedYAMLError) -> FlawError:
    """Put libyaml's words into one sentence. They never repeat the text itself, which might be a secret."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column + 1) if mark else (0, 1)
    if isinstance(error, ComposerError) and error.problem == "but found another document":
        return FlawError("invalid-yaml", "a second document without a `---` line; kustomize reads only the first", line)
    words = ", ".join(part for part in (error.context, error.problem) if part)
    return FlawError("invalid-yaml", f"{words} (column {column})", line)


def _manifests(path: str, text: bytes) -> Iterator[Manifest]:
    if text.startswith(b"---"):
        raise FlawError("invalid-yaml", "text after the dashes of a separator; put it on a line of its own")
    root = compose(text)
    if root is None or _is_empty(root):
        return
    top = fields(root)
    kind = string(top.get("kind"))
    if kind.endswith("List") and "items" in top:
        items = _refuse_no_list(top["items"], kind)
        del root, top  # the text is read once more, and both would be in memory
        for item in _items(text) if items else ():
            yield from _manifests(path, item)
        return
    metadata = fields(top.get("metadata"))
    resource = _resource(root, top, metadata)
    yield Manifest(
        resource,
        path,
        text,
        _traits(resource, top, metadata),
        _custom_kind(resource, top),
    )


def _is_empty(node: Node) -> bool:
    """Whether kustomize skips the document: null, `{}` or `[]`."""
    return is_null(node) if isinstance(node, ScalarNode) else not node.value


def is_null(node: Node) -> bool:
    """Whether a node stands for nothing."""
    return isinstance(node, ScalarNode) and not node.style and node.value in ("", "~", "null", "Null", "NULL")


def _refuse_unreadable(root: Node) -> None:
    """Raise for what Flux can't turn into JSON: keys that repeat or are not strings, and aliases without end."""
    visited = 0
    stack = [root]
    while stack:
        node = stack.pop()
        visited += len(node.value)
        if visited > MAX_NODES:
            raise FlawError("invalid-yaml", f"aliases expand to more than {MAX_NODES:,} values")
        if isinstance(node, MappingNode):
            _refuse_keys(node)
            stack += [value for _, value in node.value if not isinstance(value, ScalarNode)]
        elif isinstance(node, SequenceNode):
            stack += [item for item in node.value if not isinstance(item, ScalarNode)]


def _refuse_infinite(root: Node) -> None:
    """Raise for numbers that are not finite, which JSON doesn't have."""
    for _, leaf in leaves(root):
        if is_plain(leaf) and _NOT_FINITE_VALUE.fullmatch(leaf.value):
            message = f"`{leaf.value}` is a number that JSON does not have; Flux can't read the file"
            raise FlawError("invalid-yaml", message, leaf.start_mark.line)


def _refuse_keys(node: MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, ScalarNode) or (not key.style and (not key.value or _is_typed(key.value))):
            raise FlawError("invalid-yaml", "a key that is not a string; put it in quotes", key.start_mark.line)
        if key.value in seen:
            message = f"the key {key.value[:80]!r} is already defined in this mapping"
            raise FlawError("invalid-yaml", message, key.start_mark.line)
        seen.add(key.value)


def fields(node: Node | None) -> dict[str, Node]:
    """Return the fields of a mapping with merge keys (`<<`) followed; empty for any other node."""
    if not isinstance(node, MappingNode):
        return {}
    found = {key.value: value for key, value in node.value}
    merged = found.pop("<<", None)
    for source in merged.value if isinstance(merged, SequenceNode) else [merged]:
        found = fields(source) | found
    return found


def string(node: Node | None) -> str:
    """Return a scalar's text; empty for anything that Go would not read as a string."""
    return str(node.value) if node is not None and is_text(node) else ""


def is_text(node: Node) -> bool:
    """Whether Go reads a node as a string."""
    return isinstance(node, ScalarNode) and (bool(node.style) or not _is_typed(node.value))


@lru_cache
def _is_typed(plain: str) -> bool:
    return _TYPED.fullmatch(plain) is not None


def _refuse_no_list(node: Node, kind: str) -> bool:
    """Raise when the items of a list are none; return whether there are any."""
    if _is_empty(node):
        return False
    if not isinstance(node, SequenceNode):
        raise FlawError("not-a-resource", f"`items` of {kind} is not a list", node.start_mark.line)
    return True


def _items(text: bytes) -> Iterator[bytes]:
    """Yield each item of a list as a document of its own, serialized again because anchors may be defined elsewhere."""
    with_tags = fields(yaml.compose(text, Loader=yaml.CSafeLoader))["items"]
    for item in with_tags.value:
        yield yaml.serialize(item, Dumper=yaml.CSafeDumper, encoding="utf-8")


def _resource(root: Node, top: Mapping[str, Node], metadata: Mapping[str, Node]) -> ResourceId:
    version, kind, name = string(top.get("apiVersion")), string(top.get("kind")), string(metadata.get("name"))
    wanted = {"apiVersion": version, "kind": kind, "metadata.name": name}
    missing = ", ".join(field for field, value in wanted.items() if not value)
    if missing:
        hint = "Flux and Argo CD need a fixed name: replace generateName." if "generateName" in metadata else ""
        message = f"not a Kubernetes object: it needs a string for {missing}"
        raise FlawError("not-a-resource", message, root.start_mark.line, hint)
    if version.count("/") > 1:
        message = f"not a Kubernetes object: apiVersion {version!r} has more than one slash"
        raise FlawError("not-a-resource", message, root.start_mark.line)
    annotations = metadata.get("annotations")
    if annotations and not isinstance(annotations, MappingNode) and not _is_empty(annotations):
        message = "not a Kubernetes object: its annotations are not a mapping"
        raise FlawError("not-a-resource", message, annotations.start_mark.line)
    return ResourceId(version.rpartition("/")[0], kind, string(metadata.get("namespace")), name)


def _traits(resource: ResourceId, top: Mapping[str, Node], metadata: Mapping[str, Node]) -> tuple[Trait, ...]:
    traits = []
    annotations = fields(metadata.get("annotations"))
    if LOCAL_ANNOTATION in annotations and not _says(annotations[LOCAL_ANNOTATION], "false"):
        traits.append(Trait.LOCAL)
    if _HASH_ANNOTATION in annotations:
        traits.append(Trait.RENAMED)
    if "labels" in metadata and _has_lost_labels(metadata["labels"]):
        traits.append(Trait.UNLABELLED)
    if resource.kind == "Secret" and not resource.group and "sops" in top:
        is_applied_as_text = "stringData" in top and "data" not in top
        traits.append(Trait.ENCRYPTED_TEXT if is_applied_as_text else Trait.ENCRYPTED)
    return tuple(traits)


def _says(node: Node, text: str) -> bool:
    return isinstance(node, ScalarNode) and node.value == text


def _has_lost_labels(labels: Node) -> bool:
    """Whether one label is not a string (`unstructured.NestedStringMap`): a number, a boolean, a mapping or a list."""
    if not isinstance(labels, MappingNode):
        return not _is_empty(labels)
    return any(map(_is_number, fields(labels).values()))


def _is_number(node: Node) -> bool:
    if not isinstance(node, ScalarNode) or node.tag in _NUMBER_TAGS:
        return True
    return is_plain(node) and _NUMBER.fullmatch(node.value) is not None


def is_plain(node: ScalarNode) -> bool:
    """Whether a scalar has neither quotes nor a tag that would make it text."""
    return not node.style and not node.tag


def _custom_kind(resource: ResourceId, top: Mapping[str, Node]) -> CustomKind | None:
    if resource.kind != "CustomResourceDefinition" or resource.group != "apiextensions.k8s.io":
        return None
    spec = fields(top.get("spec"))
    kind = string(fields(spec.get("names")).get("kind"))
    return CustomKind(string(spec.get("group")), kind, string(spec.get("scope")) != "Cluster")


def leaves(node: Node | None) -> Iterator[tuple[tuple[str, ...], ScalarNode]]:
    """Yield the values of a tree with their paths, without nulls."""
    stack: list[tuple[tuple[str, ...], Node | None]] = [((), node)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, MappingNode):
            stack += [((*path, key.value), value) for key, value in node.value]
        elif isinstance(node, SequenceNode):
            stack += [((*path, str(index)), value) for index, value in enumerate(node.value)]
        elif isinstance(node, ScalarNode) and not _is_empty(node):
            yield path, node
