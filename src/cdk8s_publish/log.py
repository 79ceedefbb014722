"""One console for everything that is printed: groups, stages with their times, a spinner on a terminal, redaction."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO

from cdk8s_publish import redaction
from cdk8s_publish.model import Level
from cdk8s_publish.printable import on_one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cdk8s_publish.model import Secret

_SPINNER_INTERVAL_S = 0.1
HEARTBEAT_S = 30.0
"""How long a log may say nothing before it says what is still running."""
LINE_LIMIT = 16_384
"""Characters of a line that are shown."""
_LISTED_STAGES = 15
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_CLEAR_LINE = "\r\x1b[2K"


class Stage(NamedTuple):
    """One step of the pipeline and how long it took, in seconds."""

    title: str
    seconds: float


class Dialect(Protocol):
    """How a CI product wants groups, annotations and untrusted output to be written."""

    def open_group(self, title: str) -> str:
        """Open a collapsible group."""
        ...

    def close_group(self) -> str:
        """Close it."""
        ...

    def annotation(self, level: Level, message: str) -> str:
        """Put a message on the job's page."""
        ...

    def fence(self) -> tuple[str, str]:
        """Stop and resume commands."""
        ...

    def plain(self, line: str) -> str:
        """Return a line in which nothing is a command."""
        ...


class Console:
    """Prints lines to one stream, never a secret. Safe to use from several threads."""

    def __init__(self, stream: TextIO, dialect: Dialect, secrets: Iterable[Secret] = ()) -> None:
        self._stream = stream
        self._dialect = dialect
        self._needles = frozenset[str]()
        self._redactor = redaction.Redactor(())
        self._lock = threading.RLock()
        self._is_terminal = stream.isatty()
        self._spinner = ""
        self._is_fenced = False
        self._start = time.monotonic()
        self.stages: list[Stage] = []
        self.reservations: list[str] = []
        self.mask(*secrets)

    def mask(self, *secrets: Secret) -> None:
        """Never print these secrets."""
        self._needles = self._needles.union(*(redaction.needles(secret.reveal()) for secret in secrets))
        self._redactor = redaction.Redactor(self._needles)

    def redact(self, text: str) -> str:
        """Replace every secret, in whatever form, by asterisks."""
        return self._redactor.redact(text)

    def line(self, text: str) -> None:
        """Print one line, whatever is in the text, and none that the CI product obeys."""
        self._show(self.redact(text))

    def text(self, text: str) -> None:
        """Print the lines of a text."""
        with self._lock:
            for line in self.redact(text).split("\n"):  # as a whole, for a secret may have several lines
                self._show(line)

    def _show(self, line: str) -> None:
        shown = _cut(on_one_line(line))
        with self._lock:
            self._print(shown if self._is_fenced else self._dialect.plain(shown))

    def annotate(self, level: Level, message: str) -> None:
        """Put a one-line message on the job's page."""
        self._print(self._dialect.annotation(level, on_one_line(self.redact(message))))

    def _print(self, line: str) -> None:
        with self._lock:
            prefix = _CLEAR_LINE if self._spinner else ""
            self._write(f"{prefix}{line}\n{self._spinner}")

    def _write(self, text: str) -> None:
        """Write to the stream, or nowhere once it takes no more: what is published does not depend on who listens."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # closed, full, or whoever read it has left
            silence(self._stream)

    def reserve(self, text: str) -> None:
        """Print a line about what does not hold in this run, and remember it for the job's page."""
        self.reservations.append(text)
        self.line(text)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Keep together what is printed inside."""
        self._print(self._dialect.open_group(on_one_line(self.redact(title))))
        try:
            yield
        finally:
            closing = self._dialect.close_group()
            if closing:
                self._print(closing)

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Group what is printed inside, show that it goes on, and remember how long it took."""
        start = time.monotonic()
        try:
            with self.group(title), self.waiting(lambda: title):
                yield
        finally:
            self.stages.append(Stage(title, time.monotonic() - start))

    def replay(self, title: str, seconds: float, lines: Iterable[str]) -> None:
        """Print what a stage that ran beside others has written, as one group."""
        with self._lock:
            self.stages.append(Stage(title, seconds))
            self.quote(f"{title} ({seconds:.1f} s)", lines)

    def quote(self, title: str, lines: Iterable[str]) -> None:
        """Print untrusted lines as one group."""
        with self._lock, self.group(title), self.fenced():
            for line in lines:
                self.line(line)

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """Keep what is printed inside from speaking to the CI product."""
        start, end = self._dialect.fence()
        if start:
            self._print(start)
        self._is_fenced = bool(start)
        try:
            yield
        finally:
            self._is_fenced = False
            if end:
                self._print(end)

    def times(self) -> tuple[Stage, ...]:
        """Return how long each stage took, of many the longest ones, and last how long everything took together."""
        longest = sorted(self.stages, key=lambda stage: -stage.seconds)[:_LISTED_STAGES]
        rest = [stage for stage in self.stages if stage not in longest]
        more = [Stage(f"{len(rest)} more", sum(stage.seconds for stage in rest))] if rest else []
        listed = [stage for stage in self.stages if stage in longest]
        return (*listed, *more, Stage("Total", time.monotonic() - self._start))

    @contextmanager
    def waiting(self, title: Callable[[], str]) -> Iterator[None]:
        """Show what goes on, and for how long: on a terminal all the time, in a log now and then."""
        done = threading.Event()
        show = self._spin if self._is_terminal else self._beat
        thread = threading.Thread(target=show, args=(title, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _beat(self, title: Callable[[], str], done: threading.Event) -> None:
        start = time.monotonic()
        while not done.wait(HEARTBEAT_S):
            self.line(f"… {title()}: still running after {time.monotonic() - start:.0f} s")

    def _spin(self, title: Callable[[], str], done: threading.Event) -> None:
        start, frame = time.monotonic(), 0
        while not done.wait(_SPINNER_INTERVAL_S):
            with self._lock:
                frame += 1
                shown = on_one_line(self.redact(title()))
                spinner = f"{_FRAMES[frame % len(_FRAMES)]} {shown} {time.monotonic() - start:.0f} s"
                self._spinner = spinner[: shutil.get_terminal_size().columns - 1]  # a longer one can't be drawn over
                self._write(_CLEAR_LINE + self._spinner)
        with self._lock:
            if self._spinner:
                self._write(_CLEAR_LINE)
            self._spinner = ""


def _cut(line: str) -> str:
    """Shorten a line that no log can show. Secrets must be gone: a part of one is not found any more."""
    more = len(line) - LINE_LIMIT
    return f"{line[:LINE_LIMIT]}… {more:,} more characters" if more > 0 else line


def silence(stream: TextIO) -> None:
    """Lead a stream nowhere, with what is still to be flushed."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class _ConsoleHandler(logging.Handler):
    """Hands log records to the console; warnings become annotations."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            level = Level.ERROR if record.levelno >= logging.ERROR else Level.WARNING
            self._console.annotate(level, message)
        else:
            self._console.line(message)


@contextmanager
def logging_to(console: Console, *, is_verbose: bool) -> Iterator[None]:
    """Send the records of this package to the console; other packages' records go nowhere."""
    logger = logging.getLogger("cdk8s_publish")
    handler = _ConsoleHandler(console)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if is_verbose else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
