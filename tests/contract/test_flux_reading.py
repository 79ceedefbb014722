"""What Flux makes of a branch, said by the libraries of its own controllers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.flux_trees import APPLIED, ENCRYPTED, FOLDER, REFUSED, STRICTER, Tree, write
from support.programs import run
from support.remotes import GIT_ENV

if TYPE_CHECKING:
    from pathlib import Path

    from support.fluxread import FluxReader, Reading

TAKEN = {**APPLIED, **STRICTER, **ENCRYPTED}
BRANCH = "manifests"


def read(flux: FluxReader, tree: Tree, root: Path, *, isolated: bool = False) -> Reading:
    write(tree, root)
    return flux.folder(root, FOLDER, isolated=isolated)


def cloned(flux: FluxReader, tree: Tree, root: Path) -> Reading:
    """Commit a tree with a git that minds no name, and read the branch."""
    write(tree, root)
    bare = ("git", "-c", "core.protectNTFS=false", "-c", "core.autocrlf=false")
    run(*bare, "init", "--quiet", f"--initial-branch={BRANCH}", cwd=root, env=GIT_ENV)
    run(*bare, "add", "--all", "--force", cwd=root, env=GIT_ENV)
    run(*bare, "commit", "--quiet", "--message=x", cwd=root, env=GIT_ENV)
    return flux.branch(root, BRANCH, FOLDER)


def resources(reading: Reading) -> list[str]:
    assert not reading.error
    return sorted(map(str, reading.resources))


@pytest.mark.parametrize("name", TAKEN)
def test_flux__applies(flux: FluxReader, tmp_path: Path, name: str) -> None:
    assert resources(read(flux, TAKEN[name].files, tmp_path)) == sorted(TAKEN[name].resources)


@pytest.mark.parametrize("name", REFUSED)
def test_flux__refuses(flux: FluxReader, tmp_path: Path, name: str) -> None:
    case = REFUSED[name]
    is_refused_early = case.stage in {"clone", "unpack"}
    found = cloned(flux, case.files, tmp_path) if is_refused_early else read(flux, case.files, tmp_path)
    assert found.stage == case.stage
    assert case.words in found.error


@pytest.mark.parametrize("name", ENCRYPTED)
def test_flux__demands_decryption(flux: FluxReader, tmp_path: Path, name: str) -> None:
    found = read(flux, ENCRYPTED[name].files, tmp_path)
    assert found.encrypted == found.resources


def test_flux__applies_what_is_on_a_branch(flux: FluxReader, tmp_path: Path) -> None:
    tree = APPLIED["a kustomization file in a subfolder"]
    found = cloned(flux, tree.files, tmp_path)
    assert resources(found) == sorted(tree.resources)
    assert found.digest.startswith("sha256:")
    assert found.digest == read(flux, tree.files, tmp_path / "again").digest


def test_flux__a_branch_that_does_not_exist_is_an_error(flux: FluxReader, tmp_path: Path) -> None:
    cloned(flux, APPLIED["documents"].files, tmp_path)
    assert flux.branch(tmp_path, "nothing").stage == "clone"


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TAKEN, *REFUSED])
def test_flux__an_isolated_build_of_a_clone_makes_no_difference(flux: FluxReader, tmp_path: Path, name: str) -> None:
    tree = TAKEN[name].files if name in TAKEN else REFUSED[name].files
    quick = cloned(flux, tree, tmp_path)
    isolated = flux.branch(tmp_path, BRANCH, FOLDER, isolated=True)
    assert isolated._replace(error="") == quick._replace(error="")
