from __future__ import annotations

import pytest

from cdk8s_publish.printable import as_on_terminal, markdown, spelled_out, spelled_out_text


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain ünicode ✓", "plain ünicode ✓"),
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("10 %\r20 %\r100 %\r\n", "100 %"),
        ("\x1b[0Ksection_start:1:x[collapsed=true]\r\x1b[0Ktitle", "title"),
        ("a\x1b[2Jb\x1b[1;1Hc\x1b]0;title\x07d\x1b(Be\x1bcf", "abcdef"),
        ("a\x00b\x08c\x7fd\x9be\u2028f", "abcdef"),
        ("a\tb", "a\tb"),
        ("unfinished \x1b[31", "unfinished 31"),
        ("unfinished \x1b", "unfinished "),
    ],
)
def test_as_on_terminal__keeps_what_a_terminal_shows(line: str, shown: str) -> None:
    assert as_on_terminal(line) == shown


@pytest.mark.parametrize(
    ("text", "line", "lines"),
    [
        ("plain ünicode ✓", "plain ünicode ✓", "plain ünicode ✓"),
        ("a\tb\nc", "a\\tb\\nc", "a\tb\nc"),
        ("\x1b[31m\x00\u202e\u00a0\u2028\udcff", *["\\x1b[31m\\x00\\u202e\\xa0\\u2028\\udcff"] * 2),
    ],
)
def test_spelled_out__shows_what_can_not_be_seen(text: str, line: str, lines: str) -> None:
    assert spelled_out(text) == line
    assert spelled_out_text(text) == lines


def test_markdown__leaves_nothing_that_means_something() -> None:
    assert markdown("a  *b* <c>\n@d") == "a &#42;b&#42; &#60;c&#62; &#64;<!-- -->d"
