"""Errors for commands that failed: what was run, its last lines, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdk8s_publish.errors import SynthError

if TYPE_CHECKING:
    from cdk8s_publish.render.discover import App
    from cdk8s_publish.sandbox.process import Completed

COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE = 127, 126
KILLED = (-9, 137)
"""SIGKILL, of the shell itself and as it reports that of a program that it started."""
REFUSED = (
    r"\bE40[134]\b|\b40[13] (Client )?(Error|Unauthorized|Forbidden)|status code:? 40[13]|\bHTTP 40[13]\b"
    r"|No matching distribution found|terminal prompts disabled"
)
"""How npm, yarn, pip, uv, Maven, Gradle and Go say that a registry refused them or does not know a package."""
UNTRUSTED = (
    r"SELF_SIGNED_CERT|UNABLE_TO_(GET_ISSUER_CERT|VERIFY_LEAF_SIGNATURE)|unable to get (local )?issuer certificate"
    r"|self[- ]signed certificate|CERTIFICATE_VERIFY_FAILED|UnknownIssuer|certificate signed by unknown authority"
    r"|PKIX path building failed"
)
"""How Node.js, Python, uv, Go and Java say that they do not know who signed a server's certificate."""
DENIED = r"Permission denied|Operation not permitted|\b(EACCES|EPERM)\b"
"""How programs say that the system does not let them."""

_OWN_WORDS = "The lines above are the program's own words."
_OUT_OF_MEMORY = (
    "Only the system sends that signal, most likely because the machine or container ran out of memory. Give it more, "
    "or let fewer apps run side by side."
)
_REGISTRY = (
    "If a private registry is asked: configuration in the home folder (.npmrc, pip.conf, settings.xml) is not read, "
    "and a variable with a credential of this run is not handed over. Put the configuration into the repository and a "
    "token that can only read into a variable of its own, for example NPM_TOKEN for an .npmrc with "
    "`//<registry>/:_authToken=${NPM_TOKEN}`, or PIP_INDEX_URL for pip."
)
_CERTIFICATE = (
    "A certificate is not trusted. If a proxy or a company CA signed it, set these variables to a file in the "
    "workspace with its CA and the public ones: NODE_EXTRA_CA_CERTS (npm, yarn, pnpm, Node.js), PIP_CERT (pip), "
    "REQUESTS_CA_BUNDLE (poetry, pipenv), SSL_CERT_FILE (uv, Go). For Java, name a trust store in JDK_JAVA_OPTIONS."
)
_CONFINED = (
    "Apps and installers write only to their copy of the checkout, $HOME, $TMPDIR, $CDK8S_OUTDIR and `cache-dir`, not "
    "to /tmp, and read no hidden file of your home folder. If it was something else, the lines above say what."
)
_STEP_TIMEOUT = "Raise the input `timeout`, or keep what is downloaded from run to run with `cache-dir`."
_APP_TIMEOUT = (
    "The known cause: dependencies between charts (addDependency) are resolved by cdk8s in exponential time. Depend on "
    "one object per chart, or fewer. Otherwise raise the input `timeout`."
)
_MISSING_INSTALLER = (
    "{} is not installed here. The variant `-languages` of our image has Go, Maven, uv, poetry and pipenv; elsewhere "
    "install it before this step, or set the input `install` to a command that works, or to `none` when the "
    "dependencies are there already."
)
_MISSING_CLI = (
    "Validations and the Helm format of cdk8s.yaml are the cdk8s CLI's work: add `cdk8s-cli` to the app's development "
    "dependencies, or install it before this step."
)
_MISSING_PROGRAM = (
    "A program of the app command is not there. Install it before this step, or let the input `install` do it; "
    "`working-directory` must be the folder that holds the app."
)
_MISSING_CDK8S = (
    "cdk8s is missing from the app's dependencies: `cdk8s init python-app` installs it but does not write it down. Add "
    "it to the lock file, for example with `uv add cdk8s constructs` or `pipenv install cdk8s constructs`, and commit "
    "that."
)
_MISSING_DEPENDENCY = (
    "A dependency is missing. Check that the lock file names it and that the input `install` is right."
)
_APP_OWN_WORDS = "The lines above are the last ones that the app printed; run the same command in the app's folder."


def step_failure(what: str, command: str, done: Completed, timeout_s: float) -> SynthError:
    """Return the error for a command that failed; `what` is its subject."""
    how = f"did not finish within {timeout_s:g} seconds" if done.timed_out else _ending(done.returncode)
    evidence = "\n".join(done.excerpt)
    return SynthError(f"{what} {how}: {command}", evidence=evidence, hint=_step_hint(command, done, evidence))


def app_failure(app: App, done: Completed, timeout_s: float) -> SynthError:
    """Return the error for an app command that failed."""
    evidence = "\n".join(done.excerpt)
    if done.timed_out:
        reason = f"The app {app.name} did not finish within {timeout_s:g} seconds and was stopped."
        return SynthError(reason, evidence=evidence, hint=_APP_TIMEOUT)
    reason = f"The app {app.name} {_ending(done.returncode)}: {app.command}"
    return SynthError(reason, evidence=evidence, hint=_app_hint(app, done, evidence))


def _step_hint(command: str, done: Completed, evidence: str) -> str:
    if done.timed_out:
        return _STEP_TIMEOUT
    program = command.split(maxsplit=1)[0]
    if general := _general_hint(done, evidence):
        return general
    is_missing = done.returncode == COMMAND_NOT_FOUND and any(_says_missing(program, line) for line in done.excerpt)
    if is_missing:
        return _MISSING_INSTALLER.format(program)
    return _CONFINED if re.search(DENIED, evidence) else _OWN_WORDS


def _app_hint(app: App, done: Completed, evidence: str) -> str:
    if general := _general_hint(done, evidence):
        return general
    if done.returncode == COMMAND_NOT_FOUND and app.needs_cli:
        return _MISSING_CLI
    if done.returncode in {COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE}:
        return _MISSING_PROGRAM
    if re.search("No module named '(cdk8s|constructs)'", evidence):
        return _MISSING_CDK8S
    if re.search("Cannot find module|No module named", evidence):
        return _MISSING_DEPENDENCY
    return _CONFINED if re.search(DENIED, evidence) else _APP_OWN_WORDS


def _general_hint(done: Completed, evidence: str) -> str:
    """Return the hint for what can go wrong in any program, where the output shows that it did; else nothing."""
    if done.returncode in KILLED:
        return _OUT_OF_MEMORY
    if re.search(UNTRUSTED, evidence):
        return _CERTIFICATE
    return _REGISTRY if re.search(REFUSED, evidence) else ""


def _ending(returncode: int) -> str:
    """Return in words how a program failed."""
    return f"was killed by signal {-returncode}" if returncode < 0 else f"failed with exit code {returncode}"


def _says_missing(program: str, line: str) -> bool:
    """Whether a shell says that a program is not there (dash, bash), and not one that the program started."""
    return re.search(rf"\b{re.escape(program)}: (command )?not found", line) is not None
