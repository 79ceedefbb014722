"""A real server behind a proxy that breaks requests: the branch is old or new, and the run says which."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.git_http import TOKEN, GitHttpServer
from support.programs import run
from support.proxy import ANY, LOOK, PUSH, FaultProxy
from support.snapshots import Untouched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.runner import Cli, Result

pytestmark = pytest.mark.server
RUN = ("run", "--install", "none")


@pytest.fixture
def behind_proxy(checkout: Checkout, http_server: GitHttpServer, proxy: FaultProxy, cli: Cli) -> Checkout:
    """Return a checkout that has published once and whose next publish goes through the proxy."""
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.git("remote", "set-url", "origin", proxy.url(http_server.url(checkout.origin.path)))
    checkout.render({"web.yaml": config_map("web", "2"), "db.yaml": config_map("db")}, "Next")
    return checkout


def publish(cli: Cli, checkout: Checkout, *args: str) -> Result:
    """Run with the token and prove that checkout and home stay as they are."""
    guard = Untouched(checkout.path, cli.home)
    done = cli.run(*RUN, *args, cwd=checkout.path, INPUT_TOKEN=TOKEN)
    guard.check()
    assert cli.left_behind() == []
    assert TOKEN not in done.text
    assert "Traceback" not in done.text
    return done


def is_new(checkout: Checkout) -> bool:
    """Whether the branch holds the new state; it must hold the old one otherwise."""
    checkout.origin.fsck()
    held = checkout.origin.files("manifests")["dist/web.yaml"]
    assert held in {config_map("web"), config_map("web", "2")}
    return held == config_map("web", "2")


@pytest.mark.parametrize("fault", ["cut-before", "cut-middle", "cut-after", "reject-after"])
@pytest.mark.parametrize("keep_alive", [False, True], ids=["close", "keep-alive"])
def test_push__that_is_cut_once_arrives(
    behind_proxy: Checkout, cli: Cli, proxy: FaultProxy, fault: str, *, keep_alive: bool
) -> None:
    if keep_alive:
        proxy.keep_alive()
    proxy.inject(fault, PUSH)
    done = publish(cli, behind_proxy).ok()
    assert proxy.faults() == [fault]
    assert "published" in done.stdout.lower()
    assert is_new(behind_proxy)
    assert behind_proxy.origin.log("manifests") == ["Next"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["cut-before", "cut-middle"])
def test_push__that_is_cut_every_time_fails_and_changes_nothing(
    behind_proxy: Checkout, cli: Cli, proxy: FaultProxy, fault: str
) -> None:
    proxy.inject(fault, PUSH, times=100)
    done = publish(cli, behind_proxy).exits(5)
    assert "connection" in done.text
    assert len(proxy.faults()) >= 2, "it should have tried again"
    assert not is_new(behind_proxy)


def test_push__whose_answer_is_lost_every_time_is_reported_as_published(
    behind_proxy: Checkout, cli: Cli, proxy: FaultProxy
) -> None:
    proxy.inject("cut-after", PUSH, times=100)
    publish(cli, behind_proxy).ok()
    assert is_new(behind_proxy)


@pytest.mark.slow
@pytest.mark.parametrize("match", [LOOK, PUSH], ids=["look", "push"])
def test_throttling__is_waited_for_as_long_as_the_server_says(
    behind_proxy: Checkout, cli: Cli, proxy: FaultProxy, match: str
) -> None:
    proxy.inject("throttle", match, seconds="4")
    publish(cli, behind_proxy).ok()
    assert is_new(behind_proxy)
    (start,) = (float(request["time"]) for request in proxy.seen() if request["fault"])
    within = [request for request in proxy.seen() if start <= float(request["time"]) < start + 4]
    assert len(within) <= 2 + (match == PUSH), "one question for how long to wait, and one for what the branch holds"


@pytest.mark.parametrize("match", [LOOK, PUSH], ids=["look", "push"])
def test_unavailable__is_tried_again_and_then_reported(
    behind_proxy: Checkout, cli: Cli, proxy: FaultProxy, match: str
) -> None:
    proxy.inject("status", match, times=1, status="503")
    publish(cli, behind_proxy).ok()
    assert is_new(behind_proxy)


@pytest.mark.slow
def test_unavailable__for_good_is_no_first_publish(behind_proxy: Checkout, cli: Cli, proxy: FaultProxy) -> None:
    proxy.inject("status", ANY, times=100, status="503")
    assert "503" in publish(cli, behind_proxy).exits(5).text
    assert not is_new(behind_proxy)


@pytest.mark.parametrize("match", [LOOK, PUSH], ids=["look", "push"])
def test_login_page__is_an_error_that_names_the_redirect(
    behind_proxy: Checkout, cli: Cli, proxy: FaultProxy, match: str
) -> None:
    proxy.inject("login", match, times=100)
    assert "redirect" in publish(cli, behind_proxy).exits(5).text
    assert not is_new(behind_proxy)
    assert not [request for request in proxy.seen() if request["path"].startswith("/login")]


def test_certificate__of_an_unknown_authority_is_refused_until_trusted(
    checkout: Checkout, cli: Cli, https_server: GitHttpServer
) -> None:
    checkout.git("remote", "set-url", "origin", https_server.url(checkout.origin.path))
    done = cli.run(*RUN, cwd=checkout.path, INPUT_TOKEN=TOKEN).exits(5)
    assert "certificate" in done.text
    assert checkout.origin.tip("manifests") is None
    assert https_server.requests() == []
    trusted = str(https_server.certificate)
    cli.run(*RUN, cwd=checkout.path, INPUT_TOKEN=TOKEN, GIT_SSL_CAINFO=trusted).ok()
    assert checkout.origin.tip("manifests")


@pytest.mark.parametrize("room_kib", [64, 300, 500, 700])
def test_disk__that_fills_up_changes_nothing(checkout: Checkout, cli: Cli, tmp_path: Path, room_kib: int) -> None:
    checkout.render({f"{number}.yaml": config_map(f"c-{number}", os.urandom(4000).hex()) for number in range(100)})
    small = tmp_path / "small"
    small.mkdir()
    with mounted("-t", "tmpfs", "-o", f"size={room_kib}k", "tmpfs", small):
        done = cli.run(*RUN, cwd=checkout.path, TMPDIR=str(small))
        left = sorted(path.name for path in small.iterdir())
    assert done.code != 0
    assert "space" in done.text.lower()
    assert "Traceback" not in done.text
    assert left == []
    assert set(checkout.origin.refs()) == {"refs/heads/main"}


def test_file_size_limit__changes_nothing(checkout: Checkout, cli: Cli) -> None:
    checkout.render({"big.yaml": config_map("big", os.urandom(400_000).hex())})
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, previous[1]))
    try:
        done = cli.run(*RUN, cwd=checkout.path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)
    assert done.code != 0
    assert set(checkout.origin.refs()) == {"refs/heads/main"}
    assert cli.left_behind() == []


def test_workspace__that_is_read_only_publishes_all_the_same(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    workspace = tmp_path / "read-only"
    workspace.mkdir()
    with mounted("--bind", checkout.path, workspace):
        run("mount", "-o", "remount,bind,ro", workspace)
        cli.run(*RUN, cwd=workspace).ok()
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web")


@contextlib.contextmanager
def mounted(*arguments: str | Path) -> Iterator[None]:
    """Mount something on the last argument; skip the test where that is not allowed, as in most containers."""
    done = subprocess.run(("mount", *arguments), capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        run("umount", arguments[-1])
