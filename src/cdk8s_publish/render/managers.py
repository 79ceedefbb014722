"""Tell from files what has to be installed before an app runs.

`MANAGERS` says which files stand for which package manager and how it installs exactly what its lock file says.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = "the root of the checkout"
"""Its name in messages."""


class Manager(NamedTuple):
    """A package manager, recognised by files that lie together in one folder.

    The last of `files` must contain the text `contains`. `command` is a shell command for that folder; `replaces` are
    the folders it makes, below that folder. A manager that is not `is_locked` installs whatever is newest.
    """

    name: str
    files: tuple[str, ...]
    command: str
    replaces: tuple[str, ...] = ()
    is_locked: bool = True
    contains: str = ""

    def is_found_in(self, folder: str) -> bool:
        """Whether the folder holds its files; asked thousands of times in a monorepo, hence without a path object."""
        if not all(os.path.isfile(f"{folder}/{file}") for file in self.files):  # noqa: PTH113
            return False
        return not self.contains or self.contains in Path(folder, self.files[-1]).read_text(errors="replace")

    @property
    def signs(self) -> str:
        """What it is recognised by, in words."""
        return " and ".join(self.files) + (f" with `{self.contains}`" if self.contains else "")


_NODE_MODULES, _VENV = ("node_modules",), (".venv",)
_NPM = "--no-audit --no-fund"
# Without it, installations that run side by side spoil each other's cache (classic.yarnpkg.com, `--mutex`).
_YARN = '--non-interactive --mutex "file:$XDG_CACHE_HOME/yarn-mutex"'
_NEW_VENV = "python3 -m venv --clear .venv"
_PIP = ".venv/bin/python -m pip install --quiet --disable-pip-version-check"
_DEPENDENCIES = (
    'import tomllib; project = tomllib.load(open("pyproject.toml", "rb")).get("project", {}); '
    'print(*project.get("dependencies", []), sep="\\n")'
)
"""The project itself need not be a package that can be built; what it depends on is all the app needs."""


def _unlocked(name: str, version: str, command: str) -> Manager:
    """Return a manager that package.json asks for, beside which there is no lock file."""
    contains = f'"packageManager": "{version}'
    return Manager(name, ("package.json",), command, _NODE_MODULES, is_locked=False, contains=contains)


MANAGERS: Mapping[str, tuple[Manager, ...]] = {
    "node": (
        Manager("bun", ("package.json", "bun.lock"), "bun install --frozen-lockfile", _NODE_MODULES),
        Manager("bun", ("package.json", "bun.lockb"), "bun install --frozen-lockfile", _NODE_MODULES),
        Manager("pnpm", ("package.json", "pnpm-lock.yaml"), "pnpm install --frozen-lockfile", _NODE_MODULES),
        Manager(
            "yarn", ("package.json", "yarn.lock"), "yarn install --immutable", _NODE_MODULES, contains="__metadata:"
        ),
        Manager(
            "yarn classic",
            ("package.json", "yarn.lock"),
            f"yarn install --frozen-lockfile {_YARN}",
            _NODE_MODULES,
        ),
        Manager("npm", ("package.json", "npm-shrinkwrap.json"), f"npm ci {_NPM}", _NODE_MODULES),
        Manager("npm", ("package.json", "package-lock.json"), f"npm ci {_NPM}", _NODE_MODULES),
        _unlocked("bun", "bun@", "bun install --no-save"),
        _unlocked("pnpm", "pnpm@", "pnpm install --no-lockfile"),
        _unlocked("yarn classic", "yarn@1.", f"yarn install --no-lockfile {_YARN}"),
        _unlocked("yarn", "yarn@", "yarn install --no-immutable"),
        Manager("npm", ("package.json",), f"npm install {_NPM} --no-package-lock", _NODE_MODULES, is_locked=False),
    ),
    "python": (
        Manager("uv", ("pyproject.toml", "uv.lock"), "uv sync --locked --all-packages", _VENV),
        Manager("poetry", ("pyproject.toml", "poetry.lock"), "poetry install --no-interaction --no-root", _VENV),
        Manager("pipenv", ("Pipfile", "Pipfile.lock"), "pipenv install --deploy", _VENV),
        Manager("pip", ("requirements.txt",), f"{_NEW_VENV} && {_PIP} --requirement requirements.txt", _VENV),
        Manager("pipenv", ("Pipfile",), "pipenv install --skip-lock", _VENV, is_locked=False),
        Manager(
            "poetry",
            ("pyproject.toml",),
            "poetry install --no-interaction --no-root",
            _VENV,
            is_locked=False,
            contains="[tool.poetry",
        ),
        Manager("uv", ("pyproject.toml",), "uv sync --all-packages", _VENV, is_locked=False, contains="[tool.uv"),
        Manager(
            "pip",
            ("pyproject.toml",),
            f"{_NEW_VENV} && .venv/bin/python -c '{_DEPENDENCIES}' > .venv/requirements.txt && "
            f"{_PIP} --requirement .venv/requirements.txt",
            _VENV,
            is_locked=False,
        ),
    ),
    "go": (
        # What is vendored need not be downloaded; whether it agrees with go.mod is found out without a network.
        Manager("Go modules", ("go.mod", "vendor/modules.txt"), "go list -mod=vendor -m"),
        Manager("Go modules", ("go.mod",), "go mod download"),
    ),
    # The app command of these (`mvn … exec:java`, `./gradlew render`) fetches what it needs.
    "java": (
        Manager("Maven", ("pom.xml",), "", is_locked=False),
        Manager("Gradle", ("build.gradle",), "", is_locked=False),
        Manager("Gradle", ("build.gradle.kts",), "", is_locked=False),
        Manager("Gradle", ("settings.gradle",), "", is_locked=False),
        Manager("Gradle", ("settings.gradle.kts",), "", is_locked=False),
    ),
}
"""By ecosystem, in the order in which they are looked for; the first whose files are all there is taken."""
_ECOSYSTEM = {"typescript": "node", "javascript": "node", "python": "python", "go": "go", "java": "java"}
"""`language` of cdk8s.yaml → ecosystem."""
OWN_INSTALLATION = r"\b(uv) (?:run(?! --no-sync)|sync)\b|\b(pipenv|poetry|npm|pnpm|yarn|bun) (?:install|sync|ci|i)\b"
"""How an app command installs its dependencies by itself."""


_NEWEST = (
    "the newest dependencies are installed, so the same source can render something else tomorrow. Commit a lock file, "
    "or exact versions."
)
_NO_LOCK = f"There is no lock file for what the app command installs: {_NEWEST}"


class Step(NamedTuple):
    """One command that runs before the app, in `directory` of the checkout; `reason` says why, for the log."""

    command: str
    directory: str
    reason: str
    replaces: tuple[str, ...] = ()
    warning: str = ""
    is_compilation: bool = False


class Installation(NamedTuple):
    """What an app needs before it runs; `nothing_installed` says why where there are no `steps`.

    `manager` is the name of the package manager that installs, '' where that is the user's own command. `warning` is
    about what the app command installs by itself.
    """

    ecosystem: str
    steps: tuple[Step, ...]
    nothing_installed: str = ""
    manager: str = ""
    warning: str = ""


def plan_installation(workspace: Path, directory: str, language: str, command: str, install: str) -> Installation:
    """Return the ecosystem, and the steps that install the app's dependencies and compile it where that is needed.

    Without steps there is a reason for that.
    """
    found = next(_managers(workspace, directory, _ecosystems(language, command)), None)
    ecosystem = found[0] if found else _ECOSYSTEM.get(language, "")
    if install != "auto":
        if install == "none":
            return Installation(ecosystem, (), "the input `install` is `none`")
        return Installation(ecosystem, (Step(install, directory, "the input `install`"),))
    steps: list[Step] = []
    own = _own_installation(found[1] if found else None, script(workspace / directory, command) or command)
    if found and found[1].command and not own:
        _, manager, where = found
        reason = f"{manager.name}, because there is {manager.signs} in {where or ROOT}"
        steps.append(
            Step(manager.command, where, reason, manager.replaces, _lock_warning(workspace, workspace / where, manager))
        )
    if ecosystem == "node":
        program = steps[0].command.partition(" ")[0] if steps else "npm"
        steps += _compile(workspace / directory, directory, command, program)
    if not steps:
        warning = _NO_LOCK if own and not (found and found[1].is_locked) else ""
        return Installation(ecosystem, (), own or _nothing_installed(directory, found), warning=warning)
    return Installation(ecosystem, tuple(steps), manager=found[1].name.split()[0] if found else "")


def _own_installation(found: Manager | None, command: str) -> str:
    """Say that the app command installs by itself; '' where it doesn't, or only what a lock file says already.

    What the same manager has installed as it is locked, the command finds there and leaves alone. `pip` would install
    into the machine's own Python without the virtual environment that is made for it.
    """
    match = re.search(OWN_INSTALLATION, command)
    program = match and (match[1] or match[2])
    if not match or (found and found.is_locked and found.name.split()[0] == program):
        return ""
    return f"the app command does that by itself (`{match[0]}`)"


def _nothing_installed(directory: str, found: tuple[str, Manager, str] | None) -> str:
    if not found:
        folder = f"{directory} or above it" if directory else ROOT
        return f"no file of a package manager was found in {folder}"
    _, manager, where = found
    return f"{manager.name} fetches what the app command needs (there is {manager.signs} in {where or ROOT})"


def _ecosystems(language: str, command: str) -> tuple[str, ...]:
    """Return the ecosystems whose files count.

    Many a service written in Go has manifests that are rendered by something else: its go.mod counts for an app that
    is a Go program by its own account.
    """
    if language in _ECOSYSTEM:
        return (_ECOSYSTEM[language],)
    return tuple(name for name in MANAGERS if name != "go" or "go" in command.split())


def _lock_warning(workspace: Path, folder: Path, manager: Manager) -> str:
    if manager.files == ("requirements.txt",):
        lines = map(str.strip, _requirements(workspace, folder / "requirements.txt"))
        loose = [line for line in lines if re.match(r"[A-Za-z0-9]", line) and "==" not in line]
        if not any("@" not in line for line in loose):
            return ""
        missing = f"requirements.txt does not pin {loose[0]!r}"
    elif manager.is_locked:
        return ""
    else:
        missing = f"There is no lock file for {manager.name}"
    return f"{missing}: {_NEWEST}"


def _requirements(workspace: Path, file: Path) -> list[str]:
    """Return the lines of a requirements file and of those that it includes (pip docs, "Requirements File Format").

    Nothing outside the checkout is read.
    """
    lines: list[str] = []
    files = [file.resolve()]
    for found in files:  # grows meanwhile
        if found.is_relative_to(workspace.resolve()) and found.is_file():
            lines += (new := found.read_text(errors="replace").splitlines())
            matches = (re.match(r"\s*(?:-r|--requirement)[\s=]*(\S+)", line) for line in new)
            included = [(found.parent / match[1]).resolve() for match in matches if match]
            files += [name for name in included if name not in files]
    return lines


def _compile(folder: Path, directory: str, command: str, program: str) -> list[Step]:
    """Return the compilation that an app command relies on: it runs a `.js` file that is not in the checkout.

    `program` is the package manager that runs the script: only Yarn finds what it keeps outside node_modules.
    """
    scripts = json_object(folder / "package.json").get("scripts")
    if not isinstance(scripts, dict):
        return []
    missing = next(_missing(folder, command), "")
    for name in ("compile", "build"):
        if missing and name in scripts and "synth" not in scripts[name]:
            compilation = f"{program} run {name}"
            reason = f"`{compilation}`, because {missing} of the app command has to be compiled first"
            return [Step(compilation, directory, reason, is_compilation=True)]
    return []


def _missing(folder: Path, command: str) -> Iterator[str]:
    """Yield the names of JavaScript in a command that are not there; `node` finds them without their ending, too."""
    for before, word in pairwise(("", *command.split())):
        names = [word] if word.endswith((".js", ".mjs", ".cjs")) and not word.startswith("-") else []
        if before == "node" and not names and re.fullmatch(r"[\w./][\w./-]*", word):
            names = [word, f"{word}.js", f"{word}/index.js", f"{word}/package.json"]
        if names and not any((folder / name).is_file() for name in names):
            yield word


def script(folder: Path, command: str) -> str:
    """Return what stands in package.json for a command such as `npm run synth`, or ''."""
    match = re.fullmatch(r"(?:npm|pnpm|yarn|bun) (?:run )?([\w:.-]+)", command.strip())
    scripts = json_object(folder / "package.json").get("scripts")
    return str(scripts.get(match[1], "")) if match and isinstance(scripts, dict) else ""


def json_object(file: Path) -> Mapping[str, Any]:
    """Return what a JSON file holds; nothing where it can't be read."""
    import json  # noqa: PLC0415  # many an app has no such file

    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}  # the package manager has better words for what is wrong with it
    return content if isinstance(content, dict) else {}


def upwards(directory: str) -> list[str]:
    """Return a folder of the checkout and those above it; the root is ''."""
    folders = [directory]
    while folders[-1]:
        folders.append(folders[-1].rpartition("/")[0])
    return folders


def _managers(workspace: Path, directory: str, ecosystems: tuple[str, ...]) -> Iterator[tuple[str, Manager, str]]:
    """Yield the package managers whose files are there: a locked one first, then the nearest folder.

    In a workspace of several packages the lock file is in a folder above the app. What lies above the nearest files can
    be another project's: it counts where it is of the same ecosystem.
    """
    candidates = [
        (ecosystem, manager, folder)
        for folder in upwards(directory)
        for place in (os.fspath(workspace / folder),)
        for ecosystem in ecosystems
        for manager in MANAGERS[ecosystem]
        if manager.is_found_in(place)
    ]
    nearest = {ecosystem for ecosystem, _, folder in candidates if folder == candidates[0][2]}
    candidates = [candidate for candidate in candidates if candidate[0] in nearest]
    yield from sorted(candidates, key=lambda candidate: not candidate[1].is_locked)
