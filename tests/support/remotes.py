"""Bare git repositories that stand for the remote, read with plain git and default settings."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.programs import RUN_TIMEOUT_S, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# A git that knows nothing about the machine it runs on. Whoever commits in a test is this person.
GIT_ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


def git(*args: str | Path, cwd: Path, **env: str) -> str:
    """Run git in a folder and return what it printed."""
    return run("git", *args, cwd=cwd, env={**GIT_ENV, **env}).stdout.decode(errors="surrogateescape").strip()


@dataclass(frozen=True)
class Remote:
    """A bare repository in a folder; everything is read from its objects, never from a cache of ours."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> Remote:
        """Make an empty bare repository whose default branch is `main`."""
        run("git", "init", "--quiet", "--bare", "--initial-branch=main", path, env=GIT_ENV)
        return cls(path)

    def git(self, *args: str | Path) -> str:
        """Run git in the repository."""
        return git(*args, cwd=self.path)

    def tip(self, ref: str) -> str | None:
        """Return the commit of a branch (or any full ref name), None where it does not exist."""
        name = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
        return self.git("for-each-ref", "--format=%(objectname)", name) or None

    def refs(self) -> dict[str, str]:
        """Return every ref with what it points at."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ") for line in lines)

    def log(self, branch: str) -> list[str]:
        """Return the subjects of a branch's commits, newest first."""
        return self.git("log", "--format=%s", f"refs/heads/{branch}").splitlines()

    def message(self, branch: str) -> str:
        """Return the whole message of a branch's newest commit."""
        return self.git("log", "-1", "--format=%B", f"refs/heads/{branch}")

    def files(self, branch: str) -> dict[str, bytes]:
        """Return path → bytes of everything on a branch; names that are not UTF-8 as surrogate escapes."""
        listing = run("git", "ls-tree", "-rz", f"refs/heads/{branch}", cwd=self.path, env=GIT_ENV).stdout
        entries = [line.split(b"\t", 1) for line in listing.split(b"\0") if line]
        blobs = self._blobs([meta.split(b" ")[2] for meta, _ in entries])
        return {os.fsdecode(name): blob for (_, name), blob in zip(entries, blobs, strict=True)}

    def modes(self, branch: str) -> dict[str, str]:
        """Return path → git's file mode (`100644`, `120000`, …) of everything on a branch."""
        lines = self.git("ls-tree", "-r", "-z", f"refs/heads/{branch}").split("\0")
        return {line.split("\t")[1]: line.split(" ")[0] for line in lines if line}

    def clone(self, folder: Path, branch: str) -> Path:
        """Clone one branch the way anybody would, with git's default settings."""
        run("git", "clone", "--quiet", "--branch", branch, self.path.as_uri(), folder, env=GIT_ENV)
        return folder

    def commit(self, branch: str, files: Mapping[str, bytes], message: str = "By somebody else") -> str:
        """Commit on top of a branch without our program; `files` are added to what is there."""
        parent = self.tip(branch)
        stream = [f"commit refs/heads/{branch}\ncommitter Ada <ada@example.com> 1700000000 +0000\n".encode()]
        stream.append(b"data %d\n%s\n" % (len(message.encode()), message.encode()))
        if parent:
            stream.append(f"from {parent}\n".encode())
        for name, content in files.items():
            stream.append(f"M 100644 inline {name}\n".encode() + b"data %d\n%s\n" % (len(content), content))
        run("git", "fast-import", "--quiet", cwd=self.path, env=GIT_ENV, stdin=b"".join(stream))
        tip = self.tip(branch)
        assert tip
        return tip

    def hook(self, name: str, script: str) -> None:
        """Install a server hook written for `sh`."""
        hook = self.path / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\n" + script)
        hook.chmod(0o755)

    def protect(self, branch: str) -> None:
        """Refuse every change of a branch in GitHub's words."""
        self.hook(
            "pre-receive",
            f'while read -r old new ref; do if [ "$ref" = "refs/heads/{branch}" ]; then\n'
            f'echo "error: GH006: Protected branch update failed for $ref." >&2; exit 1; fi; done\n',
        )

    def fsck(self) -> None:
        """Fail unless every object is whole and reachable history is connected."""
        self.git("fsck", "--full", "--strict", "--no-dangling")

    def _blobs(self, ids: list[bytes]) -> list[bytes]:
        done = subprocess.run(
            ("git", "cat-file", "--batch"),
            cwd=self.path,
            env=GIT_ENV,
            input=b"\n".join(ids) + b"\n",
            capture_output=True,
            check=True,
            timeout=RUN_TIMEOUT_S,
        )
        rest, blobs = done.stdout, []
        for _ in ids:
            header, _, rest = rest.partition(b"\n")
            size = int(header.split(b" ")[2])
            blobs.append(rest[:size])
            rest = rest[size + 1 :]
        return blobs
