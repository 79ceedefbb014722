from __future__ import annotations

import io
import json
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from cdk8s_publish import redaction
from cdk8s_publish.ci.github import GitHub
from cdk8s_publish.log import Console
from cdk8s_publish.model import Level, Secret
from cdk8s_publish.printable import markdown

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = 's3cr3t_"Token"/with+signs%='
USERS = ("", "a:", "ab:", "git:", "oauth2:", "gitlab-ci-token:", "x-access-token:")


def printed(*texts: str) -> str:
    stream = io.StringIO()
    console = Console(stream, GitHub({}), [Secret(SECRET)])
    for text in texts:
        console.line(text)
        console.annotate(Level.WARNING, text)
    return stream.getvalue()


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("after", ["", "\n", "@host/path"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_log__masks_a_secret_in_base64_of_any_text(user: str, after: str, encode: Callable[[bytes], bytes]) -> None:
    spelled = encode(f"{user}{SECRET}{after}".encode()).decode()
    shown = printed(f"Authorization: Basic {spelled}")
    known = len(SECRET) * 8 // 6 - 1
    assert "***" in shown
    assert not any(spelled[start : start + 6] in shown for start in range(len(user) * 8 // 6 + 1, known))


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d"),
        json.dumps(SECRET)[1:-1],
        markdown(SECRET),
    ],
)
def test_log__masks_a_secret_in_every_spelling(spelled: str) -> None:
    shown = printed(f"seen: {spelled}.")
    assert "seen: ***.\n" in shown
    assert "s3cr3t" not in shown


def test_log__masks_a_key_line_by_line() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nabcdefghijklmnopqrstuvwxyz\n=ab\n"
    stream = io.StringIO()
    Console(stream, GitHub({}), [Secret(key)]).line("before abcdefghijklmnopqrstuvwxyz after =ab")
    assert stream.getvalue() == "before *** after =ab\n"


def test_needles__of_a_short_secret_are_none() -> None:
    assert redaction.needles("abc") == set()
    assert not redaction.find("abc", "abc")


def test_find__of_what_is_not_utf8() -> None:
    assert redaction.find("caf\udce9-secret", "https://caf%E9-secret@host/")
