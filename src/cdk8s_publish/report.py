"""What people and other programs read after a run: job summary, outputs, log lines, the commit's message.

Everything that comes from the app or a commit is data: it can't format, link, mention or escape from where it stands.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from typing import TYPE_CHECKING, Protocol, TypeVar

from cdk8s_publish.errors import CheckError
from cdk8s_publish.model import Change, ChangeKind, Outcome
from cdk8s_publish.printable import markdown, spelled_out
from cdk8s_publish.rules.findings import remedies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cdk8s_publish.errors import Cdk8sPublishError
    from cdk8s_publish.model import Finding, Publication, SourceRevision

SUMMARY_LIMIT = 1_000_000
"""Bytes; a job summary of GitHub may have 1 MiB, and a longer one is dropped whole."""

_SHORT = 12
_PART_MINIMUM = 40  # with fewer bytes left there is no use in rendering the next part
_MISSES_MAXIMUM = 20  # nor after so many parts in a row that were too long: thousands may follow
_T = TypeVar("_T")
_LISTED = 20

_KINDS = (ChangeKind.REMOVED, ChangeKind.MODIFIED, ChangeKind.ADDED)
_SIGNS = {ChangeKind.REMOVED: "-", ChangeKind.MODIFIED: "~", ChangeKind.ADDED: "+"}


class Timed(Protocol):
    """A stage of the run; `seconds` is wall time."""

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


def summary(  # noqa: PLR0913  # each is a value of its own; a bundle would be unpacked at once
    publication: Publication,
    source: SourceRevision,
    findings: Sequence[Finding],
    stages: Sequence[Timed],
    *,
    reservations: Sequence[str] = (),
    published_url: str = "",
    limit: int = SUMMARY_LIMIT,
) -> str:
    """Return the job summary in GitHub-flavoured Markdown, at most `limit` bytes (at least 8,000) of UTF-8.

    `reservations` say what does not hold on this machine, `published_url` is the web page of the published revision.
    What does not fit is omitted change by change, and counted.
    """
    head = [f"## {_words(headline(publication))}", _facts(publication, source, published_url)]
    tail = _tail(reservations, stages)
    room = limit - _size(*head, *tail) - 1_000
    return _joined(*head, *_review(publication, findings, room), *tail)


def failure(
    error: Cdk8sPublishError,
    stages: Sequence[Timed] = (),
    *,
    reservations: Sequence[str] = (),
    limit: int = SUMMARY_LIMIT,
) -> str:
    """Return the job summary of a run that failed, at most `limit` bytes: what, why, and what to do.

    Where a rule stopped the run, what would have been published follows.
    """
    result = error.result if isinstance(error, CheckError) else None
    head = [f"## Not published: {_words(_shortened(str(error), 500))}"]
    tail = _tail(reservations, stages)
    if result:
        head.append(_facts(result.publication, result.source, result.published_url))
        room = limit - _size(*head, *tail) - 1_000
        return _joined(*head, *_review(result.publication, error.findings, room), *tail)
    if error.findings:
        return _joined(*head, _findings(error.findings, limit // 2), *tail)
    lines = map(spelled_out, error.evidence[-limit // 16 :].expandtabs().splitlines())
    evidence = _fenced("\n".join(lines)) if error.evidence else ""
    return _joined(*head, evidence, _words(_shortened(error.hint, limit // 16)), *tail)


def _review(publication: Publication, findings: Sequence[Finding], room: int) -> tuple[str, ...]:
    """Return what the rules say, which resources change, and how, in at most `room` bytes."""
    changes = [(one.path, item) for one in publication.changes for item in _by_severity(one.items)]
    listed = _findings(findings, room // 4)
    table = _change_table(changes, room // 4, has_paths=len(publication.changes) > 1)
    shown = [item for _, item in changes if item.diff]
    return listed, table, _fit(shown, _details, room - _size(listed, table), "diff")


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def headline(publication: Publication) -> str:
    """Return the outcome in one sentence."""
    folders = ", ".join(f"`{path or '.'}`" for path in publication.paths[:3])
    where = f"`{publication.branch}` / {folders}"
    if len(publication.paths) > 3:  # noqa: PLR2004  # as many as fit a line
        where += f" and {len(publication.paths) - 3} more folders"
    count = sum(len(one.items) for one in publication.changes)
    changes = _count(count, "change")
    match publication.outcome:
        case Outcome.PUBLISHED:
            return f"Published {changes} to {where}" if count else f"Published to {where}: no resource changed"
        case Outcome.DRY_RUN | Outcome.FAILED:
            return (
                f"Publishing would make {changes} to {where}"
                if count
                else f"Publishing would change nothing in {where}"
            )
        case Outcome.UNCHANGED:
            return f"Nothing to publish: no change in {where}"
        case Outcome.SKIPPED:
            return f"Skipped {where}: {publication.reason}"


def text(publication: Publication, source: SourceRevision, findings: Sequence[Finding] = ()) -> str:
    """Return the result for a terminal or a log: a few lines, no colours."""
    lines = [headline(publication)]
    changes = [item for one in publication.changes for item in _by_severity(one.items)]
    lines += [f"  {_SIGNS[item.kind]} {item.title}" for item in changes[:_LISTED]]
    if len(changes) > _LISTED:
        lines.append(f"  … and {len(changes) - _LISTED} more")
    lines += map(str, findings)
    lines += [f"Resources: {_counts(publication)}"] if publication.changes else []
    lines.append(f"Source revision: {source}")
    if publication.revision:
        lines.append(f"Published revision: {publication.branch}@sha1:{publication.revision}")
    return "\n".join(map(spelled_out, lines))


def outputs(publication: Publication, source: SourceRevision, diff_file: str) -> dict[str, str]:
    """Return the outputs of the action, in the order of its reference page. Counts are of resources."""
    count = _resource_counts(publication)
    is_changed = any(one.files for one in publication.changes)
    return {
        "outcome": publication.outcome.value,
        "changed": str(is_changed).lower(),
        "revision": publication.revision or "",
        "source-revision": source.sha,
        "branch": publication.branch,
        "path": ",".join(path or "." for path in publication.paths),
        "manifests": str(sum(one.manifests for one in publication.changes)),
        "added": str(count[ChangeKind.ADDED]),
        "modified": str(count[ChangeKind.MODIFIED]),
        "removed": str(count[ChangeKind.REMOVED]),
        "diff-file": diff_file,
    }


def fill(template: str, source: SourceRevision, paths: Sequence[str]) -> str:
    """Replace the placeholders of `commit-message` and `tag`; other braces stay."""
    values = {
        "subject": source.subject,
        "sha": source.sha,
        "short-sha": source.sha[:_SHORT],
        "branch": source.branch,
        "path": ", ".join(path or "." for path in paths),
    }
    return re.sub(r"\{([a-z-]+)\}", lambda match: values.get(match[1], match[0]), template)


def commit_message(template: str, source: SourceRevision, counts: Mapping[str, int]) -> str:
    """Return the message of the published commit; `counts` is the number of resources of each folder.

    It says only what follows from the source commit and its render, so that the same render of the same source is the
    same commit, whoever makes it and whatever the target branch held before.
    """
    subject = " ".join(fill(template, source, tuple(counts)).split())
    lines = [f"{_count(count, 'resource')} in {path or '.'}" for path, count in counts.items()]
    trailers = [f"Source-Revision: {source}"] + [f"Source-URL: {source.url}"] * bool(source.url)
    return "\n".join([subject or f"Publish {source.sha[:_SHORT]}", "", *lines, "", *trailers]) + "\n"


def _by_severity(items: Iterable[Change]) -> list[Change]:
    """Sort removals first: they are what a reviewer must not miss."""
    return sorted(items, key=lambda item: _KINDS.index(item.kind))


def _resource_counts(publication: Publication) -> Counter[ChangeKind]:
    """Return how many resources of all folders changed in which way; files without resources don't count."""
    counts = Counter[ChangeKind]()
    for one in publication.changes:
        counts.update(item.kind for item in one.items if item.resource)
    return counts


def _counts(publication: Publication) -> str:
    count = _resource_counts(publication)
    parts = [f"{count[kind]} {kind}" for kind in ChangeKind]
    files = sum(len(one.items) for one in publication.changes) - count.total()
    if files:
        parts.append(f"{_count(files, 'other file')} changed")
    return f"{sum(one.manifests for one in publication.changes)} rendered, {', '.join(parts)}"


def _facts(publication: Publication, source: SourceRevision, published_url: str) -> str:
    rows = [("Source revision", f"{_link(_short(source), source.url)} {_code(_shortened(source.subject, 200))}")]
    if publication.revision:
        rows.append(
            ("Published revision", _link(f"{publication.branch}@{publication.revision[:_SHORT]}", published_url))
        )
    rows += [("Resources", _counts(publication))] if publication.changes else []
    is_told = publication.outcome is Outcome.SKIPPED  # in the headline
    rows += [("Reason", _words(publication.reason))] if publication.reason and not is_told else []
    return "<br>\n".join(f"{name}: {value}" for name, value in rows)


def _short(source: SourceRevision) -> str:
    return f"{source.branch}@{source.sha[:_SHORT]}".lstrip("@")


def _link(label: str, url: str) -> str:
    return (
        f'<a href="{html.escape(url)}">{_code(label)}</a>' if url.startswith(("https://", "http://")) else _code(label)
    )


def _change_table(changes: Sequence[tuple[str, Change]], room: int, *, has_paths: bool) -> str:
    if not changes:
        return ""
    columns = ["Change", "Kind", "Namespace", "Name", *(["Folder"] if has_paths else [])]
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return head + _fit(changes, lambda change: _row(change[0] if has_paths else None, change[1]), room, "change")


def _row(path: str | None, item: Change) -> str:
    resource = item.resource
    if resource:
        kind = f"{item.kind.value}, {_words(item.move)}" if item.move else item.kind.value
        cells = [kind, _code(resource.kind_and_group), _code(resource.namespace), _code(resource.name)]
    else:
        cells = [item.kind.value, "file", "", _code(item.file)]
    cells += [] if path is None else [_code(path or ".")]
    return f"| {' | '.join(cells)} |"


def _details(item: Change) -> str:
    title = f"{item.kind} {_code(item.title)}"
    return f"<details><summary>{title}</summary>\n\n{_fenced(item.diff, 'diff')}\n\n</details>\n"


def _findings(findings: Sequence[Finding], room: int) -> str:
    """List findings, and after them what to do, once for all that have the same remedy."""
    hints = _fit(remedies(findings), _words, room // 4, "hint")
    listed = _fit(findings, _finding, room - _size(hints), "finding")
    return "\n\n".join(part for part in (listed, hints) if part)


def _finding(finding: Finding) -> str:
    parts = [f"- **{finding.level}** {_code(finding.rule)}: {_words(_shortened(finding.message, 2_000))}"]
    parts += [f"({', '.join(map(_code, finding.where))})"] if finding.where else []
    parts += [f"[to allow: {_code(finding.allow)}]"] if finding.allow else []
    return " ".join(parts)


def _tail(reservations: Sequence[str], stages: Sequence[Timed]) -> list[str]:
    """Return what every page ends with: what does not hold on this machine, and what took the time."""
    holds_not = f"**Does not hold on this machine:** {_words(' '.join(reservations))}" if reservations else ""
    return [holds_not, _stage_table(stages) if stages else ""]


def _stage_table(stages: Sequence[Timed]) -> str:
    rows = (f"| {_words(stage.title)} | {stage.seconds:.1f} s |" for stage in stages)
    return "| Stage | Time |\n|---|---:|\n" + "\n".join(rows)


def _fit(values: Sequence[_T], render: Callable[[_T], str], room: int, what: str) -> str:
    """Render as many values as there is room for, in bytes, and say how many are omitted."""
    taken: list[str] = []
    misses = 0
    for value in values:
        if room < _PART_MINIMUM or misses == _MISSES_MAXIMUM:
            break
        part = render(value)
        if _size(part) <= room:
            room -= _size(part)
            taken.append(part)
            misses = 0
        else:
            misses += 1
    missing = len(values) - len(taken)
    note = f"\n\n_{_count(missing, f'more {what}')} omitted to stay within the size limit._" if missing else ""
    return "\n".join(taken) + note


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _size(*parts: str) -> int:
    return sum(len(part.encode()) + 2 for part in parts)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _words(text: str) -> str:
    """Return a sentence of ours, in which backticks mean code, with whatever it quotes escaped."""
    return re.sub("&#96;(.+?)&#96;", r"<code>\1</code>", markdown(text))


def _code(text: str) -> str:
    return f"<code>{markdown(text)}</code>" if text else ""


def _fenced(text: str, language: str = "") -> str:
    """Put text into a code block whose fence is longer than any inside."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip(chr(10))}\n{fence}"
