"""What is remarkable about how Flux would read a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.review.controller.rules import flux_findings
from cdk8s_publish.review.identity import scopes
from cdk8s_publish.review.manifests import parse
from support.flux_trees import (
    FOLDER,
    LOCAL,
    REFUSED,
    SOPS,
    A,
    B,
    config,
    contents,
    custom,
    definition,
    listing,
    manifest,
    read,
)

if TYPE_CHECKING:
    from cdk8s_publish.model import Finding


def findings(tree: dict[str, str]) -> tuple[Finding, ...]:
    files = {path.removeprefix(f"{FOLDER}/"): data for path, data in contents(tree).items()}
    manifests = [one for path, data in files.items() for one in parse(path, data).manifests]
    return flux_findings(read(tree), manifests, scopes(manifests))


def told(tree: dict[str, str]) -> list[str]:
    return [f"{one.level} {one.rule} {one.file}" for one in findings(tree)]


def message(tree: dict[str, str]) -> str:
    (finding,) = findings(tree)
    return finding.message


def test_rules__find_nothing_in_what_is_as_it_should_be() -> None:
    assert (
        findings({"a.yaml": A, "x/b.yaml": B, "README.md": "x", "n.yaml": manifest("v1", "Namespace", "{name: n}")})
        == ()
    )


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"a.yaml": A, "aux.yaml": B}, "error unusable-name aux.yaml"),
        ({"a.yaml": A, "x\\y": "x"}, "error unusable-name x\\y"),
        ({"a.yaml": A, "x\x85.yaml": B}, "error unusable-name x\x85.yaml"),
        ({"a.yaml": A, "/other/nul": "x"}, "warning unusable-name ../other/nul"),
        ({"a.yaml": A, "/x\ty": "x"}, "warning unusable-name ../x\ty"),
        ({"kustomization.yaml": listing("b.yaml"), "a.yaml": A}, "error kustomization-fault kustomization.yaml"),
        ({"a.yaml": A, "x/kustomization.yaml": ""}, "error kustomization-fault x/kustomization.yaml"),
        (
            {"kustomization.yaml": listing("../base"), "/base/kustomization.yaml": ""},
            "error kustomization-fault ../base/kustomization.yaml",
        ),
        ({"a.yaml": A, "/.sourceignore": "/dist\ndist/*"}, "error source-ignore "),
        ({"kustomization.yaml": "namespace: x\n"}, "warning not-followed kustomization.yaml"),
        ({"kustomization.yaml": listing("https://example.com/x")}, "warning not-followed kustomization.yaml"),
        ({"a.yaml": config("a", annotations={LOCAL: "true"})}, "warning not-applied a.yaml"),
        ({"a.yaml": A, "x/cloudbuild.yaml": B}, "warning not-applied x/cloudbuild.yaml"),
        ({"a.yaml": config("a", labels={"version": 1.10})}, "error lost-labels a.yaml"),
        ({"a.yaml": manifest("v1", "Pod", "{name: a}")}, "warning no-namespace a.yaml"),
        ({"a.yaml": manifest("v1", "Pod", "{name: a, namespace: true}")}, "warning no-namespace a.yaml"),
    ],
)
def test_rules__find(tree: dict[str, str], expected: str) -> None:
    assert expected in told(tree)
    assert len([one for one in told(tree) if "not-applied" not in one]) <= 1


def test_rules__pass_over_what_flux_does_not_read() -> None:
    tree = {"kustomization.yaml": listing("a.yaml"), "a.yaml": A, "b.yaml": manifest("v1", "Pod", "{name: b}")}
    assert findings(tree) == ()


@pytest.mark.parametrize("name", [name for name in REFUSED if not name.startswith("one object")])
def test_rules__or_a_flaw_tell_of_every_tree_that_flux_refuses(name: str) -> None:
    files = contents(REFUSED[name].files)
    flaws = [finding for path, data in files.items() for finding in parse(path, data).findings]
    assert flaws or flux_findings(read(REFUSED[name].files), ())


@pytest.mark.parametrize(
    ("field", "consequence"), [("data", "applies nothing"), ("stringData", "applies the encrypted text")]
)
def test_rules__encrypted_secrets_need_decryption(field: str, consequence: str) -> None:
    text = manifest("v1", "Secret", "{name: a, namespace: odd}", f"{field}: {{a: 'ENC[x]'}}\n{SOPS}")
    (finding,) = findings({"a.yaml": text})
    assert (finding.rule, str(finding.resource)) == ("needs-decryption", "Secret odd/a")
    assert consequence in finding.message
    assert "spec.decryption" in finding.hint


def test_rules__without_a_namespace_is_told_once_and_says_what_helps() -> None:
    (finding,) = findings({f"{n}.yaml": manifest("v1", "ConfigMap", f"{{name: c{n}}}") for n in range(7)})
    assert finding.message == (
        "No namespace is given for ConfigMap c0, ConfigMap c1, ConfigMap c2, ConfigMap c3, ConfigMap c4 and 2 more: "
        "Flux would apply nothing, unless one is set for all."
    )
    assert "spec.targetNamespace" in finding.hint


def test_rules__without_a_namespace_is_fine_where_there_is_none() -> None:
    widget = custom("Widget", "{}", "{name: a}")
    assert findings({"a.yaml": widget}) == ()
    assert findings({"a.yaml": widget, "z.yaml": definition("Widget", "Cluster")}) == ()
    assert told({"a.yaml": widget, "z.yaml": definition("Widget")}) == ["warning no-namespace a.yaml"]


def test_rules__say_why_flux_applies_nothing() -> None:
    assert message({"a.yaml": A, "sub/com1.txt": "x"}) == (
        "sub/com1.txt: `com1` is the name of a device on Windows; Flux applies nothing."
    )
