"""The exception tree: each class carries the exit code of one kind of failure.

An error has three parts. `str(error)` is one sentence on one line that stands alone: it becomes the annotation of
the job. `evidence` is what was seen (the last lines of a program, a list of findings). `hint` is the next step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdk8s_publish.model import Finding


class PublishError(Exception):
    """A defect of this program.

    Also the base of everything that is raised on purpose; each subclass has a code for its kind of failure.
    """

    exit_code = 1

    def __init__(self, message: str, *, evidence: str = "", hint: str = "") -> None:
        super().__init__(" ".join(message.split()))
        self.evidence = evidence.rstrip()
        self.hint = hint


class InputError(PublishError):
    """What the user gave us can't be used: inputs, configuration files, a missing checkout."""

    exit_code = 2


class SynthError(PublishError):
    """The app, or the installation of its dependencies, failed, timed out or wrote somewhere else."""

    exit_code = 3


class CheckError(PublishError):
    """The rendered manifests were refused by a check or a guard on content."""

    exit_code = 4

    def __init__(self, message: str, *, evidence: str = "", hint: str = "", findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(message, evidence=evidence, hint=hint)
        self.findings = findings


class RemoteError(PublishError):
    """The remote could not be read, or refused what we asked it to do."""

    exit_code = 5


class BranchError(RemoteError):
    """The target branch, or the folder on it, is one that we must not overwrite."""


class LeaseLostError(RemoteError):
    """The target branch moved between look and push, again and again; a first time is planned anew."""

    exit_code = 6


class MachineError(PublishError):
    """The machine we run on failed us: a full disk, a folder that can't be written."""

    exit_code = 5


class InterruptedRunError(PublishError):
    """SIGINT or SIGTERM ended the run before the target branch was touched."""

    exit_code = 130


class SignalError(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived; the command line makes an `InterruptedRunError` of it.

    No `Exception`: a library on the way, the interpreter's own `threading` among them, would take it for a failure of
    what it does and handle it.
    """
