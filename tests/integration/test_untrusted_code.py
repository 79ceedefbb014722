"""An app with a malicious dependency finds no credential: not in what it gets, not in the process that runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.ci.files import write_file
from support.checkouts import config_map
from support.git_http import TOKEN
from support.programs import ROOT, require

if TYPE_CHECKING:
    from support.checkouts import Checkout
    from support.git_http import GitHttpServer
    from support.remotes import Remote
    from support.runner import Cli

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc")

APP = ROOT / "tests" / "fixtures" / "malicious_app.py"
LOOKS_LIKE = r"s3cr[3]t-t0ken-of-the-server|cm[V]0LXQwa2Vu"  # in this form it does not match itself
WAYS = 15
PRIVILEGES = {"as we are": (), "without capabilities": ("setpriv", "--bounding-set=-all", "--inh-caps=-all")}
"""Root without capabilities has the rights of any user over his own processes."""

# Holds the token as the real program does: in its initial environment, on its heap, in an open private file.
HOLDER = """
import os, sys
from pathlib import Path
from cdk8s_publish.model import Secret
from cdk8s_publish.sandbox.environ import scrub
from cdk8s_publish.sandbox.privileges import protect_self
from cdk8s_publish.sandbox.process import Command, run
token = Secret(os.environ.pop("INPUT_TOKEN"))
if PROTECT:
    protect_self(["INPUT_TOKEN", "COPY"])
file = open(os.environ["LOOT"] + "/../token", "w+")
os.unlink(file.name)
file.write(token.reveal())
file.flush()
environ = scrub(os.environ, [token.reveal()], ["GITHUB_*"]) if SCRUB else dict(os.environ)
environ["CDK8S_OUTDIR"] = os.environ["LOOT"] + "/.."
command = Command(("sh", "-c", sys.argv[1]), Path.cwd(), environ, timeout_s=60)
done = run(command, on_line=print)
sys.exit(done.returncode)
"""


def hold(tmp_path: Path, privileges: str = "as we are", *, protects: bool = True, scrubs: bool = True) -> set[str]:
    loot = tmp_path / "loot"
    loot.mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    output = tmp_path / "github-output"
    output.write_text(TOKEN)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "INPUT_TOKEN": TOKEN,
        "COPY": f"https://x-access-token:{TOKEN}@example.com/",
        "GITHUB_OUTPUT": str(output),
        "LOOT": str(loot),
        "LOOKS_LIKE": LOOKS_LIKE,
        "SCOPE": str(os.getpid()),
    }
    holder = f"PROTECT, SCRUB = {protects}, {scrubs}\n{HOLDER}"
    app = f"{sys.executable} {APP}"
    if os.geteuid() == 0:
        require("setpriv")
    argv = (*PRIVILEGES[privileges if os.geteuid() == 0 else "as we are"], sys.executable, "-c", holder, app)
    subprocess.run(argv, env=environ, cwd=tmp_path / "work", check=True, timeout=120, stdout=-1)
    return {path.name for path in loot.iterdir()} - {"helper"}


@pytest.mark.parametrize("privileges", PRIVILEGES)
def test_malicious_app__finds_nothing(tmp_path: Path, privileges: str) -> None:
    assert hold(tmp_path, privileges) == set()
    assert len((tmp_path / "attempts").read_text().splitlines()) == WAYS
    assert not Path("/proc", (tmp_path / "daemon.pid").read_text()).exists()


def test_malicious_app__would_find_it_in_an_environment_that_is_not_scrubbed(tmp_path: Path) -> None:
    assert {"own-environment", "file-named-by-GITHUB_OUTPUT"} <= hold(tmp_path, scrubs=False)


def test_malicious_app__would_find_it_in_a_process_that_does_not_protect_itself(tmp_path: Path) -> None:
    found = hold(tmp_path, "without capabilities", protects=False)
    assert "memory" in found
    assert "ptrace" in found
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
    assert {path.name for path in loot.iterdir()} == {"helper"}
    assert len((tmp_path / "attempts").read_text().splitlines()) == WAYS
    assert not Path("/proc", (tmp_path / "daemon.pid").read_text()).exists()
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


def test_git_configuration__written_by_the_app_does_not_reach_the_push(
    checkout: Checkout, cli: Cli, remote: Remote
) -> None:
    # With the same user id the app can write to the user's home; the credential must not follow it anywhere.
    trap = f'[url "{remote.path}"]\n\tinsteadOf = {checkout.origin.path}\n'
    checkout.write("trap", trap.encode())
    app = f'cp rendered/* "$CDK8S_OUTDIR"; cat trap >> {cli.home}/.gitconfig'
    cli.run("--install", "none", "--app", app, cwd=checkout.path).ok()
    assert (cli.home / ".gitconfig").read_text() == trap
    assert checkout.origin.tip("manifests")
    assert not remote.refs()


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
