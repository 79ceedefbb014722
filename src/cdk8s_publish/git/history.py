"""What source commits say: read from whatever repository knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.model import CommitMessage, Sha

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdk8s_publish.git.process import GitRunner

MESSAGES_MAXIMUM = 1_000
"""How many commits a publish may be made of for all of them to be read; of more only the last one is."""


def new_messages(runner: GitRunner, records: Sequence[Sha], own: Sha) -> tuple[CommitMessage, ...] | None:
    """Return the messages of the commits that `own` has and no record has; None where `runner` does not know them all.

    Without a record the first parent of `own` takes its place.
    """
    excluded: Sequence[str] = records
    if not records:
        code, _, _ = runner.run("rev-parse", "--verify", "--quiet", f"{own}^1")
        excluded = () if code else (f"{own}^1",)
    found = _log_entries(runner, f"--max-count={MESSAGES_MAXIMUM + 1}", own, "--not", *excluded)
    if found is None:
        return None
    # In a shallow repository the line of commits that leads past every record ends nowhere; its commits may be old.
    if any(not parents for parents, _ in found) and _is_shallow(runner) and records:
        return None
    return tuple(message for _, message in found)


def message(runner: GitRunner, own: Sha) -> tuple[CommitMessage, ...]:
    """Return the message of one commit."""
    found = _log_entries(runner, "--max-count=1", own) or []
    return tuple(message for _, message in found)


def _log_entries(runner: GitRunner, *arguments: str) -> list[tuple[str, CommitMessage]] | None:
    """Return the parents and the message of each commit that git-log(1) lists; None when it misses one."""
    form = "--format=%H%x00%P%x00%an%x00%B"
    code, out, _ = runner.run("log", "-z", "--no-show-signature", form, *arguments)
    if code:
        return None
    fields = out.decode("utf-8", "replace").split("\0")
    rows = zip(fields[::4], fields[1::4], fields[2::4], fields[3::4], strict=False)
    return [(parents, CommitMessage(Sha(sha), author, text)) for sha, parents, author, text in rows]


def _is_shallow(runner: GitRunner) -> bool:
    return runner.out("rev-parse", "--is-shallow-repository").strip() == b"true"
