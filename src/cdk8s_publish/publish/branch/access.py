"""Let git in to a remote: a token in a header, a key in a file that exists for one command, or the user's own way."""

from __future__ import annotations

import os
import shlex
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cdk8s_publish import programs
from cdk8s_publish.errors import InternalError
from cdk8s_publish.sandbox.lifetime import is_untrusted_code_running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cdk8s_publish.model import Remote

    Access = tuple[dict[str, str], list[tuple[str, str]]]


@contextmanager
def access(remote: Remote, folder: Path) -> Iterator[Access]:
    """Give the environment and the settings that let git in; a key file in `folder` exists only inside."""
    if (remote.token or remote.ssh_key) and is_untrusted_code_running():
        raise InternalError("A credential was about to be used while untrusted code runs.")
    if not remote.ssh_key:
        yield {}, _http_settings(remote)
        return
    key, hosts = folder / "ssh-key", folder / "ssh-known-hosts"
    try:
        descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            # Without the last line feed OpenSSH fails with "error in libcrypto"; so does it on CRLF.
            stream.write(remote.ssh_key.reveal().replace("\r\n", "\n").strip() + "\n")
        hosts.write_text(remote.ssh_known_hosts.rstrip("\n") + "\n")
        yield {"GIT_SSH_COMMAND": _ssh_command(key, hosts)}, _http_settings(remote)
    finally:
        key.unlink(missing_ok=True)
        hosts.unlink(missing_ok=True)


def basic_credential(remote: Remote) -> str:
    """Return `username:token` in base64, as HTTP basic authentication wants it. It is a secret too."""
    return b64encode(f"{remote.username}:{remote.token.reveal()}".encode()).decode()


def _http_settings(remote: Remote) -> list[tuple[str, str]]:
    if not remote.is_http:
        return []
    if not remote.token:
        return [("credential.username", remote.username)] if remote.username else []
    key = f"http.{remote.url}.extraHeader"
    return [
        ("credential.helper", ""),
        ("http.followRedirects", "false"),
        # An empty header first: what the user's own configuration adds would send a second Authorization.
        (key, ""),
        (key, f"Authorization: Basic {basic_credential(remote)}"),
    ]


def _ssh_command(key: Path, hosts: Path) -> str:
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "30",
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "ServerAliveInterval": "30",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(hosts),
    }
    words = [programs.resolve("ssh"), "-F", "/dev/null", "-i", str(key)]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    return shlex.join(words)
