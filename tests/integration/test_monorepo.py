"""Several apps of one checkout on one branch: one commit, and folders that follow their apps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.git_http import TOKEN
from support.remotes import Remote, git

if TYPE_CHECKING:
    from pathlib import Path

    from support.git_http import GitHttpServer
    from support.runner import Cli

RUN = ("run", "--install", "none", "--working-directory", "apps/*", "--path", "clusters/prod/{app}")


def folders(remote: Remote) -> set[str]:
    """Return the folders on the branch that hold manifests."""
    return {name.rpartition("/")[0] for name in remote.files("manifests") if name.endswith(".yaml")}


def add_app(checkout: Checkout, name: str, resources: int = 1) -> None:
    checkout.write(f"apps/{name}/cdk8s.yaml", (checkout.path / "cdk8s.yaml").read_bytes())
    for number in range(resources):
        checkout.write(f"apps/{name}/rendered/{number}.yaml", config_map(f"{name}-{number}"))


@pytest.fixture
def monorepo(checkout: Checkout) -> Checkout:
    for name in ("shop", "blog", "mail"):
        add_app(checkout, name)
    checkout.commit("Add apps")
    return checkout


def test_monorepo__all_apps_are_published_in_one_commit(monorepo: Checkout, cli: Cli) -> None:
    cli.run(*RUN, cwd=monorepo.path).ok()
    assert folders(monorepo.origin) == {f"clusters/prod/{name}" for name in ("shop", "blog", "mail")}
    assert len(monorepo.origin.log("manifests")) == 1


def test_monorepo__the_folder_of_an_app_that_is_gone_goes_too(monorepo: Checkout, cli: Cli) -> None:
    cli.run(*RUN, cwd=monorepo.path).ok()
    monorepo.git("rm", "-rq", "apps/mail")
    monorepo.commit("Give up mail")
    cli.run(*RUN, cwd=monorepo.path).ok()
    files = monorepo.origin.files("manifests")
    assert not [name for name in files if "mail" in name]
    assert folders(monorepo.origin) == {"clusters/prod/shop", "clusters/prod/blog"}
    cli.run(*RUN, cwd=monorepo.path).ok()
    assert monorepo.origin.files("manifests") == files


def test_monorepo__removing_an_app_needs_consent_above_the_budget(monorepo: Checkout, cli: Cli) -> None:
    add_app(monorepo, "mail", resources=5)
    monorepo.commit("Grow mail")
    cli.run(*RUN, cwd=monorepo.path).ok()
    before = monorepo.origin.tip("manifests")
    monorepo.git("rm", "-rq", "apps/mail")
    monorepo.commit("Give up mail")
    cli.run(*RUN, cwd=monorepo.path).exits(4)
    assert monorepo.origin.tip("manifests") == before
    cli.run(*RUN, "--allow", "removal-budget, precious-removal", cwd=monorepo.path).ok()
    assert "clusters/prod/mail" not in folders(monorepo.origin)


def test_monorepo__folders_of_another_environment_stay(monorepo: Checkout, cli: Cli) -> None:
    released = monorepo.sha
    add_app(monorepo, "news")
    monorepo.commit("Add news, which is not released yet")
    cli.run(*RUN[:-1], "clusters/staging/{app}", cwd=monorepo.path).ok()
    staging = folders(monorepo.origin)
    monorepo.git("checkout", "--quiet", "-b", "release", released)
    assert "skipped" not in cli.run(*RUN, cwd=monorepo.path).ok().stdout.lower()
    assert folders(monorepo.origin) == staging | {f"clusters/prod/{name}" for name in ("shop", "blog", "mail")}


def test_monorepo__shallow_checkout_compares_all_folders(monorepo: Checkout, cli: Cli, tmp_path: Path) -> None:
    cli.run(*RUN, cwd=monorepo.ci_checkout(tmp_path / "first").path).ok()
    add_app(monorepo, "shop", resources=2)
    monorepo.commit("Grow shop")
    cli.run(*RUN, cwd=monorepo.ci_checkout(tmp_path / "second").path).ok()
    assert "clusters/prod/shop/1.yaml" in monorepo.origin.files("manifests")


def test_monorepo__folders_of_others_stay(monorepo: Checkout, cli: Cli, tmp_path: Path) -> None:
    other = Checkout.create(tmp_path / "other", {})
    add_app(other, "news")
    other.commit("Add news")
    target = ("--repository", str(monorepo.origin.path))
    cli.run(*RUN, *target, cwd=other.path).ok()
    # Named without a wildcard: nothing says that it went with the apps that the wildcard finds.
    alone = ("run", "--install", "none", "--working-directory", "apps/mail", "--path", "clusters/prod/mail")
    cli.run(*alone, cwd=monorepo.path).ok()
    monorepo.git("mv", "apps/mail", "mail")
    monorepo.commit("Move mail out of apps")
    moved = ("run", "--install", "none", "--working-directory", "mail", "--path", "clusters/prod/mail")
    cli.run(*moved, cwd=monorepo.path).ok()
    cli.run(*RUN, cwd=monorepo.path).ok()
    assert folders(monorepo.origin) == {f"clusters/prod/{name}" for name in ("news", "mail", "shop", "blog")}


@pytest.mark.parametrize("command", ["run", "generate"])
def test_monorepo__findings_say_in_which_app(monorepo: Checkout, cli: Cli, command: str) -> None:
    monorepo.write("apps/mail/rendered/0.yaml", b"kind: [\n")
    monorepo.write("apps/blog/rendered/0.yaml", b"")
    result = cli.run(command, *RUN[1:], cwd=monorepo.path).exits(4)
    assert "clusters/prod/mail/0.yaml" in result.text or command == "generate"
    assert "clusters/prod/blog" in result.text


def test_monorepo__two_apps_for_one_folder_are_refused(monorepo: Checkout, cli: Cli) -> None:
    result = cli.run("run", "--install", "none", "--working-directory", "apps/*", cwd=monorepo.path)
    result.exits(2)
    assert monorepo.origin.tip("manifests") is None


def test_monorepo__asks_the_server_no_more_often_for_many_apps(
    monorepo: Checkout, cli: Cli, http_server: GitHttpServer
) -> None:
    monorepo.git("remote", "set-url", "origin", http_server.url(monorepo.origin.path))
    asked = []
    for folders in ("apps/shop", "apps/*"):
        arguments = ("run", "--install", "none", "--working-directory", folders, "--path", "clusters/prod/{app}")
        cli.run(*arguments, cwd=monorepo.path, INPUT_TOKEN=TOKEN).ok()
        monorepo.write("notes", folders.encode())
        monorepo.commit("Change no app")
        before = len(http_server.requests())
        cli.run(*arguments, cwd=monorepo.path, INPUT_TOKEN=TOKEN).ok()
        asked.append(len(http_server.requests()) - before)
    assert asked[0] == asked[1]


def test_app__in_the_root_is_called_after_its_repository__k46(cli: Cli, tmp_path: Path) -> None:
    checkout = Checkout.create(tmp_path / "first", {"web.yaml": config_map("web")})
    origin = checkout.origin.path.rename(checkout.origin.path.with_name("shop.git"))
    run = ("run", "--install", "none", "--path", "clusters/{app}")
    for name in ("workspace", "shop-copy2"):
        copy = tmp_path / name
        git("clone", "--quiet", origin, copy, cwd=tmp_path)
        cli.run(*run, cwd=copy).ok()
        assert set(Remote(origin).files("manifests")) == {
            "clusters/shop/web.yaml",
            "clusters/shop/hydrator.metadata",
        }


def test_app__in_the_root_of_a_checkout_without_a_remote_is_called_after_its_folder(
    checkout: Checkout, remote: Remote, cli: Cli
) -> None:
    checkout.git("remote", "remove", "origin")
    cli.run("--install", "none", "--path", "{app}", "--repository", str(remote.path), cwd=checkout.path).ok()
    assert f"{checkout.path.name}/web.yaml" in remote.files("manifests")


def shared(checkout: Checkout, *apps: str) -> None:
    for app in apps:
        checkout.write(f"shared/{app}/cdk8s.yaml", b"app: cp *.yml $CDK8S_OUTDIR\n")
        checkout.write(f"shared/{app}/{app}.yml", config_map(app))
        checkout.write(f"shared/{app}/ns.yml", b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: web\n")
    checkout.commit("Apps that share a Namespace")


SHARED = ("run", "--install", "none", "--working-directory", "shared/*", "--path", "clusters/production/{app}")


def test_monorepo__object_that_two_apps_render_is_a_warning__a5(checkout: Checkout, cli: Cli) -> None:
    shared(checkout, "a", "b")
    done = cli.run(*SHARED, cwd=checkout.path).ok()
    assert "warning duplicate-resource: Several apps render the same resource: Namespace web (a, b)." in done.text
    assert "`clusters/production`" in done.text
    checkout.write("shared/a/a.yml", config_map("a", "2"))
    checkout.commit("Nothing new")
    assert "duplicate-resource" not in cli.run(*SHARED, cwd=checkout.path).ok().text
    cli.run(*SHARED, "--refuse", "duplicate-resource", "--mode", "diff", cwd=checkout.path).ok()


def test_monorepo__object_that_another_app_renders_already_is_a_warning__b12(checkout: Checkout, cli: Cli) -> None:
    shared(checkout, "a", "b", "c")
    (checkout.path / "shared/b/ns.yml").unlink()
    (checkout.path / "shared/c/ns.yml").unlink()
    checkout.commit("One of them has it")
    assert "duplicate-resource" not in cli.run(*SHARED, cwd=checkout.path).ok().text  # the neighbour
    shared(checkout, "c")
    refused = cli.run(*SHARED, "--refuse", "duplicate-resource", cwd=checkout.path).exits(4)
    assert "to allow: duplicate-resource" in refused.text
    assert "Namespace web (a, c)" in cli.run(*SHARED, cwd=checkout.path).ok().text
