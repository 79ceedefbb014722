"""Which CI product started us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.ci.github import GitHub
from cdk8s_publish.ci.gitlab import GitLab
from cdk8s_publish.ci.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdk8s_publish.ci.provider import CIProvider


def detect(environ: Mapping[str, str]) -> CIProvider:
    """Return the product whose runner started us."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return GitHub(environ)
    if environ.get("GITLAB_CI") == "true":
        return GitLab(environ)
    return Shell(environ)
