"""Find cdk8s apps in a checkout: language, app command, and what has to be there before they run."""

from __future__ import annotations

import logging
import os
import posixpath
import re
from itertools import pairwise, permutations
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from cdk8s_publish.errors import InputError
from cdk8s_publish.inputs.values import folder_fault, is_pattern
from cdk8s_publish.model import CONFIG_FILE
from cdk8s_publish.printable import spelled_out
from cdk8s_publish.render.dependencies import ROOT, plan_installation
from cdk8s_publish.render.managers.node import script

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdk8s_publish.inputs.declared import RenderInputs
    from cdk8s_publish.render.dependencies import Step

_log = logging.getLogger(__name__)

CLI_OUTPUT = "dist"
"""The cdk8s CLI's default output folder."""


class App(NamedTuple):
    """A cdk8s app. `directory` and `path` are relative to the checkout and the target branch; the root is ''.

    `command` is a shell command, `before` one that runs before it. `output` is the folder, relative to `directory`,
    that an app writes to when it does not listen to CDK8S_OUTDIR. `script` is the script of package.json that the
    command `npm run <name>` means, `config` is its cdk8s.yaml; each is empty where there is none. `nothing_installed`
    says why `install` is empty.
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
        return self.output or (CLI_OUTPUT if self._synth_calls else "")

    @property
    def needs_cli(self) -> bool:
        """Whether only `cdk8s synth` renders what cdk8s.yaml asks for: validations, or the Helm format."""
        if self._synth_calls:
            return False
        synth_config = self.config.get("synthConfig")
        is_helm = isinstance(synth_config, dict) and synth_config.get("format") == "helm"
        return is_helm or bool(self.config.get("validations"))

    @property
    def validates_itself(self) -> bool:
        """Whether the app command calls `cdk8s synth`, once, which validates what cdk8s.yaml asks for."""
        return bool(self.config.get("validations")) and self._synth_calls == 1

    @property
    def _synth_calls(self) -> int:
        """How often the app command calls `cdk8s synth`."""
        words = (self.script or self.command).split()
        calls = 0
        for word, after in pairwise(words):
            calls += word.endswith(("cdk8s", "cdk8s-cli")) and after.startswith("synth")
        return calls


def relative_folders(inputs: RenderInputs, base: Path, root: Path) -> tuple[str, ...]:
    """Return the input `working-directory`, which is relative to `base`, relative to the root of the checkout."""
    prefix = os.path.relpath(base.resolve(), root.resolve())
    return tuple(os.path.normpath(f"{prefix}/{folder}") for folder in inputs.working_directory)


def find_apps(
    inputs: RenderInputs, root: Path, folders: tuple[str, ...], path: str, root_name: str = ""
) -> tuple[App, ...]:
    """Return the apps in `folders` of the checkout at `root`, sorted by folder, and log which they are.

    A pattern such as `apps/*` means the apps that it matches. In the input `path`, `{app}` stands for the name of an
    app's folder and `{directory}` for the whole of it. The app in the root is called `root_name`, or else as the root.

    Raises:
        InputError: a folder that is not there, a cdk8s.yaml that can't be read, nothing that says how the app is run,
            or two apps that would be published to one folder.

    """
    matched = set[str]()
    for given in folders:
        matched |= _matches(root, _normal(given), inputs.app)
    found = tuple(_app(inputs, root, folder, path, root_name or root.name) for folder in sorted(matched))
    for app in found:
        _refuse_name(app)
    for app, other in permutations(found, 2):
        _refuse_overlap(app, other)
    for app in found:
        _log_app(app)
    return found


def target_path(template: str, directory: str, root_name: str) -> str:
    """Return the folder on the target branch for the app in `directory`; the app in the root is called `root_name`."""
    name = directory.rpartition("/")[2] or root_name
    return template.replace("{app}", name).replace("{directory}", directory or name)


def _log_app(app: App) -> None:
    where = app.directory or ROOT
    nothing = f"; nothing to install: {app.nothing_installed}" if app.nothing_installed else ""
    _log.info("%s: %s app in %s%s", app.name, app.language or "cdk8s", where, nothing)
    if app.warning:
        _log.warning("%s: %s", app.name, app.warning)


def _matches(root: Path, pattern: str, command: str) -> set[str]:
    """Return the folders that a folder or pattern of `working-directory` means."""
    if not is_pattern(pattern):
        return {pattern}
    found = set[str]()
    for folder in root.glob(pattern):
        name = folder.relative_to(root).as_posix()
        is_app = folder.is_dir() and (command or (folder / CONFIG_FILE).is_file())
        if is_app and not _is_passed_over(name, pattern):
            found.add(name)
    if not found:
        raise InputError(
            f"No folder that matches {pattern} holds a {CONFIG_FILE}.",
            evidence=_candidates(root),
            hint="Set the input `working-directory` to the folders of the apps, for example `apps/*`.",
        )
    return found


def _is_passed_over(folder: str, pattern: str) -> bool:
    """Whether a wildcard does not mean a folder: packages are no apps, and a shell passes over hidden folders, too."""
    if "/." not in f"/{pattern}" and "/." in f"/{folder}":
        return True
    return "node_modules" in folder.split("/")


def _refuse_name(app: App) -> None:
    """Hold what the repository calls its folders to the rules of the input `path`."""
    if re.search(r"[\x00-\x1f\x7f]", app.directory):
        raise InputError(
            f"The name of the folder {spelled_out(app.directory)} holds a control character.",
            hint="Rename the folder, or leave it out of the input `working-directory`.",
        )
    if fault := folder_fault(app.path):
        raise InputError(
            f"The app in {app.directory or ROOT} would be published to a folder that {fault}: {spelled_out(app.path)}.",
            hint="Rename the app's folder, or don't put its name into the input `path`.",
        )


def _refuse_overlap(app: App, other: App) -> None:
    if app.path and not f"{other.path}/".startswith(f"{app.path}/"):
        return
    raise InputError(
        f"The apps in {app.directory or '.'} and {other.directory or '.'} would be published to "
        f"{app.path or '.'} and {other.path or '.'}, which would overlap.",
        hint="Give every app a folder of its own: `{app}` in the input `path` stands for the name of the "
        "app's folder and `{directory}` for the whole of it, for example `clusters/prod/{app}`.",
    )


def _normal(directory: str) -> str:
    """Return a folder of the checkout without `.`, `..` and outer slashes; the root is ''."""
    normal = posixpath.normpath(directory or ".").strip("/")
    if directory.startswith("/") or f"{normal}/".startswith("../"):
        raise InputError(
            f"Input `working-directory`: {directory!r} is not inside the checkout.",
            hint="It is relative to the root of the checkout.",
        )
    return "" if normal == "." else normal


def _app(inputs: RenderInputs, root: Path, directory: str, path: str, root_name: str) -> App:
    folder = root / directory
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {directory} in the checkout.",
            hint="Set the input `working-directory` to the folder that holds the app's cdk8s.yaml.",
        )
    config = _config(root, directory)
    command = inputs.app or config.get("app", "")
    if not command:
        raise InputError(
            f"Nothing says how to run the app in {directory or ROOT}.",
            evidence=_candidates(root),
            hint="Set the input `app` to the command that renders the manifests, for example `python main.py`, or add "
            "it to cdk8s.yaml as `app: python main.py`. If the app is in another folder, set `working-directory`.",
        )
    language = config.get("language", "")
    installation = plan_installation(root, directory, language, command, inputs.install)
    return App(
        name=directory.rpartition("/")[2] or root_name,
        directory=directory,
        language=language or installation.ecosystem,
        command=command,
        path=target_path(path, directory, root_name),
        output=inputs.output or config.get("output") or None,
        before=inputs.before_synth,
        install=installation.steps,
        nothing_installed=installation.nothing_installed,
        warning=installation.warning,
        script=script(folder, command),
        config=config,
    )


MAX_CONFIG_BYTES = 20_000
"""Of a cdk8s.yaml. The parser recurses on the C stack: with a hundred thousand levels the interpreter crashes."""


def _config(root: Path, directory: str) -> Mapping[str, Any]:
    """Return cdk8s.yaml; `app`, `language` and `output` are strings where they are there."""
    name = posixpath.join(directory, CONFIG_FILE)
    if not (root / name).is_file():
        return {}
    hint = "It holds keys and values such as `app: python main.py`; `cdk8s init` writes one."
    try:
        data = (root / name).read_bytes()
        if len(data) > MAX_CONFIG_BYTES:
            raise InputError(f"{name} has {len(data):,} bytes; no more than {MAX_CONFIG_BYTES:,} are read.", hint=hint)
        config = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
    except RecursionError:
        raise InputError(f"{name} is nested too deeply.", hint=hint) from None
    except yaml.YAMLError as error:
        raise InputError(f"{name} is not valid YAML.", evidence=str(error), hint=hint) from error
    if not isinstance(config, dict):
        raise InputError(f"{name} must hold keys and values.", hint=hint)
    for key in ("app", "language", "output"):
        value = config.get(key)
        if not isinstance(value, str | None):
            raise InputError(f"`{key}` in {name} must be a string, not {type(value).__name__}.", hint=hint)
        config[key] = (value or "").strip() if key == "app" else value or ""
    return config


def _candidates(root: Path) -> str:
    """Return the folders that hold a cdk8s.yaml, as evidence of where the app could be; two levels are searched."""
    files = [*root.glob(f"*/{CONFIG_FILE}"), *root.glob(f"*/*/{CONFIG_FILE}")]
    found = sorted(file.parent.relative_to(root).as_posix() for file in files)
    return "\n".join(f"{CONFIG_FILE} was found in {folder}" for folder in found)
