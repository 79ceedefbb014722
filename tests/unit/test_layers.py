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

# A room imports only from the rooms below it; its own modules may know each other.
LAYERS = (
    ("git_names", "model"),
    ("errors",),
    ("input_values", "options", "signals"),
    ("inputs", "log", "report", "review", "sandbox"),
    ("ci",),
    ("job", "flux"),
    ("render",),
    ("publish",),
    ("commands",),
    ("cli",),
)
# With a dollar sign it is a value for a CI product's own file, which we only pass on.
CI_NAMES = re.compile(r"(?<![$\w])(?:GITHUB|CI|GITLAB|RUNNER)_[A-Z]\w*")
SOURCES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def layer_of(module: str) -> int | None:
    room = module.partition(".")[0]
    return next((number for number, rooms in enumerate(LAYERS) if room in rooms), None)


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of everything that is imported, at the top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute, so that they can be searched for"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def without_types(tree: ast.Module) -> ast.Module:
    """Return the tree without what stands under `if TYPE_CHECKING:`."""
    kept = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")]
    return ast.Module(kept, tree.type_ignores)


def own_modules(tree: ast.AST) -> set[str]:
    """Return the modules of this package that are imported, relative to the package."""
    own = (name.removeprefix("cdk8s_publish.") for name in imports_of(tree) if name.startswith("cdk8s_publish."))
    return {name if layer_of(name) is not None else name.rpartition(".")[0] for name in own} - {""}


def layer_faults(module: str, source: str) -> list[str]:
    own, tree = layer_of(module), ast.parse(source)
    at_run_time = own_modules(without_types(tree))
    faults = []
    for other in sorted(own_modules(tree)):
        layer = layer_of(other)
        is_sibling = module.partition(".")[0] == other.partition(".")[0]
        is_allowed = (
            own is not None and layer is not None and (layer < own or (layer == own and other not in at_run_time))
        )
        if not is_allowed and not is_sibling:
            faults.append(f"{module} (layer {own}) imports {other} (layer {layer})")
    return faults


def reads_environ(source: str) -> bool:
    """Whether a source touches the process environment by any of its names."""
    tree, powers = ast.parse(source), {"environ", "environb", "getenv", "putenv"}
    attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return bool({f"os.{power}" for power in powers} & (attributes | set(imports_of(tree))))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: module_name(path) or "__init__")
def test_layers__imports_go_down_only(path: Path) -> None:
    module = module_name(path)
    if module:
        assert layer_of(module) is not None, f"{module} has no layer: give it one"
        assert layer_faults(module, path.read_text()) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: module_name(path) or "__init__")
def test_layers__each_power_has_one_holder(path: Path) -> None:
    module, source = module_name(path), path.read_text()
    packages = {name.partition(".")[0] for name in imports_of(ast.parse(source))}
    assert module == "publish.branch.git_process" or "git" not in packages, "GitPython belongs to git_process.py"
    assert module == "cli" or not reads_environ(source), "only cli.py reads the environment"
    assert module.partition(".")[0] == "ci" or not CI_NAMES.findall(source), "names of CI products belong under ci/"


def test_layers__layer_zero_is_standard_library_only() -> None:
    for module in LAYERS[0]:
        packages = {
            name.partition(".")[0]
            for name in imports_of(without_types(ast.parse((PACKAGE / f"{module}.py").read_text())))
        }
        assert packages <= {"__future__", "collections", "enum", "pathlib", "re", "types", "typing"}


def test_entrypoint__stays_under_ten_lines() -> None:
    assert len((ROOT / "entrypoint.py").read_text().splitlines()) < 10


def test_layer_check__sees_what_it_forbids() -> None:
    assert layer_faults("review.checks", "from cdk8s_publish.publish.branch.repository import Remote")
    assert layer_faults("render.synth", "import cdk8s_publish.cli")
    assert layer_faults("render.synth", "def late():\n    from cdk8s_publish.publish import loop")
    assert not layer_faults("publish.loop", "from cdk8s_publish.model import Sha\nfrom cdk8s_publish import errors")
    assert layer_faults("render.synth", "if TYPE_CHECKING:\n    from cdk8s_publish.publish.loop import Look")
    assert not layer_faults("render.synth", "if TYPE_CHECKING:\n    from cdk8s_publish.render.discover import App")
    assert reads_environ("import os\nos.environ['A']")
    assert reads_environ("from os import getenv as g")
    assert CI_NAMES.findall('env["GITHUB_SHA"], env["CI_COMMIT_SHA"]') == ["GITHUB_SHA", "CI_COMMIT_SHA"]
    assert not CI_NAMES.findall('"$CI_JOB_TOKEN", INPUT_CI_X')
