"""A git branch as the sink: look at its tip, compose the next commit beside it, move the ref by compare-and-swap."""

from __future__ import annotations

import logging
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, cast

from cdk8s_publish import report
from cdk8s_publish.errors import BranchError, InputError, RemoteError
from cdk8s_publish.git import urls
from cdk8s_publish.git.names import is_ref_name
from cdk8s_publish.model import Finding, Level, Relation
from cdk8s_publish.publish.branch import hydrator, ownership
from cdk8s_publish.publish.branch.fast_import import FolderWrite, Identity
from cdk8s_publish.publish.branch.repository import NOTES_REF, RefMove
from cdk8s_publish.publish.sink import Claim, Observed
from cdk8s_publish.rules.findings import raise_for_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from cdk8s_publish.inputs.declared import CommitInputs
    from cdk8s_publish.model import Folder, RenderedManifests, Sha
    from cdk8s_publish.publish.branch.ownership import Origin
    from cdk8s_publish.publish.branch.repository import Repository, Tip
    from cdk8s_publish.publish.branch.signing import Signer

_log = logging.getLogger(__name__)

_BRANCH_HINT = "Set the input `branch` to a branch of its own, for example `manifests`."
_NEW_BRANCH_HINT = (
    "Set the input `branch` to one that does not exist yet; the first publish makes it, with a history of its own."
)


class CommitStyle(NamedTuple):
    """What a commit on the branch looks like, and who signs it, where it shall be signed."""

    inputs: CommitInputs
    signer: Signer | None = None


class BranchSink:
    """A branch of a remote repository; see `Sink` for what each method promises."""

    def __init__(
        self,
        name: str,
        claim: Claim,
        repository: Repository,
        origin: Origin,
        style: CommitStyle,
    ) -> None:
        """Publish to the branch `name` of the repository's remote."""
        self.name, self.claim = name, claim
        self._repository, self._origin, self._style = repository, origin, style
        self._stored: set[tuple[str, Sha]] = set()
        self._left_alone: set[str] = set()

    def look(self) -> Observed:
        """Look at the branch.

        Raises:
            RemoteError: it can't be read. BranchError: it is one that must never be replaced.

        """
        limit = self._style.inputs.history.limit or 1
        tip = self._repository.look(self.name, depth=limit, also=_source_refs(self._origin))
        is_ours = cache(lambda: any(folder.is_managed for folder in self._repository.folders(tip, tip.recorded)))
        guard_branch(self._origin, tip, is_ours)
        guard_history(self._origin, tip, self._repository.history_of_others(tip))
        abandoned = self._abandoned(tip)
        folders = (*self._repository.folders(tip, self.claim.paths), *abandoned)
        is_signed = self._is_signed(tip)
        if not is_signed:  # what stands in for a render is what somebody else may have written
            folders = tuple(folder._replace(fingerprint="") for folder in folders)
        own = {folder.path for folder in folders}
        origin = self._origin._replace(tip=self._tips(tip))
        relations = {folder.path: _relation(folder, origin) for folder in folders}
        return Observed(
            revision=tip.sha,
            folders=folders,
            abandoned=tuple(folder.path for folder in abandoned),
            others=tuple(path for path in tip.recorded if path not in own),
            is_foreign=bool(tip.entries) and not (any(folder.is_managed for folder in folders) or is_ours()),
            relations=relations,
            files=tip.plain_files(),
            unsigned=() if is_signed else _beside(tip, own),
            owners=self._owners(folders, relations),
            other_refs=_other_refs(folders, origin),
            former=self._former(tip, folders),
            messages=self._origin.messages(sorted({folder.record for folder in folders if folder.record})),
            state=tip,
        )

    def read(self, digests: Iterable[Sha]) -> Mapping[Sha, bytes]:
        """Read published files."""
        return self._repository.blobs(digests)

    def move(self, seen: Observed, rendered: tuple[RenderedManifests, ...], counts: Mapping[str, int]) -> Sha:
        """Push one commit that replaces the folders, the note on it and the tag, all or none."""
        tip, source = cast("Tip", seen.state), self._origin.revision
        self._store(seen, rendered)
        tree = self._repository.write(tip, self._writes(seen, rendered, counts))
        parents = self._repository.parents(tip, self._style.inputs.history, self._style.signer)
        message = report.commit_message(self._style.inputs.commit_message, source, counts)
        sha = self._signed(self._repository.commit(tree, parents, message, self._identity))
        notes = self._annotate(tip, sha, seen.abandoned)
        # The note moves with the branch, also where it says nothing new: its lease is what an unchanged run, which
        # moves nothing but the note, races against.
        branch = RefMove(f"refs/heads/{tip.branch}", sha, tip.sha)
        self._push((branch, RefMove(NOTES_REF, notes, tip.notes), *self._tag(sha)))
        return sha

    def record(self, seen: Observed) -> None:
        """Note the source commit on the tip, so that an older run is told from a newer one."""
        tip, source = cast("Tip", seen.state), self._origin.revision
        if tip.sha is None:
            return
        moves = self._tag(tip.sha)
        if not all(self._is_noted(folder, source.sha) for folder in seen.folders):
            notes = self._annotate(tip, tip.sha)
            branch = RefMove(f"refs/heads/{tip.branch}", tip.sha, tip.sha)
            moves = (branch, RefMove(NOTES_REF, notes, tip.notes), *moves)
        if moves:
            self._push(moves)

    def _tips(self, tip: Tip) -> Callable[[str], Sha | None]:
        """Return how a look learns what refs of the sources hold: one request for each that it has not seen."""
        return cache(lambda ref: tip.others[ref] if ref in tip.others else self._origin.tip(ref))

    @property
    def _identity(self) -> Identity:
        return Identity(self._style.inputs.author, self._origin.revision.date)

    def _owners(self, folders: Sequence[Folder], relations: Mapping[str, Relation]) -> dict[str, str]:
        found = {}
        for folder in folders:
            directory = self.claim.directories.get(folder.path, folder.directory or ".")
            if owner := ownership.owner(folder, directory, self._origin, relations[folder.path]):
                found[folder.path] = owner
        return found

    def _is_noted(self, folder: Folder, source: Sha) -> bool:
        return folder.record == source and folder.fingerprint == self.claim.fingerprints.get(folder.path, "")

    def _abandoned(self, tip: Tip) -> tuple[Folder, ...]:
        """Return the folders of apps that a pattern of this run used to find, and that the source commit has no more.

        Only what came from this very repository and a folder that matches, and is where this run would put it, counts:
        others may publish beside us, and so may another job that renders the same apps for another environment. The
        commit is asked and not the disk, of which a sparse checkout shows a part.
        """
        if not self.claim.patterns:
            return ()
        others = [path for path in tip.recorded if path not in self.claim.directories]
        ours = [folder for folder in self._repository.folders(tip, others) if self._was_ours(folder)]
        return tuple(folder for folder in ours if not self._is_still_there(folder))

    def _former(self, tip: Tip, folders: Sequence[Folder]) -> tuple[str, ...]:
        """Return other folders that hold what was published of the apps that come to a folder of their own now.

        They may be those of another environment of the same app, which only people can tell.
        """
        new = {self.claim.directories[folder.path] for folder in folders if not (folder.files or folder.is_managed)}
        if not new:
            return ()
        own = {folder.path for folder in folders}
        others = self._repository.folders(tip, [path for path in tip.recorded if path not in own])
        return tuple(other.path for other in others if other.directory in new and self._has_our_source(other))

    def _has_our_source(self, folder: Folder) -> bool:
        return self._is_from_our_repository(folder) and folder.source_ref in {"", self._origin.revision.ref}

    def _is_from_our_repository(self, folder: Folder) -> bool:
        return urls.normal(folder.source_url) == urls.normal(self._origin.url)

    def _is_still_there(self, folder: Folder) -> bool:
        if not self._origin.holds_app(folder.directory or "."):
            return False
        if folder.path not in self._left_alone:
            self._left_alone.add(folder.path)
            _log.warning(
                "`%s` is left alone: this run does not find its app, but the source commit still has the folder `%s`",
                folder.path,
                folder.directory,
            )
        return True

    def _was_ours(self, folder: Folder) -> bool:
        if not self._is_from_our_repository(folder) or not folder.directory:
            return False
        if folder.path != self.claim.path_of(folder.directory):
            return False
        return any(_matches(folder.directory, pattern) for pattern in self.claim.patterns)

    def _store(self, seen: Observed, rendered: tuple[RenderedManifests, ...]) -> None:
        """Write the bytes that the tip does not hold at the same path, once, however often the race is lost."""
        published = {folder.path: folder for folder in seen.folders}
        missing = []
        for item in rendered:
            held = published[item.path].files
            files = [
                file
                for file in item.files
                if held.get(file.path) != file.blob and (item.path, file.blob) not in self._stored
            ]
            self._stored.update((item.path, file.blob) for file in files)
            missing += files
        self._repository.store(missing)

    def _writes(
        self, seen: Observed, rendered: tuple[RenderedManifests, ...], counts: Mapping[str, int]
    ) -> list[FolderWrite]:
        published = {folder.path: folder for folder in seen.folders}
        writes = []
        for item in rendered:
            metadata = None
            if item.path not in seen.abandoned:
                directory = self.claim.directories[item.path]
                files = {file.path: file.blob for file in item.files}
                source = self._origin
                metadata = hydrator.metadata(source.revision, source.url, directory, counts[item.path], files)
            writes.append(FolderWrite(published[item.path], item.files, metadata))
        return writes

    def _signed(self, sha: Sha) -> Sha:
        return self._repository.signed(sha, self._style.signer) if self._style.signer else sha

    def _is_signed(self, tip: Tip) -> bool:
        """Whether the run's own key has signed what is there; true where there is no key, or nothing."""
        signer = self._style.signer
        return signer is None or tip.sha is None or self._repository.are_signed([tip.sha], signer)

    def _tag(self, sha: Sha) -> tuple[RefMove, ...]:
        """Return the move that creates the tag; none where there is nothing to create."""
        if not self._style.inputs.tag:
            return ()
        name = report.fill(self._style.inputs.tag, self._origin.revision, self.claim.paths)
        if not is_ref_name(name):
            raise InputError(f"Input `tag`: {name!r} is not a name that git accepts.", hint="Change the input `tag`.")
        ref = f"refs/tags/{name}"
        current = self._repository.current(ref)
        if current not in {None, sha}:
            raise BranchError(
                f"The tag `{name}` marks another commit already, {current}.",
                hint="Put a placeholder that differs from publish to publish into `tag`, for example `{short-sha}`.",
            )
        return () if current else (RefMove(ref, sha, None),)

    def _push(self, moves: tuple[RefMove, ...]) -> None:
        """Push; when that failed, believe the remote and not the connection."""
        try:
            self._repository.push(moves)
        except RemoteError as error:
            _log.debug("push failed: %s", error)
            real = next(move for move in moves if move.new != move.expected)
            try:
                has_arrived = self._repository.current(real.ref) == real.new
            except RemoteError:
                raise error from None
            if not has_arrived:
                raise
            _log.info("The connection failed after the server had applied the push: %s is %s", real.ref, real.new)

    def _annotate(self, tip: Tip, sha: Sha, abandoned: tuple[str, ...] = ()) -> Sha:
        """Write the note on `sha`: what the tip's note says of other folders, and our own."""
        source, claim = self._origin.revision, self.claim
        recorded = {path: sha for path, sha in hydrator.noted(tip.note).items() if path not in abandoned}
        recorded |= dict.fromkeys(claim.paths, source.sha)
        others = tip.fingerprints()
        for path in (*claim.paths, *abandoned):
            others.pop(path, None)
        text = hydrator.note(source, recorded, {**others, **claim.fingerprints})
        return self._repository.annotate(tip, sha, text, self._identity)


def guard_branch(origin: Origin, tip: Tip, is_ours: Callable[[], bool]) -> None:
    """Refuse the branches that we must never overwrite; `is_ours` says whether we published anything on this one.

    Raises:
        BranchError: the target branch is the one that is built from, or the default branch of its repository.

    """
    raise_for_errors(_branch_findings(origin, tip, is_ours), BranchError)


def guard_history(origin: Origin, tip: Tip, history: Collection[Sha]) -> None:
    """Refuse a branch that holds the sources under another name: its `history` is theirs.

    Raises:
        BranchError: the branch and the commit that is rendered have commits in common.

    """
    if not history or not origin.shares(history):
        return
    message = (
        f"`{tip.branch}` has commits in common with {origin.revision}, and no publish among them: it is a branch of "
        "your sources, or was made from one."
    )
    raise_for_errors([Finding(Level.ERROR, "source-branch", message, hint=_NEW_BRANCH_HINT)], BranchError)


def _branch_findings(origin: Origin, tip: Tip, is_ours: Callable[[], bool]) -> list[Finding]:
    source = origin.revision
    names = {tip.branch, tip.alias} - {""}
    called = f"`{tip.branch}` is another name of `{tip.alias}`, " if tip.alias else f"`{tip.branch}` is "
    is_source = origin.is_target and source.branch in names
    # A repository may have names that we can't compare, and a detached HEAD says no branch: the commit tells as well.
    is_rendered = tip.sha == source.sha and source.branch in {"", tip.branch}
    if is_source or is_rendered:
        message = f"{called}the branch that is being rendered; publishing to it would replace your sources."
        return [Finding(Level.ERROR, "source-branch", message, hint=_BRANCH_HINT)]
    defaults = {tip.default_branch, origin.default_branch if origin.is_target else ""}
    # An empty repository makes the first branch that is pushed its default: such a branch is ours from the start.
    if names & defaults and (origin.is_target or not is_ours()):
        message = f"{called}the default branch of the repository; it is never overwritten."
        return [Finding(Level.ERROR, "default-branch", message, hint=_BRANCH_HINT)]
    return []


def _source_refs(origin: Origin) -> tuple[str, ...]:
    """Return the branch that is rendered, where the repository of the target has it."""
    return (origin.revision.ref,) if origin.is_target and origin.revision.branch and not origin.revision.is_tag else ()


def _beside(tip: Tip, own: Collection[str]) -> tuple[str, ...]:
    """Return the files of the branch that are in none of our folders, which a publish leaves as they are."""
    prefixes = tuple(f"{path}/" for path in own)
    return () if "" in own else tuple(path for path in hydrator.below(tip.entries, "") if not path.startswith(prefixes))


def _relation(folder: Folder, origin: Origin) -> Relation:
    if not folder.record:
        return Relation.FIRST
    relation = origin.relation(folder.record)
    return Relation.LEFT_BEHIND if ownership.is_left_behind(origin, relation) else relation


def _other_refs(folders: Sequence[Folder], origin: Origin) -> dict[str, str]:
    found = ((folder.path, ownership.other_ref(folder, origin)) for folder in folders)
    return {path: ref for path, ref in found if ref}


def _matches(directory: str, pattern: str) -> bool:
    """Whether a pattern of `working-directory` means a folder; a wildcard stays within one name, as in a shell."""
    if "**" in pattern:
        return fnmatchcase(directory, pattern)
    names, wanted = directory.split("/"), pattern.split("/")
    return len(names) == len(wanted) and all(map(fnmatchcase, names, wanted))
