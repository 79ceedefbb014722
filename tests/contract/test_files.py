"""What machines check about the files of the interfaces and of our own pipelines: vendors' schemas and linters."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.programs import ROOT, program

if TYPE_CHECKING:
    from pathlib import Path

OURS = re.compile(r"uses: cdk8s-publish/cdk8s-publish@\S+")
EXAMPLES = sorted((ROOT / "examples" / "github").glob("*.yml"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ISSUE_CONFIG = ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"
ISSUE_FORMS = sorted(set(ISSUE_CONFIG.parent.glob("*.yml")) - {ISSUE_CONFIG})
GITLAB = [
    *(ROOT / name for name in (".gitlab-ci-template.yml", ".gitlab-ci.yml") if (ROOT / name).exists()),
    *sorted((ROOT / "examples" / "gitlab").glob(".*.yml")),
]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def clean(*argv: str | Path, cwd: Path = ROOT) -> None:
    checked = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert checked.returncode == 0, f"{argv}\n{checked.stdout}\n{checked.stderr}"


def has_schema(kind: str, *files: Path) -> None:
    clean(program("check-jsonschema"), "--builtin-schema", f"vendor.{kind}", *files)


def test_action__has_the_vendors_schema() -> None:
    has_schema("github-actions", ROOT / "action.yml")


@pytest.mark.parametrize("path", WORKFLOWS + EXAMPLES, ids=name)
def test_workflow__has_the_vendors_schema(path: Path) -> None:
    has_schema("github-workflows", path)


@pytest.mark.parametrize("path", GITLAB, ids=name)
def test_gitlab_file__has_the_vendors_schema(path: Path, tmp_path: Path) -> None:
    # The schema describes one document; a file with inputs has two.
    for number, document in enumerate(path.read_text(encoding="utf-8").split("\n---\n")):
        part = tmp_path / f"{number}.yml"
        part.write_text(document, encoding="utf-8")
        has_schema("gitlab-ci", part)


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_example__uses_only_inputs_and_outputs_that_the_action_has(path: Path, tmp_path: Path) -> None:
    user = workflow_beside_action(path, tmp_path)
    clean(program("actionlint"), "-no-color", user, cwd=tmp_path)


def test_example__with_a_misspelled_input_is_refused(tmp_path: Path) -> None:
    user = workflow_beside_action(EXAMPLES[0], tmp_path)
    user.write_text(user.read_text(encoding="utf-8").replace("branch: manifests", "brunch: manifests"))
    with pytest.raises(AssertionError, match="brunch"):
        clean(program("actionlint"), "-no-color", user, cwd=tmp_path)


def workflow_beside_action(path: Path, folder: Path) -> Path:
    """Return a copy of a workflow that uses our action as a local one: only of those actionlint reads the inputs."""
    for file in ("action.yml", "Dockerfile"):
        shutil.copy(ROOT / file, folder)
    user = folder / ".github" / "workflows" / path.name
    user.parent.mkdir(parents=True)
    text, count = OURS.subn("uses: ./", path.read_text(encoding="utf-8"))
    assert count, "the example does not use our action"
    user.write_text(text, encoding="utf-8")
    subprocess.run((program("git"), "init", "--quiet", folder), check=True, timeout=60)
    return user


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_workflow__is_clean_for_actionlint(path: Path) -> None:
    clean(program("actionlint"), "-no-color", path)


def test_supply_chain__is_clean_for_zizmor() -> None:
    clean(program("zizmor"), "--offline", "--no-progress", "--persona", "pedantic", "action.yml", *WORKFLOWS, *EXAMPLES)


@pytest.mark.parametrize("path", WORKFLOWS + EXAMPLES, ids=name)
def test_workflow__pins_third_party_actions_by_commit(path: Path) -> None:
    uses = re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8"))
    foreign = [use for use in uses if not use.startswith(("./", "cdk8s-publish/"))]
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", use) for use in foreign), foreign


@pytest.mark.parametrize("path", ISSUE_FORMS, ids=name)
def test_issue_form__has_the_vendors_schema(path: Path) -> None:
    has_schema("github-issue-forms", path)


def test_issue_config__has_the_vendors_schema() -> None:
    has_schema("github-issue-config", ISSUE_CONFIG)


def test_commit_hooks__run_what_the_set_up_installs() -> None:
    entries = re.findall(r"entry: (\S+)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert entries
    assert [entry for entry in entries if not (ROOT / entry).exists()] == []


def test_dockerfile__is_clean_for_hadolint() -> None:
    clean(program("hadolint"), "Dockerfile")


def test_renovate__has_its_schema() -> None:
    clean(program("check-jsonschema"), "--builtin-schema", "vendor.renovate", "renovate.json")


def test_renovate__finds_every_lock_of_python() -> None:
    (pattern,) = json.loads((ROOT / "renovate.json").read_text())["pip_requirements"]["managerFilePatterns"]
    locks = [name(path) for path in (ROOT / "requirements").glob("*.txt")]
    assert locks
    assert all(re.search(pattern.strip("/"), lock) for lock in locks)
