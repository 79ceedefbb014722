"""Read kustomize's own configuration, as far as it says which files are applied.

A file that lists resources and says nothing else can be followed. All other fields (patches, generators, a namespace,
…) may change what is applied. We don't build, so with them the answer is that we can't know.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from yaml.nodes import MappingNode, SequenceNode

from cdk8s_publish.review.manifests import FlawError, compose, fields, is_null, is_text, leaves, string

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from yaml.nodes import Node

GROUP = "kustomize.config.k8s.io"

_API_VERSIONS = {"Kustomization": f"{GROUP}/v1beta1", "Component": f"{GROUP}/v1alpha1"}
_NEVER_NAMES = frozenset(
    {
        "buildMetadata",
        "commonAnnotations",
        "commonLabels",
        "crds",
        "images",
        "labels",
        "openapi",
        "replicas",
        "sortOptions",
    }
)
"""Fields that change objects, but neither which ones there are nor their names."""

GENERATORS = frozenset({"configmapgenerator", "secretgenerator", "generatoroptions"})
"""Fields that add objects of the names they give, and take none away."""

PATCHES = frozenset({"patches", "patchesstrategicmerge", "patchesjson6902"})
_MOVES = re.compile(
    r"\$patch|allow(?:Name|Kind)Change|[\"'\s]/(?:metadata(?:/name(?:space)?)?|kind|apiVersion)?(?=[\"'\s,}]|$)"
    r"|path[\"']?\s*:\s*(?:\"\"|'')"
)

_FIELDS = frozenset(
    name.lower()
    for name in (
        *_NEVER_NAMES,
        *(
            "apiVersion",
            "kind",
            "metadata",
            "resources",
            "components",
            "bases",
            "namespace",
            "namePrefix",
            "nameSuffix",
        ),
        *("patches", "patchesStrategicMerge", "patchesJson6902", "imageTags", "replacements", "vars", "configurations"),
        *("configMapGenerator", "secretGenerator", "generatorOptions", "generators", "transformers", "validators"),
        *("helmGlobals", "helmCharts", "helmChartInflationGenerator"),
    )
)
"""All fields (`types.Kustomization` of kustomize 5.8); it reads them in any case."""

_START = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\r?\n)*(?:---[ \t]*(?:#[^\n]*)?\r?\n)?")
_SEPARATOR = re.compile(rb"^---", re.MULTILINE)


class Kustomization(NamedTuple):
    """What a kustomization file says.

    `resources` are the entries of that list, as they are written. `others` are the fields that are not followed, and
    `settings` what those of them say that may change which objects there are, by where it stands. `fault` says why
    kustomize refuses the file; it is empty for a good one.
    """

    resources: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    fault: str = ""


def read_kustomization(data: bytes, *, is_top: bool) -> Kustomization:
    """Read a file; `is_top` says that it is in the applied folder itself, of which Flux takes more than kustomize."""
    try:
        top = _fields(data)
    except ValueError as error:
        return Kustomization(fault=str(error))
    resources = tuple(_texts(top.get("resources")))
    fault = _type_fault(top, is_top=is_top) or _list_fault(top.get("resources"), resources)
    if fault:
        return Kustomization(resources, fault=fault)
    others = {name: value for name, value in top.items() if not _is_followed(name, value)}
    fault = _field_fault(others, is_top=is_top)
    if not is_top and not others and not _has_content(top):
        fault = "it says nothing"
    return Kustomization(resources, tuple(sorted(others)), tuple(_settings(others)), fault)


def _fields(data: bytes) -> dict[str, Node]:
    """Return the fields of the file; raise ValueError where it is not one mapping."""
    start = _START.match(data)
    body = data[start.end() :] if start else data
    if _SEPARATOR.search(body):
        raise ValueError("it holds more than one document")
    try:
        root = compose(body)
    except FlawError as flaw:
        line = data.count(b"\n", 0, len(data) - len(body)) + flaw.line + 1
        raise ValueError(f"line {line}: {flaw}") from None
    if not isinstance(root, MappingNode | None) and not is_null(root):
        raise ValueError("it is not a mapping")
    return fields(root)


def _is_followed(name: str, value: Node) -> bool:
    """Whether a field changes nothing, or nothing but what is in the list of resources."""
    if name == "metadata" and isinstance(value, MappingNode):
        return all(field == "name" and string(told) for field, told in fields(value).items())
    if name == "metadata":
        return is_null(value)
    return name in {"apiVersion", "kind", "resources"}


def _type_fault(top: Mapping[str, Node], *, is_top: bool) -> str:
    for name in ("apiVersion", "kind"):
        if not _is_text_or_unset(top.get(name)):
            return f"its {name} is not a string"
    kind = string(top.get("kind")) or "Kustomization"
    if kind not in _API_VERSIONS:
        return f"its kind is {kind}, not Kustomization"
    # Flux fills in what the file that it reads itself does not say, whatever its kind.
    version = string(top.get("apiVersion")) or _API_VERSIONS["Kustomization" if is_top else kind]
    if version != _API_VERSIONS[kind]:
        return f"its apiVersion is {version}, not {_API_VERSIONS[kind]}"
    is_listed_component = kind == "Component" and not is_top
    return "a Component can't be listed as a resource" if is_listed_component else ""


def _is_text_or_unset(node: Node | None) -> bool:
    return node is None or is_text(node) or is_null(node)


def _field_fault(others: Iterable[str], *, is_top: bool) -> str:
    """Flux drops what it does not know from the file that it reads itself; kustomize refuses it anywhere below."""
    if "helmCharts" in others:
        return "it uses `helmCharts`, and Flux renders no Helm charts in kustomize"
    unknown = [name for name in others if name.lower() not in _FIELDS]
    return f"`{unknown[0]}` is not a field of kustomize" if unknown and not is_top else ""


def _texts(listed: Node | None) -> Iterator[str]:
    """Yield the entries of a list; one that is not text is empty."""
    if isinstance(listed, SequenceNode):
        for entry in listed.value:
            yield string(entry)


def _list_fault(listed: Node | None, entries: tuple[str, ...]) -> str:
    if listed is not None and not isinstance(listed, SequenceNode) and not is_null(listed):
        return "`resources` is not a list"
    return "" if all(entries) else "`resources` holds something that is not a string"


def patch_moves(text: str) -> bool:
    """Whether a patch may delete an object, or change its name, namespace or kind.

    `text` is a patch, or a line of how it is given. Everything else that patches do leaves the object where it is.
    """
    return _MOVES.search(text) is not None


def _settings(others: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    for name in sorted(others.keys() - _NEVER_NAMES):
        only_names = name.lower() in GENERATORS
        yield name, ""
        for path, leaf in leaves(others[name]):
            if not only_names or path[-1] in {"name", "namespace"}:
                yield "/".join((name, *path)), leaf.value


def _has_content(top: Mapping[str, Node]) -> bool:
    """Whether kustomize finds any field set: an empty list counts, null doesn't."""
    return any(name in top and not is_null(top[name]) for name in ("metadata", "resources"))
