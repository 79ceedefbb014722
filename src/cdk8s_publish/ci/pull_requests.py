"""How CI products that have no module of their own say that a build is one of a pull request, as data.

The names are those of each product's own reference of variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO = frozenset({"", "0", "false", "none", "null"})
"""What products write where there is no pull request."""


class Sign(NamedTuple):
    """Variables of a product, any of which says "pull request": by one of `values`, or by every value that is no no.

    `mark` is a variable that the product always sets. It is asked for where a name is one that anybody might use.
    """

    product: str
    variables: tuple[str, ...]
    values: tuple[str, ...] = ()
    mark: str = ""


SIGNS = (
    Sign("AppVeyor", ("APPVEYOR_PULL_REQUEST_NUMBER",)),
    # What is merged is no longer up for review.
    Sign(
        "AWS CodeBuild",
        ("CODEBUILD_WEBHOOK_EVENT",),
        ("PULL_REQUEST_CREATED", "PULL_REQUEST_UPDATED", "PULL_REQUEST_REOPENED"),
    ),
    Sign("Azure Pipelines", ("BUILD_REASON",), ("PullRequest",)),
    Sign("Azure Pipelines", ("SYSTEM_PULLREQUEST_PULLREQUESTID", "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER")),
    Sign("Bitbucket Pipelines", ("BITBUCKET_PR_ID",)),
    Sign("Bitrise", ("BITRISE_PULL_REQUEST",)),
    Sign("Buddy", ("BUDDY_RUN_PR_ID", "BUDDY_EXECUTION_PULL_REQUEST_ID")),
    Sign("Buildkite", ("BUILDKITE_PULL_REQUEST",)),
    Sign("CircleCI", ("CIRCLE_PULL_REQUEST", "CIRCLE_PULL_REQUESTS", "CIRCLE_PR_NUMBER")),
    Sign("Cirrus CI", ("CIRRUS_PR",)),
    Sign("Codefresh", ("CF_PULL_REQUEST_NUMBER",)),
    Sign("Drone", ("DRONE_PULL_REQUEST",)),
    Sign("Drone", ("DRONE_BUILD_EVENT",), ("pull_request",)),
    Sign("Jenkins", ("CHANGE_ID", "ghprbPullId", "gitlabMergeRequestIid"), mark="JENKINS_URL"),
    Sign("Netlify", ("PULL_REQUEST",), mark="NETLIFY"),
    Sign("Prow", ("PULL_NUMBER",), mark="PROW_JOB_ID"),
    Sign("Semaphore", ("SEMAPHORE_GIT_PR_NUMBER",)),
    Sign("Travis CI", ("TRAVIS_PULL_REQUEST",)),
    Sign("Vercel", ("VERCEL_GIT_PULL_REQUEST_ID",)),
    Sign("Woodpecker", ("CI_COMMIT_PULL_REQUEST",)),
    Sign("Woodpecker", ("CI_PIPELINE_EVENT",), ("pull_request", "pull_request_closed", "pull_request_metadata")),
)


def pull_request_evidence(environ: Mapping[str, str]) -> str:
    """Return the variable that says that a build is one of a pull request, with its product; empty where none does."""
    for sign in SIGNS:
        if sign.mark and not environ.get(sign.mark):
            continue
        for name in sign.variables:
            if _says_so(environ.get(name, "").strip(), sign.values):
                return f"{name} ({sign.product})"
    return ""


def _says_so(value: str, values: tuple[str, ...]) -> bool:
    return value in values if values else value.lower() not in _NO
