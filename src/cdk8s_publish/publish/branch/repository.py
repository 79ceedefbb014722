"""The remote's branch: read it, compose what comes next in a private bare repository, move it by compare-and-swap.

Output of git is separated by NUL where it can do that, so that any file name survives. Formats: git-ls-tree(1),
git-ls-remote(1), git-cat-file(1) `--batch`, git-push(1) `--porcelain`.
"""

from __future__ import annotations

import os
import re
import shlex
from contextlib import contextmanager
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import BranchError, MachineError, RemoteError, TransientRemoteError
from cdk8s_publish.git.errors import explain
from cdk8s_publish.git.history import new_messages
from cdk8s_publish.git.names import config_value
from cdk8s_publish.git.process import GitRunner, relation
from cdk8s_publish.model import METADATA_FILE, Folder, Relation, Remote, Sha
from cdk8s_publish.publish.branch import fast_import, hydrator
from cdk8s_publish.publish.branch.access import access

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cdk8s_publish.inputs.values import History
    from cdk8s_publish.model import CommitMessage, RenderedFile
    from cdk8s_publish.publish.branch.access import Access
    from cdk8s_publish.publish.branch.fast_import import FolderWrite, Identity
    from cdk8s_publish.publish.branch.signing import Signer

NOTES_REF = "refs/notes/hydrator.metadata"
"""Where Argo CD and GitOps Promoter look for `{"drySha": …}`: a source commit that was seen and changed nothing."""

_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head")

_TIP = "refs/private/tip"
_NOTES = "refs/notes/private"  # `git notes` works on refs below refs/notes only
_NEW = "refs/private/new"

SOURCE_DEPTH = 50
"""How many commits of each side are fetched first to compare two source commits; nearly always enough."""

_FIRST_BYTES_MAX = 100 << 20
_HISTORY = ((f"--depth={SOURCE_DEPTH}", _FIRST_BYTES_MAX), ("--unshallow", 1 << 30))
"""How commits are fetched to compare two of them, and the bytes that may take.

A packed commit has some 200 bytes, but a server that can't filter sends folders and files as well.
"""

NOTE_DEPTH = 50
"""How many commits of others may lie above one of ours before its note is not looked for any more."""

RELATED_DEPTH = 1_000
"""How far down a branch that none of our commits is on is compared with the history of the sources."""

_GONE = re.compile(r"not our ref|want \w+ not valid|does not exist")
"""What git, JGit and Azure Repos say of a commit that they don't have."""

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

_OWN_NAMES = {"HEAD", "config", "objects", "refs", "packed-refs", "shallow", "ssh-key", "ssh-known-hosts"}
"""What git and we put into the private repository; `shallow.lock` and its like are gone when git has ended."""

_OUR_COMMIT = re.compile(rb"\nSource-Revision: \S+\n")
"""The trailer of every commit that we publish."""

_SUBMODULE_MODE = "160000 "

_PRIVATE_CONFIG = """\
[core]
\trepositoryformatversion = 1
\tbare = true
[extensions]
\tobjectFormat = {object_format}
\tpartialClone = {name}
[remote "{name}"]
\turl = {url}
\tpromisor = true
\tpartialclonefilter = blob:none
"""


class Tip(NamedTuple):
    """What the remote holds right now, as far as it concerns the target branch.

    `sha` and `tree` are None while the branch does not exist, `notes` while no note was ever pushed.
    `default_branch` is where the remote's HEAD points, `alias` where the branch itself does; each is empty where the
    remote says nothing. `entries` are the files of the branch as `git ls-tree -r -z` lists them, `recorded` the folders
    that have a record, whoever made it. `note` is on `annotated`: that is `sha`, or a commit below it where others have
    committed since; None where there is no note. `others` are refs besides that were asked for, None where there is no
    such ref.
    """

    branch: str
    sha: Sha | None = None
    tree: Sha | None = None
    notes: Sha | None = None
    default_branch: str = ""
    entries: tuple[bytes, ...] = ()
    recorded: tuple[str, ...] = ()
    note: bytes = b""
    annotated: Sha | None = None
    others: Mapping[str, Sha | None] = MappingProxyType({})
    alias: str = ""

    def plain_files(self) -> dict[str, Sha]:
        """Return the plain files of the branch; links and submodules are nothing that a controller reads."""
        return {path: blob for path, blob in hydrator.below(self.entries, "").items() if " " not in blob}

    def fingerprints(self) -> dict[str, str]:
        """Return those of hermetic apps, by folder; none where others have committed since, and may have changed it."""
        return hydrator.fingerprints(self.note) if self.annotated == self.sha else {}


class RefMove(NamedTuple):
    """One ref of a push and the tip it must still have; `expected` None means "must not exist yet"."""

    ref: str
    new: Sha
    expected: Sha | None

    @property
    def lease(self) -> str:
        """The option that makes the move conditional."""
        return f"--force-with-lease={self.ref}:{self.expected or ''}"


class Repository:
    """A private bare repository in `folder`, and the remote that it looks at and pushes to."""

    def __init__(
        self,
        folder: Path,
        remote: Remote,
        environ: Mapping[str, str],
        inherited: tuple[int, ...] = (),
        object_format: str = "sha1",
    ) -> None:
        self.remote = remote
        self._folder = folder
        folder.mkdir(mode=0o700)
        for name in ("objects", "refs"):
            (folder / name).mkdir()
        (folder / "HEAD").write_text("ref: refs/heads/none\n")
        # The user's configuration may say something of any name that can be guessed: a mirror, another URL to push to.
        self._name = f"target-{os.urandom(8).hex()}"
        self._config = _PRIVATE_CONFIG.format(
            name=self._name, url=config_value(remote.url), object_format=object_format
        )
        (folder / "config").write_text(self._config)
        self._git = GitRunner(folder, {**environ, "GIT_DIR": str(folder)}, [("safe.directory", "*")], inherited)

    @contextmanager
    def _access(self) -> Iterator[Access]:
        """Let git in, after a look at whether this folder is still what we have made of it."""
        self._refuse_changes()
        with access(self.remote, self._folder) as granted:
            yield granted

    def _refuse_changes(self) -> None:
        """Raise when somebody else has written into this folder: its configuration decides who gets the credential.

        Untrusted code is confined where the kernel can do that, and has ended; where it ran as our own user on another
        kernel, this is what keeps it from leading git elsewhere.
        """
        names = {entry.name for entry in self._folder.iterdir()}
        if names <= _OWN_NAMES and (self._folder / "config").read_text(errors="surrogateescape") == self._config:
            return
        raise MachineError(
            "Another program has changed the private repository of this run, so no credential is used with it.",
            evidence=f"{self._folder} holds {', '.join(sorted(names))}",
            hint="Look for what the app or its dependencies write outside of their own folder.",
        )

    def _talk(self, doing: str, *arguments: str, stdin: Iterable[bytes] = (), file_bytes_max: int = 0) -> bytes:
        """Run a command that may speak to the remote; reading an object does where this partial clone lacks it."""
        with self._access() as (environ, settings):
            code, out, err = self._git.run(
                *arguments, stdin=stdin, environ=environ, settings=settings, file_bytes_max=file_bytes_max
            )
        if code:
            raise explain(f"{doing} of {self.remote.url}", err)
        return out

    def _fetch(self, doing: str, *wanted: str, options: Iterable[str] = (), file_bytes_max: int = 0) -> None:
        self._talk(doing, *_FETCH, *options, self._name, *wanted, file_bytes_max=file_bytes_max)

    def look(self, branch: str, depth: int = 1, also: Collection[str] = ()) -> Tip:
        """Ask the remote for the target branch, the notes and the default branch, and fetch what is there.

        What it holds at the refs in `also` is asked in the same request, and not fetched. Only commits and folders are
        transferred where the server can filter; blobs follow when they are asked for.

        Raises:
            RemoteError: the remote could not be read. Absence is a value: a tip without `sha`.

        """
        doing, ref = f"Reading branch `{branch}`", f"refs/heads/{branch}"
        wanted = ("HEAD", ref, NOTES_REF, *also)
        found, aliases = _remote_refs(self._talk(doing, "ls-remote", "--symref", self._name, *wanted))
        default, alias = aliases.get("HEAD", ""), aliases.get(ref, "")
        others = {name: found.get(name) for name in also}
        present = [name for name in (ref, NOTES_REF) if name in found]
        if present:
            specs = (f"+{name}:{_TIP if name == ref else _NOTES}" for name in present)
            self._fetch(doing, *specs, options=("--update-shallow", f"--depth={depth}"))
        objects = dict(self._fetched()) if present else {}
        notes, listing = objects[_NOTES] if NOTES_REF in found else (None, None)
        annotations = {} if listing is None else self._annotations(listing)
        if ref not in found:
            return Tip(branch, notes=notes, default_branch=default, others=others, alias=alias)
        sha, tree = objects[_TIP]
        entries = tuple(self._git.out("ls-tree", "-r", "-z", sha).split(b"\0")[:-1])
        recorded = tuple(hydrator.recorded_paths(entries))
        annotated, note = self._nearest_note(sha, ref, annotations)
        return Tip(branch, sha, tree, notes, default, entries, recorded, note, annotated, others, alias)

    def _fetched(self) -> Iterator[tuple[str, tuple[Sha, Sha]]]:
        """Yield name, commit and tree of each ref that was fetched; the tree is empty where a ref holds no commit."""
        out = self._git.out("for-each-ref", "--format=%(refname) %(objectname) %(tree)", _TIP, _NOTES)
        for line in out.decode().splitlines():
            name, sha, tree = line.split(" ")
            yield name, (Sha(sha), Sha(tree))

    def current(self, ref: str) -> Sha | None:
        """Ask the remote what `ref` holds now; None when it answers that there is no such ref."""
        out = self._talk(f"Reading `{ref}`", "ls-remote", self._name, ref)
        return _remote_refs(out)[0].get(ref)

    def folders(self, tip: Tip, paths: Iterable[str]) -> tuple[Folder, ...]:
        """Read what the tip holds at each path, and which source revision was recorded there last.

        Raises:
            BranchError: a path, or a folder above it, is a file on the tip, which a folder would replace.

        """
        paths = tuple(paths)
        _refuse_files(tip, paths)
        files = {path: hydrator.below(tip.entries, path) for path in paths}
        marks = {path: held.pop(METADATA_FILE) for path, held in files.items() if METADATA_FILE in held}
        blobs = self.blobs(marks.values())
        noted = hydrator.noted(tip.note)
        fingerprints = tip.fingerprints()
        found = (
            hydrator.recorded(path, held, blobs.get(marks[path], b""), noted.get(path))
            if path in marks
            else Folder(path, held)
            for path, held in files.items()
        )
        return tuple(folder._replace(fingerprint=fingerprints.get(folder.path, "")) for folder in found)

    def _annotations(self, tree: Sha) -> dict[Sha, Sha]:
        """Return the notes that were fetched, by the commit that they are on; `tree` is empty where that is no commit.

        Raises:
            BranchError: the ref holds something else than notes, on which ours would be put.

        """
        listed = self._git.out("ls-tree", "-r", "-z", tree) if tree else b""
        found = hydrator.below(listed.split(b"\0")[:-1], "")
        notes = {Sha(path.replace("/", "")): note for path, note in found.items()}
        if not tree or not all(map(_SHA.fullmatch, notes)):
            url = shlex.quote(self.remote.url)
            raise BranchError(
                f"`{NOTES_REF}` of the repository holds something else than notes.",
                hint=f"Remove it: `git push {url} :{NOTES_REF}`. It is made again; what it holds may have to be kept "
                "under another name. The source commit that was published is also recorded on the branch.",
            )
        return notes

    def _nearest_note(self, tip: Sha, ref: str, notes: Mapping[Sha, Sha]) -> tuple[Sha | None, bytes]:
        """Return the note on the tip and the commit that it is on, else those of the nearest commit below that has one.

        Whoever commits beside our folders moves the tip away from its note.
        """
        if not notes:
            return None, b""
        annotated = tip if tip in notes else self._nearest_annotated(tip, ref, notes)
        if annotated is None:
            return None, b""
        return annotated, self._talk(f"Reading the note on {annotated}", "cat-file", "blob", notes[annotated])

    def _nearest_annotated(self, tip: Sha, ref: str, notes: Container[Sha]) -> Sha | None:
        if not self._has_parent(tip):
            return None
        options = ("--update-shallow", f"--depth={NOTE_DEPTH}")
        self._fetch("Reading the history of the branch", f"+{ref}:{_TIP}", options=options)
        line = self._git.out("rev-list", "--first-parent", f"--max-count={NOTE_DEPTH}", tip).decode().split()
        return next((Sha(sha) for sha in line if sha in notes), None)

    def _has_parent(self, sha: Sha) -> bool:
        return b"\nparent " in self._git.out("cat-file", "commit", sha).partition(b"\n\n")[0]

    def blobs(self, shas: Iterable[Sha]) -> dict[Sha, bytes]:
        """Read blobs of the tip, named as `Folder.files` does it; missing ones are fetched in one request.

        Entries that are no blobs (submodules) are left out.
        """
        wanted = {name: name.rpartition(" ")[2] for name in shas if not name.startswith(_SUBMODULE_MODE)}
        if not wanted:
            return {}
        lines = [f"{sha}\n".encode() for sha in sorted(set(wanted.values()))]
        options = (*_FETCH, "--filter=blob:none", "--stdin")
        self._talk("Reading files", "-c", "fetch.negotiationAlgorithm=noop", *options, self._name, stdin=lines)
        found = dict(_batch(self._talk("Reading files", "cat-file", "--batch", stdin=lines)))
        return {name: found[Sha(sha)] for name, sha in wanted.items()}

    def history_of_others(self, tip: Tip) -> frozenset[Sha]:
        """Return the newest commits of the branch; none where one in its line of first parents is ours.

        What we have published to was compared with the sources before.
        """
        if tip.sha is None or self._is_ours(tip.sha):
            return frozenset()
        if self._has_parent(tip.sha):
            self._deepen(tip, RELATED_DEPTH)
        line = self._git.out("rev-list", "--first-parent", tip.sha).split()
        commits = self._git.out("cat-file", "--batch", stdin=[sha + b"\n" for sha in line])
        if any(_OUR_COMMIT.search(content) for _, content in _batch(commits)):
            return frozenset()
        return self._commits(tip.sha)

    def history(self, sha: Sha) -> frozenset[Sha]:
        """Return a commit of the remote and those before it.

        Raises:
            RemoteError: the remote does not have it.

        """
        self._fetch_history((sha,), f"--depth={RELATED_DEPTH}", _FIRST_BYTES_MAX)
        if not self._holds(sha):
            raise RemoteError(f"{self.remote.url} no longer has the commit {sha}.")
        return self._commits(sha)

    def _commits(self, sha: Sha) -> frozenset[Sha]:
        return frozenset(map(Sha, self._git.out("rev-list", sha).decode().split()))

    def _is_ours(self, sha: Sha) -> bool:
        return bool(_OUR_COMMIT.search(self._git.out("cat-file", "commit", sha)))

    def _deepen(self, tip: Tip, depth: int) -> None:
        """Fetch more commits of the branch, without their folders."""
        ref = f"+refs/heads/{tip.branch}:refs/private/line"
        self._fetch("Reading the history of the branch", ref, options=("--filter=tree:0", f"--depth={depth}"))

    def relation(self, recorded: Sha, own: Sha) -> Relation:
        """Compare two commits of the remote by fetching commits without trees, a few first, then all.

        `UNKNOWN` means that the remote no longer has one of them.
        """
        for depth, bytes_max in _HISTORY:
            try:
                self._fetch_history((recorded, own), depth, bytes_max)
            except RemoteError as error:
                if "unshallow on a complete" in error.evidence:
                    break
                if _GONE.search(error.evidence):
                    return Relation.UNKNOWN
                if isinstance(error, TransientRemoteError):
                    raise
                raise RemoteError(
                    f"Can't tell whether the published {recorded[:12]} is newer: {error}",
                    evidence=error.evidence,
                    hint="Check the whole history out (`fetch-depth: 0`, `GIT_DEPTH: 0`), or give a token that may "
                    "read the source repository; `allow: older-source` publishes without knowing.",
                ) from None
            known = relation(self._git, recorded, own)
            if known is not None:
                return known
        return Relation.DIVERGED if self._holds(recorded) and self._holds(own) else Relation.UNKNOWN

    def _fetch_history(self, commits: Sequence[Sha], depth: str, bytes_max: int) -> None:
        """Fetch commits and those before them, without their folders where the server can leave those out."""
        options = ("--filter=tree:0", depth)
        try:
            self._fetch("Reading the history", *commits, options=options, file_bytes_max=bytes_max)
        except RemoteError as error:
            if "unadvertised object" not in error.evidence:
                raise
            # Before version 2 of its protocol git gives what refs hold, and nothing by its id.
            refs = "+refs/heads/*:refs/private/heads/*"
            self._fetch("Reading the history", refs, options=options, file_bytes_max=bytes_max)

    def _holds(self, sha: Sha) -> bool:
        """Whether a commit was fetched; the remote is not asked for it."""
        environ = {"GIT_ALLOW_PROTOCOL": ""}
        code, _, _ = self._git.run("cat-file", "-e", f"{sha}^{{commit}}", environ=environ)
        return code == 0

    def messages(self, records: Sequence[Sha], own: Sha) -> tuple[CommitMessage, ...] | None:
        """Return the messages of the commits that `own` has and no record has, as far as `relation` fetched them."""
        return new_messages(self._git, records, own)

    def store(self, files: Sequence[RenderedFile]) -> None:
        """Store the bytes of rendered files."""
        if files:
            self._git.out("fast-import", "--quiet", stdin=fast_import.blobs(files))

    def write(self, tip: Tip, writes: Sequence[FolderWrite]) -> Sha:
        """Splice folders into the tip's tree and return the new tree; the bytes have been stored before."""
        out = self._git.out("fast-import", "--quiet", "--force", stdin=fast_import.splice(_NEW, tip, writes))
        return Sha(out.decode().split()[2])

    def commit(self, tree: Sha, parents: Sequence[Sha], message: str, identity: Identity) -> Sha:
        """Write a commit; the same arguments give the same id on every machine."""
        options = [option for parent in parents for option in ("-p", parent)]
        out = self._git.out(
            "commit-tree", *options, "-F", "-", tree, stdin=[message.encode()], environ=identity.environ
        )
        return Sha(out.decode().strip())

    def signed(self, sha: Sha, signer: Signer) -> Sha:
        """Return the same commit with a signature."""
        return self._store_commit(signer.sign(self._git.out("cat-file", "commit", sha)))

    def are_signed(self, commits: Iterable[Sha], signer: Signer) -> bool:
        """Whether the key of `signer` has signed all of these commits."""
        return signer.has_signed([self._git.out("cat-file", "commit", sha) for sha in commits])

    def _store_commit(self, content: bytes) -> Sha:
        return Sha(self._git.out("hash-object", "-t", "commit", "-w", "--stdin", stdin=[content]).decode().strip())

    def parents(self, tip: Tip, history: History, signer: Signer | None) -> tuple[Sha, ...]:
        """Return the parents of the next commit: the tip, or a line of our commits that is shorter than the tip's.

        `replace` drops all of our commits, `keep` with a limit all but the last ones. A commit of somebody else is
        never dropped, nor is anything below it. Commits of a shortened line keep everything but their parents, so they
        get new ids. With a `signer` they are signed again, so the line is not shortened while one of them is signed by
        somebody else or by nobody.
        """
        if tip.sha is None:
            return ()
        if history.keep and history.limit is None:
            return (tip.sha,)
        line, below = self._our_line(tip)
        kept = line[: (history.limit or 1) - 1]
        if line and len(kept) == len(line):
            return (tip.sha,)
        if signer and not self.are_signed(kept, signer):
            return (tip.sha,)
        parents = below
        for sha in reversed(kept):
            written = self._with_parents(sha, parents)
            parents = (self.signed(written, signer) if signer else written,)
        return parents

    def _our_line(self, tip: Tip) -> tuple[list[Sha], tuple[Sha, ...]]:
        """Return our commits on the tip, newest first, and the commit of somebody else below them, if any."""
        line = list[Sha]()
        while True:
            listed = self._git.out("rev-list", "--first-parent", tip.sha or "").decode().splitlines()
            out = self._git.out("cat-file", "--batch", stdin=[f"{sha}\n".encode() for sha in listed[len(line) :]])
            for sha, content in _batch(out):
                if not _OUR_COMMIT.search(content):
                    return line, (sha,)
                line.append(sha)
            if not self._has_parent(line[-1]):
                return line, ()
            # The history goes on where our copy of it ends.
            self._deepen(tip, max(NOTE_DEPTH, 4 * len(line)))

    def _with_parents(self, sha: Sha, parents: Sequence[Sha]) -> Sha:
        head, separator, message = self._git.out("cat-file", "commit", sha).partition(b"\n\n")
        lines = [line for line in re.split(rb"\n(?! )", head) if not line.startswith((b"parent ", b"gpgsig"))]
        lines[1:1] = [b"parent " + parent.encode() for parent in parents]
        return self._store_commit(b"\n".join(lines) + separator + message)

    def annotate(self, tip: Tip, sha: Sha, text: str, identity: Identity) -> Sha:
        """Write a note on `sha`, drop the one of the tip that it replaces, and return the new tip of the notes."""
        stream = fast_import.note(_NOTES, tip, sha, text.encode(), identity)
        return Sha(
            self._git.out("fast-import", "--quiet", "--force", "--date-format=raw-permissive", stdin=stream)
            .decode()
            .strip()
        )

    def push(self, moves: Sequence[RefMove]) -> None:
        """Move refs of the remote, all or none, if each still holds what is expected.

        Raises:
            LeaseLostError: a ref has moved. RemoteError: the remote refused, or did not answer; it may have applied
                the push all the same, so ask for the `current` ref before believing it.

        """
        atomic = ("--atomic",) if len(moves) > 1 else ()
        leases = tuple(move.lease for move in moves)
        specs = tuple(f"{move.new}:{move.ref}" for move in moves)
        with self._access() as (environ, settings):
            code, out, err = self._git.run(
                "push", "--porcelain", "--no-verify", *atomic, *leases, self._name, *specs,
                environ=environ, settings=settings,
            )  # fmt: skip
        if code:
            rejected = [line for line in out.decode("utf-8", "replace").splitlines() if line.startswith("!")]
            raise explain(f"Publishing to {self.remote.url}", "\n".join([*rejected, err]))


def _refuse_files(tip: Tip, paths: Iterable[str]) -> None:
    names = {os.fsdecode(entry.partition(b"\t")[2]) for entry in tip.entries}
    for path in paths:
        for name in accumulate(path.split("/"), "{}/{}".format):
            if name in names:
                raise BranchError(
                    f"`{name}` is a file on `{tip.branch}`; the folder `{path}` would replace it.",
                    hint="Choose another `path`, or remove the file from the branch.",
                )


def _remote_refs(listing: bytes) -> tuple[dict[str, Sha], dict[str, str]]:
    """Read `git ls-remote --symref`: refs by name, and the branches that names point to (HEAD, and symbolic refs)."""
    refs, aliases = dict[str, Sha](), dict[str, str]()
    for line in os.fsdecode(listing).splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: "):
            aliases[name] = value.removeprefix("ref: ").removeprefix("refs/heads/")
        else:
            refs[name] = Sha(value)
    return refs, aliases


def _batch(out: bytes) -> Iterator[tuple[Sha, bytes]]:
    """Read `git cat-file --batch`: a line `<sha> <type> <size>`, the bytes and a line feed for each object."""
    position = 0
    while position < len(out):
        end = out.index(b"\n", position)
        sha, _, size = out[position:end].split(b" ")
        start = end + 1
        position = start + int(size) + 1
        yield Sha(sha.decode()), out[start : position - 1]
