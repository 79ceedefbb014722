"""Runs that are ended at a random moment: the branch is old or new, the checkout untouched, no secret left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.snapshots import Untouched

if TYPE_CHECKING:
    from pathlib import Path

    from support.git_ssh import GitSshServer
    from support.runner import Cli

KILLS = 200
KILLS_OVER_SSH = 40
SETTLE_TIMEOUT_S = 20


def app(number: int) -> str:
    """Return an app whose only manifest holds a number."""
    text = config_map("web", str(number)).decode().replace("\n", "\\n").replace('"', '\\"')
    return f'mkdir -p "$CDK8S_OUTDIR" && printf "{text}" >"$CDK8S_OUTDIR/web.yaml"'


def settle(group: int) -> None:
    """Wait until every process of a run is gone, its janitor included."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            # Orphans come to us where a test in this process has made it a subreaper; a zombie would count for ever.
            with suppress(ChildProcessError):
                os.waitpid(-group, os.WNOHANG)
            os.killpg(group, 0)
            time.sleep(0.01)
    assert time.monotonic() < deadline, "processes of a run that was ended are still there"


def ended(process: subprocess.Popen[str], delay: float, number: signal.Signals, *, is_group: bool) -> None:
    """Let a run go on for a while, then send it a signal, and wait until all its processes are gone."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=delay)
    with suppress(ProcessLookupError):
        if is_group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    process.communicate(timeout=SETTLE_TIMEOUT_S)
    settle(process.pid)


@pytest.mark.slow
def test_kill__at_any_moment_leaves_the_branch_old_or_new(checkout: Checkout, cli: Cli) -> None:
    """The whole group is killed every fourth time: then nothing of ours lives to clean up, as on a lost machine."""
    # The slowest of a few: on a busy machine one run alone says little, and the last moments must be reached too.
    duration, chance = max(lasted(cli, checkout) for _ in range(5)), random.Random(20261122)  # noqa: S311 - a test that can be repeated
    guard, held = Untouched(checkout.path, cli.home), 0
    outcomes = {"old": 0, "new": 0}
    for number in range(1, KILLS + 1):
        if number % 20 == 0:  # the other tests may keep the machine busier than when this one began
            duration, held = max(duration, lasted(cli, checkout)), 0
        process = cli.start("--install", "none", "--app", app(number), cwd=checkout.path)
        is_group = number % 4 == 0
        ended(process, chance.uniform(0, 1.2 * duration), signal.SIGKILL, is_group=is_group)
        web = checkout.origin.files("manifests")["dist/web.yaml"]
        assert web in {config_map("web", str(held)), config_map("web", str(number))}
        outcomes["new" if web == config_map("web", str(number)) else "old"] += 1
        held = number if web == config_map("web", str(number)) else held
        if is_group:
            discard(cli)
            # The server's half of the push was in the group, too; its locks are for whoever restarts it to remove.
            for lock in checkout.origin.path.rglob("*.lock"):
                lock.unlink()
        assert cli.left_behind() == []
    guard.check()
    checkout.origin.fsck()
    assert min(outcomes.values()) > KILLS / 20, f"the kills were not spread over the run: {outcomes}"
    cli.run("--install", "none", "--app", app(KILLS + 1), cwd=checkout.path).ok()


def lasted(cli: Cli, checkout: Checkout) -> float:
    """Publish the first state and return how long that took."""
    start = time.monotonic()
    cli.run("--install", "none", "--app", app(0), cwd=checkout.path).ok()
    return time.monotonic() - start


def discard(cli: Cli) -> None:
    """Take away what a run without a chance left behind; nobody else can have read it."""
    for folder in cli.tmp.iterdir():
        assert folder.stat().st_mode & 0o77 == 0, f"{folder} can be read by others"
        subprocess.run(("rm", "-rf", folder), check=True, timeout=60)


@pytest.mark.slow
@pytest.mark.server
def test_kill__leaves_no_key_on_the_disk(checkout: Checkout, cli: Cli, ssh_server: GitSshServer) -> None:
    checkout.git("remote", "set-url", "origin", ssh_server.url(checkout.origin.path))
    environ = {"INPUT_SSH-KEY": ssh_server.deploy_key, "INPUT_SSH-KNOWN-HOSTS": ssh_server.known_hosts}
    start = time.monotonic()
    cli.run("--install", "none", "--app", app(0), cwd=checkout.path, **environ).ok()
    duration, chance = time.monotonic() - start, random.Random(20261122)  # noqa: S311 - a test that can be repeated
    for number in range(1, KILLS_OVER_SSH + 1):
        process = cli.start("--install", "none", "--app", app(number), cwd=checkout.path, **environ)
        ended(process, chance.uniform(0, 1.1 * duration), signal.SIGKILL, is_group=False)
        assert cli.left_behind() == []
    checkout.origin.fsck()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal__ends_the_run_with_everything_it_started(
    checkout: Checkout, cli: Cli, tmp_path: Path, number: signal.Signals
) -> None:
    guard, refs = Untouched(checkout.path, cli.home), checkout.origin.refs()
    begin = tmp_path / "begin"  # an app may read what is not secret, and write nowhere but to what is its own
    os.mkfifo(begin)
    process = cli.start("--install=none", f"--app=read -r _ <{begin}; sleep 600 & sleep 600", cwd=checkout.path)
    begin.write_text("\n")
    process.send_signal(number)
    done = cli.finish(process).exits(130)
    assert number.name in done.text
    assert "Traceback" not in done.text
    settle(process.pid)
    guard.check()
    assert checkout.origin.refs() == refs
    assert cli.left_behind() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal__during_the_push_says_what_the_branch_holds(
    checkout: Checkout, cli: Cli, tmp_path: Path, number: signal.Signals
) -> None:
    """The server waits in its hook until the signal has been sent: the push is on its way and can't be called back."""
    started, release = tmp_path / "started", tmp_path / "release"
    os.mkfifo(started)
    os.mkfifo(release)
    checkout.origin.hook("pre-receive", f"echo >{started}; cat {release} >/dev/null\n")
    process = cli.start("--install", "none", cwd=checkout.path)
    started.read_text()
    process.send_signal(number)
    release.write_text("")
    done = cli.finish(process)
    settle(process.pid)
    tip = checkout.origin.tip("manifests")
    assert done.code in {0, 130}
    assert (done.code == 0) <= (tip is not None)
    assert "Traceback" not in done.text
    assert cli.left_behind() == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal__at_any_moment_ends_in_130_or_success(checkout: Checkout, cli: Cli, number: signal.Signals) -> None:
    start = time.monotonic()
    cli.run("--install", "none", "--app", app(0), cwd=checkout.path).ok()
    duration, chance = time.monotonic() - start, random.Random(20261122)  # noqa: S311 - a test that can be repeated
    for turn in range(1, 31):
        process = cli.start("--install", "none", "--app", app(turn), cwd=checkout.path)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0.2 * duration, 1.1 * duration))
        process.send_signal(number)
        done = cli.finish(process)
        assert done.code in {0, 130, -number}, done.text
        if done.code != -number:  # before our first line of Python there is nobody to catch it
            assert "Traceback" not in done.text
        settle(process.pid)
        assert cli.left_behind() == []
