"""OpenSSH's server on loopback: a deploy key that may write, one that may only read, a host key that can change."""

from __future__ import annotations

import contextlib
import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.programs import LOOPBACK, free_port, program, run, server

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """
ListenAddress {host}
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
LogLevel VERBOSE
"""
# What the server runs whatever the client asks for: only git, and for the read-only key only reading. The words are
# GitHub's.
COMMAND = """#!/bin/sh
printf '%s %s\\n' "$1" "$SSH_ORIGINAL_COMMAND" >>'{folder}/commands.log'
export HOME='{folder}' GIT_CONFIG_NOSYSTEM=1
case "$1 $SSH_ORIGINAL_COMMAND" in
"read-only git-receive-pack "*)
    echo "ERROR: The key you are authenticating with has been marked as read only." >&2
    exit 1 ;;
*" git-upload-pack "* | *" git-receive-pack "*) exec git-shell -c "$SSH_ORIGINAL_COMMAND" ;;
esac
exit 1
"""


@dataclass(frozen=True)
class GitSshServer:
    """The server's address and the keys that fit; `known_hosts` is the line a user would pin."""

    folder: Path
    port: int

    @property
    def deploy_key(self) -> str:
        """Private key that may write."""
        return (self.folder / "read-write").read_text()

    @property
    def read_only_key(self) -> str:
        """Private key that may only read."""
        return (self.folder / "read-only").read_text()

    @property
    def known_hosts(self) -> str:
        """The `known_hosts` line of the host key in use."""
        kind, key, *_ = (self.folder / "host_key.pub").read_text().split()
        return f"[{LOOPBACK}]:{self.port} {kind} {key}\n"

    def url(self, repository: Path) -> str:
        """Return the address of a repository on this machine."""
        return f"ssh://{getpass.getuser()}@{LOOPBACK}:{self.port}{repository}"

    def commands(self) -> list[str]:
        """Return `<key> <command>` of every session, in order."""
        log = self.folder / "commands.log"
        return log.read_text().splitlines() if log.exists() else []

    def change_host_key(self) -> None:
        """Make a new host key; sshd reads it for every connection it forks, so no restart is needed."""
        make_key(self.folder / "host_key")


@contextlib.contextmanager
def git_ssh_server(folder: Path) -> Iterator[GitSshServer]:
    """Serve the repositories of this machine over SSH; `folder` holds the server's own files."""
    folder.mkdir(parents=True)
    port = free_port()
    (folder / "sshd_config").write_text(CONFIG.format(host=LOOPBACK, port=port, folder=folder))
    command = folder / "command"
    command.write_text(COMMAND.format(folder=folder))
    command.chmod(0o755)
    make_key(folder / "host_key")
    lines = []
    for role in ("read-write", "read-only"):
        make_key(folder / role)
        lines.append(f'restrict,command="{command} {role}" {(folder / f"{role}.pub").read_text()}')
    (folder / "authorized_keys").write_text("".join(lines))
    if getpass.getuser() == "root":
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd separates its privileges; Debian makes it at boot
    with server((program("sshd"), "-D", "-e", "-f", folder / "sshd_config"), port, folder / "server.log"):
        yield GitSshServer(folder, port)


def make_key(path: Path) -> None:
    """Make an Ed25519 key pair without a passphrase, in place of the one that may be there."""
    path.unlink(missing_ok=True)
    run(program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path)
