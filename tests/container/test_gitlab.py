"""The image as GitLab's docker executor runs it: the template's own script on the standard input of a shell."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.checkouts import Checkout, config_map
from support.containers import Container, engine, image, owners
from support.git_http import TOKEN, GitHttpServer
from support.gitlab_ci_local import pipeline_of
from support.programs import ROOT, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.image, pytest.mark.server]

PROJECT = "/builds/source/origin"


def template() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / ".gitlab-ci-template.yml").read_text(encoding="utf-8")))


def template_header() -> dict[str, Any]:
    return template()[0]


def template_job() -> dict[str, Any]:
    job: dict[str, Any] = template()[1][".$[[ inputs.job ]]"]
    return job


@pytest.fixture
def workspace(checkout: Checkout, http_server: GitHttpServer, tmp_path: Path) -> Checkout:
    """Return a checkout as the runner makes it: detached, owned by root."""
    return checkout.ci_checkout(tmp_path / "builds", http_server.url(checkout.origin.path))


@pytest.fixture
def container(workspace: Checkout, tmp_path: Path) -> Container:
    """Return the container of a job whose entry point is overridden, as the template says."""
    assert template_job()["image"]["entrypoint"] == [""]
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    tmp.chmod(0o1777)
    options = ("--interactive", "--entrypoint=")
    return Container(image(), tmp, f"test-{os.getpid()}-gitlab", options, {str(workspace.path): PROJECT})


def environ(checkout: Checkout, server: GitHttpServer, **more: str) -> dict[str, str]:
    """Return the predefined variables and those that the template sets."""
    files = {name: value for name, value in template_job()["variables"].items() if name.startswith("PUBLISH_")}
    return files | {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_COMMIT_REF_NAME": "main",
        "CI_COMMIT_SHA": checkout.sha,
        "CI_DEFAULT_BRANCH": "main",
        "CI_JOB_TOKEN": TOKEN,
        "CI_JOB_URL": f"{server.origin}/source/origin/-/jobs/1",
        "CI_PROJECT_DIR": PROJECT,
        "CI_PROJECT_PATH": "source/origin",
        "CI_PROJECT_URL": f"{server.origin}/source/origin",
        "CI_SERVER_URL": server.origin,
        "INPUT_TOKEN": TOKEN,
        "INPUT_INSTALL": "none",
        "INPUT_COMMIT_MESSAGE": "render {short-sha}",
        "INPUT_DIFF_FILE": ".cdk8s-publish/changes.diff",
        **more,
    }


def script() -> str:
    return "\n".join(("set -e", f"cd {PROJECT}", *template_job()["script"], ""))


def dotenv(folder: Path) -> dict[str, str]:
    lines = (folder / ".cdk8s-publish" / "outputs.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_job__publishes_and_reports(
    container: Container, workspace: Checkout, checkout: Checkout, http_server: GitHttpServer
) -> None:
    job = container.run(environ(workspace, http_server), "sh", stdin=script()).ok()
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web")
    assert checkout.origin.log("manifests") == [f"render {workspace.sha[:12]}"]
    outputs = dotenv(workspace.path)
    assert outputs["PUBLISH_OUTCOME"] == "published"
    assert outputs["PUBLISH_SOURCE_REVISION"] == workspace.sha
    assert outputs["PUBLISH_REVISION"] == checkout.origin.tip("manifests")
    assert "ConfigMap web" in (workspace.path / ".cdk8s-publish" / "summary.md").read_text()
    assert "+  name: web" in (workspace.path / ".cdk8s-publish" / "changes.diff").read_text()
    assert "section_start:" in job.text
    assert {path.name for path in workspace.path.iterdir()} == {".cdk8s-publish", ".git", "cdk8s.yaml", "rendered"}
    assert set(owners(workspace.path)) == {os.geteuid()}
    assert list(container.tmp.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="the workspace has to belong to root")
def test_app__of_a_workspace_of_root_runs_as_another_user(
    container: Container, workspace: Checkout, checkout: Checkout, http_server: GitHttpServer
) -> None:
    app = 'printf "apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: user-%s}\\n" "$(id -u)" >"$CDK8S_OUTDIR/me.yaml"'
    job = container.run(environ(workspace, http_server, INPUT_APP=app), "sh", stdin=script()).ok()
    assert b"user-1001" in checkout.origin.files("manifests")["dist/me.yaml"]
    assert "user 1001" in job.text


@pytest.mark.skipif(os.geteuid() != 0, reason="the workspace has to belong to root")
def test_job__works_where_root_may_not_change_users(
    container: Container, workspace: Checkout, checkout: Checkout, http_server: GitHttpServer
) -> None:
    stripped = replace(container, options=(*container.options, "--cap-drop=ALL", "--security-opt=no-new-privileges"))
    job = stripped.run(environ(workspace, http_server), "sh", stdin=script()).ok()
    assert dotenv(workspace.path)["PUBLISH_REVISION"] == checkout.origin.tip("manifests")
    assert "The app runs as root" in job.text
    assert list(container.tmp.iterdir()) == []


def test_job__keeps_downloads_for_the_next_one(
    container: Container, workspace: Checkout, checkout: Checkout, http_server: GitHttpServer
) -> None:
    cache = template_header()["spec"]["inputs"]["cache-dir"]["default"]
    assert template_job()["cache"]["paths"] == [cache]
    app = """
      test ! -e .cdk8s-publish/cache
      name=$(cat "$XDG_CACHE_HOME/seen" 2>/dev/null || echo nothing)
      echo a-download >"$XDG_CACHE_HOME/seen"
      printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: %s}\\n' "$name" >"$CDK8S_OUTDIR/me.yaml"
    """
    for expected in (b"nothing", b"a-download"):
        variables = environ(workspace, http_server, INPUT_APP=app, INPUT_CACHE_DIR=cache)
        container.run(variables, "sh", stdin=script()).ok()
        assert expected in checkout.origin.files("manifests")["dist/me.yaml"]


def test_job__in_a_merge_request_only_shows_the_diff(
    container: Container, workspace: Checkout, checkout: Checkout, http_server: GitHttpServer
) -> None:
    variables = environ(workspace, http_server, CI_MERGE_REQUEST_IID="7", CI_MERGE_REQUEST_SOURCE_BRANCH_NAME="topic")
    container.run(variables, "sh", stdin=script()).ok()
    assert dotenv(workspace.path)["PUBLISH_OUTCOME"] == "dry-run"
    assert checkout.origin.tip("manifests") is None


def test_job__fails_where_the_program_fails(
    container: Container, workspace: Checkout, http_server: GitHttpServer
) -> None:
    job = container.run(environ(workspace, http_server, INPUT_APP="exit 9"), "sh", stdin=script()).exits(3)
    assert "ERROR" in job.text
    assert dotenv(workspace.path) == {"PUBLISH_OUTCOME": "failed"}


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """Return options that let gitlab-ci-local run jobs in containers; what it leaves of them is removed."""
    image()  # without one, the test is skipped before anything asks for the engine
    label = f"--label=test={os.getpid()}"
    program = tmp_path / "engine"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = create ] && {{ shift; set -- create {label} --network=host --no-healthcheck "$@"; }}\n'
        f'[ "$1 $2" = "volume create" ] && {{ shift 2; set -- volume create {label} "$@"; }}\n'
        f'exec "{engine()}" "$@"\n'
    )
    program.chmod(0o755)
    # The helper copies artifacts with rsync, which this one lacks: they are looked at where no container is between.
    yield f"--container-executable={program}", "--pull-policy=if-not-present", "--helper-image=debian:bookworm-slim"
    chosen = label.replace("label", "filter=label", 1)
    for listing, removal in (("ps --all", "rm --force"), ("volume ls", "volume rm")):
        for name in run(engine(), *listing.split(), "--quiet", chosen).stdout.decode().split():
            run(engine(), *removal.split(), name)


def test_template__runs_in_the_image(
    executor: tuple[str, ...], checkout: Checkout, http_server: GitHttpServer, tmp_path: Path
) -> None:
    with pipeline_of(checkout, http_server, tmp_path) as made:
        pipeline = replace(made, executor=executor)
        pipeline.include("remote", image=image(), path="clusters/production")
        log = pipeline.local("cdk8s-publish")
    assert checkout.origin.files("manifests")["clusters/production/web.yaml"] == config_map("web")
    assert "user 1001" in log
