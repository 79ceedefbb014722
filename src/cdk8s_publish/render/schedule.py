"""Run tasks side by side, as far as cores, memory and their order allow, and keep the output of each together."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import Cdk8sPublishError
from cdk8s_publish.sandbox import lifetime, process

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from concurrent.futures import Future

    from cdk8s_publish.log import Console
    from cdk8s_publish.model import RenderedManifests

    Outcome = RenderedManifests | Cdk8sPublishError | None
    """What a task returned, or the error that it raised on purpose."""

_log = logging.getLogger(__name__)

MEMORY_PER_APP_BYTES = 512 << 20
"""What an app needs with the cdk8s CLI and ts-node (353 MB were seen), and room for its installer."""
CGROUP = Path("/sys/fs/cgroup")
"""Where a container sees its own limits (kernel.org, "Control Group v2")."""
BUFFERED_LINES = 2_000
"""How many of the first lines, and how many of the last, are kept of what an app prints while others run."""


class Task(NamedTuple):
    """Something to run whose output belongs together; `work` is handed where its lines go.

    A task is known by its place in the list of all tasks, and waits for earlier ones only. It starts when those in
    `after` have ended. It does not run when one of those in `needs` has failed: that error is its outcome, too.
    """

    title: str
    work: Callable[[Callable[[str], None]], RenderedManifests | None]
    after: frozenset[int] = frozenset()
    needs: tuple[int, ...] = ()


def run_tasks(tasks: Sequence[Task], console: Console) -> list[Outcome]:
    """Run all tasks and return their outcomes, in the order of `tasks`."""
    outcomes: dict[int, Outcome] = {}
    while ready := _ready(tasks, outcomes):
        if len(ready) == 1:
            _run_alone(ready[0], tasks, outcomes, console)
        else:
            _run_side_by_side(ready, tasks, outcomes, console)
    return [outcomes[number] for number in range(len(tasks))]


def _run_alone(number: int, tasks: Sequence[Task], outcomes: dict[int, Outcome], console: Console) -> None:
    """Run one task; what it prints is shown as it comes."""
    task = tasks[number]
    with console.stage(task.title), console.fenced():
        outcomes[number] = _outcome(task, console.line)


def _run_side_by_side(ready: list[int], tasks: Sequence[Task], outcomes: dict[int, Outcome], console: Console) -> None:
    """Run tasks until none is running and fewer than two can start; add what became of them to `outcomes`."""
    workers = _workers(len(tasks) - len(outcomes))
    _log.info("%s and %d more, %d at a time", tasks[ready[0]].title, len(ready) - 1, workers)
    running: dict[Future[Outcome], int] = {}
    titles = list[str]()
    with (
        console.waiting(lambda: ", ".join(titles)),
        ThreadPoolExecutor(workers, thread_name_prefix="app") as pool,
    ):
        try:
            while running or len(ready) > 1:
                for number in ready:
                    running[pool.submit(_run_buffered, tasks[number], console, titles)] = number
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    outcomes[running.pop(future)] = future.result()
                ready = _ready(tasks, outcomes, running.values())
        except BaseException:
            _end_all(running)
            raise


def _run_buffered(task: Task, console: Console, titles: list[str]) -> Outcome:
    """Run a task and print its lines together when it has ended; its title is in `titles` until then."""
    lines = process.Excerpt(BUFFERED_LINES, BUFFERED_LINES)
    start = time.monotonic()
    titles.append(task.title)
    outcome = _outcome(task, lines.add)
    titles.remove(task.title)
    console.replay(task.title, time.monotonic() - start, lines.lines())
    return outcome


def _outcome(task: Task, on_line: Callable[[str], None]) -> Outcome:
    try:
        return task.work(on_line)
    except Cdk8sPublishError as error:
        return error


def _end_all(running: Collection[Future[Outcome]]) -> None:
    """End what runs in other threads after an interrupt: they would go on until their own time is up."""
    for future in running:
        future.cancel()
    while wait(running, timeout=0.1).not_done:
        lifetime.end_all()


def _ready(tasks: Sequence[Task], outcomes: dict[int, Outcome], running: Collection[int] = ()) -> list[int]:
    """Return the tasks that can start; those that never can get the error of what they need as their outcome."""
    ready = list[int]()
    for number, task in enumerate(tasks):
        if number in outcomes or number in running or not task.after <= outcomes.keys():
            continue
        error = _first_error(outcomes, task.needs)
        if error:
            outcomes[number] = error
        else:
            ready.append(number)
    return ready


def _first_error(outcomes: dict[int, Outcome], needs: Sequence[int]) -> Cdk8sPublishError | None:
    for number in needs:
        outcome = outcomes[number]
        if isinstance(outcome, Cdk8sPublishError):
            return outcome
    return None


def _workers(tasks: int) -> int:
    """Return how many apps run side by side: one for each core, as long as there is memory for them."""
    return max(1, min(tasks, _cores(), _available_bytes() // MEMORY_PER_APP_BYTES))


def _cores() -> int:
    """Return how many cores can be had: the machine's, or those that the container (cgroup v2) has the time of."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # `max` where there is no limit
        quota, period = map(int, (CGROUP / "cpu.max").read_text().split())
        cores = min(cores, -(-quota // period))
    return cores


def _available_bytes() -> int:
    """Return the memory that can be had: the machine's, or what the container (cgroup v2) is limited to."""
    found = [1 << 40]
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")))
    with contextlib.suppress(OSError, ValueError, KeyError):  # `max` where there is no limit
        limit, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        statistics = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        # What was read from files counts as used until somebody needs the room.
        found.append(limit - used + int(statistics["inactive_file"]) + int(statistics["active_file"]))
    return min(found)
