"""What a publish would delete from the cluster: how much of it, and what takes data with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.model import ChangeKind, Finding, Level
from cdk8s_publish.review.baseline import Loss
from cdk8s_publish.review.identity import identify
from cdk8s_publish.rules.findings import listed, with_folder

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from cdk8s_publish.model import Changes, ResourceId

REMOVAL_MINIMUM = 5
"""Fewer removed resources than this are never "too many", whatever their share."""

PRECIOUS = frozenset(
    {
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apps", "StatefulSet"),
        ("kustomize.toolkit.fluxcd.io", "Kustomization"),
        ("helm.toolkit.fluxcd.io", "HelmRelease"),
        ("argoproj.io", "Application"),
        ("argoproj.io", "ApplicationSet"),
    }
)
"""Group and kind of resources whose removal takes data, or other resources, with them."""

RULES = frozenset({"removal-budget", "precious-removal", "unknown-removal"})

_MOVED_HINT = (
    "Some of this only moves to another folder, which may be applied to another cluster. Where one cluster applies all "
    "folders, and nothing applies one of them alone, set `same-cluster: true`."
)
_LISTED = 20
"""How many removed resources a message names."""


def removal_findings(
    lost: Sequence[Loss], *, is_one_cluster: bool, changes: Sequence[Changes] = ()
) -> tuple[Finding, ...]:
    """Hold what goes against the removal budget of each folder and of all.

    A resource that leaves a folder, or a top-level folder in it, leaves a cluster, unless all are applied to one: then
    one that moved to another folder of the same run, as `changes` say, is not removed.
    """
    moved = {identify(item.resource) for one in changes for item in one.of(ChangeKind.ADDED) if item.resource}
    if is_one_cluster:
        lost, moved = [_without(loss, moved) for loss in lost], set()
    budgets = [finding for loss in lost for finding in _budget(loss, loss.folder or ".")]
    if not budgets:
        # Many small folders can vanish without any of them losing five.
        budgets = list(_budget(_total(lost), "all folders of this run"))
    others: list[Finding] = []
    for loss in lost:
        found = (*_precious(loss), *_unknown(loss))
        others += with_folder(found, loss.folder) if len(lost) > 1 else found
    if any(identify(manifest.resource) in moved for loss in lost for manifest in loss.gone):
        return tuple(finding._replace(hint=_MOVED_HINT) for finding in (*budgets, *others))
    return (*budgets, *others)


def _without(loss: Loss, moved: Container[ResourceId]) -> Loss:
    return loss._replace(gone=tuple(one for one in loss.gone if identify(one.resource) not in moved))


def _total(lost: Sequence[Loss]) -> Loss:
    gone = tuple(manifest for loss in lost for manifest in loss.gone)
    return Loss("", gone, sum(loss.before for loss in lost))


def _budget(loss: Loss, where: str) -> Iterator[Finding]:
    count = len(loss.gone)
    if count < REMOVAL_MINIMUM or 2 * count <= loss.before:
        return
    names = listed([str(manifest.resource) for manifest in loss.gone], _LISTED)
    message = f"This would delete {count} of {loss.before} resources in {where}: {names}."
    yield Finding(Level.ERROR, "removal-budget", message)


def _precious(loss: Loss) -> Iterator[Finding]:
    for manifest in loss.gone:
        resource = manifest.resource
        if (resource.group, resource.kind) in PRECIOUS:
            message = f"This would delete {resource}, and with it what it holds."
            yield Finding(Level.ERROR, "precious-removal", message, manifest.file, resource)


def _unknown(loss: Loss) -> Iterator[Finding]:
    for place in loss.unknown:
        file = place.file.removeprefix(f"{loss.folder}/") if loss.folder else place.file
        message = f"It can't be told what would be deleted with this change of {file}: {place.reason.rstrip('.')}."
        yield Finding(Level.ERROR, "unknown-removal", message, file)
