"""The snippets of the readme, to be run as a user would who pastes them."""

from __future__ import annotations

import re
import shlex
from typing import Any

import yaml

from support.programs import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def workflow_inputs() -> dict[str, str]:
    """Return what the workflow of the quick start sets."""
    workflow: Any = next(yaml.safe_load(block) for block in blocks("yaml") if "jobs:" in block)
    steps = workflow["jobs"]["manifests"]["steps"]
    inputs: dict[str, str] = steps[-1]["with"]
    return inputs


def template_inputs() -> dict[str, str]:
    """Return what the GitLab pipeline of the quick start sets."""
    pipeline: Any = next(yaml.safe_load(block) for block in blocks("yaml") if "include:" in block)
    inputs: dict[str, str] = pipeline["include"][0]["inputs"]
    return inputs


def commands() -> list[list[str]]:
    """Return every call of the program that the readme shows, up to a pipe."""
    lines = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    return [shlex.split(line.partition(" | ")[0])[1:] for line in lines if line.startswith("cdk8s-publish ")]
