"""What is published + what was asked for → what to do and why.

Pure: a race is a plain test, and a dry run prints the plan that a real run follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.errors import BranchError
from cdk8s_publish.model import Action, Finding, Folder, Level, PublishPlan, Relation
from cdk8s_publish.rules.consent import apply_consents, consents_of, unused
from cdk8s_publish.rules.findings import raise_for_errors
from cdk8s_publish.rules.registry import RULES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cdk8s_publish.inputs.declared import ConsentInputs, TargetInputs
    from cdk8s_publish.publish.sink import Observed
    from cdk8s_publish.rules.consent import Consent

_NAMED = 5
"""How many folders a message names."""

_HINT = "Choose another `branch` or `path`."


def decide(target: TargetInputs, given: ConsentInputs, seen: Observed, *, is_review: bool) -> PublishPlan:
    """Choose between publish, diff and skip.

    Raises:
        BranchError: a finding about the branch is an error that nobody allowed.

    """
    by_commits, remarks = consents_of(seen.messages)
    consents = [one for one in (*given.allow, *by_commits) if RULES[one.rule].is_about_branch]
    found = (*_folder_findings(target.branch, seen), *remarks)
    judged, needless = apply_consents(found, consents, given.refuse)
    raise_for_errors(judged, BranchError)
    if target.mode == "diff":
        return PublishPlan(Action.DIFF, "the input `mode` asks for the diff only", (*judged, *_reversals(seen)))
    if target.mode == "auto" and is_review:
        reason = "pull and merge requests show what would change"
        return PublishPlan(Action.DIFF, reason, (*judged, *_reversals(seen)))
    return _publish_or_skip(target, given, seen, judged, needless)


def _publish_or_skip(
    target: TargetInputs,
    given: ConsentInputs,
    seen: Observed,
    judged: tuple[Finding, ...],
    consents: Sequence[Consent],
) -> PublishPlan:
    doubts, needless = apply_consents(_doubts(target.branch, seen), consents, given.refuse)
    raise_for_errors(doubts, BranchError)
    for doubt in doubts:
        if RULES[doubt.rule].skips and doubt.allow:
            action = Action.DIFF if doubt.rule == "other-source" else Action.SKIP
            reason = f"{doubt.message.rstrip('.')}; `allow: {doubt.allow}` publishes it anyway"
            return PublishPlan(action, reason, (*judged, *doubts) if action is Action.DIFF else ())
    notices, _ = apply_consents(unused(needless), (), given.refuse)
    raise_for_errors(notices, BranchError)
    findings = (*judged, *doubts)
    return PublishPlan(Action.PUBLISH, _reason(findings, seen.relations), (*findings, *notices))


def _folder_findings(branch: str, seen: Observed) -> Iterator[Finding]:
    """Yield the reasons not to replace the folders of this run: content of somebody else, and other folders."""
    if seen.unsigned:
        yield _foreign_signature(branch, seen)
    if seen.is_foreign:
        message = (
            f"The branch `{branch}` has content that was not published by this tool: no `hydrator.metadata` of "
            f"{seen.revision} is a record of ours. {_replaced(seen.folders)}; its history, and what is beside, stays."
        )
        yield Finding(Level.ERROR, "foreign-branch", message, hint=_HINT)
        return
    if seen.former:
        yield _former_folder(branch, seen.former)
    for folder in seen.folders:
        for other in seen.others:
            if _holds(folder.path, other) or _holds(other, folder.path):
                yield _overlap(branch, folder.path, other)
        if folder.files and not folder.is_managed:
            yield _foreign_content(branch, folder)
        if folder.path in seen.owners:
            yield _foreign_folder(branch, folder, seen.owners[folder.path])


def _foreign_signature(branch: str, seen: Observed) -> Finding:
    message = (
        f"The newest commit of `{branch}`, {seen.revision}, is not signed with the input `signing-key`, and a publish "
        f"would sign what it holds beside the folders of this run: {_listed(seen.unsigned)}."
    )
    hint = "Look at who has pushed it, and what. If it is meant to be there, allow it once: the next publish signs it."
    return Finding(Level.ERROR, "foreign-signature", message, hint=hint)


def _overlap(branch: str, path: str, other: str) -> Finding:
    message = (
        f"The folders `{path or '.'}` and `{other or '.'}` on `{branch}` would overlap, and a publish of one removes "
        "files of the other."
    )
    return Finding(Level.ERROR, "overlapping-folders", message, path or ".", hint=_HINT)


def _foreign_content(branch: str, folder: Folder) -> Finding:
    message = (
        f"The folder `{folder.path or '.'}` on `{branch}` has content that was not published by this tool: "
        f"{_listed(folder.files)}."
    )
    return Finding(Level.ERROR, "foreign-branch", message, folder.path or ".", hint=_HINT)


def _replaced(folders: Sequence[Folder]) -> str:
    """Say how many files of somebody else are in the folders of this run."""
    count = sum(len(folder.files) for folder in folders)
    names = ", ".join(f"`{folder.path or '.'}`" for folder in folders[:_NAMED])
    return f"{count} file{'s' * (count != 1)} in {names} would be replaced"


def _listed(files: Collection[str]) -> str:
    more = f", and {len(files) - 1} more" if len(files) > 1 else ""
    return f"`{min(files)}`{more}"


def _foreign_folder(branch: str, folder: Folder, owner: str) -> Finding:
    count = len(folder.files)
    message = (
        f"The folder `{folder.path or '.'}` on `{branch}` was published by {owner}; its {count} file"
        f"{'s' * (count != 1)} would be replaced."
    )
    return Finding(Level.ERROR, "foreign-folder", message, folder.path or ".", hint=_HINT)


def _former_folder(branch: str, former: Sequence[str]) -> Finding:
    count = len(former)
    more = f", and {count - _NAMED} more" if count > _NAMED else ""
    names = ", ".join(f"`{path or '.'}`" for path in former[:_NAMED])
    message = (
        f"What is rendered here was published to {names}{more} on `{branch}` before; that stays as it is, and goes on "
        "being applied where it is."
    )
    hint = "If nothing applies it any more, remove it from the branch: a commit of yours stays."
    return Finding(Level.WARNING, "former-folder", message, hint=hint)


def _holds(folder: str, other: str) -> bool:
    return not folder or other.startswith(f"{folder}/")


_REVERSALS = {
    Relation.OLDER: "older-source",
    Relation.LEFT_BEHIND: "older-source",
    Relation.DIVERGED: "diverged-source",
}


def _reversals(seen: Observed) -> Iterator[Finding]:
    """Warn that a diff shows more than what this source changes."""
    for path, relation in seen.relations.items():
        if relation in _REVERSALS:
            message = (
                f"What is published in `{path or '.'}` comes from a commit that is not in the history of this one: the "
                "diff also shows its changes undone."
            )
            yield Finding(Level.WARNING, _REVERSALS[relation], message)


_DOUBTS = {
    Relation.OLDER: (Level.NOTICE, "older-source", "`{branch}` already holds a newer source commit at {paths}."),
    Relation.LEFT_BEHIND: (
        Level.NOTICE,
        "older-source",
        "The branch that is rendered no longer holds this commit: it has since been rewritten or deleted.",
    ),
    Relation.DIVERGED: (
        Level.WARNING,
        "diverged-source",
        "The source commit recorded for {paths} is not in the history of this one: was the branch rewritten?",
    ),
    Relation.UNKNOWN: (
        Level.WARNING,
        "unknown-source",
        "The source commit recorded for {paths} can't be found any more: it is not known whether this run is newer.",
    ),
}


def _doubts(branch: str, seen: Observed) -> Iterator[Finding]:
    """Yield what is to be said about how the source commit relates to those that were published."""
    for path, ref in seen.other_refs.items():
        message = (
            f"What is published in `{path or '.'}` comes from {_ref_words(ref)}, and this run renders another branch."
        )
        yield Finding(Level.WARNING, "other-source", message)
    relations = seen.relations
    for doubtful, (level, rule, message) in _DOUBTS.items():
        paths = [path or "." for path, relation in relations.items() if relation is doubtful]
        if paths:
            yield Finding(level, rule, message.format(branch=branch, paths=", ".join(paths)))


def _ref_words(ref: str) -> str:
    return "tags" if ref.startswith("refs/tags/") else f"the branch `{ref.removeprefix('refs/heads/')}`"


def _reason(findings: Sequence[Finding], relations: Mapping[str, Relation]) -> str:
    rules = {finding.rule for finding in findings}
    found = set(relations.values())
    if "older-source" in rules:
        return "a rollback was requested"
    if "foreign-branch" in rules:
        return "content of somebody else is replaced, which was allowed"
    if found == {Relation.FIRST}:
        return "nothing was published here before"
    if found == {Relation.SAME}:
        return "the same source commit was published before"
    if rules & {"diverged-source", "unknown-source"}:
        return "this source commit is not known to be older than the one published before"
    return "this source commit is newer than the one published before"
