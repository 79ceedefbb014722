"""What source-controller leaves out of an artifact: its list, and what `.sourceignore` files say.

The patterns look like those of git and mean less (github.com/fluxcd/pkg/sourceignore 0.18, made of go-git's): the last
one that matches decides, also for a file whose folder is left out; `**` means something as a whole part only; a `*`
never crosses a slash; in brackets `^` stands for "none of", and `!` for itself.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

IGNORE_FILE = ".sourceignore"


class _Names(NamedTuple):
    """Names that are left out at any depth with all below them, those of folders only, and endings of names."""

    names: frozenset[str]
    folders: frozenset[str]
    endings: tuple[str, ...]

    def hold(self, path: str, *, is_folder: bool) -> bool:
        parent, _, name = path.rpartition("/")
        if name in self.names or name.endswith(self.endings) or (is_folder and name in self.folders):
            return True
        return bool(parent) and _hold_folder(self, parent)


@lru_cache(maxsize=1_024)
def _hold_folder(names: _Names, path: str) -> bool:
    """Remember the folders: there are fewer of them than files."""
    return names.hold(path, is_folder=True)


_ALWAYS = _Names(frozenset({".gitignore", ".gitmodules", ".gitattributes"}), frozenset({".git"}), ())
_BY_DEFAULT = _Names(
    _ALWAYS.names
    | {".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml", "cloudbuild.yaml", "codeship-services.yml"}
    | {"codeship-steps.yml", ".goreleaser.yml", ".sops.yaml", ".flux.yaml"},
    _ALWAYS.folders | {".github", ".circleci"},
    (".jpg", ".jpeg", ".gif", ".png", ".wmv", ".flv", ".tar.gz", ".zip"),
)
"""What is left out unless some `.sourceignore` of the branch holds a pattern."""


class Pattern(NamedTuple):
    """One line of a `.sourceignore`.

    `folder` are the names of the folder that holds it. `parts` is the pattern cut at its slashes: with a single one it
    matches a name at any depth. An `is_exception` takes files in again.
    """

    folder: tuple[str, ...]
    parts: tuple[str, ...]
    is_exception: bool
    is_for_folders: bool

    def matches(self, names: Sequence[str], *, is_folder: bool) -> bool:
        """Whether a path, as the names of its folders and its own, is meant."""
        depth = len(self.folder)
        if len(names) <= depth or tuple(names[:depth]) != self.folder:
            return False
        below = names[depth:]
        if len(self.parts) == 1:
            return self._matches_a_name(below, is_folder=is_folder)
        return self._matches_from_the_start(below, is_folder=is_folder)

    def _matches_a_name(self, names: Sequence[str], *, is_folder: bool) -> bool:
        rest = _below_match(self.parts[0], names, may_skip=True)
        return rest is not None and self._is_reached(rest, is_folder=is_folder)

    def _matches_from_the_start(self, names: Sequence[str], *, is_folder: bool) -> bool:
        rest = names
        may_skip = has_matched = False
        for part in self.parts:
            if part in {"", "**"}:
                may_skip = part == "**"
                continue
            below = _below_match(part, rest, may_skip=may_skip)
            if below is None or "**" in part:
                return False
            rest, has_matched, may_skip = below, True, False
        return has_matched and self._is_reached(rest, is_folder=is_folder)

    def _is_reached(self, rest: Sequence[str], *, is_folder: bool) -> bool:
        """Whether a match with these names below it counts: a pattern for folders needs a folder, or a name in it."""
        return not self.is_for_folders or is_folder or bool(rest)


class Ignored(NamedTuple):
    """Everything that leaves files out of the artifact of one branch; a later pattern outweighs an earlier one."""

    patterns: tuple[Pattern, ...] = ()

    def holds(self, path: str, *, is_folder: bool = False) -> bool:
        """Whether a file, or the entry of a folder, is left out; `path` starts at the root of the branch."""
        if not self.patterns:
            return _BY_DEFAULT.hold(path, is_folder=is_folder)
        names = path.split("/")
        for pattern in reversed(self.patterns):
            if pattern.matches(names, is_folder=is_folder):
                return not pattern.is_exception
        return _ALWAYS.hold(path, is_folder=is_folder)


def read_ignore_files(files: Iterable[tuple[str, bytes]]) -> Ignored:
    """Return what the `.sourceignore` files of a branch say; `files` are their paths and contents."""
    by_folder = sorted(((tuple(path.split("/")[:-1]), data) for path, data in files), key=lambda one: one[0])
    return Ignored(tuple(pattern for folder, data in by_folder for pattern in _patterns(folder, data)))


def _patterns(folder: tuple[str, ...], data: bytes) -> Iterable[Pattern]:
    for line in data.decode(errors="surrogateescape").split("\n"):
        text = line.removesuffix("\r")
        if text.strip() and not text.startswith("#"):
            yield _pattern(folder, text)


def _pattern(folder: tuple[str, ...], text: str) -> Pattern:
    is_exception = text.startswith("!")
    text = text[1:] if is_exception else text
    text = text if text.endswith("\\ ") else text.rstrip(" ")
    is_for_folders = text.endswith("/")
    parts = tuple(text.removesuffix("/").split("/"))
    return Pattern(folder, parts, is_exception, is_for_folders)


def _below_match(part: str, names: Sequence[str], *, may_skip: bool) -> Sequence[str] | None:
    """Return the names below the one that matches: the first, or with `may_skip` any; None where none does."""
    is_match = _glob(part)
    for number, name in enumerate(names if may_skip else names[:1]):
        if is_match(name):
            return names[number + 1 :]
    return None


@lru_cache
def _glob(pattern: str) -> Callable[[str], object]:
    """Return a function that says whether a name matches (Go's `filepath.Match`); a broken pattern never does."""
    try:
        return re.compile(_translated(pattern), re.DOTALL).fullmatch
    except ValueError:
        return lambda _name: False


def _translated(pattern: str) -> str:
    """Return the regular expression of a pattern for one name."""
    pieces, position = [""], 0
    while position < len(pattern):
        character = pattern[position]
        if character == "*":
            pieces.append("")
            position += 1
        elif character == "?":
            pieces[-1] += "."
            position += 1
        elif character == "[":
            part, position = _class(pattern, position + 1)
            pieces[-1] += part
        else:
            character, position = _character(pattern, position)
            pieces[-1] += re.escape(character)
    first, *between = pieces
    if not between:
        return first
    # What follows a star is best found as early as possible, all but the end; nothing has to be tried twice then.
    last = between.pop()
    return first + "".join(f"(?>.*?{piece})" for piece in between) + f".*{last}"


def _class(pattern: str, position: int) -> tuple[str, int]:
    """Return the class whose members begin here as a regular expression, and where the pattern goes on."""
    is_negated = pattern.startswith("^", position)
    position += is_negated
    ranges: list[tuple[str, str]] = []
    while not ranges or not pattern.startswith("]", position):
        if pattern.startswith(("-", "]"), position):
            raise ValueError("a member is missing")
        low, position = _character(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _character(pattern, position + 1)
        ranges.append((low, high))
    # A range without members is fine for Go, but not for Python.
    members = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges if low <= high)
    if not members:
        return "." if is_negated else "(?!)", position + 1
    return f"[{'^' * is_negated}{members}]", position + 1


def _character(pattern: str, position: int) -> tuple[str, int]:
    """Return one character, which a backslash may be put before, and where the pattern goes on."""
    position += pattern.startswith("\\", position)
    if position >= len(pattern):
        raise ValueError("the pattern ends too early")
    return pattern[position], position + 1
