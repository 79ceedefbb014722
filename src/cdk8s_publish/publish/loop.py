"""Compare-and-swap of one ref: look, decide, compose, push; planned again whenever the branch moved meanwhile."""

from __future__ import annotations

import logging
import random
import time
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish import report
from cdk8s_publish.errors import BranchError, InputError, LeaseLostError, RemoteError
from cdk8s_publish.git_names import is_ref_name
from cdk8s_publish.model import (
    Action,
    Changes,
    CIContext,
    Finding,
    Folder,
    Level,
    Outcome,
    Publication,
    PublishPlan,
    Relation,
    RenderedManifests,
    Sha,
    Tip,
)
from cdk8s_publish.publish import plan
from cdk8s_publish.publish.branch import hydrator
from cdk8s_publish.publish.branch.fast_import import FolderWrite, Identity
from cdk8s_publish.publish.branch.git_errors import TransientRemoteError
from cdk8s_publish.publish.branch.rate_limit import retry_after
from cdk8s_publish.publish.branch.repository import NOTES_REF, RefMove, Repository
from cdk8s_publish.review import checks, diff
from cdk8s_publish.review.manifests import delta
from cdk8s_publish.review.parallel import halves

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from cdk8s_publish.inputs import Inputs

RACE_LIMIT_S = 300
"""How long a run goes on after others were faster. With 24 publishers on one branch each needs a few rounds."""

TRANSIENT_ATTEMPTS = 6
"""With the pauses between them they outlast a server that restarts: a quarter of a minute, on average."""
_BACKOFF_START_S = 0.25
_BACKOFF_MAX_S = 8.0

_log = logging.getLogger(__name__)


class Look(NamedTuple):
    """What one look at the remote gave: the tip, the folders of this run on it, and the plan made of them.

    `abandoned` are folders of apps that this run would have found and that are gone; they stand in `folders` too.
    """

    tip: Tip
    folders: tuple[Folder, ...]
    abandoned: tuple[str, ...]
    plan: PublishPlan


class Review(NamedTuple):
    """What the checks say about a render against the folders of a tip. No finding is an error."""

    folders: tuple[Folder, ...]
    changes: tuple[Changes, ...]
    findings: tuple[Finding, ...]


class Target(NamedTuple):
    """What stays the same for all attempts of a run.

    `directories` maps folders of the target branch to the folders of the apps that are rendered into them, `patterns`
    are the wildcards that found those, and `path_of` says where the app of any folder is published. `history` compares
    two source commits (recorded, own); `signature` signs the content of a commit. `fingerprints` are those of
    hermetic apps, by folder of the target branch.
    """

    repository: Repository
    inputs: Inputs
    context: CIContext
    directories: Mapping[str, str]
    patterns: tuple[str, ...]
    path_of: Callable[[str], str]
    history: Callable[[Sha, Sha], Relation]
    is_same_repository: bool
    fingerprints: Mapping[str, str] = MappingProxyType({})
    signature: Callable[[bytes], str] | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The folders that this run renders."""
        return tuple(self.directories)


class _Patience:
    """Counts what went wrong and says how long to wait, or gives up by raising the error it was handed."""

    def __init__(self, limit_s: float = RACE_LIMIT_S) -> None:
        self._deadline = time.monotonic() + limit_s
        self._failures = 0
        self.attempts = 1

    def wait(self, error: RemoteError, target: Target) -> None:
        self.attempts += 1
        is_transient = isinstance(error, TransientRemoteError)
        self._failures += is_transient
        if self._failures >= TRANSIENT_ATTEMPTS or time.monotonic() > self._deadline:
            raise error
        ceiling = min(_BACKOFF_MAX_S, _BACKOFF_START_S * 2 ** min(self.attempts, 10))
        pause = random.uniform(ceiling / 4, ceiling)  # noqa: S311  # spreads runs, keeps no secret
        if is_transient and getattr(error, "throttled", False):
            pause = max(pause, retry_after(target.repository.remote))
        _log.info("%s; trying again in %.1f s", error, pause)
        time.sleep(pause)


def look(target: Target) -> Look:
    """Look at the remote and decide; passing failures of the connection are waited for.

    Raises:
        RemoteError: the remote can't be read, or the target branch is one that must not be overwritten.

    """
    patience = _Patience()
    while True:
        try:
            return _look(target)
        except TransientRemoteError as error:
            patience.wait(error, target)


def publish(target: Target, first: Look, rendered: tuple[RenderedManifests, ...]) -> tuple[Publication, Review | None]:
    """Publish what was rendered, or say why nothing had to move.

    Raises:
        CheckError: the checks or the guards on content refuse the render.
        LeaseLostError: others were faster for longer than `RACE_LIMIT_S`.
        RemoteError: the remote refused, or did not answer after several attempts.

    """
    patience, seen, review = _Patience(), first, None
    while True:
        complete = (*rendered, *(RenderedManifests(path, path, ()) for path in seen.abandoned))
        if seen.plan.action is Action.SKIP:
            return skipped(target, seen), None
        try:
            if review is None or review.folders != seen.folders:
                review = _review(target, seen, complete)
            return _settle(target, seen, complete, review), review
        except (LeaseLostError, TransientRemoteError) as error:
            patience.wait(error, target)
        seen = look(target)


def skipped(target: Target, seen: Look) -> Publication:
    """Return how a run ends that has nothing to do."""
    return _publication(Outcome.SKIPPED, target, seen, None)


def _look(target: Target) -> Look:
    inputs, context = target.inputs, target.context
    tip = target.repository.look(inputs.target.branch, depth=inputs.commit.history.limit or 1)
    plan.guard_branch(inputs, context, tip, is_same_repository=target.is_same_repository)
    abandoned = _abandoned(target, tip)
    folders = (*target.repository.folders(tip, target.paths), *abandoned)
    plan.guard_folders(inputs, tip, folders)
    own = context.source.sha
    relations = {
        folder.path: target.history(folder.record, own) if folder.record else Relation.FIRST for folder in folders
    }
    paths = tuple(folder.path for folder in abandoned)
    return Look(tip, folders, paths, plan.decide(inputs, context, relations))


def _abandoned(target: Target, tip: Tip) -> tuple[Folder, ...]:
    """Return the folders of apps that a pattern of this run used to find.

    Only what came from this very repository and a folder that matches, and lies where this run would put it, counts:
    others may publish beside us, and so may another job that renders the same apps for another environment.
    """
    if not target.patterns:
        return ()
    others = [path for path in tip.managed if path not in target.directories]
    return tuple(
        folder
        for folder in target.repository.folders(tip, others)
        if folder.source_url == target.context.remote_url
        and folder.directory
        and folder.path == target.path_of(folder.directory)
        and any(_matches(folder.directory, pattern) for pattern in target.patterns)
    )


def _matches(directory: str, pattern: str) -> bool:
    """Whether a pattern of `working-directory` means a folder; a wildcard stays within one name, as in a shell."""
    if "**" in pattern:
        return fnmatchcase(directory, pattern)
    names, wanted = directory.split("/"), pattern.split("/")
    return len(names) == len(wanted) and all(map(fnmatchcase, names, wanted))


def _review(target: Target, seen: Look, rendered: tuple[RenderedManifests, ...]) -> Review:
    held = {folder.path: folder for folder in seen.folders}
    deltas = [delta(item, held[item.path]) for item in rendered]
    old = target.repository.blobs(sha for one in deltas for sha in one.wanted)
    checked = [checks.check(one, _policy(target, seen, one.folder.path), old, halves) for one in deltas]
    findings = [
        finding
        for one, result in zip(deltas, checked, strict=True)
        for finding in (checks.located(result.findings, one.folder.path) if len(deltas) > 1 else result.findings)
    ]
    checks.refuse(findings)
    changes = tuple(diff.compare(one, result, old) for one, result in zip(deltas, checked, strict=True))
    findings += _guard_removals(target, seen, changes)
    checks.refuse(findings)
    if seen.plan.action is not Action.DIFF:
        target.repository.store([(one.folder, one.rendered.files) for one in deltas if one.moved])
    return Review(seen.folders, changes, tuple(findings))


def _policy(target: Target, seen: Look, path: str) -> checks.Policy:
    guards = target.inputs.guards
    return checks.Policy(
        allow_empty=guards.allow_empty or path in seen.abandoned,
        allow_secrets=guards.allow_secrets,
        allow_helm=guards.allow_helm,
    )


def _guard_removals(target: Target, seen: Look, changes: tuple[Changes, ...]) -> tuple[Finding, ...]:
    has_consent = target.inputs.guards.allow_removals or bool(target.context.source.trailers.get("allow-removals"))
    found = checks.check_changes(changes, consent=has_consent)
    if seen.plan.action is Action.DIFF:
        # A review is where consent is given: it must be able to end well and still say what publishing will need.
        return tuple(finding._replace(level=Level.WARNING) for finding in found)
    return found


def _settle(target: Target, seen: Look, rendered: tuple[RenderedManifests, ...], review: Review) -> Publication:
    """Do what the plan says, once."""
    if seen.plan.action is Action.DIFF:
        return _publication(Outcome.DRY_RUN, target, seen, review)
    if not any(item.files for item in review.changes) and all(_is_marked(target, folder) for folder in seen.folders):
        _record(target, seen)
        return _publication(Outcome.UNCHANGED, target, seen, review)
    sha = _move(target, seen, rendered, review)
    return _publication(Outcome.PUBLISHED, target, seen, review, sha)


def _is_marked(target: Target, folder: Folder) -> bool:
    """Whether a folder's mark still says where its app is; an app that moved away is not an app that is gone."""
    known = (None, target.directories.get(folder.path, folder.directory))
    return folder.is_managed and folder.directory in known


def _publication(
    outcome: Outcome, target: Target, seen: Look, review: Review | None, moved_to: Sha | None = None
) -> Publication:
    return Publication(
        outcome=outcome,
        branch=target.inputs.target.branch,
        paths=target.paths,
        revision=moved_to or seen.tip.sha,
        previous=seen.tip.sha,
        changes=review.changes if review else (),
        reason=seen.plan.reason,
    )


def _identity(target: Target) -> Identity:
    return Identity(target.inputs.commit.author, target.context.source.date)


def _record(target: Target, seen: Look) -> None:
    """Note that this source commit was seen and changed nothing, so that an older run is told from a newer one."""
    source, tip = target.context.source, seen.tip
    if tip.sha is None:
        return
    moves = _tag(target, tip.sha)
    is_noted = {folder.path: folder.fingerprint == target.fingerprints.get(folder.path, "") for folder in seen.folders}
    if any(folder.record != source.sha or not is_noted[folder.path] for folder in seen.folders):
        notes = _annotate(target, tip, tip.sha)
        moves = (RefMove(f"refs/heads/{tip.branch}", tip.sha, tip.sha), RefMove(NOTES_REF, notes, tip.notes), *moves)
    if moves:
        _push(target, moves)


def _move(target: Target, seen: Look, rendered: tuple[RenderedManifests, ...], review: Review) -> Sha:
    repository, source, tip = target.repository, target.context.source, seen.tip
    held = {folder.path: folder for folder in seen.folders}
    counts = {item.path: item.manifests for item in review.changes}
    writes = [
        FolderWrite(
            held[item.path],
            item.files,
            None if item.path in seen.abandoned else _metadata(target, item.path, counts[item.path]),
        )
        for item in rendered
    ]
    tree = repository.write(tip, writes)
    history = target.inputs.commit.history
    parents = repository.parents(tip, history.limit, lambda sha: _signed(target, sha)) if history.keep else ()
    message = report.commit_message(target.inputs.commit.commit_message, source, review.changes)
    sha = _signed(target, repository.commit(tree, parents, message, _identity(target)))
    notes = _annotate(target, tip, sha, seen.abandoned)
    branch = RefMove(f"refs/heads/{tip.branch}", sha, tip.sha)
    # The note moves with the branch, also where it says nothing new: its lease is what an unchanged run, which moves
    # nothing but the note, races against.
    _push(target, (branch, RefMove(NOTES_REF, notes, tip.notes), *_tag(target, sha)))
    return sha


def _signed(target: Target, sha: Sha) -> Sha:
    return target.repository.signed(sha, target.signature) if target.signature else sha


def _tag(target: Target, sha: Sha) -> tuple[RefMove, ...]:
    """Return the move that creates the tag; none where there is nothing to create."""
    if not target.inputs.commit.tag:
        return ()
    name = report.fill(target.inputs.commit.tag, target.context.source, target.paths)
    if not is_ref_name(name):
        raise InputError(f"tag: {name!r} is not a name that git accepts", hint="Change the input `tag`.")
    ref = f"refs/tags/{name}"
    current = target.repository.current(ref)
    if current not in {None, sha}:
        raise BranchError(
            f"the tag `{name}` marks another commit already, {current}",
            hint="Put a placeholder that differs from publish to publish into `tag`, for example `{short-sha}`.",
        )
    return () if current else (RefMove(ref, sha, None),)


def _push(target: Target, moves: tuple[RefMove, ...]) -> None:
    """Push; when that failed, believe the remote and not the connection."""
    try:
        target.repository.push(moves)
    except RemoteError as error:
        _log.debug("push failed: %s", error)
        real = next(move for move in moves if move.new != move.expected)
        try:
            has_arrived = target.repository.current(real.ref) == real.new
        except RemoteError:
            raise error from None
        if not has_arrived:
            raise
        _log.info("The connection failed after the server had applied the push: %s is %s", real.ref, real.new)


def _annotate(target: Target, tip: Tip, sha: Sha, abandoned: Container[str] = ()) -> Sha:
    own = target.context.source.sha
    paths = {path: sha for path, sha in hydrator.noted(tip.note).items() if path not in abandoned}
    others = {path: value for path, value in hydrator.fingerprints(tip.note).items() if path not in target.paths}
    fingerprints = {path: value for path, value in others.items() if path not in abandoned}
    text = hydrator.note(
        target.context.source, {**paths, **dict.fromkeys(target.paths, own)}, {**fingerprints, **target.fingerprints}
    )
    return target.repository.annotate(tip, sha, text, _identity(target))


def _metadata(target: Target, path: str, manifests: int) -> bytes:
    return hydrator.metadata(target.context.source, target.context.remote_url, target.directories[path], manifests)
