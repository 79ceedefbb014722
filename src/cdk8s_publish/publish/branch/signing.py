"""Sign a commit with an OpenPGP or SSH key, so that `git verify-commit` and `spec.verify` of Flux accept it.

Which commits the key has signed is told by the key itself: no list of people who may sign is asked.

A signature covers the commit object without its `gpgsig` header (git's gitformat-signature(5)). We write that object
ourselves, so the tools are asked for a detached signature and see no configuration of the user. The key is on disk
only while its tool runs, in a folder that nobody else can read, and a passphrase is never an argument.
"""

from __future__ import annotations

import os
import re
import subprocess
from base64 import b64decode
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cdk8s_publish import programs
from cdk8s_publish.errors import InputError
from cdk8s_publish.model import Secret
from cdk8s_publish.sandbox.scratch import scratch_folder, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TIMEOUT_S = 60
_OPENPGP_MARK = "BEGIN PGP PRIVATE KEY BLOCK"
_SSH_MARK = "PRIVATE KEY-----"
_PASSPHRASE_VARIABLE = "SIGNING_PASSPHRASE"  # noqa: S105  # the name of a variable
_SIGNATURE = re.compile(rb"\ngpgsig (.*(?:\n .*)*)")
"""The header; a line feed in its value is followed by a space."""


class Signer(NamedTuple):
    """A private key, armored as its tool exports it, and the passphrase that opens it (may be empty).

    `environ` is what its tool runs with.
    """

    key: Secret
    passphrase: Secret
    environ: Mapping[str, str]

    def __repr__(self) -> str:
        """Leave the environment out: it may say more than a log should."""
        return f"{type(self).__name__}({self.key})"

    def sign(self, commit: bytes) -> bytes:
        """Return a commit object, which has no signature yet, with the one of this key.

        Raises:
            InputError: the key can't be used, with what its tool said.

        """
        with _opened(self) as tool:
            signature = tool.sign(commit)
        head, separator, message = commit.partition(b"\n\n")
        lines = signature.rstrip("\n").replace("\n", "\n ").encode()
        return head + b"\ngpgsig " + lines + separator + message

    def has_signed(self, commits: Sequence[bytes]) -> bool:
        """Whether every one of these commit objects carries a good signature of this key.

        Raises:
            InputError: the key can't be used, with what its tool said.

        """
        parts = [_signature_of(commit) for commit in commits]
        if not all(signature for _, signature in parts):
            return False
        with _opened(self) as tool:
            return all(tool.accepts(content, signature) for content, signature in parts)


class _Tool(Protocol):
    """A program that holds the key."""

    def sign(self, content: bytes) -> str: ...
    def accepts(self, content: bytes, signature: bytes) -> bool: ...


def armored(secret: Secret, name: str) -> Secret:
    """Return a private key as text with line feeds; one line of base64 is accepted, as masked variables need it.

    Raises:
        InputError: it is no private key. The text itself is not shown.

    """
    text = secret.reveal().replace("\r\n", "\n").strip()
    if text and "-----" not in text:
        try:
            text = b64decode(text, validate=True).decode().strip()
        except ValueError:
            text = ""
    if secret and _OPENPGP_MARK not in text and _SSH_MARK not in text:
        raise InputError(
            f"Input `{name}`: the value given is not a private key.",
            hint="Paste the whole key, from `-----BEGIN` to `END …-----`, or the same text in base64.",
        )
    return Secret(text + "\n" if text else "")


def _signature_of(commit: bytes) -> tuple[bytes, bytes]:
    """Return what the signature of a commit object covers, and the signature; it is empty where there is none."""
    head, separator, message = commit.partition(b"\n\n")
    found = _SIGNATURE.search(head)
    if not found:
        return commit, b""
    content = head[: found.start()] + head[found.end() :] + separator + message
    return content, found[1].replace(b"\n ", b"\n") + b"\n"


@contextmanager
def _opened(signer: Signer) -> Iterator[_Tool]:
    """Give the tool of a key, which is on disk inside only."""
    # A socket's path may be 108 bytes long, and gpg's agent puts one into this folder: keep it short.
    base = Path("/tmp") if os.access("/tmp", os.W_OK) else temporary_folder(signer.environ)  # noqa: S108
    with scratch_folder(base) as private:
        if _OPENPGP_MARK not in signer.key.reveal():
            yield _Ssh(signer, private.path)
            return
        tool = _OpenPgp(signer, private.path)
        try:
            yield tool
        finally:
            tool.close()


class _OpenPgp:
    """GnuPG with a keyring that holds this key alone."""

    def __init__(self, signer: Signer, folder: Path) -> None:
        self._signer, self._folder = signer, folder
        self._env = {**signer.environ, "GNUPGHOME": str(folder)}
        self._gpg = (programs.resolve("gpg"), "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback")
        self._has_key = False

    def sign(self, content: bytes) -> str:
        self._import()
        document = self._folder / "commit"
        document.write_bytes(content)
        # A passphrase is asked for by `sign` alone, and then comes as the first line of standard input.
        passphrase = self._signer.passphrase.reveal().encode() + b"\n"
        options = ("--passphrase-fd", "0", "--armor", "--detach-sign", "--output", "-")
        return _run((*self._gpg, *options, str(document)), passphrase, self._env)

    def accepts(self, content: bytes, signature: bytes) -> bool:
        self._import()
        document, detached = self._folder / "commit", self._folder / "signature"
        document.write_bytes(content)
        detached.write_bytes(signature)
        options = ("--no-auto-key-retrieve", "--status-fd", "1", "--verify")
        done = _ask((*self._gpg, *options, str(detached), str(document)), b"", self._env)
        return done.returncode == 0 and b"\n[GNUPG:] VALIDSIG " in b"\n" + done.stdout

    def close(self) -> None:
        """End the agent."""
        _ask((programs.resolve("gpgconf"), "--kill", "all"), b"", self._env)

    def _import(self) -> None:
        if not self._has_key:
            _run((*self._gpg, "--import"), self._signer.key.reveal().encode(), self._env)
            self._has_key = True


class _Ssh:
    """ssh-keygen with this key in a file."""

    def __init__(self, signer: Signer, folder: Path) -> None:
        self._folder, self._key = folder, folder / "key"
        self._keygen, self._public = programs.resolve("ssh-keygen"), ""
        ask = folder / "ask"
        self._key.touch(0o600)
        self._key.write_text(signer.key.reveal())
        ask.touch(0o700)
        ask.write_text(f'#!/bin/sh\nprintf "%s\\n" "${_PASSPHRASE_VARIABLE}"\n')
        self._env = {
            **signer.environ,
            "SSH_ASKPASS": str(ask),
            "SSH_ASKPASS_REQUIRE": "force",
            _PASSPHRASE_VARIABLE: signer.passphrase.reveal(),
        }

    def sign(self, content: bytes) -> str:
        return _run((self._keygen, "-Y", "sign", "-n", "git", "-f", str(self._key)), content, self._env)

    def accepts(self, content: bytes, signature: bytes) -> bool:
        self._public = self._public or _run((self._keygen, "-y", "-f", str(self._key)), b"", self._env)
        allowed, detached = self._folder / "allowed", self._folder / "signature"
        allowed.write_text(f"signer {self._public}")
        detached.write_bytes(signature)
        options = ("-n", "git", "-I", "signer", "-f", str(allowed), "-s", str(detached))
        return _ask((self._keygen, "-Y", "verify", *options), content, self._env).returncode == 0


def _run(argv: Sequence[str], stdin: bytes, env: Mapping[str, str]) -> str:
    done = _ask(argv, stdin, env)
    if done.returncode:
        raise InputError(
            "Input `signing-key`: the key can't sign.",
            evidence=done.stderr.decode("utf-8", "replace"),
            hint="Check the key and `signing-passphrase`.",
        )
    return done.stdout.decode()


def _ask(argv: Sequence[str], stdin: bytes, env: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, input=stdin, env=env, check=False, capture_output=True, timeout=_TIMEOUT_S)
