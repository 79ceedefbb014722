"""Patterns of `.sourceignore`; the contract tests try many more of them on Flux itself."""

from __future__ import annotations

import time

import pytest

from cdk8s_publish.review.controller.source_ignore import read_ignore_files


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a.yaml", "x/a.yaml", True),
        ("/a.yaml", "x/a.yaml", False),
        ("x/a.yaml", "x/a.yaml", True),
        ("x/a.yaml", "y/x/a.yaml", False),
        ("x/", "x", False),
        ("x/", "x/a.yaml", True),
        ("**/x/*.yaml", "y/z/x/a.yaml", True),
        ("x/**", "x/y/z", True),
        ("x/**/z", "x/z", True),
        ("x/**", "y", False),
        ("*.y?ml", "x/a.yaml", True),
        ("[a-c].yaml", "b.yaml", True),
        ("[^a-c].yaml", "b.yaml", False),
        ("[!b].yaml", "b.yaml", True),
        ("[z-a].yaml", "b.yaml", False),
        ("[^z-a].yaml", "b.yaml", True),
        ("[a", "a", False),
        ("[]a]", "a", False),
        ("[a-]", "a", False),
        ("a\\", "a", False),
        (r"\*.yaml", "a.yaml", False),
        (r"\*.yaml", "*.yaml", True),
        (r"[\]]", "]", True),
        ("a ", "a", True),
        ("a\\ ", "a ", True),
        ("a\r", "a", True),
        ("#a", "#a", False),
        (r"\#a", "#a", True),
    ],
)
def test_ignored__by_a_pattern(pattern: str, path: str, *, expected: bool) -> None:
    ignored = read_ignore_files([(".sourceignore", b"other\n" + pattern.encode())])
    assert ignored.holds(path) is expected


def test_ignored__the_last_pattern_decides() -> None:
    ignored = read_ignore_files([("x/.sourceignore", b"!a.yaml\n"), (".sourceignore", b"*.yaml\n")])
    assert ignored.holds("a.yaml")
    assert not ignored.holds("x/a.yaml")


def test_ignored__always() -> None:
    ignored = read_ignore_files([(".sourceignore", b"x\n")])
    assert [
        path for path in (".gitignore", "a/.gitmodules", ".git/config", "cloudbuild.yaml") if ignored.holds(path)
    ] == [
        ".gitignore",
        "a/.gitmodules",
        ".git/config",
    ]


def test_ignored__a_pattern_of_many_stars_takes_no_time() -> None:
    ignored = read_ignore_files([(".sourceignore", b"*a" * 60 + b"b\n")])
    start = time.monotonic()
    assert not ignored.holds("a" * 250)
    assert time.monotonic() - start < 1
