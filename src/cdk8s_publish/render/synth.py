"""Run a cdk8s app in its private copy of the checkout and collect what it rendered."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cdk8s_publish.errors import SynthError
from cdk8s_publish.model import RenderedManifests
from cdk8s_publish.render.environment import COMMAND_NOT_FOUND, Place, RunAs, ending, general_hint, step_failure
from cdk8s_publish.render.managers.node import plug_and_play
from cdk8s_publish.render.output import collect, overwritten, validation_findings, written_since

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdk8s_publish.render.discover import App
    from cdk8s_publish.sandbox.process import Completed

PRELOAD = Path(__file__).with_name("preload.cjs")
VALIDATION_FAILED = 2
"""Exit code of `cdk8s synth` when a validation plugin's report says failure (cdk8s-cli, lib/util.js)."""
COMMAND_NOT_EXECUTABLE = 126


def synthesize(
    app: App, source: Path, private: Path, options: RunAs, on_line: Callable[[str], None]
) -> RenderedManifests:
    """Run an app and return what it wrote.

    `source` is the private copy of the checkout, `private` a folder of this app's own; the rendered files lie below
    one of them, so both must live as long as the result is used. `on_line` gets what the program prints.

    Raises:
        SynthError: the app failed, took too long, or wrote somewhere else.

    """
    return _Synth(app, Place(app.directory, source, private, options, on_line)).manifests()


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
                raise step_failure("The command `before-synth`", self.app.before, done, self.place.timeout_s)
        before = self._now()
        done = self.place.run(self._command(), environ)
        reported = validation_findings(self.reports, self.folder, (self.out, self.own_output or self.out))
        has_failed_validation = done.returncode == VALIDATION_FAILED and reported
        if done.timed_out or (done.returncode != 0 and not has_failed_validation):
            raise self._failure(done)
        folder = self._output(before)
        files, refused = collect(folder)
        if not files and any(line.lstrip().startswith("apiVersion:") for line in done.excerpt):
            raise self._printed(done)
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
        loaded = (environ.get("NODE_OPTIONS"), plug_and_play(self.place.upwards()), f'--require "{preload}"')
        # One word, or Bun (1.4) takes the next one for the program; a blank in the path ends it, and Bun says so.
        loaded_by_bun = (environ.get("BUN_OPTIONS"), f"--preload={preload}")
        # The CLI takes it for its option; called twice, it would refuse to write the same file again.
        reports = {"CDK8S_VALIDATION_REPORTS_OUTPUT_FILE": str(self.reports)} if self.app.validates_itself else {}
        return (
            environ
            | reports
            | {
                "CDK8S_OUTDIR": str(self.out),
                "CDK8S_RECORD_CONSTRUCT_METADATA": "false",
                "BUN_OPTIONS": " ".join(filter(None, loaded_by_bun)),
                "NODE_OPTIONS": " ".join(filter(None, loaded)),
                "OVERWRITTEN_KEEP": str(self.kept),
                "OVERWRITTEN_WATCH": os.pathsep.join(map(str, watched)),
                "PYTHONUNBUFFERED": "1",
            }
        )

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

    def _printed(self, done: Completed) -> SynthError:
        return SynthError(
            f"The app {self.app.name} printed manifests and wrote none.",
            evidence="\n".join(done.excerpt),
            hint="What is published is what it writes into the folder in CDK8S_OUTDIR: leave `--stdout` out of the app "
            'command, or lead there what it prints: `> "$CDK8S_OUTDIR/app.yaml"`.',
        )

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
            f"The app {name} {ending(done.returncode)}: {self.app.command}",
            evidence=evidence,
            hint=self._hint(done, evidence),
        )

    def _hint(self, done: Completed, evidence: str) -> str:
        if general := general_hint(done, evidence):
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


def _is_real(folder: Path) -> bool:
    """Whether no part of a path is a link: as root we would follow one to what the app itself can't read."""
    return os.path.realpath(folder) == os.fspath(folder)
