"""From the checkout to the sink: what is rendered, where it came from, and the branch that it is published to."""

from __future__ import annotations

import logging
import tempfile
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.ci.provider import commit_url
from cdk8s_publish.errors import InputError
from cdk8s_publish.git.process import frozen_config
from cdk8s_publish.git.urls import repository_name
from cdk8s_publish.inputs.values import is_pattern
from cdk8s_publish.publish.branch.ownership import Origin
from cdk8s_publish.publish.branch.remotes import Remotes, find_remotes
from cdk8s_publish.publish.branch.repository import Repository
from cdk8s_publish.publish.branch.signing import Signer, armored
from cdk8s_publish.publish.branch.sink import BranchSink, CommitStyle
from cdk8s_publish.publish.branch.source import Checkout, SourceHistory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdk8s_publish.inputs.declared import CommitInputs, Inputs
    from cdk8s_publish.job import Job
    from cdk8s_publish.model import SourceRevision
    from cdk8s_publish.publish.sink import Claim

_SHA256_DIGITS = 64

_log = logging.getLogger(__name__)


class Source(NamedTuple):
    """What is rendered: the checkout, its commit, and the repositories that it came from and is published to."""

    checkout: Checkout
    revision: SourceRevision
    remotes: Remotes

    @property
    def root(self) -> Path:
        """The root of the checkout."""
        return Path(self.checkout.root)

    @property
    def name(self) -> str:
        """What the repository is called: its remote knows, and the folder of a checkout may have any name."""
        return repository_name(self.remotes.source.url) or self.root.name


def describe(inputs: Inputs, job: Job) -> Source:
    """Return what is rendered, and say what is remarkable about the checkout.

    Raises:
        InputError: there is no checkout, or nothing to publish to.

    """
    context = job.provider.context()
    checkout = Checkout(_first_folder(job.workspace, inputs.render.working_directory[0]), job.git_environ)
    remotes = find_remotes(inputs.target, context, checkout.remote_url(), job.workspace)
    if context.review_evidence:
        _log.info("A pull request is built, says %s; `mode: publish` publishes all the same", context.review_evidence)
    url = commit_url(job.provider, remotes.source.url, checkout.head)
    if job.provider.is_interactive and checkout.is_modified():
        _log.warning("The checkout has changes that are not committed; they are rendered too.")
    if not job.provider.is_interactive and checkout.carries_credential():
        found = "The checkout's .git/config holds a credential that every step can read."
        _log.warning("%s", f"{found} {job.provider.checkout_hint}".strip())
    return Source(checkout, checkout.source(context.branch, url, is_tag=context.is_tag), remotes)


def open_sink(inputs: Inputs, source: Source, job: Job, claim: Claim) -> BranchSink:
    """Return the target branch, of which nothing has been asked yet."""
    environ = frozen_config(job.git_environ)
    remotes, context = source.remotes, job.provider.context()

    def open_source() -> Repository:
        folder = Path(tempfile.mkdtemp(prefix="source-", dir=job.scratch)) / "source.git"
        # The ids of the sources may be longer than those of the branch.
        is_long = len(source.checkout.head) == _SHA256_DIGITS
        return Repository(folder, remotes.source, environ, job.inherited, "sha256" if is_long else "sha1")

    history = SourceHistory(
        source.checkout,
        open_source if remotes.source.url else None,
        may_be_unknown=any(consent.rule == "older-source" for consent in inputs.consent.allow),
    )
    origin = Origin(
        revision=source.revision,
        url=remotes.source.url,
        default_branch=context.default_branch,
        is_target=remotes.is_same_repository,
        is_pushed=bool(context.branch) and not context.is_review,
        relation=history.relation,
        messages=history.messages,
        shares=history.shares,
        holds_app=source.checkout.holds_app,
        tip=history.tip,
    )
    repository = Repository(job.scratch / "target.git", remotes.target, environ, job.inherited)
    style = CommitStyle(inputs.commit, _signer(inputs.commit, job.environ))
    return BranchSink(inputs.target.branch, claim, repository, origin, style)


def _first_folder(base: Path, directory: str) -> Path:
    """Return the folder whose checkout is meant: the first working directory, up to a wildcard in it."""
    folder = base.joinpath(*takewhile(lambda part: not is_pattern(part), Path(directory).parts))
    if not folder.is_dir():
        raise InputError(
            f"Input `working-directory`: there is no folder {directory!r} in {base}.",
            hint="It is relative to the root of the workspace, or to the folder that the command was started in.",
        )
    return folder


def _signer(commit: CommitInputs, environ: Mapping[str, str]) -> Signer | None:
    key = armored(commit.signing_key, "signing-key")
    return Signer(key, commit.signing_passphrase, environ) if key else None
