"""An app with a malicious dependency finds no credential: not in what it gets, not in the process that runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from cdk8s_publish.ci.files import write_file
from cdk8s_publish.sandbox import confinement, landlock
from support.checkouts import COPY_APP, Checkout, config_map
from support.git_http import TOKEN
from support.github import GitHubJob
from support.programs import ROOT, require
from support.runner import Cli

if TYPE_CHECKING:
    from support.git_http import GitHttpServer
    from support.remotes import Remote

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc")

needs_landlock = pytest.mark.skipif(not landlock.version(), reason="the kernel has no Landlock")

APP = ROOT / "tests" / "fixtures" / "malicious_app.py"
LOOKS_LIKE = r"s3cr[3]t-t0ken-of-the-server|cm[V]0LXQwa2Vu"  # in this form it does not match itself
WAYS = 15
PRIVILEGES = {"as we are": (), "without capabilities": ("setpriv", "--bounding-set=-all", "--inh-caps=-all")}
"""Root without capabilities has the rights of any user over his own processes."""

# As on a kernel without Landlock: what then still stands, and that the attacks are real.
NO_LANDLOCK = "from cdk8s_publish.sandbox import landlock; landlock.version = lambda: 0"

# Holds the token as the real program does: in its initial environment, on its heap, in an open private file.
HOLDER = """
import os, sys
from pathlib import Path
from cdk8s_publish.model import Secret
from cdk8s_publish.sandbox.confinement import Confinement
from cdk8s_publish.sandbox.environ import scrub
from cdk8s_publish.sandbox.privileges import protect_self
from cdk8s_publish.sandbox.process import Command, run
token = Secret(os.environ.pop("INPUT_TOKEN"))
if PROTECT:
    protect_self(["INPUT_TOKEN", "COPY"])
file = open("../token", "w+")
os.unlink(file.name)
file.write(token.reveal())
file.flush()
environ = scrub(os.environ, [token.reveal()], ["GITHUB_*"]) if SCRUB else dict(os.environ)
environ["CDK8S_OUTDIR"] = str(Path.cwd())
confinement = Confinement().also(writable=[Path.cwd(), Path(os.environ["HOME"])])
done = run(Command(("sh", "-c", sys.argv[1]), Path.cwd(), environ, 60, confinement), on_line=print)
sys.exit(done.returncode)
"""


class Report(NamedTuple):
    """What the app has said: each way that it tried, each that worked, and whom it left behind."""

    tried: list[str]
    found: set[str]
    daemon: int

    @classmethod
    def of(cls, text: str) -> Report:
        said = {what: re.findall(rf"(?m)^{what} (.+)$", text) for what in ("TRIED", "FOUND", "DAEMON")}
        return cls(said["TRIED"], set(said["FOUND"]), int(said["DAEMON"][0]))


def as_any_user(privileges: str) -> tuple[str, ...]:
    """Return what to put before a command, so that it has these privileges; only root has any to give up."""
    if os.geteuid() != 0:
        return ()
    require("setpriv")
    return PRIVILEGES[privileges]


def hold(tmp_path: Path, privileges: str, protection: str) -> Report:
    for name in ("work", "home", "loot"):
        (tmp_path / name).mkdir()
    output = tmp_path / "github-output"
    output.write_text(TOKEN)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "INPUT_TOKEN": TOKEN,
        "COPY": f"https://x-access-token:{TOKEN}@example.com/",
        "GITHUB_OUTPUT": str(output),
        "LOOT": str(tmp_path / "loot"),
        "LOOKS_LIKE": LOOKS_LIKE,
        "SCOPE": str(os.getpid()),
    }
    app = f"{sys.executable} {APP}"
    argv = (*as_any_user(privileges), sys.executable, "-c")
    done = subprocess.run(
        (*argv, f"{protection}\n{HOLDER}", app), env=environ, cwd=tmp_path / "work", check=True, timeout=120, stdout=-1
    )
    assert list((tmp_path / "loot").iterdir()) == []
    return Report.of(done.stdout.decode())


@pytest.mark.parametrize("privileges", PRIVILEGES)
@pytest.mark.parametrize("kernel", ["as it is", NO_LANDLOCK])
def test_malicious_app__finds_nothing(tmp_path: Path, privileges: str, kernel: str) -> None:
    protection = "PROTECT = SCRUB = True" + (f"; {kernel}" if kernel == NO_LANDLOCK else "")
    report = hold(tmp_path, privileges, protection)
    assert report.found == set()
    assert len(report.tried) == WAYS
    assert not Path(f"/proc/{report.daemon}").exists()


def test_malicious_app__would_find_it_in_an_environment_that_is_not_scrubbed(tmp_path: Path) -> None:
    report = hold(tmp_path, "as we are", "PROTECT, SCRUB = True, False")
    assert {"own-environment", "file-named-by-GITHUB_OUTPUT"} <= report.found


@needs_landlock
def test_malicious_app__can_not_look_into_a_process_that_does_not_protect_itself(tmp_path: Path) -> None:
    assert hold(tmp_path, "without capabilities", "PROTECT, SCRUB = False, True").found == set()


def test_malicious_app__would_find_it_in_a_process_that_does_not_protect_itself(tmp_path: Path) -> None:
    found = hold(tmp_path, "without capabilities", f"PROTECT, SCRUB = False, True; {NO_LANDLOCK}").found
    assert {"memory", "ptrace"} <= found
    assert any(name.startswith("process-environ") for name in found)
    assert any(name.startswith("parent-s-descriptor") for name in found)


@pytest.mark.server
def test_malicious_app__finds_nothing_in_a_run_that_publishes(
    cli: Cli, checkout: Checkout, http_server: GitHttpServer, tmp_path: Path
) -> None:
    loot = tmp_path / "loot"
    loot.mkdir()
    shutil.copy(APP, checkout.path / "main.py")
    checkout.write("cdk8s.yaml", f"app: {sys.executable} main.py\n".encode())
    checkout.commit("Add a dependency")
    checkout.git("remote", "set-url", "origin", http_server.url(checkout.origin.path))
    told = {"LOOT": str(loot), "LOOKS_LIKE": LOOKS_LIKE, "SCOPE": str(os.getpid())}
    result = cli.run("run", "--install", "none", cwd=checkout.path, INPUT_TOKEN=TOKEN, **told).ok()
    report = Report.of(result.stdout)
    assert report.found == set()
    assert len(report.tried) == WAYS
    assert not Path(f"/proc/{report.daemon}").exists()
    assert list(loot.iterdir()) == []
    assert http_server.pushes()
    assert checkout.origin.git("ls-tree", "-r", "--name-only", "manifests").splitlines()[-1] == "dist/innocent.yaml"
    assert TOKEN not in result.text
    assert "section_start" not in result.text
    assert cli.left_behind() == []


@pytest.mark.parametrize("output", ["", "dist"])
def test_output__made_a_link_by_the_app_is_not_followed(output: str, checkout: Checkout, cli: Cli) -> None:
    folder = output or "$CDK8S_OUTDIR"
    hidden = cli.home / "hidden"
    hidden.mkdir()
    (hidden / "secret.yaml").write_bytes(config_map("secret"))
    app = f"rm -rf {folder} && ln -s {hidden} {folder}"
    result = cli.run("run", "--install", "none", "--app", app, "--output", output, cwd=checkout.path).exits(3)
    assert "made a link of its output folder" in result.text
    assert checkout.origin.tip("manifests") is None
    assert (hidden / "secret.yaml").exists()


def test_output__behind_a_link_of_the_repository_is_not_emptied(checkout: Checkout, cli: Cli) -> None:
    victim = cli.home / "victim"
    (victim / "dist").mkdir(parents=True)
    (victim / "dist" / "kept.yaml").write_bytes(config_map("kept"))
    (checkout.path / "way").symlink_to(victim)
    checkout.commit("Add a way out")
    cli.run("run", "--install", "none", "--output", "way/dist", cwd=checkout.path)
    assert (victim / "dist" / "kept.yaml").exists()


@needs_landlock
def test_git_configuration__can_not_be_written_by_the_app(checkout: Checkout, cli: Cli) -> None:
    app = f'cp rendered/* "$CDK8S_OUTDIR"; echo "[a]" >> {cli.home}/.gitconfig || true'
    cli.run("--install", "none", "--app", app, cwd=checkout.path).ok()
    assert not (cli.home / ".gitconfig").exists()


def test_git_configuration__written_by_the_app_does_not_reach_the_push(
    checkout: Checkout, cli: Cli, remote: Remote
) -> None:
    # Where nothing keeps the app from writing to the user's home, the credential must not follow it anywhere.
    trap = f'[url "{remote.path}"]\n\tinsteadOf = {checkout.origin.path}\n'
    checkout.write("trap", trap.encode())
    app = f'cp rendered/* "$CDK8S_OUTDIR"; cat trap >> {cli.home}/.gitconfig'
    cli.without_landlock().run("--install", "none", "--app", app, cwd=checkout.path).ok()
    assert (cli.home / ".gitconfig").read_text() == trap
    assert checkout.origin.tip("manifests")
    assert not remote.refs()


class Target(NamedTuple):
    """What the app is after: a user's machine, laid out below one folder."""

    folder: Path
    cli: Cli
    checkout: Checkout

    def write(self, name: str, text: str = "a secret\n") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def attack(self, script: str, cli: Cli, privileges: str = "without capabilities") -> bool:
        """Let the app run a script, and return whether it printed that it has reached something."""
        self.checkout.write("attack.sh", script.encode())
        app = f"sh attack.sh 2>/dev/null; {COPY_APP}"
        environ = cli.environ(INPUT_TOKEN=TOKEN, PATH=f"{self.folder}/bin:{cli.environ()['PATH']}")
        # The parent of our process still has what it was started with, as the shell of a CI job or of `make` has.
        argv = (*map(str, cli.program), "run", "--install", "none", "--app", app)
        program = f"import subprocess, sys; sys.exit(subprocess.run({argv!r}).returncode)"
        done = subprocess.run(
            (*as_any_user(privileges), sys.executable, "-c", program),
            env=environ,
            cwd=self.checkout.path,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return "\nREACHED\n" in done.stdout.decode()


@pytest.fixture
def target(tmp_path: Path, cli: Cli, checkout: Checkout) -> Target:
    return Target(tmp_path, cli, checkout)


ATTACKS = {
    "the repository that pushes": 'for file in ../*.git/config; do true >>"$file" && echo REACHED; done',
    "a program on the PATH": "cp /bin/sh {folder}/bin/git && echo REACHED && rm {folder}/bin/git",
    "a module of ours": "true >>{package}/__init__.py && echo REACHED",
    "the environment of a parent": """
        for process in /proc/[0-9]*; do
            tr '\\0' '\\n' <$process/environ | grep -q '^INPUT_TOKEN=.*{half}' && echo REACHED
        done""",
    "a key in the home folder": "cat {folder}/machine/home/.ssh/id_ed25519 && echo REACHED",
    "a token in the home folder": "cat {folder}/machine/home/.config/cloud/token && echo REACHED",
    "a shell's profile": "true >>{folder}/machine/home/.bashrc && echo REACHED",
    "the checkout": "true >>{folder}/source/checkout/cdk8s.yaml && echo REACHED",
    "a credential in the checkout": "cat {folder}/source/checkout/.git/config && echo REACHED",
    "a credential in another checkout": "cat {folder}/source/checkout/other/.git/config && echo REACHED",
    "our process": 'kill -0 $(cut -d" " -f4 /proc/$PPID/stat) && echo REACHED',
    "the folder for temporary files": "true >{folder}/machine/tmp/planted && echo REACHED",
}
"""Each prints a line when it has succeeded; `half` is a part of the token."""


OPEN_TO_ANOTHER_USER = {
    "the checkout",
    "a credential in the checkout",
    "a credential in another checkout",
    "the folder for temporary files",
}
"""What the owner of the workspace reaches without Landlock: what is in it, and what everybody may write to."""


def laid_out(target: Target, attack: str) -> str:
    """Lay out what can be reached, and return the script of an attack."""
    for name in (".ssh/id_ed25519", ".config/cloud/token", ".bashrc"):
        target.write(f"machine/home/{name}")
    target.write("source/checkout/other/.git/config")
    target.write("bin/other")
    package = Path(confinement.__file__).parent.parent
    script = ATTACKS[attack].replace("{folder}", str(target.folder)).replace("{package}", str(package))
    return script.replace("{half}", TOKEN[: len(TOKEN) // 2])


@needs_landlock
@pytest.mark.parametrize("attack", ATTACKS)
def test_app__of_the_same_user_can_not_reach(target: Target, attack: str) -> None:
    script = laid_out(target, attack)
    if attack == "our process" and landlock.version() < landlock.SCOPES:
        pytest.skip("the kernel's Landlock knows no signals")
    assert target.attack(script, target.cli.without_landlock()), "the attack is a real one"
    assert not target.attack(script, target.cli)


@pytest.mark.parametrize(("app", "code"), [(COPY_APP, 0), ("exit 1", 3)])
@pytest.mark.parametrize("has_landlock", [pytest.param(True, marks=needs_landlock), False])
def test_summary__says_which_promise_does_not_hold(
    checkout: Checkout, cli: Cli, tmp_path: Path, has_landlock: bool, app: str, code: int
) -> None:
    """Also that of a run that failed: its app has run as well."""
    job = GitHubJob.create(tmp_path / "runner", checkout, checkout.origin.path.parent.as_uri(), "origin")
    machine = cli if has_landlock else cli.without_landlock()
    machine.run("--install", "none", "--app", app, cwd=checkout.path, **job.environ()).exits(code)
    said = [line for line in job.summary().splitlines() if line.startswith("**Does not hold on this machine:**")]
    assert len(said) == (0 if has_landlock else 1)
    assert all("no Landlock" in line and "private files of this run" in line for line in said)


@pytest.mark.parametrize("attack", ATTACKS)
def test_app__of_another_user_reaches_without_landlock_what_is_open_to_it(attack: str) -> None:
    """As in the image, where we are root and the app is the owner of the workspace."""
    if os.geteuid() != 0:
        pytest.skip("only root can run the app as somebody else")
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to that user
        folder = Path(name)
        folder.chmod(0o755)
        cli = Cli.create(folder / "machine")
        target = Target(folder, cli, Checkout.create(folder / "source", {"web.yaml": config_map("web")}))
        script = laid_out(target, attack)
        cli.home.chmod(0o700)
        cli.tmp.chmod(0o1777)
        for path in (target.checkout.path, *target.checkout.path.rglob("*")):
            shutil.chown(path, 1234, 1234)
        assert target.attack(script, cli.without_landlock(), "as we are") is (attack in OPEN_TO_ANOTHER_USER)


STRAY = """
touch started
while sleep 0.05; do
    for output in $CDK8S_OUTDIR/../../app-*/out; do
        printf 'apiVersion: v1\\nkind: Pod\\nmetadata: {name: evil}\\n' >$output/evil.yaml
    done
done
"""


@pytest.mark.parametrize("is_hermetic", ["true", "false"])
@pytest.mark.parametrize("has_landlock", [pytest.param(True, marks=needs_landlock), False])
def test_app__leaves_a_process_that_writes_into_the_output_of_another(
    checkout: Checkout, cli: Cli, has_landlock: bool, is_hermetic: str
) -> None:
    """With Landlock nothing comes of it; without, the second app ends when it has happened."""
    checkout.write("apps/a/stray.sh", STRAY.encode())
    leave = f"setsid sh stray.sh & until [ -e started ]; do sleep 0.01; done; {COPY_APP}"
    wait = f"for turn in $(seq 60); do [ -e $CDK8S_OUTDIR/evil.yaml ] && break; sleep 0.05; done; {COPY_APP}"
    for name, app in (("a", leave), ("b", wait)):
        checkout.write(f"apps/{name}/cdk8s.yaml", f"app: |\n  {app}\n".encode())
        checkout.write(f"apps/{name}/rendered/{name}.yaml", config_map(name))
    checkout.commit("Add apps")
    options = ("--install", "none", "--working-directory", "apps/*", "--path", "{app}", "--hermetic", is_hermetic)
    (cli if has_landlock else cli.without_landlock()).run("run", *options, cwd=checkout.path).ok()
    assert ("b/evil.yaml" in checkout.origin.files("manifests")) is not has_landlock


@pytest.mark.parametrize("link", ["diff", "folder"])
def test_file__that_was_made_a_link_is_not_written_through_by_root(tmp_path: Path, link: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root could write there")
    (tmp_path / "diff").write_text("root's own")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder, "workspace")
        (workspace / "kept").mkdir(parents=True)
        path = workspace / "kept" / "diff" if link == "diff" else workspace / "folder" / "diff"
        (path if link == "diff" else path.parent).symlink_to(tmp_path / "diff" if link == "diff" else tmp_path)
        Path(folder).chmod(0o755)
        tmp_path.chmod(0o755)
        for made in (workspace, *workspace.rglob("*")):
            os.chown(made, 1001, 1001, follow_symlinks=False)
        with pytest.raises(PermissionError):
            write_file(path, "from the app")
        assert (tmp_path / "diff").read_text() == "root's own"
        write_file(workspace / "new" / "folder" / "diff", "mine")
        assert {made.stat().st_uid for made in (workspace / "new").rglob("*")} == {1001}
    assert os.geteuid() == 0
