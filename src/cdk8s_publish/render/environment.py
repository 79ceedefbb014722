"""Where a command of an app runs, with which environment, and what is said when it fails."""

from __future__ import annotations

import logging
import os
import pwd
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import InputError, SynthError
from cdk8s_publish.render.dependencies import ECOSYSTEMS
from cdk8s_publish.render.discover import CONFIG_FILE
from cdk8s_publish.sandbox import process
from cdk8s_publish.sandbox.process import Command, Completed, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cdk8s_publish.inputs import RenderInputs
    from cdk8s_publish.job import Job
    from cdk8s_publish.model import Secret

_log = logging.getLogger(__name__)

FOREIGN_USER = "cdk8s-app"
"""The image's user for apps whose checkout belongs to root."""
COMMAND_NOT_FOUND = 127
KILLED = (-9, 137)
"""SIGKILL, of the shell itself and as it reports that of a program that it started."""
REFUSED = (
    r"\bE40[134]\b|\b40[13] (Client )?(Error|Unauthorized|Forbidden)|status code:? 40[13]|\bHTTP 40[13]\b"
    r"|No matching distribution found|terminal prompts disabled"
)
"""How npm, yarn, pip, uv, Maven, Gradle and Go say that a registry refused them or does not know a package."""
REGISTRY_HINT = (
    "If a private registry is asked: configuration in the home folder (.npmrc, pip.conf, settings.xml) is not read, "
    "and a variable with a credential of this run is not handed over. Put the configuration into the repository and a "
    "token that reads into a variable of its own: docs/how-to/private-registries.md."
)
OUT_OF_MEMORY = (
    "Nobody but the system sends that signal: most likely the memory of the machine or container was used up. Give it "
    "more, or let fewer apps run side by side."
)


class RunAs(NamedTuple):
    """How apps are run.

    `environ` is scrubbed already. `workspace` is the checkout that `source` is a copy of: variables that point into
    it point into the copy for the app. `cache` is a folder that survives the run (downloads of package managers, the
    jsii package cache), `home` the home folder that installers and apps share. `has_type_check` is false when ts-node
    may leave the types of a TypeScript app unchecked. `visible` names the only variables of `environ` that a hermetic
    app gets; None for any other app, which gets them all. `uid` and `gid` are set where we are root and the app must
    not be; `hidden` are folders that it must not reach.
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
    hidden: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        """Leave the environment out: it may say more than a log should."""
        return f"{type(self).__name__}({self.workspace})"


def run_as(inputs: RenderInputs, job: Job, root: Path, secrets: tuple[Secret, ...]) -> RunAs:
    """Return as whom and with which environment the apps of the checkout at `root` run; no secret is in it."""
    owner = _foreign_user(root)
    if owner:
        job.scratch.chmod(0o711)  # its way to its own folders; ours stay closed
    uid, gid = owner or (None, None)
    environ = process.scrub(job.environ, [secret.reveal() for secret in secrets], job.provider.denied)
    if withheld := [name for name in inputs.app_env if name in job.environ and name not in environ]:
        _log.warning("app-env: no app gets %s, which may hold a credential or change the render", ", ".join(withheld))
    if inputs.app_env and not inputs.hermetic:
        _log.warning("app-env is for hermetic apps: without `hermetic: true` the app gets every variable")
    if not inputs.type_check:
        _log.info("ts-node leaves types unchecked, as `type-check: false` asks")
    return RunAs(
        environ=environ,
        workspace=root,
        timeout_s=inputs.timeout,
        cache=_cache(inputs, root),
        has_type_check=inputs.type_check,
        visible=inputs.app_env if inputs.hermetic else None,
        uid=uid,
        gid=gid,
        hidden=_hidden(job, root),
    )


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


def _hidden(job: Job, root: Path) -> tuple[Path, ...]:
    """Return the folders to keep foreign code from, but for one that holds what it needs."""
    needed = (root, job.scratch)
    return tuple(folder for folder in job.provider.hidden() if not any(path.is_relative_to(folder) for path in needed))


def _cache(inputs: RenderInputs, root: Path) -> Path | None:
    hint = "Name a folder of its own, absolute or relative to the root of the checkout."
    try:
        folder = root / Path(inputs.cache_dir).expanduser() if inputs.cache_dir else None
    except RuntimeError:
        reason = f"cache-dir: {inputs.cache_dir!r} is in the home folder of a user who has none"
        raise InputError(reason, hint=hint) from None
    if folder is None:
        return None
    # What is in it is left out of the copy that apps see.
    if folder.is_file() or root.is_relative_to(folder.resolve()) or (folder / CONFIG_FILE).is_file():
        what = "a file" if folder.is_file() else "a folder that holds an app"
        raise InputError(f"cache-dir: {inputs.cache_dir!r} is {what}", hint=hint)
    return folder


class Place:
    """Where a command of one app runs: its folder in the copy of the checkout, and private folders to write to."""

    def __init__(
        self, directory: str, source: Path, private: Path, options: RunAs, on_line: Callable[[str], None]
    ) -> None:
        self.source, self.private, self._options, self._on_line = source, private, options, on_line
        self.timeout_s, self.folder = options.timeout_s, source / directory
        self.home, self.tmp = options.home or private / "home", private / "tmp"
        self.cache = options.cache or self.home / ".cache"
        for folder in (private, self.home, self.tmp):
            self.make(folder)

    def make(self, folder: Path) -> Path:
        """Make a folder that belongs to whoever runs the app."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._options.uid is not None:
            os.chown(folder, self._options.uid, -1 if self._options.gid is None else self._options.gid)
        return folder

    def run(self, command: str, environ: Mapping[str, str]) -> Completed:
        """Run a shell command in the app's folder, as the app's user and within its time."""
        options = self._options
        argv = ("sh", "-c", command)
        return run(
            Command(argv, self.folder, environ, options.timeout_s, options.uid, options.gid, options.hidden),
            on_line=self._on_line,
        )

    def environ(self, *, is_app: bool = False) -> dict[str, str]:
        """Return the environment of the installer or the app; the user's variables win, but for private folders."""
        copied = {
            name: _moved(value, os.fspath(self._options.workspace), os.fspath(self.source))
            for name, value in self._options.environ.items()
        }
        search_path = copied.get("PATH", os.defpath)
        visible = self._options.visible
        if is_app and visible is not None:
            hermetic = {"LANG": "C.UTF-8", "TZ": "UTC"}
            copied = hermetic | {name: copied[name] for name in visible if name in copied}
        copied.pop("VIRTUAL_ENV", None)  # installers would use the one that is active instead of the app's own
        path = os.pathsep.join(
            [
                *(str(folder / ".venv" / "bin") for folder in self.upwards()),
                *(str(folder / "node_modules" / ".bin") for folder in self.upwards()),
                search_path,
            ]
        )
        return {
            **_cache_variables(self.cache),
            # Filling it costs more than it saves in one run.
            **({"NODE_COMPILE_CACHE": f"{self.cache}/node"} if self._options.cache else {}),
            **copied,
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            # Java knows neither variable; jsii would leave its folder in the machine's own place for temporary files.
            "JDK_JAVA_OPTIONS": f'{copied.get("JDK_JAVA_OPTIONS", "")} "-Duser.home={self.home}" '
            f'"-Djava.io.tmpdir={self.tmp}"'.strip(),
            "PATH": path,
            **{name: value for ecosystem in ECOSYSTEMS for name, value in ecosystem.fixed_variables.items()},
            "GIT_OPTIONAL_LOCKS": "0",
            # A linked dependency folder is the user's: importing from it must not write into it.
            "PYTHONDONTWRITEBYTECODE": "1",
            **({} if self._options.has_type_check else {"TS_NODE_TRANSPILE_ONLY": "true"}),
        }

    def upwards(self) -> Iterator[Path]:
        """Yield the app's folder and those above it, up to the root of the copy."""
        yield self.folder
        if self.folder != self.source:
            for folder in self.folder.parents:
                yield folder
                if folder == self.source:
                    return


def general_hint(done: Completed, evidence: str) -> str:
    """Return what may have gone wrong in any program that asks a registry or uses memory, if that is to be seen."""
    if done.returncode in KILLED:
        return OUT_OF_MEMORY
    return REGISTRY_HINT if re.search(REFUSED, evidence) else ""


def ending(returncode: int) -> str:
    """Return in words how a program failed."""
    return f"was ended by signal {-returncode}" if returncode < 0 else f"failed with exit code {returncode}"


def step_failure(what: str, command: str, done: Completed, timeout_s: float) -> SynthError:
    """Return the error for a command that failed; `what` is its subject."""
    how = f"did not finish within {timeout_s:g} seconds" if done.timed_out else ending(done.returncode)
    hint, program = "The lines above are the program's own words.", command.split(maxsplit=1)[0]
    if done.timed_out:
        hint = "Raise the input `timeout`, or keep what is downloaded from run to run with `cache-dir`."
    elif general := general_hint(done, "\n".join(done.excerpt)):
        hint = general
    elif done.returncode == COMMAND_NOT_FOUND and any(says_missing(program, line) for line in done.excerpt):
        hint = (
            f"{program} is not installed here. The variant `-languages` of our image has Go, Maven, uv, poetry and "
            "pipenv; elsewhere install it before this step, or set the input `install` to a command that works, or to "
            "`none` when the dependencies are there already."
        )
    return SynthError(f"{what} {how}: {command}", evidence="\n".join(done.excerpt), hint=hint)


def says_missing(program: str, line: str) -> bool:
    """Whether a shell says that a program is not there (dash, bash), and not one that the program started."""
    return re.search(rf"\b{re.escape(program)}: (command )?not found", line) is not None


def _cache_variables(folder: Path) -> dict[str, str]:
    """Return where package managers and runtimes keep what can be used again; most of them honour XDG_CACHE_HOME."""
    variables = {
        "XDG_CACHE_HOME": f"{folder}",
        "XDG_DATA_HOME": f"{folder}/data",  # pnpm keeps its store there
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": f"{folder}/jsii",
    }
    for ecosystem in ECOSYSTEMS:
        variables |= ecosystem.variables(f"{folder}")
    return variables


def _moved(value: str, workspace: str, source: str) -> str:
    """Return the value of a variable with paths into the checkout led into the copy of it."""
    if workspace not in value:
        return value
    parts = value.split(os.pathsep)
    return os.pathsep.join(
        source + part[len(workspace) :] if part == workspace or part.startswith(workspace + os.sep) else part
        for part in parts
    )
