"""Run a cdk8s app in its private copy of the checkout and collect what it rendered."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.commands import Command, Completed, run
from cdk8s_publish.errors import SynthError
from cdk8s_publish.model import (
    RenderedManifests,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cdk8s_publish.apps import App
    from cdk8s_publish.installation import Step
    from cdk8s_publish.pins import Pin

PRELOAD = Path(__file__).with_name("preload.cjs")
PROBE_S = 30
NPM_LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
"""What package.json says and npm's lock file repeats, in `packages` under the empty name."""
VALIDATION_FAILED = 2
"""Exit code of `cdk8s synth` when a validation plugin's report says failure (cdk8s-cli, lib/util.js)."""
COMMAND_NOT_FOUND = 127
COMMAND_NOT_EXECUTABLE = 126
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


class SynthOptions(NamedTuple):
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


def install(step: Step, source: Path, private: Path, options: SynthOptions, on_line: Callable[[str], None]) -> None:
    """Run one installation step in the copy of the checkout, unless what it makes is there and agrees with the lock.

    Raises:
        SynthError: the step failed or took too long; names the command and shows the package manager's own words.

    """
    place = Place(step.directory, source, private, options, on_line)
    if step.replaces and _agrees(place.folder, step):
        on_line(f"{step.replaces[0]} in the checkout agrees with the lock file and is used")
        return
    for name in step.replaces:
        shutil.rmtree(place.folder / name, ignore_errors=True)
    # What a compilation makes is what the app is; an installer needs the variables that open a registry.
    environ = place.environ(is_app=step.is_compilation)
    command = _with_corepack(step.command, environ["PATH"])
    done = place.run(command, environ)
    if done.timed_out or done.returncode != 0:
        where = step.directory or "the root of the checkout"
        what = "Compiling" if step.is_compilation else "Installing dependencies"
        raise _step_failure(f"{what} in {where}", command, done, options.timeout_s)
    if step.command.startswith("yarn install --frozen-lockfile"):
        _check_yarn_lock(place.folder)


def synthesize(
    app: App, source: Path, private: Path, options: SynthOptions, on_line: Callable[[str], None]
) -> RenderedManifests:
    """Run an app and return what it wrote.

    `source` is the private copy of the checkout, `private` a folder of this app's own; the rendered files lie below
    one of them, so both must live as long as the result is used. `on_line` gets what the program prints.

    Raises:
        SynthError: the app failed, took too long, or wrote somewhere else.

    """
    return _Synth(app, Place(app.directory, source, private, options, on_line)).manifests()


class Place:
    """Where a command of one app runs: its folder in the copy of the checkout, and private folders to write to."""

    def __init__(
        self, directory: str, source: Path, private: Path, options: SynthOptions, on_line: Callable[[str], None]
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

    def run(self, command: str, environ: Mapping[str, str], meanwhile: Callable[[], None] | None = None) -> Completed:
        """Run a shell command in the app's folder, as the app's user and within its time."""
        options = self._options
        argv = ("sh", "-c", command)
        return run(
            Command(argv, self.folder, environ, options.timeout_s, options.uid, options.gid, options.hidden),
            on_line=self._on_line,
            meanwhile=meanwhile,
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
                *(str(folder / ".venv" / "bin") for folder in self._upwards()),
                *(str(folder / "node_modules" / ".bin") for folder in self._upwards()),
                search_path,
            ]
        )
        return {
            **_caches(self.cache),
            # Filling it costs more than it saves in one run.
            **({"NODE_COMPILE_CACHE": f"{self.cache}/node"} if self._options.cache else {}),
            **copied,
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            # Java knows neither variable; jsii would leave its folder in the machine's own place for temporary files.
            "JDK_JAVA_OPTIONS": f'{copied.get("JDK_JAVA_OPTIONS", "")} "-Duser.home={self.home}" '
            f'"-Djava.io.tmpdir={self.tmp}"'.strip(),
            "PATH": path,
            "PIPENV_IGNORE_VIRTUALENVS": "1",
            "PIPENV_VENV_IN_PROJECT": "1",
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
            "GIT_OPTIONAL_LOCKS": "0",
            # A linked dependency folder is the user's: importing from it must not write into it.
            "PYTHONDONTWRITEBYTECODE": "1",
            **({} if self._options.has_type_check else {"TS_NODE_TRANSPILE_ONLY": "true"}),
        }

    def plug_and_play(self) -> str:
        """Return the options with which Node.js finds packages that Yarn keeps outside node_modules, else nothing.

        Yarn sets them for what it starts itself, so for an app below `yarn cdk8s synth` (yarnpkg.com, "Plug'n'Play").
        """
        for folder in self._upwards():
            if (folder / ".pnp.cjs").is_file():
                loader = folder / ".pnp.loader.mjs"
                modules = f' --experimental-loader "{loader.as_uri()}"' if loader.is_file() else ""
                return f'--require "{folder}/.pnp.cjs"{modules}'
        return ""

    def _upwards(self) -> Iterator[Path]:
        """Yield the app's folder and those above it, up to the root of the copy."""
        yield self.folder
        if self.folder != self.source:
            for folder in self.folder.parents:
                yield folder
                if folder == self.source:
                    return


def _load_what_follows() -> None:
    """Load what is needed once the app has ended while it runs, when this process has nothing else to do."""
    from cdk8s_publish import check, output  # noqa: F401, PLC0415


class _Synth:
    def __init__(self, app: App, place: Place) -> None:
        self.app, self.place, self.folder, self.source = app, place, place.folder, place.source
        self.out, self.kept = place.make(place.private / "out"), place.make(place.private / "kept")
        self.own_output = self._own_output()
        self.reports = place.private / "validation-reports.json"

    def manifests(self) -> RenderedManifests:
        if self.own_output:
            # The cdk8s CLI does the same: what an earlier synth left there was not rendered by this one.
            shutil.rmtree(self.own_output, ignore_errors=True)
        environ = self._app_environ()
        if self.app.before:
            done = self.place.run(self.app.before, environ)
            if done.timed_out or done.returncode != 0:
                raise _step_failure("The command `before-synth`", self.app.before, done, self.place.timeout_s)
        before = self._now()
        done = self.place.run(self._command(), environ, meanwhile=_load_what_follows)
        from cdk8s_publish.output import collect, overwritten, validation_findings  # noqa: PLC0415

        reported = validation_findings(self.reports, self.out, self.folder)
        has_failed_validation = done.returncode == VALIDATION_FAILED and reported
        if done.timed_out or (done.returncode != 0 and not has_failed_validation):
            raise self._failure(done)
        folder = self._output(before)
        files, refused = collect(folder)
        return RenderedManifests(
            app=self.app.name,
            path=self.app.path,
            files=files,
            overwritten=overwritten(self.kept, folder),
            refused=(*refused, *reported),
        )

    def _command(self) -> str:
        """Return the app command, or `cdk8s synth` around it where only that does what cdk8s.yaml asks for.

        The CLI discards what the app prints; led to the error output it is shown.
        """
        if not self.app.needs_cli:
            return self.app.command
        options = {
            "app": f"{{ {self.app.command}\n}} 1>&2",
            "output": str(self.out),
            "plugins-dir": f"{self.place.cache}/cdk8s-plugins",
            "validation-reports-output-file": str(self.reports),
        }
        if "pluginsDirectory" in self.app.config:
            del options["plugins-dir"]
        return "cdk8s synth " + " ".join(f"--{name} {shlex.quote(value)}" for name, value in options.items())

    def _app_environ(self) -> dict[str, str]:
        environ = self.place.environ(is_app=True)
        watched = [self.out, *([self.own_output] if self.own_output else [])]
        preload = self._preload()
        loaded = (environ.get("NODE_OPTIONS"), self.place.plug_and_play(), f'--require "{preload}"')
        # One word, or Bun (1.4) takes the next one for the program; a blank in the path ends it, and Bun says so.
        loaded_by_bun = (environ.get("BUN_OPTIONS"), f"--preload={preload}")
        return environ | {
            "CDK8S_OUTDIR": str(self.out),
            "CDK8S_RECORD_CONSTRUCT_METADATA": "false",
            "BUN_OPTIONS": " ".join(filter(None, loaded_by_bun)),
            "NODE_OPTIONS": " ".join(filter(None, loaded)),
            "OVERWRITTEN_KEEP": str(self.kept),
            "OVERWRITTEN_WATCH": os.pathsep.join(map(str, watched)),
            "PYTHONUNBUFFERED": "1",
        }

    def _preload(self) -> Path:
        """Return a copy of the preload that the app's user can read: the package may be installed where it can't."""
        copy = self.kept.with_suffix(".cjs")
        shutil.copyfile(PRELOAD, copy)
        copy.chmod(0o644)
        return copy

    def _own_output(self) -> Path | None:
        """Return the folder of the app's own, when that is one which can be emptied: in the copy, below the app."""
        folder = Path(os.path.normpath(self.folder / self.app.own_output))
        is_below = folder.is_relative_to(self.source) and not self.folder.is_relative_to(folder)
        return folder if self.app.own_output and is_below and _is_real(folder.parent) else None

    def _output(self, before: int) -> Path:
        """Return the folder that the app wrote to: the one we gave it, or the one it insists on."""
        if not self.out.is_dir():
            raise SynthError(
                f"The app {self.app.name} removed the folder in CDK8S_OUTDIR, or made a file of it.",
                hint="Let it write into the folder that it finds, or make the folder again after removing it.",
            )
        for folder in (self.out, *([self.own_output] if self.own_output else [])):
            if not _is_real(folder):
                raise SynthError(
                    f"The app {self.app.name} made a link of its output folder {folder.name}.",
                    hint="Let it write into the folder that it finds; what a link leads to is not published.",
                )
        if os.listdir(self.out):
            return self.out
        if self.own_output and self.own_output.is_dir():
            return self.own_output
        from cdk8s_publish.output import written_since  # noqa: PLC0415

        elsewhere = written_since(self.folder, before)
        if elsewhere:
            named = os.path.dirname(elsewhere[0]) or "."
            raise SynthError(
                f"The app {self.app.name} wrote to its own folder {named} instead of the one in CDK8S_OUTDIR.",
                evidence="\n".join([f"expected below {self.out}", *(f"written: {file}" for file in elsewhere[:10])]),
                hint=f"Set the input `output` (or `output` in cdk8s.yaml) to `{named}`, or leave `outdir` out of "
                "`new App(…)`: cdk8s then takes the folder from CDK8S_OUTDIR.",
            )
        return self.out

    def _now(self) -> int:
        """Return the file system's own time, as nanoseconds, once it is later than that of everything written so far.

        It lags a few milliseconds behind the clock.
        """
        marker = self.place.tmp / ".now"
        marker.touch()
        start = now = marker.stat().st_ctime_ns
        while now == start:
            time.sleep(0.001)
            marker.touch()
            now = marker.stat().st_ctime_ns
        marker.unlink()
        return now

    def _failure(self, done: Completed) -> SynthError:
        name, evidence = self.app.name, "\n".join(done.excerpt)
        if done.timed_out:
            return SynthError(
                f"The app {name} did not finish within {self.place.timeout_s:g} seconds and was ended.",
                evidence=evidence,
                hint="The known cause: dependencies between charts (addDependency) are resolved by cdk8s in "
                "exponential time. Depend on one object per chart, or fewer. Else raise the input `timeout`.",
            )
        return SynthError(
            f"The app {name} {_ending(done.returncode)}: {self.app.command}",
            evidence=evidence,
            hint=self._hint(done, evidence),
        )

    def _hint(self, done: Completed, evidence: str) -> str:
        if general := _general_hint(done, evidence):
            return general
        if done.returncode == COMMAND_NOT_FOUND and self.app.needs_cli:
            return (
                "Validations and the Helm format of cdk8s.yaml are the cdk8s CLI's work: add `cdk8s-cli` to the app's "
                "development dependencies, or install it before this step."
            )
        if done.returncode in {COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE}:
            return (
                "A program of the app command is not there. Install it before this step, or let the input `install` "
                "do it; `working-directory` must be the folder that holds the app."
            )
        if "No module named 'cdk8s'" in evidence or "No module named 'constructs'" in evidence:
            return (
                "cdk8s is missing from the app's dependencies: `cdk8s init python-app` installs it but does not write "
                "it down. Add it to the lock file, for example with `uv add cdk8s constructs` or "
                "`pipenv install cdk8s constructs`, and commit that."
            )
        if "Cannot find module" in evidence or "No module named" in evidence:
            return "A dependency is missing. Check that the lock file names it and that the input `install` is right."
        return "The lines above are the last ones that the app printed; run the same command in the app's folder."


def _general_hint(done: Completed, evidence: str) -> str:
    """Return what may have gone wrong in any program that asks a registry or uses memory, if that is to be seen."""
    if done.returncode in KILLED:
        return OUT_OF_MEMORY
    return REGISTRY_HINT if re.search(REFUSED, evidence) else ""


def _ending(returncode: int) -> str:
    return f"was ended by signal {-returncode}" if returncode < 0 else f"failed with exit code {returncode}"


def _step_failure(what: str, command: str, done: Completed, timeout_s: float) -> SynthError:
    how = f"did not finish within {timeout_s:g} seconds" if done.timed_out else _ending(done.returncode)
    hint, program = "The lines above are the program's own words.", command.split(maxsplit=1)[0]
    if done.timed_out:
        hint = "Raise the input `timeout`, or keep what is downloaded from run to run with `cache-dir`."
    elif general := _general_hint(done, "\n".join(done.excerpt)):
        hint = general
    elif done.returncode == COMMAND_NOT_FOUND and any(_says_missing(program, line) for line in done.excerpt):
        hint = (
            f"{program} is not installed here. The variant `-languages` of our image has Go, Maven, uv, poetry and "
            "pipenv; elsewhere install it before this step, or set the input `install` to a command that works, or to "
            "`none` when the dependencies are there already."
        )
    return SynthError(f"{what} {how}: {command}", evidence="\n".join(done.excerpt), hint=hint)


def _says_missing(program: str, line: str) -> bool:
    """Whether a shell says that a program is not there (dash, bash), and not one that the program started."""
    return re.search(rf"\b{re.escape(program)}: (command )?not found", line) is not None


def mismatches(pins: Mapping[Pin, Path], private: Path, options: SynthOptions) -> list[str]:
    """Return a sentence for each pinned tool whose version here is another one; a tool that is missing says nothing.

    Each tool is asked in the folder of its pin, in the copy of the checkout that `pins` leads to: Corepack, pnpm and
    Yarn run the version that the folder asks for. Whatever needs a missing tool says so itself.
    """
    found = []
    for pin, source in pins.items():
        place = Place(pin.directory, source, private, options._replace(timeout_s=PROBE_S), lambda _: None)
        done = place.run(f"{shlex.quote(pin.tool)} --version", place.environ())
        version = next((line for line in done.excerpt if re.match(r"(Python )?v?\d", line)), "")
        if done.returncode == 0 and not pin.is_met_by(version):
            found.append(f"{pin.tool} {version} is used here, but {pin.file} asks for {pin.wanted}")
    return found


def _caches(folder: Path) -> dict[str, str]:
    """Return where package managers and runtimes keep what can be used again; most of them honour XDG_CACHE_HOME."""
    return {
        "XDG_CACHE_HOME": f"{folder}",
        "npm_config_cache": f"{folder}/npm",
        "npm_config_update_notifier": "false",
        "PIP_NO_INPUT": "1",  # or it asks for a password, of whoever is not there, and ends with a stack trace
        "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
        "UV_COMPILE_BYTECODE": "1",
        "XDG_DATA_HOME": f"{folder}/data",  # pnpm keeps its store there
        "YARN_GLOBAL_FOLDER": f"{folder}/yarn",
        "BUN_INSTALL_CACHE_DIR": f"{folder}/bun",
        "GOMODCACHE": f"{folder}/go",
        # A read-only module cache could not be removed; `go build` asks git for what to stamp, as another user in vain.
        "GOFLAGS": "-modcacherw -buildvcs=false",
        "GRADLE_USER_HOME": f"{folder}/gradle",
        "MAVEN_USER_HOME": f"{folder}/maven-wrapper",  # where mvnw keeps the Maven that it fetches
        "MAVEN_OPTS": f"-Dmaven.repo.local={shlex.quote(f'{folder}/maven')}",
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": f"{folder}/jsii",
    }


def _with_corepack(command: str, path: str) -> str:
    """Let Node's own launcher fetch yarn or pnpm where only that is there (nodejs.org, Corepack)."""
    tool = command.split(maxsplit=1)[0]
    is_needed = tool in {"yarn", "pnpm"} and not shutil.which(tool, path=path) and shutil.which("corepack", path=path)
    return f"corepack {command}" if is_needed else command


def _moved(value: str, workspace: str, source: str) -> str:
    """Return the value of a variable with paths into the checkout led into the copy of it."""
    if workspace not in value:
        return value
    parts = value.split(os.pathsep)
    return os.pathsep.join(
        source + part[len(workspace) :] if part == workspace or part.startswith(workspace + os.sep) else part
        for part in parts
    )


def _agrees(folder: Path, step: Step) -> bool:
    """Whether the dependency folder that came with the checkout is what the lock file asks for."""
    if step.command.startswith("npm ci"):
        return _npm_agrees(folder)
    if step.command.endswith("--requirement requirements.txt"):
        return _pip_agrees(folder)
    return False  # the other managers find out by themselves, and fast


def _check_yarn_lock(folder: Path) -> None:
    """Raise SynthError where Yarn 1 installed what its lock file does not hold.

    It never notices that itself of a package in a workspace (github.com/yarnpkg/yarn, issue 5840). What it installed
    stands in `node_modules/.yarn-integrity`; a package from a folder is written there in another way.
    """
    try:
        installed = json.loads((folder / "node_modules" / ".yarn-integrity").read_bytes())["lockfileEntries"]
        lines = (folder / "yarn.lock").read_text(errors="replace").splitlines()
    except (OSError, ValueError, KeyError):
        return
    locked = {
        name.strip(' "') for line in lines if line.endswith(":") and line[0] != " " for name in line[:-1].split(",")
    }
    missing = [name for name, source in installed.items() if source.startswith("http") and name not in locked]
    if missing:
        raise SynthError(
            f"yarn.lock does not hold {missing[0]}, which a package of the workspace asks for.",
            evidence="\n".join(f"not in yarn.lock: {name}" for name in missing),
            hint="Run `yarn install` and commit yarn.lock. Yarn 1 does not see this by itself.",
        )


def _npm_agrees(folder: Path) -> bool:
    """Compare the lock file with package.json and with the copy that npm leaves in node_modules.

    Of two lock files npm reads npm-shrinkwrap.json (npm docs, package-lock.json). The packages of a workspace have
    dependency folders of their own: there it is npm that decides.
    """
    lock = next((name for name in NPM_LOCKS if (folder / name).is_file()), "")
    try:
        wanted = json.loads((folder / lock).read_bytes())["packages"]
        manifest = json.loads((folder / "package.json").read_bytes())
        root = wanted.get("", {})
        if any(root.get(field, {}) != manifest.get(field, {}) for field in DEPENDENCIES):
            return False
        present = json.loads((folder / "node_modules" / ".package-lock.json").read_bytes())["packages"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if any(name and not name.startswith("node_modules/") for name in wanted):
        return False
    needed = {
        name: package.get("version")
        for name, package in wanted.items()
        if name and not package.get("optional") and not package.get("link")
    }
    found = {name: package.get("version") for name, package in present.items()}
    return needed.items() <= found.items() and found.keys() <= wanted.keys()


_REQUIREMENT = r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?\s*(?:==\s*([^\s;\\]+))?"
_INCLUSION = r"^\s*(-[rce]|--(requirement|constraint|editable))"


def _pip_agrees(folder: Path) -> bool:
    """Whether every requirement is pinned and its very version is in `.venv` (PyPA, "Recording installed projects")."""
    text = (folder / "requirements.txt").read_text(errors="replace")
    if re.search(_INCLUSION, text, re.MULTILINE):
        return False
    found = (folder / ".venv").glob("lib/python3*/site-packages/*.dist-info")
    installed = {_distribution(*entry.name.removesuffix(".dist-info").rpartition("-")[::2]) for entry in found}
    wanted = {_distribution(*match.groups("")) for match in re.finditer(_REQUIREMENT, text, re.MULTILINE)}
    return wanted <= installed and bool(installed)


def _distribution(name: str, version: str) -> tuple[str, str]:
    return re.sub(r"[-_.]+", "-", name).lower(), version


def _is_real(folder: Path) -> bool:
    """Whether no part of a path is a link: as root we would follow one to what the app itself can't read."""
    return os.path.realpath(folder) == os.fspath(folder)
