"""Runs the image as CI products do, with podman's private storage or with Docker.

`CONTAINER_ENGINE` (default: `scripts/image/podman`) and `IMAGE` (default: `localhost/cdk8s-publish`) name what runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.programs import ROOT
from support.runner import Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.github import GitHubJob

RUN_TIMEOUT_S = 600
JAVA_TRUST = Path("/etc/ssl/certs/java/cacerts")
"""Java has a trust store of its own: the machine's is mounted, as its other certificates are in the stand-ins."""
RUNNER_UID = 1001
"""The user of GitHub's own runners; the workspace belongs to it, the container runs as root."""


def engine() -> str:
    """Return the program that runs containers."""
    return os.environ.get("CONTAINER_ENGINE") or str(ROOT / "scripts" / "image" / "podman")


def image(target: str = "default") -> str:
    """Return the image of one target; skip the test where it was not built, fail it in CI."""
    name = f"{os.environ.get('IMAGE') or 'localhost/cdk8s-publish'}:{target}"
    found = shutil.which(engine()) and subprocess.run(
        (engine(), "image", "inspect", name), capture_output=True, timeout=60, check=False
    )
    if not found or found.returncode:
        message = f"there is no image {name}; `make test-image` builds it"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return name


@dataclass(frozen=True)
class Container:
    """How a container is started. `tmp` is its /tmp on the host, so that a test sees what is left in it."""

    image: str
    tmp: Path
    name: str
    options: tuple[str, ...] = ()
    volumes: Mapping[str, str] = field(default_factory=dict)

    def argv(self, environ: Mapping[str, str], *args: str) -> list[str]:
        """Return the command line; variables are named only, their values are inherited, as the runners do it."""
        options = [f"--env={name}" for name in environ]
        options += [f"--volume={source}:{target}" for source, target in self.volumes.items()]
        return [engine(), "run", "--rm", f"--name={self.name}", "--network=host", "--no-healthcheck",
                f"--volume={self.tmp}:/tmp", *self.options, *options, self.image, *args]  # fmt: skip

    def start(self, environ: Mapping[str, str], *args: str) -> subprocess.Popen[str]:
        """Start the container; `stop` must follow."""
        return subprocess.Popen(
            self.argv(environ, *args),
            env={**os.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def run(self, environ: Mapping[str, str], *args: str, stdin: str = "") -> Result:
        """Run the container to its end."""
        process = self.start(environ, *args)
        try:
            stdout, stderr = process.communicate(stdin, timeout=RUN_TIMEOUT_S)
        finally:
            self.stop()
        return Result(process.returncode, stdout, stderr)

    def signal(self, name: str) -> None:
        """Send a signal to the container's process 1."""
        subprocess.run((engine(), "kill", f"--signal={name}", self.name), check=True, timeout=60, capture_output=True)

    def stop(self) -> None:
        """Remove the container if it is still there."""
        subprocess.run((engine(), "rm", "--force", self.name), timeout=60, capture_output=True, check=False)


@dataclass(frozen=True)
class GitHubRunner:
    """Starts the action as GitHub's runner does: `ContainerActionHandler` of actions/runner.

    Root in the container, four folders of the runner's user mounted below /github, every input and variable by name.
    """

    container: Container
    home: Path
    job: GitHubJob

    @classmethod
    def create(cls, folder: Path, job: GitHubJob, target: str = "default", *, read_only: bool = False) -> GitHubRunner:
        """Give everything of the job to the runner's user."""
        home, tmp = folder / "home", folder / "tmp"
        home.mkdir(parents=True)
        tmp.mkdir()
        tmp.chmod(0o1777)
        volumes = {
            str(home): "/github/home",
            str(job.folder): "/github/file_commands",
            str(job.checkout.path): "/github/workspace",
        }
        if target == "languages" and JAVA_TRUST.exists():
            volumes[str(JAVA_TRUST)] = f"{JAVA_TRUST}:ro"
        options = ("--workdir=/github/workspace", *(("--read-only",) if read_only else ()))
        container = Container(image(target), tmp, f"test-{os.getpid()}-{folder.name}", options, volumes)
        return cls(container, home, job)

    def environ(self, event: str = "push", **inputs: str) -> dict[str, str]:
        """Return the variables as they are inside the container."""
        inside = {str(self.job.checkout.path): "/github/workspace", str(self.job.folder): "/github/file_commands"}
        environ = self.job.environ(event=event, **inputs)
        for folder in (self.home, self.job.folder, self.job.checkout.path):
            give(folder, RUNNER_UID)
        for outside, path in inside.items():
            environ = {name: value.replace(outside, path) for name, value in environ.items()}
        return environ | {"HOME": "/github/home"}


def give(folder: Path, uid: int) -> None:
    """Make a user the owner of a folder and everything in it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


def owners(folder: Path) -> Iterator[int]:
    """Yield the owner of everything below a folder."""
    return (path.lstat().st_uid for path in folder.rglob("*"))
