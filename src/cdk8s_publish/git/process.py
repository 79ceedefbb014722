"""Run git: the only user of GitPython.

Nothing here reads the process's environment; what git may know of it is handed in.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, TimeoutExpired
from typing import IO, TYPE_CHECKING, cast

from cdk8s_publish import programs
from cdk8s_publish.errors import InputError, MachineError
from cdk8s_publish.git.errors import explain
from cdk8s_publish.model import Relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from subprocess import Popen

    from git.cmd import Git

    from cdk8s_publish.model import Sha

GIT_TIMEOUT_S = 600

_HYGIENE = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.fsync", "none"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("core.bigFileThreshold", "8m"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("pack.window", "0"),  # fast-import has made the deltas already, in the order of the files
    ("protocol.version", "2"),  # older ones can't ask for a commit or a file by its id
    ("i18n.commitEncoding", "UTF-8"),
    ("i18n.logOutputEncoding", "UTF-8"),
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("fastimport.unpackLimit", "0"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
)
"""Settings of the user that must not reach what is published, and waste that a repository of one run can do without."""


_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(16 << 20), "MALLOC_MMAP_THRESHOLD_": str(4 << 20)}
"""Keep glibc from handing every buffer of zlib back to the kernel at once (mallopt(3)): storing 20,000 files took git
twice the time. Other C libraries ignore it."""

_PARAMETERS = "GIT_CONFIG_PARAMETERS"
"""How git hands the settings of `git -c` on to what it starts; an alias of the user may have started us."""

_UNREADABLE = re.compile(
    r"bad (numeric )?config|bogus (count|format)|missing config (key|value)|too many entries in GIT_"
)


class GitRunner:
    """Runs git in one folder. GitPython adds the process's own environment below `environ`.

    `inherited` are descriptors that git, and what it starts, keep open.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        settings: Iterable[tuple[str, str]],
        inherited: tuple[int, ...] = (),
    ) -> None:
        self._git = _gitpython()(folder)
        self._environ = {**environ, **_MEMORY, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
        self._settings, self._inherited = tuple(settings), inherited

    def run(
        self,
        *arguments: str | bytes,
        stdin: Iterable[bytes] = (),
        environ: Mapping[str, str] | None = None,
        settings: Sequence[tuple[str, str]] = (),
        file_bytes_max: int = 0,
    ) -> tuple[int, bytes, str]:
        """Return exit code, standard output and standard error (as text, undecodable bytes escaped).

        With `file_bytes_max` git fails when it writes a larger file: "File too large". What it fetches is one file.
        """
        env = {**self._environ, **(environ or {})}
        env |= _config_environ(env, (*_HYGIENE, *self._settings, *settings))
        if env.get(_PARAMETERS):  # what git believes before all other configuration
            env[_PARAMETERS] += "".join(f" '{key}={value}'" for key, value in _HYGIENE)
        process = self._git.execute(
            [*_limited(file_bytes_max), programs.resolve("git"), *arguments],
            istream=PIPE,
            as_process=True,
            env=env,
            pass_fds=self._inherited,
        )
        # Fed from a thread of its own: git may answer before it has read everything, and both pipes are short.
        program = cast("Popen[bytes]", process.proc)
        pipe, program.stdin = cast("IO[bytes]", program.stdin), None
        with ThreadPoolExecutor(1, thread_name_prefix="feed") as feeder:
            fed = feeder.submit(_feed, pipe, stdin)
            try:
                out, err = program.communicate(timeout=GIT_TIMEOUT_S)
            except TimeoutExpired:
                # Not read to the end: git's own children (ssh, git-remote-https) may hold its output open for ever.
                program.kill()
                return 1, b"", "the operation timed out"
            except BaseException:
                program.kill()
                raise
            fed.result()
        return program.returncode, out, err.decode("utf-8", "backslashreplace")

    def out(self, *arguments: str | bytes, stdin: Iterable[bytes] = (), **more: object) -> bytes:
        """Return standard output; a failure here is a defect or a broken disk, never the remote."""
        code, out, err = self.run(*arguments, stdin=stdin, **more)  # type: ignore[arg-type]
        if code:
            raise explain(f"`git {_text(arguments[0])}` in the private repository", err)
        return out


def _limited(file_bytes_max: int) -> tuple[str, ...]:
    """Return what a command starts with that may write no larger file; the shell counts in blocks of 512 bytes."""
    if not file_bytes_max:
        return ()
    script = 'trap "" XFSZ; ulimit -f "$0"; exec "$@"'  # ignored, the signal becomes an error that git names
    return (programs.resolve("sh"), "-c", script, str(file_bytes_max // 512))


def frozen_config(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with the user's and the machine's git configuration as it is now, and no files to read it from.

    Foreign code that runs as the same user can rewrite those files: a proxy, a program or another URL in them would
    be handed the credential afterwards.
    """
    code, out, err = GitRunner(Path("/"), environ, ()).run("config", "--list", "--includes", "-z")
    if code:
        refuse_unreadable_configuration(err)
    entries = [entry.partition("\n") for entry in os.fsdecode(out).split("\0") if entry]
    pairs = [(key, value if is_set else "true") for key, is_set, value in entries if not key.startswith("include")]
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_CONFIG")}
    # An empty value, for what is not named here is inherited.
    frozen = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", _PARAMETERS: ""}
    return {**kept, **frozen, **_config_environ({}, pairs)}


def refuse_unreadable_configuration(words: str) -> None:
    """Raise an InputError when git says that it can't read its configuration; whatever it is asked to do, it stops."""
    if _UNREADABLE.search(words):
        raise InputError(
            "git's configuration can't be read.",
            evidence=words,
            hint="Correct the file or the variables (`GIT_CONFIG_*`) that git names: `git config --list` shows it too.",
        )


def _gitpython() -> type[Git]:
    """Load GitPython when git is needed first: a tenth of a second that `generate` does not pay."""
    try:
        from git.cmd import Git  # noqa: PLC0415
    except ModuleNotFoundError:
        raise
    except ImportError as error:
        # GitPython asks git for its version as soon as it is imported, and takes every exception for git's absence.
        refuse_unreadable_configuration(str(error))
        hint = "Install git and put it on the PATH."
        raise MachineError("git can't be run.", evidence=str(error), hint=hint) from None
    return Git


def _feed(pipe: IO[bytes], chunks: Iterable[bytes]) -> None:
    # git may end early; its exit code and its words say why.
    with suppress(BrokenPipeError), pipe:
        for chunk in chunks:
            pipe.write(chunk)


def _text(argument: str | bytes) -> str:
    return argument if isinstance(argument, str) else os.fsdecode(argument)


def _config_environ(env: Mapping[str, str], settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return settings as environment variables, after those the user may have passed the same way.

    Values stay out of argv and of every file, which is what makes this the way for a token.
    """
    count = env.get("GIT_CONFIG_COUNT") or "0"
    if not (count.isascii() and count.isdecimal()):
        refuse_unreadable_configuration(f"bogus count in GIT_CONFIG_COUNT: {count}")
    start = int(count)
    pairs = dict[str, str]()
    for number, (key, value) in enumerate(settings, start):
        pairs[f"GIT_CONFIG_KEY_{number}"], pairs[f"GIT_CONFIG_VALUE_{number}"] = key, value
        pairs["GIT_CONFIG_COUNT"] = str(number + 1)
    return pairs


def relation(runner: GitRunner, recorded: Sha, own: Sha) -> Relation | None:
    """Compare two source commits by the history that is known to `runner`; None where that can't tell."""
    if recorded == own:
        return Relation.SAME
    for old, new, relation in ((recorded, own, Relation.NEWER), (own, recorded, Relation.OLDER)):
        code, _, _ = runner.run("merge-base", "--is-ancestor", old, new)
        if code == 0:  # 1 means "not as far as is known here", 128 that a commit is missing
            return relation
    return None
