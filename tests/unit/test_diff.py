"""Changes are told by resource, readable, bounded in time, and without the values of secrets."""

from __future__ import annotations

import difflib
import random
import subprocess
import tempfile
import time
from base64 import b64encode
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cdk8s_publish.model import ChangeKind, Changes
from cdk8s_publish.review.checks import check
from cdk8s_publish.review.diff import compare, patch
from cdk8s_publish.review.text_diff import unified
from support.rendering import Rendering, resource

LINES = st.lists(st.sampled_from("abcdefgh"), max_size=40)


@pytest.fixture
def rendering(tmp_path: Path) -> Rendering:
    return Rendering(tmp_path)


def joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def compared(rendering: Rendering, new: dict[str, bytes], old: dict[str, bytes]) -> Changes:
    one = rendering.delta(new, old, None)
    return compare(one, check(one, rendering.blobs), rendering.blobs)


def told(changes: Changes) -> list[str]:
    return [f"{item.kind} {item.title} {item.file}" for item in changes.items]


def applied(before: str, hunks: str) -> str:
    """Apply a diff with plain list operations, trusting only its line numbers."""
    old, out, done = before.split("\n")[:-1], [], 0
    for line in hunks.split("\n")[:-1]:
        if line.startswith("@@"):
            start, count = (int(n) for n in line.split()[1][1:].split(","))
            start -= bool(count)
            out += old[done:start]
            done = start
        elif line[0] == "+":
            out.append(line[1:])
        else:
            assert old[done] == line[1:]
            out += [line[1:]] if line[0] == " " else []
            done += 1
    return joined(out + old[done:])


@given(LINES, LINES)
def test_unified__applies(before: list[str], after: list[str]) -> None:
    assert applied(joined(before), unified(joined(before), joined(after))) == joined(after)


@given(LINES, LINES)
def test_unified__is_never_longer_than_difflib(before: list[str], after: list[str]) -> None:
    edits = [line for line in unified(joined(before), joined(after)).splitlines() if line[0] in "+-"]
    reference = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert len(edits) <= len(reference)


@given(st.text("ab\n", max_size=30), st.text("ab\n", max_size=30))
def test_unified__git_applies_it(before: str, after: str) -> None:
    hunks = unified(before, after)
    assert bool(hunks) is (before != after)
    if not before or not after or before == after:
        return  # git wants other headers for created and deleted files
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "f").write_bytes(before.encode())
        text = f"--- a/f\n+++ b/f\n{hunks}".encode()
        subprocess.run(["git", "apply", "--unidiff-zero", "-"], cwd=folder, input=text, check=True, timeout=60)
        assert Path(folder, "f").read_bytes() == after.encode()


def test_unified__reads_like_git() -> None:
    before = [f"line {n}" for n in range(30)]
    after = [*before[:3], "new", *before[3:9], "changed", *before[10:17], "last", *before[17:]]
    assert unified(joined(before), joined(after)) == (
        "@@ -1,13 +1,14 @@\n line 0\n line 1\n line 2\n+new\n line 3\n line 4\n line 5\n line 6\n line 7\n line 8\n"
        "-line 9\n+changed\n line 10\n line 11\n line 12\n"
        "@@ -15,6 +16,7 @@\n line 14\n line 15\n line 16\n+last\n line 17\n line 18\n line 19\n"
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a\r\n", "a\n", "@@ -1,1 +1,1 @@\n-a\\r\n+a\n"),
        ("a", "a\n", "@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n"),
        ("", "\x1b[31m::error::\u202e\n", "@@ -0,0 +1,1 @@\n+\\x1b[31m::error::\\u202e\n"),
        ("a\tb\n", "", "@@ -1,1 +0,0 @@\n-a\tb\n"),
        ("a\n", "a\n", ""),
        ("", "", ""),
    ],
)
def test_unified__shows_what_can_not_be_seen(before: str, after: str, expected: str) -> None:
    assert unified(before, after) == expected


@pytest.mark.parametrize("size", [3_000, 20_000, 200_000])
def test_unified__is_bounded_in_time(size: int) -> None:
    generator = random.Random(size)  # noqa: S311  # any disorder will do
    before, after = (joined([generator.choice("abcdefghij") * 3 for _ in range(size)]) for _ in "12")
    start = time.process_time()
    assert applied(before, unified(before, after)) == after
    assert time.process_time() - start < 6


def test_compare__by_resource(rendering: Rendering) -> None:
    old = {"a.yaml": resource("a") + b"---\n" + resource("b"), "c.yaml": resource("c")}
    new = {"a.yaml": resource("a") + b"---\n" + resource("b", rest="data: {}\n"), "d.yaml": resource("d")}
    changes = compared(rendering, new, old)
    assert told(changes) == [
        "modified ConfigMap b a.yaml",
        "removed ConfigMap c c.yaml",
        "added ConfigMap d d.yaml",
    ]
    assert changes.items[0].diff == (
        "@@ -2,4 +2,4 @@\n kind: ConfigMap\n metadata:\n   name: b\n-data: {a: b}\n+data: {}\n"
    )
    assert (changes.manifests, changes.files, changes.path) == (3, True, "dist")


def test_compare__moved_documents_are_no_change(rendering: Rendering) -> None:
    old = {"all.yaml": resource("a") + b"---\n" + resource("b")}
    new = {"b.yaml": resource("b"), "sub/a.yaml": b"---\n" + resource("a")}
    changes = compared(rendering, new, old)
    assert (changes.items, changes.files) == ((), True)


def test_compare__renamed_file_is_no_change(rendering: Rendering) -> None:
    changes = compared(rendering, {"0001-a.yaml": resource("a")}, {"0000-a.yaml": resource("a")})
    assert (changes.items, changes.files) == ((), True)


@pytest.mark.parametrize("rest", ["data: {a: b}\n", "data: {}\n"])
def test_compare__move_to_another_top_level_folder_is_shown__b11(rendering: Rendering, rest: str) -> None:
    changes = compared(rendering, {"b/x.yaml": resource("x", rest=rest)}, {"a/x.yaml": resource("x")})
    assert told(changes) == [
        "removed ConfigMap x (moved to b/x.yaml) a/x.yaml",
        "added ConfigMap x (moved from a/x.yaml) b/x.yaml",
    ]


@pytest.mark.parametrize(("old", "new"), [("a/x.yaml", "a/b/y.yaml"), ("x.yaml", "y.yaml"), ("x.yaml", "a/x.yaml")])
def test_compare__move_within_a_top_level_folder_is_no_change__b11(rendering: Rendering, old: str, new: str) -> None:
    assert compared(rendering, {new: resource("x")}, {old: resource("x")}).items == ()


def test_compare__nothing_changed(rendering: Rendering) -> None:
    files = {"a.yaml": resource("a")}
    assert compared(rendering, files, files) == Changes("dist", (), 1, files=False)


def test_compare__new_version_of_an_api_is_a_modification(rendering: Rendering) -> None:
    old = {"a.yaml": resource("a", version="example.com/v1beta1")}
    new = {"a.yaml": resource("a", version="example.com/v1")}
    assert told(compared(rendering, new, old)) == ["modified ConfigMap.example.com a a.yaml"]


def test_compare__other_files_are_compared_as_files(rendering: Rendering) -> None:
    old = {"a.txt": b"1\n", "b.bin": b"\xff", "c.txt": b"3\n", "kustomization.yaml": b"resources: []\n"}
    new = {"a.txt": b"2\n", "b.bin": b"\xfe", "d.txt": b"4\n", "kustomization.yaml": b"resources: [a.yaml]\n"}
    assert [(item.kind.value, item.file, item.diff) for item in compared(rendering, new, old).items] == [
        ("modified", "a.txt", "@@ -1,1 +1,1 @@\n-1\n+2\n"),
        ("modified", "b.bin", "# No diff: 1 bytes before, 1 bytes after, not text\n"),
        ("removed", "c.txt", "@@ -1,1 +0,0 @@\n-3\n"),
        ("added", "d.txt", "@@ -0,0 +1,1 @@\n+4\n"),
        ("modified", "kustomization.yaml", "@@ -1,1 +1,1 @@\n-resources: []\n+resources: [a.yaml]\n"),
    ]


def test_compare__old_file_that_can_not_be_read_is_compared_as_a_file(rendering: Rendering) -> None:
    old = {"a.yaml": b"kind: [Secret\npassword: hunter2hunter2\n", "b.yaml": b"x: y\n"}
    changes = compared(rendering, {"a.yaml": resource("a")}, old)
    assert told(changes) == ["added ConfigMap a a.yaml", "modified a.yaml a.yaml", "removed b.yaml b.yaml"]
    assert [item.diff for item in changes.items[1:]] == ["", "@@ -1,1 +0,0 @@\n-x: y\n"]


def test_compare__one_identity_twice_on_the_tip(rendering: Rendering) -> None:
    old = {"a.yaml": resource("a"), "b.yaml": resource("a", rest="data: {}\n")}
    assert told(compared(rendering, {"a.yaml": resource("a")}, old)) == []
    assert told(compared(rendering, {"c.yaml": resource("a", rest="")}, old)) == ["modified ConfigMap a c.yaml"]


@pytest.mark.parametrize("manifests", [None, 2])
def test_compare__one_identity_in_two_folders_can_be_removed_from_one(
    rendering: Rendering, manifests: int | None
) -> None:
    old = {"dev/a.yaml": resource("a"), "prod/a.yaml": resource("a", rest="data: {}\n")}
    one = rendering.delta({"dev/a.yaml": resource("a")}, old, manifests)
    changes = compare(one, check(one, rendering.blobs), rendering.blobs)
    assert told(changes) == ["removed ConfigMap a prod/a.yaml"]
    new = {"dev/a.yaml": resource("a", rest="x: y\n"), "prod/a.yaml": resource("a", rest="x: z\n")}
    assert told(compared(rendering, new, old)) == [
        "modified ConfigMap a dev/a.yaml",
        "modified ConfigMap a prod/a.yaml",
    ]


def test_patch__is_one_file_of_all_diffs(rendering: Rendering) -> None:
    new = {"a.yaml": resource("a", rest="data: {}\n"), "b.yaml": resource('"b\\nc"')}
    changes = compared(rendering, new, {"a.yaml": resource("a"), "c.txt": b"x\n"})
    assert "".join(patch([changes])) == (
        "# modified: ConfigMap a\n--- a/dist/a.yaml\n+++ b/dist/a.yaml\n"
        "@@ -2,4 +2,4 @@\n kind: ConfigMap\n metadata:\n   name: a\n-data: {a: b}\n+data: {}\n\n"
        "# added: ConfigMap b\\nc\n--- /dev/null\n+++ b/dist/b.yaml\n"
        '@@ -0,0 +1,5 @@\n+apiVersion: v1\n+kind: ConfigMap\n+metadata:\n+  name: "b\\nc"\n+data: {a: b}\n\n'
        "# removed: c.txt\n--- a/dist/c.txt\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n"
    )


VALUE, OTHER = "hunter2-hunter2", "swordfish-swordfish"


def secret(rest: str) -> bytes:
    return resource("s", kind="Secret", rest=rest)


def encoded(value: str) -> str:
    return b64encode(value.encode()).decode()


class TestSecrets:
    """No value of a plain Secret is written anywhere."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (f"stringData: {{a: {VALUE}}}\n", f"stringData: {{a: {OTHER}}}\n"),
            (f"data: {{a: {encoded(VALUE)}}}\n", f"data: {{a: {encoded(OTHER)}}}\n"),
            (f"data: {{a: {encoded(VALUE)}}}\n", f"stringData: {{a: {OTHER}}}\n"),
            ("data: {a: 'ENC[AES256_GCM,x]'}\nsops: {mac: x}\n", f"data: {{a: {encoded(OTHER)}}}\n"),
            (f"stringData:\n  a: |\n    {VALUE}\n    {OTHER}\n", "stringData:\n  a: b\n"),
            (f"stringData:\n  a: >-\n    {VALUE[:8]}\n    {VALUE[8:]}\n", "stringData:\n  a: b\n"),
            (f"x: &x\n  a: {VALUE}\nstringData: *x\n", f"x: &x\n  a: {OTHER}\nstringData: {{<<: *x, b: c}}\n"),
            (f"# {VALUE}\nstringData: {{a: {VALUE}}}\n", f"# {OTHER}\nstringData: {{a: {OTHER}}}\n"),
            (f'stringData: {{a: "{VALUE[:5]}\\\n  {VALUE[5:]}"}}\n', "stringData: {a: b}\n"),
        ],
    )
    def test_secret__values_are_masked_and_a_change_shows(self, rendering: Rendering, old: str, new: str) -> None:
        (change,) = compared(rendering, {"s.yaml": secret(new)}, {"s.yaml": secret(old)}).items
        assert change.kind is ChangeKind.MODIFIED
        assert "***" in change.diff
        for value in (VALUE, OTHER, VALUE[:8], VALUE[8:], "ENC["):
            assert value not in change.diff
            assert encoded(value) not in change.diff

    def test_secret__only_what_changed_is_marked(self, rendering: Rendering) -> None:
        old = secret("stringData:\n  a: one\n  b: two\n  c: three\n  d: four\n")
        new = secret("stringData:\n  a: one\n  b: three\n  c: two\n  e: four\n")
        (change,) = compared(rendering, {"s.yaml": new}, {"s.yaml": old}).items
        assert change.diff == (
            "@@ -4,6 +4,6 @@\n   name: s\n stringData:\n   a: '***'\n-  b: '*** (before)'\n-  c: '*** (before)'\n"
            "-  d: '***'\n"
            "+  b: '*** (after)'\n+  c: '*** (after)'\n+  e: '***'\n"
        )

    @pytest.mark.parametrize("is_added", [True, False])
    def test_secret__added_or_removed(self, rendering: Rendering, *, is_added: bool) -> None:
        files = {"s.yaml": secret("data:\n  a: YQ==\nstringData:\n  b: c\n  d: 1\n  e: true\n")}
        (change,) = compared(rendering, *((files, {}) if is_added else ({}, files))).items
        assert change.diff.count("'***'") == 4
        assert "YQ==" not in change.diff

    def test_secret__that_becomes_a_config_map(self, rendering: Rendering) -> None:
        old = {"s.yaml": secret(f"data: {{a: {encoded(VALUE)}}}\nstringData: {{b: {OTHER}}}\n")}
        new = {"s.yaml": resource("s", rest=f"data: {{a: {VALUE}, b: {encoded(OTHER)}, url: 'x://u:{OTHER}@h'}}\n")}
        text = "".join(patch([compared(rendering, new, old)]))
        assert "url: 'x://u:***@h'" in text
        for value in (VALUE, OTHER):
            assert value not in text
            assert encoded(value) not in text

    def test_secret__repeated_in_an_annotation(self, rendering: Rendering) -> None:
        annotation = f'\'{{"data":{{"pin":"1234","a":"{encoded(VALUE)}"}}}}\''
        last_applied = f"    kubectl.kubernetes.io/last-applied-configuration: {annotation}\n"
        new = secret(f"  annotations:\n    note: is {VALUE}\n{last_applied}stringData: {{a: {VALUE}, pin: '1234'}}\n")
        text = "".join(patch([compared(rendering, {"s.yaml": new}, {})]))
        assert "note: is ***" in text
        for value in (VALUE, encoded(VALUE), "1234"):
            assert value not in text

    def test_secret__repeated_in_another_file(self, rendering: Rendering) -> None:
        old = {"a.txt": f"a {VALUE}\n".encode(), "s.yaml": secret(f"stringData: {{a: {VALUE}}}\n")}
        new = {"a.txt": f"b {VALUE}\n".encode(), "s.yaml": secret("stringData: {a: b}\n")}
        text = "".join(patch([compared(rendering, new, old)]))
        assert "-a ***\n+b ***\n" in text

    def test_secret__that_begins_another(self, rendering: Rendering) -> None:
        files = {"s.yaml": secret(f"stringData: {{a: {VALUE}, b: {VALUE}{OTHER}}}\n")}
        new = {**files, "c.yaml": resource("c", rest=f"data: {{b: {VALUE}{OTHER}}}\n")}
        text = "".join(patch([compared(rendering, new, {})]))
        assert "data: {b: ***}" in text

    def test_secret__at_the_end_of_a_text(self, rendering: Rendering) -> None:
        files = {"s.yaml": secret("stringData: {a: abc123}\n"), "a.txt": b"abc123"}
        assert "abc123" not in "".join(patch([compared(rendering, files, {})]))

    def test_secret__of_several_lines(self, rendering: Rendering) -> None:
        files = {"s.yaml": secret(f'stringData: {{a: "{VALUE}\\n{OTHER}"}}\n')}
        repeated = resource("c", rest=f"data:\n  b: |\n    {VALUE}\n    {OTHER}\n")
        text = "".join(patch([compared(rendering, {**files, "c.yaml": repeated}, {})]))
        assert "+  b: |\n+    ***\n+    ***\n" in text

    def test_secret__in_a_list(self, rendering: Rendering) -> None:
        item = f"- {{apiVersion: v1, kind: Secret, metadata: {{name: a}}, stringData: {{a: {VALUE}}}}}\n"
        new = {"l.yaml": f"apiVersion: v1\nkind: List\nitems:\n{item}".encode()}
        (change,) = compared(rendering, new, {}).items
        assert "***" in change.diff
        assert VALUE not in change.diff

    @pytest.mark.parametrize("text", ['{"kind": "Secret", "data": {"a": "%s"}}', "kind: Secret\ndata: {a: %s}\n"])
    def test_secret__in_a_file_that_nobody_parses(self, rendering: Rendering, text: str) -> None:
        (change,) = compared(rendering, {"a.json": (text % VALUE).encode()}, {"a.json": b"{}"}).items
        assert change.diff == ""

    @given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(min_size=6, max_size=20), min_size=1, max_size=3))
    def test_secret__no_value_survives(self, values: dict[str, str]) -> None:
        words = {key: f"secret{value}secret" for key, value in values.items()}
        with tempfile.TemporaryDirectory() as folder:
            rendering = Rendering(Path(folder))
            new = {"s.yaml": secret(yaml.safe_dump({"stringData": words}, default_style='"')), "c.yaml": resource("c")}
            text = "".join(patch([compared(rendering, new, {})]))
            assert "***" in text
            assert "secret" not in text


@pytest.mark.parametrize("kind", ["Namespace", "PersistentVolumeClaim"])
def test_compare__the_namespace_default_says_nothing(rendering: Rendering, kind: str) -> None:
    short, long = resource("a", kind=kind), resource("a", kind=kind, namespace="default")
    assert told(compared(rendering, {"a.yaml": short}, {"a.yaml": long})) == [f"modified {kind} a a.yaml"]
    assert told(compared(rendering, {"a.yaml": long}, {"a.yaml": short})) == [f"modified {kind} default/a a.yaml"]


def test_compare__objects_of_the_cluster_have_no_namespace(rendering: Rendering) -> None:
    old, new = (resource("a", kind="Namespace", namespace=namespace) for namespace in "xy")
    assert told(compared(rendering, {"a.yaml": new}, {"a.yaml": old})) == ["modified Namespace y/a a.yaml"]
