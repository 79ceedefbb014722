"""The versions of the tools on this machine, as far as a render can depend on them."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from cdk8s_publish.render.dependencies import ECOSYSTEMS, upwards
from cdk8s_publish.render.environment import AppEnvironment
from cdk8s_publish.render.managers.java import JAVA
from cdk8s_publish.render.workspace.digests import file_digest

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from concurrent.futures import Executor, Future

    from cdk8s_publish.render.discover import App
    from cdk8s_publish.render.environment import RunAs

_log = logging.getLogger(__name__)

PROBE_S = 30
VERSION_COMMANDS = (
    *(command for ecosystem in ECOSYSTEMS if ecosystem is not JAVA for command in ecosystem.version_commands),
    "helm version --short",
)
"""A Helm chart is rendered by the helm on the machine. Java is only asked for apps in Java: it takes as long as all
others together."""
VERSION_FILES = (
    ".tool-versions",
    "mise.toml",
    ".mise.toml",
    *(name for ecosystem in ECOSYSTEMS for name in ecosystem.version_files),
)
"""Files by which version managers (asdf, mise, nvm, fnm, pyenv, jenv) choose what a tool's name stands for."""

_NO_PROGRAM = r"[\s;&|()<>{}$`\"'=]+"
"""What stands between the words of a shell command that can be names of programs."""


class Toolchain:
    """The tools of this machine; each is asked once, in each folder in which it may be another one.

    They are asked in threads of `beside`, at once where nearly every checkout needs the answer: `node` takes as long
    to say its version as fifty apps to be found. `scratch` holds their home folder: Go notes there that it was
    started.
    """

    def __init__(self, run_as: RunAs, scratch: Path, beside: Executor) -> None:
        """Ask in the root of the checkout where apps are hermetic; nobody else needs an answer."""
        self._run_as, self._scratch, self._beside = run_as._replace(timeout_s=PROBE_S), scratch, beside
        java = run_as.environ.get("JAVA_HOME")
        self._path = os.pathsep.join(filter(None, (f"{java}/bin" if java else "", run_as.environ.get("PATH"))))
        self._versions: dict[tuple[str, bool], Future[list[str]]] = {}
        self._digests: dict[str, str] = {}
        if run_as.is_hermetic:
            self._ask("", is_java=False)

    def versions(self, app: App, names: Container[str]) -> list[str]:
        """Return the versions of an app's tools, asked where a version manager would look for a file of its own.

        `names` are the files of the checkout.
        """
        folders = (one for one in upwards(app.directory) if any(f"{one}/{name}" in names for name in VERSION_FILES))
        return self._ask(next(folders, ""), is_java=app.language == JAVA.name).result()

    def programs(self, commands: Iterable[str]) -> list[str]:
        """Return digests of the programs that commands name, but for those whose version is asked."""
        words = {word for command in commands for word in re.split(_NO_PROGRAM, command)}
        asked = {_program(command) for command in (*VERSION_COMMANDS, *JAVA.version_commands)}
        return [digest for word in sorted(words - asked) if (digest := self._digest(word))]

    def _digest(self, word: str) -> str:
        if word not in self._digests:
            # A path that is relative is one in the checkout.
            program = shutil.which(word, path=self._path) if word.startswith("/") or "/" not in word else None
            with contextlib.suppress(PermissionError):
                self._digests[word] = f"{word} {file_digest(program)}" if program else ""
        return self._digests.get(word, "")

    def _ask(self, folder: str, *, is_java: bool) -> Future[list[str]]:
        key = (folder, is_java)
        if key not in self._versions:
            commands = (*VERSION_COMMANDS, *JAVA.version_commands) if is_java else VERSION_COMMANDS
            there = [command for command in commands if shutil.which(_program(command), path=self._path)]
            self._versions[key] = self._beside.submit(self._answers, folder, there)
        return self._versions[key]

    def _answers(self, folder: str, commands: list[str]) -> list[str]:
        where = AppEnvironment(folder, self._run_as.workspace, self._scratch, self._run_as, _log.debug)
        variables = {**self._run_as.environ, "HOME": str(where.home), "PATH": self._path}

        def answer(command: str) -> str:
            return f"{command}: {' '.join(where.run(command, variables).excerpt)}"

        with ThreadPoolExecutor(len(commands) or 1) as pool:
            return [*pool.map(answer, commands), *self._cdk8s()]

    def _cdk8s(self) -> list[str]:
        """Return what tells the version of the cdk8s CLI, which takes a second to say it."""
        program = shutil.which("cdk8s", path=self._path)
        if not program:
            return []
        package = Path(os.path.realpath(program)).parent.parent / "package.json"
        return [file_digest(str(package)) if package.is_file() else program]


def _program(command: str) -> str:
    return command.split(maxsplit=1)[0]
