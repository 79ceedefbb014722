from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.git.urls import (
    absolute,
    is_other_repository,
    is_other_server,
    is_short,
    normal,
    over_ssh,
    repository_name,
    sibling,
    split_credential,
)

if TYPE_CHECKING:
    from pathlib import Path


SAME = (
    "https://git.example/team/shop",
    "https://git.example/team/shop.git",
    "https://GIT.example/team/shop/",
    "https://ada:secret@git.example/team/shop.git",
    "ssh://git@git.example/team/shop.git",
    "ssh://git@git.example:2222/team/shop",
    "git@git.example:team/shop.git",
    "https://git.example:443/team/shop",
    "http://git.example:80/team/shop.git",
)


@pytest.mark.parametrize("url", SAME)
def test_normal__one_repository_is_one_text(url: str) -> None:
    assert normal(url) == "git.example/team/shop"
    assert not is_other_repository(url, SAME[0])
    assert is_other_repository(url, "https://git.example/team/other")
    assert not is_other_repository(url, "https://elsewhere.example/team/other")


@pytest.mark.parametrize(
    ("url", "is_other"),
    [
        ("ssh://git@git.example:2222/a/b", False),
        ("https://git.example:8443/a/b", False),
        ("/srv/git/a.git", False),
        ("https://elsewhere.example/team/shop", True),
        ("git@elsewhere.example:team/shop", True),
    ],
)
def test_is_other_server__compares_hosts(url: str, *, is_other: bool) -> None:
    assert is_other_server(url, SAME[0]) is is_other
    assert is_other_server(SAME[0], url) is is_other


@pytest.mark.parametrize("url", ["https://git.example:8443/team/shop", "/srv/git/shop.git", "https://git.example/team"])
def test_normal__other_repositories_are_other_texts(url: str) -> None:
    assert normal(url) != "git.example/team/shop"


def test_normal__local_path_is_the_same_by_any_way(tmp_path: Path) -> None:
    (tmp_path / "shop.git").mkdir()
    (tmp_path / "link.git").symlink_to("shop.git")
    ways = ("shop.git", "shop.git/", "x/../shop.git", "link.git")
    texts = {normal(f"{scheme}{tmp_path}/{way}") for scheme in ("", "file://") for way in ways}
    assert texts == {f"{tmp_path.resolve()}/shop"}


def test_split_credential__leaves_a_clean_url() -> None:
    assert split_credential("https://ada:p%40ss@git.example/x") == ("https://git.example/x", "ada", "p@ss")
    assert split_credential("https://git.example/x@y") == ("https://git.example/x@y", "", "")
    assert split_credential("git@git.example:x") == ("git@git.example:x", "", "")


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("../shop.git", "/home/ada/shop.git"),
        ("/srv/shop.git", "/srv/shop.git"),
        ("git@git.example:shop", "git@git.example:shop"),
        ("https://git.example/shop", "https://git.example/shop"),
    ],
)
def test_absolute__only_a_relative_path_changes(url: str, resolved: str) -> None:
    assert absolute(url, "/home/ada/checkout") == resolved


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://git.example/team/shop", "https://git.example/a/b.git"),
        ("ssh://git@git.example:22/team/shop", "ssh://git@git.example:22/a/b.git"),
        ("git@git.example:team/shop.git", "git@git.example:a/b.git"),
        ("/srv/git/shop.git", ""),
    ],
)
def test_sibling__stays_on_the_server(url: str, found: str) -> None:
    assert sibling(url, "a/b") == found


@pytest.mark.parametrize(("text", "expected"), [("a/b", True), ("a/b/c", True), ("./a/b", False), ("a", False)])
def test_is_short__owner_and_name(text: str, expected: bool) -> None:
    assert is_short(text) is expected


def test_over_ssh__keeps_what_is_no_web_address() -> None:
    assert over_ssh("https://git.example:8443/a/b.git") == "ssh://git@git.example/a/b.git"
    assert over_ssh("git@git.example:a/b.git") == "git@git.example:a/b.git"


def test_normal__case_of_a_path_counts_only_where_the_server_tells_it_apart() -> None:
    assert normal("https://github.com/Acme/Shop") == normal("git@github.com:acme/shop.git")
    assert normal("https://git.example/Acme/Shop") != normal("https://git.example/acme/shop")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/Acme/Shop.git", "Shop"),
        ("https://github.com/acme/shop/", "shop"),
        ("git@git.example:shop.git", "shop"),
        ("ssh://git@git.example:22/team/shop", "shop"),
        ("/srv/git/shop.git/", "shop"),
        ("/home/ada/shop/.git", "shop"),
        ("..", ""),
        ("", ""),
    ],
)
def test_repository_name__is_what_a_clone_is_called(url: str, name: str) -> None:
    assert repository_name(url) == name


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://github.com/Acme/Shop.git", "git@GitHub.com:acme/shop"),
        ("https://github.com/acme/shop", "ssh://git@ssh.github.com:443/acme/shop.git"),
        ("https://www.github.com/acme/shop", "https://github.com/acme/shop"),
        ("https://gitlab.com/Acme/Group/Shop", "ssh://git@altssh.gitlab.com:443/acme/group/shop.git"),
        ("https://bitbucket.org/acme/shop", "ssh://git@altssh.bitbucket.org:443/acme/shop.git"),
        ("git@git.example:team/shop", "git.example:team/shop.git"),
        ("git://git.example/team/shop", "https://git.example/team/shop"),
        ("git+ssh://git@git.example/team/shop", "ssh://git.example/team/shop/"),
        ("ssh://git@git.example:22/team/shop", "ssh://git.example/team/shop"),
        ("https://git.example//team//shop", "https://git.example/team/shop"),
        ("https://git.example/team/shop.git/", "https://git.example/team/shop"),
        ("https://git.example/my%20team/shop", "https://git.example/my team/shop"),
        ("ssh://git@[2001:db8::1]:2222/team/shop", "https://[2001:DB8::1]/team/shop.git"),
        ("/srv/git/shop/.git", "file:///srv/git/shop"),
        ("/srv/git//shop.git", "file://localhost/srv/git/shop"),
    ],
)
def test_normal__two_addresses_of_one_repository(url: str, other: str) -> None:
    assert normal(url) == normal(other)


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://github.com/acme/shop", "https://github.com/acme/shop2"),
        ("https://github.com/acme/shop", "https://gitlab.com/acme/shop"),
        ("https://github.com/acme/shop", "https://github.com.example/acme/shop"),
        ("https://git.example/team/shop", "https://git.example/team/shop/wiki"),
        ("https://git.example/shop", "https://git.example/team/shop"),
        ("https://git.example:8443/team/shop", "https://git.example:9443/team/shop"),
        ("https://git.example/Team/shop", "https://git.example/team/shop"),
        ("/srv/git/Shop", "/srv/git/shop"),
        ("/srv/git/shop", "https://srv/git/shop"),
    ],
)
def test_normal__addresses_of_two_repositories(url: str, other: str) -> None:
    assert normal(url) != normal(other)
