"""What Flux makes of a tree: the program in `tests/fluxread`, built once and asked over a pipe.

It runs the libraries of source-controller and kustomize-controller up to the objects that they would send to the API
server. What only that server knows (schemas, namespaces that do not exist) is none of its answers.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import select
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from cdk8s_publish.model import ResourceId
from support.golang import go, skip_if_refused
from support.programs import ROOT, require

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SOURCES = ROOT / "tests" / "fluxread"
TOOLS = ROOT / ".tools" / "fluxread"
BUILD_TIMEOUT_S = 900
"""From nothing it takes a minute: 300 modules are downloaded and compiled. A busy machine needs several."""
ANSWER_TIMEOUT_S = 60

_TOO_OLD = re.compile(r"go\.mod requires go >= \S+ \(running go \S+")


class Reading(NamedTuple):
    """What Flux would apply of a tree, in its order, or in which stage and why it would apply nothing.

    `encrypted` are the Secrets among the resources that need `spec.decryption`. `labels` are those that are sent to the
    API server, by resource. `digest` is the artifact's.
    """

    resources: tuple[ResourceId, ...] = ()
    encrypted: tuple[ResourceId, ...] = ()
    labels: Mapping[ResourceId, Mapping[str, str]] = {}
    digest: str = ""
    stage: str = ""
    error: str = ""


class FluxReader:
    """A running fluxread."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def folder(self, tree: Path, path: str = "", *, isolated: bool = False) -> Reading:
        """Read a folder of files as if it was a branch that was cloned; `path` is `spec.path`."""
        return self._ask(folder=str(tree), path=path, isolated=isolated)

    def branch(self, repository: Path, branch: str, path: str = "", *, isolated: bool = False) -> Reading:
        """Clone a branch of a local repository and read it."""
        return self._ask(repository=str(repository), branch=branch, path=path, isolated=isolated)

    def _ask(self, **request: object) -> Reading:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        is_there, _, _ = select.select([self._process.stdout], [], [], ANSWER_TIMEOUT_S)
        assert is_there, f"no answer to {request} within {ANSWER_TIMEOUT_S} s"
        line = self._process.stdout.readline()
        assert line, f"fluxread ended instead of answering {request}"
        return _reading(json.loads(line))


@contextlib.contextmanager
def flux_reader(scratch: Path) -> Iterator[FluxReader]:
    """Run fluxread until the block ends; it keeps its own files in `scratch`."""
    require("git")
    with subprocess.Popen(
        (built(),),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # kustomize complains about deprecated fields there.
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": str(scratch), "TMPDIR": str(scratch)},
        text=True,
    ) as process:
        try:
            yield FluxReader(process)
        finally:
            process.kill()


def built() -> Path:
    """Return the program, built unless these very sources have been; skip the test where that can't be done."""
    compiler = go()
    files = sorted(path for path in SOURCES.iterdir() if path.suffix in {".go", ".mod", ".sum"})
    key = hashlib.sha256(b"\0".join(part for path in files for part in (path.name.encode(), path.read_bytes())))
    target = TOOLS / key.hexdigest()[:16] / "fluxread"
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        # Several test processes start at once, and building takes every core of the machine.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _build(compiler, target)
    return target


def _build(compiler: str, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    unfinished = target.with_suffix(".new")
    done = subprocess.run(
        (compiler, "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", unfinished, "."),
        cwd=SOURCES,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"},
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if too_old := _TOO_OLD.search(done.stderr):
        pytest.skip(too_old[0])
    skip_if_refused(done)
    assert done.returncode == 0, f"fluxread can't be built: {done.stderr}"
    unfinished.rename(target)


def _reading(answer: Mapping[str, object]) -> Reading:
    if answer["error"]:
        return Reading(stage=str(answer["stage"]), error=str(answer["error"]))
    found = _objects(answer["resources"])
    encrypted = _objects(answer["encrypted"])
    labels = {resource: one["labels"] or {} for resource, one in found}
    resources = tuple(resource for resource, _ in found)
    return Reading(resources, tuple(resource for resource, _ in encrypted), labels, str(answer["digest"]))


def _objects(listed: object) -> list[tuple[ResourceId, dict[str, dict[str, str]]]]:
    assert isinstance(listed, list)
    return [(ResourceId(one["group"], one["kind"], one["namespace"], one["name"]), one) for one in listed]
