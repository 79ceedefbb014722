"""What a controller applies of a folder, and what it would no longer apply. The contract tests ask Flux the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.model import Sha
from cdk8s_publish.review.controller.applied import count_staying, removals
from cdk8s_publish.review.controller.reading import Branch, read_folder, with_folders
from cdk8s_publish.review.manifests import Parsed, parse
from support.flux_trees import (
    APPLIED,
    ENCRYPTED,
    JSON,
    LOCAL,
    REFUSED,
    STRICTER,
    A,
    B,
    C,
    Content,
    applied_to,
    config,
    contents,
    custom,
    definition,
    listing,
    manifest,
    read,
)
from support.rendering import blob as digest

if TYPE_CHECKING:
    from collections.abc import Mapping

COUNTED = APPLIED | ENCRYPTED
TEN = {f"{n}.yaml": config(f"c{n}") for n in range(10)}


class Compared:
    """The removals from one tree to another, and the files that had to be parsed for them."""

    def __init__(self, before: Mapping[str, Content], after: Mapping[str, Content]) -> None:
        self._contents = (contents(before), contents(after))
        self.parsed: set[str] = set()
        self.found = removals(read(before), read(after), self.parse)
        self.removed = sorted(str(one.resource) for one in self.found.resources)
        self.unknown = [one.reason for one in self.found.unknown]

    def parse(self, path: str, blob: Sha) -> Parsed:
        self.parsed.add(path)
        data = next(files[path] for files in self._contents if path in files and digest(files[path]) == blob)
        return parse(path, data)


@pytest.mark.parametrize("name", COUNTED)
def test_applied__counts(name: str) -> None:
    case = COUNTED[name]
    found = applied_to(case.files)
    assert sorted(str(one.resource) for one in found.resources.values()) == sorted(case.resources)
    assert not found.unknown
    assert not found.repeated


@pytest.mark.parametrize("name", REFUSED)
def test_applied__refuses(name: str) -> None:
    found = applied_to(REFUSED[name].files)
    # Nobody but a controller can tell what is at an address.
    assert found.repeated or any(one.is_fault or "http://" in one.reason for one in found.unknown)


@pytest.mark.parametrize("name", STRICTER)
def test_applied__refuses_or_says_that_it_does_not_know(name: str) -> None:
    found = applied_to(STRICTER[name].files)
    assert found.unknown or found.repeated


def test_applied__a_folder_that_is_not_there_applies_nothing() -> None:
    reading = read_folder(Branch({"other/a.yaml": digest(A.encode())}, lambda _: A.encode()), "dist")
    assert (reading.files, reading.unknown) == ({}, ())


def test_applied__json_is_for_argo_cd_alone() -> None:
    found = applied_to({"a.json": JSON, "x/b.json": JSON.replace('"a"', '"b"'), "c.yaml": C})
    assert sorted(str(one.resource) for one in found.argo_only.values()) == ["ConfigMap odd/a", "ConfigMap odd/b"]
    assert [str(one.resource) for one in found.resources.values()] == ["ConfigMap odd/c"]


def test_applied__json_beside_a_kustomization_file_is_for_nobody() -> None:
    found = applied_to({"a.json": JSON, "kustomization.yaml": listing("c.yaml"), "c.yaml": C})
    assert not found.argo_only


def test_applied__tells_what_kustomize_drops() -> None:
    own = manifest("kustomize.config.k8s.io/v1beta1", "Kustomization", "{name: x}")
    found = applied_to({"a.yaml": config("a", annotations={LOCAL: "true"}), "b.yaml": own, "c.yaml": C})
    assert sorted(str(one.resource) for one in found.left_out) == [
        "ConfigMap odd/a",
        "Kustomization.kustomize.config.k8s.io x",
    ]


def test_applied__follows_a_folder_once() -> None:
    tree = {f"{n}/kustomization.yaml": listing(f"../{n + 1}", f"../{n + 1}/") for n in range(40)}
    found = applied_to({"kustomization.yaml": listing("0"), **tree, "40/kustomization.yaml": "resources: []\n"})
    assert all("listed twice" in one.reason for one in found.unknown)
    assert len(found.unknown) == 40


def test_applied__follows_so_many_folders_and_no_more() -> None:
    tree = {f"{'x/' * n}kustomization.yaml": listing("x") for n in range(1_000)}
    (unknown,) = applied_to(tree).unknown
    assert unknown.rule == "not-followed"


def test_removals__of_a_file() -> None:
    compared = Compared({"a.yaml": A, "b.yaml": B}, {"b.yaml": B})
    assert compared.removed == ["ConfigMap odd/a"]
    assert compared.found.staying == 0
    assert list(compared.found.common) == ["dist/b.yaml"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a.yaml": A}, {"b.yaml": A}),
        ({"a.yaml": A}, {"x/y.yml": f"{A}---\n{B}"}),
        ({"a.yaml": A}, {"kustomization.yaml": listing("x"), "x/kustomization.yaml": listing("y"), "x/y": A}),
        ({"a.yaml": config("a", namespace="default")}, {"a.yaml": manifest("v1", "ConfigMap", "{name: a}")}),
        (
            {"a.yaml": manifest("v1", "Namespace", "{name: a, namespace: default}")},
            {"a.yaml": manifest("v1", "Namespace", "{name: a}")},
        ),
        ({"a.yaml": manifest("a.io/v1", "A", "{name: a}")}, {"a.yaml": manifest("a.io/v2", "A", "{name: a}")}),
        (
            {"a.yaml": custom("Widget", "{}"), "z.yaml": definition("Widget", "Cluster")},
            {"a.yaml": custom("Widget", "{}", "{name: x}"), "z.yaml": definition("Widget", "Cluster") + "# x\n"},
        ),
    ],
)
def test_removals__none(before: dict[str, str], after: dict[str, str]) -> None:
    compared = Compared(before, after)
    assert (compared.removed, compared.unknown) == ([], [])


@pytest.mark.parametrize(
    "after",
    [
        {"kustomization.yaml": "", **TEN},
        {"kustomization.yaml": listing("0.yaml"), **TEN},
        {".sourceignore": "*\n", **TEN},
        {f"{n}.yaml": config(f"c{n}", annotations={LOCAL: "true"}) for n in range(10)},
        {f"x.zip/{n}.yaml": text for n, text in enumerate(TEN.values())},
        {f"{n}.txt": text for n, text in enumerate(TEN.values())},
        {f"{n}.json": JSON.replace('"a"', f'"c{n}"') for n in range(10)},
        {},
    ],
    ids=["empty list", "short list", "ignored", "local", "folder", "extension", "json", "nothing"],
)
def test_removals__that_no_file_tells(after: dict[str, str]) -> None:
    assert len(Compared(TEN, after).removed) >= 9


def test_removals__of_what_a_subfolder_no_longer_lists() -> None:
    before: dict[str, str] = {"x/kustomization.yaml": listing("a.yaml", "b.yaml"), "x/a.yaml": A, "x/b.yaml": B}
    compared = Compared(before, {**before, "x/kustomization.yaml": listing("b.yaml")})
    assert compared.removed == ["ConfigMap odd/a"]
    assert compared.parsed == {"dist/x/a.yaml"}


def test_removals__for_argo_cd_alone() -> None:
    compared = Compared({"a.json": JSON, "c.yaml": C}, {"c.yaml": C})
    assert compared.removed == []
    assert [str(one.resource) for one in compared.found.argo_only] == ["ConfigMap odd/a"]


def test_removals__parse_only_what_differs() -> None:
    compared = Compared({**TEN, "a.yaml": A}, {**TEN, "a.yaml": B})
    assert compared.parsed == {"dist/a.yaml"}


def test_removals__of_a_file_that_can_not_be_read() -> None:
    broken = f"<<<<<<< ours\n{A}---\n{B}"
    compared = Compared({"a.yaml": broken}, {"a.yaml": A})
    assert compared.removed == ["ConfigMap odd/b"]
    assert len(compared.unknown) == 1


def test_removals__of_what_could_not_be_read_before_either() -> None:
    assert Compared({"a.yaml": "[", "b.yaml": B}, {"a.yaml": "[", "b.yaml": C}).unknown == []


@pytest.mark.parametrize(
    ("before", "after", "is_unknown"),
    [
        ("patches: [{path: p.yaml}]", "patches: [{path: p.yaml}]", False),
        ("patches: [{path: p.yaml}]", "", True),
        ("patches: [{path: q.yaml}]", "", False),
        ("patches: [{patch: '- {op: add, path: /metadata/labels, value: {}}'}]", "", False),
        ("patches: [{patch: '- {op: replace, path: /metadata/name, value: y}'}]", "", True),
        ("configMapGenerator: [{name: x, literals: [a=1]}]", "configMapGenerator: [{name: x, literals: [a=2]}]", False),
        ("", "patches: [{path: p.yaml}]", True),
        ("", "patches: [{path: q.yaml}]", False),
        ("", "configMapGenerator: [{name: x}]", False),
        ("configMapGenerator: [{name: x}, {name: y}]", "configMapGenerator: [{name: x}]", True),
        ("images: [{name: x, newTag: '1'}]", "images: [{name: x, newTag: '2'}]", False),
        ("labels: []", "", False),
        ("resources: [b.yaml]", "", True),
        ("resources: [https://example.com/x.yaml]", "", True),
    ],
)
def test_removals__behind_a_kustomization_file_that_is_not_followed(
    before: str, after: str, *, is_unknown: bool
) -> None:
    beside = {"p.yaml": "$patch: delete\n", "q.yaml": "spec: {replicas: 2}\n", "a.yaml": A}
    head = "resources: [a.yaml]\n" if "resources" not in before else ""
    first, second = ({"kustomization.yaml": f"namePrefix: x\n{head}{text}\n", **beside} for text in (before, after))
    assert bool(Compared(first, second).unknown) is is_unknown


def test_removals__behind_a_file_that_a_kustomization_file_uses() -> None:
    tree: dict[str, str] = {
        "kustomization.yaml": "components: [x]\n",
        "x/kustomization.yaml": "x",
        "x/y": "1",
        "z": "1",
    }
    assert Compared(tree, {**tree, "z": "2"}).unknown == []
    assert len(Compared(tree, {**tree, "x/y": "2"}).unknown) == 1


def test_removals__staying_resources_are_counted_as_far_as_needed() -> None:
    compared = Compared({**TEN, "a.yaml": f"{A}---\n{B}"}, {**TEN, "a.yaml": A})
    assert compared.found.staying == 1
    compared.parsed.clear()
    assert count_staying(compared.found, compared.parse, enough=3) == 3
    assert len(compared.parsed) == 2
    assert count_staying(compared.found, compared.parse, enough=100) == 11


def test_with_folders__replaces_them() -> None:
    one, two = Sha("1"), Sha("2")
    branch = {"dist/a": one, "dist/b": one, "distant": one, "x/dist/a": one}
    assert with_folders(branch, {"dist": {"a": two}}) == {"dist/a": two, "distant": one, "x/dist/a": one}
    assert with_folders(branch, {"": {"a": two}}) == {"a": two}
