"""Deploy keys over a real SSH server: strict host keys, keys as people paste them, nothing left on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.snapshots import Untouched

if TYPE_CHECKING:
    from support.git_ssh import GitSshServer
    from support.runner import Cli, Result

pytestmark = pytest.mark.server


def publish(cli: Cli, checkout: Checkout, server: GitSshServer, key: str, known_hosts: str) -> Result:
    """Publish over SSH with a key from the environment, as CI products hand it over."""
    checkout.git("remote", "set-url", "origin", server.url(checkout.origin.path))
    guard = Untouched(checkout.path, cli.home)
    environ = {"INPUT_SSH-KEY": key, "INPUT_SSH-KNOWN-HOSTS": known_hosts}
    done = cli.run("--install", "none", cwd=checkout.path, **environ)
    guard.check()
    assert cli.left_behind() == []
    assert key.strip().splitlines()[2] not in done.text
    return done


@pytest.mark.parametrize("form", ["{}", "{stripped}", "{stripped}\n\n", "{crlf}"])
def test_ssh__publishes_with_a_key_however_it_was_pasted(
    checkout: Checkout, cli: Cli, ssh_server: GitSshServer, form: str
) -> None:
    key = ssh_server.deploy_key
    pasted = form.format(key, stripped=key.strip(), crlf=key.replace("\n", "\r\n"))
    publish(cli, checkout, ssh_server, pasted, ssh_server.known_hosts).ok()
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web")
    assert {line.split()[0] for line in ssh_server.commands()} == {"read-write"}


def test_ssh__read_only_key_is_refused_in_the_servers_words(
    checkout: Checkout, cli: Cli, ssh_server: GitSshServer
) -> None:
    done = publish(cli, checkout, ssh_server, ssh_server.read_only_key, ssh_server.known_hosts).exits(5)
    assert "read only" in done.text
    assert checkout.origin.tip("manifests") is None


def test_ssh__unknown_host_is_refused(checkout: Checkout, cli: Cli, ssh_server: GitSshServer) -> None:
    done = publish(cli, checkout, ssh_server, ssh_server.deploy_key, "").exits(5)
    assert "ssh-known-hosts" in done.text
    assert ssh_server.commands() == []


def test_ssh__changed_host_key_is_refused(checkout: Checkout, cli: Cli, ssh_server: GitSshServer) -> None:
    pinned = ssh_server.known_hosts
    ssh_server.change_host_key()
    done = publish(cli, checkout, ssh_server, ssh_server.deploy_key, pinned).exits(5)
    assert "host key" in done.text
    assert ssh_server.commands() == []


def test_ssh__text_that_is_no_key_is_refused(checkout: Checkout, cli: Cli, ssh_server: GitSshServer) -> None:
    nonsense = "-----BEGIN OPENSSH PRIVATE KEY-----\nnot\nbase64-at-all-really\n-----END OPENSSH PRIVATE KEY-----\n"
    done = publish(cli, checkout, ssh_server, nonsense, ssh_server.known_hosts)
    assert done.code in {2, 5}
    assert "ssh-key" in done.text
    assert ssh_server.commands() == []
