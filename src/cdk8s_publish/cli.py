"""The command line: argv → command → exit code. The only reader of the environment, the only exit.

A command's module is loaded after the first line of the log: whoever watches a job sees at once that it runs.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

from cdk8s_publish import __version__, programs
from cdk8s_publish.ci.detect import detect
from cdk8s_publish.errors import InputError, InterruptedRunError, SignalError, as_known
from cdk8s_publish.flux.options import FLUX_OPTIONS
from cdk8s_publish.inputs.declared import INPUTS, PREFIX, REPLACED, Section, from_environ
from cdk8s_publish.job import Job
from cdk8s_publish.log import Console, logging_to, silence
from cdk8s_publish.model import Level
from cdk8s_publish.rules.consent import apply_consents, parse_refuse
from cdk8s_publish.rules.findings import raise_for_errors
from cdk8s_publish.sandbox.privileges import protect_self
from cdk8s_publish.signals import catch_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
    from typing import TextIO

    from cdk8s_publish.errors import Cdk8sPublishError
    from cdk8s_publish.model import Finding
    from cdk8s_publish.options import Option
    from cdk8s_publish.rules.consent import Consent

_GIT_VARIABLES_KEPT = tuple(f"GIT_{name}" for name in ("CONFIG", "EXEC_PATH", "HTTP_", "PROXY_", "SSH", "SSL_"))
"""How to reach a remote is the user's to say; GIT_DIR, GIT_INDEX_FILE or a trace must not reach our git."""

_EPILOG = """\
Every input can also be set as a variable INPUT_<NAME>, for example INPUT_BRANCH or INPUT_WORKING_DIRECTORY.
Secrets are read from variables only (INPUT_TOKEN): every process can read the command line of another one.

Exit codes: 0 done · 1 internal error · 2 inputs · 3 install or synth · 4 checks · 5 publish refused or failed ·
6 lost the publish race · 130 interrupted
"""


class Command(NamedTuple):
    """One command: its module below `commands` has `run(raw, job)`, which returns the exit code.

    `options` are what it takes. A command that `prints_data` to standard output has its log on the error output, and
    one that `is_logged` says first that it runs and last what took the time.
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    is_logged: bool = True
    prints_data: bool = False


COMMANDS = (
    Command("run", "render and publish (the default command)", INPUTS),
    Command(
        "generate",
        "render and write only the manifests to standard output, for an Argo CD plugin or Flux 1",
        INPUTS,
        prints_data=True,
    ),
    Command(
        "flux",
        "print the Flux resources that apply the target branch",
        FLUX_OPTIONS,
        is_logged=False,
        prints_data=True,
    ),
)
_DEFAULT = COMMANDS[0]
_OWN_OPTIONS = ("command", "verbose")


def console() -> NoReturn:
    """Run with the process's own arguments and environment, and exit."""
    _open_descriptors()
    sys.stdout, sys.stderr = (_text_stream(number) for number in (1, 2))
    code = main(sys.argv[1:], os.environ, sys.stdout, sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the interpreter would try once more, and end with an exit code of its own
            silence(stream)
    sys.exit(code)


def _open_descriptors() -> None:
    """Open the standard streams that whoever started us has closed: the next file would get their numbers.

    They can't be written to, so that a command whose data gets lost fails.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # noqa: FBT003  # as the standard library has it


def _text_stream(number: int) -> TextIO:
    """Return a standard stream that takes every text.

    Not every name can be written in the terminal's encoding, nor is every name of a file UTF-8.
    """
    stream = (sys.stdin, sys.stdout, sys.stderr)[number]
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream or os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def main(argv: Sequence[str], environ: MutableMapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    """Run one command and return its exit code. Our variables are removed from `environ`, for every child's sake."""
    given = dict(environ)
    provider = detect(given)
    _withdraw(environ)
    command = next((one for one in COMMANDS if one.name in argv[:1]), _DEFAULT)
    screen = Console(stderr if command.prints_data else stdout, provider)
    try:
        options = _parser(command).parse_args(_with_command(argv, command))
        raw = _raw_inputs(command, vars(options), given, screen)
        job = Job(dict(environ), Path.cwd(), provider, screen, stdout)
        is_verbose = options.verbose or provider.context().is_debug
        with logging_to(screen, is_verbose=is_verbose):
            return _run(command, raw, job)
    except BrokenPipeError:  # the reader of what we print has left, as `head` does; there is nobody to inform
        for stream in (stdout, stderr):  # what is still to be flushed must not fail as well
            silence(stream)
        return InterruptedRunError.exit_code
    except (Exception, SignalError) as error:  # noqa: BLE001  # whatever is not known is our fault and must not print a secret
        return _report_failure(as_known(error), screen)


def _raw_inputs(
    command: Command, options: Mapping[str, str | None], environ: Mapping[str, str], screen: Console
) -> dict[str, str]:
    """Return what was given by options and, to a command that takes inputs, by variables; an option wins."""
    given = {name: value for name, value in options.items() if value is not None and name not in _OWN_OPTIONS}
    if command.options is not INPUTS:
        return given
    found, unknown = from_environ(environ)
    raw = found | given
    _judge_unknown(unknown, raw.get("refuse", ""), screen)
    return raw


def _run(command: Command, raw: Mapping[str, str], job: Job) -> int:
    if command.is_logged:
        job.console.line(f"cdk8s-publish {__version__}")
    catch_signals()
    programs.find_all(job.environ.get("PATH", os.defpath))
    module = import_module(f"cdk8s_publish.commands.{command.name}")
    run = cast("Callable[[Mapping[str, str], Job], int]", module.run)
    with _timed(job.console):
        return run(raw, job)


@contextmanager
def _timed(screen: Console) -> Iterator[None]:
    """Say at the end what took the time, also of a run that failed."""
    try:
        yield
    finally:
        if screen.stages:
            screen.line("Time:")
            for stage in screen.times():
                screen.line(f"{stage.seconds:8.1f} s  {stage.title}")


def _with_command(argv: Sequence[str], command: Command) -> list[str]:
    """Return the arguments with the command in front, which may be left out."""
    if argv and (argv[0] == command.name or argv[0] in {"-h", "--help", "--version"}):
        return list(argv)
    return [command.name, *argv]


def _judge_unknown(unknown: Sequence[Finding], refuse: str, screen: Console) -> None:
    """Warn of variables that look like inputs and are none, or raise an InputError where the input `refuse` says so."""
    refusals: tuple[Consent, ...] = ()
    with suppress(ValueError):  # whoever parses all inputs says what is wrong with this one
        refusals = parse_refuse(refuse)
    judged, _ = apply_consents(unknown, (), refusals)
    raise_for_errors(judged, InputError)
    for finding in judged:
        screen.annotate(finding.level, finding.message)


def _withdraw(environ: MutableMapping[str, str]) -> None:
    """Remove our inputs, and what would lead our git astray, from the environment that children inherit."""
    secrets = [name for name in environ if name.startswith(PREFIX)]
    protect_self(secrets)
    misleading = [name for name in environ if name.startswith("GIT_") and not name.startswith(_GIT_VARIABLES_KEPT)]
    for name in (*secrets, *misleading):
        del environ[name]


def _report_failure(error: Cdk8sPublishError, screen: Console) -> int:
    # Evidence and hint may quote what untrusted code said.
    if error.evidence:
        with screen.fenced():
            screen.text(error.evidence)
    screen.annotate(Level.ERROR, str(error))
    if error.hint:
        with screen.fenced():
            screen.text(error.hint)
    return error.exit_code


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[0].upper()}{message[1:]}.", hint=f"`{self.prog} --help` lists the options.")


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Descriptions are aligned, and no line is longer than the eye likes."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=min(shutil.get_terminal_size().columns, 110))

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        # `--hermetic` alone means true; that `false` may follow matters to scripts only.
        return "" if action.nargs == argparse.OPTIONAL else super()._format_args(action, default_metavar)


class _SecretAction(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        variable = PREFIX + self.dest.upper().replace("-", "_")
        parser.error(f"{self.dest}: a secret can't be given on the command line; set the variable {variable}")


class _VersionAction(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from cdk8s_publish.commands import version  # noqa: PLC0415  # it asks every program for its version

        print(version.text())  # noqa: T201  # what was asked for, as argparse's own version action prints it
        parser.exit()


def _parser(command: Command) -> argparse.ArgumentParser:
    """Return the parser; only the command that is meant has its options."""
    parser = _Parser(
        prog="cdk8s-publish",
        description="Render a cdk8s app and publish the plain YAML to the branch that Flux or Argo CD watches.",
        epilog=_EPILOG,
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_VersionAction, nargs=0, help="show what is running, and with what")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True, parser_class=_Parser)
    for one in COMMANDS:
        subparser = commands.add_parser(
            one.name,
            help=one.summary,
            usage=f"cdk8s-publish {one.name} [options]",
            description=f"{one.summary[0].upper()}{one.summary[1:]}.",
            epilog=_EPILOG,
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        subparser.add_argument("--verbose", action="store_true", help="also show what is done in detail")
        if one is command:
            _add_options(subparser, one.options)
    return parser


def _add_options(parser: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    titles = dict.fromkeys([*Section, *(option.section for option in options)])
    groups = {title: parser.add_argument_group(title) if title else parser for title in titles}
    for option in options:
        text = option.description.replace("%", "%%") + (f" [{option.default}]" if option.default else "")
        if option.is_secret:
            action: dict[str, Any] = {"action": _SecretAction, "help": argparse.SUPPRESS}
        elif option.is_flag:
            action = {"nargs": "?", "const": "true", "metavar": "true|false", "help": text}
        else:
            action = {"metavar": "|".join(option.choices) or option.metavar, "help": text}
        groups[option.section].add_argument(f"--{option.name}", dest=option.name, **action)
    for name in REPLACED if options is INPUTS else ():  # `parse` says what to write in their place
        parser.add_argument(f"--{name}", dest=name, nargs="?", const="true", help=argparse.SUPPRESS)
