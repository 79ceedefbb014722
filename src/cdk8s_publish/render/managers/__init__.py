"""What every ecosystem says about its package managers; each has a module of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def _none_missing(folder: Path) -> Sequence[str]:  # noqa: ARG001 - every check of a lock file is given the folder
    return ()


def _all_pinned(workspace: Path, folder: Path) -> str:  # noqa: ARG001 - as above
    return ""


class Manager(NamedTuple):
    """A package manager, recognised by files that lie together in one folder.

    The last of `files` must contain the text `contains`. `program` is what a user types, `command` the shell command
    that installs in that folder; it is empty where the app command fetches what it needs. `replaces` are the folders
    that it makes, below that folder. A manager that is not `is_locked` installs whatever is newest.

    A program whose `--version` matches `too_old` (a regular expression) does not read the lock file, and would install
    the newest without a word. `unpinned` gets the checkout and the folder, and returns the first requirement that a
    lock file leaves open. `missing_in_lock` gets the folder afterwards, and returns what was installed although the
    lock file lacks it: for a manager that does not see that by itself.
    """

    name: str
    program: str
    files: tuple[str, ...]
    command: str
    replaces: tuple[str, ...] = ()
    is_locked: bool = True
    contains: str = ""
    has_corepack: bool = False
    too_old: str = ""
    unpinned: Callable[[Path, Path], str] = _all_pinned
    missing_in_lock: Callable[[Path], Sequence[str]] = _none_missing

    def is_found_in(self, folder: str) -> bool:
        """Whether the folder holds its files; asked thousands of times in a monorepo, hence without a path object."""
        if not all(os.path.isfile(f"{folder}/{file}") for file in self.files):  # noqa: PTH113 - `Path.is_file` makes an object for each question
            return False
        return not self.contains or self.contains in Path(folder, self.files[-1]).read_text(errors="replace")

    @property
    def signs(self) -> str:
        """The files that it is recognised by, in words."""
        return " and ".join(self.files) + (f" with `{self.contains}`" if self.contains else "")


class Ecosystem(NamedTuple):
    """A language's package managers, in the order in which they are looked for, and what they have in common.

    `languages` are the values of `language` in cdk8s.yaml that mean it. Where none is named and `word` is not empty,
    the files count only for an app command with that word in it. `version_commands` print the versions of its tools.
    `version_files` are those by which version managers choose what a tool's name stands for. `manifests` are what
    package managers with workspaces read of each package.

    `variables` gets the cache folder and returns the variables that make package managers and runtimes keep downloads
    in it; the user's own win. `fixed_variables` win over the user's. `own_installation` is a regular expression for a
    command that installs by itself.
    """

    name: str
    languages: tuple[str, ...]
    managers: tuple[Manager, ...]
    variables: Callable[[str], Mapping[str, str]]
    version_commands: tuple[str, ...] = ()
    version_files: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    fixed_variables: Mapping[str, str] = {}
    own_installation: str = ""
    word: str = ""
