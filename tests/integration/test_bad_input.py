"""What bad input gets: one message that names cause and next step, an exit code, and a branch that did not move."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.programs import LOOPBACK, free_port
from support.remotes import Remote
from support.snapshots import Untouched

if TYPE_CHECKING:
    from pathlib import Path

    from support.runner import Cli, Result

RUN = ("run", "--install", "none")
TO_OUTDIR = 'mkdir -p "$CDK8S_OUTDIR" && '


def refused(cli: Cli, checkout: Checkout, code: int, *args: str | Path, **env: str) -> Result:
    """Run, expect an exit code, and prove that nothing at all was changed."""
    guard, refs = Untouched(checkout.path, cli.home), checkout.origin.refs()
    done = cli.run(*RUN, *args, cwd=checkout.path, **env).exits(code)
    guard.check()
    assert checkout.origin.refs() == refs
    assert cli.left_behind() == []
    assert "Traceback" not in done.text
    return done


def test_inputs__are_all_named_in_one_message(checkout: Checkout, cli: Cli) -> None:
    bad = ("--branch", "a..b", "--path", "../up", "--history", "some", "--timeout", "soon", "--mode", "maybe")
    text = refused(cli, checkout, 2, *bad).text
    for name, value in zip(bad[::2], bad[1::2], strict=True):
        assert name.removeprefix("--") in text
        assert repr(value) in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("branch", "-x"),
        ("branch", "refs/heads/x"),
        ("branch", "x.lock"),
        ("branch", "a b"),
        ("branch", "@"),
        ("path", ".git/hooks"),
        ("path", "a/.GIT/b"),
        ("path", ".github/workflows"),
        ("path", "/../etc"),
        ("repository", "--upload-pack=touch /tmp/x"),
        ("repository", "ext::sh -c true"),
        ("author", "nobody"),
        ("allow", "source-branch"),
        ("timeout", "0"),
        ("working-directory", "../outside"),
        ("working-directory", "no/such/folder"),
        ("working-directory", ","),
        ("cache-dir", "~nobody-of-that-name/cache"),
        ("cache-dir", "cdk8s.yaml"),
        ("cache-dir", "."),
        ("cache-dir", "/"),
        ("diff-file", "rendered"),
    ],
)
def test_input__is_refused_with_name_and_value(checkout: Checkout, cli: Cli, name: str, value: str) -> None:
    text = refused(cli, checkout, 2, f"--{name}={value}").text
    assert name in text
    assert value in text


@pytest.mark.parametrize(
    "address", ["https://me:hunter2@{host}/x", "ssh://me:hunter2@{host}/x", "ftp://me:hunter2@x/y"]
)
def test_repository__its_password_is_refused_and_not_shown(checkout: Checkout, cli: Cli, address: str) -> None:
    text = refused(cli, checkout, 2, "--repository", address.format(host=f"{LOOPBACK}:{free_port()}")).text
    assert "hunter2" not in text


def test_inputs__secret_on_the_command_line_is_refused_and_not_shown(checkout: Checkout, cli: Cli) -> None:
    assert "hunter22" not in refused(cli, checkout, 2, "--token", "hunter22").text


def test_option__that_does_not_exist_is_named(checkout: Checkout, cli: Cli) -> None:
    assert "--brunch" in refused(cli, checkout, 2, "--brunch", "x").text


def test_folder__that_is_no_checkout_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert "not a git checkout" in cli.run(*RUN, cwd=tmp_path / "plain").exits(2).text


def test_reader__that_leaves_changes_nothing_of_the_run__d7(checkout: Checkout, cli: Cli) -> None:
    process = cli.start(*RUN, "--before-synth", "echo unheard", cwd=checkout.path)
    assert process.stdout
    process.stdout.close()
    process.stdout = None
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 0
    assert "dist/web.yaml" in checkout.origin.files("manifests")
    assert cli.left_behind() == []


def test_machine__without_git_is_told_so(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    for program in ("sh", "rm"):
        (tmp_path / program).symlink_to(f"/bin/{program}")
    done = cli.run(*RUN, cwd=checkout.path, PATH=str(tmp_path)).exits(5)
    assert "git can't be run" in done.text
    assert "Traceback" not in done.text


def test_checkout__without_an_app_is_refused(checkout: Checkout, cli: Cli) -> None:
    (checkout.path / "cdk8s.yaml").unlink()
    assert "cdk8s.yaml" in refused(cli, checkout, 2).text


@pytest.mark.parametrize(
    ("app", "code", "words"),
    [
        ("echo the reason >&2; exit 7", 3, "the reason"),
        ("no-such-program-at-all", 3, "no-such-program-at-all"),
        ("true", 4, "rendered no resource"),
        (TO_OUTDIR + ': >"$CDK8S_OUTDIR/a.yaml"', 4, "rendered no resource"),
        (TO_OUTDIR + 'echo "a: [" >"$CDK8S_OUTDIR/a.yaml"', 4, "a.yaml"),
        (TO_OUTDIR + 'echo "a: 1" >"$CDK8S_OUTDIR/a.yaml"', 4, "a.yaml"),
        ("mkdir -p own && cp rendered/* own/", 3, "own"),
        (
            TO_OUTDIR + 'cp rendered/web.yaml "$CDK8S_OUTDIR/1.yaml"; cp rendered/web.yaml "$CDK8S_OUTDIR/2.yaml"',
            4,
            "web",
        ),
        (TO_OUTDIR + 'cp rendered/* "$CDK8S_OUTDIR"; ln -s /etc/passwd "$CDK8S_OUTDIR/x.yaml"', 4, "x.yaml"),
        (TO_OUTDIR + 'cp rendered/* "$CDK8S_OUTDIR"; mkdir "$CDK8S_OUTDIR/.git"', 4, ".git"),
        (TO_OUTDIR + 'cp rendered/* "$CDK8S_OUTDIR"; mkfifo "$CDK8S_OUTDIR/pipe.yaml"', 4, "pipe.yaml"),
        ("kill -9 $$", 3, ""),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value),
)
def test_app__that_goes_wrong_leaves_the_branch_alone(
    checkout: Checkout, cli: Cli, app: str, code: int, words: str
) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    assert words in refused(cli, checkout, code, "--app", app).text


def test_chart__that_is_empty_is_a_warning(checkout: Checkout, cli: Cli) -> None:
    app = f'{TO_OUTDIR}cp rendered/* "$CDK8S_OUTDIR"; : >"$CDK8S_OUTDIR/empty.yaml"'
    assert "empty.yaml" in cli.run(*RUN, "--app", app, cwd=checkout.path).ok().text
    assert checkout.origin.files("manifests")["dist/empty.yaml"] == b""


def test_app__that_outruns_its_timeout_ends_with_its_whole_tree(checkout: Checkout, cli: Cli) -> None:
    mark = f"600.{os.getpid()}"
    text = refused(cli, checkout, 3, "--app", f"setsid sleep {mark} & sleep {mark}", "--timeout", "2s").text
    assert "2" in text
    ps = subprocess.run(("ps", "-eo", "args"), check=True, capture_output=True, text=True, timeout=60)
    assert mark not in ps.stdout


def test_app__that_writes_into_its_source_leaves_the_checkout_alone(checkout: Checkout, cli: Cli) -> None:
    guard = Untouched(checkout.path, cli.home)
    app = f'{TO_OUTDIR}cp rendered/* "$CDK8S_OUTDIR"; echo x >new; echo y >>cdk8s.yaml; rm -rf rendered; echo z >~/z'
    cli.run(*RUN, "--app", app, cwd=checkout.path).ok()
    guard.check()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("repository", "words"),
    [
        ("http://{loopback}:{port}/a.git", "connect"),
        ("https://no-such-host.invalid/a.git", "resolve"),
        ("ssh://git@{loopback}:{port}/a.git", ""),
        ("{folder}/nothing-here.git", "nothing-here.git"),
    ],
)
def test_remote__that_can_not_be_reached_is_no_first_publish(
    checkout: Checkout, cli: Cli, tmp_path: Path, repository: str, words: str
) -> None:
    address = repository.format(loopback=LOOPBACK, port=free_port(), folder=tmp_path)
    assert words in refused(cli, checkout, 5, "--repository", address).text
    assert not (tmp_path / "nothing-here.git").exists()


def test_checkout__without_a_remote_says_which_input_helps(checkout: Checkout, cli: Cli) -> None:
    checkout.git("remote", "remove", "origin")
    assert "repository" in refused(cli, checkout, 2).text


def test_output__input_serves_an_app_with_a_folder_of_its_own(checkout: Checkout, cli: Cli) -> None:
    guard = Untouched(checkout.path, cli.home)
    cli.run(*RUN, "--app", "mkdir -p own && cp rendered/* own/", "--output", "own", cwd=checkout.path).ok()
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web")
    guard.check()


def test_branch__of_somebody_else_is_refused_until_adopted(checkout: Checkout, cli: Cli) -> None:
    checkout.origin.commit("manifests", {"README.md": b"mine\n", "dist/old.yaml": b"old: 1\n"})
    assert "to allow: foreign-branch" in refused(cli, checkout, 5).text
    cli.run(*RUN, "--allow", "foreign-branch", cwd=checkout.path).ok()
    files = checkout.origin.files("manifests")
    assert files["README.md"] == b"mine\n"
    assert "dist/old.yaml" not in files


def test_branch__with_another_one_in_its_way_is_no_race(checkout: Checkout, cli: Cli) -> None:
    checkout.origin.git("branch", "manifests/production", "main")
    done = cli.run(*RUN, cwd=checkout.path).exits(5)
    assert "is in the way" in done.text


@pytest.mark.parametrize("path", ["README", "README/deep"])
def test_path__that_is_a_file_on_the_branch_is_refused(checkout: Checkout, cli: Cli, path: str) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    tip = checkout.origin.commit("manifests", {"README": b"by hand"})
    done = cli.run(*RUN, "--path", path, cwd=checkout.path).exits(5)
    assert "`README` is a file on `manifests`" in done.text
    assert checkout.origin.tip("manifests") == tip


@pytest.mark.parametrize("branch", ["main", "production"])
def test_branch__of_the_sources_or_the_default_is_refused_always(checkout: Checkout, cli: Cli, branch: str) -> None:
    if branch == "production":
        checkout.origin.commit(branch, {"a": b"a"})
        checkout.origin.git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
    assert branch in refused(cli, checkout, 5, "--branch", branch, "--allow", "foreign-branch").text


@pytest.mark.parametrize(
    "form", ["{folder}/../{folder.name}/origin.git", "file://{folder}/link.git", "{folder}/copy.git"]
)
@pytest.mark.parametrize("is_detached", [False, True])
def test_branch__of_the_sources_is_known_however_its_repository_is_named(
    checkout: Checkout, cli: Cli, form: str, *, is_detached: bool
) -> None:
    folder = checkout.origin.path.parent
    checkout.origin.git("branch", "develop", "main")
    (folder / "link.git").symlink_to("origin.git")
    copy = Remote.create(folder / "copy.git")  # as one repository may have several names on a server
    checkout.origin.git("push", "--quiet", copy.path, "develop")
    checkout.git("checkout", "--quiet", *(["--detach"] if is_detached else ["-b", "develop"]))
    before = copy.refs()
    refused(
        cli, checkout, 5, "--repository", form.format(folder=folder), "--branch", "develop", "--allow", "foreign-branch"
    )
    assert copy.refs() == before


def test_remote__default_branch_of_another_repository_is_refused(checkout: Checkout, cli: Cli, remote: Remote) -> None:
    remote.commit("main", {"a": b"a"})
    before = remote.refs()
    refused(cli, checkout, 5, "--repository", remote.path, "--branch", "main", "--allow", "foreign-branch")
    assert remote.refs() == before
