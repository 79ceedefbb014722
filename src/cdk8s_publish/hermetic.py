"""Tell from its inputs alone that an app would render what is published already.

With `hermetic: true` an app is given nothing else than what its fingerprint is made of: the files of the checkout
without git, without dependency folders and without the other apps' folders; the variables listed in `app-env`; its
commands; and a toolchain whose versions count. What it reads from a network, a clock or elsewhere on the machine is
the user's promise not to do.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cdk8s_publish import __version__
from cdk8s_publish.commands import Command, run
from cdk8s_publish.snapshot import digests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cdk8s_publish.apps import App
    from cdk8s_publish.synth import SynthOptions

_log = logging.getLogger(__name__)

FORMAT = 2
"""Raise it when a fingerprint of an earlier version must not count any more."""
PROBE_S = 30
TOOLS: Mapping[str, tuple[str, ...]] = {
    "python3": ("python3", "--version"),
    "node": ("node", "--version"),
    "go": ("go", "version"),
    "helm": ("helm", "version", "--short"),
}
"""Programs whose version counts, where they are there; a Helm chart is rendered by the helm on the machine."""


def fingerprints(apps: Sequence[App], options: SynthOptions) -> dict[str, str]:
    """Return the fingerprint of each app by its path on the target branch.

    An app whose dependencies are not determined by its files has none, and without `options.visible` no app has.
    """
    if options.visible is None:
        return {}
    groups = _groups(digests(options.workspace, [options.cache] if options.cache else []), apps)
    variables = [(name, options.environ.get(name)) for name in sorted(options.visible)]
    shared = [FORMAT, __version__, _toolchain(options.environ), variables, options.has_type_check]
    found = {}
    for app in apps:
        if reason := _reason_against(app):
            _log.warning("hermetic: %s is rendered every time, because %s", app.name, reason)
            continue
        others = left_out(app, apps)
        seen = [(folder, digest) for folder, digest in groups if not _is_below(folder, others)]
        own = [app.directory, app.command, app.before, app.output, [step.command for step in app.install]]
        found[app.path] = hashlib.sha256(json.dumps([shared, own, seen]).encode()).hexdigest()
    return found


def left_out(app: App, apps: Sequence[App]) -> tuple[str, ...]:
    """Return the folders of other apps, which an app can't see; none that holds the app itself."""
    folders = (other.directory for other in apps if other.directory and other is not app)
    return tuple(folder for folder in folders if not _is_below(app.directory, (folder,)))


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


def _is_below(name: str, folders: Sequence[str]) -> bool:
    return any(name == folder or name.startswith(f"{folder}/") for folder in folders)


def _reason_against(app: App) -> str:
    if not app.install:
        return "nothing that this run installs says which versions of its dependencies it uses"
    return next((step.warning for step in app.install if step.warning), "")


def _toolchain(environ: Mapping[str, str]) -> list[str]:
    path = environ.get("PATH")

    def version(name: str) -> str:
        program = shutil.which(name, path=path)
        if not program:
            return ""
        done = run(Command((program, *TOOLS[name][1:]), Path("/"), environ, PROBE_S), on_line=_log.debug)
        return f"{name} {' '.join(done.excerpt)}"

    with ThreadPoolExecutor(len(TOOLS)) as pool:
        versions = [text for text in pool.map(version, TOOLS) if text]
    if cli := shutil.which("cdk8s", path=path):
        package = Path(os.path.realpath(cli)).parent.parent / "package.json"
        versions.append(hashlib.sha256(package.read_bytes()).hexdigest() if package.is_file() else cli)
    return versions
