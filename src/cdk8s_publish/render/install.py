"""Install what an app depends on, as its lock file says, and compile it where that is needed."""

from __future__ import annotations

import re
import shlex
import shutil
from typing import TYPE_CHECKING

from cdk8s_publish.errors import SynthError
from cdk8s_publish.render.dependencies import ROOT
from cdk8s_publish.render.failures import step_failure
from cdk8s_publish.render.managers.node import with_corepack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdk8s_publish.render.dependencies import Step
    from cdk8s_publish.render.environment import AppEnvironment
    from cdk8s_publish.render.managers import Manager


def install(step: Step, where: AppEnvironment) -> None:
    """Run one installation step or a compilation in a copy of the checkout.

    Raises:
        SynthError: it failed or took too long; names the command and shows the package manager's own words.

    """
    if step.is_compilation:
        # What a compilation makes is what the app is.
        _run("Compiling", step, where, where.variables(is_app=True))
        return
    for name in step.manager.replaces if step.manager else ():
        shutil.rmtree(where.folder / name, ignore_errors=True)
    variables = where.variables()  # an installer needs those that open a registry
    if step.version_commands:
        # Whether they are the ones that the project asks for is for its package manager to say.
        where.run(_shown(step.version_commands), variables)
    if step.manager and step.manager.too_old:
        _refuse_too_old(step.manager, where, variables)
    _run("Installing dependencies", step, where, variables)
    if step.manager:
        _refuse_unlocked(step.manager, where.folder)


def _run(what: str, step: Step, where: AppEnvironment, variables: Mapping[str, str]) -> None:
    command = _launched(step.command, step.manager, variables)
    done = where.run(command, variables)
    if done.has_failed:
        raise step_failure(f"{what} in {step.directory or ROOT}", command, done, where.timeout_s)


def _launched(command: str, manager: Manager | None, variables: Mapping[str, str]) -> str:
    has_corepack = manager is not None and manager.has_corepack
    return with_corepack(command, variables["PATH"]) if has_corepack else command


def _refuse_too_old(manager: Manager, where: AppEnvironment, variables: Mapping[str, str]) -> None:
    """Raise SynthError where the program that would run is not the one whose files were found."""
    done = where.run(_launched(f"{manager.program} --version", manager, variables), variables)
    version = done.excerpt[-1] if done.excerpt else ""
    if re.match(manager.too_old, version):
        raise SynthError(
            f"{manager.program} {version} can't read this {manager.files[-1]}: a later version wrote it.",
            hint=f"Name the version as `packageManager` in package.json (`corepack use {manager.program}@4` does that) "
            "and let Corepack run it, or install it before this step.",
        )


def _shown(commands: tuple[str, ...]) -> str:
    """Return one shell command that runs others, each with its own text before what it prints."""
    return "; ".join(f"printf '%s: ' {shlex.quote(command)}; {command}" for command in commands)


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
