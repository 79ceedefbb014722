"""Repositories and environments that somebody has bent: what can be coped with is, the rest names its remedy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.programs import run
from support.remotes import GIT_ENV, git

if TYPE_CHECKING:
    from pathlib import Path

    from support.runner import Cli

RUN = ("run", "--install", "none")
NOTES = "refs/notes/hydrator.metadata"


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b'{"drySha": ' + b"9" * 5_000 + b"}",
        b'{"repoURL": "\\ud800", "directory": "\\ud800", "sourceRef": "\\ud800"}',
        b"\xff\xfe",
    ],
    ids=["nested deeply", "a huge number", "half a character", "not UTF-8"],
)
def test_metadata__that_says_nothing_is_no_record__d4(checkout: Checkout, cli: Cli, content: bytes) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.origin.commit("manifests", {"dist/hydrator.metadata": content})
    checkout.render({"web.yaml": config_map("web", "2"), "db.yaml": config_map("db")})
    done = cli.run(*RUN, "--allow", "foreign-folder", cwd=checkout.path).ok()
    assert "published" in done.text.lower()
    assert json.loads(checkout.origin.files("manifests")["dist/hydrator.metadata"])["drySha"] == checkout.sha


def test_note__with_half_a_character_is_carried_on__d4(checkout: Checkout, cli: Cli) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    note = '{"drySha": "x", "paths": {"\\ud800": "' + checkout.sha + '", "deep": ' + "[" * 100_000 + "}}"
    for text in (note, note.replace("[" * 100_000, "[]")):
        tip = checkout.origin.tip("manifests")
        assert tip
        checkout.origin.git("notes", f"--ref={NOTES}", "add", "--force", "-m", text, tip)
        checkout.render({"web.yaml": config_map("web", str(len(text))), "db.yaml": config_map("db")})
        cli.run(*RUN, cwd=checkout.path).ok()


def point_notes_at_blob(checkout: Checkout) -> None:
    """Let the ref of the notes name a file."""
    blob = checkout.origin.git("rev-parse", "manifests:dist/web.yaml")
    checkout.origin.git("update-ref", NOTES, blob)


def point_notes_at_branch(checkout: Checkout) -> None:
    """Let the ref of the notes name the history of something else."""
    checkout.origin.git("update-ref", NOTES, "refs/heads/main")


def point_notes_at_tag(checkout: Checkout) -> None:
    """Let the ref of the notes name a tag."""
    checkout.origin.git("tag", "--annotate", "--message", "x", "x", NOTES)
    checkout.origin.git("update-ref", NOTES, "refs/tags/x")


@pytest.mark.parametrize("point", [point_notes_at_blob, point_notes_at_branch, point_notes_at_tag])
def test_notes__that_are_none_are_refused_with_the_remedy__d5(checkout: Checkout, cli: Cli, point: object) -> None:
    assert callable(point)
    cli.run(*RUN, cwd=checkout.path).ok()
    point(checkout)
    held = checkout.origin.tip(NOTES)
    checkout.render({"web.yaml": config_map("web", "2"), "db.yaml": config_map("db")})
    done = cli.run(*RUN, cwd=checkout.path).exits(5)
    assert NOTES in done.text
    remedy = next(line for line in done.text.splitlines() if "git push" in line)
    assert checkout.origin.tip(NOTES) == held
    command = remedy[remedy.index("git push") :].partition("`")[0].split()
    run(*command, env=GIT_ENV)
    cli.run(*RUN, cwd=checkout.path).ok()
    assert checkout.origin.tip(NOTES) != held


def test_notes__of_others_on_their_own_commits_stay__d5(checkout: Checkout, cli: Cli) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.origin.git("notes", f"--ref={NOTES}", "add", "-m", '{"drySha": "x"}', checkout.sha)
    checkout.render({"web.yaml": config_map("web", "2"), "db.yaml": config_map("db")})
    cli.run(*RUN, cwd=checkout.path).ok()
    assert checkout.origin.git("notes", f"--ref={NOTES}", "show", checkout.git("rev-parse", "HEAD^"))


@pytest.mark.parametrize(
    "date",
    ["4200000000 +0000", "4200000000 +5130", "1700000000 +5130", "1700000000 -9959", "1700000000 -0030", "0 +0000"],
)
def test_date__of_any_source_commit_is_kept__d6(checkout: Checkout, cli: Cli, date: str) -> None:
    def commit(value: str, when: str) -> None:
        checkout.write("rendered/web.yaml", config_map("web", value))
        checkout.git("add", "--all", "--force")
        tree = checkout.git("write-tree")
        raw = f"tree {tree}\nparent {checkout.sha}\nauthor A <a@b> {when}\ncommitter A <a@b> {when}\n\n{value}\n"
        done = run("git", "hash-object", "-t", "commit", "-w", "--literally", "--stdin", cwd=checkout.path,
                   env=GIT_ENV, stdin=raw.encode())  # fmt: skip
        checkout.git("reset", "--quiet", "--hard", done.stdout.decode().strip())
        checkout.git("push", "--quiet", checkout.origin.path, "HEAD:main")

    commit("a", date)
    cli.run(*RUN, cwd=checkout.path).ok()
    content = checkout.origin.git("cat-file", "commit", "manifests")
    assert f"> {date}" in content
    commit("b", date)
    cli.run(*RUN, cwd=checkout.path).ok()
    assert f"> {date}" in checkout.origin.git("cat-file", "commit", NOTES)


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"GIT_CONFIG_COUNT": "abc"}, "GIT_CONFIG_COUNT"),
        ({"GIT_CONFIG_COUNT": "-1"}, "GIT_CONFIG_COUNT"),
        ({"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"}, "GIT_CONFIG_KEY_1"),
        ({"GIT_CONFIG_PARAMETERS": "nonsense'"}, "GIT_CONFIG_PARAMETERS"),
    ],
)
def test_git_configuration__that_git_cant_read_is_an_input__d8(
    checkout: Checkout, cli: Cli, variables: dict[str, str], word: str
) -> None:
    done = cli.run(*RUN, cwd=checkout.path, **variables).exits(2)
    assert word in done.text
    assert "git's configuration" in done.text


def test_git_configuration__of_a_file_that_git_cant_read_is_an_input__d8(checkout: Checkout, cli: Cli) -> None:
    (cli.home / ".gitconfig").write_text("[\n")
    done = cli.run(*RUN, cwd=checkout.path).exits(2)
    assert ".gitconfig" in done.text
    assert "git's configuration" in done.text


def test_git_configuration__from_a_command_line_does_not_beat_ours__d8(
    checkout: Checkout, cli: Cli, tmp_path: Path
) -> None:
    hooks, trace = tmp_path / "hooks", tmp_path / "trace"
    hooks.mkdir()
    names = ("reference-transaction", "pre-push", "post-index-change", "monitor")
    for name in names:
        (hooks / name).write_text(f"#!/bin/sh\necho {name} $(pwd) $(ps -o args= -p $PPID) >> '{trace}'\n")
        (hooks / name).chmod(0o755)
    settings = f"'core.hooksPath={hooks}' 'core.fsmonitor'='{hooks}/monitor' 'i18n.logOutputEncoding'='latin1'"
    checkout.render({"web.yaml": config_map("web", "2"), "db.yaml": config_map("db")}, "Grüße")
    cli.run(*RUN, cwd=checkout.path, GIT_CONFIG_PARAMETERS=settings).ok()
    assert not trace.exists(), trace.read_text()
    assert checkout.origin.log("manifests") == ["Grüße"]


def test_git_configuration__for_a_remote_of_our_name_is_not_ours__d9(
    checkout: Checkout, cli: Cli, tmp_path: Path
) -> None:
    git("init", "--quiet", "--bare", "other.git", cwd=tmp_path)
    (cli.home / ".gitconfig").write_text(
        f'[remote "target"]\n\tpushurl = {tmp_path}/other.git\n\tmirror = true\n\treceivepack = false\n'
        f'[remote "origin"]\n\tmirror = true\n\treceivepack = false\n[remote]\n\tpushDefault = other\n'
    )
    cli.run(*RUN, cwd=checkout.path).ok()
    assert checkout.origin.tip("manifests")
    assert git("for-each-ref", cwd=tmp_path / "other.git") == ""
