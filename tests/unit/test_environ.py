from __future__ import annotations

import logging
from base64 import b64encode

import pytest

from cdk8s_publish.sandbox.environ import scrub

SECRET = "s3cr3t-Token/with+signs="


def test_scrub__says_what_it_keeps_because_of_its_value(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        scrub({"NODE_AUTH_TOKEN": SECRET, "INPUT_TOKEN": SECRET, "OTHER": "o"}, [SECRET])
    assert caplog.messages == [
        "Kept from installer and app, because a credential of this run is in the value: NODE_AUTH_TOKEN"
    ]


def test_scrub__drops_names_of_ours_and_of_the_product() -> None:
    environ = dict.fromkeys(
        [
            "INPUT_TOKEN",
            "INPUT_ALLOW-EMPTY",
            "CDK8S_APP",
            "GIT_CONFIG_COUNT",
            "GIT_ASKPASS",
            "SSH_AUTH_SOCK",
            "X_TOKEN",
        ],
        "1",
    )
    kept = scrub(environ | {"GIT_AUTHOR_NAME": "a", "PATH": "p"}, [], ["X_*"])
    assert kept == {"GIT_AUTHOR_NAME": "a", "PATH": "p", "CDK8S_CHECK_UPGRADE": "false"}


@pytest.mark.parametrize("user", ["", "a:", "ab:", "x-access-token:", "oauth2:"])
def test_scrub__drops_values_that_carry_a_secret(user: str) -> None:
    environ = {
        "PLAIN": f"{user}{SECRET}",
        "URL": f"https://{user}{SECRET}@host/",
        "QUOTED": "https://s3cr3t-Token%2Fwith%2Bsigns%3D@host/",
        "BASIC": f"AUTHORIZATION: basic {b64encode((user + SECRET).encode()).decode()}",
        "LONGER": b64encode(f"{user}{SECRET}\n".encode()).decode(),
        "OTHER": b64encode(b"nothing of it").decode(),
    }
    assert set(scrub(environ, [SECRET])) == {"OTHER", "CDK8S_CHECK_UPGRADE"}


def test_scrub__takes_a_short_secret_for_a_whole_value_only() -> None:
    assert set(scrub({"A": "ab", "B": "cab", "C": ""}, ["ab", ""])) == {"B", "C", "CDK8S_CHECK_UPGRADE"}


def test_scrub__drops_a_key_whatever_its_line_ends() -> None:
    lines = ["-----BEGIN PRIVATE KEY-----", *(letter * 40 for letter in "abc"), "=short", "-----END PRIVATE KEY-----"]
    key = "\n".join(lines) + "\n"
    environ = {
        "SAME": key,
        "CRLF": key.replace("\n", "\r\n"),
        "ONE_LINE": " ".join(lines),
        "JSON": f'{{"key": "{key}"}}'.replace("\n", "\\n"),
        "BASE64": b64encode(f"#\n{key}".encode()).decode(),
        "OTHER_KEY": key.replace("b", "d"),
    }
    assert set(scrub(environ, [key])) == {"OTHER_KEY", "CDK8S_CHECK_UPGRADE"}
