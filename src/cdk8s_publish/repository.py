"""Git: the only user of GitPython. Objects are written in a private bare repository; the user's is only read.

Nothing here reads the process's environment; what git may know of it is handed in. Output is separated by NUL where
git can do it, so that any file name survives. Formats: git-fast-import(1), git-ls-tree(1), git-push(1) `--porcelain`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from subprocess import PIPE, TimeoutExpired
from typing import TYPE_CHECKING
from urllib.parse import unquote

from git.cmd import Git

from cdk8s_publish.errors import InputError, RemoteError
from cdk8s_publish.model import METADATA_FILE, Folder, Relation, Remote, RenderedFile, Sha, SourceRevision, Tip
from cdk8s_publish.refusals import TransientRemoteError, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

NOTES_REF = "refs/notes/hydrator.metadata"
"""Where Argo CD and GitOps Promoter look for `{"drySha": …}`: a source commit that was seen and changed nothing."""

_TIP = "refs/private/tip"
_NOTES = "refs/notes/private"  # `git notes` works on refs below refs/notes only
_NEW = "refs/private/new"

GIT_TIMEOUT_S = 600
SOURCE_DEPTH = 50
_FILE_MODE = b"100644"
_SUBMODULE_MODE = "160000 "

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
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("fastimport.unpackLimit", "0"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
)
"""Settings of the user that must not reach what is published, and waste that a repository of one run can do without."""

_PRIVATE_CONFIG = """\
[core]
\trepositoryformatversion = 1
\tbare = true
[extensions]
\tpartialClone = target
[remote "target"]
\turl = {url}
\tpromisor = true
\tpartialclonefilter = blob:none
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """Author and committer of a commit, and its date in strict ISO 8601."""

    author: str
    date: str

    @property
    def environ(self) -> dict[str, str]:
        """The variables that git reads an identity from."""
        name, _, mail = self.author.rpartition(" <")
        pair = {"NAME": name, "EMAIL": mail.rstrip(">"), "DATE": self.date}
        return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in pair.items()}

    @property
    def raw_date(self) -> str:
        """The date as git stores it: seconds since the epoch and the offset of the zone."""
        date = datetime.fromisoformat(self.date)
        return f"{int(date.timestamp())} {date:%z}"


@dataclass(frozen=True, slots=True)
class FolderWrite:
    """What one folder of the new tree shall hold: `files` replaces everything that `before` lists.

    Without `metadata` the folder is given up: its mark goes too.
    """

    before: Folder
    files: tuple[RenderedFile, ...]
    metadata: bytes | None


@dataclass(frozen=True, slots=True)
class RefMove:
    """One ref of a push and the tip it must still have; `expected` None means "must not exist yet"."""

    ref: str
    new: Sha
    expected: Sha | None

    @property
    def lease(self) -> str:
        """The option that makes the move conditional."""
        return f"--force-with-lease={self.ref}:{self.expected or ''}"


class _Runner:
    """Runs git in one folder. GitPython adds the process's own environment below `environ`."""

    def __init__(self, folder: Path, environ: Mapping[str, str], settings: Iterable[tuple[str, str]]) -> None:
        self._git = Git(folder)
        self._environ = {**environ, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
        self._settings = tuple(settings)

    def run(
        self,
        *arguments: str | bytes,
        stdin: Iterable[bytes] = (),
        environ: Mapping[str, str] | None = None,
        settings: Sequence[tuple[str, str]] = (),
    ) -> tuple[int, bytes, str]:
        """Return exit code, standard output and standard error (as text, undecodable bytes escaped)."""
        env = {**self._environ, **(environ or {})}
        env |= _config_environ(env, (*_HYGIENE, *self._settings, *settings))
        process = self._git.execute(["git", *arguments], istream=PIPE, as_process=True, env=env)
        try:
            for chunk in stdin:
                process.stdin.write(chunk)
        except BrokenPipeError:
            pass  # git has ended early; its exit code and its words say why
        try:
            out, err = process.communicate(timeout=GIT_TIMEOUT_S)
        except TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err += b"\nthe operation timed out"
        return process.returncode, out, err.decode("utf-8", "backslashreplace")

    def out(self, *arguments: str | bytes, stdin: Iterable[bytes] = (), **more: object) -> bytes:
        """Return standard output; a failure here is a defect or a broken disk, never the remote."""
        code, out, err = self.run(*arguments, stdin=stdin, **more)  # type: ignore[arg-type]
        if code:
            raise explain(f"`git {_text(arguments[0])}` in the private repository", err)
        return out


def _text(argument: str | bytes) -> str:
    return argument if isinstance(argument, str) else os.fsdecode(argument)


def _config_environ(env: Mapping[str, str], settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return settings as environment variables, after those the user may have passed the same way.

    Values stay out of argv and of every file, which is what makes this the way for a token.
    """
    start = int(env.get("GIT_CONFIG_COUNT", "0") or 0)
    pairs = dict[str, str]()
    for number, (key, value) in enumerate(settings, start):
        pairs[f"GIT_CONFIG_KEY_{number}"], pairs[f"GIT_CONFIG_VALUE_{number}"] = key, value
        pairs["GIT_CONFIG_COUNT"] = str(number + 1)
    return pairs


class Checkout:
    """The user's source checkout; it is only read."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        """Find the checkout that `folder` stands in.

        Raises:
            InputError: `folder` is not inside a git checkout with at least one commit.

        """
        self._runner = _Runner(folder, environ, [("safe.directory", "*")])
        code, out, err = self._runner.run("rev-parse", "--show-toplevel", "--is-shallow-repository", "HEAD")
        if code:
            raise InputError(
                f"{folder} is not a git checkout with a commit to publish",
                evidence=err,
                hint="Check your repository out first: `actions/checkout` in a workflow, `git clone` on a laptop.",
            )
        root, shallow, head = os.fsdecode(out).rstrip("\n").rsplit("\n", 2)
        self.root = root
        self.head = Sha(head)
        self._is_shallow = shallow == "true"

    def source(self, branch: str = "", url: str = "") -> SourceRevision:
        """Describe HEAD; `branch` and `url` are what only the CI product knows."""
        form = "%s%x00%b%x00%an <%ae>%x00%cI"
        out = self._runner.out("log", "-1", "--no-show-signature", f"--format={form}", self.head)
        subject, body, author, date = out.decode("utf-8", "replace").rstrip("\n").split("\0")
        return SourceRevision(self.head, branch or self.branch(), subject, body, author, date, url)

    def branch(self) -> str:
        """Return the branch that is checked out; empty on a detached HEAD."""
        code, out, _ = self._runner.run("symbolic-ref", "--quiet", "--short", "HEAD")
        return "" if code else os.fsdecode(out).strip()

    def remote_url(self) -> str:
        """Return where `origin` pushes to, or an empty string; a path relative to the checkout is made absolute."""
        code, out, _ = self._runner.run("remote", "get-url", "--push", "origin")
        return "" if code else absolute_url(os.fsdecode(out).rstrip("\n"), self.root)

    def is_modified(self) -> bool:
        """Whether tracked files differ from HEAD, so that the render is not the one of HEAD alone."""
        return bool(self._runner.out("status", "--porcelain", "--untracked-files=no", "-z"))

    def carries_credential(self) -> bool:
        """Whether the checkout's own configuration holds a credential that any code in the workspace can read."""
        pattern = r"^http\..*\.extraheader$|^http\.extraheader$|^remote\..*\.url$"
        _, out, _ = self._runner.run("config", "--local", "--includes", "-z", "--get-regexp", pattern)
        entries = [entry.partition("\n") for entry in os.fsdecode(out).split("\0") if entry]
        return any("extraheader" in key.lower() or split_credential(value)[1] for key, _, value in entries)

    def relation(self, recorded: Sha, own: Sha) -> Relation | None:
        """Compare two commits by local history alone; None where that can't tell (a shallow checkout)."""
        relation = _relation(self._runner, recorded, own)
        if relation is None and not self._is_shallow:
            code, _, _ = self._runner.run("cat-file", "-e", f"{recorded}^{{commit}}")
            return None if code else Relation.DIVERGED
        return relation


class Repository:
    """A private bare repository in `folder`, and the remote that it looks at and pushes to."""

    def __init__(self, folder: Path, remote: Remote, environ: Mapping[str, str]) -> None:
        self.remote = remote
        self._folder = folder
        folder.mkdir(mode=0o700)
        for name in ("objects", "refs"):
            (folder / name).mkdir()
        (folder / "HEAD").write_text("ref: refs/heads/none\n")
        (folder / "config").write_text(_PRIVATE_CONFIG.format(url=_quoted(remote.url)))
        self._git = _Runner(folder, {**environ, "GIT_DIR": str(folder)}, [("safe.directory", "*")])

    @contextmanager
    def _access(self) -> Iterator[tuple[dict[str, str], list[tuple[str, str]]]]:
        """Give the environment and settings that let git in; a key file exists only inside."""
        remote = self.remote
        environ, settings = dict[str, str](), list[tuple[str, str]]()
        if remote.token and remote.is_http:
            # An empty header first: what the user's own configuration adds would send a second Authorization.
            key = f"http.{remote.url}.extraHeader"
            settings += [("credential.helper", ""), ("http.followRedirects", "false"), (key, "")]
            settings.append((key, f"Authorization: Basic {basic_credential(remote)}"))
        if not remote.ssh_key:
            yield environ, settings
            return
        key_file, hosts_file = self._folder / "ssh-key", self._folder / "ssh-known-hosts"
        try:
            descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                # Without the last line feed OpenSSH fails with "error in libcrypto"; so does it on CRLF.
                stream.write(remote.ssh_key.reveal().replace("\r\n", "\n").strip() + "\n")
            hosts_file.write_text(remote.ssh_known_hosts.rstrip("\n") + "\n")
            yield {**environ, "GIT_SSH_COMMAND": _ssh_command(key_file, hosts_file)}, settings
        finally:
            key_file.unlink(missing_ok=True)

    def _talk(self, doing: str, *arguments: str, stdin: Iterable[bytes] = ()) -> bytes:
        with self._access() as (environ, settings):
            code, out, err = self._git.run(*arguments, stdin=stdin, environ=environ, settings=settings)
        if code:
            raise explain(f"{doing} of {self.remote.url}", err)
        return out

    def look(self, branch: str, depth: int = 1) -> Tip:
        """Ask the remote for the target branch, the notes and the default branch, and fetch what is there.

        Only commits and folders are transferred where the server can filter; blobs follow when they are asked for.

        Raises:
            RemoteError: the remote could not be read. Absence is a value: a tip without `sha`.

        """
        doing, ref = f"Reading branch `{branch}`", f"refs/heads/{branch}"
        found, default = _remote_refs(self._talk(doing, "ls-remote", "--symref", "target", "HEAD", ref, NOTES_REF))
        present = [name for name in (ref, NOTES_REF) if name in found]
        if present:
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", f"--depth={depth}")
            self._talk(
                doing, "fetch", *options, "target", *(f"+{name}:{_TIP if name == ref else _NOTES}" for name in present)
            )
        notes = self._local(_NOTES) if NOTES_REF in found else None
        if ref not in found:
            return Tip(branch, notes=notes, default_branch=default)
        names = self._git.out("ls-tree", "-r", "-z", "--name-only", _TIP).split(b"\0")[:-1]
        mark = METADATA_FILE.encode()
        is_managed = any(name.rpartition(b"/")[2] == mark for name in names)
        return Tip(branch, self._local(_TIP), self._local(f"{_TIP}^{{tree}}"), notes, default, bool(names), is_managed)

    def _local(self, revision: str) -> Sha:
        return Sha(self._git.out("rev-parse", "--verify", revision).decode().strip())

    def current(self, ref: str) -> Sha | None:
        """Ask the remote what `ref` holds now; None when it answers that there is no such ref."""
        out = self._talk(f"Reading `{ref}`", "ls-remote", "target", ref)
        return _remote_refs(out)[0].get(ref)

    def folders(self, tip: Tip, paths: Iterable[str]) -> tuple[Folder, ...]:
        """Read what the tip holds at each path, and which source revision was recorded there last."""
        listing = self._git.out("ls-tree", "-r", "-z", tip.sha).split(b"\0")[:-1] if tip.sha else []
        files = {path: _below(listing, path) for path in paths}
        marks = {path: held.pop(METADATA_FILE) for path, held in files.items() if METADATA_FILE in held}
        blobs = self.blobs(marks.values())
        records = noted_records(self.note(tip.sha)) if tip.sha and tip.notes else {}
        return tuple(
            _managed(path, held, blobs[marks[path]], records.get(path)) if path in marks else Folder(path, held)
            for path, held in files.items()
        )

    def marked(self, tip: Tip) -> tuple[str, ...]:
        """Return the paths of all folders on the tip that carry our mark."""
        if not tip.sha:
            return ()
        names = os.fsdecode(self._git.out("ls-tree", "-r", "-z", "--name-only", tip.sha)).split("\0")
        return tuple(
            name.removesuffix(METADATA_FILE).rstrip("/") for name in names if name.rpartition("/")[2] == METADATA_FILE
        )

    def note(self, sha: Sha) -> bytes:
        """Return the note on a commit; empty where there is none."""
        code, out, _ = self._run_with_access("notes", f"--ref={_NOTES}", "show", sha)
        return b"" if code else out

    def _run_with_access(self, *arguments: str, stdin: Iterable[bytes] = ()) -> tuple[int, bytes, str]:
        # Reading an object may fetch it: the private repository is a partial clone.
        with self._access() as (environ, settings):
            return self._git.run(*arguments, stdin=stdin, environ=environ, settings=settings)

    def blobs(self, shas: Iterable[Sha]) -> dict[Sha, bytes]:
        """Read blobs of the tip, named as `Folder.files` does it; missing ones are fetched in one request.

        Entries that are no blobs (submodules) are left out.
        """
        wanted = {name: name.rpartition(" ")[2] for name in shas if not name.startswith(_SUBMODULE_MODE)}
        if not wanted:
            return {}
        lines = [f"{sha}\n".encode() for sha in sorted(set(wanted.values()))]
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none", "--stdin")
        self._talk("Reading files", "-c", "fetch.negotiationAlgorithm=noop", "fetch", *options, "target", stdin=lines)
        code, out, err = self._run_with_access("cat-file", "--batch", stdin=lines)
        if code:
            raise explain(f"Reading files of {self.remote.url}", err)
        found = dict(_batch(out))
        return {name: found[Sha(sha)] for name, sha in wanted.items()}

    def relation(self, recorded: Sha, own: Sha) -> Relation:
        """Compare two commits of the remote by fetching commits without trees, a few first, then all.

        `UNKNOWN` means that the remote no longer has one of them.
        """
        for depth in (f"--depth={SOURCE_DEPTH}", "--unshallow"):
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--filter=tree:0", depth)
            try:
                self._talk("Reading the history", "fetch", *options, "target", recorded, own)
            except TransientRemoteError:
                raise
            except RemoteError as error:
                if "unshallow on a complete" in error.evidence:
                    break
                return Relation.UNKNOWN
            relation = _relation(self._git, recorded, own)
            if relation is not None:
                return relation
        return Relation.DIVERGED

    @contextmanager
    def storing(self, folders: Sequence[tuple[Folder, Sequence[RenderedFile]]]) -> Iterator[None]:
        """Store the bytes that the tip does not hold at the same path, beside what is done inside.

        git compresses in a process of its own, and half of the time of a first publish is checks: both cores work.
        """
        if not folders:
            yield
            return
        with ThreadPoolExecutor(1) as executor:
            stored = executor.submit(self._git.out, "fast-import", "--quiet", stdin=_blobs(folders))
            yield
            stored.result()

    def write(self, tip: Tip, writes: Sequence[FolderWrite]) -> Sha:
        """Splice folders into the tip's tree and return the new tree; the bytes have been stored before."""
        self._git.out("fast-import", "--quiet", "--force", stdin=_splice(tip, writes))
        return self._local(f"{_NEW}^{{tree}}")

    def commit(self, tree: Sha, parents: Sequence[Sha], message: str, identity: Identity) -> Sha:
        """Write a commit; the same arguments give the same id on every machine."""
        options = [option for parent in parents for option in ("-p", parent)]
        out = self._git.out(
            "commit-tree", *options, "-F", "-", tree, stdin=[message.encode()], environ=identity.environ
        )
        return Sha(out.decode().strip())

    def signed(self, sha: Sha, signature: Callable[[bytes], str]) -> Sha:
        """Return the same commit with the signature that `signature` makes of its content."""
        content = self._git.out("cat-file", "commit", sha)
        head, separator, message = content.partition(b"\n\n")
        lines = signature(content).rstrip("\n").replace("\n", "\n ").encode()
        return self._store_commit(head + b"\ngpgsig " + lines + separator + message)

    def _store_commit(self, content: bytes) -> Sha:
        return Sha(self._git.out("hash-object", "-t", "commit", "-w", "--stdin", stdin=[content]).decode().strip())

    def parents(self, tip: Tip, limit: int | None, finish: Callable[[Sha], Sha]) -> tuple[Sha, ...]:
        """Return the parents of the next commit: the tip, or a shorter line of the last `limit` - 1 publishes.

        The commits of a shortened line keep everything but their parents, so they get new ids; `finish` may sign them.
        """
        if tip.sha is None:
            return ()
        line = self._git.out("rev-list", "--first-parent", tip.sha).decode().split()
        if limit is None or len(line) < limit:
            return (tip.sha,)
        parent: tuple[Sha, ...] = ()
        for sha in reversed(line[: limit - 1]):
            parent = (finish(self._with_parents(Sha(sha), parent)),)
        return parent

    def _with_parents(self, sha: Sha, parents: Sequence[Sha]) -> Sha:
        head, separator, message = self._git.out("cat-file", "commit", sha).partition(b"\n\n")
        lines = [line for line in re.split(rb"\n(?! )", head) if not line.startswith((b"parent ", b"gpgsig"))]
        lines[1:1] = [b"parent " + parent.encode() for parent in parents]
        return self._store_commit(b"\n".join(lines) + separator + message)

    def annotate(self, tip: Tip, sha: Sha, text: str, identity: Identity) -> Sha:
        """Write a note on `sha`, drop the one of the tip that it replaces, and return the new tip of the notes."""
        name = identity.author.encode()
        lines = [b"commit %s\ncommitter %s %s\n" % (_NOTES.encode(), name, identity.raw_date.encode())]
        lines.append(b"data 22\nRecord source revision\n")
        if tip.notes:
            lines.append(b"from %s\n" % tip.notes.encode())
        if tip.notes and tip.sha and tip.sha != sha:
            lines.append(b"N %s %s\n" % (b"0" * len(sha), tip.sha.encode()))
        data = text.encode()
        lines.append(b"N inline %s\ndata %d\n%s\n" % (sha.encode(), len(data), data))
        self._git.out("fast-import", "--quiet", "--force", "--date-format=raw", stdin=lines)
        return self._local(_NOTES)

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
                "push", "--porcelain", "--no-verify", *atomic, *leases, "target", *specs,
                environ=environ, settings=settings,
            )  # fmt: skip
        if code:
            rejected = [line for line in out.decode("utf-8", "replace").splitlines() if line.startswith("!")]
            raise explain(f"Publishing to {self.remote.url}", "\n".join([*rejected, err]))


def _below(listing: Iterable[bytes], path: str) -> dict[str, Sha]:
    """Map the paths below a folder to blob ids; an entry that is no plain file carries its mode before the id."""
    prefix = os.fsencode(path + "/") if path else b""
    files = {}
    for entry in listing:
        head, _, name = entry.partition(b"\t")
        if name.startswith(prefix):
            mode, _, sha = head.split(b" ")
            blob = sha if mode == _FILE_MODE else mode + b" " + sha
            files[os.fsdecode(name[len(prefix) :])] = Sha(blob.decode())
    return files


def noted_records(note: bytes) -> dict[str, Sha]:
    """Read the source revision of each folder from a note: `{"drySha": …, "paths": {<folder>: <sha>}}`."""
    paths = _json_object(note).get("paths")
    return {path: Sha(sha) for path, sha in paths.items() if isinstance(sha, str)} if isinstance(paths, dict) else {}


def _managed(path: str, files: Mapping[str, Sha], metadata: bytes, noted: Sha | None) -> Folder:
    """Make a folder of what `hydrator.metadata` says of it; a note is newer than the file."""
    values = _json_object(metadata)
    record, manifests, directory = noted or values.get("drySha"), values.get("manifests"), values.get("directory")
    return Folder(
        path,
        files,
        is_managed=True,
        record=Sha(record) if isinstance(record, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", record) else None,
        manifests=manifests if isinstance(manifests, int) else None,
        source_url=str(values.get("repoURL", "")),
        directory=directory if isinstance(directory, str) else None,
    )


def _json_object(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data or b"{}")
    except ValueError:  # somebody edited it by hand; our mark is the file's name, its content is information
        return {}
    return value if isinstance(value, dict) else {}


def _relation(runner: _Runner, recorded: Sha, own: Sha) -> Relation | None:
    if recorded == own:
        return Relation.SAME
    for old, new, relation in ((recorded, own, Relation.NEWER), (own, recorded, Relation.OLDER)):
        code, _, _ = runner.run("merge-base", "--is-ancestor", old, new)
        if code == 0:  # 1 means "not as far as is known here", 128 that a commit is missing
            return relation
    return None


def _remote_refs(listing: bytes) -> tuple[dict[str, Sha], str]:
    """Read `git ls-remote --symref`: refs by name, and the branch that HEAD points to."""
    refs, default = dict[str, Sha](), ""
    for line in os.fsdecode(listing).splitlines():
        value, _, name = line.partition("\t")
        if name == "HEAD" and value.startswith("ref: "):
            default = value.removeprefix("ref: ").removeprefix("refs/heads/")
        elif not value.startswith("ref: "):
            refs[name] = Sha(value)
    return refs, default


def _batch(out: bytes) -> Iterator[tuple[Sha, bytes]]:
    """Read `git cat-file --batch`: a line `<sha> blob <size>`, the bytes and a line feed for each object."""
    position = 0
    while position < len(out):
        end = out.index(b"\n", position)
        sha, _, size = out[position:end].split(b" ")
        start = end + 1
        position = start + int(size) + 1
        yield Sha(sha.decode()), out[start : position - 1]


def _differing(before: Folder, files: Iterable[RenderedFile]) -> Iterator[RenderedFile]:
    return (file for file in files if before.files.get(file.path) != file.blob)


def _blobs(folders: Iterable[tuple[Folder, Sequence[RenderedFile]]]) -> Iterator[bytes]:
    for before, files in folders:
        for file in _differing(before, files):
            data = file.read()
            yield b"blob\ndata %d\n%s\n" % (len(data), data)


def _splice(tip: Tip, writes: Sequence[FolderWrite]) -> Iterator[bytes]:
    yield b"commit %s\ncommitter none <none> 0 +0000\ndata 0\n" % _NEW.encode()
    if tip.tree:
        yield b'M 040000 %s ""\n' % tip.tree.encode()
    for write in writes:
        prefix = os.fsencode(write.before.path + "/") if write.before.path else b""
        rendered = {file.path for file in write.files}
        for path in write.before.files:
            if path not in rendered:
                yield b"D %s\n" % _path(prefix + os.fsencode(path))
        for file in _differing(write.before, write.files):
            yield b"M 100644 %s %s\n" % (file.blob.encode(), _path(prefix + os.fsencode(file.path)))
        mark = _path(prefix + METADATA_FILE.encode())
        if write.metadata is None:
            yield b"D %s\n" % mark
        else:
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (mark, len(write.metadata), write.metadata)


def _path(path: bytes) -> bytes:
    escaped = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"%s"' % escaped


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _ssh_command(key: Path, hosts: Path) -> str:
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "30",
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "ServerAliveInterval": "30",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(hosts),
    }
    words = ["ssh", "-F", "/dev/null", "-i", str(key)]
    words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return shlex.join(words)


def basic_credential(remote: Remote) -> str:
    """Return `username:token` in base64, as HTTP basic authentication wants it. It is a secret too."""
    return b64encode(f"{remote.username}:{remote.token.reveal()}".encode()).decode()


def split_credential(url: str) -> tuple[str, str, str]:
    """Take a credential out of an http(s) URL: the clean URL, the user name, the secret (empty when there is none)."""
    match = re.fullmatch(r"(https?://)([^/@]*)@(.*)", url, re.DOTALL)
    if not match:
        return url, "", ""
    username, _, secret = match[2].partition(":")
    return match[1] + match[3], unquote(username), unquote(secret)


def absolute_url(url: str, root: str) -> str:
    """Resolve a local path against the checkout's root; every other form of a URL is returned as it is."""
    is_local = "://" not in url and not re.match(r"[^/]+:", url)
    return os.path.normpath(f"{root}/{url}") if is_local and not url.startswith("/") else url
