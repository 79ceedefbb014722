"""The test bench itself: a server that can't refuse or a fault that never happens would prove nothing."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.git_http import TOKEN, GitHttpServer
from support.programs import program
from support.proxy import LOOK, PUSH, FaultProxy
from support.remotes import GIT_ENV, Remote
from support.snapshots import Untouched

if TYPE_CHECKING:
    from pathlib import Path

    from support.git_ssh import GitSshServer

pytestmark = pytest.mark.server


def attempt(*args: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("git", *args), cwd=cwd, env={**GIT_ENV, **env}, capture_output=True, text=True, check=False, timeout=60
    )


def with_token(url: str, token: str = TOKEN, user: str = "git") -> str:
    return url.replace("://", f"://{user}:{token}@")


def test_http_server__takes_a_push_only_with_the_token(
    checkout: Checkout, remote: Remote, http_server: GitHttpServer
) -> None:
    url = http_server.url(remote.path)
    for address in (url, with_token(url, "wrong")):
        refused = attempt("push", address, "HEAD:main", cwd=checkout.path)
        assert refused.returncode
        assert remote.tip("main") is None
    assert http_server.requests() == []
    assert attempt("push", with_token(url), "HEAD:main", cwd=checkout.path).returncode == 0
    assert remote.tip("main") == checkout.sha
    assert len(http_server.pushes()) == 1


def test_http_server__speaks_with_the_hooks_of_the_repository(
    checkout: Checkout, remote: Remote, http_server: GitHttpServer
) -> None:
    remote.protect("main")
    done = attempt("push", with_token(http_server.url(remote.path)), "HEAD:main", "HEAD:x", cwd=checkout.path)
    assert "GH006: Protected branch update failed for refs/heads/main" in done.stderr
    assert remote.refs() == {}


def test_https_server__is_trusted_through_its_own_authority_only(
    checkout: Checkout, https_server: GitHttpServer
) -> None:
    url = with_token(https_server.url(checkout.origin.path))
    assert "certificate" in attempt("ls-remote", url, cwd=checkout.path).stderr
    done = attempt("ls-remote", url, cwd=checkout.path, GIT_SSL_CAINFO=str(https_server.certificate))
    assert checkout.sha in done.stdout


def ssh_command(server: GitSshServer, key: str, known_hosts: str) -> str:
    key_file, hosts = server.folder / "client_key", server.folder / "client_hosts"
    key_file.touch(0o600)
    key_file.write_text(key)
    hosts.write_text(known_hosts)
    options = f"-F none -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={hosts}"
    return f"{program('ssh')} {options} -i {key_file}"


def test_ssh_server__tells_its_keys_apart(checkout: Checkout, remote: Remote, ssh_server: GitSshServer) -> None:
    url = ssh_server.url(remote.path)
    reader = ssh_command(ssh_server, ssh_server.read_only_key, ssh_server.known_hosts)
    assert attempt("ls-remote", url, cwd=checkout.path, GIT_SSH_COMMAND=reader).returncode == 0
    refused = attempt("push", url, "HEAD:main", cwd=checkout.path, GIT_SSH_COMMAND=reader)
    assert "marked as read only" in refused.stderr
    assert remote.refs() == {}
    writer = ssh_command(ssh_server, ssh_server.deploy_key, ssh_server.known_hosts)
    assert attempt("push", url, "HEAD:main", cwd=checkout.path, GIT_SSH_COMMAND=writer).returncode == 0
    assert remote.tip("main") == checkout.sha
    assert [line.split()[0] for line in ssh_server.commands()] == ["read-only", "read-only", "read-write"]


def test_ssh_server__can_change_its_host_key(checkout: Checkout, remote: Remote, ssh_server: GitSshServer) -> None:
    command = ssh_command(ssh_server, ssh_server.deploy_key, ssh_server.known_hosts)
    ssh_server.change_host_key()
    refused = attempt("ls-remote", ssh_server.url(remote.path), cwd=checkout.path, GIT_SSH_COMMAND=command)
    assert "IDENTIFICATION HAS CHANGED" in refused.stderr


@pytest.mark.parametrize(
    ("fault", "served", "words"),
    [
        ("", 1, "new branch"),
        ("cut-before", 0, "Empty reply|hung up"),
        ("cut-middle", 1, "Empty reply|hung up"),
        ("cut-after", 1, "Empty reply|hung up"),
        ("reject-after", 1, "HTTP 500"),
        ("login", 0, "HTTP 302"),
    ],
)
def test_proxy__breaks_the_push_as_told(
    checkout: Checkout, http_server: GitHttpServer, proxy: FaultProxy, fault: str, served: int, words: str
) -> None:
    if fault:
        proxy.inject(fault, PUSH)
    address = with_token(proxy.url(http_server.url(checkout.origin.path)))
    done = attempt("push", address, "HEAD:new", cwd=checkout.path)
    assert (done.returncode == 0) is (not fault)
    assert re.search(words, done.stderr), done.stderr
    assert proxy.faults() == ([fault] if fault else [])
    assert http_server.has_seen_pushes(served)
    assert (checkout.origin.tip("new") is not None) is (fault in {"", "cut-after", "reject-after"})


def test_proxy__lets_curl_repeat_a_cut_push_where_connections_are_kept(
    checkout: Checkout, http_server: GitHttpServer, proxy: FaultProxy
) -> None:
    proxy.keep_alive()
    proxy.inject("cut-after", PUSH)
    address = with_token(proxy.url(http_server.url(checkout.origin.path)))
    done = attempt("push", address, "HEAD:new", cwd=checkout.path)
    assert done.returncode
    assert len(http_server.pushes()) == 2
    assert checkout.origin.tip("new") == checkout.sha


def test_proxy__answers_for_the_provider_as_often_as_told(
    checkout: Checkout, http_server: GitHttpServer, proxy: FaultProxy
) -> None:
    url = with_token(proxy.url(http_server.url(checkout.origin.path)))
    proxy.inject("status", LOOK, times=2, status="503")
    codes = [attempt("ls-remote", url, cwd=checkout.path).returncode for _ in range(3)]
    assert codes == [128, 128, 0]


def test_untouched__notices_a_byte_a_mode_a_time_and_a_file(checkout: Checkout) -> None:
    target = checkout.path / "cdk8s.yaml"
    for touch in (
        lambda: target.write_bytes(target.read_bytes() + b" "),
        lambda: target.chmod(0o640),
        target.touch,
        (checkout.path / ".git" / "new").touch,
    ):
        guard = Untouched(checkout.path)
        guard.check()
        touch()
        with pytest.raises(AssertionError, match=r"cdk8s\.yaml|new"):
            guard.check()


def test_remote__reads_what_a_clone_with_default_settings_reads(checkout: Checkout, tmp_path: Path) -> None:
    checkout.render({"a/b.yaml": config_map("x"), "crlf.txt": b"a\r\nb\r\n", "empty": b""})
    clone = checkout.origin.clone(tmp_path / "clone", "main")
    for name, content in checkout.origin.files("main").items():
        assert (clone / name).read_bytes() == content
