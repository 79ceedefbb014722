"""A private copy of the checkout to render in: whatever installers and apps write, the checkout stays as it is.

Dependency folders are not copied: their folder skeleton is made anew and filled with links to the original packages,
so that an installer which empties such a folder removes links. Git works in the copy (`git rev-parse`, `describe`,
`status`) on a git folder of its own that borrows the objects; of the configuration only what is known to hold no
credential is carried over.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from collections.abc import Set as AbstractSet
    from pathlib import Path

NODE_MODULES = "node_modules"
_SKELETON_FOLDERS = frozenset({".bin", ".pnpm"})
"""Folders of `node_modules` that hold packages or links themselves; scopes (`@…`) are the third kind."""

_GIT_KEYS = (
    r"core\.(repositoryformatversion|filemode|bare|ignorecase|symlinks|precomposeunicode|autocrlf|eol)"
    r"|extensions\.(objectformat|refstorage)|remote\..+\.url|branch\..+\.(remote|merge)"
)
_SECTION = r'\s*\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]'
_VARIABLE = r"\s*([A-Za-z][\w-]*)\s*=\s*(.*?)\s*$"


def snapshot(  # noqa: PLR0913 - what is copied, and for whom
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
    skipped = {os.fspath(path) for path in (target, *left_out)}
    copy = _Copy(workspace, owner, skipped, is_hermetic=is_hermetic)
    copy.folder(os.fspath(workspace), os.fspath(target))
    for file in kept:
        copy.file(file, target / file.relative_to(workspace))
    git_folder = None if is_hermetic else _git_folder(workspace)
    if git_folder is not None:
        private = target / ".git"
        _copy_git(git_folder, private)
        copy.give(private)
    return target


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
        is_empty = True
        for entry in _entries(folder):
            is_empty, name = False, prefix + entry.name
            if entry.name == ".git" or entry.path in skipped:
                continue
            if entry.is_symlink():
                found.append((name, _link_digest(root, entry.path)))
            elif entry.is_dir():
                if not _is_dependency_folder(entry):
                    pending.append((entry.path, f"{name}/"))
            elif entry.is_file():
                with contextlib.suppress(PermissionError):
                    found.append((name, f"{file_digest(entry.path)} {bool(entry.stat().st_mode & stat.S_IXUSR)}"))
        if is_empty:
            found.append((prefix, "empty"))
    return sorted(found)


def _link_digest(root: str, link: str) -> str:
    to = os.readlink(link)
    if not _leaves(root, link, to):
        return f"-> {to}"
    if os.path.isdir(link):
        return ""
    with contextlib.suppress(PermissionError):
        return f"-> {to} {file_digest(link) if os.path.isfile(link) else ''}"
    return f"-> {to}"


def file_digest(path: str) -> str:
    """Return the digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _leaves(root: str, link: str, to: str) -> bool:
    """Whether a link at `link`, to `to`, leads out of a copy of `root`; an absolute one leads to the original."""
    absolute = os.path.normpath(os.path.join(os.path.dirname(link), to))
    return os.path.isabs(to) or not f"{os.path.realpath(os.path.dirname(absolute))}/".startswith(f"{root}/")


def _is_dependency_folder(entry: os.DirEntry[str]) -> bool:
    return entry.name == NODE_MODULES or os.path.exists(f"{entry.path}/pyvenv.cfg")


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except PermissionError:
        return


class _Copy:
    def __init__(
        self,
        workspace: Path,
        owner: tuple[int, int] | None,
        left_out: AbstractSet[str],
        *,
        is_hermetic: bool,
    ) -> None:
        self._root, self._owner = os.path.realpath(workspace), owner
        self._known = {workspace.stat().st_uid, *(owner or ())[:1]}
        self._left_out, self._is_hermetic = left_out, is_hermetic

    def folder(self, source: str, target: str) -> None:
        self._make(target)
        for entry in _entries(source):
            path = f"{target}/{entry.name}"
            if entry.name == ".git" or entry.path in self._left_out:
                continue
            if entry.is_symlink():
                self._link(entry.path, path)
            elif entry.is_file():
                self._file(entry.path, path)
            elif not entry.is_dir() or self._is_closed(entry.stat()):
                continue  # a socket or a pipe belongs to the process that made it
            elif self._is_hermetic and _is_dependency_folder(entry):
                continue
            elif entry.name == NODE_MODULES:
                self._skeleton(entry.path, path, depth=1)
            elif os.path.exists(f"{entry.path}/pyvenv.cfg"):
                self._skeleton(entry.path, path, depth=4)  # lib/python3.x/site-packages/<package>
            else:
                self.folder(entry.path, path)
        status = os.stat(source)
        os.chmod(target, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)  # or it could not be removed afterwards
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    def file(self, source: Path, target: Path) -> None:
        """Copy one file, with the folders that it lies in."""
        for folder in reversed(target.parents):
            if not folder.exists():
                self._make(os.fspath(folder))
        self._file(os.fspath(source), os.fspath(target))

    def give(self, folder: Path) -> None:
        """Give a folder with all that is in it to the owner."""
        if self._owner is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, *self._owner, follow_symlinks=False)

    def _skeleton(self, source: str, target: str, depth: int) -> None:
        """Make the folders down to `depth` anew, with links to everything in them; caches are left out."""
        self._make(target)
        for entry in _entries(source):
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
        if not os.path.isabs(to) and _leaves(self._root, source, to):
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
        if self._owner is None or status.st_uid in self._known:
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


def _git_folder(workspace: Path) -> Path | None:
    """Return the git folder of a checkout, following the `gitdir:` line of a worktree or a submodule."""
    entry = workspace / ".git"
    if entry.is_dir():
        return entry
    if not entry.is_file():
        return None
    folder = workspace / entry.read_text(errors="surrogateescape").removeprefix("gitdir:").strip()
    return folder if folder.is_dir() else None


def _copy_git(source: Path, target: Path) -> None:
    """Make a git folder with the same HEAD, index and refs, which reads objects from the original."""
    common = source
    if (source / "commondir").is_file():
        common = source / (source / "commondir").read_text(errors="surrogateescape").strip()
    (target / "objects" / "info").mkdir(parents=True)
    objects = os.path.realpath(common / "objects")
    (target / "objects" / "info" / "alternates").write_text(objects + "\n", errors="surrogateescape")
    for folder, name in ((source, "HEAD"), (source, "index"), (common, "packed-refs"), (common, "shallow")):
        if (folder / name).is_file():
            shutil.copy2(folder / name, target / name)
    for name in ("refs", "reftable"):
        if (common / name).is_dir():
            shutil.copytree(common / name, target / name, symlinks=True)
    (target / "refs").mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        text = (common / "config").read_text(errors="surrogateescape")
        (target / "config").write_text(_harmless_config(text), errors="surrogateescape")


def _harmless_config(text: str) -> str:
    """Return the lines of a git configuration that are known to hold no credential and to run no program."""
    kept, section, subsection = [], "", ""
    for line in text.splitlines():
        header = re.match(_SECTION, line)
        if header:
            section, subsection = header[1], header[2] or ""
            line = line[header.end() :]  # noqa: PLW2901 - git allows a variable behind its section's header
        variable = re.match(_VARIABLE, line)
        if not variable:
            continue
        key, value = variable[1], variable[2]
        if re.fullmatch(_GIT_KEYS, ".".join(filter(None, (section, subsection, key))), re.IGNORECASE | re.DOTALL):
            head = f'[{section} "{subsection}"]' if subsection else f"[{section}]"
            kept.append(f"{head}\n\t{key} = {_without_credential(value)}\n")
    return "".join(kept)


def _without_credential(value: str) -> str:
    if "://" not in value:
        return value
    parts = urlsplit(value)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
