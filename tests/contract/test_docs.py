"""The documentation against the code: links lead somewhere, and what is shown can be typed."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cdk8s_publish.cli import COMMANDS, _parser
from cdk8s_publish.flux import options
from cdk8s_publish.inputs.declared import INPUTS, OUTPUTS, parse
from support.programs import ROOT, program, run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

PAGES = sorted(
    (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/*/README.md"),
        ROOT / "examples" / "README.md",
        ROOT / "tests" / "README.md",
    )
)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
NAMES = {spec.name for spec in INPUTS}


def parser(name: str) -> argparse.ArgumentParser:
    return _parser(next(command for command in COMMANDS if command.name == name))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        if match[1] in languages:
            yield match[2]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page as GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page__links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(found), f"{target}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page__shows_each_picture_once(page: Path) -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)\s]+)\)", prose(page))
    assert sorted(set(pictures)) == sorted(pictures)


def test_pages__are_all_reachable_from_the_readme() -> None:
    seen, pending = set(), [ROOT / "README.md", ROOT / "docs/README.md"]
    while pending:
        page = pending.pop()
        seen.add(page)
        for target in re.findall(r"\]\(([^)#\s]+\.md)", prose(page)):
            found = (page.parent / target).resolve()
            if found.exists() and found not in seen:
                pending.append(found)
    assert {name_of(page) for page in PAGES if name_of(page).startswith("docs/")} <= {name_of(page) for page in seen}


def test_readme__shows_first_what_to_paste() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert lines.index("```yaml") < 14, "the quick start begins before line 15"


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of each call of the program that a page shows."""
    for block in blocks(page, "console", "sh", "shell"):
        for line in block.splitlines():
            call = re.match(r"\$ cdk8s-publish\b([^|>#]*)", line)
            if call:
                yield shlex.split(call[1])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page__commands_are_ones_that_the_program_takes(page: Path) -> None:
    for arguments in commands(page):
        if arguments == ["--version"]:
            continue
        given = {name: value for name, value in vars(parser(arguments[0]).parse_args(arguments)).items() if value}
        command = given.pop("command")
        if command == "flux":
            options.parse({"url": "https://github.com/acme/shop"} | given)
        else:
            parse(given)


def steps(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any YAML
    """Yield every mapping in a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from steps(item)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page__yaml_names_inputs_that_exist(page: Path) -> None:
    plumbing = {"job", "stage", "image"}
    for block in blocks(page, "yaml"):
        for document in yaml.safe_load_all(block):
            for step in steps(document):
                used = str(step.get("uses", ""))
                if used.removeprefix("docker://ghcr.io/").startswith("cdk8s-publish/"):
                    given = step.get("with") or {}
                    assert set(given) <= NAMES
                    assert "token" in given or not used.startswith("docker:"), "an image has no default for the token"
                    # Expressions are GitHub's: they stand for a value that would do.
                    parse(
                        {
                            key: str(value).lower() if isinstance(value, bool) else str(value)
                            for key, value in given.items()
                            if "${{" not in str(value)
                        }
                    )
                if ".gitlab-ci-template" in str(step.get("remote", "")):
                    assert set(step.get("inputs", {})) <= NAMES | plumbing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page__outputs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"\.outputs\.([\w-]+)", text)) - {"token"} <= set(OUTPUTS)
    variables = {f"PUBLISH_{name.upper().replace('-', '_')}" for name in OUTPUTS}
    assert set(re.findall(r"\$(PUBLISH_\w+)", text)) <= variables


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page__whole_workflows_are_clean(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "yaml"):
        if re.search(r"^jobs:", block, re.MULTILINE) and re.search(r"^on:", block, re.MULTILINE):
            (tmp_path / "workflow.yml").write_text(block, encoding="utf-8")
            run(program("actionlint"), "-no-color", tmp_path / "workflow.yml")


def test_examples__workflow_is_clean() -> None:
    workflow = ROOT / "examples" / "github" / "publish.yml"
    run(program("actionlint"), "-no-color", workflow)
    run(program("zizmor"), "--offline", "--no-progress", workflow)
    run(program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", workflow)
    run(program("check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci", ROOT / "examples/gitlab/.gitlab-ci.yml")


def test_examples__generators_call_the_program_as_it_is() -> None:
    flux1 = yaml.safe_load(next(blocks(ROOT / "docs/how-to/flux-1.md", "yaml")))
    plugin = yaml.safe_load((ROOT / "image/argocd/plugin.yaml").read_text(encoding="utf-8"))
    calls = [shlex.split(generator["command"]) for generator in flux1["commandUpdated"]["generators"]]
    calls.append(plugin["spec"]["generate"]["command"])
    for program_name, *arguments in calls:
        assert program_name == "cdk8s-publish"
        assert parser(arguments[0]).parse_args(arguments).command == "generate"
