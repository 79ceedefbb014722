"""GitHub's runner, as far as a container action sees it: variables, the event's payload, the file commands."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from support.checkouts import Checkout

_COMMAND = re.compile(r"^\s*::([\w-]+)[ :]|##\[([\w-]+)[ \]]")
FILE_COMMANDS = ("OUTPUT", "STEP_SUMMARY", "ENV", "PATH", "STATE")


@dataclass(frozen=True)
class GitHubJob:
    """One job on a checkout of `owner/name`; `server` stands for https://github.com."""

    folder: Path
    checkout: Checkout
    server: str
    repository: str

    @classmethod
    def create(cls, folder: Path, checkout: Checkout, server: str, repository: str) -> GitHubJob:
        """Make the folder of the file commands and of the event."""
        folder.mkdir(parents=True)
        for name in FILE_COMMANDS:
            (folder / name).touch()
        return cls(folder, checkout, server, repository)

    def environ(self, *, event: str = "push", ref: str = "main", **inputs: str) -> dict[str, str]:
        """Return what the runner sets; keyword arguments are inputs, with underscores for their dashes."""
        payload: dict[str, object] = {"repository": {"default_branch": "main", "full_name": self.repository}}
        if event == "pull_request":
            payload["pull_request"] = {"number": 7, "head": {"repo": {"full_name": self.repository}}}
        (self.folder / "event.json").write_text(json.dumps(payload))
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "ada",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_REF_NAME": "7/merge" if event == "pull_request" else ref,
            "GITHUB_HEAD_REF": ref if event == "pull_request" else "",
            "GITHUB_REPOSITORY": self.repository,
            "GITHUB_RUN_ID": "4711",
            "GITHUB_SERVER_URL": self.server,
            "GITHUB_SHA": self.checkout.sha,
            "GITHUB_WORKSPACE": str(self.checkout.path),
            **{f"GITHUB_{name}": str(self.folder / name) for name in FILE_COMMANDS},
            **{f"INPUT_{name.upper().replace('_', '-')}": value for name, value in inputs.items()},
        }

    def outputs(self) -> dict[str, str]:
        """Read the outputs as the runner does: `name=value`, or a heredoc with a delimiter."""
        lines = iter((self.folder / "OUTPUT").read_text().splitlines())
        found = {}
        for line in lines:
            name, separator, delimiter = line.partition("<<")
            if separator and "=" not in name:
                value = []
                for part in lines:
                    if part == delimiter:
                        break
                    value.append(part)
                found[name] = "\n".join(value)
            else:
                name, _, found[name] = line.partition("=")
        return found

    def summary(self) -> str:
        """Return the job summary."""
        return (self.folder / "STEP_SUMMARY").read_text()

    def untouched_commands(self) -> list[str]:
        """Return the file commands that nothing was written to."""
        return [name for name in FILE_COMMANDS if not (self.folder / name).stat().st_size]


def obeyed_commands(log: str) -> list[str]:
    """Return the workflow commands that the runner obeys (`ActionCommand` of actions/runner), but for those of a fence.

    It ends a line as .NET does, and looks for `##[` anywhere in it.
    """
    found: list[str] = []
    token = ""
    for line in re.split(r"\r\n|\r|\n", log):
        if token:
            token = "" if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif match := _COMMAND.search(line):
            found.append(match[1] or match[2])
    return found
