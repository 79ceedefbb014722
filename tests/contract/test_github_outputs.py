"""What reads outputs in our tests agrees with GitHub's own writer of them, @actions/core."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.ci.github import GitHub
from support.github import GitHubJob
from support.programs import ROOT, program, run

if TYPE_CHECKING:
    from pathlib import Path

    from support.checkouts import Checkout

CORE = ROOT / ".tools" / "npm" / "node_modules" / "@actions" / "core" / "lib" / "core.js"
SCRIPT = """
const core = await import(process.env.CORE)
for (const [name, value] of Object.entries(JSON.parse(process.env.VALUES))) core.setOutput(name, value)
await core.summary.addRaw(process.env.SUMMARY).write()
"""
VALUES = {
    "plain": "published",
    "empty": "",
    "lines": "one\ntwo\n\nthree",
    "looks-like-a-delimiter": "a\nghadelimiter_00000000-0000-0000-0000-000000000000\nb",
    "looks-like-an-output": "outcome=unchanged\nname<<END\nEND",
    "unicode": "grüße, 世界",
}


@pytest.fixture
def job(checkout: Checkout, tmp_path: Path) -> GitHubJob:
    """Return a job whose file commands are empty."""
    return GitHubJob.create(tmp_path / "commands", checkout, "https://github.com", "o/r")


def test_our_reader__understands_github_s_own_writer(job: GitHubJob) -> None:
    values = {"VALUES": json.dumps(VALUES), "SUMMARY": "# It works", "CORE": CORE.as_uri()}
    environ = {**job.environ(), **values, "PATH": os.environ["PATH"]}
    run(program("node"), "--input-type=module", "--eval", SCRIPT, env=environ)
    assert job.outputs() == VALUES
    assert job.summary().strip() == "# It works"


def test_our_writer__is_read_back_unharmed(job: GitHubJob) -> None:
    GitHub(job.environ()).write_outputs(VALUES)
    assert job.outputs() == VALUES
