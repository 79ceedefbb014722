"""What a run may touch, which apps it is about, and how they are run."""

from __future__ import annotations

import logging
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import InputError
from cdk8s_publish.render import discover
from cdk8s_publish.render.environment import SynthOptions
from cdk8s_publish.sandbox import process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdk8s_publish.ci import Product
    from cdk8s_publish.inputs import Inputs
    from cdk8s_publish.log import Console
    from cdk8s_publish.model import Secret

FOREIGN_USER = "cdk8s-app"
"""The image's user for apps whose checkout belongs to root."""

_log = logging.getLogger(__name__)


class World(NamedTuple):
    """What a run may touch. `environ` is the process's own; `folder` is where the command stands, `private` is ours.

    `inherited` are the descriptors that our own programs must inherit which write into `private`.
    """

    environ: Mapping[str, str]
    folder: Path
    private: Path
    product: Product
    console: Console
    inherited: tuple[int, ...] = ()


def relative_folders(inputs: Inputs, base: Path, root: Path) -> tuple[str, ...]:
    """Return the input `working-directory` relative to the root of the checkout."""
    prefix = os.path.relpath(base.resolve(), root.resolve())
    return tuple(os.path.normpath(f"{prefix}/{folder}") for folder in inputs.render.working_directory)


def find_apps(inputs: Inputs, root: Path, folders: tuple[str, ...]) -> tuple[discover.App, ...]:
    """Return the apps that these folders and patterns, relative to `root`, lead to, and say which they are.

    Raises:
        InputError: a folder holds no app, or two apps would be published to one folder.

    """
    found = discover.find_apps(
        root,
        folders,
        command=inputs.render.app,
        output=inputs.render.output,
        install=inputs.render.install,
        path=inputs.target.path,
        before=inputs.render.before_synth,
    )
    for app in found:
        where = app.directory or "the root of the checkout"
        nothing = f"; nothing to install: {app.nothing_installed}" if app.nothing_installed else ""
        _log.info("%s: %s app in %s%s", app.name, app.language or "cdk8s", where, nothing)
        if app.warning:
            _log.warning("%s: %s", app.name, app.warning)
    return found


def _foreign_user(root: Path) -> tuple[int, int] | None:
    """Return user and group for the installer and the app; None where they run as we do.

    Where we are root they run as the owner of the checkout; where that is root too, as the user that the image has
    for it.
    """
    if os.geteuid() != 0:
        return None
    if not process.can_change_users():
        _log.info("The app runs as root: this container may not run programs as another user")
        return None
    status = root.stat()
    owner = (status.st_uid, status.st_gid)
    if status.st_uid == 0:
        try:
            entry = pwd.getpwnam(FOREIGN_USER)
        except KeyError:
            _log.info("The app runs as root: the checkout belongs to root and there is no user `%s`", FOREIGN_USER)
            return None
        owner = (entry.pw_uid, entry.pw_gid)
    _log.info("The app runs as user %d, without root's rights", owner[0])
    return owner


def _hidden(world: World, root: Path) -> tuple[Path, ...]:
    """Return the folders to keep foreign code from, but for one that holds what it needs."""
    needed = (root, world.private)
    return tuple(folder for folder in world.product.hidden() if not any(path.is_relative_to(folder) for path in needed))


def _cache(inputs: Inputs, root: Path) -> Path | None:
    hint = "Name a folder of its own, absolute or relative to the root of the checkout."
    try:
        folder = root / Path(inputs.render.cache_dir).expanduser() if inputs.render.cache_dir else None
    except RuntimeError:
        reason = f"cache-dir: {inputs.render.cache_dir!r} is in the home folder of a user who has none"
        raise InputError(reason, hint=hint) from None
    if folder is None:
        return None
    # What is in it is left out of the copy that apps see.
    if folder.is_file() or root.is_relative_to(folder.resolve()) or (folder / discover.CONFIG_FILE).is_file():
        what = "a file" if folder.is_file() else "a folder that holds an app"
        raise InputError(f"cache-dir: {inputs.render.cache_dir!r} is {what}", hint=hint)
    return folder


def synth_options(inputs: Inputs, world: World, root: Path, secrets: tuple[Secret, ...]) -> SynthOptions:
    """Return as whom and with which environment the apps of the checkout at `root` run; no secret is in it."""
    owner = _foreign_user(root)
    if owner:
        world.private.chmod(0o711)  # its way to its own folders; ours stay closed
    uid, gid = owner or (None, None)
    environ = process.scrub(world.environ, [secret.reveal() for secret in secrets], world.product.denied)
    if withheld := [name for name in inputs.render.app_env if name in world.environ and name not in environ]:
        _log.warning("app-env: no app gets %s, which may hold a credential or change the render", ", ".join(withheld))
    if inputs.render.app_env and not inputs.render.hermetic:
        _log.warning("app-env is for hermetic apps: without `hermetic: true` the app gets every variable")
    if not inputs.render.type_check:
        _log.info("ts-node leaves types unchecked, as `type-check: false` asks")
    return SynthOptions(
        environ=environ,
        workspace=root,
        timeout_s=inputs.render.timeout,
        cache=_cache(inputs, root),
        has_type_check=inputs.render.type_check,
        visible=inputs.render.app_env if inputs.render.hermetic else None,
        uid=uid,
        gid=gid,
        hidden=_hidden(world, root),
    )
