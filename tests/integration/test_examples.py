"""The examples, as a user runs them: frozen installation, then `cdk8s synth` and the app command itself."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import yaml

from support import golang
from support.programs import ROOT, SEARCH_PATH, program, require_toolchain, run

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = ROOT / "examples"
GOLDEN = ROOT / "tests" / "golden"
INSTALL = {
    "go": "go mod verify",
    "java": "mvn --version",
    "javascript": "npm ci --no-audit --no-fund",
    "python": "python3 -m venv .venv && .venv/bin/pip install --quiet --require-hashes --requirement requirements.txt",
    "typescript": "npm ci --no-audit --no-fund",
}
# Python and TypeScript render the same application, byte for byte.
RENDERS = {"go": "go", "java": "java", "javascript": "javascript", "python": "greeter", "typescript": "greeter"}


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class Example:
    """An example with its dependencies, and the manifests it has to render."""

    folder: Path
    golden: Path


@pytest.fixture(scope="module", params=sorted(INSTALL))
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """Copy what is committed of an example and install what its lock file says."""
    name: str = request.param
    if name == "java":
        require_toolchain("mvn", "javac")
    folder = tmp_path_factory.mktemp(name)
    listed = run(program("git"), "ls-files", "-z", cwd=EXAMPLES / name).stdout.decode()
    for path in listed.rstrip("\0").split("\0"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / name / path, folder / path)
    if name == "go":
        golang.download_modules(folder, environ(folder))
    run("sh", "-c", INSTALL[name], cwd=folder, env=environ(folder))
    return Example(folder, GOLDEN / RENDERS[name])


def environ(folder: Path, **more: str) -> dict[str, str]:
    path = os.pathsep.join((str(folder / ".venv" / "bin"), str(folder / "node_modules" / ".bin"), SEARCH_PATH))
    # The rest of the environment stays: it is how a machine reaches its package registries.
    return {**os.environ, "PATH": path, "CDK8S_CHECK_UPGRADE": "false", **more}


@pytest.mark.slow
@pytest.mark.synth
def test_example__writes_the_manifests_on_record(example: Example, tmp_path: Path) -> None:
    app = example.folder
    command = yaml.safe_load((app / "cdk8s.yaml").read_text())["app"]
    run("sh", "-c", command, cwd=app, env=environ(app, CDK8S_OUTDIR=str(tmp_path / "direct")))
    assert files_of(tmp_path / "direct") == files_of(example.golden)
    run(program("cdk8s"), "synth", "--output", tmp_path / "cli", cwd=app, env=environ(app))
    assert files_of(tmp_path / "cli") == files_of(example.golden)


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.parametrize("name", ["python", "typescript"])
def test_example__imports_are_what_the_cli_makes_of_the_crd(name: str, tmp_path: Path) -> None:
    run(program("cdk8s"), "import", "--output", tmp_path, cwd=EXAMPLES / name, env=environ(tmp_path))
    made, kept = files_of(tmp_path), files_of(EXAMPLES / name / "imports")
    assert made.keys() == {path for path in kept if "__pycache__" not in path}
    # The archive that Python and Java have beside the code carries times.
    text = {path for path in made if not path.endswith(".tgz")}
    assert {path: made[path] for path in text} == {path: kept[path] for path in text}


def test_locks__name_no_place_to_download_from() -> None:
    for path in sorted(EXAMPLES.glob("*/package-lock.json")):
        packages = json.loads(path.read_text())["packages"]
        assert not [name for name, package in packages.items() if "resolved" in package]
        checked = {name: "integrity" in package or "inBundle" in package for name, package in packages.items()}
        assert [name for name, is_checked in checked.items() if name and not is_checked] == []
    requirements = (EXAMPLES / "python" / "requirements.txt").read_text()
    assert "://" not in requirements
    assert requirements.count("==") <= requirements.count("--hash=sha256:")


def test_custom_resource__is_the_same_in_every_language() -> None:
    definitions = {path.read_bytes() for path in EXAMPLES.glob("*/crds/*.yaml")}
    assert len(definitions) == 1
