"""Inputs + context + tip → what to do and why.

Pure: a race is a plain test, and a dry run prints the plan that a real run follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.errors import BranchError
from cdk8s_publish.model import Action, CIContext, Folder, PublishPlan, Relation, Tip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cdk8s_publish.inputs import Inputs


def guard_branch(inputs: Inputs, context: CIContext, tip: Tip, *, is_same_repository: bool) -> None:
    """Refuse the branches that we must never overwrite.

    Raises:
        BranchError: the target branch is the one that is built from, or the default branch of its repository.

    """
    hint = "Set the input `branch` to a branch of its own, for example `manifests`."
    is_source = is_same_repository and inputs.target.branch == context.source.branch
    # A repository may have names that we can't compare, and a detached HEAD says no branch: the commit tells as well.
    is_rendered = tip.sha == context.source.sha and context.source.branch in {"", inputs.target.branch}
    if is_source or is_rendered:
        raise BranchError(
            f"`{inputs.target.branch}` is the branch that is being rendered; publishing to it would replace "
            "your sources",
            hint=hint,
        )
    defaults = {tip.default_branch, context.default_branch if is_same_repository else ""}
    # An empty repository makes the first branch that is pushed its default: such a branch is ours from the start.
    is_ours = tip.is_managed and not is_same_repository
    if inputs.target.branch in defaults and not is_ours:
        raise BranchError(
            f"`{inputs.target.branch}` is the default branch of the repository; it is never overwritten", hint=hint
        )


def guard_folders(inputs: Inputs, tip: Tip, folders: Sequence[Folder]) -> None:
    """Refuse a branch or folder with content that we did not publish, unless `adopt-branch` is given.

    Raises:
        BranchError: names the branch or folder and what was found there.

    """
    if inputs.guards.adopt_branch:
        return
    hint = "Choose another `branch` or `path`, or set `adopt-branch: true` once to take it over."
    if tip.entries and not tip.is_managed:
        raise BranchError(
            f"the branch `{tip.branch}` has content that was not published by this tool",
            evidence=f"No folder of {tip.sha} holds a `hydrator.metadata` file.",
            hint=hint,
        )
    own = {folder.path for folder in folders}
    for folder in folders:
        for other in tip.managed:
            if other not in own and (_holds(folder.path, other) or _holds(other, folder.path)):
                raise BranchError(
                    f"the folders `{folder.path or '.'}` and `{other or '.'}` on `{tip.branch}` would lie in each "
                    "other, and a publish of one removes files of the other",
                    hint=hint,
                )
        if folder.files and not folder.is_managed:
            some = "\n".join(f"  {name}" for name in sorted(folder.files)[:5])
            raise BranchError(
                f"the folder `{folder.path or '.'}` on `{tip.branch}` has content that was not published by this tool",
                evidence=f"{len(folder.files)} files, for example:\n{some}",
                hint=hint,
            )


def _holds(folder: str, other: str) -> bool:
    return not folder or other.startswith(f"{folder}/")


def decide(inputs: Inputs, context: CIContext, relations: Mapping[str, Relation]) -> PublishPlan:
    """Choose between publish, diff and skip; `relations` says for each folder how this run relates to its record."""
    if inputs.target.mode == "diff":
        return PublishPlan(Action.DIFF, "the input `mode` asks for the diff only")
    if inputs.target.mode == "auto" and context.is_review:
        return PublishPlan(Action.DIFF, "pull and merge requests show what would change")
    older = [path or "." for path, relation in relations.items() if relation is Relation.OLDER]
    if older and not inputs.guards.allow_rollback:
        return PublishPlan(
            Action.SKIP,
            f"`{inputs.target.branch}` already holds a newer source commit at {', '.join(older)}; "
            "`allow-rollback` publishes this older one anyway",
        )
    warnings = tuple(
        _DOUBTS[relation].format(path=path or ".") for path, relation in relations.items() if relation in _DOUBTS
    )
    return PublishPlan(Action.PUBLISH, _reason(older, relations), warnings)


_DOUBTS = {
    Relation.DIVERGED: "the source commit recorded for `{path}` is not in the history of this one (a rewritten branch, "
    "or another branch publishes to the same folder)",
    Relation.UNKNOWN: "the source commit recorded for `{path}` can't be found any more, so it is not known whether "
    "this run is newer",
}


def _reason(older: Sequence[str], relations: Mapping[str, Relation]) -> str:
    if older:
        return "a rollback was asked for"
    if set(relations.values()) == {Relation.FIRST}:
        return "nothing was published here before"
    if set(relations.values()) == {Relation.SAME}:
        return "the same source commit was published before"
    if _DOUBTS.keys() & set(relations.values()):
        return "this source commit is not known to be older than the one published before"
    return "this source commit is newer than the one published before"
