"""npm, pnpm, Yarn and Bun, and what runs beside them: Corepack, scripts of package.json, Plug'n'Play."""

from __future__ import annotations

import re
import shutil
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cdk8s_publish.json_object import json_object
from cdk8s_publish.render.managers import Ecosystem, Manager

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_NODE_MODULES = ("node_modules",)
_NPM = "--no-audit --no-fund"
# Without it, installations that run side by side spoil each other's cache (classic.yarnpkg.com, `--mutex`).
_YARN = '--non-interactive --mutex "file:$XDG_CACHE_HOME/yarn-mutex"'
_COMPILED = (".js", ".mjs", ".cjs")
_COMPILATIONS = ("compile", "build")
"""Scripts of package.json that compile, the best first."""


def missing_in_yarn_lock(folder: Path) -> Sequence[str]:
    """Return what Yarn 1 has installed although yarn.lock does not hold it.

    It never notices that itself of a package in a workspace (github.com/yarnpkg/yarn, issue 5840). What it installed
    is in `node_modules/.yarn-integrity`; a package from a folder is written there in another way.
    """
    try:
        installed = json_object((folder / "node_modules" / ".yarn-integrity").read_bytes()).get("lockfileEntries", {})
        lines = (folder / "yarn.lock").read_text(errors="replace").splitlines()
    except OSError:
        return ()
    locked = set[str]()
    for line in lines:
        if line.endswith(":") and not line.startswith(" "):
            locked |= {name.strip(' "') for name in line[:-1].split(",")}
    return [name for name, source in installed.items() if source.startswith("http") and name not in locked]


def with_corepack(command: str, path: str) -> str:
    """Return a command of yarn or pnpm, run by Node's launcher where only that is there (nodejs.org, Corepack)."""
    program = command.split(maxsplit=1)[0]
    is_needed = not shutil.which(program, path=path) and shutil.which("corepack", path=path)
    return f"corepack {command}" if is_needed else command


def plug_and_play(folders: Iterable[Path]) -> str:
    """Return the options with which Node.js finds packages that Yarn keeps outside node_modules, else nothing.

    Yarn sets them for what it starts itself, so for an app below `yarn cdk8s synth` (yarnpkg.com, "Plug'n'Play").
    """
    folder = next((folder for folder in folders if (folder / ".pnp.cjs").is_file()), None)
    if folder is None:
        return ""
    loader = folder / ".pnp.loader.mjs"
    modules = f' --experimental-loader "{loader.as_uri()}"' if loader.is_file() else ""
    return f'--require "{folder}/.pnp.cjs"{modules}'


def script(folder: Path, command: str) -> str:
    """Return the script of package.json that a command means, such as `npm run synth`, or ''."""
    match = re.fullmatch(r"(?:npm|pnpm|yarn|bun) (?:run )?([\w:.-]+)", command.strip())
    return str(_scripts(folder).get(match[1], "")) if match else ""


def compilation(folder: Path, command: str) -> tuple[str, str]:
    """Return the script that compiles what an app command runs, and the file that is missing until then; else ''.

    That is so when the command runs a JavaScript file which is not in the checkout.
    """
    scripts = _scripts(folder)
    names = [name for name in _COMPILATIONS if name in scripts and "synth" not in str(scripts[name])]
    missing = next(_missing_files(folder, command), "") if names else ""
    return (names[0], missing) if missing else ("", "")


def _missing_files(folder: Path, command: str) -> Iterator[str]:
    """Yield the names of JavaScript files in a command that are not there."""
    for before, word in pairwise(("", *command.split())):
        candidates = _candidates(before, word)
        if candidates and not any((folder / name).is_file() for name in candidates):
            yield word


def _candidates(before: str, word: str) -> list[str]:
    """Return the files that a word of a command can mean; `node` finds them without their ending, too."""
    if word.endswith(_COMPILED) and not word.startswith("-"):
        return [word]
    if before == "node" and re.fullmatch(r"[\w./][\w./-]*", word):
        return [word, f"{word}.js", f"{word}/index.js", f"{word}/package.json"]
    return []


def package_json(folder: Path) -> Mapping[str, Any]:
    """Return what package.json holds; nothing where it can't be read."""
    try:
        return json_object((folder / "package.json").read_bytes())
    except OSError:
        return {}  # the package manager has better words for what is wrong with it


def _scripts(folder: Path) -> Mapping[str, Any]:
    scripts = package_json(folder).get("scripts")
    return scripts if isinstance(scripts, dict) else {}


def _variables(cache: str) -> Mapping[str, str]:
    return {
        "npm_config_cache": f"{cache}/npm",
        "npm_config_update_notifier": "false",
        "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
        "YARN_GLOBAL_FOLDER": f"{cache}/yarn",
        "BUN_INSTALL_CACHE_DIR": f"{cache}/bun",
    }


def _manager(name: str, lock: str, command: str, *, contains: str = "", has_corepack: bool = False) -> Manager:
    program = command.split(maxsplit=1)[0]
    files = ("package.json", lock)
    return Manager(name, program, files, command, _NODE_MODULES, contains=contains, has_corepack=has_corepack)


def _unlocked(name: str, version: str, command: str, *, has_corepack: bool = True) -> Manager:
    """Return a manager that package.json asks for, beside which there is no lock file."""
    program = command.split(maxsplit=1)[0]
    contains = f'"packageManager": "{version}'
    return Manager(
        name,
        program,
        ("package.json",),
        command,
        _NODE_MODULES,
        is_locked=False,
        contains=contains,
        has_corepack=has_corepack,
    )


MANAGERS = (
    _manager("bun", "bun.lock", "bun install --frozen-lockfile"),
    _manager("bun", "bun.lockb", "bun install --frozen-lockfile"),
    _manager("pnpm", "pnpm-lock.yaml", "pnpm install --frozen-lockfile", has_corepack=True),
    # Yarn 1 takes a lock file of Yarn 2 or later for an empty one.
    _manager("yarn", "yarn.lock", "yarn install --immutable", contains="__metadata:", has_corepack=True)._replace(
        too_old=r"[01]\."
    ),
    _manager("yarn classic", "yarn.lock", f"yarn install --frozen-lockfile {_YARN}", has_corepack=True)._replace(
        missing_in_lock=missing_in_yarn_lock
    ),
    _manager("npm", "npm-shrinkwrap.json", f"npm ci {_NPM}"),
    _manager("npm", "package-lock.json", f"npm ci {_NPM}"),
    _unlocked("bun", "bun@", "bun install --no-save", has_corepack=False),
    _unlocked("pnpm", "pnpm@", "pnpm install --no-lockfile"),
    _unlocked("yarn classic", "yarn@1.", f"yarn install --no-lockfile {_YARN}"),
    _unlocked("yarn", "yarn@", "yarn install --no-immutable"),
    Manager("npm", "npm", ("package.json",), f"npm install {_NPM} --no-package-lock", _NODE_MODULES, is_locked=False),
)

NODE = Ecosystem(
    name="node",
    languages=("typescript", "javascript"),
    managers=MANAGERS,
    variables=_variables,
    version_commands=("node --version",),
    version_files=(".nvmrc", ".node-version"),
    manifests=("package.json",),
    own_installation=r"\b(?:npm|pnpm|yarn|bun) (?:install|ci|i)\b",
)
