"""What a CI product is to the rest of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdk8s_publish.model import Level


class CIContext(NamedTuple):
    """Where we run and who asked for it, as far as the CI product says; empty where it says nothing.

    `workspace` is where the job's checkout is, `branch` the branch or, where it `is_tag`, the tag that is being built:
    a detached HEAD does not know. `remote_url` is the repository that was checked out, without credentials, and
    `server_url` its server, below which a short name such as `owner/name` is found. `username` goes with a token.
    `is_review` is true for pull and merge requests; `review_evidence` is the variable that says so, where that is not
    plain from the product.
    """

    workspace: str = ""
    branch: str = ""
    remote_url: str = ""
    default_branch: str = ""
    server_url: str = ""
    username: str = "git"
    is_tag: bool = False
    is_review: bool = False
    review_evidence: str = ""
    is_debug: bool = False


class CIProvider(Protocol):
    """One CI product, or the plain shell. `environ` is handed in once, when the product is detected."""

    denied: tuple[str, ...]
    """Names of variables that untrusted code must not see; a trailing `*` stands for a prefix."""

    credential_hint: str
    """What to set when the remote refuses the credential."""

    checkout_hint: str
    """How a credential is kept out of the checkout's configuration; empty where nobody puts one there unasked."""

    commit_path: str
    """What stands between the address of a repository and the id of a commit in the address of the commit's page."""

    is_interactive: bool
    """Whether a person's own working copy is rendered, which may hold changes that are not committed."""

    def context(self) -> CIContext:
        """Read the product's variables."""
        ...

    def denied_paths(self) -> tuple[Path, ...]:
        """Return the files and folders in which the product takes commands, or keeps credentials of the job."""
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

    def plain(self, line: str) -> str:
        """Return a line of the log in which nothing is a command."""
        ...

    def write_outputs(self, outputs: Mapping[str, str]) -> None:
        """Hand outputs to later steps or jobs."""
        ...

    def write_summary(self, markdown: str) -> None:
        """Show a summary on the job's page, or keep it where the product can offer it."""
        ...


def commit_url(provider: CIProvider, repository_url: str, sha: str) -> str:
    """Return the web page of a commit; empty where the repository is not on the product's own server."""
    server = provider.context().server_url
    if not server or not repository_url.startswith(server):
        return ""
    return repository_url.removesuffix(".git") + provider.commit_path + sha
