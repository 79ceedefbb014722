"""What an app renders must not become code that CI runs, nor be obeyed by a forge or git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.checkouts import config_map

if TYPE_CHECKING:
    from support.checkouts import Checkout
    from support.runner import Cli

RUN = ("run", "--install", "none")
LISTED = {"a.yaml": config_map("a"), "kustomization.yaml": b"resources: [a.yaml]\n"}
JOB = b"job: {script: [env]}\n"


@pytest.mark.parametrize(
    "name", [".gitlab-ci.yml", ".gitea/workflows/x.yaml", ".GitHub/workflows/x.yaml", "Jenkinsfile"]
)
def test_file__that_ci_runs_is_refused_also_below_a_kustomization_file__a8(
    checkout: Checkout, cli: Cli, name: str
) -> None:
    checkout.render({**LISTED, name: JOB})
    done = cli.run(*RUN, "--path", ".", cwd=checkout.path).exits(4)
    assert "error workflow-file" in done.text
    assert checkout.origin.tip("manifests") is None
    cli.run(*RUN, "--path", ".", "--allow", "workflow-file", cwd=checkout.path).exits(2)
    cli.run(*RUN, "--path", "dist", cwd=checkout.path).ok()  # the neighbour: nobody looks there


def test_file__that_a_forge_obeys_is_a_warning__a8(checkout: Checkout, cli: Cli) -> None:
    checkout.render({"a.yaml": config_map("a"), "CODEOWNERS": b"* @ada\n"})
    assert "warning obeyed-file" in cli.run(*RUN, "--path", "docs", cwd=checkout.path).ok().text
    checkout.origin.git("update-ref", "-d", "refs/heads/manifests")
    assert "obeyed-file" not in cli.run(*RUN, "--path", "dist", cwd=checkout.path).ok().text


@pytest.mark.parametrize("path", [".github/workflows", ".GITEA", ".gitlab./x", ".tekton"])
def test_path__where_ci_looks_for_workflows_is_refused__a8(checkout: Checkout, cli: Cli, path: str) -> None:
    done = cli.run(*RUN, "--path", path, cwd=checkout.path).exits(2)
    assert "manifests do not belong there" in done.text
