"""What a confined program can't reach, not even as its owner or as root, and that everything else works as before."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cdk8s_publish.errors import SynthError
from cdk8s_publish.sandbox import confinement, landlock
from cdk8s_publish.sandbox.confinement import Confinement, missing_protections
from cdk8s_publish.sandbox.machine import confinement_of
from cdk8s_publish.sandbox.process import Command, run

VERSION = landlock.version()
PATH = {"PATH": os.environ["PATH"]}
needs_landlock = pytest.mark.skipif(not VERSION, reason="the kernel has no Landlock")
needs_scopes = pytest.mark.skipif(VERSION < landlock.SCOPES, reason="the kernel's Landlock knows no signals")
pytestmark = needs_landlock

READING = """
cat denied/file && echo read
ls denied && echo list
cp denied/program own/copy && echo copy
denied/program && echo execute
cat < denied/file && echo descriptor
ln denied/file own/stolen && echo link
mv denied/file own/stolen && echo move
sh -c 'cat denied/file' && echo child
ln -s ../denied/file own/way && cat own/way && echo symlink
"""
WRITING = """
echo more >>kept/file && echo append
true >kept/file && echo empty
truncate -s 0 kept/file && echo truncate
rm kept/file && echo remove
mv kept/file own/stolen && echo move
echo new >own/new && mv own/new kept/file && echo replace
ln own/new kept/linked && echo link
touch kept/new && echo create
mkdir kept/folder && echo folder
ln -s /etc kept/way && echo symlink
mkfifo kept/pipe && echo pipe
mv kept elsewhere && echo rename
rmdir empty && echo rmdir
touch beside && echo beside
"""
LIFE = """
set -e
mkdir -p own/a own/b
echo text >own/a/file
mv own/a/file own/b/file
cat own/b/file
ln own/b/file own/hard
ln -s b own/link
chmod 700 own/b/file
rm -r own/a
true </dev/null >/dev/null
head -c 1 /dev/urandom >/dev/null
echo shared >/dev/shm/cdk8s-publish-test-$$
rm /dev/shm/cdk8s-publish-test-$$
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("denied", "empty", "kept", "own"):
        (tmp_path / name).mkdir()
    for name in ("denied", "kept"):
        (tmp_path / name / "file").write_text("secret\n")
    (tmp_path / "denied" / "program").write_text("#!/bin/sh\n")
    (tmp_path / "denied" / "program").chmod(0o755)
    return tmp_path


def lines(folder: Path, script: str, within: Confinement, **environ: str) -> list[str]:
    heard: list[str] = []
    environ = {**PATH, **environ}
    command = Command(("sh", "-c", f"exec 2>/dev/null\n{script}"), folder, environ, 60, within)
    run(command, on_line=heard.append)
    return heard


def own(folder: Path, *denied: Path) -> Confinement:
    return Confinement().also(writable=[folder / "own"], denied=denied)


def test_denied_folder__is_out_of_reach(folder: Path) -> None:
    assert lines(folder, READING, own(folder, folder / "denied")) == []
    assert (folder / "denied" / "file").read_text() == "secret\n"


def test_denied_folder__would_be_in_reach_otherwise(folder: Path) -> None:
    everything = Confinement().also(writable=[folder])
    assert {"read", "list", "copy", "execute", "descriptor", "link", "symlink"} <= set(
        lines(folder, READING, everything)
    )


def test_other_folder__can_be_read_and_not_written(folder: Path) -> None:
    script = f"{WRITING}\ncat kept/file\nls kept"
    assert lines(folder, script, own(folder)) == ["secret", "file"]
    assert sorted(path.name for path in folder.iterdir()) == ["denied", "empty", "kept", "own"]


def test_other_folder__would_be_written_otherwise(folder: Path) -> None:
    said = lines(folder, WRITING, Confinement().also(writable=[folder]))
    assert {"append", "empty", "truncate", "remove", "replace", "create", "folder", "pipe", "rename", "rmdir"} <= set(
        said
    )


def test_own_folder__is_as_before(folder: Path) -> None:
    assert lines(folder, LIFE, own(folder, folder / "denied")) == ["text"]


@pytest.mark.parametrize("version", range(landlock.USABLE, VERSION + 1))
def test_older_version__denies_what_it_can(folder: Path, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: version)
    if version < landlock.TRUNCATE:
        (folder / "kept" / "file").unlink()
    assert lines(folder, READING, own(folder, folder / "denied")) == []
    assert not {"create", "append", "rename"} & set(lines(folder, WRITING, own(folder)))
    assert lines(folder, LIFE, own(folder, folder / "denied")) == ["text"]


def test_deepest_listed_folder__counts(folder: Path) -> None:
    deep = folder / "denied" / "open" / "closed" / "own"
    deep.mkdir(parents=True)
    for parent in (deep, *list(deep.parents)[:3]):
        (parent / "file").write_text(parent.name)
    within = Confinement().also(
        writable=[deep], readable=[deep.parents[1]], denied=[deep.parent, folder / "denied", folder / "missing"]
    )
    script = """
    for folder in denied denied/open denied/open/closed denied/open/closed/own; do
        cat $folder/file && echo
        touch $folder/new && echo made
    done
    """
    assert lines(folder, script, within) == ["open", "own", "made"]


def test_path_in_two_lists__is_denied(folder: Path) -> None:
    within = Confinement().also(writable=[folder / "denied"], readable=[folder / "denied"], denied=[folder / "denied"])
    assert lines(folder, READING, within) == []


def test_denied_link__denies_what_it_leads_to(folder: Path) -> None:
    (folder / "way").symlink_to("denied")
    assert lines(folder, READING, own(folder, folder / "way")) == []


def test_what_appears_beside_a_denied_folder__is_out_of_reach(folder: Path) -> None:
    os.mkfifo(folder / "go")
    heard: list[str] = []

    def answer(line: str) -> None:
        heard.append(line)
        if line == "ready":
            (folder / "later").write_text("secret")
            (folder / "go").write_text("")

    command = Command(("sh", "-c", "echo ready; cat go; cat later"), folder, {}, 60, own(folder, folder / "denied"))
    run(command, on_line=answer)
    assert heard[0] == "ready"
    assert "secret" not in heard


def test_our_own_process__stays_as_it_is(folder: Path) -> None:
    lines(folder, "true", own(folder, folder / "denied"))
    assert (folder / "denied" / "file").read_text() == "secret\n"
    (folder / "kept" / "new").touch()


def test_other_processes__can_not_be_looked_into(folder: Path) -> None:
    script = """
    sleep 60 & child=$!
    for pid in /proc/[0-9]*; do
        case $(tr '\\0' '\\n' <$pid/environ | grep ^MARK=) in
            MARK=outside) echo outside ;;
            MARK=inside) [ ${pid#/proc/} = $child ] && echo inside ;;
        esac
    done
    """
    environ = {"PATH": os.environ["PATH"], "MARK": "outside"}
    with subprocess.Popen(("sleep", "60"), env=environ, cwd=folder) as outside:
        said = lines(folder, script, own(folder), MARK="inside")
        outside.kill()
    assert said == ["inside"]


@needs_scopes
def test_other_processes__can_not_be_signalled(folder: Path) -> None:
    with subprocess.Popen(("sleep", "60"), cwd=folder) as outside:
        script = f"kill -9 {outside.pid} && echo killed; kill -9 -1; kill {os.getpid()} && echo killed; echo over"
        said = lines(folder, script, own(folder))
        assert outside.poll() is None
        outside.kill()
    assert said == ["over"]


@needs_scopes
def test_abstract_socket__of_another_process_can_not_be_connected_to(folder: Path) -> None:
    name = f"\0{folder}"
    program = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({name!r}); print('connected')"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        assert lines(folder, f'{sys.executable} -c "{program}"', own(folder)) == []


def test_terminal__of_the_user_can_not_be_read(folder: Path) -> None:
    ours, theirs = os.openpty()
    try:
        script = f"""
        true <{os.ttyname(theirs)} && echo read
        true >{os.ttyname(theirs)} && echo written
        true </dev/ptmx && echo made
        """
        assert lines(folder, script, own(folder)) == []
    finally:
        os.close(ours)
        os.close(theirs)


def test_confinement__that_the_kernel_refuses_runs_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(7, "Argument list too long")

    monkeypatch.setattr(landlock, "restrict", refuse)
    with pytest.raises(SynthError, match="can't be confined"):
        lines(folder, "touch own/ran", own(folder))
    assert not (folder / "own" / "ran").exists()


# What untrusted code leaves running.


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


@needs_scopes
@pytest.mark.parametrize("uid", [None, 1234])
def test_stray__ends_with_the_program_that_left_it(folder: Path, uid: int | None) -> None:
    """Another program runs on, and nothing but the kernel's own record tells whose process it is."""
    if uid and os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    os.mkfifo(folder / "go")
    hidden = "env -i setsid sh -c 'echo $$; exec sleep 60' & "
    strays: list[str] = []
    heard: list[str] = []

    def on_line(line: str) -> None:
        heard.append(line)
        if line == "ready":
            command = Command(("sh", "-c", f"{hidden * 2} sleep 0.5"), Path("/"), PATH, 60, own(folder), uid, uid)
            thread = threading.Thread(target=lambda: run(command, on_line=strays.append))
            thread.start()
            thread.join()
            assert not any(is_alive(int(stray)) for stray in strays)
            (folder / "go").write_text("")

    script = "setsid sleep 60 & stray=$!; echo ready; cat go; kill -0 $stray && echo mine is alive"
    run(Command(("sh", "-c", script), folder, PATH, 60, own(folder)), on_line=on_line)
    assert heard == ["ready", "mine is alive"]
    assert len(strays) == 2


BOMB = """
import os, sys, time
chains = int(sys.argv[1])
for number in range(chains):
    if os.fork() == 0:
        if number % 2:
            os.setsid()
        while True:
            if os.fork():
                os._exit(0)
time.sleep(0.5)
"""


@needs_scopes
def test_processes_that_fork_and_exit__end_with_the_program(folder: Path) -> None:
    (folder / "bomb.py").write_text(BOMB)
    with subprocess.Popen(("sleep", "60"), cwd=folder) as outside:
        lines(folder, f"{sys.executable} -S bomb.py 20", own(folder))
        assert outside.poll() is None
        outside.kill()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert len(children) < 20, "each that has ended was asked for"
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if is_alive(int(path.parent.name))]
    assert not [command for command in commands if b"bomb.py" in command]


# What of a machine is denied.


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    files = {
        ".ssh/id_ed25519": "closed",
        ".gnupg/private-keys-v1.d/key": "closed",
        ".netrc": "closed",
        ".git-credentials": "closed",
        ".docker/config.json": "closed",
        ".docker/bin/docker": "open",
        ".kube/config": "closed",
        ".aws/credentials": "closed",
        ".azure/token": "closed",
        ".config/gcloud/credentials.db": "closed",
        ".config/tools/bin/tool": "open",
        ".config/tools/lib/library": "open",
        ".npmrc": "closed",
        ".unheard-of/token": "closed",
        ".cargo/credentials.toml": "closed",
        ".cargo/bin/cargo": "open",
        ".local/bin/poetry": "open",
        ".local/share/keyrings/login.keyring": "closed",
        ".local/share/uv/python/bin/python": "open",
        ".nvm/versions/node/v24/lib/node": "open",
        ".jdk/lib/modules": "open",
        ".authority.pem": "open",
        "snap/browser/cookies": "closed",
        "projects/other/file": "open",
        "go/bin/helm": "open",
    }
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"{text} {name}\n")
    (home / "keys").symlink_to(".ssh")
    return home


def test_home__is_closed_but_for_tools_and_what_is_not_hidden(home: Path) -> None:
    environ = {
        "HOME": str(home),
        "PATH": f"{home}/.docker/bin:{home}/.config/tools/bin:{home}/bin::.",
        "JAVA_HOME": f"{home}/.jdk",
        "node_extra_ca_certs": f"{home}/.authority.pem",
        "VIRTUAL_ENV": str(home),
    }
    names = [path.relative_to(home) for path in home.rglob("*") if path.is_file()]
    script = "\n".join(f"cat '{home}/{name}'" for name in [*names, "keys/id_ed25519"])
    said = lines(home.parent, script, confinement_of(environ, home.parent / "scratch"))
    assert sorted(said) == sorted(f"open {name}" for name in names if (home / name).read_text().startswith("open"))


def test_scratch_folder__of_this_run_and_of_others_is_closed(tmp_path: Path) -> None:
    scratch, other = tmp_path / "cdk8s-publish-1", tmp_path / "cdk8s-publish-2"
    for folder in (scratch / "target.git", scratch / "app-0", scratch / "app-1", other):
        folder.mkdir(parents=True)
        (folder / "file").write_text(f"{folder.name}\n")
    within = confinement_of({}, scratch).also(writable=[scratch / "app-0"])
    script = f"cat {scratch}/*/file {scratch}/app-0/file {scratch}/app-1/file {scratch}/target.git/file {other}/file"
    assert lines(tmp_path, script, within) == ["app-0"]


def test_missing_protections__are_said_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def said(version: int, **environ: str) -> list[str]:
        monkeypatch.setattr(landlock, "version", lambda: version)
        return [sentence.split("; Linux")[0] for sentence in missing_protections(environ, 12345)]

    assert said(0)[0].startswith("The kernel has no Landlock")
    assert "private files of this run" in missing_protections({})[1]
    assert [len(said(version)) for version in (0, 2, 3, 5, 6)] == [1, 2, 1, 1, 0]
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind("agent")
        (tmp_path / "agent").chmod(0o777)
        assert said(6, SSH_AUTH_SOCK=f"{tmp_path}/agent") == [f"An app can connect to {tmp_path}/agent"]
        assert said(9, SSH_AUTH_SOCK=f"{tmp_path}/agent") == []
        (tmp_path / "agent").chmod(0o700)
        assert said(6, SSH_AUTH_SOCK=f"{tmp_path}/agent") == []


def test_separate_processes__are_not_relied_on_where_the_parent_can_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "restrict", lambda _: None)
    thread_says: list[bool] = []
    thread = threading.Thread(target=lambda: thread_says.append(confinement.enter(Confinement())))
    thread.start()
    thread.join()
    assert thread_says == [False]
