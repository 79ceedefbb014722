"""Signed commits, as Flux `spec.verify` and a server that demands signatures see them."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.programs import program, require, run
from support.snapshots import Untouched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.runner import Cli

PASSPHRASE = "öpen sesame, 'please'"
# A server that lets nobody push a commit to a branch without a signature it knows.
HOOK = """
export {environ}
while read -r old new ref; do
    case "$ref" in refs/heads/*) ;; *) continue ;; esac
    git {config} verify-commit "$new" || {{ echo "commit $new is not signed by anybody we know" >&2; exit 1; }}
done
"""


@dataclass(frozen=True)
class Signer:
    """A private key, its passphrase, and what makes git know its public half."""

    key: str
    passphrase: str
    environ: dict[str, str]
    config: dict[str, str]

    def hook(self) -> str:
        """Return a server hook that accepts this signer only."""
        environ = " ".join(f"'{name}={value}'" for name, value in {"X": "1", **self.environ}.items())
        config = " ".join(f"-c '{key}={value}'" for key, value in self.config.items())
        return HOOK.format(environ=environ, config=config)


@pytest.fixture(params=["openpgp", "openpgp-passphrase", "ssh", "ssh-passphrase"])
def signer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    """Return a fresh key of each kind."""
    kind, _, secured = request.param.partition("-")
    passphrase = PASSPHRASE if secured else ""
    folder = tmp_path_factory.mktemp("k")  # gpg's sockets need a short path
    if kind == "ssh":
        yield ssh_signer(folder, passphrase)
        return
    require("gpg", "gpgconf")
    yield gpg_signer(folder, passphrase)
    run(program("gpgconf"), "--homedir", folder, "--kill", "all")


def ssh_signer(folder: Path, passphrase: str) -> Signer:
    """Make an SSH key and the file of allowed signers."""
    key, allowed = folder / "key", folder / "allowed"
    run(program("ssh-keygen"), "-q", "-t", "ed25519", "-N", passphrase, "-C", "ci", "-f", key)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    allowed.write_text(f'ci@example.com namespaces="git" {public}\n')
    config = {"gpg.format": "ssh", "gpg.ssh.allowedSignersFile": str(allowed)}
    return Signer(key.read_text(), passphrase, {}, config)


def gpg_signer(folder: Path, passphrase: str) -> Signer:
    """Make an OpenPGP key in a keyring of its own."""
    gpg = (program("gpg"), "--homedir", folder, "--batch", "--yes", "--pinentry-mode", "loopback")
    secret = ("--passphrase", passphrase)
    run(*gpg, *secret, "--quick-generate-key", "CI <ci@example.com>", "ed25519", "sign", "never")
    key = run(*gpg, *secret, "--armor", "--export-secret-keys").stdout.decode()
    return Signer(key, passphrase, {"GNUPGHOME": str(folder)}, {})


def publish(cli: Cli, checkout: Checkout, key: str, passphrase: str, *, code: int) -> str:
    """Publish with the key and prove that it went nowhere else."""
    guard = Untouched(checkout.path, cli.home)
    environ = {"INPUT_SIGNING-KEY": key, "INPUT_SIGNING-PASSPHRASE": passphrase}
    text = cli.run("--install", "none", cwd=checkout.path, **environ).exits(code).text
    guard.check()
    assert cli.left_behind() == []
    for line in key.splitlines()[2:-2]:
        assert line not in text or len(line) < 16
    assert not passphrase or passphrase not in text
    return text


@pytest.mark.parametrize("form", ["plain", "base64"])
def test_signature__is_accepted_by_a_server_that_demands_one(
    checkout: Checkout, cli: Cli, signer: Signer, form: str
) -> None:
    checkout.origin.hook("pre-receive", signer.hook())
    assert "not signed" in publish(cli, checkout, "", "", code=5)
    assert checkout.origin.tip("manifests") is None
    key = b64encode(signer.key.encode()).decode() if form == "base64" else signer.key
    publish(cli, checkout, key, signer.passphrase, code=0)
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web")
    checkout.origin.fsck()
    refs = checkout.origin.refs()
    publish(cli, checkout, key, signer.passphrase, code=0)
    assert checkout.origin.refs() == refs


@pytest.mark.parametrize("signer", ["openpgp-passphrase", "ssh-passphrase"], indirect=True)
def test_signature__wrong_passphrase_is_refused_and_not_shown(checkout: Checkout, cli: Cli, signer: Signer) -> None:
    text = publish(cli, checkout, signer.key, "wrong-pass-phrase", code=2)
    assert "wrong-pass-phrase" not in text
    assert "signing-passphrase" in text
    assert checkout.origin.tip("manifests") is None
