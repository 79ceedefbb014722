"""Documents become manifests the way kustomize-controller reads them, or findings that say why not."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cdk8s_publish.model import (
    CustomKind,
    Folder,
    Level,
    RenderedFile,
    RenderedManifests,
    ResourceId,
    Sha,
    Trait,
)
from cdk8s_publish.review.delta import delta, top_folder
from cdk8s_publish.review.manifests import parse, role
from support.documents import CONFIG, OTHER, READ, REFUSED, STRICTER, laughs
from support.flux_trees import definition

# Text that is legal in YAML and nasty in a name.
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.builds(
    lambda group, kind, namespace, name, data: {
        "apiVersion": f"{group}/v1" if group else "v1",
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "data": data,
    },
    st.sampled_from(["", "apps", "example.com"]),
    st.sampled_from(["ConfigMap", "Deployment", "yes", "123"]),
    st.one_of(st.just(""), TEXTS),
    TEXTS,
    VALUES,
)


def dumped(value: object, *, is_flow: bool = False) -> bytes:
    # In quotes, because PyYAML leaves plain what Go takes for a number: `0E0`.
    style = "'" if is_flow else '"'
    text: str = yaml.safe_dump(value, allow_unicode=True, default_flow_style=is_flow, default_style=style)
    return text.encode()


@pytest.mark.parametrize("name", READ)
def test_parse__reads(name: str) -> None:
    data, resources = READ[name]
    parsed = parse("file.yaml", data)
    assert parsed.findings == ()
    assert [str(manifest.resource) for manifest in parsed.manifests] == resources


@pytest.mark.parametrize("name", REFUSED | STRICTER)
def test_parse__refuses(name: str) -> None:
    data, message = (REFUSED | STRICTER)[name]
    findings = parse("file.yaml", data).findings
    assert findings
    assert message in findings[0].message
    assert all(finding.level is Level.ERROR and finding.file == "file.yaml" for finding in findings)


def test_parse__goes_on_after_a_flaw() -> None:
    parsed = parse("app.yaml", b"a: [\n---\n" + CONFIG + b"---\nx: y\n")
    assert [manifest.resource for manifest in parsed.manifests] == [ResourceId("", "ConfigMap", "", "a")]
    assert [finding.rule for finding in parsed.findings] == ["invalid-yaml", "not-a-resource"]


def test_parse__keeps_the_bytes_of_each_document() -> None:
    first, second = b"# why\n" + CONFIG + b"# end\n", OTHER.replace(b"\n", b"\r\n") + b"data: {a: '\xc3\xa9'}"
    texts = [manifest.text for manifest in parse("app.yaml", b"---\n" + first + b"---\n" + second).manifests]
    assert texts == [first, second]


def test_parse__list_items_are_documents_of_their_own() -> None:
    texts = [manifest.text for manifest in parse("app.yaml", READ["list with shared parts"][0]).manifests]
    assert [yaml.safe_load(text)["metadata"]["name"] for text in texts] == ["a", "b"]
    assert yaml.safe_load(texts[1])["kind"] == "ConfigMap"


def test_parse__generated_name_is_explained() -> None:
    (finding,) = parse("app.yaml", REFUSED["generated name"][0]).findings
    assert "replace generateName" in finding.hint


def test_parse__never_repeats_what_could_be_a_secret() -> None:
    for value in (b"*hunter2", b"!hunter2!x y", b"[hunter2", b"'hunter2", b"hunter2: x", b"`hunter2", b"\x01hunter2"):
        findings = parse("app.yaml", CONFIG + b"stringData:\n  password: " + value + b"\n").findings
        assert not any("hunter2" in str(finding) + finding.hint for finding in findings)


@pytest.mark.parametrize(
    "data",
    [
        laughs(12),
        CONFIG + b"a: &a [*a]\n",
        CONFIG + b"data: &a {x: {<<: *a}}\n",
        CONFIG.replace(b"metadata:", b"metadata: &m\n  <<: *m"),
        b"&r\n" + CONFIG + b"<<: *r\n",
    ],
)
def test_parse__aliases_without_end_are_refused_in_time(data: bytes) -> None:
    start = time.process_time()
    (finding,) = parse("app.yaml", data).findings
    assert "aliases expand to more than 500,000 values" in finding.message
    assert time.process_time() - start < 5


@pytest.mark.parametrize("opening", [b"[", b"{", b"- ", b"? ", b"a: [", b"- - "])
def test_parse__nesting_can_not_crash(opening: bytes) -> None:
    (finding,) = parse("app.yaml", opening * 200_000).findings
    assert finding.rule == "invalid-yaml"


@given(st.binary(max_size=200) | st.text("apiVersonkd:Lt{}[]-&*<!|>'\"?#%~ \n\t1", max_size=80).map(str.encode))
def test_parse__takes_any_bytes(data: bytes) -> None:
    parsed = parse("file.yaml", data)
    assert all(manifest.text in data for manifest in parsed.manifests)


@given(st.lists(st.tuples(OBJECTS, st.booleans()), max_size=4))
def test_parse__identities_survive_any_text(objects: list[tuple[dict[str, Any], bool]]) -> None:
    documents = [dumped(value, is_flow=is_flow) for value, is_flow in objects]
    parsed = parse("file.yaml", b"---\n".join(documents))
    assert parsed.findings == ()
    assert [manifest.text for manifest in parsed.manifests] == documents
    for manifest, (value, _) in zip(parsed.manifests, objects, strict=True):
        metadata = value["metadata"]
        assert (manifest.resource.name, manifest.resource.namespace) == (
            metadata["name"],
            metadata.get("namespace", ""),
        )
        assert manifest.resource.kind == value["kind"]


FILES = st.dictionaries(
    st.sampled_from(["a.yaml", "b.yaml", "c.yml", "d", "e.txt", "kustomization.yaml", "Chart.yaml", "x/Chart.yaml"]),
    st.sampled_from("1234"),
)


def rendered(files: dict[str, str]) -> RenderedManifests:
    listed = (RenderedFile(path, "/nowhere", 1, Sha(blob)) for path, blob in sorted(files.items()))
    return RenderedManifests("app", "dist", tuple(listed))


def content(path: str, blob: str) -> tuple[str, str, str]:
    return blob, role(path), top_folder(path)


@given(FILES, FILES)
def test_delta__pairs_every_file_once(new: dict[str, str], old: dict[str, str]) -> None:
    found = delta(rendered(new), Folder("dist", {path: Sha(blob) for path, blob in old.items()}))
    assert sorted([file.path for file in (*found.kept, *found.changed)]) == sorted(new)
    kept = Counter(content(file.path, file.blob) for file in found.kept)
    gone = Counter(content(path, blob) for path, blob in found.gone.items())
    assert kept + gone == Counter(content(path, blob) for path, blob in old.items())
    assert not Counter(content(file.path, file.blob) for file in found.changed) & gone
    assert found.moved is (new != old)
    assert found.wanted == tuple(sorted(set(found.gone.values())))


@pytest.mark.parametrize("data", [b"a: [", b"a: 1\n", b"\xff", b"kind: List\nitems: x\n", b"1: 2\n"])
def test_parse__every_finding_says_what_to_do(data: bytes) -> None:
    (finding,) = parse("app.yaml", data).findings
    assert finding.hint


@pytest.mark.parametrize(
    ("text", "traits"),
    [
        (b"  annotations: {config.kubernetes.io/local-config: 'true'}\n", (Trait.LOCAL,)),
        (b"  annotations: {config.kubernetes.io/local-config: 'false'}\n", ()),
        (b"  annotations: {internal.config.kubernetes.io/needsHashSuffix: enabled}\n", (Trait.RENAMED,)),
        (b"  labels: {app: web, version: 1.10}\n", (Trait.UNLABELLED,)),
        (b"  labels: {a: true}\n", (Trait.UNLABELLED,)),
        (b"  labels: {a: !!int '1'}\n", (Trait.UNLABELLED,)),
        (b"  labels: {a: {b: c}}\n", (Trait.UNLABELLED,)),
        (b"  labels: [a]\n", (Trait.UNLABELLED,)),
        (b"  labels: {a: 1_000.5}\n", (Trait.UNLABELLED,)),
        (b"  labels: {a: '1', b: !!str 1, c: yes, d: 12:30, e: 2026-01-01, f: ~, g: 1e}\n", ()),
        (b"  labels:\n", ()),
    ],
)
def test_parse__traits_of_metadata(text: bytes, traits: tuple[Trait, ...]) -> None:
    (manifest,) = parse("a.yaml", CONFIG + text).manifests
    assert manifest.traits == traits


@pytest.mark.parametrize(
    ("text", "traits"),
    [
        (b"data: {a: 'ENC[x]'}\nsops: {}\n", (Trait.ENCRYPTED,)),
        (b"stringData: {a: 'ENC[x]'}\nsops: {}\n", (Trait.ENCRYPTED_TEXT,)),
        (b"data: {}\n", ()),
    ],
)
def test_parse__traits_of_an_encrypted_secret(text: bytes, traits: tuple[Trait, ...]) -> None:
    (manifest,) = parse("a.yaml", CONFIG.replace(b"ConfigMap", b"Secret") + text).manifests
    assert manifest.traits == traits


@pytest.mark.parametrize("scope", ["Namespaced", "Cluster"])
def test_parse__custom_kind(scope: str) -> None:
    (manifest,) = parse("a.yaml", definition("Widget", scope).encode()).manifests
    assert manifest.defines == CustomKind("odd.example.com", "Widget", scope == "Namespaced")
