"""Install what an app depends on, as its lock file says."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

from cdk8s_publish.errors import SynthError
from cdk8s_publish.render.environment import Place, RunAs, step_failure
from cdk8s_publish.render.managers.node import with_corepack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cdk8s_publish.render.dependencies import Step
    from cdk8s_publish.render.managers import Manager


def install(step: Step, source: Path, private: Path, options: RunAs, on_line: Callable[[str], None]) -> None:
    """Run one installation step in the copy of the checkout.

    Raises:
        SynthError: the step failed or took too long; names the command and shows the package manager's own words.

    """
    place = Place(step.directory, source, private, options, on_line)
    for name in step.manager.replaces if step.manager and not step.is_compilation else ():
        shutil.rmtree(place.folder / name, ignore_errors=True)
    # What a compilation makes is what the app is; an installer needs the variables that open a registry.
    environ = place.environ(is_app=step.is_compilation)
    if step.version_commands:
        # Whether they are the ones that the project asks for is for its package manager to say.
        place.run(_shown(step.version_commands), environ)
    command = step.command
    if step.manager and step.manager.has_corepack:
        command = with_corepack(command, environ["PATH"])
    done = place.run(command, environ)
    if done.timed_out or done.returncode != 0:
        where = step.directory or "the root of the checkout"
        what = "Compiling" if step.is_compilation else "Installing dependencies"
        raise step_failure(f"{what} in {where}", command, done, options.timeout_s)
    if step.manager and not step.is_compilation:
        _refuse_unlocked(step.manager, place.folder)


def _refuse_unlocked(manager: Manager, folder: Path) -> None:
    """Raise SynthError where a manager installed what its lock file does not hold."""
    missing = manager.missing_in_lock(folder)
    if missing:
        lock = manager.files[-1]
        raise SynthError(
            f"{lock} does not hold {missing[0]}, which a package of the workspace asks for.",
            evidence="\n".join(f"not in {lock}: {name}" for name in missing),
            hint=f"Run `{manager.program} install` and commit {lock}. Yarn 1 does not see this by itself.",
        )


def _shown(commands: tuple[str, ...]) -> str:
    """Return one shell command that runs others, each with its own text before what it prints."""
    return "; ".join(f"printf '%s: ' {shlex.quote(command)}; {command}" for command in commands)
