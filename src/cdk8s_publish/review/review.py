"""Hold what was rendered against the rules and against what is published: the one entrance to this room."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import Changes, Finding, Folder, Level
from cdk8s_publish.review import checks, diff, removals
from cdk8s_publish.review.delta import delta
from cdk8s_publish.rules.consent import apply_consents, unused
from cdk8s_publish.rules.findings import by_severity, with_folder
from cdk8s_publish.rules.registry import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from cdk8s_publish.model import RenderedManifests, Sha
    from cdk8s_publish.review.checks import Checked, ParseAll
    from cdk8s_publish.review.delta import Delta
    from cdk8s_publish.rules.consent import Consent


class Published(NamedTuple):
    """What the tip holds. `read` returns the bytes of its blobs; `abandoned` are folders whose app is gone."""

    folders: tuple[Folder, ...]
    read: Callable[[Iterable[Sha]], Mapping[Sha, bytes]]
    abandoned: Container[str] = ()


class Review(NamedTuple):
    """What a publish would change, and what the rules say about it. `folders` are those it was compared with."""

    folders: tuple[Folder, ...]
    changes: tuple[Changes, ...]
    findings: tuple[Finding, ...]


def review(  # noqa: PLR0913  # each is a value of its own; a bundle would be unpacked at once
    rendered: Sequence[RenderedManifests],
    published: Published,
    consents: Sequence[Consent],
    refusals: Sequence[Consent] = (),
    *,
    is_diff: bool = False,
    parse_all: ParseAll = map,
) -> Review:
    """Compare each render with the folder of the same path, and judge every finding by the consents of this run.

    With `is_diff` removals only warn: a review is where consent is given, so it must be able to end well, and still
    says what publishing will need.

    Raises OSError when a rendered file can't be read.
    """
    held = {folder.path: folder for folder in published.folders}
    deltas = [delta(item, held[item.path]) for item in rendered]
    old = published.read(sha for one in deltas for sha in one.wanted)
    checked = [checks.check(one, old, parse_all) for one in deltas]
    asked = [consent for consent in consents if not RULES[consent.rule].is_about_branch]
    found, needless = apply_consents(_content_findings(deltas, checked, published.abandoned), asked, refusals)
    unreadable = {finding.rule for finding in found if finding.level is Level.ERROR} & checks.UNREADABLE_RULES
    readable = [_readable(result, unreadable) for result in checked]
    changes = tuple(diff.compare(one, result, old) for one, result in zip(deltas, readable, strict=True))
    removed: tuple[Finding, ...] = ()
    if not unreadable:  # else nobody knows what the file that can't be read would keep
        removed, needless = apply_consents(removals.removal_findings(changes), needless, refusals)
    if is_diff:
        removed = tuple(finding._replace(level=Level.WARNING) for finding in removed)
    is_complete = all(result.is_complete for result in checked)
    idle = [consent for consent in needless if _was_judged(consent, unreadable, is_complete=is_complete)]
    notices, _ = apply_consents(unused(idle), (), refusals)
    return Review(published.folders, changes, by_severity((*found, *removed, *notices)))


def _content_findings(
    deltas: Sequence[Delta], checked: Sequence[Checked], abandoned: Container[str]
) -> Iterator[Finding]:
    for one, result in zip(deltas, checked, strict=True):
        path = one.folder.path
        # An app that is gone renders nothing.
        found = [finding for finding in result.findings if finding.rule != "nothing-rendered" or path not in abandoned]
        yield from with_folder(found, path) if len(deltas) > 1 else found


def _readable(checked: Checked, unreadable: AbstractSet[str]) -> Checked:
    """Leave out the files that one of these rules refuses: a resource in them is neither there nor gone."""
    flawed = {
        finding.file for finding in checked.findings if finding.rule in unreadable and finding.level is Level.ERROR
    }
    return checked.without(flawed) if flawed else checked


def _was_judged(consent: Consent, unreadable: AbstractSet[str], *, is_complete: bool) -> bool:
    """Whether all that a consent is about was looked at, so that nobody needing it says something."""
    if consent.rule in removals.RULES:
        return not unreadable
    return is_complete or not RULES[consent.rule].is_read_from_file
