"""The versions of tools that a project asks for in its files, held against those that are there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.render.dependencies import upwards
from cdk8s_publish.render.managers.node import package_json

if TYPE_CHECKING:
    from pathlib import Path

_VERSION_FILES = {
    "node": ((".nvmrc", "node"), (".node-version", "node")),
    "python": ((".python-version", "python3"),),
}
"""By ecosystem, files that hold the version of a tool. Go, Maven and Gradle speak for themselves."""
_NAME = r"([a-z]+)[-@]?(?=\d)"
_TERM = r"([\^~<>=]*)v?\d+(\.(\d+|[xX*]))*"


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


def pins_of(workspace: Path, directory: str, ecosystem: str, manager: str) -> tuple[Pin, ...]:
    """Return the tool versions that the files of the app, or of a folder above it, ask for.

    `manager` is the package manager that installs, or '' where that is the user's own command. uv finds the Python
    that is asked for by itself; pip installs what a project depends on and does not look at `requires-python`.
    """
    pins: dict[str, Pin] = {}
    for parent in upwards(directory):
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
            package = package_json(folder)
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
