"""What an app has written: the files to publish, and what can be said of them before they are read."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from cdk8s_publish.git.names import is_git_name
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
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


def collect(folder: Path) -> tuple[tuple[RenderedFile, ...], tuple[Finding, ...]]:
    """Return the files of an output folder, sorted by path, and the entries that can't be published.

    A link to a file inside the folder counts as a file with that content. `construct-metadata.json` at the root is
    skipped. Nothing outside the folder is read.
    """
    root = os.path.realpath(folder)
    files: list[RenderedFile] = []
    refused: list[Finding] = []
    for path, location in _walk(root, refused):
        content = _read(location)
        blob = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
        blob.update(content)
        files.append(RenderedFile(path, location, len(content), Sha(blob.hexdigest())))
    return tuple(sorted(files, key=lambda file: os.fsencode(file.path))), tuple(sorted(refused, key=lambda f: f.file))


def overwritten(kept: Path, output: Path) -> tuple[Overwritten, ...]:
    """Return the bytes that the preload kept and that differ from what the file holds now."""
    found = {}
    for folder in sorted(kept.iterdir()):
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                path, content = file.relative_to(folder).as_posix(), file.read_bytes()
                final = output / path
                if final.is_file() and final.read_bytes() != content:
                    found[path, content] = Overwritten(path, file)
    return tuple(sorted(found.values(), key=lambda item: (item.path, item.location)))


def validation_findings(reports: Path, folder: Path, outputs: Sequence[Path]) -> tuple[Finding, ...]:
    """Return the violations that validation plugins reported (format: cdk8s-cli, lib/plugins/validation.js).

    A plugin from the checkout is named by its path there, below the app's `folder`, and a manifest by its path below
    the one of `outputs` that it lies in.
    """

    def name(manifest: str) -> str:
        path = folder / manifest
        return os.path.relpath(path, next((output for output in outputs if path.is_relative_to(output)), folder))

    try:
        found = json.loads(reports.read_bytes())["reports"]
    except FileNotFoundError:
        return ()
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
                    if entry.name not in {".git", "node_modules", ".venv"}:
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
                if entry.is_symlink():
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


def _read(location: str) -> bytes:
    descriptor = os.open(location, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(descriptor).st_size
        content = os.read(descriptor, size + 1)
        while len(content) != size and (more := os.read(descriptor, 1 << 20)):
            content += more
        return content
    finally:
        os.close(descriptor)
