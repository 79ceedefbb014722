"""A folder that only this run can read, and that is gone afterwards, also after `kill -9`."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "cdk8s-publish-"
"""How the names of all scratch folders start."""

TEMPORARY = ("/tmp", "/var/tmp", "/usr/tmp")  # noqa: S108 - names to try

GRACE_S = 5
"""How long a run that failed waits for the removal, which comes in any case when nobody writes there any more."""

_CLEAN_UP = """\
trap "" HUP INT TERM
read -r name || exit 0
read -r _
rm -rf -- "$1/$name" 2>/dev/null || { chmod -R u+rwX -- "$1/$name"; rm -rf -- "$1/$name"; }
"""
"""Reads the folder's name, waits for a line or for the end of its standard input, which comes when this process has
ended in whatever way, and so has every program that inherited `descriptor`, and cleans up.

Installers leave folders behind that can't be written (Go's module cache), hence the second attempt.
"""


class ScratchFolder(NamedTuple):
    """A folder of this run's own, and the process that removes it."""

    path: Path
    clean_up: subprocess.Popen[bytes]

    @property
    def descriptor(self) -> int:
        """What a program must inherit that writes into the folder, and may do so when this process has been killed.

        The removal waits for it: git makes the folders anew that it misses.
        """
        assert self.clean_up.stdin is not None  # noqa: S101 - for the type checker: it was asked for
        return self.clean_up.stdin.fileno()

    def release(self) -> None:
        """Let the removal begin, beside what is left to do: nothing in the folder is needed any more."""
        if self.clean_up.stdin and not self.clean_up.stdin.closed:
            with suppress(BrokenPipeError), self.clean_up.stdin as stdin:
                # Said in words: a hook of a remote on this machine may have left a program that inherited the pipe.
                stdin.write(b"\n")


def temporary_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for temporary files: the first that can be written of those that Python's tempfile tries.

    That module finds out by writing a file, which stays when we are killed in that moment.

    Raises:
        MachineError: there is none, or the command stands in it, which would be in the user's checkout.

    """
    candidates = [*filter(None, (environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))), *TEMPORARY]
    folders = (Path(name).resolve() for name in candidates)
    folder = next((one for one in folders if one.is_dir() and os.access(one, os.W_OK | os.X_OK)), None)
    if folder is None:
        raise MachineError(
            f"no folder for temporary files can be written: {', '.join(candidates)}",
            hint="Let TMPDIR name one that can.",
        )
    if folder == Path.cwd():
        raise MachineError(
            f"{folder}, where the command stands in, is also the folder for temporary files",
            hint="Stand in another folder, or let TMPDIR name another one that can be written.",
        )
    return folder


@contextmanager
def scratch_folder(base: Path) -> Iterator[ScratchFolder]:
    """Create a folder with mode 0700 below `base`, for this run only; it is gone when the context ends."""
    folder = base / f"{PREFIX}{os.urandom(8).hex()}"
    # In our own session: what is in another one counts as untrusted code's stray and would be ended.
    clean_up = subprocess.Popen(["sh", "-c", _CLEAN_UP, "sh", str(base)], stdin=subprocess.PIPE, env={}, cwd="/")
    scratch = ScratchFolder(folder, clean_up)
    try:
        assert clean_up.stdin is not None  # noqa: S101 - for the type checker: it was asked for
        # Told before the folder is there: at no moment would it stay because we are killed.
        clean_up.stdin.write(f"{folder.name}\n".encode())
        clean_up.stdin.flush()
        folder.mkdir(mode=0o700)
        yield scratch
        scratch.release()
        clean_up.wait()
    except BaseException:
        # What a git that was ended has started goes on for a moment, and writes; see `descriptor`.
        with suppress(BrokenPipeError, subprocess.TimeoutExpired):
            if clean_up.stdin:
                clean_up.stdin.close()
            clean_up.wait(GRACE_S)
        raise
