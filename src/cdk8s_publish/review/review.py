"""Hold a render against what is published: the changes that publishing would make, and what the rules say of them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import Level
from cdk8s_publish.review import checks, diff
from cdk8s_publish.review.manifests import delta
from cdk8s_publish.review.parallel import halves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cdk8s_publish.model import Changes, Finding, Folder, RenderedManifests, Sha


class Review(NamedTuple):
    """What the checks say about a render against published folders. No finding is an error."""

    folders: tuple[Folder, ...]
    changes: tuple[Changes, ...]
    findings: tuple[Finding, ...]


class Guards(NamedTuple):
    """What the user allowed. With `only_warns` removals refuse nothing: a review is where consent is given."""

    allow_empty: bool = False
    allow_secrets: bool = False
    allow_helm: bool = False
    allow_removals: bool = False
    only_warns: bool = False


def review(
    rendered: tuple[RenderedManifests, ...],
    folders: tuple[Folder, ...],
    abandoned: tuple[str, ...],
    read: Callable[[Iterable[Sha]], Mapping[Sha, bytes]],
    guards: Guards,
) -> Review:
    """Compare each render with the folder of the same path; `read` returns published files by digest.

    `abandoned` are the folders whose apps are gone, which may be empty.

    Raises:
        CheckError: a finding is an error.

    """
    published = {folder.path: folder for folder in folders}
    deltas = [delta(one, published[one.path]) for one in rendered]
    old = read(sha for one in deltas for sha in one.wanted)
    checked = []
    for one in deltas:
        policy = checks.Policy(
            allow_empty=guards.allow_empty or one.folder.path in abandoned,
            allow_secrets=guards.allow_secrets,
            allow_helm=guards.allow_helm,
        )
        checked.append(checks.check(one, policy, old, halves))
    findings = [result.findings for result in checked]
    if len(deltas) > 1:
        findings = [tuple(checks.located(found, one.folder.path)) for one, found in zip(deltas, findings, strict=True)]
    found = tuple(chain.from_iterable(findings))
    checks.refuse(found)
    changes = tuple(diff.compare(one, result, old) for one, result in zip(deltas, checked, strict=True))
    removals = checks.check_changes(changes, consent=guards.allow_removals)
    if guards.only_warns:
        removals = tuple(finding._replace(level=Level.WARNING) for finding in removals)
    checks.refuse((*found, *removals))
    return Review(folders, changes, (*found, *removals))
