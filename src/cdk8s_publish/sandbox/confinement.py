"""What untrusted code may reach: a list that the kernel enforces on a program and on everything that it starts.

Of the file system it may read all but what is denied, and write only what is named. It reaches no process that is not
its own: it can't trace or signal it, or read its environment and memory. Whoever the program runs as, root included,
is held by that. What the kernel lacks for it, `missing_protections` says in words.

Why not bubblewrap, what else was weighed, and what the list does not cover: docs/development/adr/0006-confinement.md.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import SynthError
from cdk8s_publish.sandbox import landlock, privileges
from cdk8s_publish.sandbox.landlock import Access

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


_DEVICES = tuple(f"/dev/{name}" for name in ("full", "null", "random", "shm", "urandom", "zero"))
"""What is nobody's; not the disks, and not the terminals, where others type. C libraries keep semaphores in `shm`."""


class Confinement(NamedTuple):
    """What of the file system a program may reach; `machine.confinement_of` makes one.

    Of all that is listed, the deepest folder in which a path lies counts. What lies in none may be read, and of the
    devices those used that are harmless. Whatever appears later beside a denied path, in the same folder or in one
    above it, can't be reached. Paths lead through no link.
    """

    writable: frozenset[str] = frozenset()
    readable: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()

    def also(
        self, *, writable: Iterable[Path] = (), readable: Iterable[Path] = (), denied: Iterable[Path] = ()
    ) -> Confinement:
        """Return this confinement with more paths; a path that is denied stays so."""
        return Confinement(
            self.writable | _real(writable), self.readable | _real(readable), self.denied | _real(denied)
        )

    def rules(self) -> Iterator[tuple[str, Access]]:
        """Yield what to allow, beneath which files and folders."""
        listed = {"/": Access.READ, "/dev": Access.NONE, **dict.fromkeys(_DEVICES, Access.WRITE)}
        for paths, access in ((self.readable, Access.READ), (self.writable, Access.WRITE), (self.denied, Access.NONE)):
            listed |= dict.fromkeys(paths, access)
        for path, access in listed.items():
            if access is not Access.NONE:
                yield from _rules(path, access, listed)


def _real(paths: Iterable[Path]) -> frozenset[str]:
    return frozenset(os.path.realpath(path) for path in paths)


def _rules(path: str, access: Access, listed: Mapping[str, Access]) -> Iterator[tuple[str, Access]]:
    """Yield the rules that give `access` to a path, but for what is listed below it with less.

    The kernel adds up the rules of all folders that a file lies in, so none may lie above what has less: there, each
    entry gets a rule of its own.
    """
    inside = path.rstrip("/") + "/"
    if not any(other.startswith(inside) and its < access for other, its in listed.items()):
        yield path, access
        return
    try:
        with os.scandir(path) as entries:
            found = [entry.path for entry in entries if not entry.is_symlink()]
    except OSError:  # what can't be listed, or is gone, holds nothing that could be allowed
        return
    for entry in found:
        if entry not in listed:
            yield from _rules(entry, access, listed)


def enter(confinement: Confinement) -> bool:
    """Confine the calling thread and every program that it starts, for good.

    Return whether the thread's processes are now separate from all others, so that one of them can signal no process
    but its own; see `lifetime.end_domain`.

    Raises:
        SynthError: the kernel has Landlock and refuses this use of it.

    """
    privileges.give_up()
    if not landlock.version():
        return False
    try:
        landlock.restrict(confinement.rules())
    except OSError as error:
        raise SynthError(
            "The app can't be confined on this machine, so it is not run.",
            evidence=f"landlock_restrict_self(2): {error.strerror}",
            hint="A process may be confined 16 times at most: look for what confines the processes above this one.",
        ) from error
    return landlock.version() >= landlock.SCOPES and not _can_signal_parent()


def _can_signal_parent() -> bool:
    """Whether a process outside can be signalled: then the kernel does not do what it says, and is not relied on."""
    parent = os.getppid()
    if parent == 0:  # it is outside of the container
        return False
    try:
        os.kill(parent, 0)
    except OSError:
        return False
    return True


_NOTHING = (
    "The kernel has no Landlock (Linux 5.19 or later, switched on): what an app may read and write is limited by the "
    "rights of its user alone, so apps can change each other's files, and whatever else belongs to that user."
)
_AS_OUR_USER = (
    "As it runs as our own user, an app can also read the private files of this run, credentials in the home folder "
    "and the environments of other processes, and change programs that are used later."
)
_NOT_LINUX = (
    "On this system an app of our own user can also read the environment that this program was started with, and what "
    "an app leaves running is not ended."
)
_EMPTYING = "An app can empty files outside its own folders that its user may write; Linux 6.2 or later prevents it."
_SIGNALS = (
    "An app can signal other processes of its user, and what it leaves running is ended only when no other app runs; "
    "Linux 6.12 or later prevents it."
)
_SOCKETS = "An app can connect to {}; Linux 7.1 or later prevents it."


def missing_protections(environ: Mapping[str, str], uid: int | None = None) -> tuple[str, ...]:
    """Return in sentences what this machine can't keep untrusted code from; `uid` is set where it is not our user."""
    version = landlock.version()
    if not version:
        as_our_user = (_AS_OUR_USER,) if uid is None else ()
        return (_NOTHING, *as_our_user, *([] if sys.platform.startswith("linux") else [_NOT_LINUX]))
    missing = []
    if version < landlock.TRUNCATE:
        missing.append(_EMPTYING)
    if version < landlock.SCOPES:
        missing.append(_SIGNALS)
    if version < landlock.RESOLVE_UNIX:
        open_to_app = [path for path in _sockets(environ, uid) if _can_connect(path, uid)]
        if open_to_app:
            missing.append(_SOCKETS.format(", ".join(open_to_app)))
    return tuple(missing)


def _sockets(environ: Mapping[str, str], uid: int | None) -> list[str]:
    """Return where agents, buses and container engines listen: who talks to them acts outside of any confinement."""
    user = os.geteuid() if uid is None else uid
    run, home = f"/run/user/{user}", environ.get("HOME", "")
    named = (environ.get("SSH_AUTH_SOCK", ""), environ.get("DOCKER_HOST", "").removeprefix("unix://"))
    usual = (
        f"{run}/bus",
        f"{run}/docker.sock",
        f"{run}/gnupg/S.gpg-agent",
        f"{run}/keyring/ssh",
        f"{run}/podman/podman.sock",
        f"{home}/.gnupg/S.gpg-agent",
        "/run/containerd/containerd.sock",
        "/run/docker.sock",
        "/var/run/docker.sock",
    )
    return list(dict.fromkeys(os.path.realpath(path) for path in (*named, *usual) if path.startswith("/")))


def _can_connect(path: str, uid: int | None) -> bool:
    """Whether a path is a socket that the app's user may write to (unix(7), "Pathname socket ownership")."""
    try:
        status = Path(path).stat()
    except OSError:
        return False
    if not stat.S_ISSOCK(status.st_mode):
        return False
    if uid is None:
        return os.access(path, os.W_OK)
    return bool(status.st_mode & (stat.S_IWUSR if status.st_uid == uid else stat.S_IWOTH))
