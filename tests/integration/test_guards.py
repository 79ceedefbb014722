"""Guards on content, end to end: removals need consent, readable secrets too, and their values show up nowhere."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.refusals import RUN, many, refused

if TYPE_CHECKING:
    from pathlib import Path

    from support.runner import Cli

VALUE = "correct-horse-battery-staple"
SECRET = f'apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: "{VALUE}"\n'.encode()
NAMESPACE = b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n"


def test_removals__of_more_than_half_need_consent(checkout: Checkout, cli: Cli) -> None:
    checkout.render(many(10))
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render(many(4))
    text = refused(cli, checkout).text
    assert "to allow: removal-budget" in text
    assert "6" in text
    cli.run(*RUN, "--allow", "removal-budget", cwd=checkout.path).ok()
    assert len(checkout.origin.files("manifests")) == 5


def test_removals__of_half_or_of_a_few_pass(checkout: Checkout, cli: Cli) -> None:
    checkout.render(many(10))
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render(many(5))
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render(many(1))
    cli.run(*RUN, cwd=checkout.path).ok()


def test_removals__consent_can_be_a_trailer_of_a_reviewed_commit(checkout: Checkout, cli: Cli) -> None:
    checkout.render({"namespace.yaml": NAMESPACE, **many(3)})
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render(many(3), "Remove the shop")
    assert "Namespace shop" in refused(cli, checkout).text
    checkout.render(
        many(3), "Remove the shop\n\nNobody buys here.\n\nAllow: precious-removal:Namespace/shop the shop has closed"
    )
    cli.run(*RUN, cwd=checkout.path).ok()
    assert "dist/namespace.yaml" not in checkout.origin.files("manifests")


def test_removals__of_everything_need_two_consents(checkout: Checkout, cli: Cli) -> None:
    checkout.render(many(10))
    cli.run(*RUN, cwd=checkout.path).ok()
    checkout.render({})
    text = refused(cli, checkout).text
    assert "to allow: nothing-rendered" in text
    assert "to allow: removal-budget" in text
    refused(cli, checkout, "--allow", "nothing-rendered")
    refused(cli, checkout, "--allow", "removal-budget")
    cli.run(*RUN, "--allow", "nothing-rendered,removal-budget", cwd=checkout.path).ok()


@pytest.mark.parametrize("form", ["stringData", "data"])
def test_secret__needs_consent_and_is_never_shown(checkout: Checkout, cli: Cli, tmp_path: Path, form: str) -> None:
    encoded = b64encode(VALUE.encode()).decode()
    first = (
        SECRET
        if form == "stringData"
        else SECRET.replace(b"stringData", b"data").replace(VALUE.encode(), encoded.encode())
    )
    checkout.render({"secret.yaml": first, "web.yaml": config_map("web")})
    text = refused(cli, checkout).text
    assert "to allow: plain-secret:Secret/db" in text
    patch = tmp_path / "changes.diff"
    allowed = (*RUN, "--allow", "plain-secret:Secret/db", "--diff-file", patch)
    text += cli.run(*allowed, cwd=checkout.path).ok().text
    text += patch.read_text()
    checkout.render(
        {"secret.yaml": first.replace(b"name: db", b"name: db\n  labels: {a: b}"), "web.yaml": config_map("web")}
    )
    text += (
        cli.run(*RUN, "--allow", "plain-secret:Secret/db", "--diff-file", patch, "--verbose", cwd=checkout.path)
        .ok()
        .text
    )
    text += patch.read_text()
    assert VALUE not in text
    assert encoded not in text
    assert checkout.origin.files("manifests")["dist/secret.yaml"].startswith(b"apiVersion")


def test_duplicate__of_environments_side_by_side_is_published_with_a_warning__r3(checkout: Checkout, cli: Cli) -> None:
    both = {"dev/shop.k8s.yaml": config_map("shop"), "prod/shop.k8s.yaml": config_map("shop", "2")}
    checkout.render(both)
    done = cli.run(*RUN, cwd=checkout.path).ok()
    assert "dev, prod must not be applied together" in done.text
    checkout.render(both | {"prod/more.k8s.yaml": config_map("shop", "3")})
    done = cli.run(*RUN, cwd=checkout.path).exits(4)
    assert "to allow: duplicate-resource:ConfigMap/shop" in done.text
    cli.run(*RUN, "--allow", "duplicate-resource:ConfigMap/shop", cwd=checkout.path).ok()


IN_CLEAR = {
    "s.json": b'{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"p": "%s"}}',
    "s.YAML": SECRET,
    "s.txt": SECRET,
    "prefix.yaml": SECRET.replace(VALUE.encode(), b"ENC[%s"),
    "kustomization.yaml": b"resources: [web.yaml]\nsecretGenerator:\n- name: db\n  literals: [password=%s]\n",
    "sub/kustomization.yaml": b"resources: []\npatches:\n- patch: |\n    " + SECRET.replace(b"\n", b"\n    "),
}


@pytest.mark.parametrize("name", IN_CLEAR)
def test_secret__in_clear_in_any_file_needs_consent__a11(checkout: Checkout, cli: Cli, name: str) -> None:
    data = IN_CLEAR[name].replace(b"%s", VALUE.encode())
    checkout.render({name: data, "web.yaml": config_map("web")})
    text = refused(cli, checkout).text
    assert "to allow: plain-secret:Secret/db" in text
    assert VALUE not in text
    done = cli.run(*RUN, "--allow", "plain-secret:Secret/db", cwd=checkout.path).ok()
    assert VALUE not in done.text
    assert checkout.origin.files("manifests")[f"dist/{name}"] == data


def test_secret__that_nobody_can_read_needs_none__a11_s59(checkout: Checkout, cli: Cli) -> None:
    sealed = (
        b"apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s}\nspec: {encryptedData: {p: AgB}}\n"
    )
    mac = b"ENC[AES256_GCM,data:iVx/hA==,iv:q0+hbDdD0qKb,tag:4hJ5aVb+Zy2Q,type:str]"
    checkout.render(
        {
            "sealed.yaml": sealed,
            "sops.yaml": SECRET.replace(f'"{VALUE}"'.encode(), mac) + b"sops: {mac: '" + mac + b"'}\n",
            "later.yaml": SECRET.replace(b"name: db", b"name: later").replace(VALUE.encode(), b"${DB_PASSWORD}"),
            "empty.yaml": SECRET.partition(b"stringData")[0].replace(b"db", b"e") + b"data: {}\n",
            "README.md": b"# Secrets\n\n```yaml\n" + SECRET + b"```\n",
        }
    )
    assert "plain-secret" not in cli.run(*RUN, cwd=checkout.path).ok().text
