from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.review import parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = os.getpid()


def children() -> set[str]:
    return set(Path(f"/proc/{HERE}/task/{HERE}/children").read_text().split())


@pytest.fixture(autouse=True)
def no_process_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(parallel, "WORTHWHILE", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    before = children()
    yield
    assert children() == before


def test_halves__come_from_two_processes_in_order() -> None:
    found = parallel.halves(lambda item: (item, os.getpid()), range(5))
    assert [item for item, _ in found] == [0, 1, 2, 3, 4]
    first, second = {pid for _, pid in found[:2]}, {pid for _, pid in found[2:]}
    assert first == {os.getpid()}
    assert len(second) == 1
    assert first.isdisjoint(second)


@pytest.mark.parametrize("cores", [1, None])
def test_halves__of_one_core_are_a_map(monkeypatch: pytest.MonkeyPatch, cores: int | None) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert set(parallel.halves(lambda _: os.getpid(), range(5))) == {os.getpid()}


def test_halves__hand_over_more_than_a_pipe_holds() -> None:
    assert parallel.halves(lambda item: bytes([item]) * 200_000, range(8)) == [bytes([n]) * 200_000 for n in range(8)]


@pytest.mark.parametrize("wrong", [0, 4])
def test_halves__raise_what_the_function_raises(wrong: int) -> None:
    with pytest.raises(ZeroDivisionError):
        parallel.halves(lambda item: 1 // (item - wrong), range(5))


def ended_unless_here(item: int) -> int:
    if os.getpid() != HERE:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def only_half_an_answer(item: int) -> object:
    return item if os.getpid() == HERE else lambda: item  # can't be pickled


@pytest.mark.parametrize("function", [ended_unless_here, only_half_an_answer])
def test_halves__are_made_here_when_the_other_process_fails(function: Callable[[int], object]) -> None:
    assert parallel.halves(function, range(5)) == [0, 1, 2, 3, 4]


def test_halves__end_the_other_process_when_this_one_is_interrupted() -> None:
    def interrupted(item: int) -> int:
        if os.getpid() == HERE:
            raise KeyboardInterrupt
        signal.pause()
        return item

    with pytest.raises(KeyboardInterrupt):
        parallel.halves(interrupted, range(5))
