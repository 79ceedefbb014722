"""What is fetched to compare two source commits is bounded, whatever the server sends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map

if TYPE_CHECKING:
    from pathlib import Path

    from support.runner import Cli

RUN = ("run", "--install", "none")


def large_history(checkout: Checkout, cli: Cli, size: int) -> None:
    """Publish, then commit random bytes, and take them away again."""
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.write("large.bin", os.urandom(size))
    checkout.commit("Large")
    (checkout.path / "large.bin").unlink()
    checkout.render({"web.yaml": config_map("web", "2"), "db.yaml": config_map("db")}, "Small")


@pytest.mark.slow
@pytest.mark.parametrize("can_filter", [False, True], ids=["whole", "filtered"])
def test_history__that_a_server_sends_with_large_files_is_cut_off__d15(
    checkout: Checkout, cli: Cli, tmp_path: Path, *, can_filter: bool
) -> None:
    large_history(checkout, cli, 110 << 20)
    checkout.origin.git("config", "uploadpack.allowFilter", str(can_filter).lower())
    shallow = checkout.ci_checkout(tmp_path / "ci")
    done = cli.run(*RUN, cwd=shallow.path, INPUT_REPOSITORY=checkout.origin.path.as_uri())
    if can_filter:
        done.ok()
        return
    done.exits(5)
    assert "sends more than is fetched" in done.text
    assert "fetch-depth: 0" in done.text
    assert "older-source" in done.text
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web")
    full = checkout.ci_checkout(tmp_path / "full", depth=0)
    cli.run(*RUN, cwd=full.path).ok()


def test_history__of_modest_size_is_read_from_any_server__d15(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    large_history(checkout, cli, 10 << 20)
    checkout.origin.git("config", "uploadpack.allowFilter", "false")
    cli.run(*RUN, cwd=checkout.ci_checkout(tmp_path / "ci").path).ok()
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web", "2")
