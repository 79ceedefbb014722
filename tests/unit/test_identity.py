"""One idea of when two documents are about the same object."""

from __future__ import annotations

import pytest

from cdk8s_publish.model import ResourceId
from cdk8s_publish.review.identity import identify, is_namespaced, scopes
from cdk8s_publish.review.manifests import parse
from support.flux_trees import definition


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (ResourceId("", "ConfigMap", "", "a"), ResourceId("", "ConfigMap", "default", "a")),
        (ResourceId("", "ConfigMap", "odd", "a"), ResourceId("", "ConfigMap", "odd", "a")),
        (ResourceId("", "Namespace", "default", "a"), ResourceId("", "Namespace", "", "a")),
        (ResourceId("", "Namespace", "", "a"), ResourceId("", "Namespace", "", "a")),
        (
            ResourceId("rbac.authorization.k8s.io", "ClusterRole", "odd", "a"),
            ResourceId("rbac.authorization.k8s.io", "ClusterRole", "", "a"),
        ),
        (ResourceId("example.com", "Namespace", "odd", "a"), ResourceId("example.com", "Namespace", "odd", "a")),
        (ResourceId("example.com", "Widget", "", "a"), ResourceId("example.com", "Widget", "default", "a")),
    ],
)
def test_identity__as_kustomize_has_it(resource: ResourceId, expected: ResourceId) -> None:
    assert identify(resource) == expected


@pytest.mark.parametrize(("scope", "namespace"), [("Namespaced", "odd"), ("Cluster", "")])
def test_identity__of_a_custom_kind(scope: str, namespace: str) -> None:
    custom = scopes(parse("a.yaml", definition("Widget", scope).encode()).manifests)
    widget = ResourceId("odd.example.com", "Widget", "odd", "a")
    assert identify(widget, custom) == widget._replace(namespace=namespace)


@pytest.mark.parametrize(
    ("group", "kind", "expected"),
    [("", "Pod", True), ("apps", "Deployment", True), ("", "Node", False), ("gateway.networking.k8s.io", "X", None)],
)
def test_is_namespaced__is_unknown_for_custom_kinds(group: str, kind: str, *, expected: bool | None) -> None:
    assert is_namespaced(ResourceId(group, kind, "", "a")) is expected
