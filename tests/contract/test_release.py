"""A release is its source plus the digest of the image, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from support.programs import ROOT
from support.remotes import git

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "sha256:" + "ab" * 32
VERSION = "1.2.3"
FILES = (
    "action.yml",
    ".gitlab-ci-template.yml",
    "templates/publish.yml",
    "scripts/release.py",
    "src/cdk8s_publish/__init__.py",
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a repository with the files that a release is made from."""
    folder = tmp_path / "source"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    git("init", "--quiet", "--initial-branch=main", cwd=folder)
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--message", "Source", cwd=folder)
    return folder


def release(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    script = folder / "scripts" / "release.py"
    return subprocess.run(
        (sys.executable, script, *args), cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def tag(folder: Path, name: str) -> None:
    git("commit", "--quiet", "--all", "--message", "Release", cwd=folder)
    git("tag", name, cwd=folder)


def test_release__is_the_source_with_the_image_by_digest(source: Path) -> None:
    assert release(source, "pin", "1.2.3", DIGEST).returncode == 0
    tag(source, "v1.2.3")
    checked = release(source, "check", "v1.2.3~1", "v1.2.3")
    assert checked.returncode == 0, checked.stderr
    runs = yaml.safe_load((source / "action.yml").read_text(encoding="utf-8"))["runs"]
    assert runs["image"] == f"docker://ghcr.io/cdk8s-publish/cdk8s-publish:v1.2.3@{DIGEST}"
    header = next(yaml.safe_load_all((source / ".gitlab-ci-template.yml").read_text(encoding="utf-8")))
    assert header["spec"]["inputs"]["image"]["default"].endswith(f":v1.2.3@{DIGEST}")


@pytest.mark.parametrize("name", ["src/cdk8s_publish/__init__.py", "action.yml", "templates/publish.yml"])
def test_release__with_another_change_is_refused(source: Path, name: str) -> None:
    release(source, "pin", "1.2.3", DIGEST)
    with (source / name).open("a", encoding="utf-8") as file:
        file.write("# one more line\n")
    tag(source, "v1.2.3")
    checked = release(source, "check", "v1.2.3~1", "v1.2.3")
    assert checked.returncode == 1
    assert name in checked.stderr


def test_release__under_another_version_is_refused(source: Path) -> None:
    release(source, "pin", "1.2.3", DIGEST)
    tag(source, "v1.2.4")
    assert "names no image of this version" in release(source, "check", "v1.2.4~1", "v1.2.4").stderr


def test_release__of_a_tag_instead_of_a_digest_is_refused(source: Path) -> None:
    assert "is no digest" in release(source, "pin", "1.2.3", "latest").stderr


def test_release__of_another_version_than_the_sources_is_refused(source: Path) -> None:
    assert "the source says" in release(source, "version", "0.0.1").stderr


@pytest.mark.parametrize(
    ("tags", "is_new"),
    [
        ((), True),
        (("1.2.3", "v1"), True),  # what started the release, and the moving tag
        (("v1.2.2", "v1.1.20", "v2.0.0"), True),
        (("v1.2.3",), False),
        (("v1.10.0",), False),
    ],
)
def test_release__has_to_be_the_newest_of_its_major_version(
    tags: tuple[str, ...], is_new: bool, source: Path, tmp_path: Path
) -> None:
    version = source / "src/cdk8s_publish/__init__.py"
    version.write_text(f'__version__ = "{VERSION}"\n', encoding="utf-8")
    origin = tmp_path / "origin.git"
    git("init", "--quiet", "--bare", origin, cwd=tmp_path)
    git("remote", "add", "origin", origin, cwd=source)
    for name in tags:
        git("push", "--quiet", "origin", f"HEAD:refs/tags/{name}", cwd=source)
    done = release(source, "version", VERSION)
    assert (done.returncode == 0) == is_new, done.stderr
    assert is_new or "is out already" in done.stderr


def test_main__builds_the_dockerfile_beside_it() -> None:
    runs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]
    assert runs == {"using": "docker", "image": "Dockerfile"}
