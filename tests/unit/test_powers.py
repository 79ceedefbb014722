"""Each power over the outside world has one holder. Who may import whom is a contract in pyproject.toml."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cdk8s_publish
from support.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(cdk8s_publish.__file__).parent
SOURCES = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}

# With a dollar sign it is a value for a CI product's own file, which we only pass on.
CI_NAMES = re.compile(r"(?<![$\w])(?:GITHUB|CI|GITLAB|RUNNER)_[A-Z]\w*")
STARTS_PROGRAMS = {
    "commands/version.py",  # asks programs for their version
    "flux/charts.py",  # asks Node.js for its version
    "git/process.py",  # types and limits of the process that GitPython starts
    "publish/branch/signing.py",  # gpg and ssh-keygen, which hold a key
    "sandbox/lifetime.py",  # types and limits of what sandbox/process.py starts
    "sandbox/process.py",  # everything that is not ours
    "sandbox/scratch.py",  # the process that cleans up after us
}


def imports_of(source: str) -> Iterator[str]:
    """Yield the full name of everything that is imported, at the top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute, so that they can be searched for"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def uses(source: str, *names: str) -> bool:
    """Whether a source names one of these attributes, or imports it."""
    attributes = {ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    return bool(set(names) & (attributes | set(imports_of(source))))


def reads_environ(source: str) -> bool:
    return uses(source, "os.environ", "os.environb", "os.getenv", "os.putenv")


def packages(source: str) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(source)}


@pytest.mark.parametrize("path", SOURCES)
def test_power__has_one_holder(path: str) -> None:
    source = SOURCES[path]
    assert path == "git/process.py" or "git" not in packages(source), "GitPython"
    assert path in STARTS_PROGRAMS or "subprocess" not in packages(source), "starting programs"
    assert path == "cli.py" or not reads_environ(source), "the process's own environment"
    assert path == "cli.py" or not uses(source, "sys.exit", "os._exit"), "ending the process"
    assert path.startswith("ci/") or not CI_NAMES.findall(source), "variables of CI products"


def test_power__list_of_those_that_start_programs_is_not_longer_than_needed() -> None:
    assert {path for path, source in SOURCES.items() if "subprocess" in packages(source)} == STARTS_PROGRAMS


def test_entrypoint__stays_under_ten_lines() -> None:
    assert len((ROOT / "entrypoint.py").read_text().splitlines()) < 10


def test_check__sees_what_it_forbids() -> None:
    assert reads_environ("import os\nos.environ['A']")
    assert reads_environ("from os import getenv as g")
    assert uses("import sys\nsys.exit(1)", "sys.exit")
    assert CI_NAMES.findall('env["GITHUB_SHA"], env["CI_COMMIT_SHA"]') == ["GITHUB_SHA", "CI_COMMIT_SHA"]
    assert not CI_NAMES.findall('"$CI_JOB_TOKEN", INPUT_CI_X')
