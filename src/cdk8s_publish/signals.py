"""SIGTERM, SIGINT and SIGHUP as an exception of the main thread."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

from cdk8s_publish.errors import SignalError

_CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def catch_signals() -> None:
    """Let the signals raise SignalError in the main thread."""
    sys.unraisablehook = _raise_again
    for number in _CAUGHT:
        signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: object) -> NoReturn:
    for other in _CAUGHT:
        signal.signal(other, signal.SIG_IGN)  # cleaning up is short and must not be cut off
    raise SignalError(f"Run cancelled by {signal.Signals(number).name}.")


def _raise_again(dropped: sys.UnraisableHookArgs) -> None:
    """Raise anew what a signal raised inside a callback of the interpreter, where every exception is dropped."""
    error = dropped.exc_value
    if not isinstance(error, SignalError):
        sys.__unraisablehook__(dropped)
        return

    def again(*_: object) -> NoReturn:
        raise error

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
