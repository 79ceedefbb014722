from __future__ import annotations

import io
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish import log
from cdk8s_publish.ci.shell import Shell
from cdk8s_publish.errors import InputError, SynthError
from cdk8s_publish.inputs.declared import parse
from cdk8s_publish.log import Console, logging_to
from cdk8s_publish.render import How, dependencies, render, schedule
from cdk8s_publish.render.discover import find_apps
from cdk8s_publish.render.environment import RunAs
from cdk8s_publish.render.managers import Manager
from cdk8s_publish.render.managers.node import NODE
from cdk8s_publish.render.managers.python import PYTHON
from cdk8s_publish.sandbox import lifetime
from cdk8s_publish.sandbox.confinement import Confinement
from cdk8s_publish.sandbox.environ import scrub

if TYPE_CHECKING:
    from pathlib import Path

    from cdk8s_publish.model import RenderedManifests


class Monorepo:
    """A checkout with several apps, and what a run printed."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "workspace"
        self.private = folder / "private"
        self.workspace.mkdir()
        self.private.mkdir(mode=0o700)
        self.screen: io.StringIO = io.StringIO()

    def add(self, directory: str, command: str) -> None:
        folder = self.workspace / directory
        folder.mkdir(parents=True)
        (folder / "cdk8s.yaml").write_text(f"app: |\n  {command}\n")

    def render(
        self, *directories: str, path: str = "{app}", install: str = "none", is_hermetic: bool = False
    ) -> tuple[RenderedManifests, ...]:
        found = find_apps(parse({}).render._replace(install=install), self.workspace, directories, path)
        visible = ("PATH",) if is_hermetic else None
        # Beside what apps may write anyway, a place where they can meet each other and the test.
        within = Confinement().also(writable=[self.private.parent])
        run_as = RunAs(scrub(os.environ, []), self.workspace, timeout_s=30, visible=visible, confinement=within)
        console = Console(self.screen, Shell())
        with logging_to(console, is_verbose=False):
            return render(found, How(run_as, self.private, console, found))

    @property
    def printed(self) -> list[str]:
        return self.screen.getvalue().splitlines()


@pytest.fixture
def monorepo(tmp_path: Path) -> Monorepo:
    return Monorepo(tmp_path)


def write(name: str) -> str:
    return f"echo 'a: {name}' > $CDK8S_OUTDIR/{name}.yaml"


def test_render__renders_every_app_that_a_pattern_matches(monorepo: Monorepo) -> None:
    for name in ("b", "a", "c"):
        monorepo.add(f"apps/{name}", write(name))
    (monorepo.workspace / "apps" / "no-app").mkdir()
    for other in ("apps/.hidden", "apps/node_modules"):
        monorepo.add(other, "exit 1")
    rendered = monorepo.render("apps/*", path="clusters/prod/{app}")
    assert [(item.app, item.path) for item in rendered] == [(name, f"clusters/prod/{name}") for name in "abc"]
    assert [item.files[0].read() for item in rendered] == [f"a: {name}\n".encode() for name in "abc"]


def test_render__finds_hidden_folders_that_a_pattern_names(monorepo: Monorepo) -> None:
    monorepo.add("apps/.hidden", write("a"))
    assert [item.app for item in monorepo.render("apps/.h*")] == [".hidden"]
    with pytest.raises(InputError, match=r"No folder that matches apps/\* holds"):
        monorepo.render("apps/*")


def test_render__groups_what_apps_print_that_run_side_by_side(
    monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "_workers", lambda tasks: tasks)
    # Each waits for the other one: this ends only when both run at the same time.
    root = monorepo.private.parent
    os.mkfifo(root / "left")
    os.mkfifo(root / "right")
    monorepo.add("a", f"echo a 1; cat {root}/left; echo a 2; echo > {root}/right; echo a 3")
    monorepo.add("b", f"echo b 1; echo > {root}/left; echo b 2; cat {root}/right; echo b 3")
    monorepo.render("a", "b")
    lines = [line for line in monorepo.printed if line.startswith(("a ", "b "))]
    assert lines in ([f"{a} {n}" for a in first for n in "123"] for first in ("ab", "ba"))


def test_render__installs_once_what_apps_share(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        monorepo.add(f"apps/{name}", "cp ../../.venv/count $CDK8S_OUTDIR/count.yaml")
    (monorepo.workspace / "requirements.txt").write_text("")
    pip = Manager("pip", "pip", ("requirements.txt",), "mkdir -p .venv && echo once >> .venv/count", (".venv",))
    monkeypatch.setattr(dependencies, "ECOSYSTEMS", (PYTHON._replace(managers=(pip,)),))
    rendered = monorepo.render("apps/*", install="auto")
    assert [item.files[0].read() for item in rendered] == [b"once\n", b"once\n"]


def test_render__waits_for_every_installation_in_its_copy_of_the_checkout(
    monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "_workers", lambda tasks: tasks)
    pip = Manager(
        "pip", "pip", ("requirements.txt",), "npm --version && npm --version && npm --version && echo a: 1 > made"
    )
    monkeypatch.setattr(dependencies, "ECOSYSTEMS", (PYTHON._replace(managers=(pip,)),))
    monorepo.add("user", "cp ../maker/made $CDK8S_OUTDIR/made.yaml")
    monorepo.add("maker", "cp made $CDK8S_OUTDIR/made.yaml")
    (monorepo.workspace / "maker" / "requirements.txt").write_text("")
    rendered = monorepo.render("maker", "user", install="auto")
    assert [item.files[0].read() for item in rendered] == [b"a: 1\n", b"a: 1\n"]


def test_render__does_not_wait_for_installations_in_other_copies(
    monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "_workers", lambda tasks: tasks)
    # What is installed for the slow app waits for the quick app to run.
    fifo = monorepo.private.parent / "fifo"
    os.mkfifo(fifo)
    pip = Manager("pip", "pip", ("requirements.txt",), f"cat {fifo}")
    monkeypatch.setattr(dependencies, "ECOSYSTEMS", (PYTHON._replace(managers=(pip,)),))
    monorepo.add("slow", write("slow"))
    monorepo.add("quick", f"{write('quick')}; echo > {fifo}")
    (monorepo.workspace / "slow" / "requirements.txt").write_text("")
    rendered = monorepo.render("quick", "slow", install="auto", is_hermetic=True)
    assert [item.app for item in rendered] == ["quick", "slow"]


def test_render__compiles_when_the_installation_is_done(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_workers", lambda tasks: tasks)
    npm = Manager(
        "npm", "npm", ("package.json",), "npm --version && npm --version && npm --version && echo done > installed"
    )
    monkeypatch.setattr(dependencies, "ECOSYSTEMS", (NODE._replace(managers=(npm,)),))
    for name in ("a", "b"):
        monorepo.add(name, "cp main.js $CDK8S_OUTDIR/main.yaml")
        (monorepo.workspace / name / "package.json").write_text('{"scripts": {"compile": "cp installed main.js"}}')
    rendered = monorepo.render("a", "b", install="auto")
    assert [item.files[0].read() for item in rendered] == [b"done\n", b"done\n"]


def test_render__does_not_compile_after_an_installation_that_failed(
    monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = Manager("npm", "npm", ("package.json",), "exit 5")
    monkeypatch.setattr(dependencies, "ECOSYSTEMS", (NODE._replace(managers=(npm,)),))
    monorepo.add("a", "node main.js")
    (monorepo.workspace / "a" / "package.json").write_text('{"scripts": {"compile": "echo ran"}}')
    with pytest.raises(SynthError, match="Installing dependencies in a failed with exit code 5"):
        monorepo.render("a", install="auto")
    assert "ran" not in monorepo.printed


def test_render__names_the_app_that_failed_and_reports_the_others(monorepo: Monorepo) -> None:
    monorepo.add("good", write("good"))
    monorepo.add("bad", "echo no good; exit 3")
    with pytest.raises(SynthError, match="The app bad failed with exit code 3") as error:
        monorepo.render("good", "bad")
    assert error.value.evidence == "no good\n\nRendered, but not published without the rest:\ngood: 1 file for good"


def test_render__names_all_apps_that_failed(monorepo: Monorepo) -> None:
    monorepo.add("one", "echo first; exit 1")
    monorepo.add("two", "echo second; exit 2")
    monorepo.add("three", write("three"))
    with pytest.raises(SynthError, match=r"2 of 3 apps failed: one, two\.") as error:
        monorepo.render("one", "two", "three")
    assert "first" in error.value.evidence
    assert "second" in error.value.evidence
    assert "three: 1 file for three" in error.value.evidence


def test_render__does_not_run_an_app_whose_installation_failed(monorepo: Monorepo) -> None:
    monorepo.add("one", f"echo ran; {write('one')}")
    with pytest.raises(SynthError, match="Installing dependencies in one failed with exit code 5"):
        monorepo.render("one", install="exit 5")
    assert "ran" not in monorepo.printed


def test_render__ends_all_apps_when_it_is_interrupted(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_workers", lambda tasks: tasks)
    root = monorepo.private.parent
    for name in ("a", "b"):
        os.mkfifo(root / name)
        monorepo.add(name, f"echo > {root}/{name}; exec sleep 60")
    monorepo.add("c", "true")

    def interrupt() -> None:
        for name in ("a", "b"):
            (root / name).read_text()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        monorepo.render("a", "b")
    assert time.monotonic() - start < 20
    assert not lifetime.is_untrusted_code_running()


@pytest.mark.parametrize(
    ("directories", "path", "message"),
    [
        (("apps/*",), "dist", "would be published to dist and dist"),
        (("apps/a", "apps/b"), "", "which would overlap"),
        (("apps/*", "other/a"), "{app}", "would be published to a and a"),
        (("none/*",), "{app}", r"No folder that matches none/\* holds a cdk8s.yaml"),
        (("none",), "{app}", "There is no folder none in the checkout"),
    ],
)
def test_find_apps__refuses(monorepo: Monorepo, directories: tuple[str, ...], path: str, message: str) -> None:
    for directory in ("apps/a", "apps/b", "other/a"):
        monorepo.add(directory, "true")
    with pytest.raises(InputError, match=message):
        monorepo.render(*directories, path=path)


class Screen(io.StringIO):
    """Makes a file when it has seen a text."""

    def __init__(self, text: str, file: Path) -> None:
        super().__init__()
        self._text, self._file = text, file

    def write(self, text: str) -> int:
        if self._text in text:
            self._file.touch()
        return super().write(text)


@pytest.mark.parametrize("names", ["a", "ab"])
def test_render__says_now_and_then_what_is_still_running(
    monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    monkeypatch.setattr(schedule, "_workers", lambda tasks: tasks)
    monkeypatch.setattr(log, "HEARTBEAT_S", 0.05)
    seen = monorepo.private.parent / "seen"
    monorepo.screen = Screen("still running", seen)
    for name in names:
        monorepo.add(name, f"until [ -e {seen} ]; do sleep 0.01; done")
    monorepo.render(*names)
    said = next(line for line in monorepo.printed if "still running" in line)
    assert said.endswith(": still running after 0 s")
    assert all(f"Synth {name}" in said for name in names)
    assert ("Synth a and 1 more, 2 at a time" in monorepo.printed) == (len(names) > 1)


def test_render__keeps_the_first_and_the_last_lines_of_apps_that_run_side_by_side(monorepo: Monorepo) -> None:
    monorepo.add("a", "seq 100000")
    monorepo.add("b", "true")
    monorepo.render("a", "b")
    numbers = [line for line in monorepo.printed if line.isdecimal()]
    assert numbers[:: schedule.BUFFERED_LINES] == ["1", "98001"]
    assert f"… {100_000 - 2 * schedule.BUFFERED_LINES} lines …" in monorepo.printed


def test_workers__are_bounded_by_what_a_container_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert schedule._cores() == 8  # noqa: SLF001
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert schedule._cores() == 8  # noqa: SLF001
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert schedule._cores() == 2  # noqa: SLF001
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.stat").write_text("anon 200\nactive_file 300\ninactive_file 400\n")
    assert schedule._available_bytes() == 800  # noqa: SLF001


def test_workers__are_bounded_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_available_bytes", lambda: 3 * schedule.MEMORY_PER_APP_BYTES)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert [schedule._workers(tasks) for tasks in (1, 2, 20)] == [1, 2, 3]  # noqa: SLF001
    monkeypatch.setattr(schedule, "_available_bytes", lambda: 0)
    assert schedule._workers(20) == 1  # noqa: SLF001
