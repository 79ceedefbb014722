"""The user's side: a source checkout with an app in it, and the remote that it came from."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.programs import run
from support.remotes import GIT_ENV, Remote, git

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RENDERED = "rendered"
# The app for tests that are not about cdk8s: renders what the folder `rendered` of its source holds.
COPY_APP = f'mkdir -p "$CDK8S_OUTDIR" && if [ -d {RENDERED} ]; then cp -R {RENDERED}/. "$CDK8S_OUTDIR"/; fi'


def config_map(name: str, value: str = "1") -> bytes:
    """Return one manifest, in the words cdk8s would use."""
    return f'apiVersion: v1\ndata:\n  value: "{value}"\nkind: ConfigMap\nmetadata:\n  name: {name}\n'.encode()


@dataclass(frozen=True)
class Checkout:
    """A clone of the source repository with its `origin`."""

    path: Path
    origin: Remote

    @classmethod
    def create(cls, folder: Path, rendered: Mapping[str, bytes], url: str = "") -> Checkout:
        """Make an origin below `folder`, a clone of it, and push a first commit whose app renders `rendered`.

        `url` replaces the clone's remote address (a server in front of the same repository).
        """
        origin = Remote.create(folder / "origin.git")
        path = folder / "checkout"
        run("git", "clone", "--quiet", origin.path, path, env=GIT_ENV)
        checkout = cls(path, origin)
        checkout.write("cdk8s.yaml", f"language: python\napp: >-\n  {COPY_APP}\n".encode())
        checkout.render(rendered, "Start")
        if url:
            checkout.git("remote", "set-url", "origin", url)
        return checkout

    def ci_checkout(self, folder: Path, url: str = "", depth: int = 1) -> Checkout:
        """Return a checkout of the newest commit as CI products make it: shallow, with a detached HEAD."""
        run("git", "init", "--quiet", "--initial-branch=main", folder, env=GIT_ENV)
        fresh = Checkout(folder, self.origin)
        fresh.git("remote", "add", "origin", url or self.origin.path.as_uri())
        options = () if depth == 0 else (f"--depth={depth}",)
        fresh.git("fetch", "--quiet", *options, self.origin.path.as_uri(), self.sha)
        fresh.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
        return fresh

    def git(self, *args: str | Path) -> str:
        """Run git in the checkout."""
        return git(*args, cwd=self.path)

    def write(self, name: str, content: bytes) -> None:
        """Write one file of the source."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def render(self, rendered: Mapping[str, bytes], message: str = "Change the app") -> str:
        """Make the app render exactly these files, commit, push; return the source commit."""
        shutil.rmtree(self.path / RENDERED, ignore_errors=True)
        for name, content in rendered.items():
            self.write(f"{RENDERED}/{name}", content)
        return self.commit(message)

    def commit(self, message: str) -> str:
        """Commit everything and push it to the origin, past any server in front of it."""
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        self.git("push", "--quiet", self.origin.path, "HEAD:main")
        return self.sha

    @property
    def sha(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD")
