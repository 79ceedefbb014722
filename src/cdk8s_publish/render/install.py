"""Install what an app depends on, as its lock file says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from typing import TYPE_CHECKING

from cdk8s_publish.errors import SynthError
from cdk8s_publish.render.environment import Place, RunAs, step_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cdk8s_publish.render.managers import Step
    from cdk8s_publish.render.tool_versions import Pin

PROBE_S = 30


def install(step: Step, source: Path, private: Path, options: RunAs, on_line: Callable[[str], None]) -> None:
    """Run one installation step in the copy of the checkout.

    Raises:
        SynthError: the step failed or took too long; names the command and shows the package manager's own words.

    """
    place = Place(step.directory, source, private, options, on_line)
    for name in step.replaces:
        shutil.rmtree(place.folder / name, ignore_errors=True)
    # What a compilation makes is what the app is; an installer needs the variables that open a registry.
    environ = place.environ(is_app=step.is_compilation)
    command = _with_corepack(step.command, environ["PATH"])
    done = place.run(command, environ)
    if done.timed_out or done.returncode != 0:
        where = step.directory or "the root of the checkout"
        what = "Compiling" if step.is_compilation else "Installing dependencies"
        raise step_failure(f"{what} in {where}", command, done, options.timeout_s)
    if step.command.startswith("yarn install --frozen-lockfile"):
        _check_yarn_lock(place.folder)


def mismatches(pins: Mapping[Pin, Path], private: Path, options: RunAs) -> list[str]:
    """Return a sentence for each pinned tool whose version here is another one; a tool that is missing says nothing.

    Each tool is asked in the folder of its pin, in the copy of the checkout that `pins` leads to: Corepack, pnpm and
    Yarn run the version that the folder asks for. Whatever needs a missing tool says so itself.
    """
    found = []
    for pin, source in pins.items():
        place = Place(pin.directory, source, private, options._replace(timeout_s=PROBE_S), lambda _: None)
        done = place.run(f"{shlex.quote(pin.tool)} --version", place.environ())
        version = next((line for line in done.excerpt if re.match(r"(Python )?v?\d", line)), "")
        if done.returncode == 0 and not pin.is_met_by(version):
            found.append(f"{pin.tool} {version} is used here, but {pin.file} asks for {pin.wanted}")
    return found


def _with_corepack(command: str, path: str) -> str:
    """Let Node's own launcher fetch yarn or pnpm where only that is there (nodejs.org, Corepack)."""
    tool = command.split(maxsplit=1)[0]
    is_needed = tool in {"yarn", "pnpm"} and not shutil.which(tool, path=path) and shutil.which("corepack", path=path)
    return f"corepack {command}" if is_needed else command


def _check_yarn_lock(folder: Path) -> None:
    """Raise SynthError where Yarn 1 installed what its lock file does not hold.

    It never notices that itself of a package in a workspace (github.com/yarnpkg/yarn, issue 5840). What it installed
    stands in `node_modules/.yarn-integrity`; a package from a folder is written there in another way.
    """
    try:
        installed = json.loads((folder / "node_modules" / ".yarn-integrity").read_bytes())["lockfileEntries"]
        lines = (folder / "yarn.lock").read_text(errors="replace").splitlines()
    except (OSError, ValueError, KeyError):
        return
    locked = {
        name.strip(' "') for line in lines if line.endswith(":") and line[0] != " " for name in line[:-1].split(",")
    }
    missing = [name for name, source in installed.items() if source.startswith("http") and name not in locked]
    if missing:
        raise SynthError(
            f"yarn.lock does not hold {missing[0]}, which a package of the workspace asks for.",
            evidence="\n".join(f"not in yarn.lock: {name}" for name in missing),
            hint="Run `yarn install` and commit yarn.lock. Yarn 1 does not see this by itself.",
        )
