"""Which repository is published to, which one holds the sources, and who we are to each of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import InputError
from cdk8s_publish.git import urls
from cdk8s_publish.model import Remote, Secret
from cdk8s_publish.publish.branch.signing import armored

if TYPE_CHECKING:
    from cdk8s_publish.ci.provider import CIContext
    from cdk8s_publish.inputs.declared import TargetInputs


class Remotes(NamedTuple):
    """The repository of the sources and the one that is published to; one and the same value where they are one."""

    source: Remote
    target: Remote

    @property
    def is_same_repository(self) -> bool:
        """Whether the sources and the target branch are in one repository."""
        return self.source is self.target


def find_remotes(inputs: TargetInputs, context: CIContext, origin_url: str, base: Path) -> Remotes:
    """Return both remotes; `origin_url` is what the checkout pushes to, and a local path is relative to `base`.

    Raises:
        InputError: there is no such repository, or a key that can't be used.

    """
    origin, origin_user, origin_secret = urls.split_credential(origin_url)
    source_url = _source_url(origin, context)
    target_url = _target_url(inputs, context, source_url, base)
    is_same = urls.normal(target_url) == urls.normal(source_url)
    # A token that publishes to another server is not for the server of the sources. A deploy key opens one repository:
    # beside one for another repository, the token reads the history of this one.
    is_for_source = bool(inputs.ssh_key) or not urls.is_other_server(target_url, source_url)
    own = inputs.token if is_for_source else Secret("")
    has_nameless_secret = bool(origin_secret) and not origin_user
    username = context.username if own or has_nameless_secret else origin_user
    token = own or Secret(origin_secret)
    if own and not is_same:
        source = Remote(source_url, username, token)
    else:
        source = _remote(inputs, source_url, username, token)
    if is_same:
        return Remotes(source, source)
    target_user = context.username if inputs.token else urls.split_credential(inputs.repository)[1]
    return Remotes(source, _remote(inputs, target_url, target_user, inputs.token))


def _source_url(origin: str, context: CIContext) -> str:
    # A workflow may have checked out another repository than its own.
    if not context.remote_url or urls.is_other_repository(origin, context.remote_url):
        return origin
    return context.remote_url


def _target_url(inputs: TargetInputs, context: CIContext, source_url: str, base: Path) -> str:
    url, _, _ = urls.split_credential(inputs.repository)
    if not url and not source_url:
        raise InputError(
            "The checkout has no remote `origin`, so there is nothing to publish to.",
            hint="Name the repository with the input `repository`, or add a remote: `git remote add origin <url>`.",
        )
    if not url:
        return source_url
    is_local = not context.server_url and (base / url).exists()
    if is_local or not urls.is_short(url):
        return urls.absolute(url, str(base))
    sibling = f"{context.server_url}/{url}.git" if context.server_url else urls.sibling(source_url, url)
    if not sibling:
        raise InputError(
            f"Input `repository`: {url!r} names a repository on a server, but `origin` is not on one.",
            hint="Give a URL or the path of a repository.",
        )
    return sibling


def _remote(inputs: TargetInputs, url: str, username: str, token: Secret) -> Remote:
    key = armored(inputs.ssh_key, "ssh-key")
    if not key:
        return Remote(url, username, token)
    known = Path(__file__).with_name("known_hosts").read_text(encoding="utf-8")
    return Remote(urls.over_ssh(url), ssh_key=key, ssh_known_hosts=f"{known}{inputs.ssh_known_hosts}\n")
