"""The readable Secrets of a folder: which files hold them, and which values nobody may see in what is shown."""

from __future__ import annotations

import posixpath
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.review import plain_secrets
from cdk8s_publish.review.manifests import KUSTOMIZATION_FILES, MANIFESTS, role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from cdk8s_publish.model import RenderedFile, Sha
    from cdk8s_publish.review.delta import Delta
    from cdk8s_publish.review.documents import Documents
    from cdk8s_publish.review.plain_secrets import PlainSecret

    Read = Callable[[str], bytes | None]


class Exposure(NamedTuple):
    """What must not be shown: `values` wherever they are repeated, `files` as a whole, where they hold no resources."""

    values: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()


def secrets_in(
    delta: Delta, fresh: Collection[RenderedFile], documents: Documents
) -> Iterator[tuple[str, PlainSecret]]:
    """Yield the readable Secrets of fresh files, and those that an unchanged file generates from a fresh one."""
    altered = {file.path for file in fresh}
    read = _reader(delta)
    settings = [file for file in delta.kept if file.path.endswith(KUSTOMIZATION_FILES) and file.path not in altered]
    for file in (*fresh, *settings) if fresh else ():
        for secret in _found(file, documents):
            resolved = _resolved(file.path, secret, read)
            is_fresh = file.path in altered or not altered.isdisjoint(_sources(file.path, secret))
            if resolved.values and is_fresh:
                yield file.path, resolved


def exposure(delta: Delta, old: Mapping[Sha, bytes], documents: Documents) -> Exposure:
    """Return what the files of both sides must not show, those that did not change included.

    Files that stand for an unchanged render are passed over.
    """
    values: set[str] = set()
    files: set[str] = set()
    for path, secret in (*_old_secrets(delta, old, documents), *_new_secrets(delta, documents)):
        values.update(secret.values)
        files.update((path, *_sources(path, secret)))
    return Exposure(frozenset(values), frozenset(files))


def _new_secrets(delta: Delta, documents: Documents) -> Iterator[tuple[str, PlainSecret]]:
    read = _reader(delta)
    for file in delta.rendered.files:
        for secret in _found(file, documents):
            yield file.path, _resolved(file.path, secret, read)


def _old_secrets(delta: Delta, old: Mapping[Sha, bytes], documents: Documents) -> Iterator[tuple[str, PlainSecret]]:
    def read(path: str) -> bytes | None:
        blob = delta.folder.files.get(path)
        return old.get(blob) if blob else None

    for path, blob in delta.gone.items():
        if blob in old and _is_looked_into(path, len(old[blob])):
            for secret in documents.secrets(blob, partial(old.__getitem__, blob)):
                yield path, _resolved(path, secret, read)


def _found(file: RenderedFile, documents: Documents) -> tuple[PlainSecret, ...]:
    if not file.may_hold_secret or not file.location or not _is_looked_into(file.path, file.size):
        return ()
    return documents.secrets(file.blob, file.read)


def _is_looked_into(path: str, size: int) -> bool:
    return role(path) == MANIFESTS or size <= plain_secrets.MAX_BYTES


def _reader(delta: Delta) -> Read:
    files = {file.path: file for file in delta.rendered.files}

    def read(path: str) -> bytes | None:
        file = files.get(path)
        return file.read() if file and file.location and file.size <= plain_secrets.MAX_BYTES else None

    return read


def _resolved(path: str, secret: PlainSecret, read: Read) -> PlainSecret:
    return plain_secrets.resolve(secret, lambda source: read(_beside(path, source))) if secret.sources else secret


def _sources(path: str, secret: PlainSecret) -> list[str]:
    return [_beside(path, source.path) for source in secret.sources]


def _beside(path: str, name: str) -> str:
    """Return the path of a file that another one names."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
