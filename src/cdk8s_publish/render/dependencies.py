"""Tell from files what has to be installed before an app runs.

`managers` says which files stand for which package manager and how it installs exactly what its lock file says.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.render.managers import node
from cdk8s_publish.render.managers.go import GO
from cdk8s_publish.render.managers.java import JAVA
from cdk8s_publish.render.managers.node import NODE
from cdk8s_publish.render.managers.python import PYTHON

if TYPE_CHECKING:
    from pathlib import Path

    from cdk8s_publish.render.managers import Ecosystem, Manager

ECOSYSTEMS = (NODE, PYTHON, GO, JAVA)
ROOT = "the root of the checkout"
"""Its name in messages."""

_NEWEST = (
    "the newest dependencies are installed, so the same source can render something else tomorrow. Commit a lock file, "
    "or exact versions."
)


class Step(NamedTuple):
    """One shell command that runs before the app, in `directory` of the checkout; `reason` says why, for the log.

    `manager` is None where the command is the user's own. `version_commands` print the versions of what it runs.
    """

    command: str
    directory: str
    reason: str
    manager: Manager | None = None
    version_commands: tuple[str, ...] = ()
    warning: str = ""
    is_compilation: bool = False


class Installation(NamedTuple):
    """What an app needs before it runs; `nothing_installed` says why where there are no `steps`.

    `ecosystem` is the name of one, or ''. `warning` is about what the app command installs by itself.
    """

    ecosystem: str
    steps: tuple[Step, ...] = ()
    nothing_installed: str = ""
    warning: str = ""


class _Found(NamedTuple):
    """A package manager whose files are in `directory` of the checkout."""

    ecosystem: Ecosystem
    manager: Manager
    directory: str

    @property
    def signs(self) -> str:
        return f"there is {self.manager.signs} in {self.directory or ROOT}"


def plan_installation(workspace: Path, directory: str, language: str, command: str, install: str) -> Installation:
    """Return the steps that install the app's dependencies, and compile it where that is needed.

    `language` is that of cdk8s.yaml, `command` the app command and `install` the input.
    """
    ecosystems = _ecosystems(language, command)
    found = _find(workspace, directory, ecosystems)
    ecosystem = _name(found, ecosystems)
    if install == "none":
        return Installation(ecosystem, nothing_installed="the input `install` is `none`")
    if install != "auto":
        return Installation(ecosystem, (Step(install, directory, "the input `install`"),))
    own = _own_installation(found, node.script(workspace / directory, command) or command)
    if own:
        return _left_to_app(ecosystem, found, own)
    steps = _install_steps(workspace, found) if found else ()
    if ecosystem == NODE.name:
        steps += _compile_steps(workspace, directory, command, found.manager if found else None)
    return Installation(ecosystem, steps, "" if steps else _nothing_installed(directory, found))


def _left_to_app(ecosystem: str, found: _Found | None, own: str) -> Installation:
    is_locked = found is not None and found.manager.is_locked
    warning = "" if is_locked else f"There is no lock file for what the app command installs: {_NEWEST}"
    return Installation(ecosystem, (), f"the app command does that by itself (`{own}`)", warning)


def _name(found: _Found | None, ecosystems: tuple[Ecosystem, ...]) -> str:
    """Return the name of the ecosystem that was found, or of the only one that counts; else ''."""
    if found:
        return found.ecosystem.name
    return ecosystems[0].name if len(ecosystems) == 1 else ""


def upwards(directory: str) -> list[str]:
    """Return a folder of the checkout and those above it; the root is ''."""
    folders = [directory]
    while folders[-1]:
        folders.append(folders[-1].rpartition("/")[0])
    return folders


def _ecosystems(language: str, command: str) -> tuple[Ecosystem, ...]:
    """Return the ecosystems whose files count."""
    named = tuple(ecosystem for ecosystem in ECOSYSTEMS if language in ecosystem.languages)
    words = command.split()
    return named or tuple(one for one in ECOSYSTEMS if not one.word or one.word in words)


def _find(workspace: Path, directory: str, ecosystems: tuple[Ecosystem, ...]) -> _Found | None:
    """Return the package manager that installs: the nearest one with a lock file, else the nearest.

    In a workspace of several packages the lock file is in a folder above the app. What lies above the nearest files can
    be another project's: it counts where it is of the same ecosystem.
    """
    candidates = _candidates(workspace, directory, ecosystems)
    nearest = {one.ecosystem.name for one in candidates if one.directory == candidates[0].directory}
    related = [one for one in candidates if one.ecosystem.name in nearest]
    locked = [one for one in related if one.manager.is_locked]
    return next(iter([*locked, *related]), None)


def _candidates(workspace: Path, directory: str, ecosystems: tuple[Ecosystem, ...]) -> list[_Found]:
    """Return the package managers whose files are in the app's folder or above it, the nearest first."""
    candidates = list[_Found]()
    for folder in upwards(directory):
        path = os.fspath(workspace / folder)
        for ecosystem in ecosystems:
            candidates += [_Found(ecosystem, one, folder) for one in ecosystem.managers if one.is_found_in(path)]
    return candidates


def _own_installation(found: _Found | None, command: str) -> str:
    """Return the part of the app command that installs; '' where none does, or only what a lock file says already.

    What the same manager has installed as it is locked, the command finds there and leaves alone.
    """
    pattern = "|".join(ecosystem.own_installation for ecosystem in ECOSYSTEMS if ecosystem.own_installation)
    match = re.search(pattern, command)
    if not match:
        return ""
    program = match[0].split()[0]
    is_locked = found is not None and found.manager.is_locked and found.manager.program == program
    return "" if is_locked else match[0]


def _install_steps(workspace: Path, found: _Found) -> tuple[Step, ...]:
    manager = found.manager
    if not manager.command:
        return ()
    step = Step(
        command=manager.command,
        directory=found.directory,
        reason=f"{manager.name}, because {found.signs}",
        manager=manager,
        version_commands=found.ecosystem.version_commands,
        warning=_lock_warning(workspace, found),
    )
    return (step,)


def _lock_warning(workspace: Path, found: _Found) -> str:
    unpinned = found.manager.unpinned(workspace, workspace / found.directory)
    if unpinned:
        return f"requirements.txt does not pin {unpinned!r}: {_NEWEST}"
    return "" if found.manager.is_locked else f"There is no lock file for {found.manager.name}: {_NEWEST}"


def _compile_steps(workspace: Path, directory: str, command: str, manager: Manager | None) -> tuple[Step, ...]:
    """Return the compilation that an app command relies on.

    The package manager runs it: only Yarn finds what it keeps outside node_modules.
    """
    script, missing = node.compilation(workspace / directory, command)
    if not script:
        return ()
    compilation = f"{manager.program if manager else 'npm'} run {script}"
    reason = f"`{compilation}`, because {missing} of the app command has to be compiled first"
    return (Step(compilation, directory, reason, manager, is_compilation=True),)


def _nothing_installed(directory: str, found: _Found | None) -> str:
    if found:
        return f"{found.manager.name} fetches what the app command needs ({found.signs})"
    folder = f"{directory} or above it" if directory else ROOT
    return f"no file of a package manager was found in {folder}"
