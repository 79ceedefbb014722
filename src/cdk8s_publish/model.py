"""Domain values. All are frozen: every arrow of the pipeline can be printed, compared and handed to a test."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Sha = NewType("Sha", str)
"""A git object id in lower-case hexadecimal: 40 digits (SHA-1) or 64 (SHA-256)."""

CONFIG_FILE = "cdk8s.yaml"
"""Where cdk8s looks for the app command; it marks a folder that holds an app."""

METADATA_FILE = "hydrator.metadata"
"""Marks a folder that we manage; JSON in the format of Argo CD's hydrator and GitOps Promoter. No YAML extension:
Flux must not read it."""

MANIFEST_SUFFIXES = (".yaml", ".yml")
"""What kustomize-controller reads below `spec.path`; every other extension is ignored by it."""

CONSTRUCT_METADATA_FILE = "construct-metadata.json"
"""Written by cdk8s beside the manifests for validation plugins; never published."""


class Secret:
    """A string that can't be printed by accident; `reveal()` is the only way to its value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself. Never put the result into argv, a log record, an exception or a file."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        # Pickle would write the value into a pipe or file.
        message = "a Secret can't be pickled"
        raise TypeError(message)


class Remote(NamedTuple):
    """A repository to read from or publish to, and how to get in.

    `url` carries no credential. `token` is sent as HTTP basic authentication of `username`; without a token the user's
    own credential helper is asked for that user, if there is one. `ssh_key` is a private key in OpenSSH or PEM format
    and `ssh_known_hosts` the lines, in the format of sshd(8), of the hosts it is used with.
    """

    url: str
    username: str = ""
    token: Secret = Secret("")
    ssh_key: Secret = Secret("")
    ssh_known_hosts: str = ""

    @property
    def is_http(self) -> bool:
        """Whether the token can be used."""
        return self.url.startswith(("https://", "http://"))


class Outcome(StrEnum):
    """How a run ended; an error makes it `failed`."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    DRY_RUN = "dry-run"
    FAILED = "failed"


class Level(StrEnum):
    """How severe a finding is. An error stops the run before the target branch is touched."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class SourceRevision(NamedTuple):
    """The commit that is rendered.

    `branch` is the branch that is built or, where it `is_tag`, the tag; empty where nobody says. `date` is the
    committer date in strict ISO 8601 with its zone (`%cI` of git), `author` is `Name <email>`.
    """

    sha: Sha
    branch: str
    subject: str
    body: str
    author: str
    date: str
    url: str = ""
    is_tag: bool = False

    def __str__(self) -> str:
        return f"{self.branch}@sha1:{self.sha}" if self.branch else f"sha1:{self.sha}"

    @property
    def ref(self) -> str:
        """What is published from: a branch, any tag (`refs/tags/*`), or an empty string where nobody says."""
        if self.is_tag:
            return "refs/tags/*"
        return f"refs/heads/{self.branch}" if self.branch else ""


class CommitMessage(NamedTuple):
    """What a commit of the source says; `author` is a name, `text` the whole message."""

    sha: Sha
    author: str
    text: str


class ResourceId(NamedTuple):
    """What makes a Kubernetes object itself: API group (no version: it is the same object), kind, namespace, name.

    A tuple, because it is compared and looked up more often than anything else here.
    """

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind_and_group} {place}{self.name}"

    @property
    def kind_and_group(self) -> str:
        """The kind as kubectl takes it, `Deployment.apps`; a kind of the core group stands alone."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


class Trait(StrEnum):
    """What Flux does with a document that one would not expect of it."""

    LOCAL = "left out"
    """kustomize leaves it out: it is annotated as local configuration."""

    RENAMED = "renamed"
    """kustomize puts a hash behind its name."""

    UNLABELLED = "unlabelled"
    """It loses all its labels, because one of them is not a string."""

    ENCRYPTED = "encrypted"
    """A `Secret` that SOPS encrypted: nothing of its stage is applied unless `spec.decryption` is set."""

    ENCRYPTED_TEXT = "encrypted text"
    """The same in `stringData`: without `spec.decryption` the encrypted text is applied as the value."""


class CustomKind(NamedTuple):
    """The kind that a CustomResourceDefinition defines, and whether its objects are in namespaces."""

    group: str
    kind: str
    is_namespaced: bool


class Manifest(NamedTuple):
    """One YAML document that describes one resource.

    `text` holds the document's original bytes (between its `---` lines). `defines` is what a CustomResourceDefinition
    is about.
    """

    resource: ResourceId
    file: str
    text: bytes
    traits: tuple[Trait, ...] = ()
    defines: CustomKind | None = None


class Finding(NamedTuple):
    """What a check reports. `rule` is a name of `rules`, `file` is relative to the output folder.

    Where the rule is about a folder of the branch, `file` is that folder.

    `allow` is what the input `allow`, or a trailer, must say to let the finding pass; it is empty where nothing has to.
    """

    level: Level
    rule: str
    message: str
    file: str = ""
    resource: ResourceId | None = None
    hint: str = ""
    allow: str = ""

    def __str__(self) -> str:
        where = f" ({', '.join(self.where)})" if self.where else ""
        words = f" [to allow: {self.allow}]" if self.allow else ""
        return f"{self.level} {self.rule}: {self.message}{where}{words}"

    @property
    def where(self) -> tuple[str, ...]:
        """File and resource, as far as the message does not name them."""
        return tuple(part for part in (self.file, str(self.resource or "")) if part not in self.message)


class NotRenderedError(Exception):
    """Published files stood in for a hermetic app's render, and were replaced meanwhile; rendering it helps."""


class RenderedFile(NamedTuple):
    """One file of the output folder.

    `path` is relative to that folder, with `/`; bytes that are not UTF-8 are kept as surrogate escapes
    (`os.fsencode` gives them back). `location` is where the bytes are (a text: a path object
    for each of 20,000 files would take longer than reading them), `blob` is their git object id. `may_hold_secret` is
    false where whoever had the bytes at hand has seen that they name no Kubernetes Secret.
    """

    path: str
    location: str
    size: int
    blob: Sha
    may_hold_secret: bool = True

    @property
    def is_manifest(self) -> bool:
        """Whether kustomize-controller would read the file."""
        return self.path.endswith(MANIFEST_SUFFIXES)

    def read(self) -> bytes:
        """Return the file's bytes; the only place where rendered bytes are read for checks and diffs.

        Raises:
            NotRenderedError: the file stands for one that is published already, and was not rendered.

        """
        if not self.location:
            raise NotRenderedError(f"{self.path} is no longer what was published when this run began")
        with open(self.location, "rb") as file:  # noqa: PTH123  # as above
            return file.read()


class Overwritten(NamedTuple):
    """Bytes that the app wrote to `path` and then replaced by other bytes in the same synth."""

    path: str
    location: Path


class RenderedManifests(NamedTuple):
    """The YAML that synth wrote, plus every other file of the output folder, sorted by `path`.

    `path` is the folder on the target branch that these files replace. `refused` are the findings of the
    synth itself: entries of the output folder that can't be published at all (links that leave it, devices), and what
    the validation plugins of cdk8s.yaml reported.
    """

    app: str
    path: str
    files: tuple[RenderedFile, ...]
    overwritten: tuple[Overwritten, ...] = ()
    refused: tuple[Finding, ...] = ()


class Folder(NamedTuple):
    """What the tip holds at one path: its files (path below the folder → blob id, `hydrator.metadata` left out).

    `record` is the source revision that was published (or seen without a change) last, `manifests` the number of
    resources as recorded then; both are None for a folder that we do not manage. `source_url`, `directory` and
    `source_ref` say which app was published there: its repository, its folder in it and the branch (or `refs/tags/*`)
    that it was published from; each is empty or None where nobody recorded it. `fingerprint` is that of a hermetic app
    whose render these files are.
    """

    path: str
    files: Mapping[str, Sha] = MappingProxyType({})
    is_managed: bool = False
    record: Sha | None = None
    manifests: int | None = None
    source_url: str = ""
    directory: str | None = None
    source_ref: str = ""
    fingerprint: str = ""


class Relation(StrEnum):
    """How the source commit of a run relates to the one recorded on the target branch."""

    FIRST = "first"
    SAME = "same"
    NEWER = "newer"
    OLDER = "older"
    DIVERGED = "diverged"
    LEFT_BEHIND = "left-behind"
    """The branch that is rendered does not hold the commit any more: it was rewritten or deleted."""
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What a plan decided to do."""

    PUBLISH = "publish"
    DIFF = "diff"
    SKIP = "skip"


class PublishPlan(NamedTuple):
    """The decision, before anything is rendered: what will be done and why, in words for the log."""

    action: Action
    reason: str
    findings: tuple[Finding, ...] = ()


class ChangeKind(StrEnum):
    """What happened to a resource between the tip and the render."""

    ADDED = "added"
    MODIFIED = "modified"
    REMOVED = "removed"


class Change(NamedTuple):
    """One changed resource, or one changed file that holds none (`resource` is None then).

    `diff` is a unified diff without values of plain secrets, or one line that says why there is none; it is empty where
    a side is unknown, or holds a Secret that nobody parsed. A resource that moves to another top-level folder is
    removed and added; each of the two names the `other_file`.
    """

    kind: ChangeKind
    file: str
    resource: ResourceId | None
    diff: str = ""
    other_file: str = ""

    @property
    def title(self) -> str:
        """The resource, or the file where there is no resource."""
        name = str(self.resource) if self.resource else self.file
        return f"{name} ({self.move})" if self.move else name

    @property
    def move(self) -> str:
        """Where it moves to or comes from, in words; empty for one that does not move."""
        if not self.other_file:
            return ""
        return f"moved {'to' if self.kind is ChangeKind.REMOVED else 'from'} {self.other_file}"


class Changes(NamedTuple):
    """All changes of one folder, by resource and sorted; `manifests` is the number of resources rendered.

    `files` is true when any byte differs, also where no resource changed (a comment, a moved document).
    """

    path: str
    items: tuple[Change, ...]
    manifests: int
    files: bool

    def of(self, kind: ChangeKind) -> tuple[Change, ...]:
        """Return the changes of one kind."""
        return tuple(item for item in self.items if item.kind is kind)


class Publication(NamedTuple):
    """What happened to the target branch. `revision` is None where the branch does not exist (a diff, a skip)."""

    outcome: Outcome
    branch: str
    paths: tuple[str, ...]
    revision: Sha | None
    previous: Sha | None
    changes: tuple[Changes, ...] = ()
    reason: str = ""


class Result(NamedTuple):
    """How a run ended, or what one that was refused would have done.

    `published_url` is the web page of the published revision.
    """

    publication: Publication
    source: SourceRevision
    published_url: str
    findings: tuple[Finding, ...] = ()
