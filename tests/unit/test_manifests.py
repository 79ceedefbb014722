"""Documents become manifests the way kustomize-controller reads them, or findings that say why not."""

from __future__ import annotations

import pytest

from cdk8s_publish.manifests import parse
from cdk8s_publish.model import ResourceId

CONFIG = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"
DEPLOYMENT = b"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\n"


def test_parse__keeps_identity_and_bytes_of_each_document() -> None:
    parsed = parse("app.yaml", CONFIG + b"---\n" + DEPLOYMENT)
    assert parsed.findings == ()
    assert [manifest.resource for manifest in parsed.manifests] == [
        ResourceId("", "ConfigMap", "", "a"),
        ResourceId("apps", "Deployment", "shop", "web"),
    ]
    assert [manifest.text for manifest in parsed.manifests] == [CONFIG, DEPLOYMENT]


@pytest.mark.parametrize("data", [b"", b"\n", b"# nothing\n---\n# here\n", b"---\n---\n", b"null\n---\n{}\n---\n[]\n"])
def test_parse__empty_documents_are_skipped(data: bytes) -> None:
    assert parse("app.yaml", data).manifests == parse("app.yaml", data).findings == ()
