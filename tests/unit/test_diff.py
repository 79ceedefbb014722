"""Changes are told by resource, readable, bounded in time, and without the values of secrets."""

from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st

from cdk8s_publish.diff import unified

LINES = st.lists(st.sampled_from("abcdefgh"), max_size=40)


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
    return "".join(f"{line}\n" for line in out + old[done:])


@given(LINES, LINES)
def test_unified__applies(before: list[str], after: list[str]) -> None:
    old, new = ("".join(f"{line}\n" for line in side) for side in (before, after))
    assert applied(old, unified(old, new)) == new


@given(LINES, LINES)
def test_unified__is_never_longer_than_difflib(before: list[str], after: list[str]) -> None:
    old, new = ("".join(f"{line}\n" for line in side) for side in (before, after))
    edits = [line for line in unified(old, new).splitlines() if line[0] in "+-"]
    reference = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert len(edits) <= len(reference)
