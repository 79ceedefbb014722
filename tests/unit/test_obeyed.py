"""Which files of a branch CI products, forges and git obey, in every spelling, and names that nobody obeys."""

from __future__ import annotations

import re

import pytest

from cdk8s_publish.git.obeyed import obeyed
from support.programs import ROOT

RUN = "workflow-file"


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (".github/workflows/a.yaml", RUN),
        (".github/CODEOWNERS", RUN),
        (".gitea/workflows/a.yaml", RUN),
        (".forgejo/workflows/a.yaml", RUN),
        (".gitlab-ci.yml", RUN),
        (".gitlab/agents/a/config.yaml", RUN),
        (".circleci/config.yml", RUN),
        (".buildkite/hooks/pre-command", RUN),
        ("buildkite/pipeline.json", RUN),
        ("azure-pipelines.yml", RUN),
        ("Jenkinsfile", RUN),
        (".drone.yml", RUN),
        (".woodpecker.yaml", RUN),
        (".woodpecker/a.yaml", RUN),
        (".tekton/push.yaml", RUN),
        ("bitbucket-pipelines.yml", RUN),
        (".travis.yml", RUN),
        ("cloudbuild.yaml", "obeyed-file"),
        ("zuul.yaml", "obeyed-file"),
        ("CODEOWNERS", "obeyed-file"),
        ("docs/CODEOWNERS", "obeyed-file"),
        (".gitmodules", "git-configuration"),
        (".lfsconfig", "git-configuration"),
        (".gitattributes", "git-attributes"),
        ("dist/a/.gitattributes", "git-attributes"),
    ],
)
def test_obeyed__by_its_place__a8(path: str, rule: str) -> None:
    found = obeyed(path)
    assert found
    assert found.rule == rule


@pytest.mark.parametrize(
    "path",
    [
        ".GitHub/Workflows/a.yaml",
        ".github /workflows/a.yaml",
        ".github./workflows/a.yaml",
        ".github:stream/workflows/a.yaml",
        ".github\\workflows\\a.yaml",
        ".git\u200chub/workflows/a.yaml",
        ".GITLAB-CI.YML",
        ".gitlab-ci.yml. .",
        "jenkinsfile",
        ".build\u212aite/pipeline.yml",
        ".GitAttributes",
        "dist/GITATT~1",
        "dist/gi7d29~1",
    ],
)
def test_obeyed__in_any_spelling__a8(path: str) -> None:
    assert obeyed(path)


@pytest.mark.parametrize(
    "path",
    [
        "dist/.github/workflows/a.yaml",
        "dist/.gitlab-ci.yml",
        "dist/.gitmodules",
        "a/docs/CODEOWNERS",
        "docs/index.md",
        "buildkite/agent.yaml",
        "github/a.yaml",
        "gitlab-ci.yml",
        "Jenkinsfile.yaml",
        "cloudbuild.k8s.yaml",
        ".gitignore",
        "",
        "/",
    ],
)
def test_obeyed__nobody_looks_there__a8(path: str) -> None:
    assert obeyed(path) is None


def test_obeyed__is_what_the_reference_says() -> None:
    page = (ROOT / "docs/reference/checks.md").read_text()
    section = page.partition("## Files that others obey")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    assert len(rows) == 7
    for names, _, rule in rows:
        for name in re.findall("`([^`]+)`", names):
            found = obeyed(f"{name}x" if name.endswith("/") else name)
            assert found, name
            assert f"`{found.rule}`" in rule, name
