"""Render for those who take manifests from standard output: an Argo CD plugin, or Flux 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.job import find_apps, relative_folders, synth_options
from cdk8s_publish.model import Folder
from cdk8s_publish.render.schedule import render

if TYPE_CHECKING:
    from cdk8s_publish.inputs import Inputs
    from cdk8s_publish.job import World


def generate(inputs: Inputs, world: World) -> bytes:
    """Render and return the manifests alone, joined by `---`; the folder need not be a git checkout.

    Raises:
        PublishError: nothing is returned when any app or check failed.

    """
    found = find_apps(inputs, world.folder, relative_folders(inputs, world.folder, world.folder))
    options = synth_options(inputs, world, world.folder, inputs.secrets)
    outcome = render(found, world.private, options, world.console, found)
    from cdk8s_publish.review import checks  # noqa: PLC0415  # was loaded while the app ran
    from cdk8s_publish.review.manifests import MANIFESTS, delta, role  # noqa: PLC0415

    policy = checks.Policy(
        allow_empty=inputs.guards.allow_empty, allow_secrets=True, allow_helm=inputs.guards.allow_helm
    )
    documents = []
    for rendered in outcome:
        findings = checks.check(delta(rendered, Folder(rendered.path)), policy, {}).findings
        checks.refuse(tuple(checks.located(findings, rendered.path)) if len(found) > 1 else findings)
        documents += [file.read() for file in rendered.files if role(file.path) == MANIFESTS]
    return b"---\n".join(document if document.endswith(b"\n") else document + b"\n" for document in documents)
