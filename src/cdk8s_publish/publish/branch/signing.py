"""Sign a commit with an OpenPGP or SSH key, so that `git verify-commit` and `spec.verify` of Flux accept it.

A signature covers the commit object without its `gpgsig` header (git's gitformat-signature(5)). We write that object
ourselves, so the tools are asked for a detached signature and see no configuration of the user. The key is on disk
only while its tool runs, in a folder that nobody else can read, and a passphrase is never an argument.
"""

from __future__ import annotations

import os
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish import programs
from cdk8s_publish.errors import InputError
from cdk8s_publish.model import Secret
from cdk8s_publish.sandbox.scratch import scratch_folder, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TIMEOUT_S = 60
_OPENPGP_MARK = "BEGIN PGP PRIVATE KEY BLOCK"
_SSH_MARK = "PRIVATE KEY-----"
_PASSPHRASE_VARIABLE = "SIGNING_PASSPHRASE"  # noqa: S105  # the name of a variable


class SigningKey(NamedTuple):
    """A private key, armored as its tool exports it, and the passphrase that opens it (may be empty)."""

    key: Secret
    passphrase: Secret


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


def sign(content: bytes, signer: SigningKey, environ: Mapping[str, str]) -> str:
    """Return the armored signature of `content`.

    Raises:
        InputError: the key can't be used, with what its tool said.

    """
    # A socket's path may be 108 bytes long, and gpg's agent puts one into this folder: keep it short.
    base = Path("/tmp") if os.access("/tmp", os.W_OK) else temporary_folder(environ)  # noqa: S108
    with scratch_folder(base) as private:
        if _OPENPGP_MARK in signer.key.reveal():
            return _sign_openpgp(content, signer, private.path, environ)
        return _sign_ssh(content, signer, private.path, environ)


def _sign_openpgp(content: bytes, signer: SigningKey, folder: Path, environ: Mapping[str, str]) -> str:
    env = {**environ, "GNUPGHOME": str(folder)}
    gpg = (programs.resolve("gpg"), "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback")
    passphrase = signer.passphrase.reveal().encode() + b"\n"
    document = folder / "commit"
    document.write_bytes(content)
    try:
        # A passphrase is asked for by `sign` alone, and then comes as the first line of standard input.
        _run((*gpg, "--import"), signer.key.reveal().encode(), env)
        options = ("--passphrase-fd", "0", "--armor", "--detach-sign", "--output", "-")
        return _run((*gpg, *options, str(document)), passphrase, env)
    finally:
        subprocess.run(
            (programs.resolve("gpgconf"), "--kill", "all"),
            env=env,
            check=False,
            capture_output=True,
            timeout=_TIMEOUT_S,
        )


def _sign_ssh(content: bytes, signer: SigningKey, folder: Path, environ: Mapping[str, str]) -> str:
    key, ask = folder / "key", folder / "ask"
    key.touch(0o600)
    key.write_text(signer.key.reveal())
    ask.touch(0o700)
    ask.write_text(f'#!/bin/sh\nprintf "%s\\n" "${_PASSPHRASE_VARIABLE}"\n')
    env = {
        **environ,
        "SSH_ASKPASS": str(ask),
        "SSH_ASKPASS_REQUIRE": "force",
        _PASSPHRASE_VARIABLE: signer.passphrase.reveal(),
    }
    return _run((programs.resolve("ssh-keygen"), "-Y", "sign", "-n", "git", "-f", str(key)), content, env)


def _run(argv: Sequence[str], stdin: bytes, env: Mapping[str, str]) -> str:
    done = subprocess.run(argv, input=stdin, env=env, check=False, capture_output=True, timeout=_TIMEOUT_S)
    if done.returncode:
        raise InputError(
            "Input `signing-key`: the key can't sign.",
            evidence=done.stderr.decode("utf-8", "replace"),
            hint="Check the key and `signing-passphrase`.",
        )
    return done.stdout.decode()
