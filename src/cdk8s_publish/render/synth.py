"""Run a cdk8s app in its private copy of the checkout and collect what it rendered."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import SynthError
from cdk8s_publish.model import RenderedManifests
from cdk8s_publish.render.failures import app_failure, step_failure
from cdk8s_publish.render.managers.node import plug_and_play
from cdk8s_publish.render.output import collect, overwritten, validation_findings, written_since

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdk8s_publish.render.discover import App
    from cdk8s_publish.render.environment import AppEnvironment
    from cdk8s_publish.sandbox.process import Completed

PRELOAD = Path(__file__).with_name("preload.cjs").read_bytes()
"""Read here, before any untrusted code could write to it."""
VALIDATION_FAILED = 2
"""Exit code of `cdk8s synth` when a validation plugin's report says failure (cdk8s-cli, lib/util.js)."""
_SHOWN_FILES = 10


class _Output(NamedTuple):
    """Where an app may write, and what is noted of it.

    `given` is the folder that it finds in CDK8S_OUTDIR, `own` the one that it insists on, if any; `kept` receives
    what the preload keeps of a file that is overwritten, `reports` is the file of the validation plugins.
    """

    given: Path
    own: Path | None
    kept: Path
    reports: Path

    @property
    def folders(self) -> tuple[Path, ...]:
        return (self.given, self.own) if self.own else (self.given,)


def synthesize(app: App, where: AppEnvironment) -> RenderedManifests:
    """Run an app and return what it wrote.

    The rendered files lie in the copy of the checkout or in the app's scratch folder, so both must live as long as
    the result is used.

    Raises:
        SynthError: the app failed, took too long, or wrote somewhere else.

    """
    output = _prepare_output(app, where)
    variables = _app_variables(app, where, output)
    if app.before:
        done = where.run(app.before, variables)
        if done.has_failed:
            raise step_failure("The command `before-synth`", app.before, done, where.timeout_s)
    start = _file_system_time(where.tmp)
    done = where.run(_command(app, where, output), variables)
    reported = validation_findings(output.reports, where.folder, output.folders)
    has_failed_validation = done.returncode == VALIDATION_FAILED and reported
    if done.timed_out or (done.returncode != 0 and not has_failed_validation):
        raise app_failure(app, done, where.timeout_s)
    folder = _written_folder(app, where, output, start)
    files, refused = collect(folder)
    replaced, unreadable = overwritten(output.kept, folder)
    if not files:
        _refuse_printed_manifests(app, done)
    return RenderedManifests(
        app=app.name,
        path=app.path,
        files=files,
        overwritten=replaced,
        refused=(*refused, *unreadable, *reported),
    )


def _prepare_output(app: App, where: AppEnvironment) -> _Output:
    output = _Output(
        given=where.make(where.scratch / "out"),
        own=_own_output(app, where),
        kept=where.make(where.scratch / "kept"),
        reports=where.scratch / "validation-reports.json",
    )
    if output.own:
        # The cdk8s CLI does the same: what an earlier synth left there was not rendered by this one.
        shutil.rmtree(output.own, ignore_errors=True)
    return output


def _own_output(app: App, where: AppEnvironment) -> Path | None:
    """Return the folder of the app's own, when that is one which can be emptied: in the copy, below the app."""
    if not app.own_output:
        return None
    folder = Path(os.path.normpath(where.folder / app.own_output))
    is_below = folder.is_relative_to(where.source) and not where.folder.is_relative_to(folder)
    return folder if is_below and _is_real(folder.parent) else None


def _app_variables(app: App, where: AppEnvironment, output: _Output) -> dict[str, str]:
    variables = where.variables(is_app=True)
    preload = _copy_preload(output)
    for_node = (variables.get("NODE_OPTIONS"), plug_and_play(where.upwards()), f'--require "{preload}"')
    # One word, or Bun (1.4) takes the next one for the program; a blank in the path ends it, and Bun says so.
    for_bun = (variables.get("BUN_OPTIONS"), f"--preload={preload}")
    variables |= {
        "CDK8S_OUTDIR": str(output.given),
        "CDK8S_RECORD_CONSTRUCT_METADATA": "false",
        "BUN_OPTIONS": " ".join(filter(None, for_bun)),
        "NODE_OPTIONS": " ".join(filter(None, for_node)),
        "OVERWRITTEN_KEEP": str(output.kept),
        "OVERWRITTEN_WATCH": os.pathsep.join(map(str, output.folders)),
        "PYTHONUNBUFFERED": "1",
    }
    if app.validates_itself:
        # The CLI takes it for its option; called twice, it would refuse to write the same file again.
        variables["CDK8S_VALIDATION_REPORTS_OUTPUT_FILE"] = str(output.reports)
    return variables


def _copy_preload(output: _Output) -> Path:
    """Return a copy of the preload that the app's user can read: the package may be installed where it can't."""
    copy = output.kept.with_suffix(".cjs")
    with copy.open("xb") as file:  # never through a link that another app has put there
        file.write(PRELOAD)
        os.fchmod(file.fileno(), 0o644)
    return copy


def _command(app: App, where: AppEnvironment, output: _Output) -> str:
    """Return the app command, or `cdk8s synth` around it where only that does what cdk8s.yaml asks for.

    The CLI discards what the app prints; led to the error output it is shown.
    """
    if not app.needs_cli:
        return app.command
    options: Mapping[str, str] = {
        "app": f"{{ {app.command}\n}} 1>&2",
        "output": str(output.given),
        "validation-reports-output-file": str(output.reports),
        **({} if "pluginsDirectory" in app.config else {"plugins-dir": f"{where.cache}/cdk8s-plugins"}),
    }
    return "cdk8s synth " + " ".join(f"--{name} {shlex.quote(value)}" for name, value in options.items())


def _file_system_time(folder: Path) -> int:
    """Return the file system's own time, as nanoseconds, once it is later than that of everything written so far.

    It lags a few milliseconds behind the clock.
    """
    marker = folder / ".now"
    marker.touch()
    start = now = marker.stat().st_ctime_ns
    while now == start:
        time.sleep(0.001)
        marker.touch()
        now = marker.stat().st_ctime_ns
    marker.unlink()
    return now


def _written_folder(app: App, where: AppEnvironment, output: _Output, start: int) -> Path:
    """Return the folder that the app wrote to: the one we gave it, or the one it insists on."""
    if not output.given.is_dir():
        raise SynthError(
            f"The app {app.name} removed the folder in CDK8S_OUTDIR, or made a file of it.",
            hint="Let it write into the folder that it finds, or make the folder again after removing it.",
        )
    for folder in output.folders:
        if not _is_real(folder):
            raise SynthError(
                f"The app {app.name} made a link of its output folder {folder.name}.",
                hint="Let it write into the folder that it finds; what a link leads to is not published.",
            )
    if os.listdir(output.given):
        return output.given
    if output.own and output.own.is_dir():
        return output.own
    _refuse_other_folder(app, output, written_since(where.folder, start))
    return output.given


def _refuse_other_folder(app: App, output: _Output, written: list[str]) -> None:
    if not written:
        return
    folder = os.path.dirname(written[0]) or "."
    raise SynthError(
        f"The app {app.name} wrote to its own folder {folder} instead of the one in CDK8S_OUTDIR.",
        evidence="\n".join(
            [f"expected below {output.given}", *(f"written: {file}" for file in written[:_SHOWN_FILES])]
        ),
        hint=f"Set the input `output` (or `output` in cdk8s.yaml) to `{folder}`, or leave `outdir` out of "
        "`new App(…)`: cdk8s then takes the folder from CDK8S_OUTDIR.",
    )


def _refuse_printed_manifests(app: App, done: Completed) -> None:
    if any(line.lstrip().startswith("apiVersion:") for line in done.excerpt):
        raise SynthError(
            f"The app {app.name} printed manifests and wrote none.",
            evidence="\n".join(done.excerpt),
            hint="What is published is what it writes into the folder in CDK8S_OUTDIR: leave `--stdout` out of the app "
            'command, or redirect what it prints: `> "$CDK8S_OUTDIR/app.yaml"`.',
        )


def _is_real(folder: Path) -> bool:
    """Whether no part of a path is a link: as root we would follow one to what the app itself can't read."""
    return os.path.realpath(folder) == os.fspath(folder)
