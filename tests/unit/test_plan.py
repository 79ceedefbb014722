from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.errors import BranchError
from cdk8s_publish.inputs.declared import parse
from cdk8s_publish.model import Action, CommitMessage, Folder, Level, Relation, Sha, SourceRevision
from cdk8s_publish.publish.branch.ownership import Origin
from cdk8s_publish.publish.branch.repository import Tip
from cdk8s_publish.publish.branch.sink import guard_branch
from cdk8s_publish.publish.plan import decide
from cdk8s_publish.publish.sink import Observed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdk8s_publish.model import PublishPlan

SOURCE = SourceRevision(Sha("a" * 40), "main", "subject", "", "A <a@b>", "2026-01-01T00:00:00+00:00")
TIP = Tip(
    "manifests",
    Sha("b" * 40),
    Sha("c" * 40),
    default_branch="main",
    entries=(b"100644 blob 0\tdist/a.yaml",),
    recorded=("dist",),
)
SEEN = Observed(Sha("b" * 40), ())


def guard(tip: Tip, branch: str = "main", *, is_target: bool) -> None:
    origin = Origin(
        revision=SOURCE._replace(branch=branch),
        url="https://example.com/a/b.git",
        default_branch="main",
        is_target=is_target,
        is_pushed=True,
        relation=lambda _: Relation.FIRST,
        messages=lambda _: (),
        shares=lambda _: False,
        holds_app=lambda _: False,
        tip=lambda _: None,
    )
    guard_branch(origin, tip, lambda: bool(tip.recorded))


def planned(seen: Observed, raw: Mapping[str, str], *, is_review: bool = False) -> PublishPlan:
    inputs = parse(raw)
    return decide(inputs.target, inputs.consent, seen, is_review=is_review)


@pytest.mark.parametrize("is_target", [True, False])
def test_guard_branch__a_branch_of_its_own_passes(is_target: bool) -> None:
    guard(TIP, is_target=is_target)


def test_guard_branch__source_branch_is_refused() -> None:
    with pytest.raises(BranchError, match="is the branch that is being rendered"):
        guard(Tip("feature"), "feature", is_target=True)


@pytest.mark.parametrize(("branch", "is_refused"), [("feature", True), ("", True), ("another", False)])
def test_guard_branch__that_holds_the_rendered_commit_is_the_source(branch: str, *, is_refused: bool) -> None:
    with pytest.raises(BranchError, match="is being rendered") if is_refused else nullcontext():
        guard(Tip("feature", SOURCE.sha), branch, is_target=False)


@pytest.mark.parametrize("managed", [True, False])
def test_guard_branch__default_branch_of_the_source_repository_is_refused_always(managed: bool) -> None:
    tip = TIP._replace(branch="main", recorded=("dist",) if managed else ())
    with pytest.raises(BranchError, match="default branch"):
        guard(tip, "feature", is_target=True)


def test_guard_branch__default_branch_that_only_the_ci_product_knows_is_refused() -> None:
    with pytest.raises(BranchError, match="default branch"):
        guard(Tip("main"), "feature", is_target=True)


def test_guard_branch__default_branch_of_another_repository_is_refused_unless_we_made_it() -> None:
    foreign = TIP._replace(branch="main", recorded=())
    with pytest.raises(BranchError, match="default branch"):
        guard(foreign, is_target=False)
    guard(foreign._replace(recorded=("dist",)), is_target=False)


@pytest.mark.parametrize(("path", "other"), [("", "dist"), ("dist", ""), ("a", "a/b/c"), ("a/b", "a")])
def test_decide__folder_that_overlaps_with_one_of_another_run_is_refused(path: str, other: str) -> None:
    seen = SEEN._replace(folders=(Folder(path),), others=(other,))
    with pytest.raises(BranchError, match="would overlap"):
        planned(seen, {})
    (warning,) = planned(seen, {"allow": "overlapping-folders"}).findings
    assert (warning.level, warning.rule) == (Level.WARNING, "overlapping-folders")
    both = (Folder(path, is_managed=True), Folder(other, is_managed=True))
    assert planned(SEEN._replace(folders=both), {}).findings == ()
    assert planned(SEEN._replace(folders=(Folder("a"),), others=("ab",)), {}).findings == ()


def test_decide__unmanaged_branch_is_refused_until_it_is_allowed() -> None:
    seen = SEEN._replace(folders=(Folder("dist", {"a.yaml": Sha("d" * 40)}),), is_foreign=True)
    with pytest.raises(BranchError, match="The branch `manifests` has content") as caught:
        planned(seen, {})
    assert [(finding.rule, finding.allow) for finding in caught.value.findings] == [("foreign-branch",) * 2]
    plan = planned(seen, {"allow": "foreign-branch"})
    assert plan.action is Action.PUBLISH
    assert "replaced" in plan.reason
    (warning,) = plan.findings
    assert warning.level is Level.WARNING
    assert warning.message.endswith("Allowed by the input `allow`.")


def test_decide__consent_of_a_source_commit_counts() -> None:
    seen = SEEN._replace(is_foreign=True)
    message = CommitMessage(SOURCE.sha, "Ann", "Move\n\nAllow: foreign-branch it was written by hand")
    (warning,) = planned(seen._replace(messages=(message,)), {}).findings
    assert warning.message.endswith("Allowed by commit aaaaaaaaaaaa (Ann): it was written by hand.")


def test_decide__unmanaged_folder_on_a_managed_branch_is_refused() -> None:
    files = {"b.yaml": Sha("d" * 40), "a.yaml": Sha("d" * 40)}
    with pytest.raises(BranchError, match=r"The folder `dist` on `manifests` .*: `a.yaml`, and 1 more"):
        planned(SEEN._replace(folders=(Folder("dist", files),)), {})
    planned(SEEN._replace(folders=(Folder("dist"),)), {})
    planned(SEEN._replace(folders=(Folder("dist", files, is_managed=True),)), {})


@pytest.mark.parametrize(
    ("mode", "is_review", "action"),
    [
        ("auto", False, Action.PUBLISH),
        ("auto", True, Action.DIFF),
        ("diff", False, Action.DIFF),
        ("publish", True, Action.PUBLISH),
    ],
)
def test_decide__mode(mode: str, is_review: bool, action: Action) -> None:
    seen = SEEN._replace(relations={"dist": Relation.FIRST})
    assert planned(seen, {"mode": mode}, is_review=is_review).action is action


def test_decide__an_older_source_is_skipped_unless_it_is_allowed() -> None:
    seen = SEEN._replace(relations={"a": Relation.NEWER, "b": Relation.OLDER})
    plan = planned(seen, {})
    assert plan.action is Action.SKIP
    assert "allow: older-source" in plan.reason
    plan = planned(seen, {"allow": "older-source"})
    assert plan.action is Action.PUBLISH
    assert [(finding.level, finding.rule) for finding in plan.findings] == [(Level.WARNING, "older-source")]


@pytest.mark.parametrize(
    ("relation", "rule"),
    [
        (Relation.OLDER, "older-source"),
        (Relation.DIVERGED, "diverged-source"),
        (Relation.UNKNOWN, "unknown-source"),
    ],
)
def test_decide__doubt_that_is_refused_is_an_error_but_stops_no_diff(relation: Relation, rule: str) -> None:
    seen = SEEN._replace(relations={"dist": relation})
    with pytest.raises(BranchError) as caught:
        planned(seen, {"refuse": rule})
    assert caught.value.findings[0].allow == rule
    assert planned(seen, {"refuse": rule, "mode": "diff"}).action is Action.DIFF


@pytest.mark.parametrize("relation", [Relation.DIVERGED, Relation.UNKNOWN])
def test_decide__doubt_publishes_with_a_warning(relation: Relation) -> None:
    plan = planned(SEEN._replace(relations={"dist": relation}), {})
    assert plan.action is Action.PUBLISH
    assert [finding.level for finding in plan.findings] == [Level.WARNING]
    assert "newer" not in plan.reason


@pytest.mark.parametrize(
    ("relation", "count"), [(Relation.OLDER, 1), (Relation.DIVERGED, 1), (Relation.NEWER, 0), (Relation.SAME, 0)]
)
def test_decide__diff_of_a_source_that_lacks_published_commits_warns(relation: Relation, count: int) -> None:
    plan = planned(SEEN._replace(relations={"dist": relation}), {}, is_review=True)
    assert [finding.level for finding in plan.findings] == [Level.WARNING] * count


@pytest.mark.parametrize(("rule", "level"), [("other-source", Level.NOTICE), ("foreign-branch", Level.WARNING)])
def test_decide__consent_that_no_branch_needed_is_reported(rule: str, level: Level) -> None:
    seen = SEEN._replace(relations={"dist": Relation.NEWER})
    plan = planned(seen, {"allow": f"{rule}, removal-budget"})
    assert [(finding.level, finding.rule) for finding in plan.findings] == [(level, "unused-consent")]
    assert f"`{rule}`" in plan.findings[0].message
    with pytest.raises(BranchError, match="Nothing needed `foreign-branch`"):
        planned(seen, {"allow": "foreign-branch", "refuse": "unused-consent"})


def test_decide__a_folder_of_somebody_else_is_refused_until_it_is_allowed() -> None:
    folder = Folder("dist", {"a.yaml": Sha("d" * 40)}, is_managed=True)
    seen = SEEN._replace(folders=(folder,), owners={"dist": "the app in `b`"})
    with pytest.raises(BranchError, match="was published by the app in `b`; its 1 file would be replaced"):
        planned(seen, {})
    assert planned(seen, {"allow": "foreign-folder"}).action is Action.PUBLISH


def test_decide__another_branch_than_the_recorded_one_ends_with_the_diff() -> None:
    seen = SEEN._replace(relations={"dist": Relation.NEWER}, other_refs={"dist": "refs/heads/main"})
    plan = planned(seen, {})
    assert plan.action is Action.DIFF
    assert "`allow: other-source`" in plan.reason
    assert planned(seen, {"allow": "other-source"}).action is Action.PUBLISH
    with pytest.raises(BranchError):
        planned(seen, {"refuse": "other-source"})


def test_decide__a_commit_that_its_branch_no_longer_holds_is_skipped() -> None:
    seen = SEEN._replace(relations={"dist": Relation.LEFT_BEHIND})
    plan = planned(seen, {})
    assert plan.action is Action.SKIP
    assert "no longer holds this commit" in plan.reason
    assert planned(seen, {"allow": "older-source"}).action is Action.PUBLISH
