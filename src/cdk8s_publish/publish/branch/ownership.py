"""Whose a published folder is: which repository, which app of it, and which branch it was published from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.git import urls
from cdk8s_publish.model import Relation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from cdk8s_publish.model import CommitMessage, Folder, Sha, SourceRevision

_SHARED_HISTORY = frozenset({Relation.SAME, Relation.NEWER, Relation.OLDER})


class Origin(NamedTuple):
    """Where the manifests come from. `url` is the repository of the sources, without credentials.

    `is_target` is true when the target branch is in that repository; `default_branch` is its default branch where the
    CI product says so. `is_pushed` is true when CI checked out a branch by its name, so that the branch holds
    the commit unless it was rewritten since.

    `relation` compares the commit recorded on the branch with the one that is rendered, `messages` returns what the
    commits say that came after the recorded ones, and `shares` says whether any of some commits is in the history of
    the rendered one. `holds_app` says whether a folder of the source commit still holds an
    app, `tip` what a ref of the sources' repository holds now.
    """

    revision: SourceRevision
    url: str
    default_branch: str
    is_target: bool
    is_pushed: bool
    relation: Callable[[Sha], Relation]
    messages: Callable[[Sequence[Sha]], tuple[CommitMessage, ...]]
    shares: Callable[[Collection[Sha]], bool]
    holds_app: Callable[[str], bool]
    tip: Callable[[str], Sha | None]


def owner(folder: Folder, directory: str, origin: Origin, relation: Relation) -> str:
    """Return who else published a folder, in words; empty where it was the app in `directory` of this repository.

    A repository that was renamed, moved to another server or forked shares its history with what was recorded. An app
    whose recorded folder is gone from the source commit has moved.
    """
    is_other = bool(folder.source_url) and urls.normal(folder.source_url) != urls.normal(origin.url)
    if is_other and relation not in _SHARED_HISTORY:
        return f"the repository {folder.source_url}"
    if folder.directory not in {None, directory} and origin.holds_app(folder.directory or "."):
        return f"the app in `{folder.directory}`"
    return ""


def other_ref(folder: Folder, origin: Origin) -> str:
    """Return the ref that a folder was published from when it is another one than ours; empty where nobody knows.

    A branch that is gone was renamed.
    """
    recorded, own = folder.source_ref, origin.revision.ref
    if not recorded or not own or recorded == own:
        return ""
    is_gone = recorded.startswith("refs/heads/") and origin.tip(recorded) is None
    return "" if is_gone else recorded


def is_left_behind(origin: Origin, relation: Relation) -> bool:
    """Whether the branch that is rendered no longer holds the commit: somebody rewrote or deleted it since.

    `relation` is how the commit relates to what is published; where both are in one line, nothing speaks for that.
    """
    source = origin.revision
    if source.is_tag or not source.branch or relation in {Relation.FIRST, Relation.SAME, Relation.OLDER}:
        return False
    tip = origin.tip(source.ref)
    if tip is None:
        return origin.is_pushed
    return tip != source.sha and origin.relation(tip) is Relation.DIVERGED
