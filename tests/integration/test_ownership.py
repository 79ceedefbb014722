"""Whose a published folder is, and from which branch it may be published: attacks and honest neighbours."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from support.checkouts import RENDERED, Checkout, config_map
from support.remotes import git

if TYPE_CHECKING:
    from pathlib import Path

    from support.remotes import Remote
    from support.runner import Cli

RUN = ("run", "--install", "none")
APP = b"app: cp m.yaml $CDK8S_OUTDIR\n"


def other_repository(tmp_path: Path) -> Checkout:
    return Checkout.create(tmp_path / "other", {"api.yaml": config_map("api")})


def state(remote: Remote) -> dict[str, bytes]:
    return remote.files("manifests")


def test_folder__of_another_repository_is_not_replaced__b4(
    checkout: Checkout, cli: Cli, remote: Remote, tmp_path: Path
) -> None:
    run = (*RUN, "--repository", str(remote.path))
    cli.run(*run, cwd=checkout.path).ok()
    before = state(remote)
    other = other_repository(tmp_path)
    done = cli.run(*run, cwd=other.path).exits(5)
    assert "foreign-folder" in done.text
    assert str(checkout.origin.path) in done.text
    assert state(remote) == before
    cli.run(*run, "--path", "api", cwd=other.path).ok()  # a folder of its own on the same branch
    cli.run(*run, "--allow", "foreign-folder", cwd=other.path).ok()
    assert "dist/api.yaml" in state(remote)
    cli.run(*run, cwd=other.path).ok()  # it is ours now
    cli.run(*run, cwd=checkout.path).exits(5)


HYDRATED = {"repoURL": "https://example.com/dry.git", "drySha": "a" * 40, "commands": ["helm template"], "subject": "x"}


@pytest.mark.parametrize("path", [".", "dist"])
def test_folder__of_argo_cds_hydrator_is_not_taken_over__b13(checkout: Checkout, cli: Cli, path: str) -> None:
    record = json.dumps(HYDRATED).encode()
    files = {"hydrator.metadata": record, "manifest.yaml": config_map("x"), "README.md": b"Hydrated\n"}
    checkout.origin.commit("manifests", files | {f"dist/{name}": content for name, content in files.items()})
    before = state(checkout.origin)
    done = cli.run(*RUN, "--path", path, cwd=checkout.path).exits(5)
    assert "to allow: foreign-branch" in done.text
    assert state(checkout.origin) == before
    cli.run(*RUN, "--path", path, "--allow", "foreign-branch,overlapping-folders", cwd=checkout.path).ok()
    checkout.render({"web.yaml": config_map("web", "2")})
    cli.run(*RUN, "--path", path, "--allow", "overlapping-folders", cwd=checkout.path).ok()  # it is ours now


def test_folder__beside_those_of_argo_cds_hydrator_is_ours__b13(checkout: Checkout, cli: Cli) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    record = json.dumps(HYDRATED).encode()
    checkout.origin.commit("manifests", {"a/hydrator.metadata": record, "a/manifest.yaml": config_map("x")})
    cli.run(*RUN, "--path", "b", cwd=checkout.path).ok()
    assert "to allow: foreign-branch" in cli.run(*RUN, "--path", "a", cwd=checkout.path).exits(5).text


def test_branch__of_argo_cds_hydrator_that_is_the_default_is_not_ours__b13(
    checkout: Checkout, cli: Cli, remote: Remote
) -> None:
    record = json.dumps(HYDRATED).encode()
    remote.commit("main", {"hydrator.metadata": record, "manifest.yaml": config_map("x")})
    run = (*RUN, "--repository", str(remote.path), "--branch", "main", "--allow", "foreign-branch,overlapping-folders")
    assert "default branch" in cli.run(*run, cwd=checkout.path).exits(5).text


@pytest.mark.parametrize("kept", [("manifests",), ("directory",), ("repoURL", "drySha", "manifests", "directory")])
def test_folder__that_an_older_run_recorded_stays_ours__b13(
    checkout: Checkout, cli: Cli, kept: tuple[str, ...]
) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    record = json.loads(state(checkout.origin)["dist/hydrator.metadata"])
    older = json.dumps({key: record[key] for key in kept}).encode()
    checkout.origin.commit("manifests", {"dist/hydrator.metadata": older})
    cli.run(*RUN, cwd=checkout.path).ok()


@pytest.mark.parametrize("damage", [b"<<<<<<< HEAD\n{", b"[" * 200_000])
def test_folder__whose_record_was_damaged_is_known_by_the_note__b13(
    checkout: Checkout, cli: Cli, damage: bytes
) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.origin.commit("manifests", {"dist/hydrator.metadata": damage})
    checkout.render({"web.yaml": config_map("web", "2")})
    notes = checkout.origin.tip("refs/notes/hydrator.metadata")
    checkout.origin.git("update-ref", "-d", "refs/notes/hydrator.metadata")
    assert "to allow: foreign-branch" in cli.run(*RUN, cwd=checkout.path).exits(5).text
    checkout.origin.git("update-ref", "refs/notes/hydrator.metadata", str(notes))
    cli.run(*RUN, cwd=checkout.path).ok()


def test_folder__of_a_repository_that_moved_to_another_address_stays_ours(
    checkout: Checkout, cli: Cli, remote: Remote, tmp_path: Path
) -> None:
    run = (*RUN, "--repository", str(remote.path))
    cli.run(*run, cwd=checkout.path).ok()
    moved = tmp_path / "renamed.git"
    shutil.copytree(checkout.origin.path, moved)
    git("remote", "set-url", "origin", str(moved), cwd=checkout.path)
    checkout.render({"web.yaml": config_map("web", "2")})
    cli.run(*run, cwd=checkout.path).ok()
    assert state(remote)["dist/web.yaml"] == config_map("web", "2")


def test_folder__of_another_app_is_not_replaced__r4(checkout: Checkout, cli: Cli) -> None:
    for name in ("a", "b"):
        checkout.write(f"{name}/cdk8s.yaml", APP)
        checkout.write(f"{name}/m.yaml", config_map(name))
    checkout.commit("Add two apps")
    cli.run(*RUN, "--working-directory", "a", cwd=checkout.path).ok()
    before = state(checkout.origin)
    done = cli.run(*RUN, "--working-directory", "b", cwd=checkout.path).exits(5)
    assert "the app in `a`" in done.text
    assert state(checkout.origin) == before
    cli.run(*RUN, "--working-directory", "b", "--path", "b", cwd=checkout.path).ok()


def test_folder__of_an_app_that_moved_stays_ours(checkout: Checkout, cli: Cli) -> None:
    checkout.write("old/cdk8s.yaml", APP)
    checkout.write("old/m.yaml", config_map("m"))
    checkout.commit("Add an app")
    cli.run(*RUN, "--working-directory", "old", cwd=checkout.path).ok()
    git("mv", "old", "new", cwd=checkout.path)
    checkout.commit("Move the app")
    cli.run(*RUN, "--working-directory", "new", cwd=checkout.path).ok()
    cli.run(*RUN, "--working-directory", "new", cwd=checkout.path).ok()


def test_source__another_branch_ends_with_the_diff__b6(checkout: Checkout, cli: Cli) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    before = checkout.origin.refs()
    git("switch", "--quiet", "--create", "feature", cwd=checkout.path)
    checkout.render({"web.yaml": config_map("web", "2")}, "A feature")
    done = cli.run(*RUN, cwd=checkout.path).ok()
    assert "Publishing would make 2 changes" in done.stdout
    assert "allow: other-source" in done.stdout
    after = checkout.origin.refs()
    assert after["refs/heads/manifests"] == before["refs/heads/manifests"]
    cli.run(*RUN, "--allow", "other-source", cwd=checkout.path).ok()
    assert state(checkout.origin)["dist/web.yaml"] == config_map("web", "2")


def test_source__a_renamed_branch_goes_on_publishing(checkout: Checkout, cli: Cli) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    git("branch", "--move", "trunk", cwd=checkout.path)
    git("push", "--quiet", "origin", "trunk", cwd=checkout.path)
    checkout.origin.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    checkout.origin.git("update-ref", "-d", "refs/heads/main")
    checkout.write(f"{RENDERED}/web.yaml", config_map("web", "2"))
    git("commit", "--quiet", "--all", "--message", "Go on", cwd=checkout.path)
    git("push", "--quiet", "origin", "trunk", cwd=checkout.path)
    cli.run(*RUN, cwd=checkout.path).ok()
    assert state(checkout.origin)["dist/web.yaml"] == config_map("web", "2")


def test_source__an_old_job_after_a_forced_push_does_not_win__b7(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    base = checkout.sha
    checkout.render({"web.yaml": config_map("web", "old")}, "B")
    cli.run(*RUN, cwd=checkout.path).ok()
    job = checkout.ci_checkout(tmp_path / "job", depth=0)
    git("reset", "--quiet", "--hard", base, cwd=checkout.path)
    checkout.write(f"{RENDERED}/web.yaml", config_map("web", "new"))
    git("commit", "--quiet", "--all", "--message", "C", cwd=checkout.path)
    git("push", "--quiet", "--force", "origin", "HEAD:main", cwd=checkout.path)
    cli.run(*RUN, cwd=checkout.path).ok()  # its branch holds it: a rewritten branch goes on publishing
    assert state(checkout.origin)["dist/web.yaml"] == config_map("web", "new")
    git("switch", "--quiet", "--force-create", "main", cwd=job.path)
    assert "no longer holds this commit" in cli.run(*RUN, cwd=job.path).ok().stdout
    assert state(checkout.origin)["dist/web.yaml"] == config_map("web", "new")


@pytest.mark.parametrize("tag", ["v1", "v2"])
def test_source__releases_from_tags_are_published_one_after_the_other(checkout: Checkout, cli: Cli, tag: str) -> None:
    github = {"GITHUB_ACTIONS": "true", "GITHUB_REF_TYPE": "tag", "GITHUB_WORKSPACE": str(checkout.path)}
    cli.run(*RUN, cwd=checkout.path, **github, GITHUB_REF_NAME="v0").ok()
    checkout.render({"web.yaml": config_map("web", tag)})
    cli.run(*RUN, cwd=checkout.path, **github, GITHUB_REF_NAME=tag).ok()
    assert state(checkout.origin)["dist/web.yaml"] == config_map("web", tag)


def three_apps(checkout: Checkout) -> None:
    for name in ("a", "b", "c"):
        checkout.write(f"apps/{name}/cdk8s.yaml", APP)
        checkout.write(f"apps/{name}/m.yaml", config_map(name))
    checkout.commit("Add three apps")


def test_app__that_a_sparse_checkout_leaves_out_is_not_gone__c9(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    three_apps(checkout)
    run = (*RUN, "--working-directory", "apps/*", "--path", "prod/{app}")
    cli.run(*run, cwd=checkout.path).ok()
    sparse = checkout.ci_checkout(tmp_path / "sparse")
    sparse.git("sparse-checkout", "set", "--cone", "apps/a", "apps/b")
    assert not (sparse.path / "apps" / "c").exists()
    assert "`prod/c` is left alone" in cli.run(*run, cwd=sparse.path).ok().stdout
    assert "prod/c/m.yaml" in state(checkout.origin)
    shutil.rmtree(checkout.path / "apps" / "c")
    checkout.commit("Remove an app")
    cli.run(*run, cwd=checkout.path).ok()  # the neighbour: an app that is gone is gone
    assert not [name for name in state(checkout.origin) if name.startswith("prod/c/")]


def test_app__with_a_job_of_its_own_is_not_gone_for_the_others__b5(checkout: Checkout, cli: Cli) -> None:
    three_apps(checkout)
    checkout.write("apps/legacy/m.yaml", config_map("legacy"))
    checkout.commit("Add an app that has a job of its own")
    own = ("--working-directory", "apps/legacy", "--app", "cp m.yaml $CDK8S_OUTDIR", "--path", "prod/{app}")
    cli.run(*RUN, *own, cwd=checkout.path).ok()
    cli.run(*RUN, "--working-directory", "apps/*", "--path", "prod/{app}", cwd=checkout.path).ok()
    assert "prod/legacy/m.yaml" in state(checkout.origin)
    assert "prod/a/m.yaml" in state(checkout.origin)


@pytest.mark.parametrize(
    ("pull_request", "branch"),
    [
        (
            {"JENKINS_URL": "https://ci.example", "CHANGE_ID": "7"},
            {"JENKINS_URL": "https://ci.example", "BRANCH_NAME": "main"},
        ),
        (
            {"TRAVIS": "true", "TRAVIS_PULL_REQUEST": "7"},
            {"TRAVIS": "true", "TRAVIS_PULL_REQUEST": "false"},
        ),
    ],
    ids=["jenkins", "travis"],
)
def test_review__of_any_product_ends_with_the_diff(
    checkout: Checkout, cli: Cli, tmp_path: Path, pull_request: dict[str, str], branch: dict[str, str]
) -> None:
    job = checkout.ci_checkout(tmp_path / "job")
    before = checkout.origin.refs()
    done = cli.run(*RUN, cwd=job.path, **pull_request).ok()
    assert "Publishing would make" in done.stdout
    assert list(pull_request)[1] in done.text
    assert checkout.origin.refs() == before
    cli.run(*RUN, cwd=job.path, **branch).ok()
    assert "dist/web.yaml" in state(checkout.origin)


def test_folder__that_an_app_was_published_to_before_is_pointed_out__d14(checkout: Checkout, cli: Cli) -> None:
    cli.run(*RUN, cwd=checkout.path).ok()
    done = cli.run(*RUN, "--path", "out", cwd=checkout.path).ok()
    assert "warning former-folder" in done.text
    assert "`dist`" in done.text
    assert {"dist/web.yaml", "out/web.yaml"} <= state(checkout.origin).keys()
    assert "former-folder" not in cli.run(*RUN, "--path", "out", cwd=checkout.path).ok().text  # once


def test_folder__beside_that_of_another_app_branch_or_repository_is_no_former_one(
    checkout: Checkout, cli: Cli, tmp_path: Path
) -> None:
    three_apps(checkout)
    for name in ("a", "b"):
        done = cli.run(*RUN, "--working-directory", f"apps/{name}", "--path", name, cwd=checkout.path).ok()
        assert "former-folder" not in done.text
    checkout.git("switch", "--quiet", "--create", "staging")
    checkout.git("push", "--quiet", "origin", "staging")
    staging = ("--working-directory", "apps/a", "--path", "staging")
    assert "former-folder" not in cli.run(*RUN, *staging, cwd=checkout.path).ok().text
    other = other_repository(tmp_path)
    to_first = ("--repository", str(checkout.origin.path), "--path", "other")
    assert "former-folder" not in cli.run(*RUN, *to_first, cwd=other.path).ok().text


def test_consent__to_take_a_folder_over_is_for_that_folder_and_once__d13(
    checkout: Checkout, cli: Cli, remote: Remote, tmp_path: Path
) -> None:
    run = (*RUN, "--repository", str(remote.path))
    for path in ("a", "b"):
        cli.run(*run, "--path", path, cwd=checkout.path).ok()
    other = other_repository(tmp_path)
    done = cli.run(*run, "--path", "a", cwd=other.path).exits(5)
    assert "[to allow: foreign-folder:a]" in done.text
    allow = ("--allow", "foreign-folder:a")
    done = cli.run(*run, "--path", "a", *allow, cwd=other.path).ok()
    assert "its 2 files would be replaced" in done.text
    left_on = cli.run(*run, "--path", "a", *allow, cwd=other.path).ok()
    assert "warning unused-consent: Nothing needed `foreign-folder:a`" in left_on.text
    before = state(remote)
    cli.run(*run, "--path", "b", *allow, cwd=other.path).exits(5)  # another one is not meant
    assert state(remote) == before


def test_consent__to_overlap_names_the_folder__d13(
    checkout: Checkout, cli: Cli, remote: Remote, tmp_path: Path
) -> None:
    run = (*RUN, "--repository", str(remote.path))
    cli.run(*run, "--path", "prod/a", cwd=checkout.path).ok()
    other = other_repository(tmp_path)
    before = state(remote)
    done = cli.run(*run, "--path", "prod", "--allow", "foreign-branch, foreign-folder", cwd=other.path).exits(5)
    assert "[to allow: overlapping-folders:prod]" in done.text
    assert state(remote) == before


def test_consent__to_adopt_a_branch_says_what_is_replaced_and_what_stays__u4(checkout: Checkout, cli: Cli) -> None:
    for number in range(4):
        checkout.origin.commit(
            "manifests", {"README.md": b"%d" % number, "dist/old.yaml": b"old: 1\n"}, f"Hand {number}"
        )
    done = cli.run(*RUN, "--allow", "foreign-branch", cwd=checkout.path).ok()
    assert "1 file in `dist` would be replaced" in done.text
    assert checkout.origin.log("manifests") == ["Start", *(f"Hand {number}" for number in (3, 2, 1, 0))]
    assert "nothing was published here before" not in done.text


@pytest.mark.parametrize("option", ["path", "branch"])
def test_source__a_branch_for_each_environment_publishes_to_a_place_of_its_own(
    checkout: Checkout, cli: Cli, option: str
) -> None:
    for number in range(2):
        for environment in ("staging", "production"):
            checkout.git("switch", "--quiet", "--force-create", environment)
            checkout.write(f"{RENDERED}/web.yaml", config_map("web", f"{environment}-{number}"))
            checkout.git("add", "--all")
            checkout.git("commit", "--quiet", "--message", f"{environment} {number}")
            checkout.git("push", "--quiet", "--force", "origin", environment)
            done = cli.run(*RUN, f"--{option}", f"envs/{environment}", cwd=checkout.path).ok()
            assert "Published" in done.stdout
            assert "other-source" not in done.text
            assert "former-folder" not in done.text


@pytest.mark.parametrize("depth", [0, 1], ids=["full", "shallow"])
@pytest.mark.parametrize("is_ahead", [False, True], ids=["migrated", "fork"])
def test_folder__of_a_repository_that_lives_on_elsewhere_stays_ours(
    checkout: Checkout, cli: Cli, remote: Remote, tmp_path: Path, depth: int, *, is_ahead: bool
) -> None:
    run = (*RUN, "--repository", str(remote.path))
    cli.run(*run, cwd=checkout.path).ok()
    new = Checkout(checkout.path, type(checkout.origin).create(tmp_path / "elsewhere.git"))
    new.git("push", "--quiet", str(new.origin.path), "main")
    if not is_ahead:
        checkout.origin.path.rename(tmp_path / "switched-off.git")
    new.render({"web.yaml": config_map("web", "2")}, "Go on elsewhere")
    job = new.ci_checkout(tmp_path / "job", depth=depth)
    text = cli.run(*run, cwd=job.path).ok().text
    assert "foreign-folder" not in text
    assert state(remote)["dist/web.yaml"] == config_map("web", "2")
    assert str(new.origin.path) in state(remote)["dist/hydrator.metadata"].decode()


def test_folder__of_a_job_for_each_app_is_left_alone_by_the_others(checkout: Checkout, cli: Cli) -> None:
    three_apps(checkout)
    for value in ("1", "2"):
        for name in ("a", "b", "c"):
            checkout.write(f"apps/{name}/m.yaml", config_map(name, value))
        checkout.commit(f"Change all to {value}")
        for name in ("a", "b", "c"):
            directory = ("--working-directory", f"apps/{name}")
            cli.run(*RUN, *directory, "--path", f"prod/{name}", cwd=checkout.path).ok()
    held = state(checkout.origin)
    assert {name: held[f"prod/{name}/m.yaml"] for name in "abc"} == {name: config_map(name, "2") for name in "abc"}
