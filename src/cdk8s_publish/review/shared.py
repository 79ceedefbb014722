"""Objects that several apps of one run render: each may be right, and what applies both together applies nothing."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

from cdk8s_publish.model import Finding, Level
from cdk8s_publish.review.checks import search, unparsed
from cdk8s_publish.review.identity import identify
from cdk8s_publish.rules.findings import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cdk8s_publish.model import ResourceId
    from cdk8s_publish.review.checks import Checked
    from cdk8s_publish.review.delta import Delta

_LISTED = 5


def shared_findings(folders: Sequence[tuple[Delta, Checked]]) -> Iterator[Finding]:
    """Yield one warning about all objects that are new in one folder and rendered into another one as well.

    Files that stand for an app which was not rendered are not searched.
    """
    owners = {key: apps for key, apps in _owners(folders).items() if len(apps) > 1}
    if not owners:
        return
    names = [f"{key} ({', '.join(sorted(apps.values()))})" for key, apps in sorted(owners.items())]
    parent = posixpath.commonpath([path for apps in owners.values() for path in apps]) or "."
    message = (
        f"Several apps render the same resource: {listed(names, _LISTED)}. A Kustomization above their folders, for "
        f"`{parent}`, would apply nothing."
    )
    hint = "Give each folder a Kustomization of its own; on one cluster, let a single app render what several share."
    yield Finding(Level.WARNING, "duplicate-resource", message, hint=hint)


def _owners(folders: Sequence[tuple[Delta, Checked]]) -> dict[ResourceId, dict[str, str]]:
    """Return the folders, with their apps, that hold each object which is new in one of them."""
    custom = {kind: scope for _, checked in folders for kind, scope in checked.custom.items()}
    owners: dict[ResourceId, dict[str, str]] = defaultdict(dict)
    new: set[ResourceId] = set()
    for delta, checked in folders:
        known = {identify(manifest.resource, custom) for manifest in chain.from_iterable(checked.before.values())}
        here = {identify(manifest.resource, custom) for manifest in chain.from_iterable(checked.parsed.values())}
        new |= here - known
        for key in here:
            owners[key][delta.folder.path] = delta.rendered.app
    for delta, checked in folders:
        files = [file for file in unparsed(delta, checked.parsed) if file.location]
        for manifest in search(new, files, custom):
            owners[identify(manifest.resource, custom)][delta.folder.path] = delta.rendered.app
    return {key: owners[key] for key in new}
