"""The tutorial, typed line by line: every command works and prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.programs import ROOT, SEARCH_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "@@ step"
INSTALLATION = "$ pipx install"
TYPING_TIMEOUT_S = 300


@dataclass(frozen=True)
class Step:
    """One command and the lines that the page shows below it.

    A line `…` stands for any number of lines, and `…` at the end of a line for the rest of it.
    """

    command: str
    shown: tuple[str, ...]


def steps() -> Iterator[Step]:
    text = PAGE.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        language, body = match.groups()
        if language == "console":
            for command in re.split(r"^(?=\$ )", body, flags=re.MULTILINE):
                if command and not command.startswith(INSTALLATION):
                    first, *shown = command.removeprefix("$ ").splitlines()
                    yield Step(first, tuple(line for line in shown if line != "…"))
        else:
            # The file's name is the last word in code style before the block.
            name = re.findall(r"`([\w.]+)`", text[: match.start()])[-1]
            yield Step(f"cat > {name} <<'END'\n{body}END", ())


def typed(folder: Path) -> list[str]:
    """Type every step into one shell and return what each printed."""
    lines = [f"code=$?; echo '{MARK}'; (exit $code)\n{step.command}" for step in steps()]
    home = folder / "home"
    home.mkdir()
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "GITLAB_", "INPUT_"))
    }
    person = {f"GIT_{role}_{what}": "ada" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ("bash", "-c", "\n".join(lines)),
        cwd=folder,
        env={**environ, **person, "HOME": str(home), "PATH": SEARCH_PATH, "GIT_PAGER": "cat"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TYPING_TIMEOUT_S,
        check=False,
    )
    return done.stdout.split(f"{MARK}\n")[1:]


def is_shown(line: str, printed: str) -> bool:
    return printed.startswith(line.removesuffix("…")) if line.endswith("…") else printed == line


@pytest.mark.slow
@pytest.mark.synth
def test_tutorial__does_what_it_says(tmp_path: Path) -> None:
    printed = typed(tmp_path)
    for step, text in zip(steps(), printed, strict=True):
        rest = iter(text.splitlines())
        for line in step.shown:
            assert any(is_shown(line, printed_line) for printed_line in rest), (
                f"`{step.command}` did not print {line!r} but:\n{text}"
            )
    said = dict(zip((step.command for step in steps()), printed, strict=True))
    assert 'closes: "18:00"' in said["git show origin/manifests:dist/shop.k8s.yaml"]
    assert '"drySha"' in said["git show origin/manifests:dist/hydrator.metadata"]
    assert '+  closes: "20:00"' in said["cat changes.diff"]
    assert "kind: Kustomization" in said["cdk8s-publish flux --url https://github.com/acme/shop"]
