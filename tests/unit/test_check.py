"""The rules on what may be published, and that looking at changed files only finds what looking at all would find."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk8s_publish.model import Change, ChangeKind, Changes, Finding, Folder, Level, Manifest, ResourceId
from cdk8s_publish.review.baseline import Loss
from cdk8s_publish.review.checks import check
from cdk8s_publish.review.controller.reading import Unknown
from cdk8s_publish.review.delta import delta
from cdk8s_publish.review.removals import removal_findings
from support.flux_trees import definition
from support.rendering import Rendering, resource


@pytest.fixture
def rendering(tmp_path: Path) -> Rendering:
    return Rendering(tmp_path)


def found(rendering: Rendering, files: dict[str, bytes], path: str = "dist") -> list[str]:
    """Check files that the tip does not have; return findings as text."""
    one = delta(rendering.rendered(files, path=path), Folder(path))
    return [f"{finding.level} {finding.rule} {finding.file}" for finding in check(one, {}).findings]


def test_check__good_render_has_no_findings(rendering: Rendering) -> None:
    files = {"a.yaml": resource("a"), "b.yml": resource("b"), "README.md": b"not YAML: [", "x.json": b"{"}
    checked = check(delta(rendering.rendered(files), Folder("dist")), {})
    assert checked.findings == ()
    assert checked.manifests == 2
    assert sorted(checked.parsed) == ["a.yaml", "b.yml"]


@pytest.mark.parametrize("files", [{}, {"a.yaml": b"# nothing\n"}, {"README.md": b"x"}])
def test_check__nothing_rendered(rendering: Rendering, files: dict[str, bytes]) -> None:
    assert found(rendering, files) == ["error nothing-rendered "]


def test_check__empty_file_is_a_warning(rendering: Rendering) -> None:
    assert found(rendering, {"a.yaml": resource("a"), "b.yaml": b""}) == ["warning empty-file b.yaml"]
    assert found(rendering, {"b.yaml": b""}) == ["error nothing-rendered ", "warning empty-file b.yaml"]


def test_check__what_kustomize_would_refuse(rendering: Rendering) -> None:
    files = {"a.yaml": resource("a"), "b.yaml": b"a: [", "c.yaml": b"a: b"}
    assert found(rendering, files) == ["error invalid-yaml b.yaml", "error not-a-resource c.yaml"]


@pytest.mark.parametrize(
    "second", [resource("a"), resource("a", namespace="default"), resource("a", version="v1beta1")]
)
def test_check__one_identity_twice(rendering: Rendering, second: bytes) -> None:
    one = delta(rendering.rendered({"a.yaml": resource("a"), "sub/b.yaml": second}), Folder("dist"))
    (finding,) = check(one, {}).findings
    assert finding.message == "ConfigMap a is rendered 2 times, in a.yaml and sub/b.yaml."
    assert finding.resource == ResourceId("", "ConfigMap", "", "a")


def test_check__one_identity_in_folders_side_by_side_is_a_warning(rendering: Rendering) -> None:
    side_by_side = {"dev/a.yaml": resource("a"), "prod/a.yaml": resource("a")}
    one = delta(rendering.rendered(side_by_side), Folder("dist"))
    (finding,) = check(one, {}).findings
    assert (finding.level, finding.rule) == (Level.WARNING, "duplicate-resource")
    assert "Give each of dev, prod a Flux Kustomization of its own" in finding.hint
    twice = ["error duplicate-resource dev/a.yaml"]
    assert found(rendering, side_by_side | {"prod/b.yaml": resource("a")}) == twice
    assert found(rendering, side_by_side | {"b.yaml": resource("a")}) == ["error duplicate-resource b.yaml"]


def test_check__one_identity_that_moves_beside_another_of_its_folder_is_found(rendering: Rendering) -> None:
    old = {"dev/a.yaml": resource("a"), "prod/a.yaml": resource("a", rest="data: {}\n")}
    moved = {"dev/a.yaml": resource("a"), "dev/b.yaml": resource("a", rest="data: {x: y}\n")}
    findings = check(rendering.delta(moved, old, 2), rendering.blobs).findings
    assert [finding.level for finding in findings if finding.rule == "duplicate-resource"] == [Level.ERROR]


def test_check__one_object_of_the_cluster_twice(rendering: Rendering) -> None:
    reader = [resource("a", kind="ClusterRole", version="rbac.authorization.k8s.io/v1", namespace=n) for n in "xy"]
    assert found(rendering, {"a.yaml": reader[0], "b.yaml": reader[1]}) == ["error duplicate-resource a.yaml"]
    one = rendering.delta({"a.yaml": reader[0], "b.yaml": reader[1]}, {"a.yaml": reader[0]}, 1)
    assert [finding.rule for finding in check(one, rendering.blobs).findings] == ["duplicate-resource"]


def test_check__one_object_of_a_custom_kind_of_the_cluster_twice(rendering: Rendering) -> None:
    widgets = [resource("a", kind="Widget", version="odd.example.com/v1", namespace=n) for n in "xy"]
    files = {"a.yaml": widgets[0], "b.yaml": widgets[1], "z.yaml": definition("Widget", "Cluster").encode()}
    assert found(rendering, files) == ["error duplicate-resource a.yaml"]
    assert found(rendering, files | {"z.yaml": definition("Widget").encode()}) == []


def test_check__one_identity_twice_in_one_file(rendering: Rendering) -> None:
    assert found(rendering, {"a.yaml": resource("a") + b"---\n" + resource("a")}) == ["error duplicate-resource a.yaml"]


@pytest.mark.parametrize(
    "second",
    [
        resource("a", namespace="n"),
        resource("a", version="example.com/v1"),
        resource("a", kind="Service"),
        resource("A"),
    ],
)
def test_check__different_identities(rendering: Rendering, second: bytes) -> None:
    assert found(rendering, {"a.yaml": resource("a"), "b.yaml": second}) == []


def test_check__plain_secret(rendering: Rendering) -> None:
    files = {"a.yaml": resource("a", kind="Secret")}
    assert found(rendering, files) == ["error plain-secret a.yaml"]


def test_check__helm_chart(rendering: Rendering) -> None:
    files = {"Chart.yaml": b"apiVersion: v2\nname: x\n", "templates/a.yaml": resource("a")}
    assert found(rendering, files) == ["error helm-format Chart.yaml"]
    assert found(rendering, {"sub/Chart.yaml": b"name: x\n", "a.yaml": resource("a")}) == [
        "error not-a-resource sub/Chart.yaml"
    ]


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("dist", ".gitattributes", "error git-attributes .gitattributes"),
        ("dist", "sub/.gitattributes", "error git-attributes sub/.gitattributes"),
        ("dist", "sub/.sourceignore", "warning source-ignore sub/.sourceignore"),
        ("dist", "hydrator.metadata", "error reserved-name hydrator.metadata"),
        ("dist", "sub/hydrator.metadata", "error reserved-name sub/hydrator.metadata"),
        ("", ".github/workflows/a.txt", "error workflow-file .github/workflows/a.txt"),
        ("", ".gitmodules", "error git-configuration .gitmodules"),
        ("docs", "CODEOWNERS", "warning obeyed-file CODEOWNERS"),
    ],
)
def test_check__names_that_change_what_the_folder_is(rendering: Rendering, path: str, name: str, expected: str) -> None:
    assert found(rendering, {"a.yaml": resource("a"), name: b"x"}, path=path) == [expected]


@pytest.mark.parametrize("name", [".github/workflows/a.txt", "gitattributes", ".gitignore"])
def test_check__names_that_do_not(rendering: Rendering, name: str) -> None:
    assert found(rendering, {"a.yaml": resource("a"), name: b"x"}) == []


def test_check__kustomization_file(rendering: Rendering) -> None:
    files = {"a.yaml": resource("a"), "kustomization.yaml": b"resources: [a.yaml]\n", "patch.yaml": b"a: b\n"}
    assert found(rendering, files) == ["warning not-a-resource patch.yaml", "notice kustomization kustomization.yaml"]
    files = {"a.yaml": resource("a"), "sub/kustomization.yml": b"{}", "sub/x.yaml": b"a: b", "subx.yaml": b"a: b"}
    assert found(rendering, files) == [
        "error not-a-resource subx.yaml",
        "warning not-a-resource sub/x.yaml",
        "notice kustomization sub/kustomization.yml",
    ]


def test_check__resources_in_a_kustomization_file_would_be_lost(rendering: Rendering) -> None:
    files = {"a.yaml": resource("a"), "kustomization.yaml": resource("b", kind="Secret")}
    assert found(rendering, files) == [
        "error plain-secret kustomization.yaml",
        "error reserved-name kustomization.yaml",
        "notice kustomization kustomization.yaml",
    ]
    named = resource("b", kind="Kustomization", version="kustomize.config.k8s.io/v1beta1")
    assert found(rendering, files | {"kustomization.yaml": named}) == ["notice kustomization kustomization.yaml"]


def test_check__refused_entries_are_findings(rendering: Rendering) -> None:
    refused = Finding(Level.ERROR, "link", "x leads out of the folder.", "x")
    one = delta(rendering.rendered({"a.yaml": resource("a")}, refused=(refused,)), Folder("dist"))
    assert check(one, {}).findings == (refused,)


class TestDropped:
    """Resources that cdk8s wrote to a file and then replaced (cdk8s issue 2821)."""

    def dropped(
        self, rendering: Rendering, files: dict[str, bytes], old: dict[str, bytes], *earlier: bytes
    ) -> list[str]:
        overwritten = tuple(("ConfigMap.a.yaml", data) for data in earlier)
        rendered = rendering.rendered(files, overwritten=overwritten)
        findings = check(delta(rendered, rendering.tip(old, len(old))), rendering.blobs).findings
        return [finding.message for finding in findings]

    def test_dropped__names_both(self, rendering: Rendering) -> None:
        files = {"ConfigMap.a.yaml": resource("a", namespace="two")}
        message = "ConfigMap one/a was rendered to ConfigMap.a.yaml and then overwritten by ConfigMap two/a."
        assert self.dropped(rendering, files, {}, resource("a", namespace="one")) == [message]
        # also when the tip already holds the same loss
        assert self.dropped(rendering, files, files, resource("a", namespace="one")) == [message]

    def test_dropped__every_one_of_several(self, rendering: Rendering) -> None:
        files = {"ConfigMap.a.yaml": resource("a", namespace="three")}
        earlier = [resource("a", namespace="one"), resource("a", namespace="two")]
        assert len(self.dropped(rendering, files, {}, *earlier)) == 2

    def test_dropped__same_resource_written_twice_is_fine(self, rendering: Rendering) -> None:
        files = {"ConfigMap.a.yaml": resource("a")}
        assert self.dropped(rendering, files, {}, resource("a", rest="data: {}\n"), resource("a")[:20], b"") == []

    @pytest.mark.parametrize("is_published", [True, False])
    def test_dropped__held_by_another_file_is_fine(self, rendering: Rendering, *, is_published: bool) -> None:
        other = {"other.yaml": resource("a", namespace="one")}
        files = {"ConfigMap.a.yaml": resource("a", namespace="two"), **other}
        assert self.dropped(rendering, files, other if is_published else {}, resource("a", namespace="one")) == []


class TestChangedFilesOnly:
    """Against a managed tip only what differs is read."""

    def test_unchanged__is_not_read(self, rendering: Rendering) -> None:
        files = {"a.yaml": resource("a"), "b.yaml": b"was checked when it was published: ["}
        one = rendering.delta(files, files, 7)
        for file in one.rendered.files:
            Path(file.location).unlink()
        checked = check(one, {})
        assert (checked.findings, checked.manifests, checked.parsed) == ((), 7, {})

    @pytest.mark.parametrize(("manifests", "is_managed"), [(None, True), (1, False)])
    def test_unchanged__is_read_when_nobody_checked_it(
        self, rendering: Rendering, manifests: int | None, *, is_managed: bool
    ) -> None:
        files = {"a.yaml": resource("a"), "b.yaml": b"a: ["}
        one = delta(rendering.rendered(files), rendering.tip(files, manifests, is_managed=is_managed))
        checked = check(one, rendering.blobs)
        assert [finding.rule for finding in checked.findings] == ["invalid-yaml"]
        assert checked.manifests == 1

    def test_unchanged__is_read_when_the_tip_can_not_be(self, rendering: Rendering) -> None:
        old = {"a.yaml": resource("a"), "b.yaml": resource("b")}
        one = rendering.delta(old | {"b.yaml": resource("c")}, old, 99)
        assert check(one, rendering.blobs).manifests == 99
        assert check(one, {}).manifests == 2

    def test_unchanged__renamed_to_a_configuration_is_read(self, rendering: Rendering) -> None:
        old = {"a.yaml": resource("a"), "b.yaml": resource("b")}
        one = rendering.delta({"a.yaml": resource("a"), "kustomization.yaml": resource("b")}, old, 2)
        checked = check(one, rendering.blobs)
        assert [finding.rule for finding in checked.findings] == ["reserved-name", "kustomization"]
        assert checked.manifests == 1

    def test_unchanged__is_not_read_for_identities_that_the_tip_had(self, rendering: Rendering) -> None:
        old = {"a.yaml": resource("a"), "b.yaml": resource("b")}
        one = rendering.delta(old | {"b.yaml": b"# new\n" + resource("b")}, old, 2)
        Path(one.kept[0].location).unlink()
        assert check(one, rendering.blobs).findings == ()

    @pytest.mark.parametrize(
        "name", ["zebra", "'zebra'", r'"z\x65bra"', r'"z\u0065bra"', "&x zebra", "!!str zebra", "\n    zebra"]
    )
    def test_duplicate__in_an_unchanged_file_is_found(self, rendering: Rendering, name: str) -> None:
        old = {"old.yaml": resource(name), "other.yaml": resource("b")}
        one = rendering.delta(old | {"new.yaml": resource("zebra")}, old, 2)
        (finding,) = check(one, rendering.blobs).findings
        assert finding.rule == "duplicate-resource"
        assert "new.yaml and old.yaml" in finding.message

    def test_duplicate__copy_of_an_unchanged_file_is_found(self, rendering: Rendering) -> None:
        old = {"old.yaml": resource("a")}
        checked = check(rendering.delta(old | {"copy.yaml": resource("a")}, old, 1), rendering.blobs)
        assert [finding.rule for finding in checked.findings] == ["duplicate-resource"]
        assert checked.manifests == 2

    def test_duplicate__names_that_hold_quotes_are_found(self, rendering: Rendering) -> None:
        old = {"old.yaml": resource("'it''s'"), "other.yaml": resource("b")}
        one = rendering.delta(old | {"new.yaml": resource('"it\'s"')}, old, 2)
        assert [finding.rule for finding in check(one, rendering.blobs).findings] == ["duplicate-resource"]

    def test_duplicate__many_new_names_are_found(self, rendering: Rendering) -> None:
        old = {f"{n}.yaml": resource(f"r{n}") for n in range(100)}
        new = {f"new{n}.yaml": resource(f"r{n}") for n in range(60)}
        assert len(check(rendering.delta(old | new, old, 100), rendering.blobs).findings) == 60


NAMES = st.sampled_from(["a", "b", '"\\x61"', "'b'", "c"])
DOCUMENTS = st.builds(
    lambda name, namespace, value: resource(name, namespace=namespace, rest=f"data: {{x: {value}}}\n"),
    NAMES,
    st.sampled_from(["", "default", "n"]),
    st.sampled_from("xy"),
)
CONTENTS = st.lists(DOCUMENTS, max_size=3).map(b"---\n".join)
FILES = st.dictionaries(st.sampled_from(["a.yaml", "b.yaml", "c.yaml", "d.yml", "e.txt"]), CONTENTS, max_size=5)


@given(FILES, FILES)
def test_check__changed_files_tell_what_all_files_tell(new: dict[str, bytes], old: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rendering = Rendering(Path(folder))
        before = check(delta(rendering.rendered(old), Folder("dist")), {})
        if any(finding.level is Level.ERROR and finding.rule != "nothing-rendered" for finding in before.findings):
            return  # it would never have been published
        everything = check(delta(rendering.rendered(new), Folder("dist")), {})
        changed = check(rendering.delta(new, old, before.manifests), rendering.blobs)
        assert changed.manifests == everything.manifests
        assert keys(changed.findings) == keys(everything.findings)


def keys(findings: tuple[Finding, ...]) -> set[tuple[str, str]]:
    """Reduce findings to what must agree; which file is named first may differ, and empty files warn once only."""
    return {
        (finding.rule, str(finding.resource).replace(" default/", " "))
        for finding in findings
        if finding.level is Level.ERROR
    }


def loss(removed: list[ResourceId], *, left: int, path: str = "dist") -> Loss:
    gone = tuple(Manifest(one, "a.yaml", b"") for one in removed)
    return Loss(path, gone, len(removed) + left)


def judged(*lost: Loss, changes: tuple[Changes, ...] = (), is_one_cluster: bool = False) -> tuple[Finding, ...]:
    return removal_findings(lost, is_one_cluster=is_one_cluster, changes=changes)


def configs(count: int) -> list[ResourceId]:
    return [ResourceId("", "ConfigMap", "n", f"c{n:03}") for n in range(count)]


@pytest.mark.parametrize(
    ("removed", "left", "is_refused"),
    [(5, 4, True), (5, 5, False), (4, 0, False), (5, 0, True), (100, 99, True), (100, 100, False), (0, 0, False)],
)
def test_removals__budget(removed: int, left: int, *, is_refused: bool) -> None:
    findings = judged(loss(configs(removed), left=left))
    assert [finding.rule for finding in findings] == ["removal-budget"] * is_refused


@pytest.mark.parametrize(("removed", "left", "is_refused"), [(4, 1, True), (2, 2, False), (1, 0, False)])
def test_removals__budget_holds_for_all_folders_together(removed: int, left: int, *, is_refused: bool) -> None:
    names = configs(4 * removed)
    folders = [loss(names[n::4], left=left, path=f"app-{n}") for n in range(4)]
    findings = judged(*folders)
    assert [finding.rule for finding in findings] == ["removal-budget"] * is_refused
    if is_refused:
        assert f"{4 * removed} of {4 * (removed + left)} resources in all folders of this run" in findings[0].message


def test_removals__budget_of_one_folder_is_not_reported_twice() -> None:
    folders = [loss(configs(9), left=0, path="a"), loss([], left=1, path="b")]
    (finding,) = judged(*folders)
    assert "9 of 9 resources in a" in finding.message


def test_removals__message_lists_what_would_go() -> None:
    (finding,) = judged(loss(configs(25), left=3))
    assert finding.level is Level.ERROR
    assert finding.message.startswith(
        "This would delete 25 of 28 resources in dist: ConfigMap n/c000, ConfigMap n/c001,"
    )
    assert finding.message.endswith("ConfigMap n/c019 and 5 more.")


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        ("apps", "StatefulSet"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("kustomize.toolkit.fluxcd.io", "Kustomization"),
        ("helm.toolkit.fluxcd.io", "HelmRelease"),
        ("argoproj.io", "Application"),
        ("argoproj.io", "ApplicationSet"),
    ],
)
def test_removals__precious_kinds(group: str, kind: str) -> None:
    resource = ResourceId(group, kind, "", "x")
    (finding,) = judged(loss([resource], left=100))
    assert (finding.rule, finding.level, finding.resource) == ("precious-removal", Level.ERROR, resource)
    assert finding.message == f"This would delete {resource}, and with it what it holds."


def test_removals__same_kind_of_another_group_is_not_precious() -> None:
    assert judged(loss([ResourceId("example.com", "Namespace", "", "x")], left=9)) == ()


def test_removals__move_to_another_folder_is_none_where_both_are_one_cluster() -> None:
    gone = [ResourceId("", "Namespace", "", "x"), *configs(9)]
    lost = loss(gone, left=0, path="a"), loss([], left=0, path="b")
    added = Changes("b", tuple(Change(ChangeKind.ADDED, "a.yaml", one) for one in gone), 10, files=True)
    assert judged(*lost, changes=(added,), is_one_cluster=True) == ()
    assert [finding.rule for finding in judged(*lost, changes=(added,))] == ["removal-budget", "precious-removal"]


def test_removals__what_cant_be_told_needs_consent() -> None:
    place = Unknown("dist/a.yaml", "invalid-yaml", "it has no end", is_fault=True, mark="x")
    (finding,) = judged(loss([], left=9)._replace(unknown=(place,)))
    assert (finding.rule, finding.level, finding.file) == ("unknown-removal", Level.ERROR, "a.yaml")
