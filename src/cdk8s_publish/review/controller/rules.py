"""What Flux would do with a publish that nobody would expect of it: findings on how it reads the folder."""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING

from cdk8s_publish.model import Finding, Level, Trait
from cdk8s_publish.review.controller.applied import is_left_out
from cdk8s_publish.review.controller.source_ignore import IGNORE_FILE
from cdk8s_publish.review.identity import NO_SCOPES, is_namespaced
from cdk8s_publish.review.manifests import LOCAL_ANNOTATION
from cdk8s_publish.rules.findings import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cdk8s_publish.model import Manifest, RenderedFile
    from cdk8s_publish.review.controller.reading import Reading
    from cdk8s_publish.review.identity import Scopes

_LISTED = 5
"""How many files or resources a message names."""

_SKIPPED_BY_ARGO = b"+argocd:skip-file-rendering"
_JSON_MAX_BYTES = 10_000_000
"""etcd takes 1.5 MiB per object: what is far larger is no list of them, and takes many times its size to read."""

_HINTS = {
    "unusable-name": "Give the file, or the chart that it is named after, another name.",
    "kustomization-fault": "Correct that file, or don't write one: Flux then applies all manifests below the folder.",
}


def flux_findings(reading: Reading, manifests: Iterable[Manifest], custom: Scopes = NO_SCOPES) -> tuple[Finding, ...]:
    """Return what is remarkable about how Flux reads a folder as it would be after the publish.

    `manifests` are those of the files that are to be looked at; their `file` is relative to the folder, as that of the
    findings is. Files that Flux does not read are passed over.
    """
    read = {_below(path, reading.folder) for path in reading.files}
    applied = [manifest for manifest in manifests if manifest.file in read]
    return (
        *_unknown(reading),
        *_ignored(reading),
        *_left_out(applied),
        *_lost_labels(applied),
        *_encrypted(applied),
        *_without_namespace(applied, custom),
    )


def argo_findings(reading: Reading, changed: Iterable[RenderedFile]) -> Iterator[Finding]:
    """Yield one warning about JSON that Argo CD takes for objects and can't read: it then applies nothing.

    `changed` are the files to look at, by their paths below the folder.
    """
    for_argo = {_below(path, reading.folder) for path in reading.argo_only}
    found = {file.path: fault for file in changed if file.path in for_argo and (fault := _json_fault(file))}
    if found:
        file, fault = next(iter(found.items()))
        names = listed(sorted(found), _LISTED)
        message = f"Argo CD fails on {names}: it reads `.json` files as Kubernetes objects, and {file} {fault}."
        hint = "Flux does not read these files. For Argo CD give them another ending, or don't write them."
        yield Finding(Level.WARNING, "not-a-resource", message, file, hint=hint)


def _json_fault(file: RenderedFile) -> str:
    """Return why Argo CD can't read a file, as the end of a sentence; empty if it can (its reposerver/repository)."""
    if file.size > _JSON_MAX_BYTES:
        return ""
    data = file.read()
    if _SKIPPED_BY_ARGO in data:
        return ""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return "is no JSON"
    kind = value.get("kind") if isinstance(value, dict) else None
    return "" if isinstance(kind, str) and kind else "has no `kind`"


def _below(path: str, folder: str) -> str:
    """Return a path of the branch relative to the folder, which itself is empty."""
    prefix = f"{folder}/" if folder else ""
    if path.startswith(prefix):
        return path.removeprefix(prefix)
    return "" if path == folder else posixpath.relpath(path, folder)


def _unknown(reading: Reading) -> Iterator[Finding]:
    for one in reading.unknown:
        file = _below(one.file, reading.folder)
        # A name that somebody else has published is on the branch already: refusing ours would not help.
        is_of_others = one.rule == "unusable-name" and file.startswith("../")
        level = Level.ERROR if one.is_fault and not is_of_others else Level.WARNING
        consequence = "Flux applies nothing" if one.is_fault else "what Flux applies because of it can't be counted"
        message = f"{file or '.'}: {one.reason}; {consequence}."
        yield Finding(level, one.rule, message, file, hint=_HINTS.get(one.rule, ""))


def _ignored(reading: Reading) -> Iterator[Finding]:
    files = sorted(_below(path, reading.folder) for path in reading.ignored)
    if files:
        names = listed(files, _LISTED)
        message = f"Flux does not apply {names}: its own list of ignored names, or a {IGNORE_FILE}, holds that."
        hint = f"Use another name, or publish a {IGNORE_FILE} with any pattern, which disables that list."
        yield Finding(Level.WARNING, "not-applied", message, files[0], hint=hint)


def _left_out(manifests: Sequence[Manifest]) -> Iterator[Finding]:
    for manifest in manifests:
        if is_left_out(manifest):
            because = "it is kustomize's own configuration, under a name that kustomize does not look for"
            if Trait.LOCAL in manifest.traits:
                because = f"its annotation {LOCAL_ANNOTATION} tells kustomize to leave it out"
            message = f"Flux does not apply {manifest.resource}: {because}."
            yield Finding(Level.WARNING, "not-applied", message, manifest.file, manifest.resource)


def _lost_labels(manifests: Sequence[Manifest]) -> Iterator[Finding]:
    for manifest in manifests:
        if Trait.UNLABELLED in manifest.traits:
            message = f"{manifest.resource} has a label that is not a string, so Flux would drop all of its labels."
            hint = "Put the value in quotes, or make it a string in the code."
            yield Finding(Level.ERROR, "lost-labels", message, manifest.file, manifest.resource, hint)


def _encrypted(manifests: Sequence[Manifest]) -> Iterator[Finding]:
    for manifest in manifests:
        if Trait.ENCRYPTED_TEXT in manifest.traits:
            consequence = "applies the encrypted text as it is"
        elif Trait.ENCRYPTED in manifest.traits:
            consequence = "applies nothing"
        else:
            continue
        message = f"{manifest.resource} is encrypted with SOPS: without `spec.decryption` Flux {consequence}."
        hint = "Set `spec.decryption` in Flux's Kustomization, with the name of the Secret that holds the key."
        yield Finding(Level.WARNING, "needs-decryption", message, manifest.file, manifest.resource, hint)


def _without_namespace(manifests: Sequence[Manifest], custom: Scopes) -> Iterator[Finding]:
    bare = [one for one in manifests if not one.resource.namespace and is_namespaced(one.resource, custom)]
    if bare:
        names = listed([str(manifest.resource) for manifest in bare], _LISTED)
        message = f"No namespace is given for {names}: Flux would apply nothing, unless one is set for all."
        hint = (
            "Set the namespace of the chart; or `spec.targetNamespace` in Flux's Kustomization,"
            " which moves every resource there."
        )
        yield Finding(Level.WARNING, "no-namespace", message, bare[0].file, hint=hint)
