"""What a publish would delete from the cluster: how much of it, and what takes data with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import ChangeKind, Finding, Level
from cdk8s_publish.review.identity import identify
from cdk8s_publish.rules.findings import with_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from cdk8s_publish.model import Change, Changes, ResourceId

REMOVAL_MINIMUM = 5
"""Fewer removed resources than this are never "too many", whatever their share."""

PRECIOUS = frozenset(
    {
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apps", "StatefulSet"),
    }
)
"""Group and kind of resources whose removal takes data, or other resources, with them."""

RULES = frozenset({"removal-budget", "precious-removal"})

_LISTED = 20
"""How many removed resources a message names."""


class _Loss(NamedTuple):
    """The resources that a folder loses, and how many it had."""

    folder: str
    gone: tuple[Change, ...]
    before: int


def removal_findings(changes: Sequence[Changes]) -> tuple[Finding, ...]:
    """Hold the removals of a run against the removal budget of each folder and of all.

    A resource that moved to another folder of the same run is not removed.
    """
    added = [item.resource for one in changes for item in one.of(ChangeKind.ADDED) if item.resource]
    moved = frozenset(map(identify, added))
    losses = [_loss(one, moved) for one in changes]
    budgets = [finding for loss in losses for finding in _budget(loss, loss.folder or ".")]
    if not budgets:
        # Many small folders can vanish without any of them losing five.
        budgets = list(_budget(_total(losses), "all folders of this run"))
    precious: list[Finding] = []
    for loss in losses:
        found = _precious(loss.gone)
        precious += with_folder(found, loss.folder) if len(losses) > 1 else found
    return (*budgets, *precious)


def _loss(changes: Changes, moved: AbstractSet[ResourceId]) -> _Loss:
    removed = [item for item in changes.of(ChangeKind.REMOVED) if item.resource]
    added = [item for item in changes.of(ChangeKind.ADDED) if item.resource]
    gone = tuple(item for item in removed if item.resource and identify(item.resource) not in moved)
    return _Loss(changes.path, gone, changes.manifests - len(added) + len(removed))


def _total(losses: Sequence[_Loss]) -> _Loss:
    gone = tuple(item for loss in losses for item in loss.gone)
    return _Loss("", gone, sum(loss.before for loss in losses))


def _budget(loss: _Loss, where: str) -> Iterator[Finding]:
    count = len(loss.gone)
    if count < REMOVAL_MINIMUM or 2 * count <= loss.before:
        return
    names = ", ".join(item.title for item in loss.gone[:_LISTED])
    more = f" and {count - _LISTED} more" if count > _LISTED else ""
    message = f"This would delete {count} of {loss.before} resources in {where}: {names}{more}."
    yield Finding(Level.ERROR, "removal-budget", message)


def _precious(gone: Iterable[Change]) -> Iterator[Finding]:
    for item in gone:
        if item.resource and (item.resource.group, item.resource.kind) in PRECIOUS:
            message = f"This would delete {item.title}, and with it what it holds."
            yield Finding(Level.ERROR, "precious-removal", message, item.file, item.resource)
