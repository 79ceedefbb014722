from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from cdk8s_publish.errors import BranchError
from cdk8s_publish.inputs import parse
from cdk8s_publish.model import Action, CIContext, Folder, Relation, Sha, SourceRevision, Tip
from cdk8s_publish.publish.plan import decide, guard_branch, guard_folders

SOURCE = SourceRevision(Sha("a" * 40), "main", "subject", "", "A <a@b>", "2026-01-01T00:00:00+00:00")
CONTEXT = CIContext("shell", Path("/src"), SOURCE, "https://example.com/a/b.git", default_branch="main")
TIP = Tip(
    "manifests",
    Sha("b" * 40),
    Sha("c" * 40),
    default_branch="main",
    entries=(b"100644 blob 0\tdist/a.yaml",),
    managed=("dist",),
)


@pytest.mark.parametrize("is_same", [True, False])
def test_guard_branch__a_branch_of_its_own_passes(is_same: bool) -> None:
    guard_branch(parse({}), CONTEXT, TIP, is_same_repository=is_same)


def test_guard_branch__source_branch_is_refused() -> None:
    context = CONTEXT._replace(source=SOURCE._replace(branch="feature"))
    with pytest.raises(BranchError, match="is the branch that is being rendered"):
        guard_branch(parse({"branch": "feature"}), context, Tip("feature"), is_same_repository=True)


@pytest.mark.parametrize(("branch", "is_refused"), [("feature", True), ("", True), ("another", False)])
def test_guard_branch__that_holds_the_rendered_commit_is_the_source(branch: str, *, is_refused: bool) -> None:
    context = CONTEXT._replace(source=SOURCE._replace(branch=branch))
    tip = Tip("feature", SOURCE.sha)
    with pytest.raises(BranchError, match="is being rendered") if is_refused else nullcontext():
        guard_branch(parse({"branch": "feature", "adopt-branch": "true"}), context, tip, is_same_repository=False)


@pytest.mark.parametrize("managed", [True, False])
def test_guard_branch__default_branch_of_the_source_repository_is_refused_always(managed: bool) -> None:
    context = CONTEXT._replace(source=SOURCE._replace(branch="feature"))
    tip = TIP._replace(branch="main", managed=("dist",) if managed else ())
    inputs = parse({"branch": "main", "adopt-branch": "true"})
    with pytest.raises(BranchError, match="default branch"):
        guard_branch(inputs, context, tip, is_same_repository=True)


def test_guard_branch__default_branch_that_only_the_ci_product_knows_is_refused() -> None:
    context = CONTEXT._replace(source=SOURCE._replace(branch="feature"))
    with pytest.raises(BranchError, match="default branch"):
        guard_branch(parse({"branch": "main"}), context, Tip("main"), is_same_repository=True)


def test_guard_branch__default_branch_of_another_repository_is_refused_unless_we_made_it() -> None:
    inputs = parse({"branch": "main"})
    foreign = TIP._replace(branch="main", managed=())
    with pytest.raises(BranchError, match="default branch"):
        guard_branch(inputs, CONTEXT, foreign, is_same_repository=False)
    guard_branch(inputs, CONTEXT, foreign._replace(managed=("dist",)), is_same_repository=False)


@pytest.mark.parametrize(("path", "other"), [("", "dist"), ("dist", ""), ("a", "a/b/c"), ("a/b", "a")])
def test_guard_folders__folder_inside_that_of_another_run_is_refused(path: str, other: str) -> None:
    tip = TIP._replace(managed=(other,))
    with pytest.raises(BranchError, match="would lie in each other"):
        guard_folders(parse({}), tip, [Folder(path)])
    guard_folders(parse({}), tip, [Folder(path, is_managed=True), Folder(other, is_managed=True)])
    guard_folders(parse({}), TIP._replace(managed=("ab",)), [Folder("a")])


def test_guard_folders__unmanaged_branch_is_refused_until_adopted() -> None:
    tip = TIP._replace(managed=())
    folder = Folder("dist", {"a.yaml": Sha("d" * 40)})
    with pytest.raises(BranchError, match="the branch `manifests` has content") as caught:
        guard_folders(parse({}), tip, [folder])
    assert "adopt-branch" in caught.value.hint
    guard_folders(parse({"adopt-branch": "true"}), tip, [folder])


def test_guard_folders__unmanaged_folder_on_a_managed_branch_is_refused() -> None:
    with pytest.raises(BranchError, match="the folder `dist` on `manifests`") as caught:
        guard_folders(parse({}), TIP, [Folder("dist", {"a.yaml": Sha("d" * 40)})])
    assert "a.yaml" in caught.value.evidence
    guard_folders(parse({}), TIP, [Folder("dist")])
    guard_folders(parse({}), TIP, [Folder("dist", {"a.yaml": Sha("d" * 40)}, is_managed=True)])


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
    context = CONTEXT._replace(is_review=is_review)
    assert decide(parse({"mode": mode}), context, {"dist": Relation.FIRST}).action is action


def test_decide__an_older_source_is_skipped_unless_a_rollback_is_allowed() -> None:
    relations = {"a": Relation.NEWER, "b": Relation.OLDER}
    plan = decide(parse({}), CONTEXT, relations)
    assert plan.action is Action.SKIP
    assert "allow-rollback" in plan.reason
    assert decide(parse({"allow-rollback": "true"}), CONTEXT, relations).action is Action.PUBLISH


@pytest.mark.parametrize("relation", [Relation.DIVERGED, Relation.UNKNOWN])
def test_decide__doubt_publishes_with_a_warning(relation: Relation) -> None:
    plan = decide(parse({}), CONTEXT, {"dist": relation})
    assert plan.action is Action.PUBLISH
    assert len(plan.warnings) == 1
    assert "newer" not in plan.reason
