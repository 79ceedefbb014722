"""Digests of everything that a hermetic copy of a checkout holds."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import TYPE_CHECKING

from cdk8s_publish.render.workspace.tree import entries, is_dependency_folder, leads_out

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def digests(workspace: Path, left_out: Collection[Path] = ()) -> list[tuple[str, str]]:
    """Return name and digest of everything that a hermetic copy of a checkout holds, sorted by name.

    A digest covers content and execute permission of a file, the target of a link, and that a folder is empty; not
    times, which the app must not depend on. It is '' for a link to a folder outside the checkout: nobody knows what
    the app reads there.
    """
    found: list[tuple[str, str]] = []
    root, skipped = os.path.realpath(workspace), {os.fspath(path) for path in left_out}
    pending = [(os.fspath(workspace), "")]
    while pending:
        folder, prefix = pending.pop()
        names = list(entries(folder))
        if not names:
            found.append((prefix, "empty"))
        for entry in names:
            if entry.name == ".git" or entry.path in skipped:
                continue
            name = prefix + entry.name
            if entry.is_symlink():
                found.append((name, _link_digest(root, entry.path)))
            elif entry.is_dir() and not is_dependency_folder(entry):
                pending.append((entry.path, f"{name}/"))
            elif entry.is_file():
                with contextlib.suppress(PermissionError):
                    found.append((name, f"{file_digest(entry.path)} {_is_executable(entry)}"))
    return sorted(found)


def file_digest(path: str) -> str:
    """Return the digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_executable(entry: os.DirEntry[str]) -> bool:
    return bool(entry.stat().st_mode & stat.S_IXUSR)


def _link_digest(root: str, link: str) -> str:
    to = os.readlink(link)
    if not leads_out(root, link, to):
        return f"-> {to}"
    if os.path.isdir(link):
        return ""
    with contextlib.suppress(PermissionError):
        return f"-> {to} {file_digest(link) if os.path.isfile(link) else ''}"
    return f"-> {to}"
