"""What a trailer is, git decides; squash merges keep those of the messages that they are made of."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk8s_publish.rules.trailers import trailers

LINES = st.sampled_from(
    [
        "",
        "",
        "",
        "  ",
        "\t",
        "Allow: removal-budget because",
        "Allow : removal-budget because",
        "Allow:",
        "allow:x",
        " folded",
        "\tfolded too",
        "Some words.",
        "Note: a word with a colon",
        "two words: and a colon",
        "Signed-off-by: A <a@b>",
        "(cherry picked from commit abc)",
        "# a comment",
        "http://example.com/x",
        ": nothing before",
        "-x: y",
    ]
)


def by_git(message: str) -> list[tuple[str, str]]:
    """Ask git, as `git log --format=%(trailers)` does: without regard to a line of three dashes."""
    done = subprocess.run(
        ("git", "-c", "core.commentChar=#", "interpret-trailers", "--parse", "--no-divider"),
        input=message.encode(),
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
    )
    pairs = (line.partition(":") for line in done.stdout.decode().splitlines())
    return [(key.strip(), value.strip()) for key, _, value in pairs]


@given(st.lists(LINES, max_size=12))
def test_trailers__are_those_that_git_finds(lines: list[str]) -> None:
    message = "\n".join(["Title", *lines, ""])
    expected = by_git(message)
    if expected and all(key.lower() == "signed-off-by" for key, _ in expected):
        return  # what stands before a block of attributions is looked at, too
    assert list(trailers(message)) == expected


SQUASHED = """\
Retire the shop (#12)

* Remove the shop

Nobody buys here.

Allow: precious-removal the shop has closed

* Remove its pages

Allow: removal-budget they go with it
"""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Allow: x y", []),
        ("Title\n\nAllow: x y", ["x y"]),
        ("Title\n\nAllow: x y\nAllow: z w\n", ["x y", "z w"]),
        ("Title\n\nAllow: x a reason\n  on two lines", ["x a reason on two lines"]),
        ("Title\r\n\r\nAllow: x y\r\n", ["x y"]),
        ("Title\n\nIt would be wrong to write\nAllow: x y\nin any commit.", []),
        ("Title\n\nAllow: x y\n\nAnd more words.", []),
        ("Title\n\nBody\n\nAllow: x y\n\n---------\n\nCo-authored-by: B <b@x>", ["x y"]),
        ("Title\n\nBody\n\nAllow: x y\n\nCo-authored-by: B <b@x>\nCo-authored-by: C <c@x>\n", ["x y"]),
        ("Title\n\nAllow: x y\nSigned-off-by: A <a@x>\n\nCo-authored-by: B <b@x>", ["x y"]),
        ("Title\n\nAllow: x y\n\n---------\n\nReviewed-by: B <b@x>", []),
        ("Title\n\nBody\n\n---------\n\nCo-authored-by: B <b@x>", []),
        (SQUASHED, ["precious-removal the shop has closed", "removal-budget they go with it"]),
        (
            f"{SQUASHED}\n---------\n\nCo-authored-by: B <b@x>",
            ["precious-removal the shop has closed", "removal-budget they go with it"],
        ),
        ("Title\n\n* one: two\n* three: four\n", []),
        ("", []),
    ],
)
def test_trailers__of_a_message(message: str, expected: list[str]) -> None:
    assert [value for key, value in trailers(message) if key == "Allow"] == expected
