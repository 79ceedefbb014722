"""`cdk8s-publish run`: render and publish.

Each stage's value is handed to the next one, and nothing else connects them.
"""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cdk8s_publish import report
from cdk8s_publish.ci.files import write_file
from cdk8s_publish.ci.provider import commit_url
from cdk8s_publish.errors import CheckError, CredentialError, InputError, SignalError, as_known
from cdk8s_publish.inputs.declared import parse
from cdk8s_publish.inputs.values import is_pattern
from cdk8s_publish.job import scratch
from cdk8s_publish.model import (
    Action,
    Level,
    NotRenderedError,
    Outcome,
    Publication,
    RenderedFile,
    RenderedManifests,
    Result,
)
from cdk8s_publish.publish import loop
from cdk8s_publish.publish.branch.origin import describe, open_sink
from cdk8s_publish.publish.plan import decide
from cdk8s_publish.publish.sink import Claim
from cdk8s_publish.render import How, copy_checkout, discover, render
from cdk8s_publish.render.discover import find_apps, relative_folders
from cdk8s_publish.render.environment import run_as
from cdk8s_publish.render.fingerprint import fingerprints
from cdk8s_publish.render.toolchain import Toolchain
from cdk8s_publish.review import diff
from cdk8s_publish.review.review import Published, review
from cdk8s_publish.rules.consent import consents_of
from cdk8s_publish.rules.findings import raise_for_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cdk8s_publish.inputs.declared import ConsentInputs, Inputs, TargetInputs
    from cdk8s_publish.job import Job
    from cdk8s_publish.model import Finding, PublishPlan
    from cdk8s_publish.publish.branch.origin import Source
    from cdk8s_publish.publish.loop import Attempt
    from cdk8s_publish.publish.sink import Observed, Sink
    from cdk8s_publish.render.discover import App
    from cdk8s_publish.render.environment import RunAs
    from cdk8s_publish.review.review import Review

LOGGED_DIFF_LINES = 500
"""The log shows as much of the diff; the job's page shows more, `diff-file` all of it."""

_log = logging.getLogger(__name__)


def run(raw: Mapping[str, str], job: Job) -> int:
    """Render and publish, and say everywhere how it ended."""
    with _shown_on_page(job, raw.get("diff-file", "").strip()):
        inputs = parse(raw)
        job.console.mask(*inputs.secrets)
        _refuse_folder(inputs.report.diff_file)
        with scratch(job) as (own_job, folder):
            result = publish(inputs, own_job)
            folder.release()
            _show(result, inputs.report.diff_file, job)
    return 0


def publish(inputs: Inputs, job: Job) -> Result:
    """Render and publish.

    Raises:
        Cdk8sPublishError: every class of `errors`; the target branch is as it was.

    """
    source = describe(inputs, job)
    job.console.mask(source.remotes.source.token)
    options = run_as(inputs.render, job, source.root, (*inputs.secrets, source.remotes.source.token))
    folders = relative_folders(inputs.render, job.workspace, source.root)
    apps = find_apps(inputs.render, source.root, folders, inputs.target.path, source.name)
    sink = open_sink(inputs, source, job, _claim(inputs, source, apps, folders, _fingerprints(apps, options, job)))
    choose = partial(decide, inputs.target, inputs.consent, is_review=job.provider.context().is_review)
    attempt = _look(sink, choose, options, job)
    if attempt.plan.action is Action.SKIP:
        return _result(loop.skipped(sink, attempt), (), source, job)
    known = _unchanged(sink.claim, attempt)
    rendered = _render(apps, known, options, job)
    compare = partial(_review, sink, inputs.consent, inputs.target)
    with job.console.stage("Compare" if attempt.plan.action is Action.DIFF else f"Publish to `{sink.name}`"):
        try:
            done = loop.publish(sink, attempt, rendered, decide=choose, review=compare)
        except NotRenderedError as error:
            _log.info("%s", error)
            again = _render(apps, {}, options, job.below("again"))
            done = loop.publish(sink, attempt, again, decide=choose, review=compare)
    result = _result(*done, source, job)
    raise_for_errors(result.findings, partial(CheckError, result=result))
    return result


def _claim(
    inputs: Inputs,
    source: Source,
    apps: tuple[App, ...],
    folders: tuple[str, ...],
    known_by: Mapping[str, str],
) -> Claim:
    """Return which folders of the target this run renders, and which others it may call its own."""
    return Claim(
        directories={app.path: app.directory or "." for app in apps},
        patterns=tuple(folder for folder in folders if is_pattern(folder)),
        path_of=lambda directory: discover.target_path(inputs.target.path, directory, source.name),
        fingerprints=known_by,
        ref=source.revision.ref,
    )


def _fingerprints(apps: tuple[App, ...], options: RunAs, job: Job) -> Mapping[str, str]:
    with ThreadPoolExecutor(thread_name_prefix="ask") as beside:
        return fingerprints(apps, options, Toolchain(options, job.scratch / "tools", beside))


def _look(sink: Sink, choose: Callable[[Observed], PublishPlan], options: RunAs, job: Job) -> Attempt:
    """Look at the target, and copy the checkout meanwhile.

    Installing and rendering wait: what this look says may make them unnecessary, and no untrusted code runs beside a
    process that holds the credential.
    """
    with ThreadPoolExecutor(1, "copy") as beside:
        copied = None if options.is_hermetic else beside.submit(copy_checkout, job.scratch, options)
        with job.console.stage(f"Look at `{sink.name}`"):
            attempt = loop.look(sink, choose)
            _log.info("%s: %s", attempt.plan.action, attempt.plan.reason)
            for finding in attempt.plan.findings:
                _log.info("%s", finding)
    if copied:
        copied.result()
    return attempt


def _unchanged(claim: Claim, attempt: Attempt) -> dict[str, RenderedManifests]:
    """Return, by path, what hermetic apps would render again: the files that are published."""
    known = {}
    for folder in attempt.seen.folders:
        if folder.is_managed and folder.fingerprint and folder.fingerprint == claim.fingerprints.get(folder.path):
            files = tuple(RenderedFile(path, "", 0, blob) for path, blob in folder.files.items())
            known[folder.path] = RenderedManifests(claim.directories[folder.path], folder.path, files)
    return known


def _render(
    apps: tuple[App, ...], known: Mapping[str, RenderedManifests], options: RunAs, job: Job
) -> tuple[RenderedManifests, ...]:
    """Render the apps whose render is not known already."""
    for path in known:
        _log.info("%s: not rendered, because its fingerprint matches what is published", path or ".")
    fresh = [app for app in apps if app.path not in known]
    rendered = render(fresh, How(options, job.scratch, job.console, apps)) if fresh else ()
    return (*known.values(), *rendered)


def _review(
    sink: Sink,
    given: ConsentInputs,
    target: TargetInputs,
    attempt: Attempt,
    rendered: tuple[RenderedManifests, ...],
) -> Review:
    published = Published(
        attempt.seen.folders,
        sink.read,
        attempt.seen.abandoned,
        attempt.seen.files,
        is_one_cluster=target.same_cluster,
    )
    consents, _ = consents_of(attempt.seen.messages)
    is_diff = attempt.plan.action is Action.DIFF
    return review(rendered, published, (*given.allow, *consents), given.refuse, is_diff=is_diff)


def _result(publication: Publication, findings: tuple[Finding, ...], source: Source, job: Job) -> Result:
    url = commit_url(job.provider, source.remotes.target.url, publication.revision) if publication.revision else ""
    return Result(publication, source.revision, url, findings)


def _refuse_folder(diff_file: str) -> None:
    if diff_file and Path(diff_file).is_dir():
        raise InputError(f"Input `diff-file`: {diff_file!r} is a folder.", hint="Name a file in it.")


@contextlib.contextmanager
def _shown_on_page(job: Job, diff_file: str) -> Iterator[None]:
    """Show on the job's page, and to later steps, when nothing was published because of an error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (Exception, SignalError) as error:
        failure = as_known(error)
        if isinstance(failure, CredentialError):
            failure.hint = job.provider.credential_hint
        outputs = {"outcome": Outcome.FAILED.value}
        if isinstance(failure, CheckError) and failure.result:
            _show_changes(failure.result, diff_file, job)
            outputs = report.outputs(failure.result.publication, failure.result.source, diff_file)
        stages = job.console.times() if job.console.stages else ()
        page = report.failure(failure, stages, reservations=job.console.reservations)
        job.provider.write_summary(job.console.redact(page))
        job.provider.write_outputs(outputs)
        raise failure from error


def _show(result: Result, diff_file: str, job: Job) -> None:
    """Tell people and other programs how the run ended."""
    _show_changes(result, diff_file, job)
    page = report.summary(
        result.publication,
        result.source,
        result.findings,
        job.console.times(),
        reservations=job.console.reservations,
        published_url=result.published_url,
    )
    job.provider.write_summary(job.console.redact(page))
    job.provider.write_outputs(report.outputs(result.publication, result.source, diff_file))


def _show_changes(result: Result, diff_file: str, job: Job) -> None:
    """Print what was changed, or would have been, and write it where the user asked for it."""
    console, publication = job.console, result.publication
    if any(changes.items for changes in publication.changes):
        console.quote("Diff", _shortened(diff.patch(publication.changes)))
    for finding in result.findings:
        if finding.level is Level.WARNING:
            console.annotate(finding.level, str(finding))
    notices = [finding for finding in result.findings if finding.level is Level.NOTICE]
    console.text(report.text(publication, result.source, notices))
    if diff_file:
        write_file(Path(diff_file).absolute(), diff.patch(publication.changes))


def _shortened(patch: Iterable[str]) -> list[str]:
    lines, omitted = list[str](), 0
    for part in patch:
        *shown, rest = part.split("\n", LOGGED_DIFF_LINES - len(lines))  # each part ends a line
        lines += shown
        omitted += rest.count("\n")
    return [*lines, f"… and {omitted} more lines"] if omitted else lines
