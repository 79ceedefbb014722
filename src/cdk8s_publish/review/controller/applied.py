"""Which documents of a folder a controller applies, and which it would no longer apply after a publish."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import Trait
from cdk8s_publish.review.controller import kustomization
from cdk8s_publish.review.controller.reading import Reading, Unknown
from cdk8s_publish.review.delta import top_folder, unpaired
from cdk8s_publish.review.identity import NO_SCOPES, by_identity, scopes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cdk8s_publish.model import Manifest, ResourceId, Sha
    from cdk8s_publish.review.identity import Scopes
    from cdk8s_publish.review.manifests import Parsed

    ParseFile = Callable[[str, Sha], Parsed]
    """Returns the documents of a file, by its path and the id of its contents."""


_NOTHING = Reading("", {}, {}, (), {}, ())


class Applied(NamedTuple):
    """What is applied, by identity, and what can't be told.

    `left_out` are documents of these files that kustomize drops without a word. `repeated` are those about an object
    that another document is about, too: while there are any, nothing is applied.
    """

    resources: Mapping[ResourceId, Manifest]
    argo_only: Mapping[ResourceId, Manifest]
    left_out: tuple[Manifest, ...]
    repeated: tuple[Manifest, ...]
    unknown: tuple[Unknown, ...]


class Removals(NamedTuple):
    """What is applied now and would no longer be, by Flux and by Argo CD alone, and what may be.

    `unknown` are places of which nobody can say what would go with them, those that go and those that come. `staying`
    counts the resources that stay, of those in files that differ; those in `common` files have not been looked at.
    """

    resources: tuple[Manifest, ...]
    argo_only: tuple[Manifest, ...]
    unknown: tuple[Unknown, ...]
    staying: int
    common: Mapping[str, Sha]


def applied(reading: Reading, parse: ParseFile, known: Scopes = NO_SCOPES) -> Applied:
    """Take the documents of every file that is read.

    `known` are scopes of custom kinds; those that are not among them are taken from what is applied.
    """
    manifests = [manifest for path, blob in reading.files.items() for manifest in parse(path, blob).manifests]
    for_argo = [manifest for path, blob in reading.argo_only.items() for manifest in parse(path, blob).manifests]
    custom = {**scopes([*manifests, *for_argo]), **known}
    documents = by_identity(manifests, custom)
    kept = by_identity([one for one in manifests if not is_left_out(one)], custom)
    return Applied(
        resources=_first(kept),
        argo_only=_first(by_identity(for_argo, custom)),
        left_out=tuple(filter(is_left_out, manifests)),
        repeated=tuple(manifest for same in documents.values() for manifest in same[1:]),
        unknown=_places(reading, parse),
    )


def is_left_out(manifest: Manifest) -> bool:
    """Whether kustomize drops a document: local configuration, and its own under another name."""
    resource = manifest.resource
    is_own = resource.group == kustomization.GROUP and resource.kind.lower() == "kustomization"
    return is_own or Trait.LOCAL in manifest.traits


def removals(before: Reading, after: Reading, parse: ParseFile) -> Removals:
    """Compare what is applied in two states of a folder; what both read with the same contents is not parsed.

    Each top-level folder counts for itself, for a controller may apply it alone; what lies in none of them is applied
    by whoever applies them all. A resource that the first state holds twice, once in a file that stays as it is, counts
    as removed with the other.
    """
    parse = cache(parse)
    old, new = _without(before, after), _without(after, before)
    custom = scopes([*_manifests(old, parse), *_manifests(new, parse)])
    come = applied(new, parse, custom)
    gone_unknown = _places(old, parse)
    removed: list[Manifest] = []
    removed_from_argo: list[Manifest] = []
    count = 0
    arriving = _by_top(new)
    for top, part in _by_top(old).items():
        ours = applied(part, parse, custom)
        theirs = applied(arriving.get(top, _NOTHING), parse, custom) if top else come
        removed += _missing(ours.resources, theirs.resources)
        removed_from_argo += _missing(ours.argo_only, theirs.argo_only)
        count += len(ours.resources)
    return Removals(
        resources=tuple(removed),
        argo_only=tuple(removed_from_argo),
        unknown=_unknown(gone_unknown, come.unknown) if before.files or gone_unknown else (),
        staying=count - len(removed),
        common={path: blob for path, blob in before.files.items() if path not in old.files},
    )


def _unknown(gone: Sequence[Unknown], come: Sequence[Unknown]) -> tuple[Unknown, ...]:
    """Return the places that hid something before and no longer do, and those that may take away what is listed."""
    before, after = ({(one.file, one.mark) for one in side} for side in (gone, come))
    generated = {(one.file, name) for one in come for name in one.generated}
    hidden = [one for one in gone if one.mark and (one.file, one.mark) not in after]
    hidden += [one for one in gone if not generated.issuperset((one.file, name) for name in one.generated)]
    taking = [one for one in come if one.is_taking and one.mark and (one.file, one.mark) not in before]
    by_file = {one.file: one for one in (*taking, *hidden)}
    return tuple(by_file.values())


def count_staying(found: Removals, parse: ParseFile, enough: int) -> int:
    """Return how many resources stay; of the files in common only so many are parsed as it takes to see `enough`."""
    count = found.staying
    for path, blob in found.common.items():
        if count >= enough:
            break
        count += sum(not is_left_out(manifest) for manifest in parse(path, blob).manifests)
    return count


def _without(reading: Reading, other: Reading) -> Reading:
    """Return a reading without the files that the other one reads with the same contents, under any name."""

    def content(path: str, blob: Sha) -> tuple[Sha, str]:
        return blob, _top(path, reading.folder)

    files = unpaired(reading.files, other.files, content)
    return reading._replace(files=files, argo_only=unpaired(reading.argo_only, other.argo_only, content))


def _top(path: str, folder: str) -> str:
    """Return the top-level folder of a file below a folder of the branch; empty for one that lies in that itself."""
    return top_folder(path.removeprefix(f"{folder}/") if folder else path)


def _by_top(reading: Reading) -> dict[str, Reading]:
    """Return a reading of each top-level folder alone."""
    files: dict[str, dict[str, Sha]] = defaultdict(dict)
    argo_only: dict[str, dict[str, Sha]] = defaultdict(dict)
    for parts, side in ((files, reading.files), (argo_only, reading.argo_only)):
        for path, blob in side.items():
            parts[_top(path, reading.folder)][path] = blob
    tops = sorted(files.keys() | argo_only.keys())
    return {top: reading._replace(files=files[top], argo_only=argo_only[top], unknown=()) for top in tops}


def _missing(ours: Mapping[ResourceId, Manifest], theirs: Mapping[ResourceId, Manifest]) -> tuple[Manifest, ...]:
    return tuple(manifest for key, manifest in ours.items() if key not in theirs)


def _manifests(reading: Reading, parse: ParseFile) -> Iterator[Manifest]:
    for files in (reading.files, reading.argo_only):
        for path, blob in files.items():
            yield from parse(path, blob).manifests


def _first(documents: Mapping[ResourceId, list[Manifest]]) -> dict[ResourceId, Manifest]:
    return {key: same[0] for key, same in documents.items()}


def _places(reading: Reading, parse: ParseFile) -> tuple[Unknown, ...]:
    """Return the places of which it can't be said what is applied."""
    return (*reading.unknown, *_unknown_documents(reading, parse))


def _unknown_documents(reading: Reading, parse: ParseFile) -> Iterator[Unknown]:
    for path, blob in reading.files.items():
        one = parse(path, blob)
        for finding in one.findings:
            # A document that parses and is no resource hides none.
            mark = blob if finding.rule == "invalid-yaml" else ""
            yield Unknown(path, finding.rule, finding.message, is_fault=True, mark=mark)
        for manifest in one.manifests:
            if Trait.RENAMED in manifest.traits:
                reason = f"kustomize puts a hash behind the name of {manifest.resource}"
                yield Unknown(path, "not-followed", reason, is_fault=False, mark=blob)
