"""The user's source checkout, which is only read, and its history, of which a shallow checkout holds a part."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from cdk8s_publish.errors import InputError, RemoteError, TransientRemoteError
from cdk8s_publish.git.history import MESSAGES_MAXIMUM, message, new_messages
from cdk8s_publish.git.process import GitRunner, refuse_unreadable_configuration, relation
from cdk8s_publish.git.urls import absolute, split_credential
from cdk8s_publish.model import CONFIG_FILE, Relation, Sha, SourceRevision

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from cdk8s_publish.model import CommitMessage
    from cdk8s_publish.publish.branch.repository import Repository

_log = logging.getLogger(__name__)


class Checkout:
    """The user's source checkout; it is only read."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        """Find the checkout that `folder` is in.

        Raises:
            InputError: `folder` is not inside a git checkout with at least one commit.

        """
        # No object is fetched on demand: without a credential that fails, and what is run for it stands in a
        # configuration that untrusted code may have written.
        self._runner = GitRunner(folder, {**environ, "GIT_ALLOW_PROTOCOL": ""}, [("safe.directory", "*")])
        questions = ("--show-toplevel", "--is-shallow-repository", "HEAD", "--symbolic-full-name", "HEAD")
        code, out, err = self._runner.run("rev-parse", *questions)
        if code:
            refuse_unreadable_configuration(err)
            raise InputError(
                f"{folder} is not a git checkout with a commit to publish.",
                evidence=err,
                hint="Check your repository out first: `actions/checkout` in a workflow, `git clone` on a laptop.",
            )
        root, shallow, head, ref = os.fsdecode(out).rstrip("\n").rsplit("\n", 3)
        self.root = root
        self.head = Sha(head)
        self.is_shallow = shallow == "true"
        # Empty on a detached HEAD, which git calls by its own name.
        self._branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""

    def source(self, branch: str = "", url: str = "", *, is_tag: bool = False) -> SourceRevision:
        """Describe HEAD; `branch`, `url` and `is_tag` are what only the CI product knows."""
        form = "%s%x00%b%x00%an <%ae>%x00%cI"
        out = self._runner.out("log", "-1", "--no-show-signature", f"--format={form}", self.head)
        subject, body, author, date = out.decode("utf-8", "replace").rstrip("\n").split("\0")
        return SourceRevision(self.head, branch or self._branch, subject, body, author, date, url, is_tag)

    def remote_url(self) -> str:
        """Return where `origin` pushes to, or an empty string; a path relative to the checkout is made absolute."""
        code, out, _ = self._runner.run("remote", "get-url", "--push", "origin")
        return "" if code else absolute(os.fsdecode(out).rstrip("\n"), self.root)

    def is_modified(self) -> bool:
        """Whether tracked files differ from HEAD, so that the render is not the one of HEAD alone."""
        return bool(self._runner.out("status", "--porcelain", "--untracked-files=no", "-z"))

    def carries_credential(self) -> bool:
        """Whether the checkout's own configuration holds a credential that any code in the workspace can read."""
        pattern = r"^http\..*\.extraheader$|^http\.extraheader$|^remote\..*\.url$"
        _, out, _ = self._runner.run("config", "--local", "--includes", "-z", "--get-regexp", pattern)
        entries = [entry.partition("\n") for entry in os.fsdecode(out).split("\0") if entry]
        return any("extraheader" in key.lower() or split_credential(value)[1] for key, _, value in entries)

    def relation(self, recorded: Sha, own: Sha) -> Relation | None:
        """Compare two commits by local history alone; None where that can't tell (a shallow checkout)."""
        known = relation(self._runner, recorded, own)
        if known is None and not self.is_shallow:
            code, _, _ = self._runner.run("cat-file", "-e", f"{recorded}^{{commit}}")
            return None if code else Relation.DIVERGED
        return known

    def history(self) -> frozenset[Sha]:
        """Return HEAD and the commits before it, as far as they are here."""
        return frozenset(map(Sha, self._runner.out("rev-list", self.head).decode().split()))

    def holds_app(self, directory: str) -> bool:
        """Whether the checked out commit has an app in a folder: a cdk8s.yaml, or any file where an input named it."""
        prefix = "" if directory == "." else f"{directory}/"
        code, _, _ = self._runner.run("cat-file", "-e", f"{self.head}:{prefix}{CONFIG_FILE}")
        if code and prefix:
            code, _, _ = self._runner.run("cat-file", "-e", f"{self.head}:{directory}")
        return code == 0

    def messages(self, records: Sequence[Sha]) -> tuple[CommitMessage, ...] | None:
        """Return the messages of the commits that HEAD has and no record has; None where local history can't tell."""
        return new_messages(self._runner, records, self.head)

    def message(self) -> tuple[CommitMessage, ...]:
        """Return the message of HEAD."""
        return message(self._runner, self.head)


class SourceHistory:
    """What is between a recorded commit and the one that is checked out: asked of the checkout, then of its remote."""

    def __init__(
        self, checkout: Checkout, open_remote: Callable[[], Repository] | None, *, may_be_unknown: bool
    ) -> None:
        """Ask the repository that `open_remote` makes; None where there is none.

        Where it can't be asked, `may_be_unknown` makes that an answer instead of an error.
        """
        self._checkout, self._open_remote, self._may_be_unknown = checkout, open_remote, may_be_unknown
        self._known: dict[Sha, Relation] = {}
        self._remote: Repository | None = None

    def relation(self, recorded: Sha) -> Relation:
        """Return how the checked out commit relates to a recorded one; each is looked up once.

        Raises:
            RemoteError: the remote can't be asked.

        """
        # The folders of several apps mostly have the same record.
        if recorded not in self._known:
            self._known[recorded] = self._checkout.relation(recorded, self._checkout.head) or self._ask(recorded)
        return self._known[recorded]

    def shares(self, commits: Collection[Sha]) -> bool:
        """Whether any of `commits` is the checked out one, or before it.

        What a shallow checkout does not know is asked of its remote; where that can't be asked, nothing is shared.

        Raises:
            TransientRemoteError: it may be possible to ask a moment later.

        """
        if not self._checkout.history().isdisjoint(commits):
            return True
        remote = self._opened() if self._checkout.is_shallow else None
        if remote is None:
            return False
        try:
            return not remote.history(self._checkout.head).isdisjoint(commits)
        except TransientRemoteError:
            raise
        except RemoteError as error:
            _log.info("The histories of the sources and the branch can't be compared: %s", error)
            return False

    def tip(self, ref: str) -> Sha | None:
        """Return what a ref of the remote holds now; None where there is no such ref, or no remote.

        Raises:
            RemoteError: the remote can't be asked.

        """
        remote = self._opened()
        return remote.current(ref) if remote else None

    def _opened(self) -> Repository | None:
        if self._remote is None and self._open_remote:
            self._remote = self._open_remote()
        return self._remote

    def _ask(self, recorded: Sha) -> Relation:
        remote = self._opened()
        if remote is None:
            return Relation.UNKNOWN
        try:
            return remote.relation(recorded, self._checkout.head)
        except RemoteError:
            if self._may_be_unknown:
                return Relation.UNKNOWN
            raise

    def messages(self, records: Sequence[Sha]) -> tuple[CommitMessage, ...]:
        """Return the messages of the commits that HEAD has and no record has, newest first.

        Without a record that is HEAD, with what it merged. It is HEAD alone where the history ends before it reaches a
        record, or there are more than `MESSAGES_MAXIMUM` commits. A commit that was recorded is never among them.

        Raises:
            RemoteError: the remote can't be asked.

        """
        if any(self.relation(recorded) in {Relation.SAME, Relation.OLDER} for recorded in records):
            return ()
        found = self._checkout.messages(records)
        if found is None and self._remote is not None:
            found = self._remote.messages(records, self._checkout.head)
        if found is None or len(found) > MESSAGES_MAXIMUM:
            _log.info("Only the newest source commit is searched for `Allow:`; the history has a gap here")
            found = self._checkout.message()
        return found
