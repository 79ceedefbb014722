"""How the text of one input becomes a value.

Each function takes the text, trimmed, and returns the value; a ValueError says what is wrong with it, as the end of the
sentence "<name>: <value> …".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cdk8s_publish.git.names import NAME_MAX_BYTES, is_git_name, is_ref_name
from cdk8s_publish.git.obeyed import obeyed

TIMEOUT_MAX_S = 24 * 3600


class History(NamedTuple):
    """`replace`: one root commit. `keep`: append. `keep` with a `limit`: the last `limit` publishes stay."""

    keep: bool = False
    limit: int | None = None


def nothing_of_it(_: str) -> str:
    """Quote a secret."""
    return "the value given"


def without_userinfo(text: str) -> str:
    """Quote an address; whatever stands before its last @ may hold a password."""
    return repr(re.sub(r"(^|//).*@", r"\1***@", text))


def duration(text: str) -> int:
    """Read a duration; return seconds."""
    match = re.fullmatch(r"(\d{1,6})\s*([smh]?)", text)
    seconds = int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0
    if not 0 < seconds <= TIMEOUT_MAX_S:
        raise ValueError("is not a duration such as `90s`, `10m` or `1h` (at most 24h)")
    return seconds


def folders(text: str) -> tuple[str, ...]:
    """Take folders of the checkout, one on a line or separated by commas."""
    named = tuple(part.strip() for part in re.split(r"[\n,]", text) if part.strip())
    if not named:
        raise ValueError("names no folder")
    for one in named:
        if one.startswith("/") or ".." in one.split("/") or "\0" in one:
            raise ValueError("is not a folder inside the checkout, relative to its root")
    return named


def is_pattern(folder: str) -> bool:
    """Whether a folder of `working-directory` has a wildcard in it."""
    return bool(set(folder) & set("*?["))


def variable_names(text: str) -> tuple[str, ...]:
    """Take names of environment variables, separated by commas, spaces or lines."""
    names = tuple(sorted(set(re.split(r"[\s,]+", text.strip())) - {""}))
    for name in names:
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise ValueError("is not a list of names of environment variables")
    return names


def branch(text: str) -> str:
    """Take the name of a branch."""
    if text.startswith("refs/"):
        raise ValueError("is a ref; give the name of the branch alone, for example `manifests`")
    if not is_ref_name(text):
        raise ValueError("is not a branch name that git accepts, for example `manifests` or `env/production`")
    return text


def folder(text: str) -> str:
    """Take a folder of the branch; return it without outer slashes, the root as an empty string."""
    path = "/".join(part for part in text.split("/") if part not in {"", "."})
    if fault := folder_fault(path):
        raise ValueError(fault)
    if set(re.sub(r"\{(app|directory)\}", "", text)) & set("{}"):
        raise ValueError("contains braces; the placeholders are `{app}` and `{directory}`")
    return path


def folder_fault(path: str) -> str:
    """Return why nothing can be published to a folder of the branch, as the end of a sentence; empty where it can."""
    parts = path.split("/")
    if ".." in parts or re.search(r"[\x00-\x1f\x7f\\]", path):
        return "is not a folder on the branch, for example `dist` or `clusters/production`"
    if any(map(is_git_name, parts)):
        return "contains a name that git keeps for itself"
    if any(len(part.encode(errors="surrogateescape")) > NAME_MAX_BYTES for part in parts):
        return f"contains a name of more than {NAME_MAX_BYTES} bytes, which can't be checked out"
    found = obeyed(f"{path}/")
    if found and found.rule == "workflow-file":
        return "is a folder in which CI products or forges look for what they run; manifests do not belong there"
    return ""


def repository(text: str) -> str:
    """Take `owner/name`, a URL (https, http, ssh, git, file), `user@host:path`, or a local path."""
    if not text:
        return text
    scheme, separator, _ = text.partition("://")
    has_space = " " in text and (separator or not text.startswith(("/", ".")))
    if text.startswith("-") or re.search(r"[\x00-\x1f\x7f]", text) or has_space or "::" in text.partition("/")[0]:
        raise ValueError("is neither `owner/name` nor a URL or path that git can push to")
    if separator and scheme not in {"https", "http", "ssh", "file"}:
        raise ValueError("has a scheme that git can't push to; use https:// or ssh://")
    if re.match(r"\w+://[^/@]*:(?!\d+/).*@", text):
        raise ValueError("contains a password; use the input `token` for it")
    return text


def history(text: str) -> History:
    """Read what the branch remembers."""
    match = re.fullmatch(r"(replace)|keep(?:\s*[:\s]\s*(\d{1,5}))?", text)
    if not match or (match[2] is not None and int(match[2]) < 1):
        raise ValueError("is not `replace`, `keep` or `keep: <number>` (at least 1)")
    return History(keep=not match[1], limit=int(match[2]) if match[2] else None)


def author(text: str) -> str:
    """Take `Name <email>`."""
    # A name of nothing but what git strips from its ends (ident.c, `crud`) is refused by git.
    if not re.fullmatch(r"""[^<>\n\0]*[^<>\s.,:;"'\\][^<>\n\0]* <[^<>\s\0]+>""", text):
        raise ValueError("is not of the form `Name <email>`")
    return text
