"""GitHub Actions. Formats: "Workflow commands for GitHub Actions" and "Variables reference" of its documentation."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cdk8s_publish.ci.provider import CIContext
from cdk8s_publish.json_object import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdk8s_publish.model import Level

_TEMPORARY_IN_CONTAINER = Path("/github/runner_temp")
"""Where an action that is a container finds the runner's folder for temporary files."""
_RUNNER_FILES = (".credentials", ".credentials_rsaparams", ".runner")
_FILE_COMMANDS = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")


class GitHub:
    """GitHub Actions, and servers that speak its language (Gitea, Forgejo)."""

    denied: tuple[str, ...] = (
        "GITHUB_TOKEN",
        "GH_TOKEN",
        "ACTIONS_*",
        *_FILE_COMMANDS,
    )
    credential_hint = (
        "Give the job `permissions: contents: write`, or set `token` to one that may write to the target repository."
    )
    checkout_hint = "; set `persist-credentials: false` on actions/checkout, it is not needed here"
    commit_path = "/commit/"
    is_interactive = False

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._default_branch = _walk(_event(environ), "repository", "default_branch")

    def context(self) -> CIContext:
        """Read the runner's variables; the event's payload, a file, was read when the product was detected."""
        get = self._environ.get
        server, repository = get("GITHUB_SERVER_URL", ""), get("GITHUB_REPOSITORY", "")
        return CIContext(
            workspace=get("GITHUB_WORKSPACE", ""),
            branch=get("GITHUB_HEAD_REF") or get("GITHUB_REF_NAME", ""),
            remote_url=f"{server}/{repository}.git" if server and repository else "",
            default_branch=self._default_branch,
            server_url=server,
            username="x-access-token",
            is_tag=get("GITHUB_REF_TYPE") == "tag",
            # What a merge queue tests may still be thrown out of the queue.
            is_review=get("GITHUB_EVENT_NAME", "").startswith(("pull_request", "merge_group")),
            is_debug=get("RUNNER_DEBUG") == "1",
        )

    def denied_paths(self) -> tuple[Path, ...]:
        """Return the folder of the file commands, and the credentials of actions/checkout and of the runner itself.

        `GITHUB_ENV` changes every later step of the job. Since its version 6 actions/checkout keeps a credential in
        the runner's folder for temporary files.
        """
        found = {Path(self._environ[name]).parent for name in _FILE_COMMANDS if self._environ.get(name)}
        temporary = Path(self._environ.get("RUNNER_TEMP") or _TEMPORARY_IN_CONTAINER)
        for folder in (temporary, _TEMPORARY_IN_CONTAINER):
            found.update(folder.glob("git-credentials-*.config"))
        # A runner works in a folder of its own installation, unless it was told another one.
        found.update(path for name in _RUNNER_FILES if (path := temporary.parent.parent / name).exists())
        return tuple(sorted(found))

    def open_group(self, title: str) -> str:
        """Open a group; they don't nest."""
        return f"::group::{_escape(title)}"

    def close_group(self) -> str:
        """Close the group."""
        return "::endgroup::"

    def annotation(self, level: Level, message: str) -> str:
        """Write an annotation without a file: the manifests are not in the repository that the job page shows."""
        return f"::{level} title=cdk8s-publish::{_escape(message)}"

    def fence(self) -> tuple[str, str]:
        """Stop workflow commands with a token that untrusted code can't guess."""
        token = os.urandom(16).hex()
        return f"::stop-commands::{token}", f"::{token}::"

    def plain(self, line: str) -> str:
        """Break what the runner reads as a command (its `ActionCommand`): `::` in front, and `##[` anywhere."""
        return re.sub(r"^(\s*):(?=:)|##(?=\[)", _broken, line)

    def write_outputs(self, outputs: Mapping[str, str]) -> None:
        """Append to the output file with a random delimiter, so that no value can end itself."""
        delimiter = f"end-{os.urandom(16).hex()}"
        lines = [f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in outputs.items()]
        self._append("GITHUB_OUTPUT", "".join(lines))

    def write_summary(self, markdown: str) -> None:
        """Append to the job summary."""
        self._append("GITHUB_STEP_SUMMARY", markdown)

    def _append(self, variable: str, text: str) -> None:
        if self._environ.get(variable):
            with Path(self._environ[variable]).open(
                "a", encoding="utf-8", errors="backslashreplace", newline=""
            ) as stream:
                stream.write(text)


def _event(environ: Mapping[str, str]) -> Mapping[str, object]:
    try:
        return json_object(Path(environ["GITHUB_EVENT_PATH"]).read_bytes())
    except (KeyError, OSError):
        return {}


def _broken(match: re.Match[str]) -> str:
    return f"{match[0]}\\"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _walk(value: object, *keys: str) -> str:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
