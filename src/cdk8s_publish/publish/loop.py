"""Look, decide, review, move; and all of it again whenever the target moved meanwhile."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import LeaseLostError, RateLimitError, TransientRemoteError
from cdk8s_publish.model import Action, Finding, Level, Outcome, Publication, RenderedManifests

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdk8s_publish.errors import RemoteError
    from cdk8s_publish.model import PublishPlan, Sha
    from cdk8s_publish.publish.sink import Observed, Sink
    from cdk8s_publish.review.review import Review

RACE_LIMIT_S = 300
"""How long a run keeps trying while others win the race. With 24 publishers on one branch each needs a few rounds."""

TRANSIENT_ATTEMPTS = 6
"""With the pauses between them they outlast a server that restarts: a quarter of a minute, on average."""
_BACKOFF_START_S = 0.25
_BACKOFF_MAX_S = 8.0
_RATE_LIMIT_PAUSE_S = 15.0
"""git does not pass on how long a server wants to be left alone (`Retry-After`): all pauses together are a minute."""

_log = logging.getLogger(__name__)


class Attempt(NamedTuple):
    """What was seen, and what it was decided to do about it."""

    seen: Observed
    plan: PublishPlan


class Patience:
    """Counts what went wrong and says how long to wait, or gives up by raising the error it was handed."""

    def __init__(self, limit_s: float = RACE_LIMIT_S) -> None:
        """Give up on a race after `limit_s` seconds."""
        self._deadline = time.monotonic() + limit_s
        self._failures = 0
        self._attempts = 1

    def wait(self, error: RemoteError) -> None:
        """Wait before the next attempt; raise `error` when there should be none."""
        self._attempts += 1
        if isinstance(error, TransientRemoteError):
            self._failures += 1
        if self._failures >= TRANSIENT_ATTEMPTS or time.monotonic() > self._deadline:
            raise error
        ceiling = min(_BACKOFF_MAX_S, _BACKOFF_START_S * 2 ** min(self._attempts, 10))
        pause = random.uniform(ceiling / 4, ceiling)  # noqa: S311  # spreads runs, keeps no secret
        if isinstance(error, RateLimitError):
            pause = max(pause, _RATE_LIMIT_PAUSE_S)
        _log.info("%s; trying again in %.1f s", str(error).rstrip("."), pause)
        time.sleep(pause)


def look(sink: Sink, decide: Callable[[Observed], PublishPlan]) -> Attempt:
    """Look at the target and decide; passing failures of the connection are waited for.

    Raises:
        RemoteError: the target can't be read, or is one that must not be overwritten.

    """
    patience = Patience()
    while True:
        try:
            seen = sink.look()
            return Attempt(seen, decide(seen))
        except TransientRemoteError as error:
            patience.wait(error)


def publish(
    sink: Sink,
    attempt: Attempt,
    rendered: tuple[RenderedManifests, ...],
    *,
    decide: Callable[[Observed], PublishPlan],
    review: Callable[[Attempt, tuple[RenderedManifests, ...]], Review],
) -> tuple[Publication, tuple[Finding, ...]]:
    """Publish what was rendered, or say why nothing moved, with what the rules found.

    A finding that is an error makes the outcome `failed`.

    Raises:
        LeaseLostError: others were faster for longer than `RACE_LIMIT_S`.
        RemoteError: the remote refused, or did not answer after several attempts.

    """
    patience, reviewed = Patience(), None
    while attempt.plan.action is not Action.SKIP:
        gone = (RenderedManifests(path, path, ()) for path in attempt.seen.abandoned)
        complete = (*rendered, *gone)
        try:
            if reviewed is None or reviewed.folders != attempt.seen.folders:
                reviewed = review(attempt, complete)
            findings = (*attempt.plan.findings, *reviewed.findings)
            return _settle(sink, attempt, complete, reviewed), findings
        except (LeaseLostError, TransientRemoteError) as error:
            patience.wait(error)
        attempt = look(sink, decide)
    return skipped(sink, attempt), ()


def skipped(sink: Sink, attempt: Attempt) -> Publication:
    """Return how a run ends that has nothing to do."""
    return _publication(Outcome.SKIPPED, sink, attempt, None)


def _settle(sink: Sink, attempt: Attempt, rendered: tuple[RenderedManifests, ...], review: Review) -> Publication:
    """Do what the plan says, once."""
    seen = attempt.seen
    if any(finding.level is Level.ERROR for finding in review.findings):
        return _publication(Outcome.FAILED, sink, attempt, review)._replace(reason="")
    if attempt.plan.action is Action.DIFF:
        return _publication(Outcome.DRY_RUN, sink, attempt, review)
    is_recorded = all(sink.claim.is_recorded(folder) for folder in seen.folders)
    if is_recorded and not any(changes.files for changes in review.changes):
        sink.record(seen)
        return _publication(Outcome.UNCHANGED, sink, attempt, review)
    counts = {changes.path: changes.manifests for changes in review.changes}
    revision = sink.move(seen, rendered, counts)
    return _publication(Outcome.PUBLISHED, sink, attempt, review, revision)


def _publication(
    outcome: Outcome, sink: Sink, attempt: Attempt, review: Review | None, moved_to: Sha | None = None
) -> Publication:
    return Publication(
        outcome=outcome,
        branch=sink.name,
        paths=sink.claim.paths,
        revision=moved_to or attempt.seen.revision,
        previous=attempt.seen.revision,
        changes=review.changes if review else (),
        reason=attempt.plan.reason,
    )
