"""What it costs to tell a newer run from an older one on a shallow checkout of a long history.

    make bench                       100,000 commits
    python bench/freshness.py 5000   any other number

The checkout has one commit, as CI products make it, so the history is asked of the remote: commits without trees,
50 of each side first, all of them only when that does not tell.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cdk8s_publish.model import Remote, Sha
from cdk8s_publish.publish.branch.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMITS = 100_000
SIDE_COMMITS = 10
START = 1_600_000_000
GIT_TIMEOUT_S = 300


def line(ref: str, start: str, numbers: range) -> Iterator[bytes]:
    """Write a line of commits on a ref, each of which changes one file; `start` is the commit it begins at."""
    yield b"reset %s\n" % ref.encode() + (b"from %s\n\n" % start.encode() if start else b"\n")
    for number in numbers:
        yield _commit(ref.encode(), number, START + number * 60)


def _commit(ref: bytes, number: int, date: int) -> bytes:
    text = b"Change number %d of the application" % number
    data = b"%d" % number
    return b"commit %s\ncommitter Ada <ada@example.com> %d +0000\ndata %d\n%s\n" % (
        ref,
        date,
        len(text),
        text,
    ) + b"M 100644 inline src/file-%d.txt\ndata %d\n%s\n" % (number % 500, len(data), data)


def git(folder: Path, *arguments: str, stdin: bytes | None = None) -> str:
    """Run git for the preparation."""
    done = subprocess.run(
        ("git", *arguments), cwd=folder, input=stdin, check=True, capture_output=True, timeout=GIT_TIMEOUT_S
    )
    return done.stdout.decode().strip()


def main(commits: int) -> None:
    """Print time and size for each relation that two commits can have."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        remote = folder / "remote.git"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(remote))
        git(remote, "config", "uploadpack.allowFilter", "true")
        git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
        git(remote, "fast-import", "--quiet", stdin=b"".join(line("refs/heads/main", "", range(commits))))
        middle = git(remote, "rev-parse", f"main~{commits // 2}")
        side = line("refs/heads/side", middle, range(commits, commits + SIDE_COMMITS))
        git(remote, "fast-import", "--quiet", stdin=b"".join(side))
        own = git(remote, "rev-parse", "main")
        print(f"freshness on a history of {commits:,} commits, shallow checkout")
        print(f"{'recorded source commit':34}{'answer':>10}{'time':>10}{'fetched':>12}")
        cases = {
            "the one before": "main~1",
            "40 commits before": "main~40",
            f"{commits // 2:,} commits before": f"main~{commits // 2}",
            "on another branch": "side",
        }
        for number, (case, revision) in enumerate(cases.items()):
            recorded = Sha(git(remote, "rev-parse", revision))
            private = folder / f"private-{number}.git"
            start = time.perf_counter()
            relation = Repository(private, Remote(remote.as_uri()), {}).relation(recorded, Sha(own))
            seconds = time.perf_counter() - start
            size = sum(path.stat().st_size for path in private.rglob("*") if path.is_file())
            print(f"{case:34}{relation:>10}{seconds:8.2f} s{size / 1e6:9.2f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else COMMITS)
