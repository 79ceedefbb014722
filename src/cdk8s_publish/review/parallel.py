"""Use a second core for work in pure Python, of which the interpreter does only one thing at a time."""

from __future__ import annotations

import os
import pickle
import signal
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WORTHWHILE = 1_000
"""With fewer items the second process costs more than it saves."""

T = TypeVar("T")
R = TypeVar("R")


def halves(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return what `map` would, of many items one half from a fork of this process.

    `function` must have no effects, and its results must be such that they can be pickled. What the fork can't do,
    for whatever reason, is done here, so an error is raised as if there was no fork.
    """
    if len(items) < WORTHWHILE or not hasattr(os, "fork") or (os.cpu_count() or 1) < 2:  # noqa: PLR2004 - cores
        return list(map(function, items))
    first, second = items[: len(items) // 2], items[len(items) // 2 :]
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _work(function, second, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as stream:
            done = list(map(function, first))
            answer = stream.read()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    try:
        done += pickle.loads(answer)  # noqa: S301 - our own words
    except (EOFError, pickle.UnpicklingError):
        done += map(function, second)
    return done


def _work(function: Callable[[T], R], items: Sequence[T], writing: int) -> NoReturn:
    """Answer and end, without any clean-up: all of it is the other process's."""
    try:
        answer = pickle.dumps(list(map(function, items)), pickle.HIGHEST_PROTOCOL)
        with os.fdopen(writing, "wb") as stream:
            stream.write(answer)
    finally:
        os._exit(0)
