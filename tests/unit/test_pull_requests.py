from __future__ import annotations

import pytest

from cdk8s_publish.ci.detect import detect

PULL_REQUESTS: tuple[dict[str, str], ...] = (
    {"APPVEYOR": "True", "APPVEYOR_PULL_REQUEST_NUMBER": "7"},
    {"CODEBUILD_BUILD_ARN": "arn", "CODEBUILD_WEBHOOK_EVENT": "PULL_REQUEST_UPDATED"},
    {"BUILD_REASON": "PullRequest", "SYSTEM_PULLREQUEST_PULLREQUESTID": "7"},
    {"BUILD_REASON": "PullRequest"},
    {"BUILD_REASON": "Manual", "SYSTEM_PULLREQUEST_PULLREQUESTID": "7"},
    {"BITBUCKET_PR_ID": "7"},
    {"BITRISE_IO": "true", "BITRISE_PULL_REQUEST": "7"},
    {"BUDDY": "true", "BUDDY_RUN_PR_ID": "pullRequest/7"},
    {"BUDDY": "true", "BUDDY_EXECUTION_PULL_REQUEST_ID": "pull/7"},
    {"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST": "7"},
    {"CIRCLECI": "true", "CIRCLE_PULL_REQUEST": "https://github.com/acme/shop/pull/7"},
    {"CIRCLECI": "true", "CIRCLE_PULL_REQUESTS": "https://github.com/acme/shop/pull/7"},
    {"CIRCLECI": "true", "CIRCLE_PR_NUMBER": "7"},
    {"CIRRUS_CI": "true", "CIRRUS_PR": "7"},
    {"CF_BUILD_ID": "1", "CF_PULL_REQUEST_NUMBER": "7"},
    {"DRONE": "true", "DRONE_PULL_REQUEST": "7"},
    {"DRONE": "true", "DRONE_BUILD_EVENT": "pull_request"},
    {"JENKINS_URL": "https://ci.example", "CHANGE_ID": "7"},
    {"JENKINS_URL": "https://ci.example", "ghprbPullId": "7"},
    {"JENKINS_URL": "https://ci.example", "gitlabMergeRequestIid": "7"},
    {"NETLIFY": "true", "PULL_REQUEST": "true"},
    {"PROW_JOB_ID": "1", "PULL_NUMBER": "7"},
    {"SEMAPHORE": "true", "SEMAPHORE_GIT_PR_NUMBER": "7"},
    {"TRAVIS": "true", "TRAVIS_PULL_REQUEST": "7"},
    {"VERCEL": "1", "VERCEL_GIT_PULL_REQUEST_ID": "7"},
    {"CI": "woodpecker", "CI_COMMIT_PULL_REQUEST": "7"},
    {"CI": "woodpecker", "CI_PIPELINE_EVENT": "pull_request_closed"},
)

BRANCHES: tuple[dict[str, str], ...] = (
    {},
    {"APPVEYOR": "True", "APPVEYOR_PULL_REQUEST_NUMBER": ""},
    {"CODEBUILD_BUILD_ARN": "arn", "CODEBUILD_WEBHOOK_EVENT": "PUSH"},
    {"CODEBUILD_BUILD_ARN": "arn", "CODEBUILD_WEBHOOK_EVENT": "PULL_REQUEST_MERGED"},
    {"BUILD_REASON": "IndividualCI", "BUILD_SOURCEBRANCH": "refs/heads/main"},
    {"BITBUCKET_BRANCH": "main"},
    {"BITRISE_IO": "true", "BITRISE_PULL_REQUEST": ""},
    {"BUDDY": "true", "BUDDY_RUN_PR_ID": ""},
    {"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST": "false"},
    {"CIRCLECI": "true", "CIRCLE_BRANCH": "main"},
    {"CIRRUS_CI": "true", "CIRRUS_BRANCH": "main"},
    {"CF_BUILD_ID": "1", "CF_BRANCH": "main"},
    {"DRONE": "true", "DRONE_BUILD_EVENT": "push", "DRONE_PULL_REQUEST": ""},
    {"JENKINS_URL": "https://ci.example", "BRANCH_NAME": "main"},
    {"NETLIFY": "true", "PULL_REQUEST": "false"},
    {"PROW_JOB_ID": "1", "PULL_BASE_REF": "main"},
    {"SEMAPHORE": "true", "SEMAPHORE_GIT_BRANCH": "main"},
    {"TRAVIS": "true", "TRAVIS_PULL_REQUEST": "false"},
    {"VERCEL": "1", "VERCEL_GIT_PULL_REQUEST_ID": ""},
    {"CI": "woodpecker", "CI_PIPELINE_EVENT": "push", "CI_COMMIT_PULL_REQUEST": ""},
    {"TEAMCITY_VERSION": "2026.2"},
    # Names that a person's own shell may have for something else.
    {"CHANGE_ID": "7"},
    {"PULL_REQUEST": "7"},
    {"PULL_NUMBER": "7"},
)


def title(environ: dict[str, str]) -> str:
    return "-".join(environ)


@pytest.mark.parametrize("environ", PULL_REQUESTS, ids=title)
def test_detect__build_of_a_pull_request_is_a_review(environ: dict[str, str]) -> None:
    assert detect(environ).context().is_review


@pytest.mark.parametrize("environ", BRANCHES, ids=title)
def test_detect__build_of_a_branch_is_none(environ: dict[str, str]) -> None:
    assert not detect(environ).context().is_review
