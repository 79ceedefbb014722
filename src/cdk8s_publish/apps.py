"""Find cdk8s apps in a checkout: language, app command, and what has to be installed before they run.

Everything is read from files. `MANAGERS` says which files stand for which package manager and how it installs
exactly what its lock file says.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import yaml

from cdk8s_publish.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CONFIG_FILE = "cdk8s.yaml"
CLI_OUTPUT = "dist"
"""Where the cdk8s CLI writes unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Manager:
    """A package manager, recognised by files that lie together in one folder.

    `command` is a shell command for that folder; `replaces` are the folders it makes, below that folder. A manager
    that is not `is_locked` installs whatever is newest.
    """

    name: str
    files: tuple[str, ...]
    command: str
    replaces: tuple[str, ...] = ()
    is_locked: bool = True


_PIP = "python3 -m venv --clear .venv && .venv/bin/python -m pip install --quiet --disable-pip-version-check"

MANAGERS: Mapping[str, tuple[Manager, ...]] = {
    "node": (
        Manager("bun", ("package.json", "bun.lock"), "bun install --frozen-lockfile", ("node_modules",)),
        Manager("bun", ("package.json", "bun.lockb"), "bun install --frozen-lockfile", ("node_modules",)),
        Manager("pnpm", ("package.json", "pnpm-lock.yaml"), "pnpm install --frozen-lockfile", ("node_modules",)),
        Manager(
            "yarn",
            ("package.json", "yarn.lock", ".yarnrc.yml"),
            "yarn install --immutable",
            ("node_modules",),
        ),
        Manager(
            "yarn classic",
            ("package.json", "yarn.lock"),
            "yarn install --frozen-lockfile --non-interactive",
            ("node_modules",),
        ),
        Manager("npm", ("package.json", "package-lock.json"), "npm ci --no-audit --no-fund", ("node_modules",)),
        Manager("npm", ("package.json", "npm-shrinkwrap.json"), "npm ci --no-audit --no-fund", ("node_modules",)),
        Manager(
            "npm",
            ("package.json",),
            "npm install --no-audit --no-fund --no-package-lock",
            ("node_modules",),
            is_locked=False,
        ),
    ),
    "python": (
        Manager("uv", ("pyproject.toml", "uv.lock"), "uv sync --locked", (".venv",)),
        Manager("poetry", ("pyproject.toml", "poetry.lock"), "poetry sync --no-interaction", (".venv",)),
        Manager("pipenv", ("Pipfile", "Pipfile.lock"), "pipenv sync", (".venv",)),
        Manager("pip", ("requirements.txt",), f"{_PIP} -r requirements.txt", (".venv",)),
        Manager("pipenv", ("Pipfile",), "pipenv install --skip-lock", (".venv",), is_locked=False),
        Manager("pip", ("pyproject.toml",), f"{_PIP} .", (".venv",), is_locked=False),
    ),
    # The app command of these (`go run .`, `mvn … exec:java`) fetches what it needs, pinned by the files themselves.
    "go": (Manager("Go modules", ("go.mod",), ""),),
    "java": (
        Manager("Maven", ("pom.xml",), ""),
        Manager("Gradle", ("build.gradle",), ""),
        Manager("Gradle", ("build.gradle.kts",), ""),
    ),
}
"""By ecosystem, in the order in which they are looked for; the first whose files are all there is taken."""

_ECOSYSTEM = {"typescript": "node", "javascript": "node", "python": "python", "go": "go", "java": "java"}
"""`language` of cdk8s.yaml → ecosystem."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command that runs before the app, in `directory` of the checkout; `reason` says why, for the log."""

    command: str
    directory: str
    reason: str
    replaces: tuple[str, ...] = ()
    warning: str = ""


@dataclass(frozen=True, slots=True)
class App:
    """A cdk8s app. `directory` and `path` are relative to the checkout and the target branch; the root is ''.

    `command` is a shell command. `output` is the folder, relative to `directory`, that an app writes to when it does
    not listen to CDK8S_OUTDIR. `config` is its cdk8s.yaml, empty where there is none.
    """

    name: str
    directory: str
    language: str
    command: str
    path: str
    output: str | None = None
    install: tuple[Step, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def own_output(self) -> str:
        """The folder that the app may write to on its own account, or an empty string.

        An app command that calls `cdk8s synth` writes to the CLI's default folder when nothing else is said.
        """
        words = self.command.split()
        calls_cli = any(
            word.endswith(("cdk8s", "cdk8s-cli")) and after.startswith("synth") for word, after in pairwise(words)
        )
        return self.output or (CLI_OUTPUT if calls_cli else "")


def find_apps(  # noqa: PLR0913 - the inputs that say how an app is run
    workspace: Path, directories: tuple[str, ...], *, command: str, output: str, install: str, path: str
) -> tuple[App, ...]:
    """Return the app of each folder in `directories`, sorted; a pattern such as `apps/*` means the apps it matches.

    `command`, `output` and `install` are the inputs of these names. In `path`, `{app}` stands for the name of the
    app's folder and `{directory}` for the whole of it.

    Raises:
        InputError: a folder that is not there, a cdk8s.yaml that can't be read, nothing that says how the app is run,
            or two apps that would be published to one folder.

    """
    folders = sorted({folder for given in directories for folder in _folders(workspace, _normal(given), command)})
    found = tuple(_app(workspace, folder, command, output=output, install=install, path=path) for folder in folders)
    _refuse_shared_paths(found)
    return found


def _folders(workspace: Path, directory: str, command: str) -> list[str]:
    if not set(directory) & set("*?["):
        return [directory]
    found = [
        folder.relative_to(workspace).as_posix()
        for folder in workspace.glob(directory)
        if (folder / CONFIG_FILE).is_file() or (command and folder.is_dir())
    ]
    if not found:
        raise InputError(
            f"No folder that matches {directory} holds a {CONFIG_FILE}.",
            evidence=_candidates(workspace),
            hint="Set the input `working-directory` to the folders of the apps, for example `apps/*`.",
        )
    return [folder for folder in found if "node_modules" not in folder.split("/")]


def _refuse_shared_paths(found: tuple[App, ...]) -> None:
    for app in found:
        for other in found:
            inside = f"{other.path}/".startswith(f"{app.path}/") or not app.path
            if app is not other and inside:
                raise InputError(
                    f"The apps in {app.directory or '.'} and {other.directory or '.'} would be published to "
                    f"{app.path or '.'} and {other.path or '.'}, one of which holds the other.",
                    hint="Give every app a folder of its own: `{app}` in the input `path` stands for the name of the "
                    "app's folder and `{directory}` for the whole of it, for example `clusters/prod/{app}`.",
                )


def _normal(directory: str) -> str:
    """Return a folder of the checkout without `.`, `..` and outer slashes; the root is ''."""
    normal = posixpath.normpath(directory or ".").strip("/")
    if normal == ".." or normal.startswith("../") or directory.startswith("/"):
        raise InputError(f"working-directory {directory!r} is not inside the checkout.")
    return "" if normal == "." else normal


def _app(  # noqa: PLR0913 - the inputs that say how an app is run
    workspace: Path, directory: str, command: str, *, output: str, install: str, path: str
) -> App:
    folder = workspace / directory
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {directory} in the checkout.",
            hint="Set the input `working-directory` to the folder that holds the app's cdk8s.yaml.",
        )
    config = _config(folder / CONFIG_FILE)
    command = command or _text(config, "app")
    if not command:
        raise InputError(
            f"Nothing says how the app in {directory or 'the root of the checkout'} is run.",
            evidence=_candidates(workspace),
            hint="Set the input `app` to the command that renders the manifests, for example `python main.py`, or add "
            "it to cdk8s.yaml as `app: python main.py`. If the app is in another folder, set `working-directory`.",
        )
    ecosystem, steps = _install(workspace, directory, _text(config, "language"), install)
    name = directory.rpartition("/")[2] or workspace.name
    return App(
        name=name,
        directory=directory,
        language=_text(config, "language") or ecosystem,
        command=command,
        path=path.replace("{app}", name).replace("{directory}", directory or name),
        output=output or _text(config, "output") or None,
        install=steps,
        config=config,
    )


def _config(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    try:
        config = yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
    except yaml.YAMLError as error:
        raise InputError(f"{file.name} is not valid YAML.", evidence=str(error)) from error
    if not isinstance(config, dict):
        raise InputError(f"{file.name} must hold keys and values such as `app: python main.py`.")
    return config


def _text(config: Mapping[str, Any], key: str) -> str:
    value = config.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f"`{key}` in {CONFIG_FILE} must be a text, not {type(value).__name__}.")
    return value or ""


def _candidates(workspace: Path) -> str:
    """Return the folders that hold a cdk8s.yaml, as evidence of where the app could be; two levels are looked at."""
    found = sorted(
        file.parent.relative_to(workspace).as_posix()
        for pattern in (f"*/{CONFIG_FILE}", f"*/*/{CONFIG_FILE}")
        for file in workspace.glob(pattern)
    )
    return "\n".join(f"{CONFIG_FILE} was found in {folder}" for folder in found)


def _install(workspace: Path, directory: str, language: str, install: str) -> tuple[str, tuple[Step, ...]]:
    """Return the ecosystem and the steps that install the app's dependencies."""
    ecosystems = (_ECOSYSTEM[language],) if language in _ECOSYSTEM else tuple(MANAGERS)
    found = next(_managers(workspace, directory, ecosystems), None)
    ecosystem = found[0] if found else ""
    if install == "none":
        return ecosystem, ()
    if install != "auto":
        return ecosystem, (Step(install, directory, "the input `install` says so"),)
    if found is None or not found[1].command:
        return ecosystem, ()
    _, manager, where = found
    names = " and ".join(manager.files)
    reason = f"{manager.name}, because there is {names} in {where or 'the root of the checkout'}"
    warning = (
        ""
        if manager.is_locked
        else f"There is no lock file for {manager.name}: the newest dependencies are installed, so the same source can "
        "render something else tomorrow. Commit a lock file."
    )
    return ecosystem, (Step(manager.command, where, reason, manager.replaces, warning),)


def _managers(workspace: Path, directory: str, ecosystems: tuple[str, ...]) -> Iterator[tuple[str, Manager, str]]:
    """Yield the package managers whose files are there: nearest folder first, then a locked one first.

    In a workspace of several packages the lock file is in a folder above the app.
    """
    folders = [directory]
    while folders[-1]:
        folders.append(folders[-1].rpartition("/")[0])
    candidates = [
        (ecosystem, manager, folder)
        for folder in folders
        for ecosystem in ecosystems
        for manager in MANAGERS[ecosystem]
        if all((workspace / folder / file).is_file() for file in manager.files)
    ]
    yield from sorted(candidates, key=lambda candidate: not candidate[1].is_locked)
