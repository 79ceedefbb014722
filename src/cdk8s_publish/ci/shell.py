"""A plain shell: a laptop, or a CI product that we know nothing of."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from cdk8s_publish.ci.provider import CIContext
from cdk8s_publish.ci.pull_requests import pull_request_evidence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdk8s_publish.model import Level


class Shell:
    """No groups, no annotations, no outputs: a person reads the log."""

    denied: tuple[str, ...] = ("GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN")
    credential_hint = (
        "Check that `git push` to this repository works for you, or hand over a token in the variable INPUT_TOKEN."
    )
    checkout_hint = ""
    commit_path = ""
    is_interactive = True

    def __init__(self, environ: Mapping[str, str] = MappingProxyType({})) -> None:
        self._evidence = pull_request_evidence(environ)

    def context(self) -> CIContext:
        """Know whether a pull request is built, and nothing else: the rest is read from the checkout."""
        return CIContext(is_review=bool(self._evidence), review_evidence=self._evidence)

    def denied_paths(self) -> tuple[Path, ...]:
        """Return none: there are no files that anybody obeys."""
        return ()

    def open_group(self, title: str) -> str:
        """Show the title alone."""
        return title

    def close_group(self) -> str:
        """Show nothing."""
        return ""

    def annotation(self, level: Level, message: str) -> str:
        """Show the message with its level."""
        return f"{level}: {message}"

    def fence(self) -> tuple[str, str]:
        """Stop nothing: a terminal runs no commands."""
        return "", ""

    def plain(self, line: str) -> str:
        """Return the line: a terminal runs no commands."""
        return line

    def write_outputs(self, outputs: Mapping[str, str]) -> None:
        """Write nothing: nobody reads outputs."""

    def write_summary(self, markdown: str) -> None:
        """Write nothing: the log says it already."""
