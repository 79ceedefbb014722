"""Render all apps of a checkout: install once, run side by side, and say who failed."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from cdk8s_publish.errors import Cdk8sPublishError, SynthError
from cdk8s_publish.render import fingerprint, imports, install, synth
from cdk8s_publish.render.environment import Place
from cdk8s_publish.render.workspace import copy_workspace
from cdk8s_publish.sandbox import process

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from cdk8s_publish.log import Console
    from cdk8s_publish.model import RenderedManifests
    from cdk8s_publish.render.dependencies import Step
    from cdk8s_publish.render.discover import App
    from cdk8s_publish.render.environment import RunAs

    _Outcome = RenderedManifests | Cdk8sPublishError | None

_log = logging.getLogger(__name__)

MEMORY_PER_APP_BYTES = 512 << 20
"""What an app needs with the cdk8s CLI and ts-node (353 MB were seen), and room for its installer."""

PROBE_TIMEOUT_S = 10
CGROUP = Path("/sys/fs/cgroup")
"""Where a container sees its own limits (kernel.org, "Control Group v2")."""
BUFFERED_LINES = 2_000
"""Of what an app prints while others run, that many of the first and of the last lines are kept to be shown."""

SYNTH_TURN = 1 << 30
"""Apps come after the last step of any installation."""


class _Task(NamedTuple):
    """Something to run whose output belongs together; `work` is handed where its lines go.

    It starts when everything of an earlier `turn` in the same `copy` of the checkout has ended, for an app may use
    what is installed anywhere in its copy. `needs` are the numbers of the tasks without whose success it is not run.
    """

    title: str
    work: Callable[[Callable[[str], None]], RenderedManifests | None]
    copy: Path
    turn: int
    needs: tuple[int, ...] = ()


def render(
    apps: Sequence[App], private: Path, options: RunAs, console: Console, neighbours: Sequence[App] = ()
) -> tuple[RenderedManifests, ...]:
    """Copy the checkout into `private`, install what the apps need and run them; results are in the order of `apps`.

    A hermetic app gets a copy of its own, without the folders of its `neighbours`.

    Raises:
        SynthError: names every app that failed; the evidence says what the others rendered.

    """
    with console.stage("Copy the checkout"):
        sources = _copies(apps, private, options, neighbours)
    options = options._replace(home=private / "home", cache=_usable_cache(options))
    _log_steps(apps)
    tasks = _tasks(apps, sources, private, options)
    done = _run_all(tasks, console)
    # One for each app stands at the end; without an error it is what the app rendered.
    outcomes = cast("list[RenderedManifests | Cdk8sPublishError]", done[-len(apps) :])
    return _all_or_error(apps, outcomes)


def _copies(apps: Sequence[App], private: Path, options: RunAs, neighbours: Sequence[App]) -> list[Path]:
    """Return for each app the copy of the checkout that it is rendered in."""
    owner, cache = _owner(options), [options.cache] if options.cache else []
    if options.visible is None:
        return [checkout_copy(private, options)] * len(apps)

    return [
        copy_workspace(
            options.workspace,
            private / f"source-{number}",
            owner,
            left_out=[*(options.workspace / folder for folder in fingerprint.left_out(app, neighbours)), *cache],
            kept=[options.workspace / file for file in fingerprint.covered(app, neighbours, options.workspace)],
            is_hermetic=True,
        )
        for number, app in enumerate(apps)
    ]


def checkout_copy(private: Path, options: RunAs) -> Path:
    """Return the copy of the checkout for apps that are not hermetic; it is made once, at the first call."""
    copy = private / "source"
    if not copy.exists():
        copy_workspace(options.workspace, copy, _owner(options), left_out=[options.cache] if options.cache else [])
    return copy


def _owner(options: RunAs) -> tuple[int, int] | None:
    return None if options.uid is None else (options.uid, -1 if options.gid is None else options.gid)


def _render_one(
    app: App, source: Path, private: Path, options: RunAs, on_line: Callable[[str], None]
) -> RenderedManifests:
    if app.config.get("imports"):
        place = Place(app.directory, source, private, options, on_line)
        environ = place.environ()
        run = partial(place.run, environ=environ)
        imports.ensure(app, place.folder, imports.Tools(run, environ["PATH"], place.cache, on_line))
    return synth.synthesize(app, source, private, options, on_line)


def _usable_cache(options: RunAs) -> Path | None:
    """Return the folder for downloads when whoever runs the apps can write to it, else None: each run has its own."""
    folder = options.cache
    if folder is None:
        return None
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            if options.uid is not None:
                os.chown(folder, options.uid, -1 if options.gid is None else options.gid, follow_symlinks=False)
    except OSError as error:
        _log.info("No cache: %s", error)
        return None
    if options.uid is None:
        return folder if os.access(folder, os.W_OK | os.X_OK) else None
    probe = ("sh", "-c", 'cd "$0" && test -w . && test -x .', str(folder))
    done = process.run(
        process.Command(probe, Path("/"), {}, PROBE_TIMEOUT_S, options.uid, options.gid), on_line=_log.debug
    )
    return folder if done.returncode == 0 else None


def _log_steps(apps: Sequence[App]) -> None:
    for step in dict.fromkeys(step for app in apps for step in app.install):
        _log.info("Install with %s", step.reason)
        if step.warning:
            _log.warning("%s", step.warning)


def _tasks(apps: Sequence[App], sources: Sequence[Path], private: Path, options: RunAs) -> list[_Task]:
    """Return every installation step once, also where several apps share it, and after them one task for each app."""
    numbers: dict[tuple[Path, Step], int] = {}
    tasks, synths = list[_Task](), list[_Task]()
    for number, (app, source) in enumerate(zip(apps, sources, strict=True)):
        needs: tuple[int, ...] = ()
        for turn, step in enumerate(app.install):
            if (source, step) not in numbers:
                numbers[source, step] = len(tasks)
                place = step.directory or "the root of the checkout"
                whose = "" if options.visible is None or step.directory == app.directory else f" for {app.name}"
                title = f"{'Compile' if step.is_compilation else 'Install'} in {place}{whose}"
                work = partial(install.install, step, source, private / f"install-{len(tasks)}", options)
                tasks.append(_Task(title, work, source, turn, needs))
            needs = (*needs, numbers[source, step])
        render_it = partial(_render_one, app, source, private / f"app-{number}", options)
        synths.append(_Task(f"Synth {app.name}", render_it, source, SYNTH_TURN, needs))
    return tasks + synths


def _all_or_error(
    apps: Sequence[App], outcomes: Sequence[RenderedManifests | Cdk8sPublishError]
) -> tuple[RenderedManifests, ...]:
    rendered = [outcome for outcome in outcomes if not isinstance(outcome, Cdk8sPublishError)]
    errors = [
        (app, outcome) for app, outcome in zip(apps, outcomes, strict=True) if isinstance(outcome, Cdk8sPublishError)
    ]
    done = [
        f"{item.app}: {len(item.files)} file{'s' * (len(item.files) != 1)} for {item.path or '.'}" for item in rendered
    ]
    if not errors:
        for line in done if len(apps) > 1 else ():
            _log.info("%s", line)
        return tuple(rendered)
    error = errors[0][1]
    if len(errors) > 1:
        error = SynthError(
            f"{len(errors)} of {len(apps)} apps failed: {', '.join(app.name for app, _ in errors)}.",
            evidence="\n\n".join(f"{error}\n{error.evidence}" for _, error in errors),
            hint=error.hint,
        )
    if done:
        others = "\n".join(["Rendered, but not published without the rest:", *done])
        error.evidence = "\n\n".join(filter(None, (error.evidence, others)))
    raise error


def _run_all(tasks: Sequence[_Task], console: Console) -> list[_Outcome]:
    """Run tasks, side by side where they may, and return what each returned or the error that it raised on purpose."""
    outcomes: dict[int, _Outcome] = {}
    while ready := _ready(tasks, outcomes):
        if len(ready) == 1:  # alone: what it prints is shown as it comes
            task = tasks[ready[0]]
            with console.stage(task.title), console.foreign():
                outcomes[ready[0]] = _outcome(task, console.line)
        else:
            _run_side_by_side(tasks, outcomes, console)
    return [outcomes[number] for number in range(len(tasks))]


def _run_side_by_side(tasks: Sequence[_Task], outcomes: dict[int, _Outcome], console: Console) -> None:
    """Run tasks until none is under way and less than two can start; add what became of them to `outcomes`."""
    ready = _ready(tasks, outcomes)
    workers, under_way = _workers(len(tasks) - len(outcomes)), list[str]()
    _log.info("%s and %d more, %d at a time", tasks[ready[0]].title, len(ready) - 1, workers)
    running: dict[Future[_Outcome], int] = {}
    with (
        console.waiting(lambda: ", ".join(under_way)),
        ThreadPoolExecutor(workers, thread_name_prefix="app") as pool,
    ):
        try:
            while running or len(ready) > 1:
                for number in ready:
                    running[pool.submit(_buffered, tasks[number], console, under_way)] = number
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    outcomes[running.pop(future)] = future.result()
                ready = _ready(tasks, outcomes, running.values())
        except BaseException:
            _end(running)
            raise


def _ready(tasks: Sequence[_Task], outcomes: dict[int, _Outcome], started: Collection[int] = ()) -> list[int]:
    """Return the numbers of the tasks that can start; what can't any more gets the error of what it needs."""
    while True:
        left = [number for number in range(len(tasks)) if number not in outcomes]
        turns: dict[Path, int] = {}
        for number in left:
            turns[tasks[number].copy] = min(tasks[number].turn, turns.get(tasks[number].copy, SYNTH_TURN))
        ready = [number for number in left if number not in started and tasks[number].turn == turns[tasks[number].copy]]
        lost = {number: error for number in ready if (error := _error(outcomes, tasks[number].needs))}
        if not lost:
            return ready
        outcomes |= lost


def _error(outcomes: Mapping[int, _Outcome], needs: Iterable[int]) -> Cdk8sPublishError | None:
    errors = (outcomes[number] for number in needs)
    return next((error for error in errors if isinstance(error, Cdk8sPublishError)), None)


def _end(running: Collection[Future[_Outcome]]) -> None:
    """End what runs in other threads after an interrupt: they would go on until their own time is up."""
    for future in running:
        future.cancel()
    while wait(running, timeout=0.1).not_done:
        process.end_all()


def _buffered(task: _Task, console: Console, under_way: list[str]) -> _Outcome:
    """Run a task and print its lines together when it has ended."""
    lines = process.Excerpt(BUFFERED_LINES, BUFFERED_LINES)
    start = time.monotonic()
    under_way.append(task.title)
    outcome = _outcome(task, lines.add)
    under_way.remove(task.title)
    console.replay(task.title, time.monotonic() - start, lines.lines())
    return outcome


def _outcome(task: _Task, on_line: Callable[[str], None]) -> _Outcome:
    try:
        return task.work(on_line)
    except Cdk8sPublishError as error:
        return error


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
