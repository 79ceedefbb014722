from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.ci.github import GitHub
from cdk8s_publish.ci.gitlab import GitLab
from cdk8s_publish.ci.shell import Shell
from cdk8s_publish.log import Console, Stage
from cdk8s_publish.model import Level, Secret
from support.github import obeyed_commands

if TYPE_CHECKING:
    from cdk8s_publish.log import Dialect


def test_times__end_with_what_passed_on_the_clock() -> None:
    console = Console(io.StringIO(), Shell())
    console.stages += [Stage("Synth a", 60.0), Stage("Synth b", 60.0)]
    *stages, together = console.times()
    assert stages == console.stages
    assert together.title == "Total"
    assert together.seconds < 60, "what runs side by side counts once"


def test_times__of_many_stages_are_those_of_the_longest() -> None:
    console = Console(io.StringIO(), Shell())
    console.stages += [Stage(f"Synth {number}", float(number)) for number in range(20)]
    *longest, more, _ = console.times()
    assert longest == console.stages[5:]
    assert more == Stage("5 more", 10.0)


HOSTILE = "a\n::set-output name=x::y\r##[set-output name=x]y\x1b[2J\u2028z"


@pytest.mark.parametrize("provider", [Shell(), GitHub({}), GitLab({})])
def test_line__is_one_whatever_is_in_it__a9(provider: Dialect) -> None:
    stream = io.StringIO()
    console = Console(stream, provider)
    console.line(HOSTILE)
    console.line("::set-output name=x::y")
    with console.group(HOSTILE):
        console.annotate(Level.WARNING, HOSTILE)
    own = 2 if isinstance(provider, Shell) else 3
    assert stream.getvalue().count("\n") == 2 + own
    if isinstance(provider, GitHub):
        assert obeyed_commands(stream.getvalue()) == ["group", "warning", "endgroup"]


def test_line__keeps_colours_and_tabs() -> None:
    stream = io.StringIO()
    Console(stream, GitHub({})).line("\x1b[1;31mred\x1b[0m\ta :: b ✓")
    assert stream.getvalue() == "\x1b[1;31mred\x1b[0m\ta :: b ✓\n"


def test_text__has_lines_and_hides_a_secret_of_several() -> None:
    stream = io.StringIO()
    Console(stream, Shell(), [Secret("one two\nthree")]).text("a one two\nthree b\nc")
    assert stream.getvalue() == "a *** b\nc\n"
