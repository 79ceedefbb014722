from __future__ import annotations

import io

from cdk8s_publish.ci.shell import Shell
from cdk8s_publish.log import Console, Stage


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
