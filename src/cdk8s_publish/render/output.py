"""What an app has written: the files to publish, and what can be said of them before they are read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdk8s_publish import redaction
from cdk8s_publish.errors import SynthError
from cdk8s_publish.git.names import is_git_name
from cdk8s_publish.json_object import json_object
from cdk8s_publish.model import (
    CONSTRUCT_METADATA_FILE,
    MANIFEST_SUFFIXES,
    Finding,
    Level,
    Overwritten,
    RenderedFile,
    Sha,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


MAX_FILE_BYTES = 100 << 20
"""GitHub takes no larger file (docs.github.com, "About large files on GitHub")."""

MAX_BYTES = 100_000_000
"""Together: a review holds what was and what is in memory. A thousand times as much as most apps render."""

MAX_FILES = 100_000

MAX_PATH_BYTES = 4_095
"""What the kernel takes as a path (`PATH_MAX`); nobody can check out what is deeper."""

MAX_REPORT_BYTES = 16 << 20
"""Of a report of the validation plugins."""

_READ_BYTES = 1 << 20
_LONGEST_WORD = 32
"""Of what `may_hold_secret` looks for, which may begin in one part of a file and end in the next."""

_SHOWN_CHARACTERS = 200


def collect(folder: Path) -> tuple[tuple[RenderedFile, ...], tuple[Finding, ...]]:
    """Return the files of an output folder, sorted by path, and the entries that can't be published.

    A link to a file inside the folder counts as a file with that content. `construct-metadata.json` at the root is
    skipped. Nothing outside the folder is read, and no more than `MAX_BYTES` of it.
    """
    root = os.path.realpath(folder)
    files: list[RenderedFile] = []
    refused: list[Finding] = []
    for path, location in bounded(_walk(root, refused), refused):
        files.append(RenderedFile(path, location, *_digest(location)))
    return tuple(sorted(files, key=lambda file: os.fsencode(file.path))), tuple(sorted(refused, key=lambda f: f.file))


def bounded(entries: Iterable[tuple[str, str]], refused: list[Finding]) -> Iterator[tuple[str, str]]:
    """Yield files, by path and location, as long as they are within all bounds; add a finding for what is not."""
    count = total = 0
    for path, location in entries:
        size = os.stat(location, follow_symlinks=False).st_size
        if size > MAX_FILE_BYTES:
            reason = f"has {size:,} bytes; no file of more than {MAX_FILE_BYTES:,} bytes is published"
            refused.append(_refused(path, reason))
            continue
        count, total = count + 1, total + size
        if total > MAX_BYTES or count > MAX_FILES:
            bound = f"{MAX_BYTES:,} bytes" if total > MAX_BYTES else f"{MAX_FILES:,} files"
            message = f"The app rendered more than {bound}, which is the most that is published of one app."
            hint = "Let the app write manifests alone, or split it."
            refused.append(Finding(Level.ERROR, "not-publishable", message, hint=hint))
            return
        yield path, location


def overwritten(kept: Path, output: Path) -> tuple[tuple[Overwritten, ...], tuple[Finding, ...]]:
    """Return the bytes that the preload kept and that differ from what the file holds now, and what can't be read."""
    found: dict[tuple[str, Sha], Overwritten] = {}
    refused: list[Finding] = []
    for path, location in bounded(_walk(os.path.realpath(kept), refused), refused):
        name = path.partition("/")[2]  # below a folder for each time that something was overwritten
        final = output / name
        if final.is_file() and not final.is_symlink():
            blob = _digest(location)[1]
            if _digest(os.fspath(final))[1] != blob:
                found.setdefault((name, blob), Overwritten(name, Path(location)))
    return tuple(sorted(found.values(), key=lambda item: (item.path, item.location))), tuple(refused)


def validation_findings(reports: Path, folder: Path, outputs: Sequence[Path]) -> tuple[Finding, ...]:
    """Return the violations that validation plugins reported (format: cdk8s-cli, lib/plugins/validation.js).

    A plugin from the checkout is named by its path there, below the app's `folder`, and a manifest by its path below
    the one of `outputs` that it lies in.

    Raises:
        SynthError: that is no such report.

    """

    def name(manifest: str) -> str:
        path = folder / manifest
        return os.path.relpath(path, next((output for output in outputs if path.is_relative_to(output)), folder))

    if not reports.is_file():
        return ()
    try:
        return _violations(_reports(reports), folder, name)
    except (AttributeError, KeyError, TypeError):
        raise SynthError(
            "The report of the validation plugins can't be read.",
            hint="`cdk8s synth` writes it; let no other program of the app do that.",
        ) from None


def _reports(file: Path) -> Sequence[Mapping[str, Any]]:
    is_too_large = file.stat().st_size > MAX_REPORT_BYTES
    found: Sequence[Mapping[str, Any]] = json_object(b"" if is_too_large else file.read_bytes())["reports"]
    return found


def _violations(found: Sequence[Mapping[str, Any]], folder: Path, name: Callable[[str], str]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            level=Level.WARNING if report["summary"]["status"] == "success" else Level.ERROR,
            rule="validation",
            message=f"{_plugin(report, folder)}: {violation['ruleName']} ({construct['resourceName']})",
            file=name(construct["manifestPath"]),
            hint=" ".join(filter(None, (violation.get("recommendation"), violation.get("fix")))),
        )
        for report in found
        for violation in report["violations"]
        for construct in violation["violatingConstructs"]
    )


def written_since(folder: Path, before: int) -> list[str]:
    """Return the YAML files below a folder that were written since, links not followed."""
    found, pending = [], [os.fspath(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in {".git", "node_modules", ".venv"} and not _is_too_deep(entry.path):
                        pending.append(entry.path)
                elif entry.name.endswith(MANIFEST_SUFFIXES) and entry.stat(follow_symlinks=False).st_ctime_ns >= before:
                    found.append(os.path.relpath(entry.path, folder))
    return sorted(found)


def _plugin(report: Mapping[str, Any], folder: Path) -> str:
    return str(report["summary"]["plugin"]).removeprefix(f"{folder}/")


def _walk(root: str, refused: list[Finding]) -> Iterator[tuple[str, str]]:
    """Yield path below the root and location of each publishable file; add a finding for each other entry."""
    pending = [(root, "")]
    while pending:
        folder, prefix = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                path = prefix + entry.name
                if _is_too_deep(entry.path):
                    refused.append(_refused(_excerpt(path), "is nested too deeply: no path may be so long"))
                elif entry.is_symlink():
                    target = _target(root, entry.path)
                    if target is None:
                        refused.append(_refused(path, _link_reason(root, entry.path)))
                    else:
                        yield path, target
                elif is_git_name(entry.name):
                    refused.append(_refused(path, "is named like a git folder, which git refuses to store"))
                elif entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, path + "/"))
                elif not entry.is_file(follow_symlinks=False):
                    refused.append(_refused(path, "is neither a file nor a folder (a pipe, a socket or a device)"))
                elif path != CONSTRUCT_METADATA_FILE:
                    yield path, entry.path


def _target(root: str, link: str) -> str | None:
    """Return the regular file inside the root that a link leads to."""
    target = os.path.realpath(link)
    return target if target.startswith(root + os.sep) and os.path.isfile(target) else None


def _link_reason(root: str, link: str) -> str:
    target = os.path.realpath(link)
    if not target.startswith(root + os.sep):
        return "is a link that leaves the output folder"
    return "is a link to a folder" if os.path.isdir(target) else "is a broken link"


def _refused(path: str, reason: str) -> Finding:
    hint = "Let the app write plain files into its output folder, or remove the entry before it ends."
    return Finding(Level.ERROR, "not-publishable", f"{path} {reason}.", file=path, hint=hint)


def _is_too_deep(location: str) -> bool:
    # A character may need four bytes; most paths are far from the bound.
    return len(location) * 4 > MAX_PATH_BYTES and len(os.fsencode(location)) > MAX_PATH_BYTES


def _excerpt(path: str) -> str:
    return path if len(path) <= _SHOWN_CHARACTERS else f"{path[:_SHOWN_CHARACTERS]}…"


def _digest(location: str) -> tuple[int, Sha, bool]:
    """Return size and git object id of a file, and whether it may hold a Secret; it is never in memory as a whole."""
    descriptor = os.open(location, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        left = size = os.fstat(descriptor).st_size
        blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        may_hold_secret, end = False, b""
        while left and (part := os.read(descriptor, min(left, _READ_BYTES))):
            blob.update(part)
            may_hold_secret = may_hold_secret or redaction.may_hold_secret(end + part)
            left, end = left - len(part), part[-_LONGEST_WORD:]
        return size, Sha(blob.hexdigest()), may_hold_secret
    finally:
        os.close(descriptor)
