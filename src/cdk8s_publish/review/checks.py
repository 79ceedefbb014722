"""Rules → findings: what must never reach the target branch, by resource and file.

Only what differs from a managed tip is parsed: the rest was checked when it was published. What a changed file could
break beyond itself, an identity rendered twice, is looked up in the unchanged files only for identities that are new.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.git.obeyed import obeyed
from cdk8s_publish.model import METADATA_FILE, Finding, Level
from cdk8s_publish.review.controller.source_ignore import IGNORE_FILE
from cdk8s_publish.review.delta import top_folder
from cdk8s_publish.review.documents import Documents
from cdk8s_publish.review.exposure import Exposure, exposure, secrets_in
from cdk8s_publish.review.identity import identify, scopes
from cdk8s_publish.review.manifests import HELM_FILE, KUSTOMIZATION_FILES, MANIFESTS, parse, role
from cdk8s_publish.rules.findings import by_severity
from cdk8s_publish.rules.registry import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from cdk8s_publish.model import Manifest, Overwritten, RenderedFile, RenderedManifests, ResourceId, Sha
    from cdk8s_publish.review.delta import Delta
    from cdk8s_publish.review.identity import Scopes
    from cdk8s_publish.review.manifests import Parsed

KUSTOMIZED_RULES = frozenset({"invalid-yaml", "not-a-resource", "duplicate-resource"})
"""Rules that a kustomization file can make pointless, because the controller reads only what it lists."""

UNREADABLE_RULES = frozenset({"invalid-yaml", "not-a-resource"})
"""Rules whose findings say that a part of a file can't be read."""

_OBEYED_HINTS = {
    "workflow-file": "Don't write this file, or publish to a folder (`path: dist`), where no product looks for it.",
    "obeyed-file": "If that is not meant, don't write this file, or publish to a folder where nobody looks for it.",
    "git-configuration": "Don't write this file, or publish to a folder (`path: dist`), where git does not read it.",
    "git-attributes": "Don't write this file.",
}

_PLAIN_NAME = re.compile(rb"[A-Za-z0-9._:-]+")
_SEARCH_MAXIMUM = 32
"""Up to so many names are searched for in unchanged files before parsing them; beyond it, parsing all is cheaper."""


class Checked(NamedTuple):
    """The result of all rules.

    `parsed` holds the manifests of every changed file, `before` those of every file of the tip that changed or is
    gone; a file that can't be read is missing there. `manifests` is the number of resources rendered; `is_complete`
    says that no file was passed over. `custom` are the scopes of the custom kinds that these manifests define,
    `exposed` is what must not be shown.
    """

    findings: tuple[Finding, ...]
    parsed: Mapping[str, tuple[Manifest, ...]]
    before: Mapping[str, tuple[Manifest, ...]]
    manifests: int
    is_complete: bool
    custom: Scopes
    exposed: Exposure

    def without(self, paths: AbstractSet[str]) -> Checked:
        """Return the same as if these files could not be read at all."""
        parsed = {path: manifests for path, manifests in self.parsed.items() if path not in paths}
        before = {path: manifests for path, manifests in self.before.items() if path not in paths}
        return self._replace(parsed=parsed, before=before)


def check(
    delta: Delta, old: Mapping[Sha, bytes], documents: Documents | None = None, *, is_shown: bool = True
) -> Checked:
    """Apply every rule to what was rendered; `old` holds the bytes of `delta.wanted`, as far as they can be had.

    `documents` remembers what has been parsed. With `is_shown` a diff follows, of this folder or of another.

    Raises OSError when a rendered file can't be read.
    """
    documents = documents or Documents()
    before = _before(delta, old, documents)
    recorded = delta.folder.manifests if delta.folder.is_managed else None
    if recorded is None or any(role(path) == MANIFESTS and path not in before for path in delta.gone):
        fresh, unread = delta.rendered.files, 0
    else:
        fresh, unread = delta.changed, recorded - sum(map(len, before.values()))
    parsed, findings = _parse(fresh, documents)
    kept = unparsed(delta, parsed)
    custom = scopes(chain.from_iterable((*before.values(), *parsed.values())))
    places = _places(parsed, before, kept, custom)
    count = unread + sum(map(len, parsed.values()))
    findings += delta.rendered.refused
    findings += _names(delta.rendered)
    findings += _duplicates(places)
    findings += _dropped(delta, places, kept, custom)
    findings += _helm(delta.rendered)
    findings += _secrets(delta, fresh, documents)
    findings += [] if count else [nothing(delta)]
    softened = _soften_below_kustomizations(findings, delta)
    exposed = exposure(delta, old, documents) if is_shown else Exposure()
    return Checked(by_severity(softened), parsed, before, count, not kept, custom, exposed)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _before(delta: Delta, old: Mapping[Sha, bytes], documents: Documents) -> dict[str, tuple[Manifest, ...]]:
    """Return the manifests of what the tip held; a file that is absent from `old` or has a flaw is left out."""
    before = {}
    for path, blob in delta.gone.items():
        if role(path) == MANIFESTS and blob in old:
            parsed = documents.parse(path, blob, partial(old.__getitem__, blob))
            if not parsed.findings:
                before[path] = parsed.manifests
    return before


def _parse(
    files: Iterable[RenderedFile], documents: Documents
) -> tuple[dict[str, tuple[Manifest, ...]], list[Finding]]:
    manifests: dict[str, tuple[Manifest, ...]] = {}
    findings: list[Finding] = []
    for file in files:
        if role(file.path) == MANIFESTS:
            parsed = documents.parse(file.path, file.blob, file.read)
            manifests[file.path] = parsed.manifests
            findings += parsed.findings
            if not file.size:
                message = f"{file.path} is empty: its chart rendered nothing."
                findings.append(Finding(Level.WARNING, "empty-file", message, file.path))
        elif _name(file.path) in KUSTOMIZATION_FILES:
            findings += _misplaced(file, parse(file.path, file.read()))
    return manifests, findings


def _misplaced(file: RenderedFile, parsed: Parsed) -> Iterator[Finding]:
    for manifest in parsed.manifests:
        if manifest.resource.group != "kustomize.config.k8s.io":
            message = f"{file.path} would be read as configuration of kustomize, but holds {manifest.resource}."
            hint = "Give the chart another name."
            yield Finding(Level.ERROR, "reserved-name", message, file.path, manifest.resource, hint)


def _places(
    parsed: Mapping[str, tuple[Manifest, ...]],
    before: Mapping[str, tuple[Manifest, ...]],
    kept: Sequence[RenderedFile],
    custom: Scopes,
) -> dict[ResourceId, list[Manifest]]:
    """Return every place where a resource of the parsed files is rendered.

    No top-level folder of the tip had an identity twice, so one that its changed files held already can't be in an
    unchanged file.
    """
    places: dict[ResourceId, list[Manifest]] = defaultdict(list)
    known = {_place(manifest, custom) for manifest in chain.from_iterable(before.values())}
    new: set[ResourceId] = set()
    for manifest in chain.from_iterable(parsed.values()):
        key = identify(manifest.resource, custom)
        places[key].append(manifest)
        if _place(manifest, custom) not in known:
            new.add(key)
    for manifest in search(new, kept, custom):
        places[identify(manifest.resource, custom)].append(manifest)
    return places


def _place(manifest: Manifest, custom: Scopes) -> tuple[ResourceId, str]:
    return identify(manifest.resource, custom), top_folder(manifest.file)


def unparsed(delta: Delta, parsed: Mapping[str, object]) -> list[RenderedFile]:
    """Return the unchanged files whose documents have not been read."""
    return [file for file in delta.kept if file.path not in parsed and role(file.path) == MANIFESTS]


def search(wanted: AbstractSet[ResourceId], files: Sequence[RenderedFile], custom: Scopes) -> Iterator[Manifest]:
    """Yield the manifests of unchanged files that have one of these identities.

    A name is in the bytes of its document as it is, unless an escape hides it: then the file is parsed as well.
    """
    if not wanted:
        return
    names = {resource.name.encode() for resource in wanted}
    is_searchable = len(names) <= _SEARCH_MAXIMUM and all(map(_PLAIN_NAME.fullmatch, names))
    for file in files:
        data = file.read()
        if is_searchable and not _may_hold(data, names):
            continue
        for manifest in parse(file.path, data).manifests:
            if identify(manifest.resource, custom) in wanted:
                yield manifest


def _may_hold(data: bytes, names: Iterable[bytes]) -> bool:
    """Whether one of the names is in a file as it is, or hidden by an escape."""
    return b"\\" in data or any(name in data for name in names)


def _duplicates(places: Mapping[ResourceId, Sequence[Manifest]]) -> Iterator[Finding]:
    """Find resources that are rendered several times.

    In top-level folders of their own they only warn: environments side by side are applied by a controller each.
    """
    for manifests in places.values():
        if len(manifests) < 2:  # noqa: PLR2004  # one place is as it should be
            continue
        first = manifests[0]
        files = " and ".join(sorted({manifest.file for manifest in manifests}))
        message = f"{first.resource} is rendered {len(manifests)} times, in {files}."
        folders = {top_folder(manifest.file) for manifest in manifests}
        if len(folders) == len(manifests) and "" not in folders:
            names = ", ".join(sorted(folders))
            message = f"{message.rstrip('.')}: {names} must not be applied together, for then none of them would be."
            hint = f"Give each of {names} a Flux Kustomization of its own."
            yield Finding(Level.WARNING, "duplicate-resource", message, first.file, first.resource, hint)
        else:
            hint = (
                "Flux applies nothing at all while two documents describe one resource: rename or remove one of them."
            )
            yield Finding(Level.ERROR, "duplicate-resource", message, first.file, first.resource, hint)


def _overwritten(files: Iterable[Overwritten], custom: Scopes) -> dict[ResourceId, Manifest]:
    """Return the resources of bytes that the app replaced, each as it was first written."""
    found: dict[ResourceId, Manifest] = {}
    for file in files:
        if role(file.path) == MANIFESTS:
            for manifest in parse(file.path, file.location.read_bytes()).manifests:
                found.setdefault(identify(manifest.resource, custom), manifest)
    return found


def _dropped(
    delta: Delta, places: Mapping[ResourceId, Sequence[Manifest]], kept: Sequence[RenderedFile], custom: Scopes
) -> Iterator[Finding]:
    """Find resources that the app wrote to a file and then replaced, and that no file holds now (cdk8s issue 2821)."""
    if not delta.rendered.overwritten:
        return
    lost = _overwritten(delta.rendered.overwritten, custom)
    missing = lost.keys() - places.keys()
    missing -= {identify(manifest.resource, custom) for manifest in search(missing, kept, custom)}
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


def _secrets(delta: Delta, fresh: Sequence[RenderedFile], documents: Documents) -> Iterator[Finding]:
    for path, secret in secrets_in(delta, fresh, documents):
        resource = secret.resource if secret.resource.name else None
        message = f"{resource or 'A Secret'} {secret.does}: everybody who can read the branch could read them."
        hint = "Use an ExternalSecret, a SealedSecret or SOPS."
        yield Finding(Level.ERROR, "plain-secret", message, path, resource, hint)


def _helm(rendered: RenderedManifests) -> Iterator[Finding]:
    if any(file.path == HELM_FILE for file in rendered.files):
        message = "The app rendered a Helm chart, and Flux would read its Chart.yaml as a Kubernetes object."
        hint = "Synthesize with `--format plain`."
        yield Finding(Level.ERROR, "helm-format", message, HELM_FILE, hint=hint)


def nothing(delta: Delta) -> Finding:
    """Say that a folder would no longer apply anything: nothing was rendered, or what was is hidden."""
    is_hidden = any(file.is_manifest and file.size for file in delta.rendered.files)
    cause = "Nothing of what the app rendered would be applied" if is_hidden else "The app rendered no resource"
    message = f"{cause}, so there is nothing to publish."
    if any(role(path) == MANIFESTS for path in delta.folder.files):
        message = f"{cause}: this would delete everything in {delta.rendered.path or '.'}."
    return Finding(Level.ERROR, "nothing-rendered", message)


def _names(rendered: RenderedManifests) -> Iterator[Finding]:
    """Find files whose name alone changes what git or a controller makes of the folder."""
    for file in rendered.files:
        name = _name(file.path)
        if found := obeyed(f"{rendered.path}/{file.path}".lstrip("/")):
            message = f"{file.path} {found.what}."
            yield Finding(RULES[found.rule].level, found.rule, message, file.path, hint=_OBEYED_HINTS[found.rule])
        if name in KUSTOMIZATION_FILES:
            message = f"Flux and Argo CD apply only what {file.path} lists, not every manifest of its folder."
            yield Finding(Level.NOTICE, "kustomization", message, file.path)
        elif name == IGNORE_FILE:
            message = f"Flux ignores what {file.path} matches, and deletes it from the cluster."
            yield Finding(Level.WARNING, "source-ignore", message, file.path)
        elif name == METADATA_FILE:
            message = f"{file.path} is the name of the record of what was published."
            yield Finding(Level.ERROR, "reserved-name", message, file.path, hint="Write it under another name.")


def _soften_below_kustomizations(findings: Iterable[Finding], delta: Delta) -> Iterator[Finding]:
    """Let the rules on resources only warn below a kustomization file: it may not list what they are about."""
    files = [file.path for file in delta.rendered.files if _name(file.path) in KUSTOMIZATION_FILES]
    folders = tuple(path.removesuffix(_name(path)) for path in files)
    for finding in findings:
        is_below = bool(folders) and finding.file.startswith(folders)
        is_softened = is_below and finding.rule in KUSTOMIZED_RULES
        yield finding._replace(level=Level.WARNING) if is_softened else finding
