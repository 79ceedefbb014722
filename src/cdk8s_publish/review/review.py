"""Compare what was rendered with what is published, and apply the rules: the one entrance to this room."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.review import checks, diff, removals
from cdk8s_publish.review.baseline import losses
from cdk8s_publish.review.controller.rules import argo_findings, flux_findings
from cdk8s_publish.review.delta import delta
from cdk8s_publish.review.documents import Documents
from cdk8s_publish.review.masking import Mask
from cdk8s_publish.review.shared import shared_findings
from cdk8s_publish.rules.consent import apply_consents, unused
from cdk8s_publish.rules.findings import as_warnings, by_severity, errors, with_folder
from cdk8s_publish.rules.registry import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from cdk8s_publish.model import Changes, Finding, Folder, RenderedManifests, Sha
    from cdk8s_publish.review.baseline import Loss
    from cdk8s_publish.review.checks import Checked
    from cdk8s_publish.review.delta import Delta
    from cdk8s_publish.rules.consent import Consent


class Published(NamedTuple):
    """What the tip holds. `read` returns the bytes of its blobs; `abandoned` are folders whose app is gone.

    `files` are all plain files of the branch, with the ids of their contents. `is_one_cluster` is true when all folders
    are applied to one cluster, so that a resource that moves from one to the other is not deleted.
    """

    folders: tuple[Folder, ...]
    read: Callable[[Iterable[Sha]], Mapping[Sha, bytes]]
    abandoned: Container[str] = ()
    files: Mapping[str, Sha] = MappingProxyType({})
    is_one_cluster: bool = False


class Review(NamedTuple):
    """What a publish would change, and what the rules say about it. `folders` are those it was compared with."""

    folders: tuple[Folder, ...]
    changes: tuple[Changes, ...]
    findings: tuple[Finding, ...]


class _Compared(NamedTuple):
    """One folder: what differs from the tip, what the rules found in it, and the bytes that the tip has of it."""

    delta: Delta
    checked: Checked
    old: Mapping[Sha, bytes]

    def changes(self, unreadable: AbstractSet[str], mask: Mask) -> Changes:
        """Return what changes; a resource of a file that one of these rules refuses is neither there nor gone."""
        flawed = {finding.file for finding in self.checked.findings if finding.rule in unreadable}
        return diff.compare(self.delta, self.checked.without(flawed), self.old, mask)


def review(
    rendered: Sequence[RenderedManifests],
    published: Published,
    consents: Sequence[Consent],
    refusals: Sequence[Consent] = (),
    *,
    is_diff: bool = False,
) -> Review:
    """Compare each render with the folder of the same path, and judge every finding by the consents of this run.

    With `is_diff` removals only warn: a review is where consent is given, so it must be able to end well, and still
    says what publishing will need.

    Raises OSError when a rendered file can't be read.
    """
    documents = Documents()
    compared = _compared(rendered, published, documents)
    lost = _losses(compared, published, documents)
    about_content = [consent for consent in consents if not RULES[consent.rule].is_about_branch]
    found, needless = apply_consents(_content_findings(compared, lost, published.abandoned), about_content, refusals)
    unreadable = checks.UNREADABLE_RULES & {finding.rule for finding in errors(found)}
    mask = Mask(value for one in compared for value in one.checked.exposed.values)
    changes = tuple(one.changes(unreadable, mask) for one in compared)
    if unreadable:
        # What a file that can't be read would keep is not known, so neither is what is removed.
        needless = tuple(consent for consent in needless if consent.rule not in removals.RULES)
    else:
        removed, needless = apply_consents(
            removals.removal_findings(lost, is_one_cluster=published.is_one_cluster, changes=changes),
            needless,
            refusals,
        )
        found += as_warnings(removed) if is_diff else removed
    notices, _ = apply_consents(unused(_idle(needless, compared)), (), refusals)
    return Review(published.folders, changes, by_severity(map(mask.finding, (*found, *notices))))


def _compared(rendered: Sequence[RenderedManifests], published: Published, documents: Documents) -> list[_Compared]:
    folders = {folder.path: folder for folder in published.folders}
    deltas = [delta(item, folders[item.path]) for item in rendered]
    old = published.read(sha for one in deltas for sha in one.wanted)
    is_shown = any(one.changed or one.gone for one in deltas)
    return [_Compared(one, checks.check(one, old, documents, is_shown=is_shown), old) for one in deltas]


def _losses(compared: Sequence[_Compared], published: Published, documents: Documents) -> tuple[Loss, ...]:
    deltas = [one.delta for one in compared]
    old = {blob: content for one in compared for blob, content in one.old.items()}
    return losses(deltas, published.files, published.read, old, documents)


def _content_findings(
    compared: Sequence[_Compared], lost: Sequence[Loss], abandoned: Container[str]
) -> Iterator[Finding]:
    for one, loss in zip(compared, lost, strict=True):
        path = one.delta.folder.path
        found = one.checked.findings
        if loss.is_empty and not any(finding.rule == "nothing-rendered" for finding in found):
            found = (*found, checks.nothing(one.delta))
        if loss.after:
            manifests = [manifest for many in one.checked.parsed.values() for manifest in many]
            found = (*found, *flux_findings(loss.after, manifests, one.checked.custom))
            found = (*found, *argo_findings(loss.after, one.delta.changed))
        if path in abandoned:  # an app that is gone renders nothing
            found = tuple(finding for finding in found if finding.rule != "nothing-rendered")
        yield from with_folder(found, path) if len(compared) > 1 else found
    if len(compared) > 1:
        yield from shared_findings([(one.delta, one.checked) for one in compared])


def _idle(needless: Sequence[Consent], compared: Sequence[_Compared]) -> Sequence[Consent]:
    """Return the consents that nothing needed, and not only nothing that was looked at."""
    if all(one.checked.is_complete for one in compared):
        return needless
    return [consent for consent in needless if not RULES[consent.rule].is_read_from_file]
