"""What Flux makes of a branch, said by the libraries of its own controllers, and that we read the same."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdk8s_publish.model import Trait
from cdk8s_publish.review.identity import BUILT_IN_GROUPS, CLUSTER_KINDS
from support.flux_trees import APPLIED, ENCRYPTED, FOLDER, LOCAL, REFUSED, STRICTER, Tree, applied_to, listing, write
from support.fluxread import SOURCES
from support.golang import go
from support.programs import run
from support.remotes import GIT_ENV

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fluxread import FluxReader, Reading

TAKEN = {**APPLIED, **STRICTER, **ENCRYPTED}
BRANCH = "manifests"


def read(flux: FluxReader, tree: Tree, root: Path, *, isolated: bool = False) -> Reading:
    write(tree, root)
    return flux.folder(root, FOLDER, isolated=isolated)


def cloned(flux: FluxReader, tree: Tree, root: Path) -> Reading:
    """Commit a tree with a git that minds no name, and read the branch."""
    write(tree, root)
    bare = ("git", "-c", "core.protectNTFS=false", "-c", "core.autocrlf=false")
    run(*bare, "init", "--quiet", f"--initial-branch={BRANCH}", cwd=root, env=GIT_ENV)
    run(*bare, "add", "--all", "--force", cwd=root, env=GIT_ENV)
    run(*bare, "commit", "--quiet", "--message=x", cwd=root, env=GIT_ENV)
    return flux.branch(root, BRANCH, FOLDER)


def resources(reading: Reading) -> list[str]:
    assert not reading.error
    return sorted(map(str, reading.resources))


@pytest.mark.parametrize("name", TAKEN)
def test_flux__applies(flux: FluxReader, tmp_path: Path, name: str) -> None:
    assert resources(read(flux, TAKEN[name].files, tmp_path)) == sorted(TAKEN[name].resources)


@pytest.mark.parametrize("name", REFUSED)
def test_flux__refuses(flux: FluxReader, tmp_path: Path, name: str) -> None:
    case = REFUSED[name]
    is_refused_early = case.stage in {"clone", "unpack"}
    found = cloned(flux, case.files, tmp_path) if is_refused_early else read(flux, case.files, tmp_path)
    assert found.stage == case.stage
    assert case.words in found.error


@pytest.mark.parametrize("name", ENCRYPTED)
def test_flux__demands_decryption(flux: FluxReader, tmp_path: Path, name: str) -> None:
    found = read(flux, ENCRYPTED[name].files, tmp_path)
    assert found.encrypted == found.resources


def test_flux__applies_what_is_on_a_branch(flux: FluxReader, tmp_path: Path) -> None:
    tree = APPLIED["a kustomization file in a subfolder"]
    found = cloned(flux, tree.files, tmp_path)
    assert resources(found) == sorted(tree.resources)
    assert found.digest.startswith("sha256:")
    assert found.digest == read(flux, tree.files, tmp_path / "again").digest


def test_flux__a_branch_that_does_not_exist_is_an_error(flux: FluxReader, tmp_path: Path) -> None:
    cloned(flux, APPLIED["documents"].files, tmp_path)
    assert flux.branch(tmp_path, "nothing").stage == "clone"


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TAKEN, *REFUSED])
def test_flux__an_isolated_build_of_a_clone_makes_no_difference(flux: FluxReader, tmp_path: Path, name: str) -> None:
    tree = TAKEN[name].files if name in TAKEN else REFUSED[name].files
    quick = cloned(flux, tree, tmp_path)
    isolated = flux.branch(tmp_path, BRANCH, FOLDER, isolated=True)
    assert isolated._replace(error="") == quick._replace(error="")


def test_flux__loses_the_labels_that_we_say(flux: FluxReader, tmp_path: Path) -> None:
    tree = APPLIED["labels that are no text"].files
    ours = applied_to(tree).resources.values()
    lost = {manifest.resource for manifest in ours if Trait.UNLABELLED in manifest.traits}
    assert len(lost) == 2
    assert lost == {resource for resource, labels in read(flux, tree, tmp_path).labels.items() if not labels}


DOCUMENT = st.builds(
    lambda kind, name, metadata: json.dumps(
        {"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": name, **metadata}}
    ),
    st.sampled_from(
        [
            *[("v1", "ConfigMap")] * 3,
            ("v1", "Namespace"),
            ("rbac.authorization.k8s.io/v1", "ClusterRole"),
            ("kustomize.config.k8s.io/v1", "Kustomization"),
            ("odd.example.com/v1", "Widget"),
            ("odd.example.com/v2", "Widget"),
        ]
    ),
    st.sampled_from("abcdefghijklmnop"),
    st.sampled_from(
        [
            *[{}] * 3,
            {"namespace": "default"},
            {"namespace": "odd"},
            {"annotations": {LOCAL: "true"}},
            {"annotations": {LOCAL: "false"}},
            {"labels": {"a": 1}},
        ]
    ),
)
DOCUMENT_LIST = st.lists(DOCUMENT, max_size=2).map(lambda items: f'{{"kind":"List","items":[{",".join(items)}]}}')
MANIFEST = st.lists(DOCUMENT | DOCUMENT_LIST | st.sampled_from(["# x", "", "null", "{}", "a: ["]), max_size=3).map(
    "\n---\n".join
)
ENTRY = st.sampled_from(
    [
        *("a.yaml", "b.yml", "./c.txt", "x", "x/", "x/a.yaml", "x/y", "y", "y/b.yaml", "z.zip/c.yaml"),
        *("../a.yaml", "../x/y", "../../base", "base", "..", ".", "/a.yaml", "nothing"),
    ]
)
KUSTOMIZATION = st.lists(ENTRY, max_size=3).map(lambda entries: listing(*entries)) | st.sampled_from(
    [
        "",
        "# x\n",
        "kind: Kustomization\n",
        "namespace: other\nresources: [a.yaml]\n",
        "kind: Component\nresources: []\n",
    ]
)
PATTERN = st.text("ab*?[]!^-\\/x. y", min_size=1, max_size=8) | st.sampled_from(
    [
        *("*", "*.yaml", "!a.yaml", "x/", "/x", "dist/", "/dist", "**/a.yaml", "x/**", "**/y/*", "a*", "[ab].yaml"),
        *("[^a].yaml", "!x/a.yaml", "#c", "\\!a", "kustomization.yaml"),
    ]
)
IGNORE_FILE = st.lists(PATTERN, max_size=3).map("\n".join)
MANIFESTS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            *("a.yaml", "b.yml", "c.txt", "d.json", "x/a.yaml", "x/y/b.yaml", "x/cloudbuild.yaml", "x/z.zip/c.yaml"),
            *("y/b.yaml", "/base/a.yaml"),
        ),
        MANIFEST,
    ),
)
CONFIGURATION = st.one_of(
    st.dictionaries(
        st.sampled_from(["kustomization.yaml", "x/kustomization.yaml", "x/y/Kustomization", "y/kustomization.yml"]),
        KUSTOMIZATION,
        max_size=2,
    ),
    st.dictionaries(st.sampled_from([".sourceignore", "x/.sourceignore", "/.sourceignore"]), IGNORE_FILE, max_size=2),
)
BASE = st.fixed_dictionaries({}, optional={"/base/kustomization.yaml": KUSTOMIZATION})
TREES = st.builds(
    lambda *parts: {path: text for part in parts for path, text in part.items()}, MANIFESTS, CONFIGURATION, BASE
)


def read_alike(flux: FluxReader, tree: dict[str, str]) -> None:
    """Fail unless we count what Flux applies and refuse what it refuses."""
    ours = applied_to(tree)
    with tempfile.TemporaryDirectory() as folder:
        write(tree, Path(folder))
        theirs = flux.folder(Path(folder), FOLDER)
    if theirs.error:
        assert ours.unknown or ours.repeated, theirs.error
    elif ours.repeated:
        # An API server has one object of two versions.
        assert {manifest.resource.group for manifest in ours.repeated} == {"odd.example.com"}
    elif ours.unknown:
        assert all("is not followed" in one.reason or "listed twice" in one.reason for one in ours.unknown)
    else:
        assert sorted(map(str, theirs.resources)) == sorted(str(one.resource) for one in ours.resources.values())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES)
def test_reading__counts_what_flux_applies(flux: FluxReader, tree: dict[str, str]) -> None:
    read_alike(flux, tree)


@pytest.mark.slow
@settings(max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
@given(TREES)
def test_reading__counts_what_flux_applies_of_many(flux: FluxReader, tree: dict[str, str]) -> None:
    read_alike(flux, tree)


def kinds(folder: Path) -> Iterator[tuple[tuple[str, str], bool]]:
    """Yield group and kind of every object of Kubernetes' API, and whether it is in a namespace.

    Clients are generated from comments above the types: `+genclient`, and `+genclient:nonNamespaced`.
    """
    for register in folder.glob("**/register.go"):
        group = re.search(r'GroupName = "([^"]*)"', register.read_text(encoding="utf-8"))
        assert group
        if group[1] == "imagepolicy.k8s.io":
            continue  # what an API server sends to a webhook
        text = "".join(path.read_text(encoding="utf-8") for path in sorted(register.parent.glob("types*.go")))
        for comments, kind in re.findall(r"((?:^//.*\n|^\n)+)^type (\w+) struct", text, re.MULTILINE):
            if re.search(r"^// \+genclient$", comments, re.MULTILINE):
                yield (group[1], kind), "+genclient:nonNamespaced" not in comments


def test_identity__knows_the_scopes_of_all_kinds_of_kubernetes() -> None:
    done = run(go(), "mod", "download", "-json", "k8s.io/api", cwd=SOURCES)
    folder = json.loads(done.stdout)["Dir"]
    scopes = dict(kinds(Path(folder)))
    assert len(scopes) > 50
    assert {kind for kind, is_namespaced in scopes.items() if not is_namespaced} <= CLUSTER_KINDS
    assert not {kind for kind, is_namespaced in scopes.items() if is_namespaced} & CLUSTER_KINDS
    assert {group for group, _ in scopes} <= BUILT_IN_GROUPS
