"""The template as users include it, run by gitlab-ci-local: its own script, variables, rules and artifacts.

gitlab-ci-local has no container engine here, so the job runs the program of the checkout; tests/container runs the
same script in the image. It is no GitLab: that a merge request starts a pipeline, and `resource_group`, are not shown.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import sys
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.git_http import TOKEN, GitHttpServer
from support.programs import LOOPBACK, ROOT, SEARCH_PATH, program, require, run
from support.remotes import Remote, git
from support.runner import ENTRYPOINT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.server

PRODUCT = "cdk8s-publish/cdk8s-publish"
SHAPES = {
    "local": '- local: ".gitlab-ci-template.yml"',
    "project": f'- project: {PRODUCT}\n    ref: v1.0.0\n    file: "/.gitlab-ci-template.yml"',
    "component": f"- component: $CI_SERVER_FQDN/{PRODUCT}/publish@v1.0.0",
    "remote": "- remote: {remote}/.gitlab-ci-template.yml",
}


@dataclass(frozen=True)
class Pipeline:
    """A project on a server, and the machine that gitlab-ci-local runs its jobs on."""

    checkout: Checkout
    server: GitHttpServer
    machine: Path
    remote: str

    def include(self, shape: str, **inputs: str) -> None:
        """Write and commit the project's own .gitlab-ci.yml."""
        lines = [f"include:\n  {SHAPES[shape].format(remote=self.remote)}"]
        lines += ["    inputs:", '      install: "none"']
        lines += [f"      {name.replace('_', '-')}: {json.dumps(value)}" for name, value in inputs.items()]
        if shape == "local":
            shutil.copy(ROOT / ".gitlab-ci-template.yml", self.checkout.path)
        self.checkout.write(".gitlab-ci.yml", ("\n".join(lines) + "\n").encode())
        self.checkout.commit("Include the template")

    def local(self, *args: str, **variables: str) -> str:
        """Run gitlab-ci-local in the project and return what it printed."""
        predefined = {
            "GITLAB_CI": "true",  # gitlab-ci-local says false
            "CI_DEFAULT_BRANCH": "main",
            "CI_JOB_TOKEN": TOKEN,
            "CI_PROJECT_URL": self.server.url(self.checkout.origin.path).removesuffix(".git"),
            "CI_SERVER_URL": self.server.origin,
            "CI_SERVER_FQDN": self.server.origin.removeprefix("http://"),
            **variables,
        }
        options = [f"--variable={name}={value}" for name, value in predefined.items()]
        done = run(
            program("gitlab-ci-local"),
            "--force-shell-executor",
            "--shell-isolation",
            *options,
            *args,
            cwd=self.checkout.path,
            env={"PATH": f"{self.machine / 'bin'}:{SEARCH_PATH}", "HOME": str(self.machine), "LANG": "C.UTF-8"},
        )
        return (done.stdout + done.stderr).decode()

    def jobs(self, **variables: str) -> list[str]:
        """Return the names of the jobs that a pipeline would have."""
        shown = self.local("--list-json", **variables)
        listed = json.loads(shown[shown.index("[\n") if "[\n" in shown else shown.index("[{") : shown.rindex("]") + 1])
        return [job["name"] for job in listed if job["when"] != "never"]

    def artifact(self, name: str) -> str:
        """Return a file that a job left as an artifact; gitlab-ci-local copies them back to the checkout."""
        return (self.checkout.path / ".cdk8s-publish" / name).read_text()


@contextlib.contextmanager
def files_over_http(folder: Path) -> Iterator[str]:
    """Serve a folder without a password, as a raw file on a public server."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def pipeline(checkout: Checkout, http_server: GitHttpServer, tmp_path: Path) -> Iterator[Pipeline]:
    """Return a project on the server, beside the project that holds the template."""
    require("gitlab-ci-local", "rsync")
    checkout.git("remote", "set-url", "origin", http_server.url(checkout.origin.path))
    product = tmp_path / PRODUCT
    (product / "templates").mkdir(parents=True)
    for name in (".gitlab-ci-template.yml", "templates/publish.yml"):
        shutil.copy(ROOT / name, product / name)
    git("init", "--quiet", "--initial-branch=main", cwd=product)
    git("add", "--all", cwd=product)
    git("commit", "--quiet", "--message", "Release", cwd=product)
    git("tag", "v1.0.0", cwd=product)
    Remote.create(product.with_suffix(".git"))
    git("push", "--quiet", product.with_suffix(".git"), "main", "v1.0.0", cwd=product)
    machine = tmp_path / "machine"
    (machine / "bin").mkdir(parents=True)
    launcher = machine / "bin" / "cdk8s-publish"
    # For a job with an image gitlab-ci-local names the folder inside a container, also where it starts none.
    launcher.write_text(f'#!/bin/sh\nCI_PROJECT_DIR=$PWD exec "{sys.executable}" "{ENTRYPOINT}" "$@"\n')
    launcher.chmod(0o755)
    scheme, _, host = http_server.origin.partition("://")
    (machine / ".git-credentials").write_text(f"{scheme}://git:{TOKEN}@{host}\n")
    (machine / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    with files_over_http(product) as remote:
        yield Pipeline(checkout, http_server, machine, remote)


@pytest.mark.parametrize("shape", SHAPES)
def test_template__publishes_when_included_as(shape: str, pipeline: Pipeline) -> None:
    pipeline.include(shape, path="clusters/production", commit_message="render {short-sha}")
    pipeline.local("cdk8s-publish")
    origin = pipeline.checkout.origin
    assert origin.files("manifests")["clusters/production/web.yaml"] == config_map("web")
    assert origin.log("manifests") == [f"render {pipeline.checkout.sha[:12]}"]
    assert "ConfigMap web" in pipeline.artifact("summary.md")
    assert "+  name: web" in pipeline.artifact("changes.diff")


def test_template__lets_other_inputs_hold_variables(pipeline: Pipeline) -> None:
    pipeline.include("local", path="clusters/$CLUSTER")
    pipeline.local("cdk8s-publish", CLUSTER="north")
    assert "clusters/north/web.yaml" in pipeline.checkout.origin.files("manifests")


def test_template__has_one_job_for_the_default_branch(pipeline: Pipeline) -> None:
    pipeline.include("local")
    assert pipeline.jobs() == ["cdk8s-publish"]


def test_template__has_one_job_for_merge_requests(pipeline: Pipeline) -> None:
    pipeline.include("local")
    pipeline.checkout.git("checkout", "--quiet", "-b", "topic")
    request = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "7"}
    assert pipeline.jobs(**request) == ["cdk8s-publish-diff"]
    pipeline.local("cdk8s-publish-diff", **request)
    assert "ConfigMap web" in pipeline.artifact("summary.md")
    assert pipeline.checkout.origin.tip("manifests") is None


def test_template__included_twice_makes_different_jobs(pipeline: Pipeline) -> None:
    pipeline.include("local", job="staging", branch="staging")
    text = (pipeline.checkout.path / ".gitlab-ci.yml").read_text()
    again = text.partition("include:\n")[2].replace("staging", "production")
    pipeline.checkout.write(".gitlab-ci.yml", (text + again).encode())
    pipeline.checkout.commit("Include it twice")
    assert sorted(pipeline.jobs()) == ["production", "staging"]


def test_template__refuses_what_an_input_can_not_be(pipeline: Pipeline) -> None:
    pipeline.include("local", mode="sometimes")
    with pytest.raises(AssertionError, match="mode"):
        pipeline.local("--list-json")


@pytest.mark.parametrize("source", ["push", "merge_request_event"])
def test_our_pipeline__builds_the_image_that_its_own_job_runs_in(source: str, pipeline: Pipeline) -> None:
    for name in (".gitlab-ci.yml", ".gitlab-ci-template.yml"):
        shutil.copy(ROOT / name, pipeline.checkout.path)
    pipeline.checkout.commit("Use our own pipeline")
    if source != "push":
        pipeline.checkout.git("checkout", "--quiet", "-b", "topic")
    jobs = pipeline.jobs(CI_PIPELINE_SOURCE=source)
    assert any(name.startswith("self") for name in jobs)
    assert any(name.startswith("build image") for name in jobs)
