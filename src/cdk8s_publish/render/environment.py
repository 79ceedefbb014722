"""As whom apps run, where, and with which environment."""

from __future__ import annotations

import logging
import os
import pwd
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import InputError
from cdk8s_publish.model import CONFIG_FILE
from cdk8s_publish.render.dependencies import ECOSYSTEMS
from cdk8s_publish.render.workspace.clone import find_repository, object_folders
from cdk8s_publish.sandbox import privileges, process
from cdk8s_publish.sandbox.confinement import Confinement, missing_protections
from cdk8s_publish.sandbox.environ import scrub
from cdk8s_publish.sandbox.machine import confinement_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cdk8s_publish.inputs.declared import RenderInputs
    from cdk8s_publish.job import Job
    from cdk8s_publish.model import Secret

_log = logging.getLogger(__name__)

APP_USER = "cdk8s-app"
"""The image's user for apps whose checkout belongs to root."""
CACHES = frozenset(
    (
        "BUN_INSTALL_CACHE_DIR",
        "COREPACK_HOME",
        "GOCACHE",
        "GOMODCACHE",
        "NPM_CONFIG_CACHE",
        "NPM_CONFIG_STORE_DIR",
        "PIPENV_CACHE_DIR",
        "PIP_CACHE_DIR",
        "POETRY_CACHE_DIR",
        "UV_CACHE_DIR",
        "YARN_CACHE_FOLDER",
    )
)
"""Variables with which a user names folders for downloads, and nothing else: apps may write there."""
OWN_FOLDERS = frozenset(
    (
        "GOPATH",
        "GRADLE_USER_HOME",
        "MAVEN_USER_HOME",
        "TEMP",
        "TMP",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
    )
)
"""Variables that name folders to write to which may hold more than downloads: each run has its own."""

_HERMETIC = {"LANG": "C.UTF-8", "TZ": "UTC"}
"""What a hermetic app gets besides the variables that it asks for."""


class RunAs(NamedTuple):
    """As whom apps run, with what.

    `environ` is scrubbed already. `workspace` is the checkout that they see a copy of: variables that point into it
    point into the copy for the app. `cache` is a folder that survives the run (downloads of package managers, the
    jsii package cache), `home` a home folder that several installers and apps share. `has_type_check` is false when
    ts-node may leave the types of a TypeScript app unchecked. `visible` names the only variables of `environ` that a
    hermetic app gets; None for any other app, which gets them all. `uid` and `gid` are set where we are root and the
    app must not be. `confinement` is what all of them are held to; what one app may write comes on top.
    """

    environ: Mapping[str, str]
    workspace: Path
    timeout_s: float
    cache: Path | None = None
    home: Path | None = None
    has_type_check: bool = True
    visible: tuple[str, ...] | None = None
    uid: int | None = None
    gid: int | None = None
    confinement: Confinement = Confinement()

    def __repr__(self) -> str:
        """Leave the environment out: it may say more than a log should."""
        return f"{type(self).__name__}({self.workspace})"

    @property
    def is_hermetic(self) -> bool:
        """Whether apps get nothing that their fingerprint does not know of."""
        return self.visible is not None

    @property
    def left_out(self) -> tuple[Path, ...]:
        """What no copy of the checkout holds: the cache may lie in it."""
        return (self.cache,) if self.cache else ()

    @property
    def owner(self) -> tuple[int, int] | None:
        """User and group for what the app may write; None where that is us."""
        return None if self.uid is None else (self.uid, -1 if self.gid is None else self.gid)


def run_as(inputs: RenderInputs, job: Job, root: Path, secrets: tuple[Secret, ...]) -> RunAs:
    """Return as whom and with which environment the apps of the checkout at `root` run; no secret is in it."""
    owner = _app_owner(root)
    uid, gid = owner or (None, None)
    if owner:
        job.scratch.chmod(0o711)  # its way to its own folders; ours stay closed
    environ = scrub(job.environ, [secret.reveal() for secret in secrets], job.provider.denied)
    _log_inputs(inputs, job.environ, environ)
    for sentence in missing_protections(job.environ, uid):
        job.console.reserve(sentence)
    return RunAs(
        environ=environ,
        workspace=root,
        timeout_s=inputs.timeout,
        confinement=_confinement(job, root, uid),
        cache=_cache_folder(inputs.cache_dir, root) if inputs.cache_dir else None,
        has_type_check=inputs.type_check,
        visible=inputs.app_env if inputs.hermetic else None,
        uid=uid,
        gid=gid,
    )


def _app_owner(root: Path) -> tuple[int, int] | None:
    """Return user and group for the installer and the app; None where they run as we do.

    Where we are root they run as the owner of the checkout; where that is root too, as the user that the image has
    for it.
    """
    if os.geteuid() != 0:
        return None
    if not privileges.can_change_users():
        _log.info("The app runs as root: this container may not run programs as another user")
        return None
    status = root.stat()
    owner = (status.st_uid, status.st_gid)
    if status.st_uid == 0:
        try:
            entry = pwd.getpwnam(APP_USER)
        except KeyError:
            _log.info("The app runs as root: the checkout belongs to root and there is no user `%s`", APP_USER)
            return None
        owner = (entry.pw_uid, entry.pw_gid)
    _log.info("The app runs as user %d, without root's rights", owner[0])
    return owner


def _log_inputs(inputs: RenderInputs, given: Mapping[str, str], environ: Mapping[str, str]) -> None:
    withheld = [name for name in inputs.app_env if name in given and name not in environ]
    if withheld:
        _log.warning("app-env: no app gets %s, which may hold a credential or change the render", ", ".join(withheld))
    if inputs.app_env and not inputs.hermetic:
        _log.warning("app-env is for hermetic apps: without `hermetic: true` the app gets every variable")
    if not inputs.type_check:
        _log.info("ts-node leaves types unchecked, as `type-check: false` asks")


def _confinement(job: Job, root: Path, uid: int | None) -> Confinement:
    """Return what untrusted code of this run may reach before anything is made for it.

    The copy of the checkout has links to dependency folders of the original, and borrows its objects. Git folders are
    closed for what else is in them: many a checkout keeps a credential in its configuration.
    """
    denied, readable = list(job.provider.denied_paths()), [root]
    if repository := find_repository(root):
        denied += [repository.folder, repository.common]
        readable += object_folders(repository.common)
    # A job may have checked out other repositories below the first one.
    denied += [path for depth in ("*/.git", "*/*/.git") for path in root.glob(depth) if path.is_dir()]
    return confinement_of(job.environ, job.scratch, uid).also(readable=readable, denied=denied)


def _cache_folder(given: str, root: Path) -> Path:
    hint = "Name a folder of its own, absolute or relative to the root of the checkout."
    try:
        folder = root / Path(given).expanduser()
    except RuntimeError:
        reason = f"Input `cache-dir`: {given!r} is in the home folder of a user who has none."
        raise InputError(reason, hint=hint) from None
    if folder.is_file():
        raise InputError(f"Input `cache-dir`: {given!r} is a file.", hint=hint)
    # What is in it is left out of the copy that apps see.
    if root.is_relative_to(folder.resolve()) or (folder / CONFIG_FILE).is_file():
        raise InputError(f"Input `cache-dir`: {given!r} is a folder that holds an app.", hint=hint)
    return folder


class AppEnvironment:
    """Where commands of one app run: its folder in a copy of the checkout, and folders of its own to write to."""

    def __init__(
        self, directory: str, source: Path, scratch: Path, run_as: RunAs, on_line: Callable[[str], None]
    ) -> None:
        """Make the folders. `source` is the copy of the checkout, `on_line` gets what commands print."""
        self.source, self.scratch, self.on_line = source, scratch, on_line
        self._run_as, self.timeout_s = run_as, run_as.timeout_s
        self.folder = source / directory
        self.home, self.tmp = run_as.home or scratch / "home", scratch / "tmp"
        self.cache = run_as.cache or self.home / ".cache"
        for folder in (scratch, self.home, self.tmp):
            self.make(folder)

    def make(self, folder: Path) -> Path:
        """Make a folder that belongs to the user who runs the app."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._run_as.owner:
            os.chown(folder, *self._run_as.owner)
        return folder

    def run(self, command: str, environ: Mapping[str, str]) -> process.Completed:
        """Run a shell command in the app's folder, as the app's user and within its time."""
        run_as = self._run_as
        argv = ("sh", "-c", command)
        return process.run(
            process.Command(argv, self.folder, environ, self.timeout_s, self.confinement(), run_as.uid, run_as.gid),
            on_line=self.on_line,
        )

    def confinement(self) -> Confinement:
        """Return what the app may reach; a hermetic one sees nothing of the checkout but its copy."""
        run_as = self._run_as
        own = [self.scratch, self.home, self.cache, *self._caches().values()]
        if self.source == run_as.workspace:  # the versions of tools are asked in there, and nothing is written
            return run_as.confinement.also(writable=own)
        denied = [run_as.workspace] if run_as.is_hermetic else []
        return run_as.confinement.also(writable=[*own, self.source], denied=denied)

    def upwards(self) -> list[Path]:
        """Return the app's folder and those above it, up to the root of the copy."""
        folders = [self.folder]
        while folders[-1] != self.source and folders[-1] != folders[-1].parent:
            folders.append(folders[-1].parent)
        return folders

    def variables(self, *, is_app: bool = False) -> dict[str, str]:
        """Return the environment of the installer or the app; the user's variables win, but for its own folders."""
        given = self._given(is_app=is_app)
        return {
            **self._cache_variables(),
            **given,
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "JDK_JAVA_OPTIONS": self._java_options(given.get("JDK_JAVA_OPTIONS", "")),
            "PATH": self._search_path(),
            "GIT_OPTIONAL_LOCKS": "0",
            # A linked dependency folder is the user's: importing from it must not write into it.
            "PYTHONDONTWRITEBYTECODE": "1",
            **({} if self._run_as.has_type_check else {"TS_NODE_TRANSPILE_ONLY": "true"}),
            **{name: value for ecosystem in ECOSYSTEMS for name, value in ecosystem.fixed_variables.items()},
        }

    def _given(self, *, is_app: bool) -> dict[str, str]:
        """Return the user's variables, with paths into the checkout led into the copy of it."""
        visible = self._run_as.visible if is_app else None
        given = {} if visible is None else dict(_HERMETIC)
        for name, value in self._run_as.environ.items():
            moved = self._moved(value)
            if (visible is None or name in visible) and self._is_usable(name, moved):
                given[name] = moved
        return given

    def _is_usable(self, name: str, value: str) -> bool:
        """Whether a variable is of use in the copy: a folder to write to must be one that the app can write to."""
        if name == "VIRTUAL_ENV":  # installers would use the one that is active instead of the app's own
            return False
        is_folder_to_write = name.upper() in CACHES | OWN_FOLDERS
        return not is_folder_to_write or name in self._caches() or value.startswith(f"{self.source}/")

    def _caches(self) -> dict[str, Path]:
        """Return the folders for downloads that the user has named; for hermetic apps none, as `with_usable_cache`."""
        if self._run_as.is_hermetic:
            return {}
        found = dict[str, Path]()
        for name, value in self._run_as.environ.items():
            path = Path(value)
            is_outside = path.is_absolute() and not path.is_relative_to(self._run_as.workspace)
            if name.upper() in CACHES and is_outside and path.is_dir():
                found[name] = path
        return found

    def _moved(self, value: str) -> str:
        """Return a value with all paths into the checkout led into its copy, also those within an option."""
        workspace = os.fspath(self._run_as.workspace)
        if workspace not in value:
            return value
        return re.sub(rf"(?<![^\s:;,='\"]){re.escape(workspace)}(?=$|[/\s:;,'\"])", lambda _: str(self.source), value)

    def _search_path(self) -> str:
        own = [folder / ".venv" / "bin" for folder in self.upwards()]
        own += [folder / "node_modules" / ".bin" for folder in self.upwards()]
        return os.pathsep.join([*map(str, own), self._moved(self._run_as.environ.get("PATH", os.defpath))])

    def _cache_variables(self) -> dict[str, str]:
        """Return where package managers and runtimes keep what can be used again; most honour XDG_CACHE_HOME."""
        variables = {
            "XDG_CACHE_HOME": f"{self.cache}",
            "XDG_DATA_HOME": f"{self.cache}/data",  # pnpm keeps its store there
            "JSII_RUNTIME_PACKAGE_CACHE_ROOT": f"{self.cache}/jsii",
        }
        if self._run_as.cache:  # filling it costs more than it saves in one run
            variables["NODE_COMPILE_CACHE"] = f"{self.cache}/node"
        for ecosystem in ECOSYSTEMS:
            variables |= ecosystem.variables(f"{self.cache}")
        return variables

    def _java_options(self, given: str) -> str:
        """Return Java's options: it knows neither HOME nor TMPDIR, and jsii would leave its folder in /tmp."""
        return f'{given} "-Duser.home={self.home}" "-Djava.io.tmpdir={self.tmp}"'.strip()


def with_usable_cache(run_as: RunAs, scratch: Path) -> RunAs:
    """Return the same with its cache folder made; without one where the user who runs the apps can't write to it.

    Hermetic apps have none: what anybody has left there would be part of what they render, and of no fingerprint.
    """
    folder = run_as.cache
    if folder is None:
        return run_as
    if run_as.is_hermetic:
        _log.info("Hermetic apps don't use cache-dir: what a run renders must not depend on what another left there")
        return run_as._replace(cache=None)
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            if run_as.owner:
                os.chown(folder, *run_as.owner, follow_symlinks=False)
    except OSError as error:
        _log.info("No cache: %s", error)
        return run_as._replace(cache=None)
    if run_as.owner is None:
        is_usable = os.access(folder, os.W_OK | os.X_OK)
    else:
        probe = AppEnvironment("", folder, scratch / "probe", run_as._replace(cache=None), _log.debug)
        is_usable = probe.run("test -w . && test -x .", {}).returncode == 0
    return run_as if is_usable else run_as._replace(cache=None)
