"""What is printed may get lost; what was published stays published, and the exit code says so."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.checkouts import Checkout
    from support.runner import Cli

RUN = ("run", "--install", "none")


def run_with(redirections: str, cli: Cli, checkout: Checkout, *args: str) -> subprocess.CompletedProcess[str]:
    """Run as a shell does with these redirections of the standard streams."""
    return subprocess.run(
        ("sh", "-c", f'"$@" {redirections}', "sh", *map(str, cli.program), *args),
        cwd=checkout.path,
        env=cli.environ(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "redirections", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"]
)
def test_run__publishes_whatever_becomes_of_its_words__d7(checkout: Checkout, cli: Cli, redirections: str) -> None:
    done = run_with(redirections, cli, checkout, *RUN)
    assert done.returncode == 0, done
    assert "Traceback" not in done.stdout + done.stderr
    assert set(checkout.origin.files("manifests")) == {"dist/db.yaml", "dist/web.yaml", "dist/hydrator.metadata"}


def test_run__publishes_when_the_reader_of_its_log_leaves__d7(checkout: Checkout, cli: Cli) -> None:
    done = run_with("| head -n 1", cli, checkout, *RUN)
    assert done.stdout.startswith("cdk8s-publish ")
    assert done.stderr == ""
    assert checkout.origin.tip("manifests")


def test_run__fails_as_it_does_with_words__d7(checkout: Checkout, cli: Cli) -> None:
    done = run_with(">/dev/full", cli, checkout, *RUN, "--branch", "main")
    assert done.returncode == 5, done


@pytest.mark.parametrize(("redirection", "code"), [(">/dev/full", 5), (">&-", 5)])
def test_generate__does_not_call_lost_data_a_success__d7(
    checkout: Checkout, cli: Cli, redirection: str, code: int
) -> None:
    done = run_with(redirection, cli, checkout, "generate", "--install", "none")
    assert done.returncode == code, done
    assert "internal error" not in done.stderr.lower()
