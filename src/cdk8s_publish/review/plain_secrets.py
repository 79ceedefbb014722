"""Secrets whose values everybody can read, in any file that parses as YAML or JSON, whatever its name.

That is a `Secret` wherever it is in a document, what kustomize makes a Secret of (`secretGenerator`), and what it
patches into one. A value that SOPS has encrypted can't be read, and a placeholder that somebody fills in later is none.
"""

from __future__ import annotations

import codecs
import json
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from cdk8s_publish import redaction
from cdk8s_publish.model import ResourceId
from cdk8s_publish.review.manifests import MAX_NODES, FlawError, compose_all, documents, leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from yaml.nodes import Node

    Read = Callable[[str], bytes | None]
    """Returns the bytes of another file, by its path relative to the one that names it; None if it is not there."""

MAX_BYTES = 8 << 20
"""Of a file that is looked into although Flux would not read it. etcd takes 1.5 MiB per object."""

_DATA = ("data", "stringData")
_DATA_PATHS = tuple(f"/{part}" for part in _DATA)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_BASE64 = r"[A-Za-z0-9+/]"
_ENCRYPTED = (
    rf"ENC\[AES256_GCM,data:{_BASE64}*={{0,2}},iv:{_BASE64}+={{0,2}},tag:{_BASE64}+={{0,2}},"
    r"type:(?:str|int|float|bool|bytes|comment|time)\]"
)
"""What SOPS writes for a value (getsops/sops, aes/cipher.go)."""
_ENCRYPTED_VALUE = re.compile(_ENCRYPTED)
_ENCRYPTED_MAC = re.compile(rf"^(?:sops_)?mac\s*=\s*{_ENCRYPTED}\s*$", re.MULTILINE)
"""What SOPS adds to a file of variables (dotenv) or to an INI file."""

_PLACEHOLDERS = re.compile(r"(?:\s|\$\{[_a-zA-Z][_a-zA-Z0-9]*\}|<path:[^<>#\s]+(?:#[^<>#]+){1,2}>)+")
"""Variables that Flux substitutes after the build, without a default; paths that argocd-vault-plugin looks up."""


class Source(NamedTuple):
    """Another file that a Secret takes values from: lines of variables (`env`), the whole (`file`) or a `patch`."""

    form: str
    path: str


class PlainSecret(NamedTuple):
    """A Secret that is written down for everybody.

    `does` is a verb with an object, for a sentence that begins with a name. `leaves` are the scalars that nobody may
    see, by where they are; `values` what can be read in them. `sources` are files with more values.
    """

    resource: ResourceId
    does: str
    leaves: tuple[tuple[tuple[str, ...], ScalarNode], ...]
    values: tuple[str, ...]
    sources: tuple[Source, ...] = ()


def find(data: bytes) -> tuple[PlainSecret, ...]:
    """Return the Secrets of a file that have readable values, or name other files that may have some."""
    if not redaction.may_hold_secret(data):
        return ()
    roots = _roots(data, redaction.may_hold_secret)
    return tuple(found for root in roots for found in find_all(root) if found.values or found.sources)


def find_all(root: Node) -> Iterator[PlainSecret]:
    """Yield every Secret of a document, also those without a readable value; its aliases must not go round."""
    is_encrypted = _is_encrypted(_fields(root))
    stack: list[tuple[tuple[str, ...], Node]] = [((), root)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, MappingNode):
            told = _fields(node)
            if _is_secret(told):
                yield from _secret(path, told, is_encrypted=is_encrypted)
            for index, item in enumerate(map(_fields, _items(told.get("items", ())))):
                if _is_item_of_secrets(told, item):
                    yield from _secret((*path, "items", str(index)), item, is_encrypted=is_encrypted)
            yield from _generated(path, told)
            yield from _patched(path, told)
            stack += [
                ((*path, str(key.value)), value) for key, value in node.value if not isinstance(value, ScalarNode)
            ]
        elif isinstance(node, SequenceNode):
            stack += [((*path, str(index)), item) for index, item in enumerate(node.value)]


def resolve(secret: PlainSecret, read: Read) -> PlainSecret:
    """Return a Secret with the values of its sources as well, as far as they are there."""
    values = list(secret.values)
    for source in dict.fromkeys(secret.sources):
        data = read(source.path)
        if data is not None and len(data) <= MAX_BYTES:
            values += _source_values(source.form, data)
    return secret._replace(values=tuple(values))


def is_readable(value: str, *, is_encrypted: bool = False) -> bool:
    """Whether a value says something: it is not empty, no placeholder, and not encrypted.

    `is_encrypted` says that the document has the metadata of SOPS; without, nothing is taken for encrypted.
    """
    if not value.strip() or _PLACEHOLDERS.fullmatch(value) or _PLACEHOLDERS.fullmatch(decoded(value)):
        return False
    return not (is_encrypted and _ENCRYPTED_VALUE.fullmatch(value.strip()))


def decoded(value: str) -> str:
    """Return the text that a value is base64 of; empty where it is not."""
    try:
        return b64decode("".join(value.split()), validate=True).decode()
    except (Base64Error, ValueError):
        return ""


def _roots(data: bytes, is_wanted: Callable[[bytes], bool] = bool) -> Iterator[Node]:
    """Yield the documents of a file, as far as it can be read and stays small when aliases are followed.

    Of YAML, only those are parsed whose text `is_wanted`.
    """
    if data.startswith(redaction.UTF16):
        data = data.decode("utf-16", "replace").encode()
    yield from filter(_is_bounded, _json_roots(data) or _yaml_roots(data, is_wanted))


def _yaml_roots(data: bytes, is_wanted: Callable[[bytes], bool]) -> Iterator[Node]:
    for _, text in documents(data):
        if is_wanted(text):
            with suppress(FlawError):
                yield from compose_all(text)


def _json_roots(data: bytes) -> list[Node]:
    """Return the documents of a file of nothing but JSON, one behind the other; a YAML parser reads not all of it."""
    data = data.removeprefix(codecs.BOM_UTF8).strip()
    is_bounded = sum(map(data.count, (b",", b"{", b"["))) <= MAX_NODES  # what the YAML parser counts by itself
    if not data.startswith((b"{", b"[")) or not is_bounded:
        return []
    read = json.JSONDecoder(object_pairs_hook=_json_mapping, parse_float=str, parse_int=str, parse_constant=str)
    roots: list[Node] = []
    try:
        text = data.decode()
        end = 0
        while end < len(text):
            value, end = read.raw_decode(text, end)
            roots.append(_json_node(value))
            end += len(text) - end - len(text[end:].lstrip())
    except (ValueError, RecursionError):
        return []
    return roots


def _json_mapping(pairs: Iterable[tuple[str, object]]) -> Node:
    return MappingNode("", [(_json_node(key), _json_node(value)) for key, value in pairs])


def _json_node(value: object) -> Node:
    if isinstance(value, MappingNode):
        return value
    if isinstance(value, list):
        return SequenceNode("", [_json_node(item) for item in value])
    if value is None:
        return ScalarNode("", "null")
    return ScalarNode("", str(value).encode(errors="replace").decode(), style='"')


def _is_bounded(root: Node) -> bool:
    """Whether a document stays small when its aliases are followed."""
    visited, stack = 0, [root]
    while stack and visited <= MAX_NODES:
        node = stack.pop()
        visited += len(node.value)
        if isinstance(node, MappingNode):
            stack += [one for pair in node.value for one in pair if not isinstance(one, ScalarNode)]
        elif isinstance(node, SequenceNode):
            stack += [item for item in node.value if not isinstance(item, ScalarNode)]
    return not stack


def _fields(node: Node) -> Mapping[str, Sequence[Node]]:
    """Return every value of each field of a mapping, those that it merges (`<<`) and those that repeat included."""
    found: dict[str, list[Node]] = defaultdict(list)
    mappings = [node]
    for mapping in mappings:  # grows meanwhile
        for key, value in mapping.value if isinstance(mapping, MappingNode) else ():
            if isinstance(key, ScalarNode) and key.value == "<<":
                mappings += value.value if isinstance(value, SequenceNode) else [value]
            elif isinstance(key, ScalarNode):
                found[key.value].append(value)
    return found


def _texts(nodes: Iterable[Node]) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ScalarNode)]


def _items(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        if isinstance(node, SequenceNode):
            yield from node.value


def _first(nodes: Iterable[Node]) -> str:
    return next(iter(_texts(nodes)), "")


def _below(told: Mapping[str, Sequence[Node]], name: str) -> Mapping[str, Sequence[Node]]:
    """Return the fields of a field that is a mapping."""
    found: dict[str, list[Node]] = defaultdict(list)
    for node in told.get(name, ()):
        for field, values in _fields(node).items():
            found[field] += values
    return found


def _named(told: Mapping[str, Sequence[Node]]) -> ResourceId:
    return ResourceId("", "Secret", _first(told.get("namespace", ())), _first(told.get("name", ())))


def _is_encrypted(told: Mapping[str, Sequence[Node]]) -> bool:
    """Whether SOPS has left its metadata, with the code that authenticates them."""
    return bool(_ENCRYPTED_VALUE.fullmatch(_first(_below(told, "sops").get("mac", ()))))


def _is_secret(told: Mapping[str, Sequence[Node]]) -> bool:
    return "Secret" in _texts(told.get("kind", ())) and not _is_of_a_group(told)


def _is_of_a_group(told: Mapping[str, Sequence[Node]]) -> bool:
    return any(version.rpartition("/")[0] for version in _texts(told.get("apiVersion", ())))


def _is_item_of_secrets(told: Mapping[str, Sequence[Node]], item: Mapping[str, Sequence[Node]]) -> bool:
    """Whether a list says of its item, which says nothing itself, that it is a Secret."""
    return "SecretList" in _texts(told.get("kind", ())) and not _is_of_a_group(told) and "kind" not in item


def _secret(path: tuple[str, ...], told: Mapping[str, Sequence[Node]], *, is_encrypted: bool) -> Iterator[PlainSecret]:
    is_encrypted = is_encrypted or _is_encrypted(told)
    metadata = _below(told, "metadata")
    data = [
        ((*path, part, *below), leaf) for part in _DATA for node in told.get(part, ()) for below, leaf in leaves(node)
    ]
    applied = [
        ((*path, _LAST_APPLIED), node)
        for node in _below(metadata, "annotations").get(_LAST_APPLIED, ())
        if isinstance(node, ScalarNode)
    ]
    values = [leaf.value for _, leaf in data]
    remembered = [value for _, leaf in applied for value in _last_applied(leaf.value)]
    readable = [value for value in (*values, *remembered) if is_readable(value, is_encrypted=is_encrypted)]
    is_only_remembered = not any(is_readable(value, is_encrypted=is_encrypted) for value in values)
    does = f"holds readable values in its annotation {_LAST_APPLIED}" if is_only_remembered else "holds readable values"
    yield PlainSecret(_named(metadata), does, (*data, *applied), tuple(readable))


def _last_applied(text: str) -> list[str]:
    """Return the values in the copy of a Secret that kubectl keeps; the whole text where it is no such copy."""
    roots = _json_roots(text.encode(errors="replace"))
    if not roots:
        return [text]
    told = _fields(roots[0])
    return [leaf.value for part in _DATA for node in told.get(part, ()) for _, leaf in leaves(node)]


def _generated(path: tuple[str, ...], told: Mapping[str, Sequence[Node]]) -> Iterator[PlainSecret]:
    """Yield what kustomize makes a Secret of. It reads its fields in any case."""
    for name in told:
        if name.lower() == "secretgenerator":
            for generator in _items(told[name]):
                fields = _fields(generator)
                yield _generator((*path, name), fields, _named(fields))
    if "SecretGenerator" in _texts(told.get("kind", ())):
        yield _generator(path, told, _named(_below(told, "metadata")))


def _generator(path: tuple[str, ...], told: Mapping[str, Sequence[Node]], resource: ResourceId) -> PlainSecret:
    literals = [node for node in _items(told.get("literals", ())) if isinstance(node, ScalarNode)]
    values = [literal.value.partition("=")[2].strip("\"'") for literal in literals]
    envs = (*_texts(_items(told.get("envs", ()))), *_texts(told.get("env", ())))
    files = _texts(_items(told.get("files", ())))
    sources = (*(Source("env", env) for env in envs), *(Source("file", file.rpartition("=")[2]) for file in files))
    places = tuple(((*path, resource.name, str(index)), literal) for index, literal in enumerate(literals))
    does = "is generated from readable values"
    return PlainSecret(resource, does, places, tuple(filter(is_readable, values)), sources)


def _patched(path: tuple[str, ...], told: Mapping[str, Sequence[Node]]) -> Iterator[PlainSecret]:
    """Yield what is patched into a Secret: by a text that is in the document, or by operations in another file."""
    target = _below(told, "target")
    is_target = "Secret" in _texts(target.get("kind", ()))
    merged = _items(told.get("patchesStrategicMerge", ()))
    for node in (*told.get("patch", ()), *merged):
        if isinstance(node, ScalarNode):
            yield from _patch((*path, "patch"), node, _named(target), is_target=is_target)
    if is_target:
        sources = tuple(Source("patch", name) for name in _texts(told.get("path", ())))
        yield PlainSecret(_named(target), "is patched with readable values", (), (), sources)


def _patch(path: tuple[str, ...], text: ScalarNode, target: ResourceId, *, is_target: bool) -> Iterator[PlainSecret]:
    data = text.value.encode(errors="replace")
    found = find(data)
    values = [value for one in found for value in one.values]
    values += _patch_values(data) if is_target else []
    resource = found[0].resource if found and not target.name else target
    yield PlainSecret(resource, "is patched with readable values", ((path, text),), tuple(values))


def _patch_values(data: bytes) -> list[str]:
    """Return what a patch puts into the data of a Secret: by operations (RFC 6902), or by a part of the object."""
    values = []
    for root in _roots(data):
        told = _fields(root)
        is_encrypted = _is_encrypted(told)
        changed = [leaf for part in _DATA for node in told.get(part, ()) for _, leaf in leaves(node)]
        for operation in map(_fields, _items([root])):
            if _first(operation.get("path", ())).startswith(_DATA_PATHS):
                changed += [leaf for node in operation.get("value", ()) for _, leaf in leaves(node)]
        values += [leaf.value for leaf in changed if is_readable(leaf.value, is_encrypted=is_encrypted)]
    return values


def _source_values(form: str, data: bytes) -> list[str]:
    if form == "patch":
        return _patch_values(data)
    text = data.decode(errors="replace")
    is_encrypted = bool(_ENCRYPTED_MAC.search(text))
    if form == "env":
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        values = [line.partition("=")[2] for line in lines]
        return [value for value in values if is_readable(value, is_encrypted=is_encrypted)]
    is_encrypted = is_encrypted or any(map(_is_encrypted, map(_fields, _roots(data))))
    return [text] if is_readable(text) and not is_encrypted else []
