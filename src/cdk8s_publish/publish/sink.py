"""What is published to: the seam between deciding to publish and doing it.

A sink is looked at, read and moved. What it is made of (tips, refs, notes, trees and leases of a git branch, tags and
digests of a registry) is its own business: outside of it there are folders that map paths to opaque digests.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cdk8s_publish.model import CommitMessage, Folder, Relation, RenderedManifests, Sha


class Claim(NamedTuple):
    """Which folders of the target a run renders, and which others it may call its own.

    `directories` maps folders of the target to the folders of the apps that are rendered into them, `patterns` are the
    wildcards that found those apps, and `path_of` says where the app of any folder is published. `fingerprints` are
    those of hermetic apps, by folder of the target. `ref` is the branch that is rendered, empty where nobody says.
    """

    directories: Mapping[str, str]
    patterns: tuple[str, ...] = ()
    path_of: Callable[[str], str] = str
    fingerprints: Mapping[str, str] = MappingProxyType({})
    ref: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """The folders that this run renders."""
        return tuple(self.directories)

    def is_recorded(self, folder: Folder) -> bool:
        """Whether a folder's record still says where its app is, and which branch it is published from.

        An app that moved away is not an app that is gone.
        """
        if not folder.is_managed or (self.ref and folder.source_ref not in {"", self.ref}):
            return False
        return folder.directory in {None, self.directories.get(folder.path, folder.directory)}


class Observed(NamedTuple):
    """What one look at a sink gave.

    `revision` is what is published now, None while there is nothing. `folders` are those of the claim, and behind
    them the `abandoned` ones of apps that the run would have found and that are gone. `others` belong to other runs.
    `is_foreign` is true when the target has content, and none of it was published by us. `relations` says for each
    folder how the source commit of this run relates to the one recorded there, `messages` are those of the commits
    since then. `files` are all plain files of the target, with their digests. `unsigned` are the files beside the
    folders of the run, where the run has a key to sign with and that key has not signed what is published now. `owners`
    says who has published a folder that is not ours, `former` are folders to which an app was published that has none
    yet where this run publishes it, `other_refs` says from which other branch (or `refs/tags/*`) one that is ours was
    published last.
    `state` is the sink's own.
    """

    revision: Sha | None
    folders: tuple[Folder, ...]
    abandoned: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    is_foreign: bool = False
    relations: Mapping[str, Relation] = MappingProxyType({})
    files: Mapping[str, Sha] = MappingProxyType({})
    unsigned: tuple[str, ...] = ()
    owners: Mapping[str, str] = MappingProxyType({})
    other_refs: Mapping[str, str] = MappingProxyType({})
    former: tuple[str, ...] = ()
    messages: tuple[CommitMessage, ...] = ()
    state: object = None


class Sink(Protocol):
    """Something that holds rendered manifests and moves from one state to the next by compare-and-swap."""

    name: str
    """What it is called in messages."""

    claim: Claim

    def look(self) -> Observed:
        """Return what is published now.

        Raises:
            TransientRemoteError: it may be possible to look a moment later. RemoteError: it can't be looked at, or it
                is one that must never be overwritten.

        """
        ...

    def read(self, digests: Iterable[Sha]) -> Mapping[Sha, bytes]:
        """Return published files by the digests that `Observed.folders` names them with."""
        ...

    def move(self, seen: Observed, rendered: tuple[RenderedManifests, ...], counts: Mapping[str, int]) -> Sha:
        """Replace folders by what was rendered if nothing has moved since `seen`, and return the new revision.

        `counts` is the number of resources of each folder.

        Raises:
            LeaseLostError: it has moved: look again. TransientRemoteError, RemoteError: as for `look`.

        """
        ...

    def record(self, seen: Observed) -> None:
        """Remember that the source commit of this run was seen and changed nothing; raises as `move` does."""
        ...
