"""What is published + what was asked for → what to do and why.

Pure: a race is a plain test, and a dry run prints the plan that a real run follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.errors import BranchError
from cdk8s_publish.model import Action, Folder, PublishPlan, Relation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cdk8s_publish.inputs import GuardInputs, TargetInputs
    from cdk8s_publish.publish.sink import Observed

_ADOPT_HINT = "Choose another `branch` or `path`, or set `adopt-branch: true` once to take it over."


def guard_folders(target: TargetInputs, guards: GuardInputs, seen: Observed) -> None:
    """Refuse a branch or folder with content that we did not publish, unless `adopt-branch` is given.

    Raises:
        BranchError: names the branch or folder and what was found there.

    """
    if guards.adopt_branch:
        return
    if seen.is_foreign:
        raise BranchError(
            f"The branch `{target.branch}` has content that was not published by this tool.",
            evidence=f"No folder of {seen.revision} holds a `hydrator.metadata` file.",
            hint=_ADOPT_HINT,
        )
    for folder in seen.folders:
        for other in seen.others:
            _refuse_overlap(target.branch, folder.path, other)
        if folder.files and not folder.is_managed:
            _refuse_content(target.branch, folder)


def _refuse_overlap(branch: str, path: str, other: str) -> None:
    if _holds(path, other) or _holds(other, path):
        raise BranchError(
            f"The folders `{path or '.'}` and `{other or '.'}` on `{branch}` would overlap, and a publish of one "
            "removes files of the other.",
            hint=_ADOPT_HINT,
        )


def _refuse_content(branch: str, folder: Folder) -> None:
    some = "\n".join(f"  {name}" for name in sorted(folder.files)[:5])
    raise BranchError(
        f"The folder `{folder.path or '.'}` on `{branch}` has content that was not published by this tool.",
        evidence=f"{len(folder.files)} files, for example:\n{some}",
        hint=_ADOPT_HINT,
    )


def _holds(folder: str, other: str) -> bool:
    return not folder or other.startswith(f"{folder}/")


def decide(target: TargetInputs, guards: GuardInputs, seen: Observed, *, is_review: bool) -> PublishPlan:
    """Choose between publish, diff and skip.

    Raises:
        BranchError: the branch or a folder holds what somebody else has put there.

    """
    guard_folders(target, guards, seen)
    if target.mode == "diff":
        return PublishPlan(Action.DIFF, "the input `mode` asks for the diff only")
    if target.mode == "auto" and is_review:
        return PublishPlan(Action.DIFF, "pull and merge requests show what would change")
    older = [path or "." for path, relation in seen.relations.items() if relation is Relation.OLDER]
    if older and not guards.allow_rollback:
        return PublishPlan(
            Action.SKIP,
            f"`{target.branch}` already holds a newer source commit at {', '.join(older)}; "
            "`allow-rollback` publishes this older one anyway",
        )
    return PublishPlan(Action.PUBLISH, _reason(older, seen.relations), _warnings(seen.relations))


_DOUBTS = {
    Relation.DIVERGED: "the source commit recorded for `{path}` is not in the history of this one (a rewritten branch, "
    "or another branch publishes to the same folder)",
    Relation.UNKNOWN: "the source commit recorded for `{path}` can't be found any more, so it is not known whether "
    "this run is newer",
}


def _warnings(relations: Mapping[str, Relation]) -> tuple[str, ...]:
    doubtful = ((path, relation) for path, relation in relations.items() if relation in _DOUBTS)
    return tuple(_DOUBTS[relation].format(path=path or ".") for path, relation in doubtful)


def _reason(older: Sequence[str], relations: Mapping[str, Relation]) -> str:
    found = set(relations.values())
    if older:
        return "a rollback was asked for"
    if found == {Relation.FIRST}:
        return "nothing was published here before"
    if found == {Relation.SAME}:
        return "the same source commit was published before"
    if _DOUBTS.keys() & found:
        return "this source commit is not known to be older than the one published before"
    return "this source commit is newer than the one published before"
