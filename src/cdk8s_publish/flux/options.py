"""The options of `cdk8s-publish flux`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.inputs import values
from cdk8s_publish.inputs.declared import SPECS
from cdk8s_publish.options import Option, parse_options

if TYPE_CHECKING:
    from collections.abc import Mapping


class FluxOptions(NamedTuple):
    """What Flux shall watch, checked by `parse`.

    Durations are as Flux writes them (`1m`, `1h30m`). `path` has no leading or trailing slash, the root of the branch
    is an empty string. `secret` and `verify_secret` are names of Secrets in `namespace`; empty means none.
    """

    url: str
    branch: str
    path: str
    name: str
    namespace: str
    poll_interval: str
    interval: str
    retry_interval: str
    timeout: str
    secret: str
    verify_secret: str


def _url(text: str) -> str:
    """Return the form that Flux accepts: http, https or ssh with `://`, and no credential inside."""
    if not text:
        raise ValueError("is empty, and the folder you are in is no checkout with a remote; give a URL")
    if re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError("is not a URL: it contains a space or a control character")
    # git's own rule: `host:path` is SSH when there is no slash before the colon; one letter is a Windows drive.
    scp = re.fullmatch(r"((?:[^@/:]+@)?[^@/:]{2,}):(?!//)/?([^/:].*)", text)
    url = _without_credential(f"ssh://{scp[1]}/{scp[2]}" if scp else text)
    if url.startswith("file://") or "://" not in url:
        raise ValueError("is a place on this machine that no cluster can reach; give an https:// or ssh:// URL")
    if not re.fullmatch(r"(?:https?|ssh)://[^/]+/.+", url):
        raise ValueError("is not a URL that Flux can fetch from, for example https://github.com/owner/name")
    return url


def _without_credential(url: str) -> str:
    """Leave out the user's name and password, which belong in a Secret; SSH needs the name."""
    match = re.fullmatch(r"(\w+)://([^/]*)@(.*)", url)
    if not match:
        return url
    scheme, userinfo, rest = match.groups()
    user = userinfo.partition(":")[0] + "@" if scheme == "ssh" else ""
    return f"{scheme}://{user}{rest}"


def _duration(text: str) -> str:
    """Accept what the schemas of Flux accept, except zero."""
    if not re.fullmatch(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+", text) or not re.search("[1-9]", text):
        raise ValueError("is not a duration such as `30s`, `10m` or `1h30m`")
    return text


def _label(text: str) -> str:
    """Accept an RFC 1123 label: Flux writes name and namespace of a Kustomization as labels on all it applies."""
    if text and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text):
        raise ValueError("is not a name of lower-case letters, digits and dashes with at most 63 characters")
    return text


def _secret_name(text: str) -> str:
    """Accept an RFC 1123 subdomain, which names of Secrets are."""
    if text and (len(text) > 253 or not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", text)):  # noqa: PLR2004
        raise ValueError("is not the name of a Secret: lower-case letters, digits, dashes and dots")
    return text


def _name_of(url: str) -> str:
    last = url.rstrip("/").removesuffix(".git").rpartition("/")[2].lower()
    return re.sub(r"[^a-z0-9]+", "-", last)[:63].strip("-") or "manifests"


FLUX_OPTIONS: tuple[Option, ...] = (
    Option(
        "url",
        "",
        "Repository that holds the target branch, as https://, ssh:// or git@host:path. Default: `origin` of the "
        "checkout you are in.",
        _url,
        shown=values.without_userinfo,
    ),
    Option(
        "branch",
        "",
        "Target branch that Flux watches.",
        values.branch,
        default=SPECS["branch"].default,
    ),
    Option(
        "path",
        "",
        "Folder on that branch that Flux applies.",
        values.folder,
        default=SPECS["path"].default,
    ),
    Option("name", "", "Name of both objects. Default: the name of the repository.", _label),
    Option("namespace", "", "Namespace of both objects.", _label, default="flux-system"),
    Option(
        "poll-interval",
        "",
        "How often Flux looks for a new commit.",
        _duration,
        default="1m",
    ),
    Option(
        "interval",
        "",
        "How often Flux applies the manifests again, to undo drift.",
        _duration,
        default="10m",
    ),
    Option("retry-interval", "", "How long Flux waits after a failure.", _duration, default="2m"),
    Option(
        "timeout",
        "",
        "How long applying, and waiting until everything is ready, may take.",
        _duration,
        default="5m",
    ),
    Option(
        "secret",
        "",
        "Secret with the credential for the repository: `username` and `password`, or `identity` and `known_hosts`.",
        _secret_name,
    ),
    Option(
        "verify-secret",
        "",
        "Secret with the public keys of those who may sign; Flux then applies signed commits only.",
        _secret_name,
    ),
)


def parse(raw: Mapping[str, str]) -> FluxOptions:
    """Turn raw strings, by option name, into options; an empty string means the default.

    Raises:
        InputError: names every option that can't be used, its value (without a credential) and the allowed form.

    """
    hint = "Every option is described by `cdk8s-publish flux --help`."
    values = parse_options(FLUX_OPTIONS, raw, what="Option", hint=hint)
    named = {option.field: str(values[option.name]) for option in FLUX_OPTIONS}
    named["name"] = named["name"] or _name_of(named["url"])
    return FluxOptions(**named)
