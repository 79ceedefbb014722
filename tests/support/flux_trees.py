"""Trees of a target branch, and what Flux applies of their folder `dist`: our reading is held to this table, and Flux.

Paths are relative to `dist` unless they start with `/`, which is the root of the branch.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import METADATA_FILE
from cdk8s_publish.review.controller import applied as ours
from cdk8s_publish.review.controller.reading import Branch, read_folder
from cdk8s_publish.review.manifests import parse
from support.rendering import blob

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdk8s_publish.review.controller.reading import Reading

FOLDER = "dist"


class Link(NamedTuple):
    """A symbolic link."""

    target: str


Content = str | bytes | Link
Tree = dict[str, Content]


class Applied(NamedTuple):
    """A tree that Flux takes, and the resources that it applies."""

    files: Tree
    resources: tuple[str, ...]


class Refused(NamedTuple):
    """A tree of which Flux applies nothing, in which stage it gives up and a part of what it says."""

    files: Tree
    stage: str
    words: str


def branch_path(path: str) -> str:
    """Return the path of a tree's file from the root of the branch."""
    return path[1:] if path.startswith("/") else f"{FOLDER}/{path}"


def write(tree: Mapping[str, Content], root: Path) -> None:
    """Write a tree and the record of our own in its folder; names that are not UTF-8 have surrogate escapes."""
    for path, content in {METADATA_FILE: "{}", **tree}.items():
        location = os.fsencode(root / branch_path(path))
        os.makedirs(os.path.dirname(location), exist_ok=True)  # noqa: PTH103, PTH120 - a name of bytes
        if isinstance(content, Link):
            os.symlink(content.target, location)  # noqa: PTH211 - a name of bytes
        else:
            with open(location, "wb") as file:  # noqa: PTH123 - a name of bytes
                file.write(content if isinstance(content, bytes) else content.encode())


def contents(tree: Mapping[str, Content]) -> dict[str, bytes]:
    """Return the regular files of a tree and our own record, by their paths on the branch."""
    files = {branch_path(METADATA_FILE): b"{}"}
    for path, content in tree.items():
        if not isinstance(content, Link):
            files[branch_path(path)] = content if isinstance(content, bytes) else content.encode()
    return files


def read(tree: Mapping[str, Content]) -> Reading:
    """Find the files of a tree that are read for its folder."""
    files = contents(tree)
    return read_folder(Branch({path: blob(data) for path, data in files.items()}, files.__getitem__), FOLDER)


def applied_to(tree: Mapping[str, Content]) -> ours.Applied:
    """Return what we say that is applied of a tree."""
    files = contents(tree)
    return ours.applied(read(tree), lambda path, _blob: parse(path, files[path]))


def config(name: str, rest: str = "data: {a: b}\n", **metadata: object) -> str:
    """Return a ConfigMap of the namespace `odd`, with more metadata."""
    fields = {"name": name, "namespace": "odd", **metadata}
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {json.dumps(fields)}\n{rest}"


def manifest(version: str, kind: str, metadata: str, rest: str = "") -> str:
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {metadata}\n{rest}"


def definition(kind: str, scope: str = "Namespaced") -> str:
    """Return a CustomResourceDefinition of the group `odd.example.com` whose objects may hold anything."""
    plural = f"{kind.lower()}s"
    schema = "{openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}"
    return manifest(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        f"{{name: {plural}.odd.example.com}}",
        "spec:\n"
        "  group: odd.example.com\n"
        f"  names: {{kind: {kind}, plural: {plural}, singular: {kind.lower()}, listKind: {kind}List}}\n"
        f"  scope: {scope}\n"
        f"  versions: [{{name: v1, served: true, storage: true, schema: {schema}}}]\n",
    )


def custom(kind: str, spec: str, metadata: str = "{name: x, namespace: odd}") -> str:
    return manifest("odd.example.com/v1", kind, metadata, f"spec: {spec}\n")


def listing(*resources: str) -> str:
    """Return a kustomization file that lists resources and nothing else."""
    return f"resources: {json.dumps(resources)}\n"


A, B, C = config("a"), config("b"), config("c")
JSON = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"odd"}}'
SOPS = "sops: {mac: 'ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]'}\n"
LOCAL = "config.kubernetes.io/local-config"
KUSTOMIZE = "kustomize.config.k8s.io"
GENERATOR = "[{name: b, namespace: odd, literals: [a=b], options: {disableNameSuffixHash: true}}]"

ONE = ("ConfigMap odd/a",)
TWO = ("ConfigMap odd/a", "ConfigMap odd/b")
THREE = (*TWO, "ConfigMap odd/c")

APPLIED: dict[str, Applied] = {
    # Which files are read.
    "files of every folder": Applied({"a.yaml": A, "b/b.yml": B, "b/c/c.k8s.yaml": C}, THREE),
    "hidden files and folders": Applied({".a.yaml": A, ".b/b.yaml": B, "c/.yaml": C}, THREE),
    "other extensions": Applied({"a.yaml": A, "b.yaml.bak": "{{", "c.txt": "x", "d.YAML": B, "e.json": JSON}, ONE),
    "the rest of the branch": Applied({"a.yaml": A, "/b.yaml": B, "/other/c.yaml": C, "/distant/d.yaml": C}, ONE),
    "names with spaces and dots": Applied({"a .yaml": A, " b.yaml": B, "c./..c.yaml": C, "d.yaml ": C}, THREE),
    "names that are odd elsewhere": Applied(
        {"com0.yaml": A, "x..": "x", "conout$x/b.yaml": B, "x\x85.txt": "x", ".git x/c.yaml": C}, THREE
    ),
    "names beyond ASCII": Applied({"日本 é $x.yaml": A, "\U0001f600/'\":*?.yaml": B}, TWO),
    "names that differ in case or composition": Applied({"é.yaml": A, "e\u0301.yaml": B, "É.yaml": C}, THREE),
    "a long path": Applied({"/".join(["d" * 100] * 12) + "/a.yaml": A}, ONE),
    "a symbolic link": Applied({"a.yaml": A, "x/real.txt": B, "b.yaml": Link("x/real.txt")}, ONE),
    "a symbolic link to a folder": Applied({"a.yaml": A, "x.txt/b.yaml": B, "y": Link("x.txt")}, TWO),
    "no manifest": Applied({"README.md": "x"}, ()),
    "no file": Applied({"/README.md": "x"}, ()),
    "a file like git's own": Applied({"a.yaml": A, ".gitmodules": '[submodule "x"]\n path = x\n url = x\n'}, ONE),
    # What a file may hold.
    "documents": Applied({"a.yaml": f"# x\n---\n{A}---\n# y\n---\n---\n{B}--- # z\n{C}---\n"}, THREE),
    "JSON under a name of YAML": Applied({"a.yaml": JSON, "b.yaml": B}, TWO),
    "empty files": Applied({"a.yaml": A, "b.yaml": "", "c.yaml": " \n\n", "d.yaml": "# x\n", "e.yaml": "null\n"}, ONE),
    "carriage returns": Applied(
        {"a.yaml": A.replace("\n", "\r"), "b.yaml": f"{B}---\n{C}".replace("\n", "\r\n")}, THREE
    ),
    "anchors and merge keys": Applied(
        {
            "a.yaml": manifest("v1", "ConfigMap", "&m {name: a, namespace: odd}", "data: {<<: {a: b}, c: d}\n"),
            "b.yaml": config("b", "data: {a: &x hello, b: *x}\n"),
        },
        TWO,
    ),
    "aliases of aliases": Applied(
        {"a.yaml": config("a", "data: {}\na: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n")}, ONE
    ),
    "tags": Applied({"a.yaml": config("a", "data: {a: !!binary aGVsbG8=, b: !!str 123}\n")}, ONE),
    "deep nesting": Applied(
        {"a.yaml": custom("Nester", "{a: " + "[" * 500 + "]" * 500 + "}")}, ("Nester.odd.example.com odd/x",)
    ),
    "words that YAML 1.1 knows": Applied({"a.yaml": config("a", "data: {on: yes, y: n, no: off}\n")}, ONE),
    "names that look like times": Applied(
        {
            "a.yaml": manifest("v1", "Namespace", "{name: 12-30}")
            + "---\n"
            + manifest("v1", "ConfigMap", "{name: 1:30}")
        },
        ("ConfigMap 1:30", "Namespace 12-30"),
    ),
    "nothing but an identity": Applied(
        {"a.yaml": manifest("v1", "ConfigMap", "{name: a, namespace: odd, labels: null, annotations: }", "data:\n")},
        ONE,
    ),
    "what a cluster adds": Applied(
        {
            "a.yaml": manifest(
                "apps/v1",
                "Deployment",
                "{name: a, namespace: odd, creationTimestamp: null, resourceVersion: '1'}",
                "spec: {template: {metadata: {creationTimestamp: null}}}\nstatus: {}\n",
            )
        },
        ("Deployment.apps odd/a",),
    ),
    "what a cluster refuses": Applied(
        {
            "a.yaml": config("Name_Upper", "data: {a: 1, b: true, $patch: replace}\n", labels={"a": "x" * 64}),
            "b.yaml": manifest("apps/v1", "Deployment", "{name: a}", "spec: {replicas: '3'}\n"),
            "c.yaml": manifest(
                "v1", "Service", f"{{name: {'n' * 254}, namespace: nowhere}}", "spec: {ports: [{port: x}]}\n"
            ),
        },
        ("ConfigMap odd/Name_Upper", "Deployment.apps a", f"Service nowhere/{'n' * 254}"),
    ),
    "a megabyte": Applied({"a.yaml": config("a", f"data: {{a: {'x' * 1_000_000}}}\n")}, ONE),
    "a namespace of no text": Applied(
        {
            "a.yaml": manifest("v1", "ConfigMap", "{name: a, namespace: true}"),
            "b.yaml": manifest("v1", "Pod", "{name: a, namespace: ''}"),
        },
        ("ConfigMap a", "Pod a"),
    ),
    "a cluster-scoped object with a namespace": Applied(
        {"a.yaml": manifest("rbac.authorization.k8s.io/v1", "ClusterRole", "{name: a, namespace: odd}")},
        ("ClusterRole.rbac.authorization.k8s.io odd/a",),
    ),
    "lists": Applied(
        {
            "a.yaml": f"apiVersion: v1\nkind: List\nitems: [{JSON}]\n---\n{B}",
            "b.yaml": "apiVersion: v1\nkind: List\nitems: []\n",
            "c.yaml": "apiVersion: v1\nkind: ConfigMapList\nitems: [" + JSON.replace('"a"', '"c"') + "]\n",
        },
        THREE,
    ),
    "a list in a list": Applied({"a.yaml": f"kind: List\nitems: [{{kind: List, items: [{JSON}]}}]\n"}, ONE),
    "a kind that ends in List": Applied({"a.yaml": custom("DenyList", "[a]")}, ("DenyList.odd.example.com odd/x",)),
    "a custom kind and its definition": Applied(
        {"a.yaml": custom("Widget", "{a: 0644, b: 1_000, c: 12345678901234567890}"), "z.yaml": definition("Widget")},
        ("CustomResourceDefinition.apiextensions.k8s.io widgets.odd.example.com", "Widget.odd.example.com odd/x"),
    ),
    "two versions of two kinds": Applied(
        {
            "a.yaml": manifest("a.example.com/v1", "A", "{name: a}"),
            "b.yaml": manifest("b.example.com/v1", "A", "{name: a}"),
        },
        ("A.a.example.com a", "A.b.example.com a"),
    ),
    "one name in two namespaces": Applied(
        {"a.yaml": config("a"), "b.yaml": config("a", namespace="other")}, (*ONE, "ConfigMap other/a")
    ),
    "objects of Flux": Applied(
        {
            "a.yaml": manifest("helm.toolkit.fluxcd.io/v2", "HelmRelease", "{name: a, namespace: odd}", "spec: {}\n"),
            "b.yaml": manifest(
                "kustomize.toolkit.fluxcd.io/v1", "Kustomization", "{name: b, namespace: odd}", "spec: {}\n"
            ),
            "c.yaml": config("c", annotations={"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}),
        },
        (
            "ConfigMap odd/c",
            "HelmRelease.helm.toolkit.fluxcd.io odd/a",
            "Kustomization.kustomize.toolkit.fluxcd.io odd/b",
        ),
    ),
    "annotations of kustomize": Applied(
        {
            "a.yaml": config(
                "a",
                annotations={
                    "internal.config.kubernetes.io/path": "x",
                    "internal.config.kubernetes.io/prefixes": "x-",
                    "config.kubernetes.io/index": "3",
                },
            )
        },
        ONE,
    ),
    "annotations that are no text": Applied(
        {"a.yaml": config("a", annotations={"a": True, "b": 8080, "c": {"d": "e"}})}, ONE
    ),
    "labels that are no text": Applied(
        {
            "a.yaml": config("a", labels={"app": "web", "version": 1.10}),
            "b.yaml": config("b", labels={"app": "web", "version": "1.10", "null": None}),
            "c.yaml": custom("Widget", "{}", "{name: c, namespace: odd, labels: {app: web, on: true}}"),
        },
        (*TWO, "Widget.odd.example.com odd/c"),
    ),
    "secrets": Applied(
        {
            "a.yaml": manifest("v1", "Secret", "{name: a, namespace: odd}", "stringData: {a: b}\n"),
            "b.yaml": manifest("v1", "Secret", "{name: b, namespace: odd}", "type: Opaque\n"),
        },
        ("Secret odd/a", "Secret odd/b"),
    ),
    # What kustomize leaves out.
    "local configuration": Applied(
        {
            "a.yaml": config("a", annotations={LOCAL: "true"}) + "---\n" + B,
            "c.yaml": config("c", annotations={LOCAL: "false"}),
            "d.yaml": config("d", annotations={LOCAL: "no"}),
            "e.yaml": config("e", annotations={LOCAL: ""}),
        },
        ("ConfigMap odd/b", "ConfigMap odd/c"),
    ),
    "local configuration that is no text": Applied(
        {
            "a.yaml": A,
            "b.yaml": config("b", annotations={LOCAL: True}),
            "c.yaml": config("c", annotations={LOCAL: False}),
        },
        ("ConfigMap odd/a", "ConfigMap odd/c"),
    ),
    "configuration of kustomize under another name": Applied(
        {
            "a.yaml": A,
            "b.yaml": manifest("kustomize.config.k8s.io/v1beta1", "Kustomization", "{name: b}", listing("x.yaml")),
        },
        ONE,
    ),
    # Kustomization files.
    "an empty kustomization file": Applied({"kustomization.yaml": "", "a.yaml": A, "b.yaml": B}, ()),
    "a kustomization file of comments": Applied({"kustomization.yaml": "# x\n", "a.yaml": A, "b.yaml": B}, ()),
    "a kustomization file without resources": Applied(
        {
            "kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n",
            "a.yaml": A,
        },
        (),
    ),
    "a kustomization file that lists one of three": Applied(
        {"kustomization.yaml": listing("a.yaml"), "a.yaml": A, "b.yaml": B, "c/c.yaml": C}, ONE
    ),
    "kustomization.yml": Applied({"kustomization.yml": listing("a.yaml"), "a.yaml": A, "b.yaml": B}, ONE),
    "Kustomization": Applied({"Kustomization": listing("a.yaml"), "a.yaml": A, "b.yaml": B}, ONE),
    "a kustomization file in a subfolder": Applied(
        {"x/kustomization.yaml": listing("a.yaml"), "x/a.yaml": A, "x/b.yaml": B, "c.yaml": C},
        ("ConfigMap odd/a", "ConfigMap odd/c"),
    ),
    "a kustomization file above a subfolder": Applied(
        {"x/kustomization.yaml": listing("a.yaml"), "x/a.yaml": A, "x/y/b.yaml": B, "c.yaml": C},
        ("ConfigMap odd/a", "ConfigMap odd/c"),
    ),
    "a kustomization file below another": Applied(
        {"x/kustomization.yaml": listing("y"), "x/y/Kustomization": listing("a.yaml"), "x/y/a.yaml": A, "x/b.yaml": B},
        ONE,
    ),
    "a kustomization file in a subfolder of another": Applied(
        {"kustomization.yaml": listing("a.yaml"), "a.yaml": A, "x/kustomization.yaml": "resources: [", "x/b.yaml": B},
        ONE,
    ),
    "a kustomization file in a subfolder that lists nothing": Applied(
        {"a.yaml": A, "x/kustomization.yaml": "resources: []\n", "x/b.yaml": B}, ONE
    ),
    "a kustomization file that lists folders": Applied(
        {
            "kustomization.yaml": listing("x", "./y/"),
            "x/kustomization.yaml": listing("a.yaml"),
            "x/a.yaml": A,
            "y/kustomization.yml": listing("../z/b.yaml"),
            "z/b.yaml": B,
            "c.yaml": C,
        },
        TWO,
    ),
    "a kustomization file that lists what is elsewhere": Applied(
        {
            "kustomization.yaml": listing("../other/a.yaml", "../base"),
            "/other/a.yaml": A,
            "/base/Kustomization": listing("b"),
            "/base/b": B,
            "c.yaml": C,
        },
        TWO,
    ),
    "a kustomization file that lists roundabout paths": Applied(
        {
            "kustomization.yaml": listing("x/../a.yaml", "./x//b.yaml", "x/./c.yaml/"),
            "a.yaml": A,
            "x/b.yaml": B,
            "x/c.yaml": C,
        },
        THREE,
    ),
    "a kustomization file that lists any extension": Applied(
        {
            "kustomization.yaml": listing("a.txt", "b.json", "c"),
            "a.txt": A,
            "b.json": JSON.replace('"a"', '"b"'),
            "c": C,
        },
        THREE,
    ),
    "a kustomization file with a name and a version": Applied(
        {
            "kustomization.yaml": manifest(f"{KUSTOMIZE}/v1beta1", "Kustomization", "{name: x}", listing("a.yaml")),
            "a.yaml": A,
        },
        ONE,
    ),
    "a component": Applied(
        {
            "kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n" + listing("a.yaml"),
            "a.yaml": A,
        },
        ONE,
    ),
    "a folder that is named like a kustomization file": Applied(
        {"x/kustomization.yaml/a.yaml": A, "kustomization.yml/b.yaml": B}, TWO
    ),
    # What source-controller leaves out.
    "names that are ignored": Applied(
        {
            "a.yaml": A,
            **dict.fromkeys(
                (
                    "appveyor.yml",
                    "cloudbuild.yaml",
                    "codeship-services.yml",
                    "codeship-steps.yml",
                    ".travis.yml",
                    ".drone.yml",
                ),
                B,
            ),
            **dict.fromkeys(
                (".gitlab-ci.yml", ".goreleaser.yml", ".sops.yaml", ".flux.yaml", "x/.sops.yaml", "x/cloudbuild.yaml"),
                B,
            ),
        },
        ONE,
    ),
    "folders that are ignored": Applied(
        {
            "a.yaml": A,
            **dict.fromkeys(
                (".github/b.yaml", "x/.circleci/b.yaml", "y.zip/b.yaml", "y.png/z/b.yaml", ".flux.yaml/b.yaml"), B
            ),
        },
        ONE,
    ),
    "names that are nearly ignored": Applied(
        {"Cloudbuild.yaml": A, "cloudbuild.yml": B, "x/cloudbuild.k8s.yaml": C, "y.tar/d.yaml": config("d")},
        (*THREE, "ConfigMap odd/d"),
    ),
    "a kustomization file that is ignored": Applied(
        {"x.zip/kustomization.yaml": listing("a.yaml"), "x.zip/a.yaml": A, "b.yaml": B}, ("ConfigMap odd/b",)
    ),
    ".sourceignore": Applied({".sourceignore": "*\n", "a.yaml": A, "b/b.yaml": B}, ()),
    ".sourceignore of the branch": Applied(
        {"/.sourceignore": "b.yaml\n/dist/c\n", "a.yaml": A, "x/b.yaml": B, "c/c.yaml": C}, ONE
    ),
    ".sourceignore of another folder": Applied({"/other/.sourceignore": "*\n", "a.yaml": A, "cloudbuild.yaml": B}, TWO),
    ".sourceignore that says nothing": Applied(
        {".sourceignore": "# x\n\n  \n", "a.yaml": A, "cloudbuild.yaml": B}, ONE
    ),
    ".sourceignore that is a cure": Applied(
        {".sourceignore": "nothing\n", "a.yaml": A, "cloudbuild.yaml": B, "x.zip/c.yaml": C}, THREE
    ),
    ".sourceignore with exceptions": Applied(
        {
            ".sourceignore": "x/*\n!x/b.yaml\n*.yml\n!c.yml\nc.yml/\n",
            "a.yaml": A,
            "x/b.yaml": B,
            "x/d.yaml": A,
            "c.yml": C,
            "e.yml": A,
        },
        THREE,
    ),
    ".sourceignore below another": Applied(
        {
            "/.sourceignore": "*.yml\n",
            "x/.sourceignore": "!a.yml\n/y\n",
            "x/a.yml": A,
            "x/b.yml": B,
            "x/y/c.yaml": C,
            "y/c.yaml": C,
        },
        ("ConfigMap odd/a", "ConfigMap odd/c"),
    ),
    ".sourceignore with wildcards": Applied(
        {
            ".sourceignore": "b?.yaml\n[c-d]*.yaml\n[^a]e.yaml\n\\!f.yaml\n[\ng.yaml[\n",
            **{f"{name}.yaml": config(name) for name in ("a", "b", "b1", "c1", "ae", "de")},
        },
        ("ConfigMap odd/a", "ConfigMap odd/ae", "ConfigMap odd/b"),
    ),
    ".sourceignore with folders": Applied(
        {
            ".sourceignore": "x/\n**/y/z\nq/**\nb.yaml/\n/c.yaml\n",
            **dict.fromkeys(("x/1.yaml", "p/x/1.yaml", "p/y/z/1.yaml", "y/z/1.yaml", "q/1.yaml", "c.yaml"), B),
            "a.yaml": A,
            "b.yaml": B,
            "p/c.yaml": C,
        },
        THREE,
    ),
    ".sourceignore that matches less than it seems to": Applied(
        {".sourceignore": "/**\nx/**.yaml\n a.yaml\n", "a.yaml": A, "x/b.yaml": B}, TWO
    ),
    "a file that .sourceignore takes from a kustomization file": Applied(
        {
            "x/.sourceignore": "kustomization.yaml\n",
            "x/kustomization.yaml": listing("a.yaml"),
            "x/a.yaml": A,
            "x/b.yaml": B,
        },
        TWO,
    ),
}
"""Trees of which Flux applies exactly these resources, and we count exactly these."""

REFUSED: dict[str, Refused] = {
    # A name that stops the whole branch.
    "a device of DOS": Refused({"aux.k8s.yaml": A}, "clone", "invalid path"),
    "a device of DOS in upper case": Refused({"AUX.yaml": A}, "clone", "invalid path"),
    "a device of DOS with a number": Refused({"com1.k8s.yaml": A}, "clone", "invalid path"),
    "a device of DOS with a sign": Refused({"conin$.yaml": A}, "clone", "invalid path"),
    "a device of DOS as a folder": Refused({"a.yaml": A, "nul/x.txt": "x"}, "clone", "invalid path"),
    "a device of DOS before a space": Refused({"lpt9 x.yaml": A}, "clone", "invalid path"),
    "a device of DOS in another folder": Refused({"a.yaml": A, "/other/prn:x": "x"}, "clone", "invalid path"),
    "a control character": Refused({"a\tb.yaml": A}, "clone", "control character"),
    "a delete character": Refused({"a\x7fb.txt": "x", "a.yaml": A}, "clone", "control character"),
    "a name of git's own": Refused({"a.yaml": A, "x/git~1/b.yaml": B}, "clone", "invalid path component"),
    "a folder that ends in two dots": Refused({"a.yaml": A, "x../b.txt": "x"}, "unpack", "invalid name"),
    "a backslash": Refused({"a\\b.yaml": A}, "unpack", "invalid name"),
    "a backslash in another folder": Refused({"a.yaml": A, "/x\\y": "x"}, "unpack", "invalid name"),
    "a name that is not UTF-8": Refused({"a\udcff.yaml": A}, "build", "no such file"),
    "a name with a control character beyond ASCII": Refused({"a\x80b.yaml": A}, "build", "control characters"),
    "a name with no character": Refused({"a\ufffeb.yaml": A}, "build", "control characters"),
    "a folder with a next line character": Refused(
        {"x\x85y/kustomization.yaml": listing("a.yaml"), "x\x85y/a.yaml": A}, "build", "no such file"
    ),
    "a name with a next line character": Refused({"a\x85b.yaml": A}, "build", "no such file"),
    # What kustomize can't read.
    "one flaw of many": Refused({"a.yaml": A, "b.yaml": f"{B}---\n{{\n"}, "build", "MalformedYAML"),
    "a control character in a value": Refused(
        {"a.yaml": config("a", 'data: {a: "x\x07y"}\n')}, "build", "control characters"
    ),
    "Latin-1": Refused({"a.yaml": config("a", "data: {a: é}\n").encode("latin-1")}, "build", "UTF-8"),
    "half an emoji": Refused({"a.yaml": config("a", 'data: {a: "\\ud83d\\ude00"}\n')}, "build", "Unicode character"),
    "a directive of a version": Refused({"a.yaml": f"%YAML 1.2\n---\n{A}"}, "build", "incompatible YAML document"),
    "a directive of a tag": Refused({"a.yaml": f"%TAG ! tag:example.com,2000:\n---\n{A}"}, "build", "document start"),
    "an undefined alias": Refused({"a.yaml": config("a", "data: {a: *x}\n")}, "build", "unknown anchor"),
    "a key twice": Refused({"a.yaml": custom("Widget", "{a: {b: 1, b: 2}}")}, "build", "already defined"),
    "a number as key": Refused({"a.yaml": config("a", "data: {1: x}\n")}, "build", "unsupported"),
    "not a number": Refused({"a.yaml": custom("Widget", "{a: .nan}")}, "build", "unsupported value: NaN"),
    "not a number, deep": Refused(
        {"a.yaml": A, "b.yaml": custom("Widget", "{a: [{b: [1, .NaN]}]}")}, "build", "unsupported value"
    ),
    "infinity": Refused({"a.yaml": custom("Widget", "{a: .inf}")}, "build", "unsupported value: +Inf"),
    "negative infinity": Refused({"a.yaml": custom("Widget", "{a: -.Inf}")}, "build", "unsupported value: -Inf"),
    # What is no object.
    "a word": Refused({"a.yaml": "hello\n", "b.yaml": B}, "build", "missing Resource metadata"),
    "a list of objects": Refused({"a.yaml": f"[{JSON}]"}, "build", "missing Resource metadata"),
    "no metadata": Refused(
        {"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n"}, "build", "missing metadata.name"
    ),
    "a generated name": Refused(
        {"a.yaml": manifest("v1", "Pod", "{generateName: a-}")}, "build", "missing metadata.name"
    ),
    "a list without items": Refused({"a.yaml": "apiVersion: v1\nkind: List\n", "b.yaml": B}, "build", "name"),
    "no version": Refused(
        {"a.yaml": A, "b.yaml": "kind: ConfigMap\nmetadata: {name: b}\n"},
        "build",
        "apiVersion, kind or name is missing",
    ),
    "annotations that are a list": Refused({"a.yaml": config("a", annotations=["a"])}, "build", "index out of range"),
    "a list of words": Refused(
        {"a.yaml": manifest("odd.example.com/v1", "DenyList", "{name: x}", "items: [a, b]\n")}, "build", "metadata"
    ),
    "a version with two slashes": Refused(
        {"a.yaml": manifest("a/b/c", "ConfigMap", "{name: a}")}, "read", "'Kind' is missing"
    ),
    "configuration of kustomize under another name, without its own": Refused(
        {
            "a.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" + listing("b.yaml"),
            "b.yaml": B,
        },
        "build",
        "missing metadata.name",
    ),
    # What is there twice.
    "one object twice": Refused({"a.yaml": A, "b.yaml": A}, "build", "already registered id"),
    "one object twice in a list": Refused(
        {"a.yaml": f"apiVersion: v1\nkind: List\nitems: [{JSON}, {JSON}]\n"}, "build", "already registered id"
    ),
    "one object without its namespace": Refused(
        {"a.yaml": config("a", namespace="default"), "b.yaml": manifest("v1", "ConfigMap", "{name: a}")},
        "build",
        "already registered id",
    ),
    "one object of the cluster in two namespaces": Refused(
        {
            "a.yaml": manifest("rbac.authorization.k8s.io/v1", "ClusterRole", "{name: a, namespace: a}"),
            "b.yaml": manifest("rbac.authorization.k8s.io/v1", "ClusterRole", "{name: a, namespace: b}"),
        },
        "build",
        "already registered id",
    ),
    "one object that is local configuration once": Refused(
        {"a.yaml": A, "b.yaml": config("a", annotations={LOCAL: "true"})}, "build", "already registered id"
    ),
    # Kustomization files.
    "two kustomization files": Refused(
        {"kustomization.yaml": listing("a.yaml"), "kustomization.yml": listing("a.yaml"), "a.yaml": A},
        "build",
        "multiple kustomization files",
    ),
    "two kustomization files in a subfolder": Refused(
        {"a.yaml": A, "x/kustomization.yaml": listing("b.yaml"), "x/Kustomization": listing("b.yaml"), "x/b.yaml": B},
        "build",
        "multiple kustomization files",
    ),
    "a folder in place of the kustomization file": Refused(
        {"kustomization.yaml/x.txt": "x", "a.yaml": A}, "build", "is a directory"
    ),
    "a kustomization file that lists what is not there": Refused(
        {"kustomization.yaml": listing("a.yaml", "b.yaml"), "a.yaml": A}, "build", "no such file"
    ),
    "a kustomization file that lists what is ignored": Refused(
        {"kustomization.yaml": listing("cloudbuild.yaml"), "cloudbuild.yaml": A}, "build", "no such file"
    ),
    "a kustomization file that lists a link": Refused(
        {"kustomization.yaml": listing("a.yaml"), "a.yaml": Link("b.txt"), "b.txt": A}, "build", "no such file"
    ),
    "a kustomization file that lists a folder without one": Refused(
        {"kustomization.yaml": listing("x"), "x/a.yaml": A}, "build", "unable to find one of"
    ),
    "a kustomization file that lists itself": Refused(
        {"kustomization.yaml": listing("."), "a.yaml": A}, "build", "cycle"
    ),
    "a kustomization file that lists what is above": Refused(
        {"kustomization.yaml": listing(".."), "/kustomization.yaml": listing("dist"), "a.yaml": A}, "build", "cycle"
    ),
    "kustomization files that list each other": Refused(
        {
            "kustomization.yaml": listing("x"),
            "x/kustomization.yaml": listing("../y"),
            "y/kustomization.yaml": listing("../x"),
        },
        "build",
        "cycle",
    ),
    "a kustomization file that lists a file twice": Refused(
        {"kustomization.yaml": listing("a.yaml", "./a.yaml"), "a.yaml": A}, "build", "already registered id"
    ),
    "a kustomization file that lists a folder twice": Refused(
        {"kustomization.yaml": listing("x", "./x/"), "x/kustomization.yaml": listing("a.yaml"), "x/a.yaml": A},
        "build",
        "already registered id",
    ),
    "a kustomization file that lists what is outside": Refused(
        {"kustomization.yaml": listing("../../a.yaml"), "a.yaml": A}, "build", "not in or below"
    ),
    "a kustomization file that lists an absolute path": Refused(
        {"kustomization.yaml": listing("/dist/a.yaml"), "a.yaml": A}, "build", "cannot be absolute"
    ),
    "a kustomization file that lists nothing by name": Refused(
        {"kustomization.yaml": listing(""), "a.yaml": A}, "build", "cannot be empty"
    ),
    "a kustomization file that lists what is remote": Refused(
        {"kustomization.yaml": listing("http://127.0.0.1:1/a.yaml"), "a.yaml": A}, "build", "connection refused"
    ),
    "a kustomization file with a text for a list": Refused(
        {"kustomization.yaml": "resources: a.yaml\n", "a.yaml": A}, "build", "cannot unmarshal string"
    ),
    "a kustomization file with a number in the list": Refused(
        {"kustomization.yaml": "resources: [1]\n", "a.yaml": A}, "build", "no such file"
    ),
    "a kustomization file in a subfolder with a number in the list": Refused(
        {"a.yaml": A, "x/kustomization.yaml": "resources: [1]\n", "x/1": B}, "build", "cannot unmarshal number"
    ),
    "a kustomization file that is a list": Refused(
        {"kustomization.yaml": "[a.yaml]\n", "a.yaml": A}, "build", "cannot unmarshal array"
    ),
    "a kustomization file that is broken": Refused(
        {"kustomization.yaml": "resources: [\n", "a.yaml": A}, "build", "did not find expected"
    ),
    "a kustomization file of Flux": Refused(
        {
            "kustomization.yaml": manifest(
                "kustomize.toolkit.fluxcd.io/v1", "Kustomization", "{name: a, namespace: odd}", "spec: {}\n"
            )
        },
        "build",
        "apiVersion for Kustomization should be",
    ),
    "a kustomization file of another kind": Refused({"kustomization.yaml": A}, "build", "kind should be Kustomization"),
    "a kustomization file in a subfolder that is empty": Refused(
        {"a.yaml": A, "x/kustomization.yaml": "", "x/b.yaml": B}, "build", "is empty"
    ),
    "a kustomization file in a subfolder that says nothing": Refused(
        {"a.yaml": A, "x/kustomization.yaml": "kind: Kustomization\nresources:\n", "x/b.yaml": B}, "build", "is empty"
    ),
    "a kustomization file in a subfolder with an unknown field": Refused(
        {"a.yaml": A, "x/kustomization.yaml": "resources: [b.yaml]\nx: y\n", "x/b.yaml": B}, "build", "unknown field"
    ),
    "a component without a version": Refused(
        {"kustomization.yaml": "kind: Component\nresources: [a.yaml]\n", "a.yaml": A},
        "build",
        "apiVersion for Component",
    ),
    "a component in a subfolder": Refused(
        {"a.yaml": A, "x/kustomization.yaml": "kind: Component\nresources: [b.yaml]\n", "x/b.yaml": B},
        "build",
        "expected kind != 'Component'",
    ),
    "a kustomization file with Helm charts": Refused(
        {"kustomization.yaml": "helmCharts: [{name: x, version: '1', repo: 'http://127.0.0.1:1'}]\n"}, "build", "helm"
    ),
    ".sourceignore that takes the folder": Refused(
        {"/.sourceignore": "/dist/\n", "a.yaml": A}, "build", "path not found"
    ),
}
"""Trees of which Flux applies nothing, and that we refuse."""

STRICTER: dict[str, Applied] = {
    "a number as name": Applied({"a.yaml": A, "b.yaml": manifest("v1", "ConfigMap", "{name: 123}")}, ONE),
    "a number in exponents as name": Applied({"a.yaml": manifest("v1", "ConfigMap", "{name: 1e3}")}, ()),
    "a hexadecimal number as name": Applied({"a.yaml": manifest("v1", "ConfigMap", "{name: 0x1f}")}, ()),
    "a number with a leading zero as name": Applied({"a.yaml": manifest("v1", "ConfigMap", "{name: 08}")}, ()),
    "a number as version": Applied({"a.yaml": A, "b.yaml": manifest("1", "ConfigMap", "{name: b}")}, ONE),
    "a second document without a separator": Applied({"a.yaml": f"{A}...\n{B}"}, ONE),
    "JSON documents without a separator": Applied({"a.yaml": f"{JSON}\n{JSON}\n"}, ONE),
    "a document on the line of its separator": Applied({"a.yaml": f"--- {JSON}\n"}, ONE),
    "UTF-16": Applied({"a.yaml": A.encode("utf-16")}, ONE),
    "two versions of one object": Applied(
        {
            "a.yaml": manifest("autoscaling/v1", "HorizontalPodAutoscaler", "{name: a, namespace: odd}"),
            "b.yaml": manifest("autoscaling/v2", "HorizontalPodAutoscaler", "{name: a, namespace: odd}"),
        },
        ("HorizontalPodAutoscaler.autoscaling odd/a", "HorizontalPodAutoscaler.autoscaling odd/a"),
    ),
    "one object of the cluster in two namespaces, of a kind that kustomize does not know": Applied(
        {
            "a.yaml": manifest("resource.k8s.io/v1", "DeviceClass", "{name: a, namespace: a}"),
            "b.yaml": manifest("resource.k8s.io/v1", "DeviceClass", "{name: a, namespace: b}"),
        },
        ("DeviceClass.resource.k8s.io a/a", "DeviceClass.resource.k8s.io b/a"),
    ),
    "one object of the cluster in two namespaces, of a custom kind": Applied(
        {
            "a.yaml": custom("Widget", "{}", "{name: x, namespace: a}"),
            "b.yaml": custom("Widget", "{}", "{name: x, namespace: b}"),
            "z.yaml": definition("Widget", "Cluster"),
        },
        (
            "CustomResourceDefinition.apiextensions.k8s.io widgets.odd.example.com",
            "Widget.odd.example.com a/x",
            "Widget.odd.example.com b/x",
        ),
    ),
    "a name that kustomize extends": Applied(
        {"a.yaml": A, "b.yaml": config("b", annotations={"internal.config.kubernetes.io/needsHashSuffix": "enabled"})},
        (*ONE, "ConfigMap odd/b-4h2mbtbbt6"),
    ),
    "a kustomization file with a namespace": Applied(
        {"kustomization.yaml": f"{listing('a.yaml')}namespace: other\n", "a.yaml": A}, ("ConfigMap other/a",)
    ),
    "a kustomization file with patches": Applied(
        {
            "kustomization.yaml": f"{listing('a.yaml', 'b.yaml')}patches: [{{path: p.yaml}}]\n",
            "p.yaml": config("b", "$patch: delete\n"),
            "a.yaml": A,
            "b.yaml": B,
        },
        ONE,
    ),
    "a kustomization file with a generator": Applied(
        {"kustomization.yaml": f"configMapGenerator: {GENERATOR}\n"}, ("ConfigMap odd/b",)
    ),
    "a kustomization file with a generator of a Secret": Applied(
        {"kustomization.yaml": f"{listing('a.yaml')}secretGenerator: {GENERATOR}\n", "a.yaml": A},
        (*ONE, "Secret odd/b"),
    ),
    "a kustomization file with a deprecated field": Applied(
        {"kustomization.yaml": "bases: [x]\n", "x/kustomization.yaml": listing("a.yaml"), "x/a.yaml": A}, ONE
    ),
    "a kustomization file with an unknown field": Applied(
        {"kustomization.yaml": f"{listing('a.yaml')}x: y\n", "a.yaml": A}, ONE
    ),
    "a kustomization file in upper case": Applied(
        {"kustomization.yaml": "Resources: [a.yaml]\n", "a.yaml": A, "b.yaml": B}, ONE
    ),
    "a kustomization file with a key twice": Applied(
        {"kustomization.yaml": f"{listing('a.yaml')}{listing('b.yaml')}", "a.yaml": A, "b.yaml": B},
        ("ConfigMap odd/b",),
    ),
    "a kustomization file of two documents": Applied(
        {"kustomization.yaml": f"{listing('a.yaml')}---\n{listing('b.yaml')}", "a.yaml": A, "b.yaml": B}, ONE
    ),
}
"""Trees of which Flux applies these resources, and that we refuse or can't count, for a reason in the reference."""

ENCRYPTED: dict[str, Applied] = {
    "data": Applied(
        {
            "a.yaml": manifest(
                "v1", "Secret", "{name: a, namespace: odd}", f"data: {{a: 'ENC[AES256_GCM,data:a]'}}\n{SOPS}"
            )
        },
        ("Secret odd/a",),
    ),
}
"""Trees with Secrets that SOPS has encrypted, and those for which Flux demands `spec.decryption`."""
