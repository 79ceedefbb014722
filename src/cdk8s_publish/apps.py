"""Find cdk8s apps in a checkout: language, app command, and what has to be installed before they run.

Everything is read from files. `MANAGERS` says which files stand for which package manager and how it installs
exactly what its lock file says.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from cdk8s_publish.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONFIG_FILE = "cdk8s.yaml"
_ROOT = "the root of the checkout"
CLI_OUTPUT = "dist"
"""Where the cdk8s CLI writes unless it is told otherwise."""


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

_VERSION_FILES = {
    "node": ((".nvmrc", "node"), (".node-version", "node")),
    "python": ((".python-version", "python3"),),
}
"""By ecosystem, files that hold the version of a tool. Go, Maven and Gradle speak for themselves."""


class Step(NamedTuple):
    """One command that runs before the app, in `directory` of the checkout; `reason` says why, for the log."""

    command: str
    directory: str
    reason: str
    replaces: tuple[str, ...] = ()
    warning: str = ""
    is_compilation: bool = False


_NAME = r"([a-z]+)[-@]?(?=\d)"
_TERM = r"([\^~<>=]*)v?\d+(\.(\d+|[xX*]))*"


class _Installation(NamedTuple):
    ecosystem: str
    steps: tuple[Step, ...]
    nothing_installed: str = ""
    manager: str = ""


class Pin(NamedTuple):
    """A version that the project asks for: of `tool`, as written in `file` in `directory` of the checkout."""

    tool: str
    wanted: str
    file: str
    directory: str = ""

    def is_met_by(self, version: str) -> bool:
        """Whether the version that a tool printed is one that the project asks for; true where that can't be told.

        A pinned version binds a patch release for nobody: its first component counts for Node and package managers,
        its first two for Python. A name before the number can be another tool's: `pypy3.10`, `pnpm@11.1.0`.
        """
        named = re.match(_NAME, self.wanted)
        if named and named[1] not in {"v", self.tool, "python", "cpython"}:
            return named[1] in version.lower()
        has = _numbers(version)
        ranges = [_terms(part) for part in self.wanted[named.end() if named else 0 :].split("||")]
        if not has or not all(re.fullmatch(_TERM, term) for terms in ranges for term in terms):
            return True
        depth = 2 if self.tool == "python3" else 1
        return any(all(_holds(has, term, depth) for term in terms) for terms in ranges)


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
    pins: tuple[Pin, ...] = ()
    script: str = ""
    nothing_installed: str = ""
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
    def _calls_cli(self) -> bool:
        words = (self.script or self.command).split()
        return any(
            word.endswith(("cdk8s", "cdk8s-cli")) and after.startswith("synth") for word, after in pairwise(words)
        )


def find_apps(  # noqa: PLR0913 - the inputs that say how an app is run
    workspace: Path,
    directories: tuple[str, ...],
    *,
    command: str,
    output: str,
    install: str,
    path: str,
    before: str = "",
) -> tuple[App, ...]:
    """Return the app of each folder in `directories`, sorted; a pattern such as `apps/*` means the apps it matches.

    `command`, `output`, `install` and `before` are the inputs app, output, install and before-synth. In `path`,
    `{app}` stands for the name of the app's folder and `{directory}` for the whole of it.

    Raises:
        InputError: a folder that is not there, a cdk8s.yaml that can't be read, nothing that says how the app is run,
            or two apps that would be published to one folder.

    """
    folders = sorted({folder for given in directories for folder in _folders(workspace, _normal(given), command)})
    found = tuple(
        _app(workspace, folder, command, output=output, install=install, path=path)._replace(before=before)
        for folder in folders
    )
    _refuse_shared_paths(found)
    return found


def target_path(template: str, directory: str, root_name: str) -> str:
    """Return the folder on the target branch for the app in `directory`; the app in the root is called `root_name`."""
    name = directory.rpartition("/")[2] or root_name
    return template.replace("{app}", name).replace("{directory}", directory or name)


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
        raise InputError(
            f"working-directory {directory!r} is not inside the checkout.", hint="It is relative to its root."
        )
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
    config = _config(workspace, directory)
    command = command or _text(config, "app").strip()
    if not command:
        raise InputError(
            f"Nothing says how the app in {directory or _ROOT} is run.",
            evidence=_candidates(workspace),
            hint="Set the input `app` to the command that renders the manifests, for example `python main.py`, or add "
            "it to cdk8s.yaml as `app: python main.py`. If the app is in another folder, set `working-directory`.",
        )
    language = _text(config, "language")
    installation = _install(workspace, directory, language, command, install)
    return App(
        name=directory.rpartition("/")[2] or workspace.name,
        directory=directory,
        language=language or installation.ecosystem,
        command=command,
        path=target_path(path, directory, workspace.name),
        output=output or _text(config, "output") or None,
        install=installation.steps,
        nothing_installed=installation.nothing_installed,
        pins=_pins(workspace, directory, installation.ecosystem, installation.manager),
        script=_script(folder, command),
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


def _install(workspace: Path, directory: str, language: str, command: str, install: str) -> _Installation:
    """Return the ecosystem, and the steps that install the app's dependencies and compile it where that is needed.

    Without steps there is a reason for that.
    """
    found = next(_managers(workspace, directory, _ecosystems(language, command)), None)
    ecosystem = found[0] if found else _ECOSYSTEM.get(language, "")
    if install != "auto":
        if install == "none":
            return _Installation(ecosystem, (), "the input `install` is `none`")
        return _Installation(ecosystem, (Step(install, directory, "the input `install`"),))
    steps: list[Step] = []
    own = _own_installation(found[1] if found else None, _script(workspace / directory, command) or command)
    if found and found[1].command and not own:
        _, manager, where = found
        reason = f"{manager.name}, because there is {manager.signs} in {where or _ROOT}"
        steps.append(
            Step(manager.command, where, reason, manager.replaces, _lock_warning(workspace, workspace / where, manager))
        )
    if ecosystem == "node":
        program = steps[0].command.partition(" ")[0] if steps else "npm"
        steps += _compile(workspace / directory, directory, command, program)
    if not steps:
        return _Installation(ecosystem, (), own or _nothing_installed(directory, found))
    return _Installation(ecosystem, tuple(steps), manager=found[1].name.split()[0] if found else "")


def _own_installation(found: Manager | None, command: str) -> str:
    """Say that the app command installs by itself; '' where it doesn't, or only what a lock file says already.

    What the same manager has installed as it is locked, the command finds there and leaves alone. `pip` would install
    into the machine's own Python without the virtual environment that is made for it.
    """
    match = re.search(OWN_INSTALLATION, command)
    program = match and (match[1] or match[2])
    if not match or (found and found.is_locked and found.name.split()[0] == program):
        return ""
    pinned = (
        "" if found and found.is_locked else "; there is no lock file, so the same source can render something else"
    )
    return f"the app command does that by itself (`{match[0]}`){pinned}"


def _nothing_installed(directory: str, found: tuple[str, Manager, str] | None) -> str:
    if not found:
        folder = f"{directory} or above it" if directory else _ROOT
        return f"no file of a package manager was found in {folder}"
    _, manager, where = found
    return f"{manager.name} fetches what the app command needs (there is {manager.signs} in {where or _ROOT})"


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
    return (
        f"{missing}: the newest dependencies are installed, so the same source can render something else tomorrow. "
        "Commit a lock file, or exact versions."
    )


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
    scripts = _json(folder / "package.json").get("scripts")
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


def _script(folder: Path, command: str) -> str:
    match = re.fullmatch(r"(?:npm|pnpm|yarn|bun) (?:run )?([\w:.-]+)", command.strip())
    scripts = _json(folder / "package.json").get("scripts")
    return str(scripts.get(match[1], "")) if match and isinstance(scripts, dict) else ""


def _pins(workspace: Path, directory: str, ecosystem: str, manager: str) -> tuple[Pin, ...]:
    """Return the tool versions that the files of the app, or of a folder above it, ask for.

    `manager` is the package manager that installs, or '' where that is the user's own command. uv finds the Python
    that is asked for by itself; pip installs what a project depends on and does not look at `requires-python`.
    """
    pins: dict[str, Pin] = {}
    for parent in _upwards(directory):
        folder = workspace / parent
        for name, tool in _VERSION_FILES.get(ecosystem, ()) if manager != "uv" else ():
            if (folder / name).is_file():
                lines = (folder / name).read_text(errors="replace").splitlines()
                words = " ".join(line.partition("#")[0] for line in lines).split()
                pins.setdefault(tool, Pin(tool, words[0] if words else "", name, parent))
        if manager == "pip" and (folder / "pyproject.toml").is_file():
            match = re.search(_REQUIRES_PYTHON, (folder / "pyproject.toml").read_text(errors="replace"))
            if match:
                pins.setdefault("python3", Pin("python3", match[1], "requires-python in pyproject.toml", parent))
        if ecosystem == "node":
            package = _json(folder / "package.json")
            wanted = str(package.get("packageManager", "")).partition("+")[0]
            tool, _, version = wanted.partition("@")
            used = manager or tool
            engines = package.get("engines")
            if tool:
                version = version if used == tool else wanted
                pins.setdefault(used, Pin(used, version, "packageManager in package.json", parent))
            if isinstance(engines, dict) and engines.get("node"):
                pins.setdefault("node", Pin("node", str(engines["node"]), "engines in package.json", parent))
    return tuple(pins.values())


_REQUIRES_PYTHON = r"""(?m)^requires-python\s*=\s*["']([^"']+)"""


def _json(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}  # the package manager has better words for what is wrong with it
    return content if isinstance(content, dict) else {}


def _terms(text: str) -> list[str]:
    """Return the terms of a range, all of which must hold, as npm writes them.

    It may be npm's (node-semver: spaces, `^`, `~`, `1 - 2`) or Python's (PyPA, "Version specifiers": commas, `~=`, and
    `!=`, which is passed over).
    """
    text = re.sub(r"(\S+)\s+-\s+(\S+)", r">=\1 <=\2", text)
    text = re.sub(r"([<>=~^!])\s+", r"\1", text).replace(",", " ")
    text = re.sub(r"~=(\d+\.\d+)(?!\S)", r"^\1", text).replace("~=", "~")
    return [term for term in text.split() if not term.startswith("!=")]


def _holds(has: tuple[int, ...], term: str, depth: int) -> bool:
    operator, wanted = re.split(r"[v\d]", term, maxsplit=1)[0], _numbers(term)
    if operator == "^":
        return has >= wanted and has[:1] == wanted[:1]
    if operator == "~":
        return has >= wanted and has[:2] == wanted[:2][: len(wanted)] + has[len(wanted) : 2]
    if operator in {">", ">="}:
        return has >= wanted if operator == ">=" else has[: len(wanted)] > wanted
    if operator in {"<", "<="}:
        return has < wanted if operator == "<" else has[: len(wanted)] <= wanted
    return has[: len(wanted)][:depth] == wanted[:depth]


def _numbers(text: str) -> tuple[int, ...]:
    match = re.search(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _upwards(directory: str) -> list[str]:
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
        for folder in _upwards(directory)
        for place in (os.fspath(workspace / folder),)
        for ecosystem in ecosystems
        for manager in MANAGERS[ecosystem]
        if manager.is_found_in(place)
    ]
    nearest = {ecosystem for ecosystem, _, folder in candidates if folder == candidates[0][2]}
    candidates = [candidate for candidate in candidates if candidate[0] in nearest]
    yield from sorted(candidates, key=lambda candidate: not candidate[1].is_locked)
