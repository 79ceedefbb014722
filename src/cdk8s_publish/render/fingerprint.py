"""Tell from its inputs alone that an app would render what is published already.

With `hermetic: true` an app is given nothing else than what its fingerprint is made of: the files of the checkout
without git, without dependency folders and without the other apps' folders; the variables listed in `app-env`; its
commands and the programs that they name; and a toolchain whose versions count. What it reads from a network, a clock
or elsewhere on the machine is the user's promise not to do.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cdk8s_publish import __version__
from cdk8s_publish.render.workspace.digests import digests, file_digest
from cdk8s_publish.sandbox.process import Command, run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from cdk8s_publish.render.discover import App
    from cdk8s_publish.render.environment import RunAs

_log = logging.getLogger(__name__)

FORMAT = 3
"""Raise it when a fingerprint of an earlier version must not count any more."""
PROBE_S = 30
MANIFESTS = ("package.json", "pyproject.toml", "go.mod", "go.sum")
"""What package managers with workspaces read of each package."""
TOOLS: Mapping[str, tuple[str, ...]] = {
    "python3": ("--version",),
    "node": ("--version",),
    "go": ("version",),
    "helm": ("version", "--short"),
}
"""Programs whose version counts, where they are there; a Helm chart is rendered by the helm on the machine."""
JAVA_TOOLS: Mapping[str, tuple[str, ...]] = {"java": ("-version",)}
"""Only asked for apps in Java: it takes as long as all others together."""
VERSION_FILES = (
    ".tool-versions",
    "mise.toml",
    ".mise.toml",
    ".nvmrc",
    ".node-version",
    ".python-version",
    ".java-version",
)
"""Files by which version managers (asdf, mise, nvm, fnm, pyenv, jenv) choose what a tool's name stands for."""

_NO_PROGRAM = r"[\s;&|()<>{}$`\"'=]+"
"""What stands between the words of a shell command that can be names of programs."""


def fingerprints(
    apps: Sequence[App], options: RunAs, machine: Machine, reason_against: Callable[[App], str] = lambda _: ""
) -> dict[str, str]:
    """Return the fingerprint of each app by its path on the target branch.

    An app whose render is not determined by its files has none: by what is known here, or by what `reason_against`
    says of it. Without `options.visible` no app has one.
    """
    if options.visible is None:
        return {}
    files = dict(digests(options.workspace, [options.cache] if options.cache else []))
    unknown = [name for name, digest in files.items() if not digest]
    groups = _groups(files.items(), apps)
    variables = [(name, options.environ.get(name)) for name in sorted(options.visible)]
    shared = [FORMAT, __version__, os.uname().sysname, os.uname().machine, variables, options.has_type_check]
    found = {}
    for app in apps:
        others = set(left_out(app, apps))
        unclear = [name for name in unknown if not _is_below(name, others)]
        if reason := _reason_against(app, unclear) or reason_against(app):
            _log.warning("hermetic: %s is rendered every time, because %s", app.name, reason)
            continue
        seen = [(folder, digest) for folder, digest in groups if not _is_below(folder, others)]
        commands = [app.command, app.before, *(step.command for step in app.install)]
        own = [
            app.directory,
            app.output,
            commands,
            machine.toolchain(app, files),
            machine.programs([*commands, app.script]),
        ]
        manifests = [(name, files.get(name)) for name in covered(app, apps, options.workspace)]
        found[app.path] = hashlib.sha256(json.dumps([shared, own, seen, manifests]).encode()).hexdigest()
    return found


def left_out(app: App, apps: Sequence[App]) -> tuple[str, ...]:
    """Return the folders of other apps, which an app can't see; none that holds the app itself."""
    folders = (other.directory for other in apps if other.directory and other is not app)
    return tuple(folder for folder in folders if not _is_below(app.directory, (folder,)))


def covered(app: App, apps: Sequence[App], workspace: Path) -> tuple[str, ...]:
    """Return the manifests of other apps below the folder that an app is installed in: one lock file covers them all.

    Yarn and uv refuse a lock file that names a package of the workspace which is not there. Go installs each module by
    itself, and refuses a go.work that names one which is not there.
    """
    above = PurePosixPath(app.directory).parents
    is_in_go_workspace = app.language == "go" and any((workspace / folder / "go.work").is_file() for folder in above)
    roots = ("",) if is_in_go_workspace else tuple(step.directory for step in app.install)
    folders = (folder for folder in left_out(app, apps) if _is_below(folder, roots))
    files = (f"{folder}/{name}" for folder in folders for name in MANIFESTS)
    return tuple(file for file in files if _is_plain_file(workspace.resolve(), file))


def _is_plain_file(workspace: Path, name: str) -> bool:
    """Whether no part of the name is a link, which could lead out of the checkout."""
    return (workspace / name).is_file() and (workspace / name).resolve() == workspace / name


def _groups(files: Iterable[tuple[str, str]], apps: Sequence[App]) -> list[tuple[str, str]]:
    """Return a digest of all files that lie in one app's folder, by that folder; '' stands for those in no app's.

    Each file is hashed once, however many apps can see it.
    """
    folders = {app.directory for app in apps}

    @cache
    def owner(path: str) -> str:
        return path if path in folders or not path else owner(path.rpartition("/")[0])

    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, digest in files:
        groups[owner(name)].append((name, digest))
    return [
        (folder, hashlib.sha256(json.dumps(group).encode()).hexdigest()) for folder, group in sorted(groups.items())
    ]


def _is_below(name: str, folders: Collection[str]) -> bool:
    """Whether a name is one of the folders, or is in one; everything is in the root, which is ''."""
    while name:
        if name in folders:
            return True
        name = name.rpartition("/")[0]
    return "" in folders


def _reason_against(app: App, unknown: Sequence[str]) -> str:
    if not app.install:
        what = "nothing that this run installs says which versions of its dependencies it uses"
        return f"{what}: {app.nothing_installed}"
    if unknown:
        return f"{unknown[0]} is a link to a folder outside the checkout"
    return next((step.warning for step in app.install if step.warning), "")


class Machine:
    """The tools of this machine; each is asked once, in each folder in which it may be another one.

    They are asked in threads of `beside`, at once where nearly every checkout needs the answer: `node` takes as long
    to say its version as fifty apps to be found. `home` is their home folder: Go notes there that it was started.
    """

    def __init__(self, options: RunAs, home: Path, beside: Executor) -> None:
        java = options.environ.get("JAVA_HOME")
        self._options, self._beside = options, beside
        self._environ = {**options.environ, "HOME": str(home)}
        self._path = os.pathsep.join(filter(None, (f"{java}/bin" if java else "", options.environ.get("PATH"))))
        self._versions: dict[tuple[str, bool], Future[list[str]]] = {}
        self._digests: dict[str, str] = {}
        if options.visible is not None:
            self._ask("", is_java=False)

    def toolchain(self, app: App, names: Container[str]) -> list[str]:
        """Return the versions of an app's tools, asked where a version manager would look for a file of its own.

        `names` are the files of the checkout.
        """
        asked = app.directory
        while asked and not any(f"{asked}/{name}" in names for name in VERSION_FILES):
            asked = asked.rpartition("/")[0]
        return self._ask(asked, is_java=app.language == "java").result()

    def programs(self, commands: Iterable[str]) -> list[str]:
        """Return digests of the programs that commands name, but for those whose version is asked."""
        words = {word for command in commands for word in re.split(_NO_PROGRAM, command)} - TOOLS.keys()
        return [digest for word in sorted(words) if (digest := self._digest(word))]

    def _digest(self, word: str) -> str:
        if word not in self._digests:
            # A path that is relative is one in the checkout.
            program = shutil.which(word, path=self._path) if word.startswith("/") or "/" not in word else None
            with contextlib.suppress(PermissionError):
                self._digests[word] = f"{word} {file_digest(program)}" if program else ""
        return self._digests.get(word, "")

    def _ask(self, folder: str, *, is_java: bool) -> Future[list[str]]:
        key = (folder, is_java)
        if key not in self._versions:
            tools = {**TOOLS, **JAVA_TOOLS} if is_java else TOOLS
            self._versions[key] = self._beside.submit(self._answers, folder, tools)
        return self._versions[key]

    def _answers(self, folder: str, tools: Mapping[str, tuple[str, ...]]) -> list[str]:
        def version(name: str) -> str:
            program = shutil.which(name, path=self._path)
            if not program:
                return ""
            options, argv = self._options, (program, *tools[name])
            command = Command(
                argv, options.workspace / folder, self._environ, PROBE_S, options.uid, options.gid, options.hidden
            )
            return f"{name} {' '.join(run(command, on_line=_log.debug).excerpt)}"

        with ThreadPoolExecutor(len(tools)) as pool:
            versions = [text for text in pool.map(version, tools) if text]
        if cli := shutil.which("cdk8s", path=self._path):
            package = Path(os.path.realpath(cli)).parent.parent / "package.json"
            versions.append(file_digest(str(package)) if package.is_file() else cli)
        return versions
