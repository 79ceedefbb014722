"""Secrets that everybody can read are found in any file that parses, and what nobody can read passes."""

from __future__ import annotations

import json
import time
import tracemalloc
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk8s_publish.model import Folder
from cdk8s_publish.review import plain_secrets
from cdk8s_publish.review.checks import check
from cdk8s_publish.review.delta import delta
from support.rendering import Rendering, resource

if TYPE_CHECKING:
    from pathlib import Path

SECRET = resource("s", kind="Secret", rest="stringData: {p: hunter2}\n")
OBJECT = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "hunter2"}}
RAW = {"metadata": {"name": "s"}, "data": {"p": "aHVudGVyMg=="}}
HEAD = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n"
ENCRYPTED = "ENC[AES256_GCM,data:iVx/hA==,iv:q0+hbDdD0qKbZ9XgHRBqz8pW4m5bRQ==,tag:4hJ5aVb+Zy2Q3w==,type:str]"
SOPS = f"sops:\n  lastmodified: '2026-01-01T00:00:00Z'\n  mac: {ENCRYPTED}\n  version: 3.9.0\n"
VARIABLES = f"A={ENCRYPTED}\nB=\nsops_mac={ENCRYPTED}\n".encode()
BINARY = json.dumps({"data": ENCRYPTED, "sops": {"mac": ENCRYPTED}}).encode()
LAUGHS = b"a: &a0 [x]\n" + b"".join(
    b"b%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)
)
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUSTOMIZE = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
NEIGHBOUR = {"zz.yaml": resource("zz")}


@pytest.fixture
def rendering(tmp_path: Path) -> Rendering:
    return Rendering(tmp_path)


def found(rendering: Rendering, files: dict[str, bytes]) -> list[str]:
    """Return which Secrets are refused, and in which file, when these files are published first."""
    findings = check(delta(rendering.rendered(NEIGHBOUR | files), Folder("dist")), {}).findings
    return [f"{one.file}: {one.resource}" for one in findings if one.rule == "plain-secret"]


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def annotated(copy: str, rest: str = "") -> bytes:
    return HEAD + f"  annotations:\n    {LAST_APPLIED}: {json.dumps(copy)}\n{rest}".encode()


@pytest.mark.parametrize(
    ("document", "is_plain"),
    [
        (b"data: {a: aGk=}\n", True),
        (b"stringData: {a: hi}\n", True),
        (b"stringData: {a: 1}\n", True),
        (b"x: &x {a: aGk=}\ndata: *x\n", True),
        (b"x: &x {a: aGk=}\ndata: {<<: *x}\n", True),
        (b"x: &x {data: {a: aGk=}}\n<<: *x\n", True),
        (b"data: " + b"[" * 900 + b"aGk=" + b"]" * 900 + b"\n", True),
        (b"data: {}\n", False),
        (b"data:\n", False),
        (b"stringData: {a: }\n", False),
        (b"stringData: {a: '', b: ' '}\n", False),
        (b"type: kubernetes.io/service-account-token\n", False),
    ],
)
def test_secret__with_a_value_is_found(rendering: Rendering, document: bytes, *, is_plain: bool) -> None:
    assert found(rendering, {"a.yaml": HEAD + document}) == ["a.yaml: Secret s"] * is_plain


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("s.json", json.dumps(OBJECT).encode()),
        ("s.json", json.dumps(OBJECT, indent="\t").encode()),
        ("s.json", json.dumps(OBJECT | {"x": "\ud83d\ude00"}).encode()),
        ("s.json", b'{"a": 1}\n' + json.dumps(OBJECT).encode() + b"\n"),
        ("s.json", b"\xef\xbb\xbf" + json.dumps(OBJECT).encode()),
        ("s.json", json.dumps([OBJECT]).encode()),
        ("s.json", json.dumps(OBJECT).replace("Secret", "\\u0053ecret").encode()),
        ("s.YAML", SECRET),
        ("s.txt", SECRET),
        ("s", SECRET),
        ("sub/.hidden", SECRET),
        ("s.yaml.bak", b"a: [\n---\n" + SECRET),
        ("s.txt", b"a: b\n---\n" + SECRET + b"...\n---\nc: d\n"),
        ("s.txt", SECRET.replace(b"\n", b"\r\n")),
        ("s.txt", SECRET.decode().encode("utf-16")),
        ("s.txt", b"k: &k Secret\n" + SECRET.replace(b"kind: Secret", b"kind: *k")),
        ("s.txt", SECRET.replace(b"kind: Secret", b'"k\\x69nd": "Secr\\\n  et"')),
        ("s.txt", SECRET + b"stringData: {}\n"),
        ("s.yaml", json.dumps({"apiVersion": "v1", "kind": "List", "items": [OBJECT]}).encode()),
        ("s.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": [OBJECT]}).encode()),
        ("s.json", json.dumps({"apiVersion": "v1", "kind": "SecretList", "items": [OBJECT]}).encode()),
        ("s.json", json.dumps({"apiVersion": "v1", "kind": "SecretList", "items": [RAW]}).encode()),
        ("s.yaml", HEAD.replace(b"v1", b"/v1") + b"stringData: {p: hunter2}\n"),
        ("s.yaml", resource("o", kind="Object", version="x.io/v1", rest=f"spec: {{manifest: {json.dumps(OBJECT)}}}\n")),
    ],
)
def test_secret__is_found_whatever_the_file_is_called__a11(rendering: Rendering, name: str, data: bytes) -> None:
    assert found(rendering, {name: data}) == [f"{name}: Secret s"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (
            "a.yaml",
            resource(
                "s", kind="SealedSecret", version="bitnami.com/v1alpha1", rest="spec: {encryptedData: {a: AgB}}\n"
            ),
        ),
        (
            "a.yaml",
            resource(
                "s",
                kind="ExternalSecret",
                version="external-secrets.io/v1",
                rest="spec:\n  secretStoreRef: {kind: SecretStore}\n  target: {template: {data: {url: 'x{{ .p }}'}}}\n",
            ),
        ),
        ("a.yaml", resource("s", kind="Secret", version="x.io/v1", rest="data: {a: aGk=}\n")),
        ("a.yaml", resource("s", rest="data:\n  doc: |\n    kind: Secret\n    data: {a: aGk=}\n")),
        (
            "a.yaml",
            resource(
                "s", kind="Widget", version="x.io/v1", rest="spec: {ref: {kind: Secret, name: db}, data: {a: b}}\n"
            ),
        ),
        (
            "README.md",
            b"# Secrets\n\nWrite it like this:\n\n```yaml\n" + SECRET + b"```\n\n---\n\nkind: Secret, or not.\n",
        ),
        ("notes.txt", b"A Secret has data: of a kind.\n"),
        ("x.bin", b"\0\1Secret\xff\xfe" * 50),
        ("x.json", b'{"kind": "Secret", "data": '),
    ],
)
def test_secret__what_only_looks_like_one_passes__a11(rendering: Rendering, name: str, data: bytes) -> None:
    assert found(rendering, {name: data}) == []


@pytest.mark.parametrize(
    ("document", "is_plain"),
    [
        (f"data: {{a: '{ENCRYPTED}', b: ''}}\n{SOPS}", False),
        (f"stringData:\n  a: {ENCRYPTED}\n{SOPS}", False),
        (f"data: {{a: '{ENCRYPTED}'}}\n", True),
        (f"data: {{a: '{ENCRYPTED}'}}\nsops: {{mac: x}}\n", True),
        (f"data: {{a: '{ENCRYPTED}', b: aGk=}}\n{SOPS}", True),
        (f"data: {{a: aGk=}}\n{SOPS}", True),
        (f"stringData: {{a: 'ENC[hunter2hunter2'}}\n{SOPS}", True),
        (f"stringData: {{a: 'ENC[AES256_GCM,data:hunter2]'}}\n{SOPS}", True),
        (f"stringData: {{a: '{ENCRYPTED} hunter2'}}\n{SOPS}", True),
    ],
)
def test_secret__sops_is_known_by_its_metadata__a11(rendering: Rendering, document: str, *, is_plain: bool) -> None:
    assert found(rendering, {"a.yaml": HEAD + document.encode()}) == ["a.yaml: Secret s"] * is_plain


@pytest.mark.parametrize(
    ("copy", "rest", "is_plain"),
    [
        (json.dumps(OBJECT), "", True),
        (json.dumps(OBJECT), f"stringData: {{p: '{ENCRYPTED}'}}\n{SOPS}", True),
        (json.dumps({"data": {"p": encoded("hunter2")}}), "data:\n", True),
        ("hunter2", "", True),
        (json.dumps({"data": {"p": ENCRYPTED}}), SOPS, False),
        (json.dumps({"kind": "Secret", "data": None}), "", False),
        (json.dumps({"stringData": {"p": "${DB}"}}), "", False),
        ("", "", False),
        (ENCRYPTED, f"stringData: {{p: '{ENCRYPTED}'}}\n{SOPS}", False),
    ],
)
def test_secret__the_copy_of_kubectl_counts__s58(rendering: Rendering, copy: str, rest: str, *, is_plain: bool) -> None:
    assert found(rendering, {"a.yaml": annotated(copy, rest)}) == ["a.yaml: Secret s"] * is_plain


@pytest.mark.parametrize(
    ("value", "is_plain"),
    [
        ("${DB}", False),
        ("${A}${_b2}", False),
        ("<path:secret/data/x#y>", False),
        ("<path:secret/data/x#y#3>", False),
        ("<path:secret/data/x#y | base64encode>", False),
        (encoded("<path:secret/data/x#y>"), False),
        ("${DB:=hunter2}", True),
        ("${DB:-hunter2}", True),
        ("x${DB}", True),
        ("$DB", True),
        ("${}", True),
        ("<path:x>", True),
        ("<y>", True),
        ("postgres://app:hunter2@${HOST}", True),
    ],
)
def test_secret__a_placeholder_is_none__s59(rendering: Rendering, value: str, *, is_plain: bool) -> None:
    data = HEAD + f"stringData: {{p: {json.dumps(value)}}}\n".encode()
    assert found(rendering, {"a.yaml": data}) == ["a.yaml: Secret s"] * is_plain


PLAIN_PATCH = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {p: hunter2}\n"
OPERATIONS = "- op: replace\n  path: /data/p\n  value: aHVudGVyMg==\n"


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("secretGenerator:\n- name: s\n  literals: [password=hunter2]\n", {}),
        ("secretGenerator:\n- name: s\n  literals: [empty=, password=hunter2]\n", {}),
        ("SecretGenerator:\n- {name: s, literals: [password=hunter2]}\n", {}),
        ("secretGenerator:\n- {name: s, envs: [db.env]}\n", {"db.env": b"# of the database\nPASSWORD=hunter2\n"}),
        ("secretGenerator:\n- {name: s, env: db.env}\n", {"db.env": b"PASSWORD=hunter2\n"}),
        (
            "secretGenerator:\n- {name: s, envs: [db.env]}\n",
            {"db.env": f"A={ENCRYPTED}\nP=hunter2\nsops_mac={ENCRYPTED}\n".encode()},
        ),
        ("secretGenerator:\n- {name: s, files: [./keys/tls.key]}\n", {"keys/tls.key": b"-----BEGIN KEY-----\n"}),
        ("secretGenerator:\n- {name: s, files: [tls.key=keys/x]}\n", {"keys/x": b"-----BEGIN KEY-----\n"}),
        (f"patches:\n- patch: |-\n{indented(PLAIN_PATCH)}", {}),
        (f"patchesStrategicMerge:\n- |-\n{indented(PLAIN_PATCH)}", {}),
        (f"patches:\n- target: {{kind: Secret, name: s}}\n  patch: |-\n{indented(OPERATIONS)}", {}),
        ("patches:\n- target: {kind: Secret, name: s}\n  patch: '{data: {p: aGk=}}'\n", {}),
        (
            f"patchesJson6902:\n- target: {{version: v1, kind: Secret, name: s}}\n  patch: |-\n{indented(OPERATIONS)}",
            {},
        ),
        ("patches:\n- {target: {kind: Secret, name: s}, path: p.json}\n", {"p.json": OPERATIONS.encode()}),
    ],
)
@pytest.mark.parametrize("folder", ["", "sub/"])
def test_kustomization__that_makes_a_readable_secret__a11(
    rendering: Rendering, text: str, others: dict[str, bytes], folder: str
) -> None:
    files = {f"{folder}kustomization.yaml": (KUSTOMIZE + text).encode()}
    files |= {folder + path: data for path, data in others.items()}
    assert found(rendering, files) == [f"{folder}kustomization.yaml: Secret s"]


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("secretGenerator:\n- {name: s}\n- {name: t, literals: [a=, 'b=${B}']}\n", {}),
        ("secretGenerator:\n- {name: s, envs: [db.env]}\n", {}),
        ("secretGenerator:\n- {name: s, envs: [db.env]}\n", {"db.env": VARIABLES}),
        ("secretGenerator:\n- {name: s, files: [x.json]}\n", {"x.json": BINARY}),
        ("secretGenerator:\n- {name: s, files: [x.yaml]}\n", {"x.yaml": SOPS.encode() + f"p: {ENCRYPTED}\n".encode()}),
        ("configMapGenerator:\n- {name: s, literals: [about=Secret]}\n", {}),
        (f"patches:\n- patch: |-\n{indented(PLAIN_PATCH.replace('hunter2', '${P}'))}", {}),
        ("patches:\n- target: {kind: Secret, name: s}\n  patch: '[{op: remove, path: /data/p}]'\n", {}),
        ("patches:\n- target: {kind: Secret}\n  patch: '[{op: add, path: /metadata/labels/a, value: b}]'\n", {}),
        ("patches:\n- target: {kind: Deployment}\n  patch: '[{op: add, path: /data/a, value: b}]'\n", {}),
        ("patches:\n- {target: {kind: Secret, name: s}, path: p.json}\n", {}),
    ],
)  # fmt: skip
def test_kustomization__without_a_readable_value_passes__a11(
    rendering: Rendering, text: str, others: dict[str, bytes]
) -> None:
    assert found(rendering, {"kustomization.yaml": (KUSTOMIZE + text).encode()} | others) == []


@pytest.mark.parametrize(
    "spec",
    [
        f"spec:\n  patches:\n  - patch: |\n{indented(indented(PLAIN_PATCH))}",
        f"spec:\n  source:\n    kustomize:\n      patches:\n      - patch: |\n{indented(indented(PLAIN_PATCH))}",
    ],
)
def test_patch__in_an_object_of_a_controller_is_found__a11(rendering: Rendering, spec: str) -> None:
    data = resource("k", kind="Kustomization", version="kustomize.toolkit.fluxcd.io/v1", rest=spec)
    assert found(rendering, {"k.yaml": data}) == ["k.yaml: Secret s"]


def test_generator__of_a_file_that_is_no_longer_encrypted__a11(rendering: Rendering) -> None:
    """The kustomization file itself stays as it is."""
    settings = {"kustomization.yaml": f"{KUSTOMIZE}secretGenerator:\n- {{name: s, envs: [db.env]}}\n".encode()}
    old = NEIGHBOUR | settings | {"db.env": f"A={ENCRYPTED}\nsops_mac={ENCRYPTED}\n".encode()}
    new = NEIGHBOUR | settings | {"db.env": b"A=hunter2\n"}
    checked = check(rendering.delta(new, old, 1), rendering.blobs)
    assert [one.rule for one in checked.findings if one.level == "error"] == ["plain-secret"]
    again = check(rendering.delta(new | {"b.yaml": resource("b")}, new, 1), rendering.blobs)
    assert [one.rule for one in again.findings if one.level == "error"] == []


def test_secret__without_a_name_is_told_of(rendering: Rendering) -> None:
    one = delta(rendering.rendered(NEIGHBOUR | {"a.txt": b"kind: Secret\ndata: {a: aGk=}\n"}), Folder("dist"))
    (finding,) = check(one, {}).findings
    assert finding.message.startswith("A Secret holds readable values")
    assert finding.resource is None


@pytest.mark.parametrize(
    "data",
    [
        b"kind: Secret\na: &a [*a]\ndata: *a\n",
        b"kind: Secret\ndata: &a {x: {<<: *a}}\n",
        b"&r\nkind: Secret\n<<: *r\n",
        LAUGHS + b"kind: Secret\ndata: *a11\n",
        b"kind: Secret\ndata: " + b"[" * 100_000,
        b'{"kind": "Secret", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"kind": "Secret", "data": [' + b"{}," * 2_500_000 + b"1]}",
    ],
)  # fmt: skip
def test_secret__hostile_files_cost_little(rendering: Rendering, data: bytes) -> None:
    start = time.process_time()
    tracemalloc.start()
    found(rendering, {"a.txt": data})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 300_000_000
    assert time.process_time() - start < 15  # it is the measuring that takes long


@given(st.binary(max_size=100) | st.text("Secretkinda:{}[]-&*<!|>'\"\\?#% \n", max_size=80).map(str.encode))
def test_secret__any_bytes_are_taken(data: bytes) -> None:
    assert plain_secrets.find(data + b"\n---\n" + SECRET)


@pytest.mark.parametrize(("name", "is_found"), [("big.yaml", True), ("big.txt", False)])
def test_secret__behind_much_text_is_found_in_a_manifest__a11(
    rendering: Rendering, name: str, *, is_found: bool
) -> None:
    data = b"# " + b"x" * plain_secrets.MAX_BYTES + b"\n---\n" + SECRET
    assert found(rendering, {name: data}) == [f"{name}: Secret s"] * is_found
