"""The layer table of the package, proved by walking every import."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cdk8s_publish

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(cdk8s_publish.__file__).parent
ROOT = PACKAGE.parent.parent

# A module imports only from lower layers; `.*` stands for every module of a sub-package.
LAYERS = (
    ("errors", "model"),
    ("inputs", "plan", "manifests", "check", "diff", "report"),
    ("commands", "log", "snapshot"),
    ("repository", "synth", "apps", "imports", "ci.*", "flux.*"),
    ("publish",),
    ("cli",),
)
# With a dollar sign it is a value for a CI product's own file, which we only pass on.
CI_NAMES = re.compile(r"(?<![$\w])(?:GITHUB|CI|GITLAB|RUNNER)_[A-Z]\w*")
SOURCES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def layer_of(module: str) -> int | None:
    package, _, inner = module.partition(".")
    for number, names in enumerate(LAYERS):
        if module in names or (f"{package}.*" in names and "." not in inner):
            return number
    return None


def imports_of(source: str) -> Iterator[str]:
    """Yield the full name of everything a module imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute, so that they can be searched for"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_modules(source: str) -> set[str]:
    """Return the modules of this package that a source imports, relative to the package."""
    own = (name.removeprefix("cdk8s_publish.") for name in imports_of(source) if name.startswith("cdk8s_publish."))
    return {name if layer_of(name) is not None else name.rpartition(".")[0] for name in own} - {""}


def layer_faults(module: str, source: str) -> list[str]:
    own = layer_of(module)
    faults = []
    for other in own_modules(source):
        layer = layer_of(other)
        siblings = module.partition(".")[0] == other.partition(".")[0] and "." in module
        if own is None or layer is None or (layer >= own and not siblings):
            faults.append(f"{module} (layer {own}) imports {other} (layer {layer})")
    return faults


def reads_environ(source: str) -> bool:
    """Whether a source touches the process environment by any of its names."""
    tree = ast.parse(source)
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = {name.rpartition(".")[2] for name in imports_of(source)}
    return bool({"environ", "environb", "getenv", "putenv"} & (attributes | names))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: module_name(path) or "__init__")
def test_layers__imports_go_down_only(path: Path) -> None:
    module = module_name(path)
    if module:
        assert layer_of(module) is not None, f"{module} has no layer: give it one"
        assert layer_faults(module, path.read_text()) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: module_name(path) or "__init__")
def test_layers__each_power_has_one_holder(path: Path) -> None:
    module, source = module_name(path), path.read_text()
    packages = {name.partition(".")[0] for name in imports_of(source)}
    assert module == "repository" or "git" not in packages, "GitPython belongs to repository.py"
    assert module == "cli" or not reads_environ(source), "only cli.py reads the environment"
    assert module.startswith("ci.") or not CI_NAMES.findall(source), "names of CI products belong under ci/"


def test_layers__layer_zero_is_standard_library_only() -> None:
    for module in LAYERS[0]:
        packages = {name.partition(".")[0] for name in imports_of((PACKAGE / f"{module}.py").read_text())}
        assert packages <= {"__future__", "dataclasses", "enum", "typing", "collections", "pathlib"}


def test_entrypoint__stays_under_ten_lines() -> None:
    assert len((ROOT / "entrypoint.py").read_text().splitlines()) < 10


def test_layer_check__sees_what_it_forbids() -> None:
    assert layer_faults("check", "from cdk8s_publish.repository import Remote")
    assert layer_faults("synth", "import cdk8s_publish.cli")
    assert layer_faults("synth", "def late():\n    from cdk8s_publish import publish")
    assert not layer_faults("publish", "from cdk8s_publish.model import Sha\nfrom cdk8s_publish import errors")
    assert reads_environ("import os\nos.environ['A']")
    assert reads_environ("from os import getenv as g")
    assert CI_NAMES.findall('env["GITHUB_SHA"], env["CI_COMMIT_SHA"]') == ["GITHUB_SHA", "CI_COMMIT_SHA"]
    assert not CI_NAMES.findall('"$CI_JOB_TOKEN", INPUT_CI_X')
