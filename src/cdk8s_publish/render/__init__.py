"""Render apps: copy the checkout, install what they need, run them, and collect what they wrote."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from cdk8s_publish.errors import Cdk8sPublishError, SynthError
from cdk8s_publish.render import fingerprint, imports
from cdk8s_publish.render.dependencies import ROOT
from cdk8s_publish.render.environment import AppEnvironment, with_usable_cache
from cdk8s_publish.render.install import install
from cdk8s_publish.render.schedule import Task, run_tasks
from cdk8s_publish.render.synth import synthesize
from cdk8s_publish.render.workspace import copy_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cdk8s_publish.log import Console
    from cdk8s_publish.model import RenderedManifests
    from cdk8s_publish.render.dependencies import Step
    from cdk8s_publish.render.discover import App
    from cdk8s_publish.render.environment import RunAs

_log = logging.getLogger(__name__)


class How(NamedTuple):
    """How apps are rendered: as whom, below which folder of this run's own, and where their output is shown.

    `neighbours` are all apps of the run: a hermetic app sees nothing of the others.
    """

    run_as: RunAs
    scratch: Path
    console: Console
    neighbours: tuple[App, ...] = ()


def render(apps: Sequence[App], how: How) -> tuple[RenderedManifests, ...]:
    """Copy the checkout, install what the apps need and run them; results are in the order of `apps`.

    A hermetic app gets a copy of its own, without the folders of the other apps. Results lie below `how.scratch`.

    Raises:
        SynthError: names every app that failed; the evidence says what the others rendered.

    """
    with how.console.stage("Copy the checkout"):
        copies = [_copy_for(app, number, how) for number, app in enumerate(apps)]
    run_as = with_usable_cache(how.run_as, how.scratch)
    _log_steps(apps)
    tasks = _tasks(apps, copies, how._replace(run_as=run_as))
    outcomes = run_tasks(tasks, how.console)
    # One for each app stands at the end; without an error it is what the app rendered.
    return _all_or_error(apps, cast("list[RenderedManifests | Cdk8sPublishError]", outcomes[-len(apps) :]))


def copy_checkout(scratch: Path, run_as: RunAs) -> Path:
    """Return the copy of the checkout for apps that are not hermetic; it is made once, at the first call."""
    copy = scratch / "source"
    if not copy.exists():
        copy_workspace(run_as.workspace, copy, run_as.owner, left_out=run_as.left_out)
    return copy


def _copy_for(app: App, number: int, how: How) -> Path:
    """Return the copy of the checkout that an app is rendered in."""
    run_as = how.run_as
    if not run_as.is_hermetic:
        return copy_checkout(how.scratch, run_as)
    root = run_as.workspace
    hidden = [root / folder for folder in fingerprint.hidden_folders(app, how.neighbours)]
    kept = [root / file for file in fingerprint.covered_manifests(app, how.neighbours, root)]
    return copy_workspace(
        root,
        how.scratch / f"source-{number}",
        run_as.owner,
        left_out=[*hidden, *run_as.left_out],
        kept=kept,
        is_hermetic=True,
    )


def _log_steps(apps: Sequence[App]) -> None:
    for step in dict.fromkeys(step for app in apps for step in app.install):
        _log.info("Install with %s", step.reason)
        if step.warning:
            _log.warning("%s", step.warning)


def _tasks(apps: Sequence[App], copies: Sequence[Path], how: How) -> list[Task]:
    """Return a task for each installation, for each compilation, and last for each app.

    In one copy of the checkout all installations end before the first compilation, and all of those before the first
    app: each may use what is installed anywhere in its copy. What several apps share is done once.
    """
    tasks = list[Task]()
    numbers: dict[tuple[Path, Step], int] = {}
    for is_compilation in (False, True):
        earlier = dict(numbers)
        for app, copy in zip(apps, copies, strict=True):
            for step in app.install:
                if step.is_compilation is is_compilation and (copy, step) not in numbers:
                    numbers[copy, step] = len(tasks)
                    scratch = how.scratch / f"install-{len(tasks)}"
                    work = partial(_install, step, copy, scratch, _at_home(how.run_as, copy))
                    tasks.append(Task(_title(step, app, how), work, *_order(app, copy, earlier)))
    for number, (app, copy) in enumerate(zip(apps, copies, strict=True)):
        render_it = partial(_render_one, app, copy, how.scratch / f"app-{number}", _at_home(how.run_as, copy))
        tasks.append(Task(f"Synth {app.name}", render_it, *_order(app, copy, numbers)))
    return tasks


def _at_home(run_as: RunAs, copy: Path) -> RunAs:
    """Return the same with a home folder: apps share one that share a copy, and so do their installers."""
    return run_as._replace(home=copy.with_name(f"{copy.name}-home"))


def _order(app: App, copy: Path, numbers: dict[tuple[Path, Step], int]) -> tuple[frozenset[int], tuple[int, ...]]:
    """Return `after` and `needs` of a task of an app: of the steps in `numbers`, those in its copy and its own."""
    after = frozenset(number for (place, _), number in numbers.items() if place == copy)
    needs = tuple(numbers[copy, step] for step in app.install if (copy, step) in numbers)
    return after, needs


def _title(step: Step, app: App, how: How) -> str:
    whose = f" for {app.name}" if how.run_as.is_hermetic and step.directory != app.directory else ""
    return f"{'Compile' if step.is_compilation else 'Install'} in {step.directory or ROOT}{whose}"


def _install(step: Step, copy: Path, scratch: Path, run_as: RunAs, on_line: Callable[[str], None]) -> None:
    install(step, AppEnvironment(step.directory, copy, scratch, run_as, on_line))


def _render_one(
    app: App, copy: Path, scratch: Path, run_as: RunAs, on_line: Callable[[str], None]
) -> RenderedManifests:
    where = AppEnvironment(app.directory, copy, scratch, run_as, on_line)
    if app.config.get("imports"):
        variables = where.variables()
        run = partial(where.run, environ=variables)
        imports.ensure(app, where.folder, imports.Tools(run, variables["PATH"], where.cache, on_line))
    return synthesize(app, where)


def _all_or_error(
    apps: Sequence[App], outcomes: Sequence[RenderedManifests | Cdk8sPublishError]
) -> tuple[RenderedManifests, ...]:
    rendered = tuple(outcome for outcome in outcomes if not isinstance(outcome, Cdk8sPublishError))
    errors = [
        (app, outcome) for app, outcome in zip(apps, outcomes, strict=True) if isinstance(outcome, Cdk8sPublishError)
    ]
    summary = [_summary(one) for one in rendered]
    if errors:
        raise _error(apps, errors, summary)
    if len(apps) > 1:
        for line in summary:
            _log.info("%s", line)
    return rendered


def _summary(rendered: RenderedManifests) -> str:
    count = len(rendered.files)
    return f"{rendered.app}: {count} file{'s' * (count != 1)} for {rendered.path or '.'}"


def _error(
    apps: Sequence[App], errors: Sequence[tuple[App, Cdk8sPublishError]], summary: list[str]
) -> Cdk8sPublishError:
    """Return one error that names every app that failed; its evidence says what the others rendered."""
    error = errors[0][1]
    if len(errors) > 1:
        error = SynthError(
            f"{len(errors)} of {len(apps)} apps failed: {', '.join(app.name for app, _ in errors)}.",
            evidence="\n\n".join(f"{error}\n{error.evidence}" for _, error in errors),
            hint=error.hint,
        )
    if summary:
        others = "\n".join(["Rendered, but not published without the rest:", *summary])
        error.evidence = "\n\n".join(filter(None, (error.evidence, others)))
    return error
