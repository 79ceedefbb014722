"""The real GitLab template, run by gitlab-ci-local: includes, inputs, variables, artifacts and what later jobs see."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from support import readme
from support.checkouts import Checkout, config_map
from support.git_http import TOKEN, GitHttpServer
from support.programs import ROOT, RUN_TIMEOUT_S, program, require

if TYPE_CHECKING:
    from support.runner import Cli

pytestmark = pytest.mark.server
TEMPLATE = ".gitlab-ci-template.yml"
PIPELINE = """
stages: [deploy, after]
include:
  - local: {template}
    inputs:
      install: none
      path: apps/shop
      {inputs}
later:
  stage: after
  needs: [cdk8s-publish]
  rules: [{{if: $CI_COMMIT_BRANCH}}]
  script:
    - echo "later sees $PUBLISH_OUTCOME of $PUBLISH_MANIFESTS at $PUBLISH_REVISION"
"""


@pytest.fixture
def project(checkout: Checkout, http_server: GitHttpServer) -> Checkout:
    """Return a project that includes the template; its remote is the HTTP server."""
    require("gitlab-ci-local", "rsync")
    checkout.write(TEMPLATE, (ROOT / TEMPLATE).read_bytes())
    pipeline(checkout)
    checkout.git("remote", "set-url", "origin", http_server.url(checkout.origin.path))
    return checkout


def pipeline(checkout: Checkout, inputs: str = "") -> None:
    """Commit a pipeline that includes the template with these inputs."""
    checkout.write(".gitlab-ci.yml", PIPELINE.format(template=TEMPLATE, inputs=inputs).encode())
    checkout.commit("Add a pipeline")


def run(
    cli: Cli, project: Checkout, server: GitHttpServer, *, job: str = "cdk8s-publish", code: int = 0, **variables: str
) -> str:
    """Run the pipeline as GitLab would on this commit, with its server's variables; return the log."""
    url = server.url(project.origin.path)
    given = {
        "GITLAB_CI": "true",  # gitlab-ci-local says false, so that scripts can tell it apart
        # gitlab-ci-local names the folder of a container, also for its shell executor.
        "CI_PROJECT_DIR": str(project.path / ".gitlab-ci-local" / "builds" / job),
        "CI_JOB_TOKEN": TOKEN,
        "CI_PROJECT_URL": url.removesuffix(".git"),
        "CI_SERVER_URL": server.origin,
        "CI_PROJECT_PATH": url.removeprefix(f"{server.origin}/").removesuffix(".git"),
        "CI_DEFAULT_BRANCH": "main",
        **variables,
    }
    argv = (
        program("gitlab-ci-local"),
        *("--force-shell-executor", "--shell-isolation", "--no-color"),
        *(f"--variable={name}={value}" for name, value in given.items()),
    )
    done = subprocess.run(
        argv,
        cwd=project.path,
        env=cli.environ(GCL_IGNORE_PREDEFINED_VARS=",".join(given)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert TOKEN not in done.stdout
    return done.stdout


def test_template__publishes_and_hands_outputs_to_later_jobs(
    project: Checkout, cli: Cli, http_server: GitHttpServer
) -> None:
    log = run(cli, project, http_server)
    assert project.origin.files("manifests")["apps/shop/web.yaml"] == config_map("web")
    assert f"later sees published of 2 at {project.origin.tip('manifests')}" in log
    assert http_server.pushes()[-1].endswith(" gitlab-ci-token")
    assert "ConfigMap web" in (project.path / ".cdk8s-publish" / "summary.md").read_text()
    assert "later sees unchanged of 2" in run(cli, project, http_server)


def test_template__shows_the_diff_in_a_merge_request(project: Checkout, cli: Cli, http_server: GitHttpServer) -> None:
    run(cli, project, http_server)
    tip, pushes = project.origin.tip("manifests"), len(http_server.pushes())
    project.render({"web.yaml": config_map("web", "2"), "db.yaml": config_map("db")}, "Propose")
    log = run(
        cli, project, http_server, job="cdk8s-publish-diff",
        CI_PIPELINE_SOURCE="merge_request_event", CI_MERGE_REQUEST_IID="7", CI_COMMIT_BRANCH="",
    )  # fmt: skip
    assert "ConfigMap web" in log
    assert project.origin.tip("manifests") == tip
    assert len(http_server.pushes()) == pushes
    patch = project.path / ".cdk8s-publish" / "changes.diff"
    assert '+  value: "2"' in patch.read_text().splitlines()


def test_template__passes_inputs_on_unharmed(project: Checkout, cli: Cli, http_server: GitHttpServer) -> None:
    """The app command holds what a shell and GitLab's own expansion would like to touch."""
    command = """'mkdir -p "$CDK8S_OUTDIR" && printf "%s" "$(cat rendered/web.yaml)" >"${CDK8S_OUTDIR}/a b.yaml"'"""
    pipeline(project, f"app: {command}\n      branch: env/live\n      history: 'keep: 3'")
    run(cli, project, http_server)
    assert project.origin.files("env/live")["apps/shop/a b.yaml"] == config_map("web").rstrip()


def test_template__says_which_setting_lets_a_job_token_push(
    project: Checkout, cli: Cli, http_server: GitHttpServer
) -> None:
    project.origin.hook("pre-receive", "echo 'You are not allowed to push code to this project.' >&2; exit 1\n")
    log = run(cli, project, http_server, code=1)
    assert "not allowed to push" in log
    assert "Job token permissions" in log
    assert project.origin.tip("manifests") is None


def test_template__failing_app_fails_the_job_and_the_branch_stays(
    project: Checkout, cli: Cli, http_server: GitHttpServer
) -> None:
    pipeline(project, "app: 'echo deep trouble >&2; exit 4'")
    log = run(cli, project, http_server, code=1)
    assert "deep trouble" in log
    assert "later sees" not in log
    assert project.origin.tip("manifests") is None


def test_readme__pipeline_publishes_where_it_says(project: Checkout, cli: Cli, http_server: GitHttpServer) -> None:
    inputs = readme.template_inputs()
    include = {"local": TEMPLATE, "inputs": {**inputs, "install": "none"}}
    project.write(".gitlab-ci.yml", yaml.safe_dump({"include": [include]}).encode())
    project.commit("Paste the readme")
    run(cli, project, http_server)
    assert f"{inputs['path']}/web.yaml" in project.origin.files(inputs["branch"])
