"""Rules → findings: what must never reach the target branch, told by resource and file.

Only what differs from a managed tip is parsed: the rest was checked when it was published. What a changed file could
break beyond itself, an identity rendered twice, is looked up in the unchanged files only for identities that are new.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import CheckError
from cdk8s_publish.model import METADATA_FILE, ChangeKind, Finding, Level
from cdk8s_publish.review.manifests import HELM_FILE, KUSTOMIZATION_FILES, MANIFESTS, parse, role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from cdk8s_publish.model import Change, Changes, Manifest, RenderedFile, RenderedManifests, ResourceId, Sha
    from cdk8s_publish.review.manifests import Delta, Parsed

    ParseAll = Callable[[Callable[[RenderedFile], Parsed], Sequence[RenderedFile]], Iterable[Parsed]]

REMOVAL_MINIMUM = 5
"""Fewer removed resources than this are never "too many", whatever their share."""

PRECIOUS = frozenset(
    {
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apps", "StatefulSet"),
    }
)
"""Group and kind of resources whose removal takes data, or other resources, with them."""

KUSTOMIZED_RULES = frozenset({"invalid-yaml", "not-a-resource", "duplicate-resource"})
"""Rules that a kustomization file can make pointless, because the controller reads only what it lists."""

CONSENT_HINT = (
    "If that is intended, set allow-removals, or put the trailer `Allow-Removals: <reason>` into the source commit."
)

_PLAIN_NAME = re.compile(rb"[A-Za-z0-9._:-]+")
_SEARCH_MAXIMUM = 32
"""Up to so many names are searched for in unchanged files before parsing them; beyond it, parsing all is cheaper."""

_LISTED = 20
"""How many removed resources a message names."""


class Policy(NamedTuple):
    """What the user allowed."""

    allow_empty: bool = False
    allow_secrets: bool = False
    allow_helm: bool = False


class Checked(NamedTuple):
    """The result of all rules.

    `parsed` holds the manifests of every changed file, `before` those of every file of the tip that changed or is
    gone; a file that can't be read is missing there. `manifests` is the number of resources rendered.
    """

    findings: tuple[Finding, ...]
    parsed: Mapping[str, tuple[Manifest, ...]]
    before: Mapping[str, tuple[Manifest, ...]]
    manifests: int


def check(delta: Delta, policy: Policy, old: Mapping[Sha, bytes], parse_all: ParseAll = map) -> Checked:
    """Apply every rule to what was rendered; `old` holds the bytes of `delta.wanted`, as far as they can be had.

    `parse_all` applies a function to every file: `map`, or something faster.

    Raises OSError when a rendered file can't be read.
    """
    before = _before(delta, old)
    recorded = delta.folder.manifests if delta.folder.is_managed else None
    if recorded is None or any(role(path) == MANIFESTS and path not in before for path in delta.gone):
        fresh, unread = delta.rendered.files, 0
    else:
        fresh, unread = delta.changed, recorded - sum(map(len, before.values()))
    parsed, findings = _parse(fresh, parse_all)
    kept = [file for file in delta.kept if file.path not in parsed and role(file.path) == MANIFESTS]
    places = _places(parsed, before, kept)
    count = unread + sum(map(len, parsed.values()))
    findings += delta.rendered.refused
    findings += _names(delta.rendered)
    findings += _duplicates(places)
    findings += _dropped(delta, places, kept)
    findings += () if policy.allow_helm else _helm(delta.rendered)
    findings += () if policy.allow_secrets else _secrets(parsed)
    findings += () if policy.allow_empty or count else [_nothing(delta)]
    return Checked(_ordered(findings, delta), parsed, before, count)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _before(delta: Delta, old: Mapping[Sha, bytes]) -> dict[str, tuple[Manifest, ...]]:
    """Return the manifests of what the tip held; a file that is absent from `old` or has a flaw is left out."""
    before = {}
    for path, blob in delta.gone.items():
        if role(path) == MANIFESTS and blob in old:
            parsed = parse(path, old[blob])
            if not parsed.findings:
                before[path] = parsed.manifests
    return before


def _parse(files: Iterable[RenderedFile], parse_all: ParseAll) -> tuple[dict[str, tuple[Manifest, ...]], list[Finding]]:
    manifests: dict[str, tuple[Manifest, ...]] = {}
    findings: list[Finding] = []
    readable = [file for file in files if role(file.path) == MANIFESTS or _name(file.path) in KUSTOMIZATION_FILES]
    for file, parsed in zip(readable, parse_all(_parse_file, readable), strict=True):
        if role(file.path) == MANIFESTS:
            manifests[file.path] = parsed.manifests
            findings += parsed.findings
            if not file.size:
                message = f"{file.path} is empty: its chart rendered nothing."
                findings.append(Finding(Level.WARNING, "empty-file", message, file.path))
        else:
            findings += _misplaced(file, parsed)
    return manifests, findings


def _parse_file(file: RenderedFile) -> Parsed:
    return parse(file.path, file.read())


def _misplaced(file: RenderedFile, parsed: Parsed) -> Iterator[Finding]:
    for manifest in parsed.manifests:
        if manifest.resource.group != "kustomize.config.k8s.io":
            message = f"{file.path} would be read as configuration of kustomize, but holds {manifest.resource}."
            hint = "Give the chart another name."
            yield Finding(Level.ERROR, "reserved-name", message, file.path, manifest.resource, hint)


def _identity(resource: ResourceId) -> ResourceId:
    """Return what kustomize compares: no namespace is the namespace `default` (`ResId.EffectiveNamespace`)."""
    return resource if resource.namespace else resource._replace(namespace="default")


def _places(
    parsed: Mapping[str, tuple[Manifest, ...]],
    before: Mapping[str, tuple[Manifest, ...]],
    kept: Sequence[RenderedFile],
) -> dict[ResourceId, list[Manifest]]:
    """Return every place where a resource of the parsed files is rendered.

    The tip had no identity twice, so one that its changed files held already can't be in an unchanged file.
    """
    places: dict[ResourceId, list[Manifest]] = defaultdict(list)
    for manifest in chain.from_iterable(parsed.values()):
        places[_identity(manifest.resource)].append(manifest)
    known = {_identity(manifest.resource) for manifest in chain.from_iterable(before.values())}
    for manifest in _search(places.keys() - known, kept):
        places[_identity(manifest.resource)].append(manifest)
    return places


def _search(wanted: AbstractSet[ResourceId], files: Sequence[RenderedFile]) -> Iterator[Manifest]:
    """Yield the manifests of unchanged files that have one of these identities.

    A name is in the bytes of its document as it is, unless an escape hides it: then the file is parsed as well.
    """
    names = {resource.name.encode() for resource in wanted}
    is_searchable = len(names) <= _SEARCH_MAXIMUM and all(map(_PLAIN_NAME.fullmatch, names))
    for file in files if wanted else ():
        data = file.read()
        if is_searchable and b"\\" not in data and not any(name in data for name in names):
            continue
        yield from (manifest for manifest in parse(file.path, data).manifests if _identity(manifest.resource) in wanted)


def _duplicates(places: Mapping[ResourceId, Sequence[Manifest]]) -> Iterator[Finding]:
    for manifests in places.values():
        if len(manifests) > 1:
            first = manifests[0]
            files = " and ".join(sorted({manifest.file for manifest in manifests}))
            yield Finding(
                Level.ERROR,
                "duplicate-resource",
                f"{first.resource} is rendered {len(manifests)} times, in {files}.",
                first.file,
                first.resource,
                "Flux applies nothing at all while two documents describe one resource: rename or remove one of them.",
            )


def _dropped(
    delta: Delta, places: Mapping[ResourceId, Sequence[Manifest]], kept: Sequence[RenderedFile]
) -> Iterator[Finding]:
    """Find resources that the app wrote to a file and then replaced, and that no file holds now (cdk8s issue 2821)."""
    if not delta.rendered.overwritten:
        return
    lost: dict[ResourceId, Manifest] = {}
    for overwritten in delta.rendered.overwritten:
        if role(overwritten.path) == MANIFESTS:
            for manifest in parse(overwritten.path, overwritten.location.read_bytes()).manifests:
                lost.setdefault(_identity(manifest.resource), manifest)
    missing = lost.keys() - places.keys()
    missing -= {_identity(manifest.resource) for manifest in _search(missing, kept)}
    final = {file.path: file for file in delta.rendered.files}
    for identity in missing:
        dropped = lost[identity]
        winners = parse(dropped.file, final[dropped.file].read()).manifests if dropped.file in final else ()
        by = ", ".join(str(manifest.resource) for manifest in winners) or "a file without resources"
        yield Finding(
            Level.ERROR,
            "dropped-resource",
            f"{dropped.resource} was rendered to {dropped.file} and then overwritten by {by}.",
            dropped.file,
            dropped.resource,
            "cdk8s names files without namespace and API group: use YamlOutputType.FILE_PER_CHART or rename one.",
        )


def _secrets(parsed: Mapping[str, tuple[Manifest, ...]]) -> Iterator[Finding]:
    for manifest in chain.from_iterable(parsed.values()):
        if manifest.is_plain_secret:
            yield Finding(
                Level.ERROR,
                "plain-secret",
                f"{manifest.resource} holds readable values: everybody who can read the branch could read them.",
                manifest.file,
                manifest.resource,
                "Use an ExternalSecret, a SealedSecret or SOPS, or set allow-secrets to publish it anyway.",
            )


def _helm(rendered: RenderedManifests) -> Iterator[Finding]:
    if any(file.path == HELM_FILE for file in rendered.files):
        message = "The app rendered a Helm chart, and Flux would read its Chart.yaml as a Kubernetes object."
        hint = "Synthesize with `--format plain`, or set allow-helm."
        yield Finding(Level.ERROR, "helm-format", message, HELM_FILE, hint=hint)


def _nothing(delta: Delta) -> Finding:
    message = f"The app rendered no resource: publishing this would delete everything in {delta.rendered.path or '.'}."
    return Finding(Level.ERROR, "nothing-rendered", message, hint="Set allow-empty if that is what you want.")


def _names(rendered: RenderedManifests) -> Iterator[Finding]:
    """Find files whose name alone changes what git or a controller makes of the folder."""
    for file in rendered.files:
        name = _name(file.path)
        if name == ".gitattributes":
            message = f"{file.path} would make git rewrite the bytes of published files on every checkout."
            yield Finding(Level.ERROR, "git-attributes", message, file.path, hint="Don't write this file.")
        elif name in KUSTOMIZATION_FILES:
            message = f"Flux and Argo CD apply only what {file.path} lists, not every manifest of its folder."
            yield Finding(Level.NOTICE, "kustomization", message, file.path)
        elif name == ".sourceignore":
            message = f"Flux leaves out what {file.path} matches, and deletes it from the cluster."
            yield Finding(Level.WARNING, "source-ignore", message, file.path)
        elif name == METADATA_FILE:
            message = f"{file.path} is the name of the record of what was published."
            yield Finding(Level.ERROR, "reserved-name", message, file.path, hint="Write it under another name.")
        elif f"{rendered.path}/{file.path}".lstrip("/").startswith(".github/workflows/"):
            message = f"{file.path} would run as a workflow of the target branch."
            yield Finding(Level.ERROR, "workflow-file", message, file.path, hint="Publish to another path.")


def _ordered(findings: Iterable[Finding], delta: Delta) -> tuple[Finding, ...]:
    """Sort by gravity, then file. Below a kustomization file the rules on resources only warn: it may not list them."""
    paths = (file.path for file in delta.rendered.files if file.path.endswith(KUSTOMIZATION_FILES))
    prefixes = tuple(path.removesuffix(_name(path)) for path in paths if _name(path) in KUSTOMIZATION_FILES)
    softened = (
        finding._replace(level=Level.WARNING)
        if prefixes and finding.rule in KUSTOMIZED_RULES and finding.file.startswith(prefixes)
        else finding
        for finding in findings
    )
    return tuple(sorted(softened, key=lambda one: (list(Level).index(one.level), one.file, one.rule, one.message)))


def located(findings: Iterable[Finding], path: str) -> Iterator[Finding]:
    """Yield the findings about one of several apps with its folder on the branch, which says whose they are."""
    return (finding._replace(file=f"{path}/{finding.file}".strip("/")) for finding in findings)


def refuse(findings: Sequence[Finding]) -> None:
    """Raise a CheckError that names the findings which are errors, if there are any."""
    errors = [finding for finding in findings if finding.level is Level.ERROR]
    if not errors:
        return
    count = len(errors)
    raise CheckError(
        errors[0].message + (f" ({count - 1} more finding{'s' * (count > 2)})" if count > 1 else ""),  # noqa: PLR2004
        evidence="\n".join(map(str, errors)) if count > 1 or errors[0].file else "",
        hint="\n".join(dict.fromkeys(finding.hint for finding in errors if finding.hint)),
        findings=tuple(findings),
    )


def check_changes(changes: Sequence[Changes], *, consent: bool) -> tuple[Finding, ...]:
    """Hold the removals of a run against the removal budget of each folder and of all; with `consent` they only warn.

    A resource that moved to another folder of the same run is not removed.
    """
    moved = {None, *(item.resource for one in changes for item in one.of(ChangeKind.ADDED))}
    gone = [[item for item in one.of(ChangeKind.REMOVED) if item.resource not in moved] for one in changes]
    before = [
        one.manifests - _resources(one, ChangeKind.ADDED) + _resources(one, ChangeKind.REMOVED) for one in changes
    ]
    findings = [
        finding
        for one, items, count in zip(changes, gone, before, strict=True)
        for finding in _budget(items, count, one.path or ".", consent=consent)
    ]
    # Many small folders can vanish without any of them losing five.
    findings = findings or _budget([*chain(*gone)], sum(before), "all folders of this run", consent=consent)
    for item in chain(*gone):
        if item.resource and (item.resource.group, item.resource.kind) in PRECIOUS:
            finding = _removal("precious-removal", item.title, ", and with it what it holds.", consent=consent)
            findings.append(finding._replace(file=item.file, resource=item.resource))
    return tuple(findings)


def _budget(gone: Sequence[Change], before: int, where: str, *, consent: bool) -> list[Finding]:
    if len(gone) < REMOVAL_MINIMUM or 2 * len(gone) <= before:
        return []
    names = ", ".join(item.title for item in gone[:_LISTED])
    more = f" and {len(gone) - _LISTED} more" if len(gone) > _LISTED else ""
    what = f"{len(gone)} of {before} resources in {where}"
    return [_removal("removal-budget", what, f": {names}{more}.", consent=consent)]


def _removal(rule: str, what: str, rest: str, *, consent: bool) -> Finding:
    if consent:
        return Finding(Level.WARNING, rule, f"Consent was given to delete {what}{rest}")
    return Finding(Level.ERROR, rule, f"This would delete {what}{rest}", hint=CONSENT_HINT)


def _resources(changes: Changes, kind: ChangeKind) -> int:
    return sum(item.resource is not None for item in changes.of(kind))
