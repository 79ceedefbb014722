"""Run other people's programs: their output is relayed, their time is bounded, and nothing of them outlives the run.

What runs here is foreign code: installers, the app, whatever they depend on. It starts with a scrubbed environment
(`scrub`), without the privileges that read another process (`_give_up_privileges`), and when it ends every process
that it left behind is ended too, so that none of them is there to watch when a credential is used later.
"""

from __future__ import annotations

import contextlib
import ctypes
import fnmatch
import logging
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from cdk8s_publish.errors import SynthError
from cdk8s_publish.sandbox import landlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future

_log = logging.getLogger(__name__)

HEAD_LINES, TAIL_LINES = 10, 40
"""What is kept of a program's output: npm explains itself first and prints its whole usage afterwards."""
LINE_LIMIT_BYTES = 16_384
PIPE_BYTES = 65_536
"""What a pipe holds on Linux unless it was told otherwise (pipe(7))."""
GRACE_S = 5.0
"""How long a program may take to end after SIGTERM."""
STRAYS_TIMEOUT_S = 10.0
SHORTEST_SEARCHED_SECRET = 4
"""A shorter secret is only looked for as a whole value: `a` is contained in nearly every variable."""

DENIED = (
    "INPUT_*",
    "CDK8S_*",  # the cdk8s CLI reads each of them as an option: they would change the render
    "GIT_ASKPASS",
    "GIT_CONFIG*",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_SSH*",
    "GIT_WORK_TREE",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "SSH_ASKPASS",
    "GPG_AGENT_INFO",
)
"""Names (glob patterns) that foreign code never sees; each CI product adds its own."""

_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 4, 24, 36, 38
_CAPABILITIES = (16, 17, 19, 21, 38, 39, 40, 27, 29)
"""SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_ADMIN, PERFMON, BPF, CHECKPOINT_RESTORE (linux/capability.h): each of them
reads the memory of another process, or loads code into the kernel that does. MKNOD and AUDIT_WRITE are of no use to a
build: root without them has fewer rights than the processes above us, and the kernel lets nobody look into a process
with more rights than its own (ptrace(2), "Ptrace access mode checking"), not into the job's shell either."""

_CHANGING_USERS = 1 << 0 | 1 << 6 | 1 << 7
"""CHOWN, SETGID, SETUID as bits of CapEff in proc_pid_status(5)."""

_COLOUR = r"\x1b\[[0-9;:]*m"
_ESCAPE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
_CONTROL = r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]"

_running: set[object] = set()
"""One token for each `run` that is under way, over all threads; from before its program starts."""
_programs: set[int] = set()
"""Process ids of the programs that were started and not yet ended."""
_guard = threading.Lock()
"""Held while strays are ended, so that no program is taken for one in the moment of its start."""


class Command(NamedTuple):
    """A program to run.

    `uid` and `gid` are set where we are root and the program must not be. `hidden` are folders that it must not reach
    even as their owner.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    timeout_s: float
    uid: int | None = None
    gid: int | None = None
    hidden: tuple[Path, ...] = ()

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


def run(command: Command, *, on_line: Callable[[str], None], meanwhile: Callable[[], None] | None = None) -> Completed:
    """Run a program to its end, or to the end of its time, and end whatever it leaves behind.

    `meanwhile` is called once the program has started; what the program prints is read afterwards.

    `on_line` gets each line of its output and error output as it comes, without a line end and harmless to print
    (see `printable`). Raises OSError when the program can't be started and SynthError when a process that it left
    behind can't be ended.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    excerpt = Excerpt()

    def relay(line: bytes) -> None:
        text = printable(line.decode("utf-8", "replace"))
        excerpt.add(text)
        on_line(text)

    # The thread gives up privileges for good and hands that down to the program: no code of ours has to run between
    # fork and exec, which is unsafe in a process with threads.
    with (
        _no_strays_afterwards(),
        ThreadPoolExecutor(1, "program", _give_up_privileges, (command.hidden,)) as keeper,
    ):
        starting = keeper.submit(_start, command)
        try:
            process = starting.result()
            ended = keeper.submit(process.wait)
            if meanwhile:
                meanwhile()
            has_ended = _pump(process, ended, time.monotonic() + command.timeout_s, relay)
        finally:
            # Also when a signal interrupted us between the program's start and the line above.
            if starting.exception() is None:
                _end(starting.result())
    return Completed(process.returncode, excerpt.lines(), timed_out=not has_ended)


@contextlib.contextmanager
def _no_strays_afterwards() -> Iterator[None]:
    token = object()
    with _guard:
        _running.add(token)
    try:
        yield
    finally:
        with _guard:
            _running.discard(token)
            if not _running:
                _end_strays()


def end_all() -> None:
    """Kill the programs that run now, in whatever thread; each `run` returns with the end of its program."""
    for group in tuple(_programs):
        _signal_group(group, signal.SIGKILL)


def is_foreign_code_running() -> bool:
    """Whether any program of `run` is alive: no process with a credential may be started beside it."""
    return bool(_running)


def can_change_users() -> bool:
    """Whether files can be given to other users and programs run as them: as root, unless a container took that away.

    Kubernetes and the runners on it often do (`drop: [ALL]`).
    """
    if os.geteuid() != 0:
        return False
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:  # not Linux: root is root
        return True
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return effective is None or int(effective[1], 16) & _CHANGING_USERS == _CHANGING_USERS


def printable(line: str) -> str:
    r"""Return what a terminal would show of a line, so that it can't move the cursor or speak to a CI product.

    Colours stay. Of a line that was drawn over (`10 %\r20 %`) the last state stays. Other escape sequences and
    control characters, which GitLab's section markers are made of, go.
    """
    line = line.rstrip("\r\n").rpartition("\r")[2]
    if line.isprintable():
        return line
    parts = re.split(_COLOUR, line)
    colours = [*re.findall(_COLOUR, line), ""]
    return "".join(
        re.sub(_CONTROL, "", re.sub(_ESCAPE, "", part)) + colour for part, colour in zip(parts, colours, strict=True)
    )


def scrub(environ: Mapping[str, str], secrets: Iterable[str], denied: Iterable[str] = ()) -> dict[str, str]:
    """Return the environment for foreign code: `environ` without denied names and without any form of a secret.

    `denied` holds glob patterns of names, added to `DENIED`. A variable goes as well when its value contains one of
    `secrets`: as it is, percent-encoded, or in base64, also of a longer text such as `user:secret`.
    """
    patterns = re.compile("|".join(fnmatch.translate(pattern) for pattern in (*DENIED, *denied)))
    hidden = {secret for secret in secrets if secret}
    forms = {form for secret in hidden if len(secret) >= SHORTEST_SEARCHED_SECRET for form in _forms(secret)}
    allowed = {name: value for name, value in environ.items() if not patterns.match(name)}
    kept = {
        name: value
        for name, value in allowed.items()
        if value not in hidden and not any(form in value for form in forms)
    }
    if withheld := sorted(allowed.keys() - kept):
        names = ", ".join(withheld)
        _log.info("Kept from installer and app, because a credential of this run is in the value: %s", names)
    return kept | {"CDK8S_CHECK_UPGRADE": "false"}


def protect_self(names: Iterable[str]) -> None:
    """Make this process's memory and initial environment unreadable to code that runs as the same user.

    `/proc/<pid>/environ` shows the bytes the process was started with for as long as it lives. The kernel refuses it
    (and `/proc/<pid>/mem`, and ptrace) for a process that is not dumpable; the values of the variables in `names`
    are overwritten besides, which holds against root as well. The caller has read them before. Linux only.
    """
    for name in names:
        os.unsetenv(name)
    if not sys.platform.startswith("linux"):
        return
    _prctl(_PR_SET_DUMPABLE, 0)
    # Fields 50 and 51 of proc_pid_stat(5), counted from 1; the second field may hold spaces, so count after it.
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    block = b"\0" + ctypes.string_at(start, end - start)
    for name in names:
        head = b"\0" + os.fsencode(name) + b"="
        at = block.find(head)
        while at >= 0:
            value = at + len(head)
            ctypes.memset(start + value - 1, ord("*"), block.index(b"\0", value) - value)
            at = block.find(head, value)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    for shift in range(3):
        # Six bits a character: a neighbour's bits are mixed into the first and the last one, the rest is always there.
        encoded = b64encode(b"\0" * shift + secret.encode("utf-8", "surrogateescape")).decode()
        bits = 8 * (shift + len(secret.encode("utf-8", "surrogateescape")))
        core = encoded[-(-8 * shift // 6) : bits // 6]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def _prctl(option: int, argument: int) -> None:
    """Call prctl(2) for this thread or process; without effect where there is no such call, or no right to it."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(argument), 0, 0, 0)


def _give_up_privileges(hidden: Iterable[Path]) -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    for capability in _CAPABILITIES:
        _prctl(_PR_CAPBSET_DROP, capability)
    if not landlock.hide(hidden):
        _log.warning("this kernel can't keep the app from the files of the job's own commands")


def _start(command: Command) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
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
    _programs.add(process.pid)
    return process


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
            ready = dict(poll.poll(left * 1000))
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


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program with everything that descends from it."""
    family = []
    if process.poll() is None:
        family = _foreign(process.pid)
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    _signal_group(process.pid, signal.SIGKILL)
    for pid, _ in family:  # of one that had ended before, we have inherited them
        _signal(pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    _programs.discard(process.pid)


def _end_strays() -> None:
    """End every process of foreign code that is still there: as a subreaper we have inherited all orphans."""
    deadline = time.monotonic() + STRAYS_TIMEOUT_S
    while strays := _foreign(os.getpid()):
        if time.monotonic() > deadline:
            raise SynthError(
                "A process that the app left running can't be ended, so no credential is used beside it.",
                evidence=f"process ids: {', '.join(str(pid) for pid, _ in strays)}",
                hint="Look for a service that the app or the installer starts and don't start it here.",
            )
        for pid, is_child in strays:
            _signal(pid, signal.SIGKILL)
            if is_child:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        time.sleep(0.001)


def _foreign(ancestor: int) -> list[tuple[int, bool]]:
    """Return the foreign processes that descend from one: process id, and whether its parent is us.

    Foreign code starts in a session of its own and no process can join another session: what shares ours is ours.
    """
    children: dict[int, list[tuple[int, int]]] = {}
    processes = Path("/proc").iterdir() if sys.platform.startswith("linux") else ()
    for process in processes:
        with contextlib.suppress(OSError, ValueError):  # it has ended meanwhile, or is no process
            number = int(process.name)
            fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
            children.setdefault(int(fields[1]), []).append((number, int(fields[3])))
    ours, me = os.getsid(0), os.getpid()
    found, pending = [], [ancestor]
    while pending:
        parent = pending.pop()
        for pid, session in children.get(parent, ()):
            pending.append(pid)
            if session != ours:
                found.append((pid, parent == me))
    return found


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
