"""Fixtures: servers, remotes, checkouts and the program, each private to its test."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from support.checkouts import Checkout, config_map
from support.fluxread import FluxReader, flux_reader
from support.git_http import GitHttpServer, git_http_server
from support.git_ssh import GitSshServer, git_ssh_server
from support.programs import require
from support.proxy import FaultProxy, fault_proxy
from support.remotes import Remote
from support.runner import Cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# An example takes as long as it takes on a machine that others use too.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

# Whoever starts the tests in the background hands down that SIGINT is ignored; tests that send it want it to count.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """Return an empty bare repository."""
    return Remote.create(tmp_path / "remote.git")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Return a source checkout whose app renders two manifests."""
    return Checkout.create(tmp_path / "source", {"web.yaml": config_map("web"), "db.yaml": config_map("db")})


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return the program on a machine of its own."""
    return Cli.create(tmp_path / "machine")


@pytest.fixture
def http_server(tmp_path: Path) -> Iterator[GitHttpServer]:
    """Serve everything below the test's folder over HTTP, with a token."""
    require("lighttpd")
    with git_http_server(tmp_path / "http", tmp_path) as running:
        yield running


@pytest.fixture
def https_server(tmp_path: Path) -> Iterator[GitHttpServer]:
    """Serve everything below the test's folder over HTTPS; only its own authority vouches for it."""
    require("lighttpd", "openssl")
    with git_http_server(tmp_path / "https", tmp_path, has_tls=True) as running:
        yield running


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[GitSshServer]:
    """Serve the machine's repositories over SSH."""
    require("sshd", "ssh", "ssh-keygen")
    with git_ssh_server(tmp_path / "sshd") as running:
        yield running


@pytest.fixture(scope="session")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FluxReader]:
    """Run the program that reads a branch as Flux does; building it takes a minute, once."""
    with flux_reader(tmp_path_factory.mktemp("fluxread")) as running:
        yield running


@pytest.fixture
def proxy(tmp_path: Path, http_server: GitHttpServer) -> Iterator[FaultProxy]:
    """Put a proxy that breaks requests in front of the HTTP server."""
    require("mitmdump")
    with fault_proxy(tmp_path / "proxy", http_server.origin) as running:
        yield running
