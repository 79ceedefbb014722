from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.render.workspace import copy_workspace

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "s3cr3t-token"


def git(folder: Path, *args: str) -> str:
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_OPTIONAL_LOCKS": "0"}
    return subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false", *args],
        cwd=folder,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything of a tree that could be changed by accident; reading changes access times only."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        name = str(path.relative_to(folder))
        # Git renews the time of a borrowed object that it would have to write again; a link's time is nobody's.
        time = 0 if name.startswith(".git/objects") or path.is_symlink() else status.st_mtime_ns
        found[name] = (status.st_mode, status.st_uid, time, content)
    return found


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "file").write_bytes(b"\x00\xff\r\n" * 1000)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("deep/er/file")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    git(folder, "tag", "v1.2.3")
    return folder


def test_workspace__is_the_same_tree_and_leaves_the_checkout_alone(checkout: Path, tmp_path: Path) -> None:
    before = state(checkout)
    copy = copy_workspace(checkout, tmp_path / "copy")
    (copy / "deep" / "er" / "file").write_text("changed")
    (copy / "new").touch()
    git(copy, "add", "-A")
    git(copy, "commit", "-qm", "second")
    assert state(checkout) == before

    shutil.rmtree(copy)
    copy = copy_workspace(checkout, tmp_path / "copy")
    files = {name: value for name, value in before.items() if not name.startswith(".git")}
    assert {name: value for name, value in state(copy).items() if not name.startswith(".git")} == files


def test_workspace__answers_what_apps_ask_git(checkout: Path, tmp_path: Path) -> None:
    (checkout / "untracked").touch()
    copy = copy_workspace(checkout, tmp_path / "copy")
    for question in (
        ("rev-parse", "HEAD"),
        ("rev-parse", "--abbrev-ref", "HEAD"),
        ("describe", "--tags"),
        ("log", "--format=%H %s"),
        ("status", "--porcelain"),
        ("ls-files", "--stage"),
    ):
        assert git(copy, *question) == git(checkout, *question)


def test_workspace__answers_on_a_shallow_detached_worktree(checkout: Path, tmp_path: Path) -> None:
    (checkout / "second").touch()
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "second")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{checkout}", "shallow")
    git(tmp_path / "shallow", "worktree", "add", "-q", "--detach", "../tree")
    copy = copy_workspace(tmp_path / "tree", tmp_path / "copy")
    assert git(copy, "log", "--format=%s") == "second\n"
    assert git(copy, "status", "--porcelain") == ""


def test_workspace__of_a_worktree_of_a_bare_repository_answers(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(checkout), "bare")
    git(tmp_path / "bare", "worktree", "add", "-q", "../tree", "main")
    copy = copy_workspace(tmp_path / "tree", tmp_path / "copy")
    assert git(copy, "describe", "--tags", "--dirty") == "v1.2.3\n"


def test_workspace__has_a_repository_for_each_submodule(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "api")
    git(tmp_path / "api", "commit", "-qm", "the api", "--allow-empty")
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../api", "services/api")
    git(checkout, "commit", "-qm", "second")
    copy = copy_workspace(checkout, tmp_path / "copy")
    assert git(copy / "services" / "api", "log", "--format=%s") == "the api\n"
    for question in (("submodule", "status"), ("status", "--porcelain"), ("describe", "--tags", "--dirty")):
        assert git(copy, *question) == git(checkout, *question)


def test_workspace__does_not_follow_a_git_file_out_of_the_checkout(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "other")
    (checkout / "sub").mkdir()
    (checkout / "sub" / ".git").write_text(f"gitdir: {tmp_path}/other/.git")
    copy = copy_workspace(checkout, tmp_path / "copy")
    assert list((copy / "sub").iterdir()) == []


def test_workspace__fetches_what_a_partial_clone_left_out(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "config", "uploadpack.allowFilter", "true")
    (checkout / "run.sh").write_text("#!/bin/sh\ntrue\n")
    git(checkout, "commit", "-qam", "second")
    git(tmp_path, "clone", "-q", "--filter=tree:0", f"file://{checkout}", "partial")
    copy = copy_workspace(tmp_path / "partial", tmp_path / "copy")
    assert git(copy, "log", "--format=%s", "--", "link") == "first\n"


def test_workspace__knows_the_upstream_branch(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "checkout", "clone")
    git(tmp_path / "clone", "remote", "set-url", "origin", "../checkout")
    (tmp_path / "deeper").mkdir()
    copy = copy_workspace(tmp_path / "clone", tmp_path / "deeper" / "copy")
    assert git(copy, "rev-parse", "--abbrev-ref", "@{u}") == "origin/main\n"
    assert git(copy, "ls-remote", "--heads", "origin") == git(checkout, "ls-remote", "--heads", ".")


@pytest.mark.parametrize("is_changed", [False, True])
def test_workspace__is_dirty_when_the_checkout_is(checkout: Path, tmp_path: Path, is_changed: bool) -> None:
    # What a filter has made of a file is not what is committed (Git LFS), and the copy has no filter.
    git(checkout, "config", "filter.up.smudge", "tr a-z A-Z")
    git(checkout, "config", "filter.up.clean", "tr A-Z a-z")
    (checkout / ".gitattributes").write_text("*.bin filter=up\n")
    (checkout / "a.bin").write_text("text")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "second")
    git(
        tmp_path,
        "clone",
        "-q",
        "-c",
        "filter.up.smudge=tr a-z A-Z",
        "-c",
        "filter.up.clean=tr A-Z a-z",
        "checkout",
        "clone",
    )
    if is_changed:  # within the second in which git has written it, and to the same size
        index = (tmp_path / "clone" / ".git" / "index").stat().st_mtime_ns
        (tmp_path / "clone" / "a.bin").write_text("OTHR")
        os.utime(tmp_path / "clone" / "a.bin", ns=(index + 1, index + 1))
    copy = copy_workspace(tmp_path / "clone", tmp_path / "copy")
    assert (copy / "a.bin").read_text() == ("OTHR" if is_changed else "TEXT")
    assert ("dirty" in git(copy, "describe", "--always", "--dirty")) is is_changed


def test_workspace__carries_no_credential(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "remote", "add", "origin", f"https://user:{TOKEN}@example.com/owner/name.git")
    git(checkout, "config", "http.https://example.com/.extraheader", f"AUTHORIZATION: basic {TOKEN}")
    git(checkout, "config", "credential.helper", f"!echo password={TOKEN}")
    git(checkout, "config", "include.path", str(tmp_path / "other"))
    git(checkout, "config", "core.sshCommand", f"ssh -i {TOKEN}")
    git(checkout, "config", "core.fsmonitor", TOKEN)
    git(checkout, "config", "remote.quoted.url", f"https://user:{TOKEN};#@example.com/owner/name.git")
    git(checkout, "config", "remote.program.url", f"ext::sh -c {TOKEN}")
    (tmp_path / "other").write_text(f'[http]\n\textraheader = "{TOKEN}"\n')
    (checkout / ".git" / "FETCH_HEAD").write_text(TOKEN)
    copy = copy_workspace(checkout, tmp_path / "copy")
    for name in ("origin", "quoted"):
        assert git(copy, "remote", "get-url", name) == "https://example.com/owner/name.git\n"
    private = b"".join(path.read_bytes() for path in (copy / ".git").rglob("*") if path.is_file())
    assert TOKEN.encode() not in private
    assert TOKEN not in git(copy, "config", "--list")


def test_workspace__links_packages_so_that_emptying_the_folder_keeps_them(checkout: Path, tmp_path: Path) -> None:
    modules = checkout / "node_modules"
    for name in ("cdk8s", "@scope/one", ".pnpm/x@1/node_modules/x", ".cache"):
        (modules / name).mkdir(parents=True)
        (modules / name / "index.js").write_text(f"module.exports = '{name}'")
    (modules / ".bin").mkdir()
    (modules / ".bin" / "cdk8s").symlink_to("../cdk8s/index.js")
    (modules / "shared").symlink_to("../deep")
    before = state(checkout)

    copy = copy_workspace(checkout, tmp_path / "copy")
    assert (copy / "node_modules" / ".bin" / "cdk8s").read_text() == "module.exports = 'cdk8s'"
    assert (copy / "node_modules" / "@scope" / "one" / "index.js").is_file()
    assert (copy / "node_modules" / "shared").resolve() == copy / "deep"
    assert not (copy / "node_modules" / ".cache").exists()
    shutil.rmtree(copy / "node_modules")
    assert state(checkout) == before


def test_workspace__keeps_a_virtual_environment_working(checkout: Path, tmp_path: Path) -> None:
    subprocess.run(["python3", "-m", "venv", "--without-pip", ".venv"], cwd=checkout, check=True, timeout=60)
    (site,) = (checkout / ".venv" / "lib").glob("python3.*/site-packages")
    (site / "thing").mkdir()
    (site / "thing" / "__init__.py").write_text("print(__name__)")
    before = state(checkout)
    copy = copy_workspace(checkout, tmp_path / "copy")
    run = [".venv/bin/python", "-c", "import sys, thing; print(sys.prefix)"]
    environ = {"PYTHONDONTWRITEBYTECODE": "1"}
    shown = subprocess.run(run, cwd=copy, env=environ, check=True, capture_output=True, text=True, timeout=30).stdout
    assert shown == f"thing\n{copy}/.venv\n"
    shutil.rmtree(copy)
    assert state(checkout) == before


def test_workspace__copies_what_is_there_and_skips_what_is_alive(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("kept")
    (checkout / "deep" / "out").symlink_to("../../outside")
    (checkout / "dangling").symlink_to("nowhere")
    os.mkfifo(checkout / "pipe")
    (checkout / "sub").mkdir()
    (checkout / "sub" / ".git").write_text("gitdir: ../.git/modules/sub")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(checkout / "s"))
        copy = copy_workspace(checkout, checkout / "copy")
    assert (copy / "deep" / "out").read_text() == "kept"
    assert (copy / "dangling").readlink() == (checkout / "dangling").readlink()
    names = {path.name for path in copy.iterdir()}
    assert names == {".git", "dangling", "deep", "link", "run.sh", "sub"}
    assert list((copy / "sub").iterdir()) == []


def test_workspace__of_a_folder_without_git(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a").write_text("1")
    assert [path.name for path in copy_workspace(tmp_path / "plain", tmp_path / "copy").iterdir()] == ["a"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_workspace__belongs_to_the_owner_who_will_write_to_it(checkout: Path, tmp_path: Path) -> None:
    copy = copy_workspace(checkout, tmp_path / "copy", owner=(1234, 1235))
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in (copy, *copy.rglob("*"))}
    assert owners == {(1234, 1235)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what is closed to others")
def test_workspace__leaves_out_what_its_owner_may_not_read(checkout: Path, tmp_path: Path) -> None:
    (checkout / "vault").mkdir(mode=0o700)
    for name in ("key", "vault/key", "shared"):
        (checkout / name).write_text("secret")
        (checkout / name).chmod(0o600)
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 1234, 1235, follow_symlinks=False)
    for name in ("key", "vault", "vault/key", "shared"):
        os.chown(checkout / name, 0, 1235 if name == "shared" else 0)
    (checkout / "shared").chmod(0o640)
    copy = copy_workspace(checkout, tmp_path / "copy", owner=(1234, 1235))
    assert (copy / "shared").read_text() == "secret"
    assert not (copy / "key").exists()
    assert not (copy / "vault").exists()
