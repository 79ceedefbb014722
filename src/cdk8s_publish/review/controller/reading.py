"""Which files of a branch a controller reads for one folder, as Flux does.

Source-controller packs the branch without what it ignores; kustomize-controller follows the kustomization file of the
folder, or makes one that lists all manifests below it (github.com/fluxcd/pkg/kustomize 1.35). Nothing is opened here
but kustomization files and `.sourceignore`.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import MANIFEST_SUFFIXES
from cdk8s_publish.review.controller.kustomization import Kustomization, read_kustomization
from cdk8s_publish.review.controller.paths import clone_fault, listing_fault, unpack_fault
from cdk8s_publish.review.controller.source_ignore import IGNORE_FILE, read_ignore_files
from cdk8s_publish.review.manifests import KUSTOMIZATION_FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from cdk8s_publish.model import Sha
    from cdk8s_publish.review.controller.source_ignore import Ignored

    ReadFile = Callable[[str], bytes]
    """Returns the contents of a file, by its path from the root of the branch."""

MAX_DEPTH = 50
"""So many kustomization files that list one another are followed."""

_JSON_SUFFIX = ".json"
_REMOTE = re.compile(r"[a-z+]+://|git@|git::|gh:|github\.com[:/]", re.IGNORECASE)


class Unknown(NamedTuple):
    """Why it can't be said what is applied.

    `file` is a path from the root of the branch, `rule` the name of the rule that is about this. With an `is_fault`
    controllers apply nothing at all; otherwise they do, and what, we can't tell. `mark` is empty where no resource can
    hide behind that, and else equal in two states that hide the same.
    """

    file: str
    rule: str
    reason: str
    is_fault: bool
    mark: str = ""


class Reading(NamedTuple):
    """Which files a controller reads for a folder, by their paths from the root of the branch.

    `files` are those whose documents are applied, with the ids of their contents. `argo_only` are read by Argo CD and
    not by Flux. `ignored` are manifests of the folder that do not get into the artifact. `kustomizations` are the
    kustomization files that are followed.
    """

    folder: str
    files: Mapping[str, Sha]
    argo_only: Mapping[str, Sha]
    ignored: tuple[str, ...]
    kustomizations: Mapping[str, Kustomization]
    unknown: tuple[Unknown, ...]


def read_folder(branch: Mapping[str, Sha], folder: str, read: ReadFile) -> Reading:
    """Find the files that are read for a folder (`spec.path`; the root of the branch is empty).

    `branch` are all regular files of the branch, with the ids of their contents. A folder that is not there applies
    nothing.
    """
    ignore_files = [path for path in branch if f"/{path}".endswith(f"/{IGNORE_FILE}")]
    ignored = read_ignore_files((path, read(path)) for path in ignore_files)
    return _Reader(branch, folder, ignored, read).reading()


def with_files(branch: Mapping[str, Sha], folder: str, files: Mapping[str, Sha]) -> dict[str, Sha]:
    """Return the files of a branch on which a folder has been replaced by these files (paths below the folder)."""
    prefix = f"{folder}/" if folder else ""
    others = {path: blob for path, blob in branch.items() if not path.startswith(prefix)}
    return others | {prefix + path: blob for path, blob in files.items()}


class _Reader:
    """Finds the files of one folder."""

    def __init__(self, branch: Mapping[str, Sha], folder: str, ignored: Ignored, read: ReadFile) -> None:
        self._branch = branch
        self._folder = folder
        self._ignored = ignored
        self._read = read
        self._packed = {path: blob for path, blob in branch.items() if not ignored.holds(path)}
        self._folders = _folders(self._packed)
        self._configurations: dict[str, list[str]] = defaultdict(list)
        for path in self._packed:
            if path.endswith(KUSTOMIZATION_FILES):
                parent, name = posixpath.split(path)
                if name in KUSTOMIZATION_FILES:
                    self._configurations[parent].append(path)
        self._files: dict[str, Sha] = {}
        self._kustomizations: dict[str, Kustomization] = {}
        self._unknown: list[Unknown] = []

    def reading(self) -> Reading:
        self._check_names()
        self._check_folder()
        is_followed = self._folder in self._configurations
        if is_followed:
            self._follow(self._folder, ())
        else:
            self._generate()
        below = [path for path in self._branch if path.startswith(_prefix(self._folder))]
        for_argo = {} if is_followed else {path: self._branch[path] for path in below if path.endswith(_JSON_SUFFIX)}
        ignored = [path for path in below if path.endswith(MANIFEST_SUFFIXES) and path not in self._packed]
        return Reading(self._folder, self._files, for_argo, tuple(ignored), self._kustomizations, tuple(self._unknown))

    def _fault(self, file: str, rule: str, reason: str, mark: str = "") -> None:
        self._unknown.append(Unknown(file, rule, reason, is_fault=True, mark=mark))

    def _check_names(self) -> None:
        for path, fault in _faults(self._branch, clone_fault):
            self._fault(path, "unusable-name", fault)
        for path, fault in _faults(self._packed, unpack_fault):
            self._fault(path, "unusable-name", fault)

    def _check_folder(self) -> None:
        """Find out whether the folder gets into the artifact: as an entry of its own, or with one of its files."""
        is_there = any(path.startswith(_prefix(self._folder)) for path in self._branch)
        is_packed = self._folder in self._folders or not self._ignored.holds(self._folder, is_folder=True)
        if self._folder and is_there and not is_packed:
            self._fault(self._folder, "source-ignore", f"{IGNORE_FILE} takes the whole folder away")

    def _generate(self) -> None:
        """List what kustomize-controller lists where the folder has no kustomization file."""
        prefix = _prefix(self._folder)
        own_file = f"{prefix}{KUSTOMIZATION_FILES[0]}"
        if own_file in self._folders:
            self._fault(own_file, "kustomization-fault", "a folder is where the kustomization file has to be")
        units = self._units()
        listed = [path for path in self._packed if path.startswith(prefix) and path.endswith(MANIFEST_SUFFIXES)]
        if units:
            listed = [path for path in listed if not any(_is_below(path, unit) for unit in units)]
        self._check_listing(path.removeprefix(prefix) for path in (*listed, *units))
        self._files.update((path, self._packed[path]) for path in listed)
        for unit in units:
            self._follow(unit, (self._folder,))

    def _units(self) -> list[str]:
        """Return the uppermost folders below this one that have a kustomization file: each is listed as a whole."""
        found: list[str] = []
        for folder in sorted(self._configurations, key=lambda path: path.split("/")):
            is_covered = bool(found) and _is_below(folder, found[-1])
            if _is_below(folder, self._folder) and not is_covered:
                found.append(folder)
        return found

    def _follow(self, folder: str, above: tuple[str, ...]) -> None:
        """Take what the kustomization file of a folder lists; `above` are the folders that led here."""
        path, *more = self._configurations[folder]
        if more:
            self._fault(
                more[0], "kustomization-fault", f"{posixpath.basename(path)} is a kustomization file of the same folder"
            )
        found = read_kustomization(self._read(path), is_top=folder == self._folder)
        self._kustomizations[path] = found
        if found.fault:
            self._fault(path, "kustomization-fault", found.fault, self._packed[path])
        self._unknown += self._not_followed(path, found)
        for entry in found.resources:
            self._take(entry, path, (*above, folder))

    def _not_followed(self, path: str, found: Kustomization) -> Iterator[Unknown]:
        if not found.others:
            return
        reason = f"it uses {', '.join(f'`{name}`' for name in found.others)}, which is not followed"
        mark = hashlib.sha256()
        for place, value in found.settings:
            files = self._named(posixpath.join(posixpath.dirname(path), value)) if value else []
            mark.update(repr((place, value, files)).encode(errors="surrogateescape"))
        yield Unknown(path, "not-followed", reason, is_fault=False, mark=mark.hexdigest() if found.settings else "")

    def _named(self, path: str) -> list[tuple[str, Sha]]:
        """Return the files that a setting of a kustomization file may mean: one, or those of a folder."""
        target = _normal(path)
        if target in self._packed:
            return [(target, self._packed[target])]
        if target not in self._folders:
            return []
        return sorted((path, blob) for path, blob in self._packed.items() if _is_below(path, target))

    def _take(self, entry: str, listing: str, above: tuple[str, ...]) -> None:
        """Take an entry of a list: a file, or a folder with a kustomization file of its own."""
        target = _normal(posixpath.join(above[-1], entry))
        if not entry or self._is_elsewhere(entry, target, listing):
            return
        if len(above) == 1:
            self._check_listing([entry])
        if target in self._packed:
            self._add(target, listing)
        elif any(_is_at_or_below(folder, target) for folder in above):
            self._fault(listing, "kustomization-fault", f"it lists {entry}, which leads back to it")
        elif target in self._configurations:
            self._descend(target, listing, above)
        else:
            self._fault(
                listing,
                "kustomization-fault",
                f"it lists {entry}, a folder without a kustomization file",
                self._mark(listing, entry),
            )

    def _descend(self, folder: str, listing: str, above: tuple[str, ...]) -> None:
        """Follow a folder once: twice it holds every resource twice, and again in every folder that it lists."""
        if self._configurations[folder][0] in self._kustomizations:
            self._fault(listing, "kustomization-fault", f"{folder} is listed twice")
        elif len(above) > MAX_DEPTH:
            reason = f"it is the last of {MAX_DEPTH} kustomization files that list each other"
            mark = self._mark(listing, folder)
            self._unknown.append(Unknown(listing, "not-followed", reason, is_fault=False, mark=mark))
        else:
            self._follow(folder, above)

    def _is_elsewhere(self, entry: str, target: str, listing: str) -> bool:
        """Whether an entry means nothing that is on the branch; say so, if so."""
        is_found = target in self._packed or target in self._folders or target == ""
        if is_found and not entry.startswith("/"):
            return False
        reason, mark = f"it lists {entry}, which is not on the branch", self._mark(listing, entry)
        if _REMOTE.match(entry):
            self._unknown.append(Unknown(listing, "not-followed", reason, is_fault=False, mark=mark))
        else:
            self._fault(listing, "kustomization-fault", reason, mark)
        return True

    def _mark(self, listing: str, entry: str) -> str:
        return f"{self._packed[listing]} {entry}"

    def _check_listing(self, entries: Iterable[str]) -> None:
        for entry, fault in _faults(tuple(entries), listing_fault):
            self._fault(posixpath.join(self._folder, entry), "unusable-name", fault)

    def _add(self, path: str, listing: str) -> None:
        if path in self._files:
            self._fault(listing, "kustomization-fault", f"{path} is listed twice")
        self._files[path] = self._packed[path]


def _faults(paths: Collection[str], find: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Yield the paths with a fault in one of their names. All together are looked at first, for most have none."""
    if find("/".join(paths)):
        for path in paths:
            if fault := find(path):
                yield path, fault


def _prefix(folder: str) -> str:
    return f"{folder}/" if folder else ""


def _normal(path: str) -> str:
    """Return a path without detours; the root of the branch is empty, what is above it starts with two dots."""
    target = posixpath.normpath(path)
    return "" if target == "." else target


def _is_below(path: str, folder: str) -> bool:
    return path != folder and path.startswith(_prefix(folder))


def _is_at_or_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(_prefix(folder))


def _folders(files: Iterable[str]) -> set[str]:
    """Return all folders, at any depth, that hold one of these files."""
    found: set[str] = set()
    for path in files:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found
