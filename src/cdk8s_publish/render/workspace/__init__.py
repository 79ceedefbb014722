"""A private copy of the checkout to render in: whatever installers and apps write, the checkout stays as it is.

Dependency folders are not copied: their folders are made again and filled with links to the original packages,
so that an installer which empties such a folder removes links. Git works in the copy, see `clone`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from cdk8s_publish.render.workspace.clone import clone, find_repository
from cdk8s_publish.render.workspace.tree import (
    NODE_MODULES,
    entries,
    is_dependency_folder,
    is_virtual_environment,
    leads_out,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from cdk8s_publish.render.workspace.clone import Repository

_SECOND_NS = 1_000_000_000
_PACKAGE_DEPTH = 4
"""Packages of a virtual environment are in `lib/python3.x/site-packages/<package>`."""
_SKELETON_FOLDERS = frozenset({".bin", ".pnpm"})
"""Folders of `node_modules` that hold packages or links themselves; scopes (`@…`) are the third kind."""


def copy_workspace(  # noqa: PLR0913 - what is copied, and for whom
    workspace: Path,
    target: Path,
    owner: tuple[int, int] | None = None,
    *,
    left_out: Collection[Path] = (),
    kept: Collection[Path] = (),
    is_hermetic: bool = False,
) -> Path:
    """Copy the checkout in `workspace` to the new folder `target` and return it.

    Modes, times and links are kept. `owner` (uid, gid) is given where we are root and the app must not be. A hermetic
    copy holds no git and no dependency folders. Raises OSError when the copy can't be written; what can't be read is
    left out, the app could not have read it either, and so are the folders in `left_out`, but for the files in `kept`.
    """
    copier = _Copier(workspace, owner, left_out=(target, *left_out), is_hermetic=is_hermetic)
    copier.folder(os.fspath(workspace), os.fspath(target))
    for file in kept:
        copier.file_with_folders(file, target / file.relative_to(workspace))
    copier.clone_repositories()
    return target


class _Copier:
    def __init__(
        self, workspace: Path, owner: tuple[int, int] | None, *, left_out: Collection[Path], is_hermetic: bool
    ) -> None:
        self._root, self._owner, self._is_hermetic = os.path.realpath(workspace), owner, is_hermetic
        self._known_users = {workspace.stat().st_uid, *(owner or ())[:1]}
        self._left_out = {os.fspath(path) for path in left_out}
        self._repositories: list[tuple[Repository, Path, Path]] = []
        self._newest: dict[int, int] = defaultdict(int)

    def folder(self, source: str, target: str) -> None:
        """Copy a folder with all that is in it."""
        self._make(target)
        for entry in entries(source):
            if entry.name == ".git":
                self._note_repository(Path(source), Path(target))
            elif entry.path not in self._left_out:
                self._entry(entry, f"{target}/{entry.name}")
        status = os.stat(source)
        os.chmod(target, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)  # or it could not be removed afterwards
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    def file_with_folders(self, source: Path, target: Path) -> None:
        """Copy one file, and make the folders that it lies in."""
        for folder in reversed(target.parents):
            if not folder.exists():
                self._make(os.fspath(folder))
        self._file(os.fspath(source), os.fspath(target))

    def clone_repositories(self) -> None:
        """Give the copy, and each submodule in it, a git folder; all files must have been copied before."""
        for repository, source, target in self._repositories:
            clone(repository, source, target / ".git", self._newest)
            for path in (target / ".git", *(target / ".git").rglob("*")):
                self._own(os.fspath(path))

    def _note_repository(self, source: Path, target: Path) -> None:
        """Note a git folder to be made; that of a submodule lies in the checkout or in its repository."""
        repository = None if self._is_hermetic else find_repository(source)
        if repository and self._is_ours(repository, source):
            self._repositories.append((repository, source, target))

    def _is_ours(self, repository: Repository, source: Path) -> bool:
        if os.path.realpath(source) == self._root:
            return True
        own = find_repository(Path(self._root))
        folders = [self._root, os.fspath(own.common)] if own else [self._root]
        return any(repository.folder.is_relative_to(folder) for folder in folders)

    def _entry(self, entry: os.DirEntry[str], target: str) -> None:
        if entry.is_symlink():
            self._link(entry.path, target)
        elif entry.is_file():
            self._file(entry.path, target)
        elif entry.is_dir() and not self._is_closed(entry.stat()):
            self._subfolder(entry, target)
        # Else it is a socket or a pipe, which belongs to the process that made it, or closed to the copy's owner.

    def _subfolder(self, entry: os.DirEntry[str], target: str) -> None:
        if self._is_hermetic and is_dependency_folder(entry):
            return
        if entry.name == NODE_MODULES:
            self._skeleton(entry.path, target, depth=1)
        elif is_virtual_environment(entry):
            self._skeleton(entry.path, target, depth=_PACKAGE_DEPTH)
        else:
            self.folder(entry.path, target)

    def _skeleton(self, source: str, target: str, depth: int) -> None:
        """Make the folders down to `depth` again, with links to everything in them; caches are left out."""
        self._make(target)
        for entry in entries(source):
            path = f"{target}/{entry.name}"
            if entry.is_symlink():
                self._link(entry.path, path)
            elif entry.is_dir() and (depth > 1 or entry.name in _SKELETON_FOLDERS or entry.name.startswith("@")):
                self._skeleton(entry.path, path, max(depth - 1, 1))
            elif entry.name not in {".cache", "__pycache__"}:
                os.symlink(entry.path, path)
                self._own(path)

    def _make(self, target: str) -> None:
        os.mkdir(target, 0o700)
        self._own(target)

    def _link(self, source: str, target: str) -> None:
        """Copy a link; a relative one that leaves the checkout is made absolute, or it would miss its target."""
        to = os.readlink(source)
        if not os.path.isabs(to) and leads_out(self._root, source, to):
            to = os.path.normpath(os.path.join(os.path.dirname(source), to))
        os.symlink(to, target)
        self._own(target)

    def _file(self, source: str, target: str) -> None:
        try:
            reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:
            return
        try:
            status = os.fstat(reading)
            if self._is_closed(status):
                return
            second = status.st_mtime_ns // _SECOND_NS
            self._newest[second] = max(self._newest[second], status.st_mtime_ns)
            writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                _copy_bytes(reading, writing, status.st_size)
                if self._owner is not None:
                    os.fchown(writing, *self._owner)
                os.fchmod(writing, stat.S_IMODE(status.st_mode) & 0o777 | stat.S_IRUSR | stat.S_IWUSR)
                os.utime(writing, ns=(status.st_atime_ns, status.st_mtime_ns))
            finally:
                os.close(writing)
        finally:
            os.close(reading)

    def _is_closed(self, status: os.stat_result) -> bool:
        """Whether only root's rights let us in: a third user's entry, which the copy's owner may not read."""
        if self._owner is None or status.st_uid in self._known_users:
            return False
        needed = 0o5 if stat.S_ISDIR(status.st_mode) else 0o4
        granted = status.st_mode >> 3 if status.st_gid == self._owner[1] else status.st_mode
        return granted & needed != needed

    def _own(self, path: str) -> None:
        if self._owner is not None:
            os.chown(path, *self._owner, follow_symlinks=False)


def _copy_bytes(reading: int, writing: int, size: int) -> None:
    """Copy a file's bytes; inside the kernel, shared instead of copied, where the file system can do that."""
    left = size
    with contextlib.suppress(OSError, AttributeError):  # another file system, or no such call: read and write
        while left > 0 and (copied := os.copy_file_range(reading, writing, left)):
            left -= copied
    while chunk := os.read(reading, 1 << 20):
        while chunk:
            chunk = chunk[os.write(writing, chunk) :]
