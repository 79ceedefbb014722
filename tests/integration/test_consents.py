"""Consent, end to end: it counts where it was given, once, and a refused run still shows what it would have done."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.checkouts import RENDERED, Checkout, config_map
from support.refusals import RUN, many, refused

if TYPE_CHECKING:
    from pathlib import Path

    from support.runner import Cli, Result

TRAILER = "Allow: removal-budget they are retired"
NAMESPACE = b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n"
LACKING = "history has a gap here"


def published(checkout: Checkout, cli: Cli, count: int = 10) -> None:
    """Publish this many resources."""
    checkout.render(many(count))
    cli.run(*RUN, cwd=checkout.path).ok()


@pytest.mark.parametrize("depth", [0, 1], ids=["full", "shallow"])
class TestWhereItWasGiven:
    """The commits between the recorded and the rendered one count, on any checkout."""

    def run(self, checkout: Checkout, cli: Cli, folder: Path, depth: int) -> Result:
        return cli.run(*RUN, cwd=checkout.ci_checkout(folder, depth=depth).path)

    def test_trailer__of_a_squash_merge(self, checkout: Checkout, cli: Cli, tmp_path: Path, depth: int) -> None:
        published(checkout, cli)
        squashed = (
            f"Retire (#1)\n\n* Retire\n\nNo use.\n\n{TRAILER}\n\n* Tidy up\n\n---------\n\nCo-authored-by: B <b@x>"
        )
        checkout.render(many(2), squashed)
        self.run(checkout, cli, tmp_path / "job", depth).ok()

    def test_trailer__of_a_commit_before_the_last(
        self, checkout: Checkout, cli: Cli, tmp_path: Path, depth: int
    ) -> None:
        published(checkout, cli)
        checkout.render(many(2), f"Retire\n\n{TRAILER}")
        checkout.commit("Something else")
        done = self.run(checkout, cli, tmp_path / "job", depth).ok()
        assert "they are retired" in done.text
        assert LACKING not in done.text

    def test_trailer__of_a_merged_commit(self, checkout: Checkout, cli: Cli, tmp_path: Path, depth: int) -> None:
        published(checkout, cli)
        checkout.git("checkout", "--quiet", "-b", "side")
        checkout.render(many(2), f"Retire\n\n{TRAILER}")
        checkout.commit("Something else")
        checkout.git("checkout", "--quiet", "main")
        checkout.git("merge", "--quiet", "--no-ff", "--message", "Merge", "side")
        checkout.git("push", "--quiet", checkout.origin.path, "HEAD:main")
        self.run(checkout, cli, tmp_path / "job", depth).ok()

    def test_trailer__that_was_published_before_is_spent(
        self, checkout: Checkout, cli: Cli, tmp_path: Path, depth: int
    ) -> None:
        published(checkout, cli)
        checkout.render({**many(4), "more.yaml": config_map("more")}, f"Retire\n\n{TRAILER}")
        cli.run(*RUN, cwd=checkout.path).ok()
        checkout.render(many(20), "Come back")
        cli.run(*RUN, cwd=checkout.path).ok()
        checkout.render(many(2), "Lose most of it")
        assert "to allow: removal-budget" in self.run(checkout, cli, tmp_path / "job", depth).exits(4).text


def test_trailer__of_the_commit_that_is_published_is_spent(checkout: Checkout, cli: Cli) -> None:
    published(checkout, cli, 20)
    checkout.render(many(9), f"Retire\n\n{TRAILER}")
    cli.run(*RUN, cwd=checkout.path).ok()
    shutil.rmtree(checkout.path / RENDERED)
    checkout.write(f"{RENDERED}/0.yaml", config_map("c-0"))
    refused(cli, checkout)


def test_trailer__is_not_spent_by_a_run_that_was_refused(checkout: Checkout, cli: Cli) -> None:
    checkout.render({**many(10), "namespace.yaml": NAMESPACE})
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render(many(2), f"Retire\n\n{TRAILER}")
    assert "to allow: precious-removal:Namespace/shop" in refused(cli, checkout).text
    checkout.commit("Agree\n\nAllow: precious-removal:Namespace/shop it is empty")
    text = cli.run(*RUN, cwd=checkout.path).ok().text
    assert "they are retired" in text
    assert "it is empty" in text


def test_trailer__of_a_first_publish_is_that_of_the_newest_commit(checkout: Checkout, cli: Cli) -> None:
    secret = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  a: template\n"
    checkout.render({"db.yaml": secret}, "Add it\n\nAllow: plain-secret:Secret/db it is a template")
    checkout.commit("Something else")
    refused(cli, checkout)
    checkout.commit("Agree\n\nAllow: plain-secret:Secret/db it is a template")
    cli.run(*RUN, cwd=checkout.path).ok()


def test_trailer__of_history_that_is_cut_does_not_count(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    """The commit that was published last is gone, so nobody can say which of the others are new."""
    published(checkout, cli)
    lost = checkout.sha
    checkout.git("reset", "--quiet", "--hard", "HEAD~1")
    checkout.origin.git("update-ref", "refs/heads/main", checkout.sha)
    checkout.render(many(2), f"Retire\n\n{TRAILER}")
    checkout.commit("Something else")
    checkout.origin.git("reflog", "expire", "--expire=now", "--all")
    checkout.origin.git("gc", "--quiet", "--prune=now")
    job = checkout.ci_checkout(tmp_path / "job", depth=2)
    done = cli.run(*RUN, cwd=job.path).exits(4)
    assert LACKING in done.text
    assert lost not in checkout.origin.git("rev-list", "--all")


def test_consent__for_one_resource_leaves_the_others_refused(checkout: Checkout, cli: Cli) -> None:
    volumes = {
        f"{name}.yaml": f"apiVersion: v1\nkind: PersistentVolume\nmetadata:\n  name: {name}\n".encode()
        for name in ("one", "two")
    }
    checkout.render({**volumes, **many(3)})
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render(many(3))
    allowed = "precious-removal:PersistentVolume/one"
    text = refused(cli, checkout, "--allow", allowed).text
    assert "Allowed by the input `allow`" in text
    assert "to allow: precious-removal:PersistentVolume/two" in text
    cli.run(*RUN, "--allow", f"{allowed}, precious-removal:PersistentVolume/t*", cwd=checkout.path).ok()


def test_consent__that_nothing_needed_is_a_notice(checkout: Checkout, cli: Cli) -> None:
    checkout.render(many(3), f"No removal at all\n\n{TRAILER}")
    text = cli.run(*RUN, "--allow", "plain-secret, older-source", cwd=checkout.path).ok().text
    for needless in ("removal-budget` of commit", "plain-secret` in the input", "older-source` in the input"):
        assert f"Nothing needed the trailer `Allow: {needless}" in text or f"Nothing needed `{needless}" in text
    # What did not change is not looked at again, so nobody can say whether it needs the consent.
    assert "plain-secret" not in cli.run(*RUN, "--allow", "plain-secret", cwd=checkout.path).ok().text


def test_refuse__makes_a_warning_stop_the_run(checkout: Checkout, cli: Cli) -> None:
    checkout.render({**many(2), "empty.yaml": b""})
    text = refused(cli, checkout, "--refuse", "empty-file").text
    assert "to allow: empty-file" in text
    cli.run(*RUN, "--refuse", "empty-file", "--allow", "unused-consent", cwd=checkout.path).exits(4)
    cli.run(*RUN, cwd=checkout.path).ok()


def test_refuse__of_an_older_source_fails_in_place_of_a_skip(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    old = checkout.ci_checkout(tmp_path / "old")
    published(checkout, cli)
    assert "skip" in cli.run(*RUN, cwd=old.path).ok().text.lower()
    assert "to allow: older-source" in cli.run(*RUN, "--refuse", "older-source", cwd=old.path).exits(5).text


def test_refuse__of_an_unknown_input(checkout: Checkout, cli: Cli) -> None:
    text = cli.run(*RUN, "--refuse", "unknown-input", cwd=checkout.path, INPUT_BRANHC="x").exits(2).text
    assert "did you mean `branch`?" in text
    assert checkout.origin.tip("manifests") is None


@pytest.mark.parametrize("way", ["option", "flag", "INPUT_ALLOW_REMOVALS", "INPUT_ALLOW-REMOVALS"])
def test_replaced_input__is_refused_at_every_door(checkout: Checkout, cli: Cli, way: str) -> None:
    options = {"option": ("--allow-removals=true",), "flag": ("--allow-removals",)}.get(way, ())
    environ = {way: "true"} if way.startswith("INPUT") else {}
    text = cli.run(*RUN, *options, cwd=checkout.path, **environ).exits(2).text
    assert "write `allow: removal-budget, precious-removal`" in text
    assert checkout.origin.tip("manifests") is None


def test_refusal__shows_what_would_have_been_published(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    checkout.render({"namespace.yaml": NAMESPACE, "web.yaml": config_map("web", "1")})
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render({"web.yaml": config_map("web", "2")})
    patch = tmp_path / "changes.diff"
    text = refused(cli, checkout, "--diff-file", patch).text
    for part in ("- Namespace shop", "~ ConfigMap web", "0 added, 1 modified, 1 removed", '+  value: "2"'):
        assert part in text
    assert '+  value: "2"' in patch.read_text()


def test_refusal__of_a_file_that_can_not_be_read_takes_nothing_in_it_for_removed(checkout: Checkout, cli: Cli) -> None:
    checkout.render({"all.yaml": NAMESPACE + b"---\n" + config_map("web"), "other.yaml": config_map("other")})
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render({"all.yaml": NAMESPACE[:-1] + b": [\n---\n" + config_map("web"), "other.yaml": config_map("b")})
    text = refused(cli, checkout).text
    assert "to allow: invalid-yaml" in text
    assert "~ all.yaml" in text
    assert "+ ConfigMap b" in text
    assert "precious-removal" not in text
    assert "- Namespace" not in text
    # With consent, what can't be read is not there.
    assert "to allow: precious-removal:Namespace/shop" in refused(cli, checkout, "--allow", "invalid-yaml").text


def test_refusal__of_a_first_publish_of_nothing_deletes_nothing(checkout: Checkout, cli: Cli) -> None:
    checkout.render({})
    text = refused(cli, checkout).text
    assert "The app rendered no resource, so there is nothing to publish." in text
    assert "delete" not in text.split("to allow")[0]
    checkout.render(many(1))
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render({})
    assert "this would delete everything in dist" in refused(cli, checkout).text


def test_refusal__about_an_app_that_is_gone_names_its_folder(cli: Cli, checkout: Checkout) -> None:
    for name in ("a", "b"):
        checkout.write(f"apps/{name}/cdk8s.yaml", b"app: mkdir -p $CDK8S_OUTDIR && cp *.yaml $CDK8S_OUTDIR\n")
        checkout.write(f"apps/{name}/x.yaml", NAMESPACE.replace(b"shop", name.encode()))
    app = 'mkdir -p "$CDK8S_OUTDIR" && cp x.yaml "$CDK8S_OUTDIR"'
    options = ("--working-directory", "apps/*", "--path", "prod/{app}", "--app", app)
    checkout.commit("Two apps")
    cli.run(*RUN, *options, cwd=checkout.path).ok()
    shutil.rmtree(checkout.path / "apps/b")
    checkout.commit("One app")
    text = refused(cli, checkout, *options).text
    assert "(prod/b/x.yaml)" in text
    assert "to allow: precious-removal:Namespace/b" in text


def test_foreign_branch__that_is_allowed_is_said_to_be_replaced(checkout: Checkout, cli: Cli) -> None:
    checkout.origin.commit("manifests", {"README.md": b"by hand"})
    assert "to allow: foreign-branch" in cli.run(*RUN, cwd=checkout.path).exits(5).text
    text = cli.run(*RUN, "--allow", "foreign-branch", cwd=checkout.path).ok().text
    assert "content of somebody else is replaced" in text
    assert "Allowed by the input `allow`" in text
    assert "nothing was published here before" not in text
