from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.sandbox import lifetime, process
from cdk8s_publish.sandbox.confinement import Confinement
from cdk8s_publish.sandbox.process import Command

if TYPE_CHECKING:
    from pathlib import Path

PATH = {"PATH": os.environ["PATH"]}
SECRET = "s3cr3t-Token/with+signs="


def within(folder: Path) -> Confinement:
    return Confinement().also(writable=[folder])


def run(script: str, cwd: Path, *, timeout_s: float = 30) -> tuple[process.Completed, list[str]]:
    lines: list[str] = []
    done = process.run(Command(("sh", "-c", script), cwd, PATH, timeout_s, within(cwd)), on_line=lines.append)
    return done, lines


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_run__relays_output_and_error_output_in_order(tmp_path: Path) -> None:
    done, lines = run("echo one; echo two >&2; printf three; exit 7", tmp_path)
    assert (done.returncode, done.timed_out) == (7, False)
    assert lines == ["one", "two", "three"] == list(done.excerpt)


def test_run__relays_each_line_as_it_comes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")

    def answer(line: str) -> None:
        if line == "ready":
            (tmp_path / "go").write_text("")

    script = "echo ready; cat go; echo done"
    done = process.run(Command(("sh", "-c", script), tmp_path, PATH, 30, within(tmp_path)), on_line=answer)
    assert done.excerpt == ("ready", "done")


def test_run__keeps_the_first_and_the_last_lines(tmp_path: Path) -> None:
    done, lines = run("seq 1000", tmp_path)
    assert len(lines) == 1000
    assert done.excerpt == (*map(str, range(1, 11)), "… 950 lines …", *map(str, range(961, 1001)))


def test_run__cuts_a_line_that_never_ends(tmp_path: Path) -> None:
    _, lines = run("head -c 1000000 /dev/zero | tr '\\0' x", tmp_path)
    assert "".join(lines) == "x" * 1_000_000
    assert max(map(len, lines)) <= process.LINE_LIMIT_BYTES


def test_run__replaces_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    _, lines = run(r"printf 'caf\351\n'", tmp_path)
    assert lines == ["caf\ufffd"]


def test_run__ends_the_whole_tree_when_time_is_up(tmp_path: Path) -> None:
    script = "sh -c 'echo $$; trap \"\" TERM; while :; do sleep 1; done' & setsid sh -c 'echo $$; sleep 60' & wait"
    start = time.monotonic()
    done, lines = run(script, tmp_path, timeout_s=1)
    assert done.timed_out
    assert time.monotonic() - start < 1 + lifetime.GRACE_S + 2
    assert len(lines) == 2
    assert not any(is_alive(int(line)) for line in lines)


def test_run__asks_a_program_to_end_before_it_is_killed(tmp_path: Path) -> None:
    done, lines = run("trap 'echo tidy; exit 3' TERM; sleep 60 & wait", tmp_path, timeout_s=0.5)
    assert (done.timed_out, done.returncode) == (True, 3)
    assert lines == []  # what is printed after the end of its time is not waited for


def test_run__ends_a_daemon_that_holds_the_output_open(tmp_path: Path) -> None:
    daemon = "import os,sys,time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); "
    daemon += (
        "print(os.getpid(), flush=True); [(print('still here', flush=True), time.sleep(.01)) for _ in range(9000)]"
    )
    start = time.monotonic()
    done, lines = run(f'{sys.executable} -c "{daemon}"; sleep 0.5', tmp_path)
    assert done.returncode == 0
    assert time.monotonic() - start < 5
    assert not is_alive(int(lines[0]))


def test_run__leaves_the_daemons_of_another_program_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    first_done = threading.Event()
    pids: list[int] = []

    def first() -> None:
        run("true", tmp_path)
        first_done.set()

    def on_line(line: str) -> None:
        pids.append(int(line))
        thread = threading.Thread(target=first)
        thread.start()
        assert first_done.wait(20)
        thread.join()
        assert is_alive(pids[0])
        (tmp_path / "go").write_text("")

    script = "(setsid sh -c 'echo $$; exec sleep 60' &) ; cat go"
    process.run(Command(("sh", "-c", script), tmp_path, PATH, 30, within(tmp_path)), on_line=on_line)
    assert not is_alive(pids[0])
    assert not lifetime.is_untrusted_code_running()


def test_run__ends_the_tree_when_we_are_interrupted(tmp_path: Path) -> None:
    pids: list[int] = []

    def on_line(line: str) -> None:
        pids.append(int(line))
        signal.raise_signal(signal.SIGINT)

    command = Command(("sh", "-c", "echo $$; sleep 60"), tmp_path, PATH, 60, within(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        process.run(command, on_line=on_line)
    assert not is_alive(pids[0])


def test_run__hides_the_environment_from_a_command_s_repr(tmp_path: Path) -> None:
    assert SECRET not in repr(Command(("true",), tmp_path, {"A": SECRET}, 1, within(tmp_path)))


def test_run__raises_when_there_is_no_such_program(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        process.run(Command(("no-such-program",), tmp_path, PATH, 1, within(tmp_path)), on_line=print)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_run__becomes_another_user_without_its_groups(tmp_path: Path) -> None:
    command = Command(("id",), tmp_path.parents[-1], PATH, 10, Confinement(), uid=1234, gid=1235)
    done = process.run(command, on_line=print)
    assert done.excerpt == ("uid=1234 gid=1235 groups=1235",)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc")
def test_protect_self__leaves_nothing_to_read_in_the_initial_environment(tmp_path: Path) -> None:
    program = (
        "import os, sys; from cdk8s_publish.sandbox.privileges import protect_self; "
        "before = open('/proc/self/environ').read(); protect_self(['INPUT_TOKEN', 'OTHER', 'ABSENT']); "
        "print('s3cr3t' in before, flush=True); sys.stdin.read()"
    )
    environ = {"A": "1", "INPUT_TOKEN": SECRET, "OTHER": SECRET, "Z": "kept", **PATH}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=environ, cwd=tmp_path, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        try:
            seen = (tmp_path / f"/proc/{process.pid}/environ").read_bytes()
        except PermissionError:  # not root: the kernel refuses all of it
            seen = b"A=1\0Z=kept\0"
        process.stdin.close()
    assert b"s3cr3t" not in seen
    assert b"A=1\0" in seen
    assert b"Z=kept" in seen
