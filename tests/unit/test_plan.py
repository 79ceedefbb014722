from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.errors import BranchError
from cdk8s_publish.inputs import parse
from cdk8s_publish.model import Action, Folder, Relation, Sha, SourceRevision
from cdk8s_publish.publish.branch.repository import Tip
from cdk8s_publish.publish.branch.sink import Origin, guard_branch
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
    managed=("dist",),
)
SEEN = Observed(Sha("b" * 40), ())


def guard(tip: Tip, branch: str = "main", *, is_target: bool) -> None:
    source = SOURCE._replace(branch=branch)
    url = "https://example.com/a/b.git"
    guard_branch(Origin(source, url, "main", is_target=is_target, relation=lambda _: Relation.FIRST), tip)


def planned(seen: Observed, raw: Mapping[str, str], *, is_review: bool = False) -> PublishPlan:
    inputs = parse(raw)
    return decide(inputs.target, inputs.guards, seen, is_review=is_review)


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
    tip = TIP._replace(branch="main", managed=("dist",) if managed else ())
    with pytest.raises(BranchError, match="default branch"):
        guard(tip, "feature", is_target=True)


def test_guard_branch__default_branch_that_only_the_ci_product_knows_is_refused() -> None:
    with pytest.raises(BranchError, match="default branch"):
        guard(Tip("main"), "feature", is_target=True)


def test_guard_branch__default_branch_of_another_repository_is_refused_unless_we_made_it() -> None:
    foreign = TIP._replace(branch="main", managed=())
    with pytest.raises(BranchError, match="default branch"):
        guard(foreign, is_target=False)
    guard(foreign._replace(managed=("dist",)), is_target=False)


@pytest.mark.parametrize(("path", "other"), [("", "dist"), ("dist", ""), ("a", "a/b/c"), ("a/b", "a")])
def test_decide__folder_that_overlaps_with_one_of_another_run_is_refused(path: str, other: str) -> None:
    with pytest.raises(BranchError, match="would overlap"):
        planned(SEEN._replace(folders=(Folder(path),), others=(other,)), {})
    both = (Folder(path, is_managed=True), Folder(other, is_managed=True))
    planned(SEEN._replace(folders=both), {})
    planned(SEEN._replace(folders=(Folder("a"),), others=("ab",)), {})


def test_decide__unmanaged_branch_is_refused_until_adopted() -> None:
    seen = SEEN._replace(folders=(Folder("dist", {"a.yaml": Sha("d" * 40)}),), is_foreign=True)
    with pytest.raises(BranchError, match="The branch `manifests` has content") as caught:
        planned(seen, {})
    assert "adopt-branch" in caught.value.hint
    planned(seen, {"adopt-branch": "true"})


def test_decide__unmanaged_folder_on_a_managed_branch_is_refused() -> None:
    files = {"a.yaml": Sha("d" * 40)}
    with pytest.raises(BranchError, match="The folder `dist` on `manifests`") as caught:
        planned(SEEN._replace(folders=(Folder("dist", files),)), {})
    assert "a.yaml" in caught.value.evidence
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


def test_decide__an_older_source_is_skipped_unless_a_rollback_is_allowed() -> None:
    seen = SEEN._replace(relations={"a": Relation.NEWER, "b": Relation.OLDER})
    plan = planned(seen, {})
    assert plan.action is Action.SKIP
    assert "allow-rollback" in plan.reason
    assert planned(seen, {"allow-rollback": "true"}).action is Action.PUBLISH


@pytest.mark.parametrize("relation", [Relation.DIVERGED, Relation.UNKNOWN])
def test_decide__doubt_publishes_with_a_warning(relation: Relation) -> None:
    plan = planned(SEEN._replace(relations={"dist": relation}), {})
    assert plan.action is Action.PUBLISH
    assert len(plan.warnings) == 1
    assert "newer" not in plan.reason
