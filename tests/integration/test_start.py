"""What is loaded before the first line of the log, and before the app starts: a user waits for both."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish import __version__
from support.programs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {"yaml", "git", "requests", "hashlib", "dataclasses", "inspect", "difflib"}


def loaded(folder: Path, command: str, until: str) -> set[str]:
    """Return the modules that a command has loaded when it prints a line; both go to the error output."""
    argv = (sys.executable, "-I", "-X", "importtime", ROOT / "entrypoint.py", command, "--install", "none")
    environ = {"PATH": os.environ["PATH"]}
    done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60)
    before, line, _ = done.stderr.partition(f"\n{until}\n")
    assert line, done.stderr[-2000:]
    return {entry.rpartition("|")[2].strip() for entry in before.splitlines() if entry.startswith("import time:")}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "cdk8s.yaml").write_text("app: 'echo \"kind: ConfigMap\" > $CDK8S_OUTDIR/a.yaml'\n")
    return folder


def test_start__says_something_before_anything_heavy_is_loaded(app: Path) -> None:
    names = loaded(app, "generate", f"cdk8s-publish {__version__}")
    assert "cdk8s_publish.cli" in names
    assert not names & HEAVY


def test_start__loads_for_the_app_no_other_command_and_nothing_that_publishes(app: Path) -> None:
    names = loaded(app, "generate", "Synth shop")
    assert "cdk8s_publish.render.synth" in names
    assert not names & {"git", "requests", "dataclasses", "inspect", "difflib"}
    assert not {name for name in names if name.startswith(("cdk8s_publish.commands.run", "cdk8s_publish.publish"))}
