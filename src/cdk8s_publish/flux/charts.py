"""`cdk8s-publish flux`: the cdk8s app that tells Flux to watch what we publish.

It prints a GitRepository and a Kustomization, which is what `fluxctl install` set up for Flux 1. cdk8s is imported
when something is rendered and not before: it starts Node.js and costs half a second.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish import input_values
from cdk8s_publish.errors import SynthError
from cdk8s_publish.inputs import SPECS
from cdk8s_publish.options import Option, parse_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    import cdk8s

NODE_MAJOR_MIN = 22
"""The oldest Node.js that jsii, which cdk8s is made with, supports."""

NODE_VERSION_TIMEOUT_S = 30


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


def _without_userinfo(text: str) -> str:
    """Quote an address; whatever stands before an @ may hold a password."""
    return repr(re.sub(r"[^/]*@", "***@", text))


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
    """Accept what the schemas of Flux accept, but zero."""
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
        shown=_without_userinfo,
        flux1="--git-url",
    ),
    Option(
        "branch",
        "",
        "Target branch that Flux watches.",
        input_values.branch,
        default=SPECS["branch"].default,
        flux1="--git-branch",
    ),
    Option(
        "path",
        "",
        "Folder on that branch that Flux applies.",
        input_values.folder,
        default=SPECS["path"].default,
        flux1="--git-path",
    ),
    Option("name", "", "Name of both objects. Default: the name of the repository.", _label),
    Option("namespace", "", "Namespace of both objects.", _label, default="flux-system", flux1="--namespace"),
    Option(
        "poll-interval",
        "",
        "How often Flux looks for a new commit.",
        _duration,
        default="1m",
        flux1="--git-poll-interval",
    ),
    Option(
        "interval",
        "",
        "How often Flux applies the manifests again, to undo drift.",
        _duration,
        default="10m",
        flux1="--sync-interval",
    ),
    Option("retry-interval", "", "How long Flux waits after a failure.", _duration, default="2m"),
    Option(
        "timeout",
        "",
        "How long applying, and waiting until everything is ready, may take.",
        _duration,
        default="5m",
        flux1="--sync-timeout",
    ),
    Option(
        "secret",
        "",
        "Secret with the credential for the repository: `username` and `password`, or `identity` and `known_hosts`.",
        _secret_name,
        flux1="--k8s-secret-name",
    ),
    Option(
        "verify-secret",
        "",
        "Secret with the public keys of those who may sign; Flux then applies signed commits only.",
        _secret_name,
        flux1="--git-verify-signatures-mode",
    ),
)


def parse(raw: Mapping[str, str]) -> FluxOptions:
    """Turn raw strings, by option name, into options; an empty string means the default.

    Raises:
        InputError: names every option that can't be used, its value (without a credential) and the allowed form.

    """
    hint = "Every option is described by `cdk8s-publish flux --help`."
    values = parse_options(FLUX_OPTIONS, raw, what="options of `flux`", hint=hint)
    named = {option.field: str(values[option.name]) for option in FLUX_OPTIONS}
    named["name"] = named["name"] or _name_of(named["url"])
    return FluxOptions(**named)


def render(options: FluxOptions, node: str = "node") -> str:
    """Return both objects as YAML documents, ready for `kubectl apply -f -`.

    `node` is the program that jsii starts (its variable JSII_NODE, else `node`).

    Raises:
        SynthError: Node.js is missing or older than jsii supports.

    """
    _require_node(node)
    import cdk8s  # noqa: PLC0415  # starts Node.js

    app = cdk8s.App()
    chart = cdk8s.Chart(app, "flux", namespace=options.namespace)
    _custom_resource(chart, "source.toolkit.fluxcd.io/v1", "GitRepository", options.name, _source(options))
    _custom_resource(chart, "kustomize.toolkit.fluxcd.io/v1", "Kustomization", options.name, _sync(options))
    return app.synth_yaml()


def _custom_resource(chart: cdk8s.Chart, api_version: str, kind: str, name: str, spec: Mapping[str, object]) -> None:
    import cdk8s  # noqa: PLC0415  # loaded by `render`

    resource = cdk8s.ApiObject(
        chart, kind, api_version=api_version, kind=kind, metadata=cdk8s.ApiObjectMetadata(name=name)
    )
    # jsii drops keyword arguments that the type does not declare, and `spec` is one: it differs with each kind.
    resource.add_json_patch(cdk8s.JsonPatch.add("/spec", spec))


def _source(options: FluxOptions) -> Mapping[str, object]:
    spec: dict[str, object] = {
        "interval": options.poll_interval,
        "url": options.url,
        "ref": {"branch": options.branch},
    }
    if options.secret:
        spec["secretRef"] = {"name": options.secret}
    if options.verify_secret:
        spec["verify"] = {"mode": "HEAD", "secretRef": {"name": options.verify_secret}}
    return spec


def _sync(options: FluxOptions) -> Mapping[str, object]:
    return {
        "interval": options.interval,
        "retryInterval": options.retry_interval,
        "timeout": options.timeout,
        "sourceRef": {"kind": "GitRepository", "name": options.name},
        "path": f"./{options.path}",
        "prune": True,
        "wait": True,
    }


def _require_node(node: str) -> None:
    hint = f"Install Node.js {NODE_MAJOR_MIN} or newer, or name it in JSII_NODE: cdk8s runs on it."
    program = shutil.which(node)
    if not program:
        raise SynthError("Node.js was not found", evidence=f"looked for: {node}", hint=hint)
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, check=False, text=True, timeout=NODE_VERSION_TIMEOUT_S
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SynthError("Node.js could not be started", evidence=str(error), hint=hint) from error
    version = re.match(r"v(\d+)\.", answer)
    if not version or int(version[1]) < NODE_MAJOR_MIN:
        raise SynthError(f"Node.js is too old: {program} is {answer or 'of no known version'}", hint=hint)
