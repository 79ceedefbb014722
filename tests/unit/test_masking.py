"""Values of Secrets appear in nothing that is shown, however they are spelled and wherever they are repeated."""

from __future__ import annotations

import html
import json
import re
import tempfile
import time
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cdk8s_publish.model import Finding, Folder, Level
from cdk8s_publish.redaction import Redactor
from cdk8s_publish.review.diff import patch
from cdk8s_publish.review.masking import Mask
from cdk8s_publish.review.review import Published, review
from cdk8s_publish.rules.consent import parse_allow
from support.rendering import Rendering, resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cdk8s_publish.model import RenderedManifests
    from cdk8s_publish.review.review import Review

GO = {ord(char): f"\\u{ord(char):04x}" for char in "<>&"}
ALLOW = parse_allow("plain-secret")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
SPELLINGS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "plain": str,
        "base64": lambda value: b64encode(value.encode()).decode(),
        "base64 with a line end": lambda value: b64encode(f"{value}\n".encode()).decode(),
        **{
            f"base64 of {user}:": lambda value, user=user: b64encode(f"{user}:{value}".encode()).decode()  # type: ignore[misc]
            for user in ("a", "ab", "abc", "oauth2", "gitlab-ci-token", "git")
        },
        "base64 before more": lambda value: b64encode(f"{value}@host".encode()).decode(),
        "base64 for URLs": lambda value: urlsafe_b64encode(f"u:{value}".encode()).decode(),
        "percent": lambda value: quote(value, safe=""),
        "percent of a path": quote,
        "percent, lower case": lambda value: re.sub("%..", lambda match: match[0].lower(), quote(value, safe="")),
        "of a form": quote_plus,
        "in a URL": lambda value: f"postgres://app:{quote(value, safe='')}@db/app",
        "JSON": json.dumps,
        "JSON in UTF-8": lambda value: json.dumps(value, ensure_ascii=False),
        "JSON of Go": lambda value: json.dumps(value).translate(GO),
        "JSON in JSON": lambda value: json.dumps({"text": json.dumps({"p": value})}),
        "base64 of JSON": lambda value: b64encode(json.dumps({"p": value}, ensure_ascii=False).encode()).decode(),
        "YAML": lambda value: yaml.safe_dump({"p": value}),
        "YAML, double quotes": lambda value: yaml.safe_dump({"p": value}, default_style='"', width=1 << 20),
        "YAML, single quotes": lambda value: "'" + value.replace("'", "''") + "'",
        "HTML": html.escape,
    }
)
"""How a program may write a value within a text of its own."""

VALUES = [
    "hunter2",
    'hunter2"hunter2"x',
    "p@ss:w/rd&<x>+y'z",
    "caf\u00e9-\u4f1d-\U0001f600",
    "back\\slash",
    "two words",
    "pin1",
]
WORDS = (
    st.text(
        st.characters(codec="utf-8", exclude_categories=["C", "Zs", "Zl", "Zp"]) | st.sampled_from("\"'\\/+%@:&<> "),
        min_size=6,
        max_size=24,
    )
    .map(str.strip)
    .filter(lambda value: len(set(value)) > 3 and not value.isalpha())  # `namespace` is in the name of a rule
)


def reviewed(
    rendering: Rendering, new: dict[str, bytes], old: dict[str, bytes], *others: RenderedManifests, recorded: int = 0
) -> Review:
    rendered = (rendering.rendered(new), *others)
    folders = (rendering.tip(old, recorded), *(Folder(one.path) for one in others))
    return review(rendered, Published(folders, lambda _: rendering.blobs), ALLOW)


def shown(one: Review) -> str:
    return "".join(patch(one.changes)) + "\n".join(f"{finding} {finding.hint}" for finding in one.findings)


def secret(value: str) -> bytes:
    return resource("s", kind="Secret", rest=f"stringData: {{p: {json.dumps(value, ensure_ascii=False)}}}\n")


@pytest.fixture
def rendering(tmp_path: Path) -> Rendering:
    return Rendering(tmp_path)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_mask__every_spelling_in_every_file__a12(rendering: Rendering, value: str, spelling: str) -> None:
    text = SPELLINGS[spelling](value)
    config = resource("c", rest=yaml.safe_dump({"data": {"a": text, "b": f"before {text} after"}}, allow_unicode=True))
    quoted = resource("q", rest=f"data: {{a: {json.dumps(text, ensure_ascii=False)}}}\n")
    files = {"s.yaml": secret(value), "c.yaml": config, "q.yaml": quoted, "x.txt": f"x {text} y\n".encode()}
    out = shown(reviewed(rendering, files, {}))
    assert out.count("***") >= 4
    assert not leaks(value, out)


def leaks(value: str, text: str) -> list[str]:
    """Return the spellings of a value that a text holds."""
    return [name for name, spell in SPELLINGS.items() if spell(value).strip("\n'\"") in text]


@given(WORDS, st.sampled_from(sorted(SPELLINGS)), st.sampled_from(["stringData", "data", LAST_APPLIED]))
def test_mask__no_value_survives_in_any_spelling__a12(value: str, spelling: str, place: str) -> None:
    encoded = b64encode(value.encode()).decode()
    annotations = {LAST_APPLIED: json.dumps({"data": {"p": encoded}})} if place == LAST_APPLIED else {}
    values = {"p": encoded if place == "data" else value} if place != LAST_APPLIED else None
    content = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "annotations": annotations},
        "data" if place == LAST_APPLIED else place: values,
    }
    text = SPELLINGS[spelling](value)
    config = resource("c", rest=yaml.safe_dump({"data": {"a": text, "b": f"x {text} y"}}))
    files = {"s.yaml": yaml.safe_dump(content).encode(), "c.yaml": config, "x.txt": f"x {text} y\n".encode()}
    with tempfile.TemporaryDirectory() as folder:
        out = shown(reviewed(Rendering(Path(folder)), files, {}))
    assert not leaks(value, out)


def test_mask__value_of_an_unchanged_file_that_a_changed_one_repeats__a12(rendering: Rendering) -> None:
    old = {"s.yaml": secret("hunter2"), "c.yaml": resource("c")}
    out = shown(reviewed(rendering, old | {"c.yaml": resource("c", rest="data: {a: hunter2}\n")}, old, recorded=2))
    assert "+data: {a: ***}" in out


def test_mask__value_that_another_app_repeats__a12(rendering: Rendering) -> None:
    files = {"s.yaml": secret("hunter2"), "c.yaml": resource("c")}
    other = rendering.rendered({"d.yaml": resource("d", rest="data: {a: hunter2}\n")}, path="other")
    assert "hunter2" not in shown(reviewed(rendering, files, files, other, recorded=2))


@pytest.mark.parametrize(
    "text",
    [
        "data:\n  a: >-\n    before correct horse\n    battery staple after\n",
        "data:\n  a: before correct\n    horse battery staple\n",
        'data:\n  a: "before correct horse \\\n    battery staple"\n',
        "data:\n  a: 'before correct horse\n\n    battery staple'\n",
    ],
)
def test_mask__value_that_yaml_folds__a12(rendering: Rendering, text: str) -> None:
    value = "correct horse battery staple"
    value = value.replace("horse ", "horse\n") if "\n\n" in text else value
    files = {"s.yaml": secret(value), "c.yaml": resource("c", rest=text)}
    out = shown(reviewed(rendering, files, {}))
    assert "battery" not in out
    assert "before" in out


def test_mask__value_of_several_lines_line_by_line__a12(rendering: Rendering) -> None:
    text = "data:\n  a: |\n    first = hunter2\n    x\n  b: second\n"
    files = {"s.yaml": secret("first = hunter2\nx\n  second\n"), "c.yaml": resource("c", rest=text)}
    out = shown(reviewed(rendering, files, {}))
    assert "+  a: |\n+    ***\n+    x\n+  b: ***\n" in out


def test_mask__file_that_generates_a_secret_has_no_diff__a11(rendering: Rendering) -> None:
    settings = b"secretGenerator:\n- {name: s, literals: [pin=12], envs: [x.env]}\n"
    files = {"kustomization.yaml": settings, "x.env": b"A=hunter2\n", "n.txt": b"hunter2\n", "z.json": secret("ab")}
    one = reviewed(rendering, files, {})
    assert {item.title: item.diff for item in one.changes[0].items} == {
        "kustomization.yaml": "",
        "x.env": "",
        "n.txt": "@@ -0,0 +1,1 @@\n+***\n",
        "z.json": "",
    }


def test_mask__short_values_are_masked_in_the_secret_alone__a12(rendering: Rendering) -> None:
    """One to three characters, and words such as `true`, stand in every other word."""
    values = "stringData: {a: a, b: ab, c: abc, d: 'true', e: 'None', f: abcd}\n"
    files = {
        "s.yaml": resource("s", kind="Secret", rest=values),
        "c.yaml": resource("c", rest="data: {a: abc, b: 'true', c: abcde}\n"),
    }
    out = shown(reviewed(rendering, files, {}))
    assert "+data: {a: abc, b: 'true', c: ***e}" in out
    assert "stringData: {a: '***', b: '***', c: '***', d: '***', e: '***', f: '***'}" in out.replace(
        "\n+  ", " "
    ).replace("stringData: a", "stringData: {a").replace("f: '***'", "f: '***'}").replace("' ", "', ")


def test_mask__findings_but_not_the_names_in_them__a12(rendering: Rendering) -> None:
    hint = "Not hunter2."
    refused = Finding(
        Level.WARNING, "validation", "hunter2 is no good password (hunter2.yaml).", "hunter2.yaml", hint=hint
    )
    files = {"s.yaml": secret("hunter2")}
    one = review((rendering.rendered(files, refused=(refused,)),), Published((Folder("dist"),), lambda _: {}), ALLOW)
    (finding,) = [finding for finding in one.findings if finding.rule == "validation"]
    assert (finding.message, finding.hint) == ("*** is no good password (hunter2.yaml).", "Not ***.")


def test_mask__nested_secret_is_masked_by_its_place__a12(rendering: Rendering) -> None:
    manifest = '{apiVersion: v1, kind: Secret, metadata: {name: n}, stringData: {pin: "12"}}'
    text = resource("o", kind="Object", version="x.io/v1", rest=f"spec: {{manifest: {manifest}}}\n")
    assert "'***'" in shown(reviewed(rendering, {"o.yaml": text}, {}))


def test_redactor__overlapping_words_leave_nothing() -> None:
    redactor = Redactor(["abcd", "cdefgh", "ghij"])
    assert redactor.redact("abcdefghij abcd cdefghx\nxabcdcdefgh") == "*** *** ***x\nx***"


def test_mask__many_secrets_in_many_manifests_take_little_time__a12() -> None:
    mask = Mask(f"ghp_{number:032x}" for number in range(1_000))
    texts = [resource(f"c{number}", rest=f"data: {{a: ghp_{number:032x}x}}\n").decode() for number in range(20_000)]
    start = time.process_time()
    masked = [mask.document(text) for text in texts]
    assert time.process_time() - start < 10
    assert sum("***x" in text for text in masked) == 1_000
