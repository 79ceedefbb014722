"""GitLab CI. Formats: "Predefined CI/CD variables", "Custom collapsible sections" and dotenv reports of its docs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from cdk8s_publish.ci.files import write_file
from cdk8s_publish.ci.provider import CIContext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdk8s_publish.model import Level

OUTPUTS_FILE = "PUBLISH_OUTPUTS_FILE"
"""Variable of the template: where the dotenv report is written."""

SUMMARY_FILE = "PUBLISH_SUMMARY_FILE"
"""Variable of the template: where the Markdown summary is written, since GitLab has no job summary."""

OUTPUT_PREFIX = "PUBLISH_"


class GitLab:
    """GitLab CI/CD."""

    denied: tuple[str, ...] = (
        "CI_JOB_TOKEN",
        "CI_JOB_JWT*",
        "CI_REPOSITORY_URL",
        "CI_REGISTRY_PASSWORD",
        "CI_DEPLOY_PASSWORD",
        "CI_DEPENDENCY_PROXY_PASSWORD",
        "GITLAB_TOKEN",
        OUTPUTS_FILE,
        SUMMARY_FILE,
    )
    credential_hint = (
        "Allow job tokens to push (Settings > CI/CD > Job token permissions > Allow Git push requests), "
        "or set `token` to a project access token with `write_repository`."
    )
    checkout_hint = ""
    commit_path = "/-/commit/"
    is_interactive = False

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._section = ""

    def context(self) -> CIContext:
        """Read the predefined variables."""
        get = self._environ.get
        is_job_token = bool(get("CI_JOB_TOKEN")) and get("INPUT_TOKEN", "") == get("CI_JOB_TOKEN")
        return CIContext(
            workspace=get("CI_PROJECT_DIR", ""),
            branch=get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or get("CI_COMMIT_REF_NAME", ""),
            remote_url=f"{get('CI_PROJECT_URL')}.git" if get("CI_PROJECT_URL") else "",
            default_branch=get("CI_DEFAULT_BRANCH", ""),
            server_url=get("CI_SERVER_URL", ""),
            username="gitlab-ci-token" if is_job_token else "oauth2",
            is_tag=bool(get("CI_COMMIT_TAG")),
            is_review=bool(get("CI_MERGE_REQUEST_IID")),
            is_debug=get("CI_DEBUG_TRACE") == "true",
        )

    def denied_paths(self) -> tuple[Path, ...]:
        """Return the git configuration in which the runner keeps the job's credential, beside the checkout."""
        beside = Path(self._environ.get("CI_PROJECT_DIR", "") + ".tmp")
        return tuple(sorted(beside.glob(".gitlab-runner.*")))

    def open_group(self, title: str) -> str:
        """Open a collapsed section."""
        self._section = f"publish_{time.monotonic_ns()}"
        return f"\x1b[0Ksection_start:{int(time.time())}:{self._section}[collapsed=true]\r\x1b[0K{title}"

    def close_group(self) -> str:
        """Close the section."""
        return f"\x1b[0Ksection_end:{int(time.time())}:{self._section}\r\x1b[0K"

    def annotation(self, level: Level, message: str) -> str:
        """Write a line that stands out by its first word; GitLab has no annotations."""
        return f"{level.upper()}: {message}"

    def fence(self) -> tuple[str, str]:
        """Stop nothing: section markers need control characters, and `commands` lets none of those pass."""
        return "", ""

    def plain(self, line: str) -> str:
        """Return the line: section markers need control characters, of which a line has none."""
        return line

    def write_outputs(self, outputs: Mapping[str, str]) -> None:
        """Write the dotenv report: `PUBLISH_<NAME>=<value>`, one line each."""
        lines = (f"{OUTPUT_PREFIX}{name.upper().replace('-', '_')}={value}\n" for name, value in outputs.items())
        self._write(OUTPUTS_FILE, "".join(lines))

    def write_summary(self, markdown: str) -> None:
        """Write the summary for the template to keep as an artifact."""
        self._write(SUMMARY_FILE, markdown)

    def _write(self, variable: str, text: str) -> None:
        if self._environ.get(variable):
            write_file(Path(self._environ[variable]).absolute(), [text])
