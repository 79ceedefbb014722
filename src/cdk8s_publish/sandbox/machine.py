"""What of a machine untrusted code may not reach: credentials of its users, other runs' files.

Of a home folder it may read what is not hidden, for people keep tools and sources there; of the hidden entries, in
which programs keep configuration and credentials, only those that hold tools. Everything that is not a home folder is
open to reading unless it is named here.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

from cdk8s_publish.sandbox.confinement import Confinement
from cdk8s_publish.sandbox.scratch import PREFIX, TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

SECRETS = tuple(map(Path, ("/run/credentials", "/run/secrets", "/run/user", "/var/run/secrets")))
"""Where systemd, containers and Kubernetes mount credentials, and where sockets and keys of a user's session are."""

TOOLS = (
    *(".asdf", ".bun", ".cargo/bin", ".deno", ".fnm", ".goenv", ".gvm", ".jabba", ".jdks", ".jenv", ".linuxbrew"),
    *(".local/bin", ".local/lib", ".local/pipx", ".n", ".nix-profile", ".nodenv", ".npm-global", ".nvm", ".pixi"),
    *(".poetry", ".proto", ".pyenv", ".rustup", ".rye", ".sdkman", ".volta", ".yarn"),
    *(
        f".local/share/{name}"
        for name in ("fnm", "mise", "nvm", "pipx", "pnpm", "pypoetry", "rtx", "uv", "virtualenvs")
    ),
)
"""Hidden folders of a home that hold interpreters, package managers and what was installed with them."""

TOOL_VARIABLES = (
    *("ASDF_DATA_DIR", "ASDF_DIR", "BUN_INSTALL", "CONDA_PREFIX", "DENO_INSTALL", "FNM_DIR", "GOROOT", "GRADLE_HOME"),
    *("JAVA_HOME", "M2_HOME", "MAVEN_HOME", "MISE_DATA_DIR", "NVM_DIR", "N_PREFIX", "PIPX_HOME", "PNPM_HOME"),
    *("POETRY_HOME", "PYENV_ROOT", "RUSTUP_HOME", "SDKMAN_DIR", "UV_PYTHON_INSTALL_DIR", "VIRTUAL_ENV", "VOLTA_HOME"),
    *("CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    *("NPM_CONFIG_GLOBALCONFIG", "NPM_CONFIG_PREFIX", "NPM_CONFIG_USERCONFIG", "PIP_CONFIG_FILE", "UV_CONFIG_FILE"),
)
"""Variables with which a user says where a tool is, which authorities it trusts and which file configures it; that
file is for the installer to read, also where it is in a hidden folder."""

_CLOSED = ("snap",)
"""Entries of a home that hold configuration and credentials although they are not hidden."""
_PROGRAMS = ("bin", "sbin", "shims")
"""Names of folders beside which the rest of an installation lies."""


def confinement_of(environ: Mapping[str, str], scratch: Path, uid: int | None = None) -> Confinement:
    """Return what every program of untrusted code is confined to; what one of them needs besides is added to it.

    `environ` is the user's own environment, `scratch` the folder of this run, all of which is denied. `uid` is set
    where the programs run as another user than ours.
    """
    homes = _homes(environ, uid)
    denied = [*SECRETS, scratch, *_other_runs(scratch), *homes]
    readable = [path for home in homes for path in _open_in(home)]
    readable += [path for path in _tools(environ, homes) if path not in homes]
    return Confinement().also(readable=readable, denied=denied)


def _homes(environ: Mapping[str, str], uid: int | None) -> list[Path]:
    """Return the home folders whose files the app's user may read."""
    users = [os.geteuid(), os.geteuid() if uid is None else uid]
    named = [environ.get("HOME", ""), *map(_home_of, users)]
    if users[1] == 0:
        named += map(os.fspath, Path("/home").glob("*"))
    found = (Path(name).resolve() for name in named if name.startswith("/"))
    return [home for home in dict.fromkeys(found) if home.is_dir()]


def _home_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_dir
    except KeyError:  # containers run programs as users that nobody has entered
        return ""


def _open_in(home: Path) -> Iterator[Path]:
    """Yield what may be read of a home folder. A link opens nothing: where it leads, the same rules hold."""
    hidden = set[str]()
    with contextlib.suppress(OSError), os.scandir(home) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                hidden.add(entry.name)
            elif entry.name not in _CLOSED and not entry.is_symlink():
                yield Path(entry.path)
    for name in TOOLS:
        if name.partition("/")[0] in hidden and (home / name).exists():
            yield home / name


def _tools(environ: Mapping[str, str], homes: Collection[Path]) -> Iterator[Path]:
    """Yield where the user's own environment says that tools are, and what configures them.

    A folder such as `~/.docker`, where a `bin` lies beside credentials, is not opened for that.
    """
    for name in environ.get("PATH", "").split(os.pathsep):
        folder = Path(name).resolve()
        if name.startswith("/") and folder.is_dir():
            yield folder
            if folder.name in _PROGRAMS and folder.parent.parent not in homes:
                yield folder.parent
    for name, value in environ.items():
        if name.upper() in TOOL_VARIABLES and value.startswith("/"):
            yield Path(value).resolve()


def _other_runs(scratch: Path) -> Iterator[Path]:
    """Yield the scratch folders of runs beside this one, and names that keep later ones out of reach, too."""
    for base in dict.fromkeys((scratch.parent, *map(Path, TEMPORARY))):
        if base.is_dir():
            yield base / PREFIX
            yield from base.glob(f"{PREFIX}*")
