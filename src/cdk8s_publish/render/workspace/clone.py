"""The git folder of a private copy: a repository of its own that borrows the objects of the original one.

Git answers in the copy what it answers in the checkout (`describe --dirty`, `rev-parse @{u}`, `status`), also for a
submodule, a worktree, a shallow and a partial clone. `git clone --shared` makes something else: it renames refs, has
no index, and copies all objects where the original is shallow. The files that are copied are those of the format
(git-scm.com, gitrepository-layout); the configuration is a new one, made of what is known to hold no credential and
to run no program.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.git.names import config_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECOND_NS = 1_000_000_000

_OWN_FILES = ("HEAD", "index", "info/sparse-checkout")
"""Each worktree has its own; `sharedindex.*` are parts of the index."""
_COMMON_FILES = ("packed-refs", "shallow", "info/exclude", "info/attributes")
_COMMON_FOLDERS = ("refs", "reftable")

_KEPT_KEYS = re.compile(
    r"core\.(repositoryformatversion|filemode|ignorecase|symlinks|precomposeunicode|autocrlf|eol"
    r"|sparsecheckout|sparsecheckoutcone)"
    r"|extensions\.(objectformat|refstorage|partialclone)"
    r"|remote\..+\.(url|fetch|promisor|partialclonefilter)"
    r"|branch\..+\.(remote|merge)"
    r"|submodule\.(.+\.)?(url|active)",
    re.IGNORECASE | re.DOTALL,
)
_FIXED_CONFIG = """\
[core]
\tbare = false
\ttrustctime = false
\tcheckStat = minimal
"""
"""The copy's files have the times and sizes that the index has noted, but other inodes. Without these settings git
would read each of them again, and take those for modified that a filter has changed (Git LFS): there is none here."""

_SECTION = re.compile(r'\s*\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_PART = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<comment>[;#].*)|(?P<plain>\\.|[^"])')
_VARIABLE = re.compile(r"\s*([A-Za-z][\w-]*)\s*=\s*(.*?)\s*$")


class Repository(NamedTuple):
    """The git folder of a checkout or a submodule; a worktree shares what is `common` with others."""

    folder: Path
    common: Path


def find_repository(checkout: Path) -> Repository | None:
    """Return the repository of a checkout, following the `gitdir:` line of a worktree or a submodule."""
    folder = checkout / ".git"
    if folder.is_file():
        folder = checkout / folder.read_text(errors="surrogateescape").removeprefix("gitdir:").strip()
    if not folder.is_dir():
        return None
    common = folder
    if (folder / "commondir").is_file():
        common = folder / (folder / "commondir").read_text(errors="surrogateescape").strip()
    return Repository(Path(os.path.realpath(folder)), Path(os.path.realpath(common)))


def object_folders(repository: Path) -> Iterator[Path]:
    """Yield where a repository and its submodules keep their objects; those may be in folders of folders."""
    objects, modules = repository / "objects", repository / "modules"
    if objects.is_dir():
        yield objects
    below = modules if objects.is_dir() else repository
    for folder in sorted(below.iterdir()) if below.is_dir() else ():
        if folder.is_dir():
            yield from object_folders(folder)


def clone(source: Repository, checkout: Path, target: Path, newest: Mapping[int, int]) -> None:
    """Make the git folder `target` for a copy of `checkout`, whose repository is `source`.

    `newest` holds, by second, the latest time (nanoseconds) of a file in the checkout that was written in it.
    """
    (target / "objects" / "info").mkdir(parents=True)
    (target / "info").mkdir()
    alternates = target / "objects" / "info" / "alternates"
    alternates.write_text(f"{source.common}/objects\n", errors="surrogateescape")
    shared_indexes = [path.name for path in source.folder.glob("sharedindex.*")]
    for folder, names in ((source.folder, [*_OWN_FILES, *shared_indexes]), (source.common, _COMMON_FILES)):
        for name in names:
            if (folder / name).is_file():
                shutil.copy2(folder / name, target / name)
    for name in _COMMON_FOLDERS:
        if (source.common / name).is_dir():
            shutil.copytree(source.common / name, target / name, symlinks=True)
    (target / "refs").mkdir(exist_ok=True)
    (target / "config").write_text(_config(source, checkout), errors="surrogateescape")
    if (target / "index").is_file():
        _age(target / "index", newest)


def _age(index: Path, newest: Mapping[int, int]) -> None:
    """Make an index newer than all that it lists, where that is so.

    Git counts in seconds: it reads every file again that was written in the second of the index, for it may have been
    changed since. We know better.
    """
    written = index.stat().st_mtime_ns
    second = written // _SECOND_NS
    if newest.get(second, 0) <= written:
        later = (second + 1) * _SECOND_NS
        os.utime(index, ns=(later, later))


def _config(source: Repository, checkout: Path) -> str:
    sections = list[str]()
    for file in (source.common / "config", source.folder / "config.worktree"):
        if not file.is_file():
            continue
        for header, key, raw in _variables(file.read_text(errors="surrogateescape")):
            value = _harmless(_unquoted(raw), checkout)
            if value is not None:
                sections.append(f"{header}\n\t{key} = {config_value(value)}\n")
    return "".join(sections) + _FIXED_CONFIG


def _variables(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the header, key and value, as written, of each variable that is kept."""
    section = subsection = ""
    for line in text.splitlines():
        header = _SECTION.match(line)
        if header:
            section, subsection = header[1], header[2] or ""
        # Git allows a variable behind its section's header.
        variable = _VARIABLE.match(line[header.end() :] if header else line)
        if variable:
            name = ".".join(filter(None, (section, subsection, variable[1])))
            if _KEPT_KEYS.fullmatch(name):
                yield f'[{section} "{subsection}"]' if subsection else f"[{section}]", variable[1], variable[2]


def _unquoted(raw: str) -> str:
    """Return what a value means that may be quoted, in part or as a whole, and may end in a comment."""
    parts = list[str]()
    for match in _PART.finditer(raw):
        if match["comment"]:
            break
        parts.append(re.sub(r"\\(.)", r"\1", match["quoted"] if match["quoted"] is not None else match["plain"]))
    return "".join(parts).strip()


def _harmless(value: str, checkout: Path) -> str | None:
    """Return a value without the credential in its URL, and a path relative to the checkout as an absolute one.

    None stands for the address of a remote helper, which is a program and its arguments (git-remote-ext).
    """
    if re.match(r"[\w-]+::", value):
        return None
    if "://" in value:
        without_user = re.sub(r"^([\w+.-]+://)[^/]*@", r"\1", value)
        return re.split("[?#]", without_user, maxsplit=1)[0]
    if value.startswith(("./", "../")) and (checkout / value).exists():
        return os.path.normpath(checkout / value)
    return value
