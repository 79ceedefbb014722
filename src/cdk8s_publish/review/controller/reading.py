"""Which files of a branch a controller reads for one folder, as Flux does.

Source-controller packs the branch without what it ignores; kustomize-controller follows the kustomization file of the
folder, or makes one that lists all manifests below it (github.com/fluxcd/pkg/kustomize 1.35). Nothing is opened here
but kustomization files and `.sourceignore`.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from bisect import bisect_left
from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import MANIFEST_SUFFIXES
from cdk8s_publish.review.controller.kustomization import (
    GENERATORS,
    PATCHES,
    Kustomization,
    patch_moves,
    read_kustomization,
)
from cdk8s_publish.review.controller.paths import clone_fault, listing_fault, unpack_fault
from cdk8s_publish.review.controller.source_ignore import IGNORE_FILE, read_ignore_files
from cdk8s_publish.review.manifests import KUSTOMIZATION_FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping

    from cdk8s_publish.model import Sha

    ReadFile = Callable[[str], bytes]
    """Returns the contents of a file, by its path from the root of the branch."""

    _Told = tuple[str, str, list[tuple[str, Sha]]]
    """Where something is said in a kustomization file, what, and the files that this may mean."""

MAX_DEPTH = 50
"""So many kustomization files that list one another are followed."""

_JSON_SUFFIX = ".json"
_REMOTE = re.compile(r"[a-z+]+://|git@|git::|gh:|github\.com[:/]", re.IGNORECASE)


class Unknown(NamedTuple):
    """Why it can't be said what is applied.

    `file` is a path from the root of the branch, `rule` the name of the rule that is about this. With an `is_fault`
    controllers apply nothing at all; otherwise they do, and what, we can't tell. `mark` is empty where no resource can
    hide behind that, and else equal in two states that hide the same. `is_taking` says that it may also take away, or
    rename, a resource that is listed elsewhere. `generated` are names of objects that are made there.
    """

    file: str
    rule: str
    reason: str
    is_fault: bool
    mark: str = ""
    is_taking: bool = False
    generated: frozenset[str] = frozenset()


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


class Branch:
    """All regular files of one state of a branch, and what is the same for whatever folder of it is read."""

    def __init__(self, files: Mapping[str, Sha], read: ReadFile) -> None:
        """Take the files, with the ids of their contents; `read` is asked for those that configure a controller."""
        ignore_files = [path for path in files if f"/{path}".endswith(f"/{IGNORE_FILE}")]
        self.files, self.read = files, read
        self.ignored = read_ignore_files((path, read(path)) for path in ignore_files)
        self.packed = {path: blob for path, blob in files.items() if not self.ignored.holds(path)}
        self.folders = _folders(self.packed)
        self.configurations = _configurations(self.packed)
        self.unusable = (*_faults(files, clone_fault), *_faults(self.packed, unpack_fault))
        self._sorted = sorted(files)

    def below(self, folder: str) -> list[str]:
        """Return the files of a folder at any depth, sorted; that takes no look at the others."""
        prefix = _prefix(folder)
        start = bisect_left(self._sorted, prefix)
        end = bisect_left(self._sorted, f"{prefix[:-1]}0") if prefix else len(self._sorted)  # `0` follows the slash
        return self._sorted[start:end]

    def packed_below(self, folder: str) -> list[str]:
        """Return those of them that get into the artifact."""
        return [path for path in self.below(folder) if path in self.packed]


def read_folder(branch: Branch, folder: str) -> Reading:
    """Find the files that are read for a folder (`spec.path`; the root of the branch is empty).

    A folder that is not there applies nothing.
    """
    return _Reader(branch, folder).reading()


def with_folders(branch: Mapping[str, Sha], replaced: Mapping[str, Mapping[str, Sha]]) -> dict[str, Sha]:
    """Return the files of a branch on which these folders have been replaced by these files (paths below each)."""
    kept = {path: blob for path, blob in branch.items() if not _is_in_one_of(path, replaced)}
    for folder, files in replaced.items():
        kept |= {_prefix(folder) + path: blob for path, blob in files.items()}
    return kept


class _Reader:
    """Finds the files of one folder."""

    def __init__(self, branch: Branch, folder: str) -> None:
        self._branch = branch
        self._packed = branch.packed
        self._folder = folder
        self._files: dict[str, Sha] = {}
        self._kustomizations: dict[str, Kustomization] = {}
        self._unknown: list[Unknown] = []

    def reading(self) -> Reading:
        below = self._branch.below(self._folder)
        for path, fault in self._branch.unusable:
            self._fault(path, "unusable-name", fault)
        self._check_folder(is_there=bool(below))
        is_followed = self._folder in self._branch.configurations
        if is_followed:
            self._follow(self._folder, ())
        else:
            self._generate()
        json_files = [] if is_followed else [path for path in below if path.endswith(_JSON_SUFFIX)]
        for_argo = {path: self._branch.files[path] for path in json_files}
        ignored = [path for path in below if path.endswith(MANIFEST_SUFFIXES) and path not in self._packed]
        return Reading(self._folder, self._files, for_argo, tuple(ignored), self._kustomizations, tuple(self._unknown))

    def _fault(self, file: str, rule: str, reason: str, mark: str = "") -> None:
        self._unknown.append(Unknown(file, rule, reason, is_fault=True, mark=mark))

    def _check_folder(self, *, is_there: bool) -> None:
        """Find out whether the folder gets into the artifact: as an entry of its own, or with one of its files."""
        branch = self._branch
        is_packed = self._folder in branch.folders or not branch.ignored.holds(self._folder, is_folder=True)
        if self._folder and is_there and not is_packed:
            self._fault(self._folder, "source-ignore", f"{IGNORE_FILE} takes the whole folder away")

    def _generate(self) -> None:
        """List what kustomize-controller lists where the folder has no kustomization file."""
        prefix = _prefix(self._folder)
        own_file = f"{prefix}{KUSTOMIZATION_FILES[0]}"
        if own_file in self._branch.folders:
            self._fault(own_file, "kustomization-fault", "a folder is where the kustomization file has to be")
        units = self._units()
        listed = [path for path in self._branch.packed_below(self._folder) if path.endswith(MANIFEST_SUFFIXES)]
        if units:
            listed = [path for path in listed if not any(_is_below(path, unit) for unit in units)]
        self._check_listing(path.removeprefix(prefix) for path in (*listed, *units))
        self._files.update((path, self._packed[path]) for path in listed)
        for unit in units:
            self._follow(unit, (self._folder,))

    def _units(self) -> list[str]:
        """Return the uppermost folders below this one that have a kustomization file: each is listed as a whole."""
        found: list[str] = []
        below = [folder for folder in self._branch.configurations if _is_below(folder, self._folder)]
        for folder in sorted(below, key=lambda path: path.split("/")):
            if not found or not _is_below(folder, found[-1]):
                found.append(folder)
        return found

    def _follow(self, folder: str, above: tuple[str, ...]) -> None:
        """Take what the kustomization file of a folder lists; `above` are the folders that led here."""
        path, *more = self._branch.configurations[folder]
        if more:
            self._fault(
                more[0], "kustomization-fault", f"{posixpath.basename(path)} is a kustomization file of the same folder"
            )
        found = read_kustomization(self._branch.read(path), is_top=folder == self._folder)
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
        hiding: list[_Told] = []
        generated: set[str] = set()
        for name, settings in groupby(found.settings, lambda setting: setting[0].partition("/")[0].lower()):
            told = [(place, value, self._files_of(path, value)) for place, value in settings]
            if name in GENERATORS:
                generated.update(f"{name} {value}" for _, value, _ in told)
            elif name not in PATCHES or self._moves(told):
                hiding += told
        mark = hashlib.sha256(repr(hiding).encode(errors="surrogateescape")).hexdigest() if hiding else ""
        yield Unknown(
            path, "not-followed", reason, is_fault=False, mark=mark, is_taking=True, generated=frozenset(generated)
        )

    def _files_of(self, path: str, value: str) -> list[tuple[str, Sha]]:
        return self._named(posixpath.join(posixpath.dirname(path), value)) if value else []

    def _moves(self, told: Iterable[_Told]) -> bool:
        """Whether any of these patches does more than change what is in an object."""
        for place, value, files in told:
            contents = (self._branch.read(file).decode(errors="replace") for file, _ in files)
            if any(map(patch_moves, (place, value, *contents))):
                return True
        return False

    def _named(self, path: str) -> list[tuple[str, Sha]]:
        """Return the files that a setting of a kustomization file may mean: one, or those of a folder."""
        target = _normal(path)
        if target in self._packed:
            return [(target, self._packed[target])]
        if target not in self._branch.folders:
            return []
        return [(path, self._packed[path]) for path in self._branch.packed_below(target)]

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
        elif target in self._branch.configurations:
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
        if self._branch.configurations[folder][0] in self._kustomizations:
            self._fault(listing, "kustomization-fault", f"{folder} is listed twice")
        elif len(above) > MAX_DEPTH:
            reason = f"it is the last of {MAX_DEPTH} kustomization files that list each other"
            mark = self._mark(listing, folder)
            self._unknown.append(Unknown(listing, "not-followed", reason, is_fault=False, mark=mark))
        else:
            self._follow(folder, above)

    def _is_elsewhere(self, entry: str, target: str, listing: str) -> bool:
        """Whether an entry means nothing that is on the branch; say so, if so."""
        is_found = target in self._packed or target in self._branch.folders or target == ""
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


def _configurations(files: Iterable[str]) -> dict[str, list[str]]:
    """Return the kustomization files of each folder that has one."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in files:
        if path.endswith(KUSTOMIZATION_FILES):
            parent, name = posixpath.split(path)
            if name in KUSTOMIZATION_FILES:
                found[parent].append(path)
    return dict(found)


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


def _is_in_one_of(path: str, folders: Container[str]) -> bool:
    while path:
        path = path.rpartition("/")[0]
        if path in folders:
            return True
    return False


def _folders(files: Iterable[str]) -> set[str]:
    """Return all folders, at any depth, that hold one of these files."""
    found: set[str] = set()
    for path in files:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found
