"""Addresses of repositories, in every form that git takes."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote


def split_credential(url: str) -> tuple[str, str, str]:
    """Take a credential out of an http(s) URL: the clean URL, the user name, the secret (empty when there is none)."""
    match = re.fullmatch(r"(https?://)([^/@]*)@(.*)", url, re.DOTALL)
    if not match:
        return url, "", ""
    username, _, secret = match[2].partition(":")
    return match[1] + match[3], unquote(username), unquote(secret)


def absolute(url: str, root: str) -> str:
    """Resolve a local path against the checkout's root; every other form of a URL is returned as it is."""
    is_local = "://" not in url and not re.match(r"[^/]+:", url)
    return os.path.normpath(f"{root}/{url}") if is_local and not url.startswith("/") else url


def is_short(url: str) -> bool:
    """Whether it can be read as `owner/name` (or `group/subgroup/name`): no scheme, no host, no path's beginning."""
    return bool(re.fullmatch(r"[\w.-]+(/[\w.-]+)+", url)) and not url.startswith(".")


def sibling(url: str, name: str) -> str:
    """Return the URL of `owner/name` on the server of another repository; empty when that one is on no server."""
    if match := re.match(r"(https?|ssh)://[^/]+", url):
        return f"{match[0]}/{name}.git"
    if match := re.match(r"[^/:]+@[^/:]+:", url):
        return f"{match[0]}{name}.git"
    return ""


def repository_name(url: str) -> str:
    """Return the last part of an address, as the server writes it: what a clone of it is called."""
    name = re.split(r"[/:]", url.rstrip("/").removesuffix(".git").rstrip("/"))[-1]
    return "" if name in {".", ".."} else name


def over_ssh(url: str) -> str:
    """Return the SSH address of a repository that is known by its http(s) URL."""
    match = re.fullmatch(r"https?://([^/:]+)(?::\d+)?/(.*)", url)
    return f"ssh://git@{match[1]}/{match[2]}" if match else url


def normal(url: str) -> str:
    """Return a form in which equal repositories are equal texts, over whatever protocol they are reached.

    Without scheme, user, `.git`, needless slashes and the scheme's own port; the host in lower case and by its main
    name, with another port only over http(s). The path too is in lower case where the server takes both for the same. A
    local path without links.
    """
    path = url.removeprefix("file://").removeprefix("localhost" if url.startswith("file://localhost/") else "")
    if path.startswith("/"):
        return os.path.realpath(path).removesuffix(".git").rstrip("/")
    text = url.rstrip("/").removesuffix(".git")
    found = next((match for form in _FORMS if (match := re.fullmatch(form, text))), None)
    if not found:
        return text
    host = re.sub(r":(443|80)$", "", found[1].lower())
    host = _OTHER_HOSTS.get(host, host)
    name = re.sub(r"/+", "/", unquote(found[2]).strip("/"))
    return f"{host}/{name.lower() if host in _CASELESS_HOSTS else name}"


_USER = r"(?:[^/@]*@)?"
_HOST = r"(?:\[[^/\]]+\]|[^/:@\[]+)"
_FORMS = (
    rf"https?://{_USER}({_HOST}(?::\d+)?)/(.*)",
    rf"(?:(?:git\+)?ssh|ssh\+git|git)://{_USER}({_HOST})(?::\d+)?/(.*)",
    rf"{_USER}({_HOST}):(?!//)/?(.*)",
)
_CASELESS_HOSTS = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gitea.com"})
"""Servers that are known to take `Owner/Name` for `owner/name`. Of others nobody knows: git's own tells them apart."""

_OTHER_HOSTS = {
    "www.github.com": "github.com",
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}
"""Names under which servers are reached as well, mostly where a firewall lets port 443 pass only."""


def is_other_server(url: str, other: str) -> bool:
    """Whether both are on a server, and not on the same; ports don't count."""
    host, other_host = (re.sub(r":\d+$", "", normal(one).partition("/")[0]) for one in (url, other))
    return bool(host and other_host) and host != other_host


def is_other_repository(url: str, other: str) -> bool:
    """Whether both are on the same server and are not the same repository."""
    host, _, name = normal(url).partition("/")
    other_host, _, other_name = normal(other).partition("/")
    return bool(host) and host == other_host and name != other_name
