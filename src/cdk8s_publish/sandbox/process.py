"""Run other people's programs: their output is relayed, their time is bounded, and nothing of them outlives the run.

What runs here is untrusted code: installers, the app, whatever they depend on. It starts with a scrubbed environment
(`environ`), confined to its own files (`confinement`), without the privileges that read another process
(`privileges`), and when it ends every process that it left behind is ended too (`lifetime`), so that none of them is
there to change another app's render, or to watch when a credential is used later.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.printable import as_on_terminal
from cdk8s_publish.sandbox import confinement, lifetime, privileges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from cdk8s_publish.sandbox.confinement import Confinement

HEAD_LINES, TAIL_LINES = 10, 40
"""What is kept of a program's output: npm explains itself first and prints its whole usage afterwards."""
LINE_LIMIT_BYTES = 16_384
REAP_INTERVAL_S = 0.1
"""How long an orphan that has ended may count as a process."""
PIPE_BYTES = 65_536
"""What a pipe holds on Linux unless it was told otherwise (pipe(7))."""


class Command(NamedTuple):
    """A program to run, and what of the file system it may reach.

    `uid` and `gid` are set where we are root and the program must not be.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    timeout_s: float
    confinement: Confinement
    uid: int | None = None
    gid: int | None = None

    def __repr__(self) -> str:
        """Leave the environment out: it may say more than a log should."""
        return f"{type(self).__name__}({self.argv})"


class Completed(NamedTuple):
    """How a program ended; a negative `returncode` is a signal's number.

    `excerpt` holds the first and the last lines it printed, with a line that counts the ones in between.
    """

    returncode: int
    excerpt: tuple[str, ...]
    timed_out: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether the program said so, or had to be ended."""
        return self.timed_out or self.returncode != 0


def run(command: Command, *, on_line: Callable[[str], None]) -> Completed:
    """Run a program to its end, or to the end of its time, and end whatever it leaves behind.

    `on_line` gets each line of its output and error output as it comes, without a line end and harmless to print
    (see `printable.as_on_terminal`).

    Raises:
        OSError: the program can't be started.
        SynthError: it can't be confined, or a process that it left behind can't be ended.

    """
    privileges.adopt_orphans()
    excerpt = Excerpt()

    def relay(line: bytes) -> None:
        text = as_on_terminal(line.decode("utf-8", "replace"))
        excerpt.add(text)
        on_line(text)

    # The thread is confined for good and hands that down to the program: no code of ours has to run between fork and
    # exec, which is unsafe in a process with threads.
    with lifetime.no_strays_afterwards(), ThreadPoolExecutor(1, "program") as keeper:
        is_separate = keeper.submit(confinement.enter, command.confinement).result()
        starting = keeper.submit(lifetime.start, partial(_start, command))
        try:
            process = starting.result()
            ended = keeper.submit(process.wait)
            has_ended = _pump(process, ended, time.monotonic() + command.timeout_s, relay)
        finally:
            # Also when a signal interrupted us between the program's start and the line above.
            if starting.exception() is None:
                lifetime.end(starting.result())
            if is_separate:
                keeper.submit(lifetime.end_domain).result()
    return Completed(process.returncode, excerpt.lines(), timed_out=not has_ended)


def _start(command: Command) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command.argv,
        cwd=command.cwd,
        env=command.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=command.uid,
        group=command.gid,
        extra_groups=None if command.uid is None else (),
    )


def _pump(
    process: subprocess.Popen[bytes], ended: Future[int], deadline: float, relay: Callable[[bytes], None]
) -> bool:
    """Relay output until the program ends (true) or the deadline comes (false).

    The end is the end of the program, not of its output: a daemon that it started may hold that open for ever.
    """
    assert process.stdout is not None  # noqa: S101 - for the type checker: Popen was asked for a pipe
    lines = _Lines(process.stdout.fileno(), relay)
    awake, wake = os.pipe()
    ended.add_done_callback(lambda _: os.close(wake))
    poll = select.poll()
    poll.register(lines.descriptor, select.POLLIN)
    poll.register(awake, select.POLLIN)
    try:
        while (left := deadline - time.monotonic()) > 0 and not ended.done():
            ready = dict(poll.poll(min(left, REAP_INTERVAL_S) * 1000))
            lifetime.reap_orphans()
            if lines.descriptor in ready and not lines.read():
                poll.unregister(lines.descriptor)
    finally:
        os.close(awake)
    lines.finish()
    return left > 0


class _Lines:
    """Cuts what can be read from a pipe into lines."""

    def __init__(self, descriptor: int, relay: Callable[[bytes], None]) -> None:
        self.descriptor, self._relay, self._rest = descriptor, relay, b""
        os.set_blocking(descriptor, False)

    def read(self) -> bool:
        """Relay the lines that are complete now; return whether there may be more."""
        try:
            chunk = os.read(self.descriptor, PIPE_BYTES)
        except BlockingIOError:
            return True
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._relay(line)
        while len(self._rest) >= LINE_LIMIT_BYTES:
            self._relay(self._rest[:LINE_LIMIT_BYTES])
            self._rest = self._rest[LINE_LIMIT_BYTES:]
        return bool(chunk)

    def finish(self) -> None:
        """Relay what an ended program can have left in the pipe, which is no more than one pipe full."""
        self.read()
        if self._rest:
            self._relay(self._rest)


class Excerpt:
    """The first and the last lines of many."""

    def __init__(self, head: int = HEAD_LINES, tail: int = TAIL_LINES) -> None:
        """Keep that many of each."""
        self._limit, self._head = head, list[str]()
        self._tail: deque[str] = deque(maxlen=tail)
        self._count = 0

    def add(self, line: str) -> None:
        """Take the next line."""
        self._count += 1
        if len(self._head) < self._limit:
            self._head.append(line)
        else:
            self._tail.append(line)

    def lines(self) -> tuple[str, ...]:
        """Return what was kept, with a line that counts the others."""
        left_out = self._count - len(self._head) - len(self._tail)
        return (*self._head, *([f"… {left_out} lines …"] if left_out else []), *self._tail)
