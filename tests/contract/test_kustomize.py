"""What we read, kustomize reads; what we refuse, it refuses, or the reason is written down.

kustomize-controller builds with the same library as `kubectl kustomize`.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cdk8s_publish.model import ResourceId
from cdk8s_publish.review.manifests import parse
from support.documents import READ, REFUSED, STRICTER
from support.programs import require

if TYPE_CHECKING:
    from pathlib import Path


def built(folder: Path, data: bytes) -> list[str] | None:
    """Return the resources that kustomize makes of a file, or None when it refuses."""
    require("kubectl")
    (folder / "kustomization.yaml").write_text("resources: [file.yaml]\n")
    (folder / "file.yaml").write_bytes(data)
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, timeout=60, check=False)
    return None if done.returncode else sorted(map(resource, yaml.safe_load_all(done.stdout)))


def resource(value: dict[str, Any]) -> str:
    group, metadata = value.get("apiVersion", "").rpartition("/")[0], value["metadata"]
    return str(ResourceId(group, value["kind"], metadata.get("namespace", ""), str(metadata["name"])))


@pytest.mark.parametrize("name", [name for name, (_, resources) in READ.items() if resources])
def test_kustomize__reads_what_we_read(tmp_path: Path, name: str) -> None:
    data, resources = READ[name]
    assert built(tmp_path, data) == resources


@pytest.mark.parametrize("name", REFUSED)
def test_kustomize__refuses_what_we_refuse(tmp_path: Path, name: str) -> None:
    assert built(tmp_path, REFUSED[name][0]) is None


@pytest.mark.parametrize("name", STRICTER)
def test_kustomize__is_less_strict_here(tmp_path: Path, name: str) -> None:
    data, _ = STRICTER[name]
    found = built(tmp_path, data)
    assert found is not None
    assert len(found) <= 1
    assert parse("file.yaml", data).findings
