"""The command line: the only reader of the environment, the only exit.

Heavy imports wait until the first line of the log is out: whoever watches a job sees at once that it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cdk8s_publish import __version__
from cdk8s_publish.ci import detect, write_file
from cdk8s_publish.errors import CheckError, InputError, InterruptedRunError, MachineError, PublishError, SignalError
from cdk8s_publish.inputs import INPUTS, PREFIX, Inputs, Section, from_environ, parse
from cdk8s_publish.log import Console, logging_to
from cdk8s_publish.model import Level
from cdk8s_publish.sandbox.process import protect_self
from cdk8s_publish.sandbox.scratch import private_folder, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
    from typing import TextIO

    from cdk8s_publish.ci import Product
    from cdk8s_publish.commands.run import Result
    from cdk8s_publish.job import World

LOGGED_DIFF_LINES = 500
"""The log shows as much of the diff; the job's page shows more, `diff-file` all of it."""

COMMANDS = ("run", "generate", "flux")

_GIT_VARIABLES_KEPT = tuple(f"GIT_{name}" for name in ("CONFIG", "EXEC_PATH", "HTTP_", "PROXY_", "SSH", "SSL_"))
"""How to reach a remote is the user's to say; GIT_DIR, GIT_INDEX_FILE or a trace must not reach our git."""

_EPILOG = """\
Every input can also be set as a variable INPUT_<NAME>, for example INPUT_BRANCH or INPUT_WORKING_DIRECTORY.
Secrets are read from variables only (INPUT_TOKEN): what stands on a command line is visible to every process.

Exit codes: 0 done · 1 defect of this program · 2 inputs · 3 install or synth · 4 checks · 5 publish refused or
failed · 6 others were faster for too long · 130 interrupted
"""


def console() -> NoReturn:
    """Run with the process's own arguments and environment, and exit."""
    # A short life that makes many small values and hardly a cycle: looking for cycles took a tenth of it.
    gc.set_threshold(100_000, 50, 100)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Not every name can be written in the terminal's encoding, nor is every name of a file UTF-8.
            stream.reconfigure(errors="backslashreplace")
    code = main(sys.argv[1:], os.environ, sys.stdout, sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # All that is left is memory, which the kernel takes back sooner than Python gives it back object by object.
    os._exit(code)


def main(argv: Sequence[str], environ: MutableMapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    """Run one command and return its exit code. Our variables are taken out of `environ`, for every child's sake."""
    given = dict(environ)
    product = detect(given)
    _take_out(environ)
    command = argv[0] if argv[:1] and argv[0] in COMMANDS else "run"
    # The standard output of the other commands is data.
    screen = Console(stdout if command == "run" else stderr, product)
    try:
        options = _parser(command).parse_args(
            [command, *argv[argv[:1] == [command] :]] if _names_command(argv) else argv
        )
        if command == "flux":
            return _flux(vars(options), given.get("JSII_NODE") or "node", stdout)
        raw, unknown = from_environ(given)
        raw |= {name: value for name, value in vars(options).items() if value is not None and name not in _OWN}
        with _told(product, screen) if command == "run" else contextlib.nullcontext():
            inputs = parse(raw)
        screen = Console(stdout if command == "run" else stderr, product, inputs.secrets)
        for finding in unknown:
            screen.annotate(finding.level, finding.message)
        return _Run(inputs, product, screen, dict(environ), is_verbose=options.verbose).command(command, stdout)
    except BrokenPipeError:  # whoever read what we print has left, as `head` does; there is nobody to tell
        for stream in (stdout, stderr):  # what is still to be flushed must not fail as well
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return InterruptedRunError.exit_code
    except (Exception, SignalError) as error:  # noqa: BLE001  # whatever is not known is our fault and must not print a secret
        return _report_failure(_known(error), screen)


def _names_command(argv: Sequence[str]) -> bool:
    return not argv or argv[0] not in {"-h", "--help", "--version"}


_OWN = ("command", "verbose")


class _Run:
    """One run or generate: signals, the private folder, and what is said at the end."""

    def __init__(
        self, inputs: Inputs, product: Product, screen: Console, environ: Mapping[str, str], *, is_verbose: bool
    ) -> None:
        self._inputs, self._product, self._screen, self._environ = inputs, product, screen, environ
        self._is_verbose = is_verbose or product.facts().is_debug

    def command(self, name: str, stdout: TextIO) -> int:
        self._screen.line(f"cdk8s-publish {__version__}")
        catch_signals()
        base = temporary_folder(self._environ)
        with (
            logging_to(self._screen, is_verbose=self._is_verbose),
            self._timed(),
            private_folder(base) as private,
        ):
            if self._inputs.report.diff_file and Path(self._inputs.report.diff_file).is_dir():
                raise InputError(f"diff-file: {self._inputs.report.diff_file!r} is a folder", hint="Name a file in it.")
            from cdk8s_publish.job import World  # noqa: PLC0415  # YAML and the rest: after the first line

            world = World(self._environ, Path.cwd(), private.path, self._product, self._screen, (private.descriptor,))
            if name == "generate":
                from cdk8s_publish.commands.generate import generate  # noqa: PLC0415  # needs neither git nor the rest of a run

                manifests = generate(self._inputs, world)
                private.release()
                stdout.buffer.write(manifests)
                stdout.flush()
            else:
                result = self._run(world)
                private.release()
                self._finish(result)
        return 0

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        """Say at the end what took the time, also of a run that failed."""
        try:
            yield
        finally:
            if self._screen.stages:
                self._screen.line("Time:")
                for stage in self._screen.times():
                    self._screen.line(f"{stage.seconds:8.1f} s  {stage.title}")

    def _run(self, world: World) -> Result:
        from cdk8s_publish.commands import run  # noqa: PLC0415
        from cdk8s_publish.publish.branch.git_errors import CredentialError  # noqa: PLC0415

        with _told(self._product, self._screen):
            try:
                return run.run(self._inputs, world)
            except CredentialError as error:
                error.hint = self._product.credential_hint
                raise

    def _finish(self, result: Result) -> None:
        from cdk8s_publish import report  # noqa: PLC0415
        from cdk8s_publish.review import diff  # noqa: PLC0415

        changes = result.publication.changes
        if any(one.items for one in changes):
            self._screen.quote("Diff", _shortened(diff.patch(changes)))
        for finding in result.findings:
            if finding.level is Level.WARNING:
                self._screen.annotate(finding.level, str(finding))
        self._screen.line(report.text(result.publication, result.context))
        if self._inputs.report.diff_file:
            write_file(Path(self._inputs.report.diff_file).absolute(), diff.patch(changes))
        times, url = self._screen.times(), result.target_url
        summary = report.summary(result.publication, result.context, result.findings, times, target_url=url)
        self._product.write_summary(self._screen.redact(summary))
        self._product.write_outputs(report.outputs(result.publication, result.context, self._inputs.report.diff_file))


def _shortened(patch: Iterable[str]) -> list[str]:
    lines, left_out = list[str](), 0
    for part in patch:
        *shown, rest = part.split("\n", LOGGED_DIFF_LINES - len(lines))  # each part ends a line
        lines += shown
        left_out += rest.count("\n")
    return [*lines, *([f"… and {left_out} more lines"] if left_out else [])]


def catch_signals() -> None:
    """Let SIGTERM, SIGINT and SIGHUP raise SignalError in the main thread."""
    sys.unraisablehook = _raise_again
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _raise_again(dropped: sys.UnraisableHookArgs) -> None:
    """Raise anew what a signal raised inside a callback of the interpreter, where every exception is dropped."""
    error = dropped.exc_value
    if not isinstance(error, SignalError):
        sys.__unraisablehook__(dropped)
        return

    def again(*_: object) -> NoReturn:
        raise error

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def _interrupt(number: int, _frame: object) -> NoReturn:
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)  # cleaning up is short and must not be cut off
    raise SignalError(f"interrupted by {signal.Signals(number).name}; the run is given up")


def _take_out(environ: MutableMapping[str, str]) -> None:
    """Remove our inputs, and what would lead our git astray, from the environment that children inherit."""
    secrets = [name for name in environ if name.startswith(PREFIX)]
    protect_self(secrets)
    for name in secrets:
        del environ[name]
    for name in [name for name in environ if name.startswith("GIT_") and not name.startswith(_GIT_VARIABLES_KEPT)]:
        del environ[name]


def _known(error: Exception | SignalError) -> PublishError:
    """Return the error to report: itself, or what it means when it was not raised on purpose."""
    if isinstance(error, PublishError):
        return error
    if isinstance(error, SignalError):
        return InterruptedRunError(str(error))
    if isinstance(error, OSError):
        reason = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        return MachineError(reason, hint="Make room, or let TMPDIR name a folder that can be written.")
    return PublishError(
        f"this is a defect of cdk8s-publish {__version__}: {type(error).__name__}",
        evidence="".join(traceback.format_exception(error)),
        hint="Please report it with the lines above: https://github.com/cdk8s-publish/cdk8s-publish/issues",
    )


@contextlib.contextmanager
def _told(product: Product, screen: Console) -> Iterator[None]:
    """Tell the job's page and later steps, too, when nothing was published because of an error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (Exception, SignalError) as error:
        from cdk8s_publish import report  # noqa: PLC0415

        failure = _known(error)
        findings = failure.findings if isinstance(failure, CheckError) else ()
        product.write_summary(screen.redact(report.failure(failure, findings, screen.times() if screen.stages else ())))
        product.write_outputs({"outcome": "failed"})
        raise failure from error


def _report_failure(error: PublishError, screen: Console) -> int:
    # Evidence and hint may quote what foreign code said.
    if error.evidence:
        with screen.foreign():
            screen.line(error.evidence)
    screen.annotate(Level.ERROR, str(error))
    if error.hint:
        with screen.foreign():
            screen.line(error.hint)
    return error.exit_code


def _flux(options: Mapping[str, Any], node: str, stdout: TextIO) -> int:
    from cdk8s_publish.flux import charts  # noqa: PLC0415
    from cdk8s_publish.publish.branch.source import Checkout  # noqa: PLC0415
    from cdk8s_publish.publish.branch.urls import split_credential  # noqa: PLC0415

    catch_signals()
    raw = {name: value for name, value in options.items() if value is not None and name not in _OWN}
    if not raw.get("url"):
        with contextlib.suppress(InputError):  # outside a checkout; `parse` asks for the URL
            raw["url"] = split_credential(Checkout(Path.cwd(), {}).remote_url())[0]
    stdout.write(charts.render(charts.parse(raw), node))
    stdout.flush()
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, hint=f"`{self.prog} --help` shows what is possible.")


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Descriptions stand below each other, and no line is longer than the eye likes."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=min(shutil.get_terminal_size().columns, 110))

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        # `--allow-empty` alone means true; that `false` may follow matters to scripts only.
        return "" if action.nargs == argparse.OPTIONAL else super()._format_args(action, default_metavar)


class _SecretAction(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        variable = PREFIX + self.dest.upper().replace("-", "_")
        parser.error(f"{self.dest}: a secret can't stand on a command line; put it into the variable {variable}")


class _VersionAction(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from cdk8s_publish.commands import version  # noqa: PLC0415  # only here: it asks every program for its version

        print(version.text())  # noqa: T201  # what was asked for, as argparse's own version action prints it
        parser.exit()


def _parser(command: str) -> argparse.ArgumentParser:
    """Return the parser; of the commands only the one that is meant has its options."""
    parser = _Parser(
        prog="cdk8s-publish",
        description="Render a cdk8s app and publish the plain YAML to the branch that Flux or Argo CD watches.",
        epilog=_EPILOG,
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_VersionAction, nargs=0, help="show what is running, and with what")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True, parser_class=_Parser)
    for name, summary, add_options in (
        ("run", "render and publish (the default command)", _add_inputs),
        (
            "generate",
            "render and write only the manifests to standard output, for an Argo CD plugin or Flux 1",
            _add_inputs,
        ),
        ("flux", "print the Flux resources that apply the target branch", _add_flux),
    ):
        subparser = _subparser(commands, name, summary)
        if name == command:
            add_options(subparser)
    return parser


def _subparser(commands: Any, name: str, summary: str) -> argparse.ArgumentParser:  # noqa: ANN401  # argparse's own is private
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        usage=f"cdk8s-publish {name} [options]",
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=_EPILOG,
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--verbose", action="store_true", help="also show what is done in detail")
    return parser


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    groups = {section: parser.add_argument_group(section.value) for section in Section}
    for spec in INPUTS:
        text = spec.description.replace("%", "%%") + (f" [{spec.default}]" if spec.default else "")
        if spec.is_secret:
            action: Any = {"action": _SecretAction, "help": argparse.SUPPRESS}
        elif spec.is_flag:
            action = {"nargs": "?", "const": "true", "metavar": "true|false", "help": text}
        else:
            action = {"metavar": "|".join(spec.choices) or spec.metavar, "help": text}
        groups[Section(spec.section)].add_argument(f"--{spec.name}", dest=spec.name, **action)


def _add_flux(parser: argparse.ArgumentParser) -> None:
    from cdk8s_publish.flux import charts  # noqa: PLC0415

    for option in charts.FLUX_OPTIONS:
        default = f" [{option.default}]" if option.default else ""
        parser.add_argument(f"--{option.name}", dest=option.name, help=option.description.replace("%", "%%") + default)
