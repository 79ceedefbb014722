"""Which of the user's variables an app gets as they are, where they name folders to write to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.render.environment import AppEnvironment, RunAs, with_usable_cache

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name in ("checkout", "copy", "downloads"):
        (tmp_path / name).mkdir()
    return tmp_path / "checkout"


def app(workspace: Path, environ: Mapping[str, str], visible: tuple[str, ...] | None = None) -> AppEnvironment:
    run_as = RunAs({"PATH": "/bin", **environ}, workspace, 60, visible=visible)
    return AppEnvironment("", workspace.with_name("copy"), workspace.with_name("scratch"), run_as, print)


def test_variable__that_names_a_folder_of_downloads_is_kept_and_may_be_written(workspace: Path) -> None:
    downloads = str(workspace.with_name("downloads"))
    environ = {"npm_config_cache": downloads, "UV_CACHE_DIR": f"{downloads}/missing", "PIP_CACHE_DIR": "relative"}
    where = app(workspace, environ)
    variables = where.variables()
    assert variables["npm_config_cache"] == downloads
    assert not {"UV_CACHE_DIR", "PIP_CACHE_DIR"} & variables.keys()
    assert downloads in where.confinement().writable


def test_variable__that_names_more_than_downloads_is_replaced(workspace: Path) -> None:
    given = dict.fromkeys(("GRADLE_USER_HOME", "TMP", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "GOPATH"), "/home/user/own")
    where = app(workspace, given)
    assert "/home/user/own" not in where.variables().values()
    assert "/home/user/own" not in where.confinement().writable


def test_variable__that_leads_into_the_checkout_leads_into_the_copy(workspace: Path) -> None:
    copy = workspace.with_name("copy")
    given = {
        "GRADLE_USER_HOME": f"{workspace}/.gradle",
        "MAVEN_OPTS": f"-Xmx1g -Dmaven.repo.local={workspace}/.m2",
        "NODE_PATH": f"/lib:{workspace}:{workspace}/lib",
        "OTHER": f"{workspace}-other /else{workspace}/a",
        "UV_CACHE_DIR": f"{workspace}/.uv",
    }
    variables = app(workspace, given).variables()
    assert {name: variables[name] for name in given} == {
        "GRADLE_USER_HOME": f"{copy}/.gradle",
        "MAVEN_OPTS": f"-Xmx1g -Dmaven.repo.local={copy}/.m2",
        "NODE_PATH": f"/lib:{copy}:{copy}/lib",
        "OTHER": f"{workspace}-other /else{workspace}/a",
        "UV_CACHE_DIR": f"{copy}/.uv",
    }


def test_hermetic_app__has_no_part_in_what_others_have_downloaded(workspace: Path) -> None:
    downloads = workspace.with_name("downloads")
    where = app(workspace, {"UV_CACHE_DIR": str(downloads)}, ("UV_CACHE_DIR",))
    assert "UV_CACHE_DIR" not in {**where.variables(), **where.variables(is_app=True)}
    assert str(downloads) not in where.confinement().writable
    assert str(workspace) in where.confinement().denied
    run_as = RunAs({}, workspace, 60, cache=downloads, visible=())
    assert with_usable_cache(run_as, workspace.with_name("scratch")).cache is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_usable_cache__is_found_out_without_giving_our_own_folder_away(workspace: Path) -> None:
    scratch = workspace.with_name("scratch")
    scratch.mkdir()
    run_as = RunAs({}, workspace, 60, cache=workspace.with_name("downloads"), uid=1234, gid=1234)
    with_usable_cache(run_as, scratch)
    assert scratch.stat().st_uid == 0
