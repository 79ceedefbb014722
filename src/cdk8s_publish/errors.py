"""The exception tree: each class carries the exit code of one kind of failure.

An error has three parts. `str(error)` is one sentence on one line that stands alone: it becomes the annotation of
the job. `evidence` is what was seen (the last lines of a program, a list of findings). `hint` is the next step. Where
rules were applied, `findings` is all that they found.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from cdk8s_publish import __version__

if TYPE_CHECKING:
    from cdk8s_publish.model import Finding, Result


class Cdk8sPublishError(Exception):
    """The base of everything that is raised on purpose; each subclass has the exit code of its kind of failure."""

    exit_code: int

    def __init__(self, message: str, *, evidence: str = "", hint: str = "", findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(" ".join(message.split()))
        self.evidence = evidence.rstrip()
        self.hint = hint
        self.findings = findings


class InternalError(Cdk8sPublishError):
    """An internal error of this program; please report it."""

    exit_code = 1


class InputError(Cdk8sPublishError):
    """What the user gave us can't be used: inputs, configuration files, a missing checkout."""

    exit_code = 2


class SynthError(Cdk8sPublishError):
    """The app, or the installation of its dependencies, failed, timed out or wrote somewhere else."""

    exit_code = 3


class CheckError(Cdk8sPublishError):
    """The rendered manifests were refused by a check or a guard on content.

    `result` is what would have been published, where that is known.
    """

    exit_code = 4

    def __init__(self, message: str, *, result: Result | None = None, **parts: Any) -> None:  # noqa: ANN401  # those of every error
        super().__init__(message, **parts)
        self.result = result


class RemoteError(Cdk8sPublishError):
    """The remote could not be read, or refused what we asked it to do."""

    exit_code = 5


class BranchError(RemoteError):
    """The target branch, or the folder on it, is one that we must not overwrite."""


class LeaseLostError(RemoteError):
    """Other runs kept moving the target branch, and this one gave up trying again."""

    exit_code = 6


class CredentialError(RemoteError):
    """The remote refused who we are; the CI product knows which setting helps."""


class TransientRemoteError(RemoteError):
    """The remote did not answer as it should, and may when asked again."""


class RateLimitError(TransientRemoteError):
    """The remote asks to be left alone for a while (HTTP 429)."""


class MachineError(Cdk8sPublishError):
    """The machine we run on failed us: a full disk, a folder that can't be written."""

    exit_code = 5


class InterruptedRunError(Cdk8sPublishError):
    """SIGINT or SIGTERM ended the run."""

    exit_code = 130


class SignalError(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived; the command line makes an `InterruptedRunError` of it.

    No `Exception`: a library on the way, the interpreter's own `threading` among them, would take it for a failure of
    what it does and handle it.
    """


def as_known(error: Exception | SignalError) -> Cdk8sPublishError:
    """Return the error to report: itself, or what it means when it was not raised on purpose."""
    if isinstance(error, Cdk8sPublishError):
        return error
    if isinstance(error, SignalError):
        return InterruptedRunError(str(error))
    if isinstance(error, OSError):
        reason = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        return MachineError(reason, hint="Make room, or let TMPDIR name a folder that can be written.")
    return InternalError(
        f"Internal error of cdk8s-publish {__version__} ({type(error).__name__}); please report this bug.",
        evidence="".join(traceback.format_exception(error)),
        hint="Report it with the lines above: https://github.com/cdk8s-publish/cdk8s-publish/issues",
    )
