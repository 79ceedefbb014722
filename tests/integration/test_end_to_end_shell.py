"""From a checkout on a laptop to a branch, through the command line and nothing else."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from support import readme
from support.checkouts import Checkout, config_map
from support.remotes import Remote, git
from support.runner import Cli
from support.snapshots import Untouched

if TYPE_CHECKING:
    from pathlib import Path

RUN = ("run", "--install", "none")
METADATA = "hydrator.metadata"


def published(remote: Remote, path: str = "dist", branch: str = "manifests") -> dict[str, bytes]:
    """Return what lies in the folder on the branch, without our mark."""
    prefix = f"{path}/" if path else ""
    files = remote.files(branch)
    return {
        name.removeprefix(prefix): content
        for name, content in files.items()
        if name.startswith(prefix) and name != f"{prefix}{METADATA}"
    }


def test_run__publishes_what_the_app_rendered_and_touches_nothing_else(checkout: Checkout, cli: Cli) -> None:
    guard = Untouched(checkout.path, cli.home)
    refs = checkout.origin.refs()
    cli.run(*RUN, cwd=checkout.path).ok()
    assert published(checkout.origin) == {"web.yaml": config_map("web"), "db.yaml": config_map("db")}
    assert set(checkout.origin.files("manifests")) == {"dist/web.yaml", "dist/db.yaml", f"dist/{METADATA}"}
    assert {name: sha for name, sha in checkout.origin.refs().items() if name in refs} == refs
    assert set(checkout.origin.modes("manifests").values()) == {"100644"}
    checkout.origin.fsck()
    guard.check()
    assert cli.left_behind() == []


def test_run__is_the_default_command(checkout: Checkout, cli: Cli) -> None:
    cli.run("--install", "none", cwd=checkout.path).ok()
    assert checkout.origin.tip("manifests")


def test_run__works_from_a_folder_inside_the_checkout(checkout: Checkout, cli: Cli) -> None:
    checkout.write("apps/shop/cdk8s.yaml", (checkout.path / "cdk8s.yaml").read_bytes())
    checkout.write("apps/shop/rendered/shop.yaml", config_map("shop"))
    checkout.commit("Add a shop")
    cli.run(*RUN, cwd=checkout.path / "apps" / "shop").ok()
    assert published(checkout.origin) == {"shop.yaml": config_map("shop")}


def test_run__moves_nothing_the_second_time(checkout: Checkout, cli: Cli) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    refs = checkout.origin.refs()
    again = cli.run(*RUN, cwd=checkout.path).ok()
    assert "Nothing to publish" in again.stdout
    assert checkout.origin.refs() == refs


def test_run__replaces_the_folder_and_keeps_one_commit(checkout: Checkout, cli: Cli) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render({"web.yaml": config_map("web", "2"), "new.yaml": config_map("new")}, "Second")
    cli.run(*RUN, cwd=checkout.path).ok()
    assert published(checkout.origin) == {"web.yaml": config_map("web", "2"), "new.yaml": config_map("new")}
    assert checkout.origin.log("manifests") == ["Second"]


def test_run__names_the_source_in_commit_and_metadata(checkout: Checkout, cli: Cli) -> None:
    checkout.git("commit", "--quiet", "--allow-empty", "--message", "Say hello\n\nBecause it is polite.")
    checkout.git("push", "--quiet", "origin", "HEAD:main")
    cli.run(*RUN, cwd=checkout.path).ok()
    message = checkout.origin.message("manifests")
    assert message.splitlines()[0] == "Say hello"
    assert checkout.sha in message
    metadata = json.loads(checkout.origin.files("manifests")[f"dist/{METADATA}"])
    assert metadata["drySha"] == checkout.sha
    assert metadata["subject"] == "Say hello"
    dates = checkout.origin.git("log", "-1", "--format=%at %ct", "refs/heads/manifests")
    source = checkout.git("log", "-1", "--format=%ct")
    assert dates == f"{source} {source}"


def test_run__gives_the_same_commit_on_a_second_machine(checkout: Checkout, tmp_path: Path, cli: Cli) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    first = checkout.origin.tip("manifests")
    checkout.origin.git("update-ref", "-d", "refs/heads/manifests")
    checkout.origin.git("update-ref", "-d", "refs/notes/hydrator.metadata")
    elsewhere = checkout.origin.clone(tmp_path / "elsewhere", "main")
    git("remote", "set-url", "origin", checkout.origin.path, cwd=elsewhere)
    type(cli).create(tmp_path / "second").run(*RUN, cwd=elsewhere, TZ="Asia/Kolkata", LANG="C").ok()
    assert checkout.origin.tip("manifests") == first


def test_run__gives_the_same_commit_whatever_the_user_set_for_git(checkout: Checkout, tmp_path: Path, cli: Cli) -> None:
    checkout.render({"web.yaml": config_map("web")}, "Grüße")
    cli.run(*RUN, cwd=checkout.path).ok()
    first = checkout.origin.tip("manifests")
    checkout.origin.git("update-ref", "-d", "refs/heads/manifests")
    other = Cli.create(tmp_path / "other")
    settings = (
        "i18n.commitEncoding=latin1",
        "i18n.logOutputEncoding=latin1",
        "commit.gpgSign=true",
        "fetch.prune=true",
    )
    text = "".join("[{}]\n\t{}\n".format(*setting.split(".")) for setting in settings)
    (other.home / ".gitconfig").write_text(text)
    other.run(*RUN, cwd=checkout.path).ok()
    assert checkout.origin.tip("manifests") == first


def test_run__publishes_bytes_that_git_would_change_or_drop(checkout: Checkout, cli: Cli) -> None:
    files = {
        "web.yaml": config_map("web"),
        ".gitignore": b"*\n",
        "ignored.log": b"kept\n",
        "crlf.txt": b"a\r\nb\r\n",
        "ident.txt": b"$Id$\n",
        "empty.txt": b"",
        "binary.bin": bytes(range(256)) * 40,
        "with space/ünï côdé.txt": b"x",
        "-dash": b"x",
        "no-newline.yaml": config_map("n").rstrip(),
    }
    checkout.render(files)
    cli.run(*RUN, cwd=checkout.path).ok()
    assert published(checkout.origin) == files


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_run__shows_names_that_the_output_can_not_hold(checkout: Checkout, cli: Cli, encoding: str) -> None:
    checkout.render({"web.yaml": config_map("web"), os.fsdecode(b"\xff \xe2\x86\x92.txt"): b"text"})
    cli.run(*RUN, "--diff-file", "../changes.diff", cwd=checkout.path, PYTHONIOENCODING=encoding).ok()
    assert b"\\udcff" in (checkout.path / "../changes.diff").read_bytes()


def test_run__leaves_construct_metadata_out(checkout: Checkout, cli: Cli) -> None:
    checkout.render({"web.yaml": config_map("web"), "construct-metadata.json": b"{}", "notes.txt": b"hi"})
    cli.run(*RUN, cwd=checkout.path).ok()
    assert set(published(checkout.origin)) == {"web.yaml", "notes.txt"}


def test_run__splices_its_folder_beside_others(checkout: Checkout, cli: Cli) -> None:
    for path in ("clusters/a", "clusters/b", "."):
        cli.run(*RUN, "--path", path, cwd=checkout.path).exits(0 if path != "." else 5)
    checkout.render({"web.yaml": config_map("web", "2")})
    cli.run(*RUN, "--path", "clusters/a", "--allow", "removal-budget", cwd=checkout.path).ok()
    assert published(checkout.origin, "clusters/a") == {"web.yaml": config_map("web", "2")}
    assert published(checkout.origin, "clusters/b") == {"web.yaml": config_map("web"), "db.yaml": config_map("db")}
    assert len(checkout.origin.log("manifests")) == 1


def test_run__publishes_to_the_root_of_a_branch(checkout: Checkout, cli: Cli) -> None:
    cli.run(*RUN, "--path", ".", cwd=checkout.path).ok()
    assert set(checkout.origin.files("manifests")) == {"web.yaml", "db.yaml", METADATA}


@pytest.mark.parametrize("form", ["path", "url", "relative"])
def test_run__publishes_to_another_repository(checkout: Checkout, remote: Remote, cli: Cli, form: str) -> None:
    here = checkout.path / "rendered"
    relative = os.path.relpath(remote.path, here)
    address = {"path": str(remote.path), "url": remote.path.as_uri(), "relative": relative}[form]
    before = checkout.origin.refs()
    app = f"cp -R {here}/. $CDK8S_OUTDIR"
    cli.run(*RUN, "--app", app, "--repository", address, "--branch", "main", cwd=here).ok()
    assert published(remote, branch="main") == {"web.yaml": config_map("web"), "db.yaml": config_map("db")}
    assert checkout.origin.refs() == before


def test_run__shows_the_diff_only_when_asked_to(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    refs = checkout.origin.refs()
    checkout.render({"web.yaml": config_map("web", "2"), "db.yaml": config_map("db")})
    refs["refs/heads/main"] = checkout.sha
    patch = tmp_path / "changes.diff"
    cli.run(*RUN, "--mode", "diff", "--diff-file", patch, cwd=checkout.path).ok()
    assert checkout.origin.refs() == refs
    lines = patch.read_text().splitlines()
    assert '-  value: "1"' in lines
    assert '+  value: "2"' in lines
    assert not any("db" in line for line in lines)


def test_run__shows_what_the_app_says_and_hides_control_characters(checkout: Checkout, cli: Cli) -> None:
    app = 'echo hello from the app; echo "::error::forged"; mkdir -p "$CDK8S_OUTDIR"; cp rendered/* "$CDK8S_OUTDIR"'
    assert "hello from the app" in cli.run(*RUN, "--app", app, cwd=checkout.path).ok().stdout


def test_generate__writes_manifests_only(checkout: Checkout, cli: Cli) -> None:
    done = cli.run("generate", "--install", "none", "--app", "echo noise; " + app_of(checkout), cwd=checkout.path).ok()
    assert done.stdout.encode() == config_map("db") + b"---\n" + config_map("web")
    assert "noise" in done.stderr
    assert set(checkout.origin.refs()) == {"refs/heads/main"}


def test_generate__says_what_to_do_when_a_check_fails(checkout: Checkout, cli: Cli) -> None:
    done = cli.run("generate", "--install", "none", "--app", "true", cwd=checkout.path).exits(4)
    assert done.stdout == ""
    assert "to allow: nothing-rendered" in done.stderr


def test_generate__never_works_in_the_folder_it_stands_in(cli: Cli) -> None:
    done = cli.run("generate", "--install", "none", "--app", "true", cwd=cli.tmp).exits(5)
    assert "stands in" in done.stderr
    assert cli.left_behind() == []


def test_generate__writes_nothing_when_the_app_fails(checkout: Checkout, cli: Cli) -> None:
    done = cli.run("generate", "--install", "none", "--app", app_of(checkout) + "; exit 9", cwd=checkout.path).exits(3)
    assert done.stdout == ""


def test_flux__prints_what_kubectl_applies(checkout: Checkout, cli: Cli) -> None:
    done = cli.run("flux", "--url", "https://git.example/team/shop.git", "--path", "dist", cwd=checkout.path).ok()
    assert "kind: GitRepository" in done.stdout
    assert "kind: Kustomization" in done.stdout
    assert done.stderr == ""


def test_flux__outside_a_checkout_asks_for_the_address_and_names_every_problem(cli: Cli, tmp_path: Path) -> None:
    assert "give a URL" in cli.run("flux", cwd=tmp_path).exits(2).stderr
    done = cli.run("flux", "--interval", "soon", cwd=tmp_path).exits(2)
    assert "give a URL" in done.stderr
    assert "'soon'" in done.stderr


def test_flux__that_is_interrupted_ends_without_a_traceback(cli: Cli, tmp_path: Path) -> None:
    node, started = tmp_path / "node", tmp_path / "started"
    node.write_text('#!/bin/sh\nexec 3>"$STARTED"; exec sleep 30\n')
    node.chmod(0o755)
    os.mkfifo(started)
    process = cli.start("flux", "--url", "https://h/o/r", cwd=tmp_path, JSII_NODE=str(node), STARTED=str(started))
    started.open().close()  # opened as soon as the other side is there
    process.send_signal(signal.SIGINT)
    done = cli.finish(process).exits(130)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def app_of(checkout: Checkout) -> str:
    """Return the app command of the checkout, for commands that add to it."""
    return (checkout.path / "cdk8s.yaml").read_text().partition(">-\n")[2].strip()


def test_run__reads_more_of_the_tip_than_a_pipe_holds(checkout: Checkout, cli: Cli) -> None:
    checkout.render({f"{number}.yaml": config_map(f"many-{number}") for number in range(2500)}, "Grow")
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render({"one.yaml": config_map("one")}, "Shrink")
    cli.run(*RUN, "--allow", "removal-budget", cwd=checkout.path).ok()
    assert published(checkout.origin) == {"one.yaml": config_map("one")}


def test_readme__commands_do_what_they_are_shown_for(checkout: Checkout, cli: Cli) -> None:
    shown = readme.commands()
    assert {command[0] for command in shown} == {"run", "flux"}
    for command in shown:
        done = cli.run(*command, cwd=checkout.path).ok()
        if command[0] == "flux":
            assert "kind: Kustomization" in done.stdout
    assert set(published(checkout.origin)) == {"web.yaml", "db.yaml"}


@pytest.mark.parametrize("option", [(), ("--type-check", "false")])
def test_type_check__is_never_left_out_without_a_word(checkout: Checkout, cli: Cli, option: tuple[str, ...]) -> None:
    done = cli.run("run", "--install", "none", *option, cwd=checkout.path).ok()
    assert ("leaves types unchecked" in done.stdout) == bool(option)
