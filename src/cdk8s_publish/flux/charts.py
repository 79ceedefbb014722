"""`cdk8s-publish flux`: the cdk8s app that tells Flux to watch what we publish.

It prints a GitRepository and a Kustomization, which is what `fluxctl install` set up for Flux 1. cdk8s is imported
when something is rendered and not before: it starts Node.js and costs half a second.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from cdk8s_publish.errors import SynthError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import cdk8s

    from cdk8s_publish.flux.options import FluxOptions

NODE_MAJOR_MIN = 22
"""The oldest Node.js that jsii, which cdk8s is made with, supports."""

NODE_VERSION_TIMEOUT_S = 30


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
        raise SynthError("Node.js was not found.", evidence=f"looked for: {node}", hint=hint)
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, check=False, text=True, timeout=NODE_VERSION_TIMEOUT_S
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SynthError("Node.js could not be started.", evidence=str(error), hint=hint) from error
    version = re.match(r"v(\d+)\.", answer)
    if not version or int(version[1]) < NODE_MAJOR_MIN:
        raise SynthError(f"Node.js is too old: {program} is {answer or 'of no known version'}.", hint=hint)
