from __future__ import annotations

import pytest

from cdk8s_publish.errors import InputError, SynthError
from cdk8s_publish.flux import charts
from cdk8s_publish.flux import options as flux

URL = "https://github.com/acme/web-shop.git"


def refusal(**raw: str) -> str:
    options = {"url": URL} | {name.replace("_", "-"): value for name, value in raw.items()}
    with pytest.raises(InputError) as caught:
        flux.parse(options)
    return f"{caught.value}\n{caught.value.evidence}"


def test_options__table_and_values_have_the_same_fields() -> None:
    assert [option.field for option in flux.FLUX_OPTIONS] == list(flux.FluxOptions._fields)


def test_defaults__match_what_run_publishes() -> None:
    options = flux.parse({"url": URL})
    assert (options.branch, options.path) == ("manifests", "dist")
    assert (options.name, options.namespace) == ("web-shop", "flux-system")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (URL, URL),
        ("http://git.internal:3000/acme/shop", "http://git.internal:3000/acme/shop"),
        ("ssh://git@github.com:2222/acme/shop.git", "ssh://git@github.com:2222/acme/shop.git"),
        ("git@github.com:acme/shop.git", "ssh://git@github.com/acme/shop.git"),
        ("git@host:/srv/git/shop.git", "ssh://git@host/srv/git/shop.git"),
        ("host.example:shop.git", "ssh://host.example/shop.git"),
        ("https://gitlab-ci-token:s3cr3t@gitlab.com/acme/shop.git", "https://gitlab.com/acme/shop.git"),
        ("https://user:p@ss@host/acme/shop", "https://host/acme/shop"),
        ("ssh://git:s3cr3t@host/acme/shop", "ssh://git@host/acme/shop"),
    ],
)
def test_url__becomes_one_that_flux_accepts(given: str, shown: str) -> None:
    assert flux.parse({"url": given}).url == shown


@pytest.mark.parametrize(
    "given", ["/srv/git/shop.git", "../shop", "file:///srv/shop", "C:\\shop", "C:/shop", "shop", "acme/shop"]
)
def test_url__of_this_machine_is_refused(given: str) -> None:
    assert "no cluster can reach" in refusal(url=given)


@pytest.mark.parametrize("given", ["git://host/shop", "https://", "https://host", "https://host/", "ext::sh/x/y"])
def test_url__of_another_kind_is_refused(given: str) -> None:
    assert refusal(url=given).startswith("Option `url`: ")


def test_url__missing_says_what_was_looked_for() -> None:
    assert "no checkout with a remote" in refusal(url="")


@pytest.mark.parametrize("given", ["ftp://me:s3cr3t@host/shop", "HTTPS://me:s3cr3t@host/shop", "s3cr3t@/x y"])
def test_url__refused_without_showing_its_credential(given: str) -> None:
    assert "s3cr3t" not in refusal(url=given)


@pytest.mark.parametrize("text", ["30s", "10m", "1h30m", "1.5h", "500ms"])
def test_duration__is_what_the_schema_accepts(text: str) -> None:
    assert flux.parse({"url": URL, "interval": text}).interval == text


@pytest.mark.parametrize("text", ["10", "1d", "-1m", "0s", "1 m", "m", "1m "[:2] + "x"])
def test_duration__else_is_refused(text: str) -> None:
    assert refusal(interval=text).startswith("Option `interval`: ")


def test_name__comes_from_the_repository() -> None:
    assert flux.parse({"url": "git@host:Acme/My.App_v2.git"}).name == "my-app-v2"
    assert flux.parse({"url": f"https://host/{'x' * 62}-yz"}).name == "x" * 62
    assert flux.parse({"url": "https://host/_"}).name == "manifests"


@pytest.mark.parametrize("text", ["Shop", "-shop", "shop-", "a.b", "x" * 64])
def test_name__is_a_label(text: str) -> None:
    assert refusal(name=text).startswith("Option `name`: ")
    assert refusal(namespace=text).startswith("Option `namespace`: ")


def test_refusal__names_every_problem_at_once() -> None:
    text = refusal(url="/srv/x", interval="1d", branch="a..b", path="../x", secret="A")
    assert text.startswith("5 options")
    for name in ("url", "interval", "branch", "path", "secret"):
        assert f"\nOption `{name}`: " in text


def test_path__root_is_written_as_flux_writes_it() -> None:
    assert flux.parse({"url": URL, "path": "."}).path == ""


def test_render__without_node_says_so(tmp_path: object) -> None:
    with pytest.raises(SynthError, match=r"Node\.js was not found") as caught:
        charts.render(flux.parse({"url": URL}), node=f"{tmp_path}/node")
    assert "JSII_NODE" in caught.value.hint
