"""What `cdk8s-publish flux` prints, against the schemas of Flux itself."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdk8s_publish.errors import SynthError
from cdk8s_publish.flux import charts, options

pytestmark = pytest.mark.synth

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / ".tools" / "npm" / "node_modules" / "@kubernetes-models" / "flux-cd"
CRDS = ROOT.parent / "shared" / "flux-crds"
GOLDEN = ROOT / "tests" / "golden" / "flux.yaml"
TIMEOUT_S = 120

ALL_OPTIONS = {
    "url": "git@github.com:acme/shop.git",
    "branch": "env/production",
    "path": "clusters/production",
    "name": "shop",
    "namespace": "team-a",
    "poll-interval": "30s",
    "interval": "1h30m",
    "retry-interval": "90s",
    "timeout": "3m",
    "secret": "shop-deploy-key",
    "verify-secret": "shop-signers",
}

# Documents come in as JSON; out goes, for each, whether Flux's model takes it.
VALIDATE = """
import { GitRepository } from "@kubernetes-models/flux-cd/source.toolkit.fluxcd.io/v1/GitRepository";
import { Kustomization } from "@kubernetes-models/flux-cd/kustomize.toolkit.fluxcd.io/v1/Kustomization";
import { readFileSync } from "node:fs";
const models = { GitRepository, Kustomization };
const isValid = (document) => {
  try { new models[document.kind](document).validate(); return true; } catch { return false; }
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(isValid)));
"""

Document = dict[str, Any]


def documents(**raw: str) -> list[Document]:
    text = charts.render(options.parse({"url": "https://github.com/acme/shop"} | raw))
    return list(yaml.safe_load_all(text))


def are_valid(candidates: list[Document]) -> list[bool]:
    if not MODELS.exists():
        assert not os.environ.get("CI"), "run scripts/setup.py full"
        pytest.skip("needs .tools: run scripts/setup.py full")
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", VALIDATE],
        cwd=ROOT / ".tools" / "npm",
        input=json.dumps(candidates),
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    answers: list[bool] = json.loads(done.stdout)
    return answers


def with_each_leaf_wrong(document: Document, *at: str) -> list[tuple[str, Document]]:
    """Return one copy for each leaf below `spec`, with a number (which no leaf is) in its place."""
    node = document["spec"]
    for key in at:
        node = node[key]
    found = []
    for key, value in node.items():
        if isinstance(value, dict):
            found += with_each_leaf_wrong(document, *at, key)
            continue
        broken = copy.deepcopy(document)
        target = broken["spec"]
        for step in at:
            target = target[step]
        target[key] = 7
        found.append((".".join((*at, key)), broken))
    return found


@pytest.fixture(scope="module")
def full() -> list[Document]:
    return documents(**ALL_OPTIONS)


def test_output__is_two_documents_in_the_order_kubectl_applies_them(full: list[Document]) -> None:
    assert [document["kind"] for document in full] == ["GitRepository", "Kustomization"]
    source, sync = full
    assert source["metadata"] == sync["metadata"] == {"name": "shop", "namespace": "team-a"}
    assert sync["spec"]["sourceRef"] == {"kind": "GitRepository", "name": "shop"}


def test_output__has_the_bytes_on_record() -> None:
    text = charts.render(options.parse(ALL_OPTIONS))
    assert text == GOLDEN.read_text()
    assert text == charts.render(options.parse(ALL_OPTIONS))


def test_output__is_valid_for_the_models_of_flux(full: list[Document]) -> None:
    assert are_valid([*full, *documents()]) == [True] * 4


def test_output__has_no_field_that_flux_does_not_know(full: list[Document]) -> None:
    # The models let unknown fields pass; but a field they know can't hold a value of the wrong type.
    broken = [pair for document in full for pair in with_each_leaf_wrong(document)]
    assert len(broken) == 14
    answers = are_valid([document for _, document in broken])
    assert [name for (name, _), valid in zip(broken, answers, strict=True) if valid] == []
    typo = copy.deepcopy(full[1])
    typo["spec"]["retryIntervall"] = typo["spec"].pop("retryInterval")
    unknown = dict(with_each_leaf_wrong(typo))["retryIntervall"]
    assert are_valid([unknown]) == [True], "an unknown field is seen by its wrong value being accepted"


def strict(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Refuse fields that a structural schema does not name, as the API server does with `--validate=strict`."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    is_object = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if is_object and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed["additionalProperties"] = False
    return closed


def crd_answer(document: Document, folder: Path) -> tuple[int, str]:
    program = shutil.which("check-jsonschema")
    if not CRDS.exists() or not program:
        pytest.skip("needs the CustomResourceDefinitions of Flux beside the checkout, and check-jsonschema")
    group, version = document["apiVersion"].split("/")
    plural = {"GitRepository": "gitrepositories", "Kustomization": "kustomizations"}[document["kind"]]
    crd = yaml.safe_load((CRDS / f"{group}_{plural}.yaml").read_text())
    (schema,) = (v["schema"]["openAPIV3Schema"] for v in crd["spec"]["versions"] if v["name"] == version)
    schema = strict(schema)
    schema["properties"]["metadata"].pop("additionalProperties", None)
    (folder / "schema.json").write_text(json.dumps(schema))
    (folder / "document.json").write_text(json.dumps(document))
    argv = (program, "--schemafile", folder / "schema.json", folder / "document.json")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("kind", [0, 1], ids=["GitRepository", "Kustomization"])
def test_output__is_valid_for_the_definitions_of_flux(full: list[Document], kind: int, tmp_path: Path) -> None:
    document = full[kind]
    code, said = crd_answer(document, tmp_path)
    assert code == 0, said
    document = copy.deepcopy(document)
    document["spec"]["intervall"] = "1m"
    code, said = crd_answer(document, tmp_path)
    assert code == 1
    assert "intervall" in said


def test_stdout__holds_nothing_but_manifests() -> None:
    code = (
        "from cdk8s_publish.flux import charts, options; "
        "print(charts.render(options.parse({'url': 'https://h/a/b'})), end='')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
    assert len(list(yaml.safe_load_all(done.stdout))) == 2
    assert done.stderr == ""


def test_import__does_not_load_cdk8s() -> None:
    code = "import sys, cdk8s_publish.flux.charts; print('cdk8s' in sys.modules, 'jsii' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
    assert done.stdout == "False False\n"


def test_render__with_an_old_node_says_so(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v20.20.2\n")
    node.chmod(0o755)
    with pytest.raises(SynthError, match=r"too old: .*/node is v20\.20\.2"):
        charts.render(options.parse({"url": "https://github.com/acme/shop"}), node=str(node))
