"""Who runs us, where, and what we may touch."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from cdk8s_publish.sandbox.scratch import scratch_folder, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cdk8s_publish.ci.provider import CIProvider
    from cdk8s_publish.log import Console
    from cdk8s_publish.sandbox.scratch import ScratchFolder


class Job(NamedTuple):
    """Who runs us, where, and what we may touch.

    `environ` is the process's own environment without our inputs, `folder` the one that the command was started in.
    `scratch` is a folder of this run alone and `inherited` the descriptors that our own programs must inherit which
    write into it: `scratch(job)` gives a job that has them. Data goes to `stdout`, everything else to the console.
    """

    environ: Mapping[str, str]
    folder: Path
    provider: CIProvider
    console: Console
    stdout: TextIO
    scratch: Path = Path()
    inherited: tuple[int, ...] = ()

    @property
    def workspace(self) -> Path:
        """The folder that `working-directory` is relative to."""
        return Path(self.provider.context().workspace or self.folder)

    @property
    def git_environ(self) -> dict[str, str]:
        """The git configuration that the user set in variables (`GIT_CONFIG_*`)."""
        return {name: value for name, value in self.environ.items() if name.startswith("GIT_CONFIG_")}

    def below(self, name: str) -> Job:
        """Return the same job with a new folder in its scratch folder instead."""
        folder = self.scratch / name
        folder.mkdir(mode=0o711)
        return self._replace(scratch=folder)


@contextmanager
def scratch(job: Job) -> Iterator[tuple[Job, ScratchFolder]]:
    """Give the job a scratch folder, which is gone when the context ends."""
    with scratch_folder(temporary_folder(job.environ)) as folder:
        yield job._replace(scratch=folder.path, inherited=(folder.descriptor,)), folder
