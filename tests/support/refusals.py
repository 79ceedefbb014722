"""Runs without an installation that publish many resources, and runs that a rule stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.checkouts import config_map

if TYPE_CHECKING:
    from pathlib import Path

    from support.checkouts import Checkout
    from support.runner import Cli, Result

RUN = ("run", "--install", "none")


def many(count: int) -> dict[str, bytes]:
    """Return files with this many resources."""
    return {f"{number}.yaml": config_map(f"c-{number}") for number in range(count)}


def refused(cli: Cli, checkout: Checkout, *args: str | Path) -> Result:
    """Run, expect a refusal because of content, and a branch that did not move."""
    refs = checkout.origin.refs()
    done = cli.run(*RUN, *args, cwd=checkout.path).exits(4)
    assert checkout.origin.refs() == refs
    return done
