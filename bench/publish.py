"""What publishing costs after the app has rendered, beside the ways people do it by hand.

    make bench                      100, 2,000 and 20,000 manifests
    python bench/publish.py 500     any other number

Each way publishes the same files to a bare repository of its own on the same disk, in turn within every repetition,
so that all of them meet the machine in the same mood. The figures are medians of wall time.

ours         this program in a fresh process, without the seconds its app took: private copy of the checkout,
             look-up, collecting, checks, diff, commit, push
recipe       the hand-written script: `checkout --orphan`, `rm -rf`, copy, `add`, `commit`, `push --force` in a
             fresh clone, which CI has made before
ghp-import   the tool from PyPI, in a fresh clone
fast-import  `git fast-import` of a ready-made stream and `git push`: what git itself needs
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
SIZES = (100, 2_000, 20_000)
SCENARIOS = ("first publish", "one change", "no change")
FILES_PER_FOLDER = 100
COMMAND_TIMEOUT_S = 600
AIMS = {(20_000, "first publish"): 0.25, (20_000, "one change"): 0.15, (20_000, "no change"): 0.1}
RECIPE = """
git checkout --quiet --orphan manifests
git rm -rfq .
mkdir -p dist
cp -R "$RENDERED"/. dist/
git add dist
git commit --quiet --message "Deploy"
git push --quiet --force origin manifests
"""
MANIFEST = """apiVersion: apps/v1
kind: Deployment
metadata:
  labels:
    app.kubernetes.io/name: app-{number}
  name: app-{number}
  namespace: team-{team}
spec:
  replicas: {replicas}
  selector:
    matchLabels:
      app.kubernetes.io/name: app-{number}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: app-{number}
    spec:
      containers:
        - image: registry.example/app-{number}:1.0.0
          name: main
          ports:
            - containerPort: 8080
"""


@dataclass(frozen=True)
class Bench:
    """The folders of one size: `rendered` holds what every way publishes."""

    folder: Path
    rendered: Path
    source: Path

    @classmethod
    def create(cls, folder: Path, size: int) -> Bench:
        """Render `size` manifests and make the source repository that CI would have cloned."""
        rendered, source = folder / "rendered", folder / "source"
        for number in range(size):
            write_manifest(rendered, number, replicas=1)
        source.mkdir(parents=True)
        (source / "cdk8s.yaml").write_text("language: python\napp: 'true'\n")
        git(source, "init", "--quiet", "--initial-branch=main")
        git(source, "add", "--all")
        git(source, "commit", "--quiet", "--message", "Start")
        return cls(folder, rendered, source)

    def change(self, turn: int) -> None:
        """Let one manifest differ from what it was in all turns before."""
        write_manifest(self.rendered, 0, replicas=turn)

    def remote(self, way: str) -> Path:
        """Return the bare repository that belongs to one way."""
        return self.folder / f"{way}.git"

    def fresh_remote(self, way: str) -> None:
        """Give a way a remote that holds the source branch only."""
        shutil.rmtree(self.remote(way), ignore_errors=True)
        git(self.folder, "clone", "--quiet", "--bare", self.source, self.remote(way))
        git(self.remote(way), "config", "gc.auto", "0")

    def fresh_clone(self, way: str) -> Path:
        """Return a checkout as CI makes it."""
        clone = self.folder / "clone"
        shutil.rmtree(clone, ignore_errors=True)
        git(self.folder, "clone", "--quiet", "--depth=1", self.remote(way).as_uri(), clone)
        return clone


def write_manifest(rendered: Path, number: int, replicas: int) -> None:
    """Write one manifest."""
    team = number // FILES_PER_FOLDER
    path = rendered / f"team-{team}" / f"Deployment.app-{number}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MANIFEST.format(number=number, team=team, replicas=replicas))


def git(cwd: Path, *args: str | Path) -> None:
    """Run git for the preparation."""
    call(("git", *args), cwd)


def call(argv: tuple[str | Path, ...], cwd: Path, stdin: Path | None = None, **env: str) -> float:
    """Run a command, return its wall time in seconds; a failing command ends the benchmark."""
    start = time.perf_counter()
    with stdin.open("rb") if stdin else open(os.devnull, "rb") as stream:  # noqa: PTH123 - both are files
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={**ENVIRON, **env},
            stdin=stream,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{argv}\n{done.stdout.decode()}\n{done.stderr.decode()}")
    return seconds


ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "GIT_CONFIG_GLOBAL": os.devnull,
    # Twenty thousand loose objects start a clean-up in the background, which would run on into the next measurement.
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "gc.auto",
    "GIT_CONFIG_VALUE_0": "0",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


def ours(bench: Bench) -> float:
    """Run the program; the app copies the rendered files and tells how long that took."""
    clone, clock = bench.fresh_clone("ours"), bench.folder / "clock"
    app = (
        f'date +%s.%N >{clock}; mkdir -p "$CDK8S_OUTDIR" && cp -R {bench.rendered}/. "$CDK8S_OUTDIR"/; '
        f"date +%s.%N >>{clock}"
    )
    argv = (sys.executable, ROOT / "entrypoint.py", "run", "--install", "none", "--app", app)
    total = call(argv, clone)
    start, end = map(float, clock.read_text().split())
    return total - (end - start)


def recipe(bench: Bench) -> float:
    """Run the hand-written script."""
    return call(("sh", "-e", "-c", RECIPE), bench.fresh_clone("recipe"), RENDERED=str(bench.rendered))


def ghp_import(bench: Bench) -> float:
    """Run ghp-import: one commit without history, pushed by force, as our default does."""
    argv = ("ghp-import", "--no-history", "--push", "--force", "--branch=manifests", "--prefix=dist", bench.rendered)
    return call(argv, bench.fresh_clone("ghp-import"))


def fast_import(bench: Bench) -> float:
    """Let git import a ready-made stream and push it."""
    stream, repository = bench.folder / "stream", bench.folder / "import.git"
    write_stream(bench.rendered, stream)
    shutil.rmtree(repository, ignore_errors=True)
    git(bench.folder, "init", "--quiet", "--bare", repository)
    imported = call(("git", "fast-import", "--quiet"), repository, stdin=stream)
    return imported + call(("git", "push", "--quiet", "--force", bench.remote("fast-import"), "manifests"), repository)


def write_stream(rendered: Path, stream: Path) -> None:
    """Write everything rendered as a stream of git-fast-import(1)."""
    with stream.open("wb") as out:
        out.write(b"commit refs/heads/manifests\ncommitter Ada <ada@example.com> 1700000000 +0000\ndata 6\nDeploy\n")
        for path in sorted(rendered.rglob("*.yaml")):
            content = path.read_bytes()
            out.write(b"M 100644 inline dist/%s\n" % str(path.relative_to(rendered)).encode())
            out.write(b"data %d\n%s\n" % (len(content), content))


WAYS: dict[str, Callable[[Bench], float]] = {
    "ours": ours,
    "recipe": recipe,
    "ghp-import": ghp_import,
    "fast-import": fast_import,
}


def measure(bench: Bench, repetitions: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield for each scenario the median seconds of each way."""
    for scenario in SCENARIOS:
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(repetitions):
            if scenario == "one change":
                bench.change(turn + 2)
            for way, run in WAYS.items():
                if scenario == "first publish":
                    bench.fresh_remote(way)
                seconds[way].append(run(bench))
        yield scenario, {way: statistics.median(values) for way, values in seconds.items()}


def report(size: int, repetitions: int) -> None:
    """Print one line for each scenario of one size."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench.create(Path(folder), size)
        for scenario, seconds in measure(bench, repetitions):
            own = seconds.pop("ours")
            ratios = "".join(f"  {own / other:10.2f} ({other:6.2f} s)" for other in seconds.values())
            aim = AIMS.get((size, scenario))
            verdict = f"  aim {aim}: {'met' if own / seconds['recipe'] <= aim else 'missed'}" if aim else ""
            print(f"{size:9,}  {scenario:13}  {own:7.2f} s{ratios}{verdict}", flush=True)


def main(argv: list[str]) -> None:
    """Print the table."""
    print(f"median wall time, {os.cpu_count()} cores, Python {sys.version.split()[0]}; ratio of ours to each other way")
    others = "".join(f"  {f'to {way}':>21}" for way in WAYS if way != "ours")
    print(f"{'manifests':>9}  {'scenario':13}  {'ours':>9}{others}")
    for size in map(int, argv) if argv else SIZES:
        report(size, repetitions=3 if size >= 10_000 else 5)  # noqa: PLR2004 - a minute for each repetition


if __name__ == "__main__":
    main(sys.argv[1:])
