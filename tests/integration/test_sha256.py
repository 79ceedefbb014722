"""A source repository with SHA-256 ids, published to one with SHA-1 ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.checkouts import COPY_APP, Checkout, config_map
from support.programs import run
from support.remotes import GIT_ENV, Remote

if TYPE_CHECKING:
    from pathlib import Path

    from support.runner import Cli


def test_source__with_long_ids_is_published_again_from_shallow_checkouts__d16(
    remote: Remote, cli: Cli, tmp_path: Path
) -> None:
    origin, path = Remote(tmp_path / "long.git"), tmp_path / "work"
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", "--object-format=sha256", origin.path, env=GIT_ENV)
    run("git", "init", "--quiet", "--initial-branch=main", "--object-format=sha256", path, env=GIT_ENV)
    work = Checkout(path, origin)
    work.write("cdk8s.yaml", f"language: python\napp: >-\n  {COPY_APP}\n".encode())
    for value in ("1", "2"):
        work.render({"web.yaml": config_map("web", value)}, f"Value {value}")
        shallow = tmp_path / f"shallow-{value}"
        run("git", "clone", "--quiet", "--depth=1", origin.path.as_uri(), shallow, env=GIT_ENV)
        cli.run("run", "--install=none", "--repository", remote.path, cwd=shallow).ok()
        assert remote.files("manifests")["dist/web.yaml"] == config_map("web", value)
    old = tmp_path / "shallow-1"
    done = cli.run("run", "--install=none", "--repository", remote.path, cwd=old).ok()
    assert "newer" in done.text
    assert remote.files("manifests")["dist/web.yaml"] == config_map("web", "2")
