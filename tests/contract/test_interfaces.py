"""Every interface says what `inputs/declared.py` declares, read here with a YAML parser and from the help page."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cdk8s_publish import errors
from cdk8s_publish.inputs.declared import INPUTS, OUTPUTS
from support.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = [spec.name for spec in INPUTS]
PLUMBING = ["job", "stage", "image"]
"""Inputs that only a GitLab template needs: what the job is called and where it runs."""
NO_OPTION = {spec.name for spec in INPUTS if spec.is_secret}


def words(text: str) -> str:
    return " ".join(text.split())


def template() -> tuple[dict[str, Any], dict[str, Any]]:
    header, jobs = yaml.safe_load_all((ROOT / ".gitlab-ci-template.yml").read_text(encoding="utf-8"))
    return header, jobs


def action() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return loaded


def script(name: str, *args: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, ROOT / name, *args), cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def test_interfaces__are_what_the_script_writes() -> None:
    checked = script("scripts/sync_declarations.py", "--check")
    assert checked.returncode == 0, checked.stderr


def said(path: Path) -> Iterator[str]:
    """Yield the texts of a module that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def test_messages__name_no_page_that_only_a_clone_has__u8() -> None:
    """Who uses the action or the template sees no file of this repository."""
    texts = [text for path in sorted((ROOT / "src").rglob("*.py")) for text in said(path)]
    interfaces = ("action.yml", ".gitlab-ci-template.yml", "entrypoint.py")
    texts += [(ROOT / name).read_text(encoding="utf-8") for name in interfaces]
    assert [text for text in texts if re.search(r"(docs|how-to|reference|explanation)/[\w/-]+\.md", text)] == []


def test_action__has_every_input_with_its_default() -> None:
    inputs = action()["inputs"]
    assert list(inputs) == NAMES
    for spec in INPUTS:
        default = spec.default if spec.action_default is None else spec.action_default
        assert inputs[spec.name]["default"] == default
        assert words(inputs[spec.name]["description"]) == spec.description


def test_action__has_every_output() -> None:
    described = {name: words(output["description"]) for name, output in action()["outputs"].items()}
    assert described == OUTPUTS


def test_action__hands_over_the_job_token_and_nothing_else() -> None:
    expressions = re.findall(r"\$\{\{.*?\}\}", (ROOT / "action.yml").read_text(encoding="utf-8"))
    assert expressions == ["${{ github.token }}"]


def test_template__has_every_input_with_its_default() -> None:
    inputs = template()[0]["spec"]["inputs"]
    assert list(inputs) == PLUMBING + NAMES
    for spec in INPUTS:
        default = spec.default if spec.template_default is None else spec.template_default
        assert inputs[spec.name]["default"] == default
        assert words(inputs[spec.name]["description"]) == spec.description
        assert inputs[spec.name].get("options", []) == list(spec.choices)


def test_template__hands_every_input_over_under_a_name_that_shells_know() -> None:
    variables = template()[1][".$[[ inputs.job ]]"]["variables"]
    for spec in INPUTS:
        variable = variables[f"INPUT_{spec.field.upper()}"]
        value = variable["value"] if isinstance(variable, dict) else variable
        assert value == f"$[[ inputs.{spec.name} ]]"
        assert re.fullmatch(r"[A-Z_]+", f"INPUT_{spec.field.upper()}")


@pytest.mark.parametrize("name", ["app", "install"])
def test_template__leaves_the_dollar_of_shell_commands_alone(name: str) -> None:
    assert template()[1][".$[[ inputs.job ]]"]["variables"][f"INPUT_{name.upper()}"]["expand"] is False


def test_template__component_is_the_same_file() -> None:
    assert (ROOT / "templates" / "publish.yml").read_bytes() == (ROOT / ".gitlab-ci-template.yml").read_bytes()


def test_help__names_every_input_and_its_default() -> None:
    page = script("entrypoint.py", "run", "--help")
    assert page.returncode == 0, page.stderr
    text = words(page.stdout)
    assert set(re.findall(r"--([a-z][a-z-]+)", text)) - {"help", "verbose"} == set(NAMES) - NO_OPTION
    for spec in INPUTS:
        if spec.name not in NO_OPTION and spec.default:
            assert f"[{spec.default}]" in text


def test_reference__has_a_chapter_for_every_input() -> None:
    page = (ROOT / "docs/reference/inputs.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^### `(.+)`$", page, re.MULTILINE)) == sorted(NAMES)


def test_exit_codes__are_the_same_in_the_classes_the_reference_and_the_help() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    codes = {cls.exit_code for cls in classes if hasattr(cls, "exit_code")} | {0}
    page = (ROOT / "docs/reference/exit-codes.md").read_text(encoding="utf-8")
    help_page = words(script("entrypoint.py", "--help").stdout).partition("Exit codes: ")[2]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == codes
    assert {int(code) for code in re.findall(r"(?:^|· )(\d+) ", help_page)} == codes


def test_entrypoint__stays_under_ten_lines() -> None:
    assert len((ROOT / "entrypoint.py").read_text(encoding="utf-8").splitlines()) < 10


def test_image__runs_the_locked_dependencies_of_the_package() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    installations = re.findall(r"^.*\bpip\b.* install .*$", dockerfile, re.MULTILINE)
    assert installations
    assert all("--require-hashes" in line for line in installations)
    assert re.findall(r"^ARG (\w+_IMAGE)=\S+@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE) == re.findall(
        r"^ARG (\w+_IMAGE)=", dockerfile, re.MULTILINE
    )
