"""Find cdk8s apps in a checkout: language, app command, and what has to be there before they run."""

from __future__ import annotations

import logging
import os
import posixpath
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from cdk8s_publish.errors import InputError
from cdk8s_publish.render.dependencies import ROOT, plan_installation
from cdk8s_publish.render.managers.node import script

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdk8s_publish.inputs import RenderInputs
    from cdk8s_publish.render.dependencies import Step

_log = logging.getLogger(__name__)

CONFIG_FILE = "cdk8s.yaml"
CLI_OUTPUT = "dist"
"""Where the cdk8s CLI writes unless it is told otherwise."""


class App(NamedTuple):
    """A cdk8s app. `directory` and `path` are relative to the checkout and the target branch; the root is ''.

    `command` is a shell command, `before` one that runs before it. `output` is the folder, relative to `directory`,
    that an app writes to when it does not listen to CDK8S_OUTDIR. `script` is what stands in package.json where the
    command is `npm run <name>`, `config` is its cdk8s.yaml; each is empty where there is none. `nothing_installed` says
    why `install` is empty.
    """

    name: str
    directory: str
    language: str
    command: str
    path: str
    output: str | None = None
    before: str = ""
    install: tuple[Step, ...] = ()
    script: str = ""
    nothing_installed: str = ""
    warning: str = ""
    config: Mapping[str, Any] = MappingProxyType({})

    @property
    def own_output(self) -> str:
        """The folder that the app may write to on its own account, or an empty string.

        An app command that calls `cdk8s synth` writes to the CLI's default folder when nothing else is said.
        """
        return self.output or (CLI_OUTPUT if self._calls_cli else "")

    @property
    def needs_cli(self) -> bool:
        """Whether only `cdk8s synth` renders what cdk8s.yaml asks for: validations, or the Helm format."""
        synth_config = self.config.get("synthConfig")
        is_helm = isinstance(synth_config, dict) and synth_config.get("format") == "helm"
        return (is_helm or bool(self.config.get("validations"))) and not self._calls_cli

    @property
    def validates_itself(self) -> bool:
        """Whether the app command calls `cdk8s synth`, once, which validates what cdk8s.yaml asks for."""
        return bool(self.config.get("validations")) and self._calls_cli == 1

    @property
    def _calls_cli(self) -> int:
        words = (self.script or self.command).split()
        return sum(
            word.endswith(("cdk8s", "cdk8s-cli")) and after.startswith("synth") for word, after in pairwise(words)
        )


def relative_folders(inputs: RenderInputs, base: Path, root: Path) -> tuple[str, ...]:
    """Return the input `working-directory`, which is relative to `base`, relative to the root of the checkout."""
    prefix = os.path.relpath(base.resolve(), root.resolve())
    return tuple(os.path.normpath(f"{prefix}/{folder}") for folder in inputs.working_directory)


def find_apps(inputs: RenderInputs, root: Path, folders: tuple[str, ...], path: str) -> tuple[App, ...]:
    """Return the apps in `folders` of the checkout at `root`, sorted by folder, and say in the log which they are.

    A pattern such as `apps/*` means the apps that it matches. In the input `path`, `{app}` stands for the name of an
    app's folder and `{directory}` for the whole of it.

    Raises:
        InputError: a folder that is not there, a cdk8s.yaml that can't be read, nothing that says how the app is run,
            or two apps that would be published to one folder.

    """
    matched = {folder for given in folders for folder in _folders(root, _normal(given), inputs.app)}
    found = tuple(_app(inputs, root, folder, path) for folder in sorted(matched))
    _refuse_shared_paths(found)
    for app in found:
        _log_app(app)
    return found


def _log_app(app: App) -> None:
    where = app.directory or ROOT
    nothing = f"; nothing to install: {app.nothing_installed}" if app.nothing_installed else ""
    _log.info("%s: %s app in %s%s", app.name, app.language or "cdk8s", where, nothing)
    if app.warning:
        _log.warning("%s: %s", app.name, app.warning)


def target_path(template: str, directory: str, root_name: str) -> str:
    """Return the folder on the target branch for the app in `directory`; the app in the root is called `root_name`."""
    name = directory.rpartition("/")[2] or root_name
    return template.replace("{app}", name).replace("{directory}", directory or name)


def _folders(workspace: Path, directory: str, command: str) -> list[str]:
    if not set(directory) & set("*?["):
        return [directory]
    matches = (folder for folder in workspace.glob(directory) if command or (folder / CONFIG_FILE).is_file())
    names = (folder.relative_to(workspace).as_posix() for folder in matches if folder.is_dir())
    found = [name for name in names if not _is_passed_over(name, directory)]
    if not found:
        raise InputError(
            f"No folder that matches {directory} holds a {CONFIG_FILE}.",
            evidence=_candidates(workspace),
            hint="Set the input `working-directory` to the folders of the apps, for example `apps/*`.",
        )
    return found


def _is_passed_over(folder: str, pattern: str) -> bool:
    """Whether a wildcard does not mean a folder: packages are no apps, and a shell passes hidden folders over, too."""
    names = folder.split("/")
    return "node_modules" in names or ("/." not in f"/{pattern}" and any(name.startswith(".") for name in names))


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
        raise InputError(
            f"working-directory {directory!r} is not inside the checkout.", hint="It is relative to its root."
        )
    return "" if normal == "." else normal


def _app(inputs: RenderInputs, workspace: Path, directory: str, path: str) -> App:
    folder = workspace / directory
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {directory} in the checkout.",
            hint="Set the input `working-directory` to the folder that holds the app's cdk8s.yaml.",
        )
    config = _config(workspace, directory)
    command = inputs.app or _text(config, "app").strip()
    if not command:
        raise InputError(
            f"Nothing says how the app in {directory or ROOT} is run.",
            evidence=_candidates(workspace),
            hint="Set the input `app` to the command that renders the manifests, for example `python main.py`, or add "
            "it to cdk8s.yaml as `app: python main.py`. If the app is in another folder, set `working-directory`.",
        )
    language = _text(config, "language")
    installation = plan_installation(workspace, directory, language, command, inputs.install)
    return App(
        name=directory.rpartition("/")[2] or workspace.name,
        directory=directory,
        language=language or installation.ecosystem,
        command=command,
        path=target_path(path, directory, workspace.name),
        output=inputs.output or _text(config, "output") or None,
        before=inputs.before_synth,
        install=installation.steps,
        nothing_installed=installation.nothing_installed,
        warning=installation.warning,
        script=script(folder, command),
        config=config,
    )


def _config(workspace: Path, directory: str) -> Mapping[str, Any]:
    name = posixpath.join(directory, CONFIG_FILE)
    if not (workspace / name).is_file():
        return {}
    hint = "It holds keys and values such as `app: python main.py`; `cdk8s init` writes one."
    try:
        data = (workspace / name).read_bytes()
        config = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
    except yaml.YAMLError as error:
        raise InputError(f"{name} is not valid YAML.", evidence=str(error), hint=hint) from error
    if not isinstance(config, dict):
        raise InputError(f"{name} must hold keys and values.", hint=hint)
    for key in ("app", "language", "output"):
        if not isinstance(config.get(key), str | None):
            raise InputError(f"`{key}` in {name} must be a text, not {type(config[key]).__name__}.", hint=hint)
    return config


def _text(config: Mapping[str, Any], key: str) -> str:
    return config.get(key) or ""


def _candidates(workspace: Path) -> str:
    """Return the folders that hold a cdk8s.yaml, as evidence of where the app could be; two levels are looked at."""
    found = sorted(
        file.parent.relative_to(workspace).as_posix()
        for pattern in (f"*/{CONFIG_FILE}", f"*/*/{CONFIG_FILE}")
        for file in workspace.glob(pattern)
    )
    return "\n".join(f"{CONFIG_FILE} was found in {folder}" for folder in found)
