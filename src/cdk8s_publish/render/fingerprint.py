"""Tell from its inputs alone that an app would render what is published already.

With `hermetic: true` an app is given nothing else than what its fingerprint is made of: the files of the checkout
without git, without dependency folders and without the other apps' folders; the variables listed in `app-env`; its
commands and the programs that they name; and a toolchain whose versions count. What it reads from a network, a clock
or elsewhere on the machine is the user's promise not to do.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import defaultdict
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cdk8s_publish import __version__
from cdk8s_publish.render import imports
from cdk8s_publish.render.dependencies import ECOSYSTEMS, upwards
from cdk8s_publish.render.workspace.digests import digests

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from cdk8s_publish.render.discover import App
    from cdk8s_publish.render.environment import RunAs
    from cdk8s_publish.render.toolchain import Toolchain

_log = logging.getLogger(__name__)

FORMAT = 4
"""Raise it when a fingerprint of an earlier version must not count any more."""
_MANIFESTS = tuple(name for ecosystem in ECOSYSTEMS for name in ecosystem.manifests)


def fingerprints(apps: Sequence[App], run_as: RunAs, toolchain: Toolchain) -> dict[str, str]:
    """Return the fingerprint of each hermetic app by its path on the target branch.

    An app whose render is not determined by its files has none; the log says why.
    """
    if run_as.visible is None:
        return {}
    files = dict(digests(run_as.workspace, run_as.left_out))
    unknown = [name for name, digest in files.items() if not digest]
    groups = _group_digests(files.items(), apps)
    variables = [(name, run_as.environ.get(name)) for name in sorted(run_as.visible)]
    shared = [FORMAT, __version__, os.uname().sysname, os.uname().machine, variables, run_as.has_type_check]
    found = {}
    for app in apps:
        reason = _reason_against(app, apps, unknown) or imports.reason_against(app, run_as.workspace)
        if reason:
            _log.warning("hermetic: %s is rendered every time, because %s", app.name, reason)
            continue
        manifests = [(name, files.get(name)) for name in covered_manifests(app, apps, run_as.workspace)]
        own = _own_parts(app, files, toolchain)
        found[app.path] = _digest([shared, own, _seen_groups(app, apps, groups), manifests])
    return found


def hidden_folders(app: App, apps: Sequence[App]) -> tuple[str, ...]:
    """Return the folders of other apps, which a hermetic app can't see; none that holds the app itself."""
    folders = (other.directory for other in apps if other.directory and other is not app)
    return tuple(folder for folder in folders if not _is_below(app.directory, (folder,)))


def covered_manifests(app: App, apps: Sequence[App], workspace: Path) -> tuple[str, ...]:
    """Return the manifests of other apps below the folder that an app is installed in: one lock file covers them all.

    Yarn and uv refuse a lock file that names a package of the workspace which is not there. Go installs each module by
    itself, and refuses a go.work that names one which is not there.
    """
    roots = _installed_folders(app, workspace)
    found = list[str]()
    for folder in hidden_folders(app, apps):
        if _is_below(folder, roots):
            names = [f"{folder}/{name}" for name in _MANIFESTS]
            found += [name for name in names if _is_plain_file(workspace.resolve(), name)]
    return tuple(found)


def _installed_folders(app: App, workspace: Path) -> tuple[str, ...]:
    """Return the folders of the checkout in which something is installed for an app; '' is the root."""
    if app.language == "go":
        above = PurePosixPath(app.directory).parents
        if any((workspace / folder / "go.work").is_file() for folder in above):
            return ("",)
    return tuple(step.directory for step in app.install)


def _own_parts(app: App, files: Mapping[str, str], toolchain: Toolchain) -> list[object]:
    commands = [app.command, app.before, *(step.command for step in app.install)]
    programs = toolchain.programs([*commands, app.script])
    return [app.directory, app.output, commands, toolchain.versions(app, files), programs]


def _reason_against(app: App, apps: Sequence[App], unknown: Sequence[str]) -> str:
    """Return why an app's render is not determined by its files; '' where it is.

    `unknown` are links to folders outside the checkout: nobody knows what an app reads there.
    """
    if not app.install:
        what = "nothing that this run installs says which versions of its dependencies it uses"
        return f"{what}: {app.nothing_installed}"
    hidden = hidden_folders(app, apps)
    for name in unknown:
        if not _is_below(name, hidden):
            return f"{name} is a link to a folder outside the checkout"
    return next((step.warning for step in app.install if step.warning), "")


def _group_digests(files: Iterable[tuple[str, str]], apps: Sequence[App]) -> list[tuple[str, str]]:
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
    return [(folder, _digest(group)) for folder, group in sorted(groups.items())]


def _seen_groups(app: App, apps: Sequence[App], groups: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those of the digests by folder that are about files which a hermetic app can see."""
    hidden = hidden_folders(app, apps)
    return [(folder, digest) for folder, digest in groups if not _is_below(folder, hidden)]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _is_below(name: str, folders: Collection[str]) -> bool:
    """Whether a name is one of the folders, or is in one; everything is in the root, which is ''."""
    return any(folder in folders for folder in upwards(name))


def _is_plain_file(workspace: Path, name: str) -> bool:
    """Whether no part of the name is a link, which could lead out of the checkout."""
    return (workspace / name).is_file() and (workspace / name).resolve() == workspace / name
