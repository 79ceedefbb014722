"""Nothing of ours is loaded once untrusted code has started: what that has written by then is never run by us.

With Landlock it can't write there at all (`test_untrusted_code.py`); here it can.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.checkouts import COPY_APP, Checkout, config_map
from support.git_http import TOKEN
from support.programs import ROOT, program, require, run

if TYPE_CHECKING:
    from pathlib import Path

    from support.runner import Cli

# Runs the package below `source`, and says what is loaded or opened late: modules, and files of any package.
WATCHED = """
import os, sys
sys.path.insert(0, {source!r})
from cdk8s_publish.sandbox import landlock, lifetime
from cdk8s_publish.cli import console
import sysconfig
HOLD_CODE = tuple({{*map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")), {source!r}}})
started, late, start = [], [], lifetime.start
def watched_start(program):
    started.append(True)
    return start(program)
def audit(event, arguments):
    if started and event == "import":
        late.append(f"import {{arguments[0]}}")
    if started and event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(HOLD_CODE):
        late.append(f"open {{arguments[0]}}")
landlock.version = lambda: 0
lifetime.start = watched_start
sys.addaudithook(audit)
try:
    console()
finally:
    found, started[:] = tuple(late), ()
    print("LATE", *found, sep="\\n", file=sys.stderr)
"""
# Stands for an npm postinstall: every module of ours tells from now on that it was run, and works no more.
PLANTED = """
import pathlib
for module in pathlib.Path({package!r}).rglob("*.py*"):
    if module.suffix == ".py":
        module.write_text("open({loot!r}, 'a').write(__name__ + chr(10))")
    else:
        module.unlink()
"""


def plant(checkout: Checkout, folder: Path) -> str:
    """Return a command that overwrites every module of the installation in a folder."""
    package, loot = folder / "src" / "cdk8s_publish", folder / "loot"
    checkout.write("plant.py", PLANTED.format(package=str(package), loot=str(loot)).encode())
    return f"{sys.executable} plant.py"


@pytest.mark.parametrize("where", ["install", "before-synth", "app"])
@pytest.mark.parametrize("ending", ["published", "refused", "failed"])
def test_module_of_ours__overwritten_by_untrusted_code_is_not_run__a4(
    checkout: Checkout, cli: Cli, tmp_path: Path, where: str, ending: str
) -> None:
    installation = tmp_path / "installation"
    shutil.copytree(ROOT / "src", installation / "src")
    commands = {"install": "true", "before-synth": "true", "app": COPY_APP}
    commands["app"] += {"published": "", "refused": '; rm "$CDK8S_OUTDIR"/*', "failed": "; exit 1"}[ending]
    commands[where] = f"{plant(checkout, installation)}; {commands[where]}"
    machine = replace(cli, program=(sys.executable, "-c", WATCHED.format(source=str(installation / "src"))))
    options = [word for name, command in commands.items() for word in (f"--{name}", command)]
    done = machine.run("run", *options, cwd=checkout.path, INPUT_TOKEN=TOKEN)
    done.exits({"published": 0, "refused": 4, "failed": 3}[ending])
    planted = (installation / "src" / "cdk8s_publish" / "cli.py").read_text()
    assert planted.startswith("open("), "the attack is a real one"
    assert not (installation / "loot").exists()
    assert bool(checkout.origin.tip("manifests")) is (ending == "published")


def ssh_key(folder: Path) -> str:
    require("ssh-keygen")
    run(program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", folder / "key")
    return (folder / "key").read_text()


RUNS = {
    "publishes": (("run",), 0),
    "publishes a hermetic render": (("run", "--hermetic", "true"), 0),
    "publishes several apps side by side": (("run", "--working-directory", "apps/*", "--path", "{app}"), 0),
    "shows the diff": (("run", "--mode", "diff", "--diff-file", "../diff"), 0),
    "is refused": (("run", "--app", "true"), 4),
    "is refused for what a file holds": (("run", "--app", "echo '{' > $CDK8S_OUTDIR/a.yaml"), 4),
    "fails to install": (("run", "--install", "exit 1"), 3),
    "fails to render": (("run", "--app", "exit 1"), 3),
    "takes too long": (("run", "--app", "sleep 60", "--timeout", "1s"), 3),
    "prints the manifests": (("generate",), 0),
}
"""Runs that take different ways through the program after the app, and how they end."""


@pytest.mark.parametrize("what", RUNS)
def test_run__loads_nothing_once_untrusted_code_has_started__a4(
    checkout: Checkout, cli: Cli, tmp_path: Path, what: str
) -> None:
    for name in ("a", "b"):
        checkout.write(f"apps/{name}/cdk8s.yaml", f"app: {COPY_APP}\n".encode())
        checkout.write(f"apps/{name}/rendered/{name}.yaml", config_map(name))
    checkout.commit("Add apps")
    machine = replace(cli, program=(sys.executable, "-c", WATCHED.format(source=str(ROOT / "src"))))
    (command, *options), code = RUNS[what]
    defaults = {"--install": "true", "--before-synth": "true"}
    given = [word for name, value in defaults.items() if name not in options for word in (name, value)]
    environ = {"INPUT_SIGNING-KEY": ssh_key(tmp_path), "INPUT_TOKEN": TOKEN}
    done = machine.run(command, *given, *options, cwd=checkout.path, **environ).exits(code)
    _, said, late = done.stderr.partition("LATE\n")
    assert said
    assert not late
    assert bool(checkout.origin.tip("manifests")) is (command == "run" and code == 0 and "diff" not in options)
