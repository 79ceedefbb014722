"""CI products: everything that knows a product's variables, log commands or files. Straight code for each."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cdk8s_publish.sandbox.process import can_change_users

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from cdk8s_publish.model import Level


class Facts(NamedTuple):
    """What only the CI product knows; empty strings where it says nothing. `remote_url` carries no credential."""

    workspace: str = ""
    branch: str = ""
    remote_url: str = ""
    default_branch: str = ""
    server_url: str = ""
    repository: str = ""
    job_url: str = ""
    username: str = "git"
    is_review: bool = False
    is_fork: bool = False
    is_debug: bool = False


class Product(Protocol):
    """One CI product, or the plain shell. `environ` is handed in once, when the product is detected."""

    name: str
    denied: tuple[str, ...]
    """Names of variables that foreign code must not see; a trailing `*` stands for a prefix."""

    credential_hint: str
    """What to set when the remote refuses the credential."""

    def facts(self) -> Facts:
        """Read the product's variables."""
        ...

    def hidden(self) -> tuple[Path, ...]:
        """Return the folders through which foreign code could speak to the product."""
        ...

    def open_group(self, title: str) -> str:
        """Return the line that opens a collapsible group of the log; empty where the product has none."""
        ...

    def close_group(self) -> str:
        """Return the line that closes the group opened last."""
        ...

    def annotation(self, level: Level, message: str) -> str:
        """Return the line that puts a one-line message on the job's page."""
        ...

    def fence(self) -> tuple[str, str]:
        """Return lines that stop and resume the interpretation of commands around untrusted output."""
        ...

    def write_outputs(self, outputs: Mapping[str, str]) -> None:
        """Hand outputs to later steps or jobs."""
        ...

    def write_summary(self, markdown: str) -> None:
        """Show a summary on the job's page, or keep it where the product can offer it."""
        ...


def write_file(path: Path, parts: Iterable[str]) -> None:
    """Write a file that the user asked for; it and new folders belong to whom the folder above belongs to.

    What root leaves in a workspace would break the user's later steps.
    """
    with _as_owner(next(parent for parent in path.parents if os.path.lexists(parent))):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Names of files need not be UTF-8, but what is read as text must be.
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            stream.writelines(parts)


@contextmanager
def _as_owner(folder: Path) -> Iterator[None]:
    """Give up root's rights for those of a folder's owner, who may have let foreign code put links there."""
    if not can_change_users():
        yield
        return
    status, group, groups = folder.lstat(), os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def detect(environ: Mapping[str, str]) -> Product:
    """Return the product whose runner started us."""
    if environ.get("GITHUB_ACTIONS") == "true":
        from cdk8s_publish.ci.github import GitHub  # noqa: PLC0415  # imports this module

        return GitHub(environ)
    if environ.get("GITLAB_CI") == "true":
        from cdk8s_publish.ci.gitlab import GitLab  # noqa: PLC0415

        return GitLab(environ)
    from cdk8s_publish.ci.shell import Shell  # noqa: PLC0415

    return Shell()
