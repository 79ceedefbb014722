"""The template as users include it, run by gitlab-ci-local: its own script, variables, rules and artifacts.

The job runs the program of the checkout here; tests/container runs it in the image, by the same means. gitlab-ci-local
is no GitLab: that a merge request starts a pipeline, and `resource_group`, are not shown.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.gitlab_ci_local import SHAPES, Pipeline, pipeline_of
from support.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.git_http import GitHttpServer

pytestmark = pytest.mark.server


@pytest.fixture
def pipeline(checkout: Checkout, http_server: GitHttpServer, tmp_path: Path) -> Iterator[Pipeline]:
    with pipeline_of(checkout, http_server, tmp_path) as made:
        yield made


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
