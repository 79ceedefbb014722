"""Signed commits, as Flux `spec.verify` and a server that demands signatures see them."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.programs import program, require, run
from support.remotes import GIT_ENV
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


# What a key does not sign: what it did not sign before, and did not render.


EVIL = {"evil/e.yaml": config_map("evil")}
one_of_each = pytest.mark.parametrize("signer", ["openpgp", "ssh"], indirect=True)


@dataclass(frozen=True)
class Branch:
    """A branch that is published to with a key, or with none."""

    cli: Cli
    checkout: Checkout

    def publish(self, signer: Signer | None, *options: str, code: int = 0) -> str:
        environ = {"INPUT_SIGNING-KEY": signer.key, "INPUT_SIGNING-PASSPHRASE": signer.passphrase} if signer else {}
        return self.cli.run("--install", "none", *options, cwd=self.checkout.path, **environ).exits(code).text

    def change(self, number: int) -> None:
        self.checkout.render({"web.yaml": config_map("web", str(number))}, f"State {number}")

    def signed_by(self, signer: Signer) -> dict[str, bool]:
        """Return whether each commit of the branch is signed by somebody, newest first."""
        config = [word for key, value in signer.config.items() for word in ("-c", f"{key}={value}")]
        done = run(
            *("git", *config, "log", "--format=%s%x00%G?", "refs/heads/manifests"),
            cwd=self.checkout.origin.path,
            env={**GIT_ENV, **signer.environ},
        )
        lines = (line.split("\0") for line in done.stdout.decode().splitlines())
        return {subject: status in {"G", "U"} for subject, status in lines}


@pytest.fixture
def branch(checkout: Checkout, cli: Cli) -> Branch:
    return Branch(cli, checkout)


@pytest.fixture
def other(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    require("ssh-keygen")
    return ssh_signer(tmp_path_factory.mktemp("o"), "")


@one_of_each
@pytest.mark.parametrize("history", ["replace", "keep", "keep: 2"])
def test_commit_of_somebody_else__is_not_signed_away__a10(branch: Branch, signer: Signer, history: str) -> None:
    branch.publish(signer, "--history", history)
    tip = branch.checkout.origin.commit("manifests", EVIL, "Unsigned evil")
    branch.change(1)
    said = branch.publish(signer, "--history", history, code=5)
    assert "evil/e.yaml" in said
    assert "[to allow: foreign-signature]" in said
    assert branch.checkout.origin.tip("manifests") == tip
    branch.publish(signer, "--history", history, "--allow", "foreign-signature")
    assert branch.signed_by(signer)["State 1"]
    assert not branch.signed_by(signer)["Unsigned evil"]
    branch.change(2)
    assert "foreign-signature" not in branch.publish(signer, "--history", history), "it is in what was signed since"
    assert not branch.signed_by(signer)["Unsigned evil"]
    branch.checkout.origin.fsck()


@one_of_each
def test_commit_that_looks_like_ours__is_not_signed_when_history_is_written_again__a10(
    branch: Branch, signer: Signer
) -> None:
    """Anybody can write our trailer; and what lies in our folder is replaced, so nothing is refused."""
    run_options = ("--history", "keep: 3")
    for number in range(3):
        branch.change(number)
        branch.publish(signer, *run_options)
    forged = "Unsigned evil\n\nSource-Revision: main@sha1:0123\n\n"
    tip = branch.checkout.origin.commit("manifests", {"dist/evil.yaml": config_map("evil")}, forged)
    branch.change(3)
    branch.publish(signer, *run_options)
    assert branch.checkout.origin.git("rev-parse", "refs/heads/manifests~1") == tip, "it stays as it is"
    branch.change(4)
    branch.publish(signer, *run_options)
    assert branch.signed_by(signer) == {
        "State 4": True,
        "State 3": True,
        "Unsigned evil": False,
        "State 2": True,
        "State 1": True,
        "State 0": True,
    }
    branch.change(5)
    branch.publish(signer, *run_options)
    assert branch.signed_by(signer) == {"State 5": True, "State 4": True, "State 3": True}
    branch.checkout.origin.fsck()


@one_of_each
@pytest.mark.parametrize("history", ["replace", "keep", "keep: 2"])
def test_key__that_is_new_takes_over_what_is_rendered__a10(
    branch: Branch, signer: Signer, other: Signer, history: str
) -> None:
    """Nothing that somebody else has written is in a tree that holds only what was rendered."""
    for number, key in enumerate((None, other, signer)):
        branch.change(number)
        branch.publish(key, "--history", history)
    assert branch.signed_by(signer)["State 2"]
    assert branch.signed_by(other).get("State 1", False) is (history != "replace"), "whose signature it was, it stays"
    branch.change(3)
    branch.publish(signer, "--history", history)
    assert branch.signed_by(signer)["State 3"]
    kept = {"replace": 1, "keep": 4, "keep: 2": 2}
    assert len(branch.signed_by(signer)) == kept[history]


@one_of_each
def test_folder__beside_ours_needs_consent_unless_it_was_signed_with_the_key__a10(
    branch: Branch, signer: Signer, other: Signer
) -> None:
    branch.publish(None, "--path", "a")
    assert "`a/" in branch.publish(signer, "--path", "b", code=5)
    branch.publish(signer, "--path", "b", "--allow", "foreign-signature")
    branch.publish(signer, "--path", "c")
    assert "foreign-signature" in branch.publish(other, "--path", "d", code=5)
    assert "foreign-signature" in branch.publish(None, "--path", "d", "--allow", "foreign-signature"), "not needed"


def test_hermetic_render__that_the_key_has_not_signed_is_rendered_again__a10(branch: Branch, other: Signer) -> None:
    hermetic = ("--hermetic", "true", "--install", "true")
    assert "not rendered" not in branch.publish(other, *hermetic)
    assert "not rendered" in branch.publish(other, *hermetic)
    origin = branch.checkout.origin
    fingerprints = origin.git("notes", "--ref=refs/notes/hydrator.metadata", "show", "refs/heads/manifests")
    metadata = origin.files("manifests")["dist/hydrator.metadata"].replace(b'"."', b'"gone"')
    evil = {"dist/web.yaml": config_map("evil"), "dist/hydrator.metadata": metadata}
    origin.commit("manifests", evil, "Unsigned evil")
    origin.git("notes", "--ref=refs/notes/hydrator.metadata", "add", "-m", fingerprints, "refs/heads/manifests")
    assert "not rendered" not in branch.publish(other, *hermetic)
    assert origin.files("manifests")["dist/web.yaml"] == config_map("web")
