"""uv, Poetry, Pipenv and pip."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdk8s_publish.render.managers import Ecosystem, Manager

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_VENV = (".venv",)
_NEW_VENV = "python3 -m venv --clear .venv"
_PIP = ".venv/bin/python -m pip install --quiet --disable-pip-version-check"
_POETRY = "poetry install --no-interaction --no-root"
_UV = "uv sync --all-packages"
_DEPENDENCIES = (
    'import tomllib; project = tomllib.load(open("pyproject.toml", "rb")).get("project", {}); '
    'print(*project.get("dependencies", []), sep="\\n")'
)
"""The project itself need not be a package that can be built; what it depends on is all the app needs."""


def unpinned_requirement(workspace: Path, folder: Path) -> str:
    """Return the first line of requirements.txt, or of a file that it includes, without an exact version; or ''.

    A line with an address says by itself what is installed.
    """
    for line in _requirements(workspace, folder / "requirements.txt"):
        if re.match(r"[A-Za-z0-9]", line) and "==" not in line and "@" not in line:
            return line
    return ""


def _requirements(workspace: Path, file: Path) -> Iterator[str]:
    """Yield the lines of a requirements file and of those that it includes (pip docs, "Requirements File Format").

    Nothing outside the checkout is read.
    """
    root, files = workspace.resolve(), [file.resolve()]
    for found in files:  # grows meanwhile
        if not found.is_relative_to(root) or not found.is_file():
            continue
        for line in found.read_text(errors="replace").splitlines():
            yield line.strip()
            match = re.match(r"\s*(?:-r|--requirement)[\s=]*(\S+)", line)
            included = (found.parent / match[1]).resolve() if match else found
            if included not in files:
                files.append(included)


def _variables(cache: str) -> Mapping[str, str]:  # noqa: ARG001 - their caches follow XDG_CACHE_HOME
    return {
        "PIP_NO_INPUT": "1",  # or it asks for a password that nobody types, and ends with a stack trace
        "UV_COMPILE_BYTECODE": "1",
    }


MANAGERS = (
    Manager("uv", "uv", ("pyproject.toml", "uv.lock"), "uv sync --locked --all-packages", _VENV),
    Manager("poetry", "poetry", ("pyproject.toml", "poetry.lock"), _POETRY, _VENV),
    Manager("pipenv", "pipenv", ("Pipfile", "Pipfile.lock"), "pipenv install --deploy", _VENV),
    Manager(
        "pip",
        "pip",
        ("requirements.txt",),
        f"{_NEW_VENV} && {_PIP} --requirement requirements.txt",
        _VENV,
        unpinned=unpinned_requirement,
    ),
    Manager("pipenv", "pipenv", ("Pipfile",), "pipenv install --skip-lock", _VENV, is_locked=False),
    Manager("poetry", "poetry", ("pyproject.toml",), _POETRY, _VENV, is_locked=False, contains="[tool.poetry"),
    Manager("uv", "uv", ("pyproject.toml",), _UV, _VENV, is_locked=False, contains="[tool.uv"),
    Manager(
        "pip",
        "pip",
        ("pyproject.toml",),
        f"{_NEW_VENV} && .venv/bin/python -c '{_DEPENDENCIES}' > .venv/requirements.txt && "
        f"{_PIP} --requirement .venv/requirements.txt",
        _VENV,
        is_locked=False,
    ),
)

PYTHON = Ecosystem(
    name="python",
    languages=("python",),
    managers=MANAGERS,
    variables=_variables,
    version_commands=("python3 --version",),
    version_files=(".python-version",),
    manifests=("pyproject.toml",),
    fixed_variables={
        "PIPENV_IGNORE_VIRTUALENVS": "1",
        "PIPENV_VENV_IN_PROJECT": "1",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
    },
    # `pip` would install into the machine's own Python without the virtual environment that is made for it.
    own_installation=r"\buv (?:run(?! --no-sync)|sync)\b|\b(?:pipenv|poetry) (?:install|sync)\b",
)
