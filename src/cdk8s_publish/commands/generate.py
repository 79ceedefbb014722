"""`cdk8s-publish generate`: render for those who take manifests from standard output, such as an Argo CD plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.errors import CheckError
from cdk8s_publish.inputs.declared import parse
from cdk8s_publish.job import scratch
from cdk8s_publish.model import Folder
from cdk8s_publish.render import How, render
from cdk8s_publish.render.discover import find_apps, relative_folders
from cdk8s_publish.render.environment import run_as
from cdk8s_publish.review import checks
from cdk8s_publish.review.delta import delta
from cdk8s_publish.review.manifests import MANIFESTS, role
from cdk8s_publish.rules.consent import apply_consents
from cdk8s_publish.rules.findings import raise_for_errors, with_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdk8s_publish.inputs.declared import Inputs
    from cdk8s_publish.job import Job
    from cdk8s_publish.model import Finding


def run(raw: Mapping[str, str], job: Job) -> int:
    """Write the manifests to standard output; nothing is written when any app or check failed."""
    inputs = parse(raw)
    job.console.mask(*inputs.secrets)
    with scratch(job) as (own_job, folder):
        manifests = generate(inputs, own_job)
        folder.release()
        job.stdout.buffer.write(manifests)
        job.stdout.flush()
    return 0


def generate(inputs: Inputs, job: Job) -> bytes:
    """Render and return the manifests alone, joined by `---`; the folder need not be a git checkout.

    Raises:
        Cdk8sPublishError: an app or a check failed.

    """
    folders = relative_folders(inputs.render, job.folder, job.folder)
    apps = find_apps(inputs.render, job.folder, folders, inputs.target.path)
    options = run_as(inputs.render, job, job.folder, inputs.secrets)
    findings: list[Finding] = []
    documents = []
    for rendered in render(apps, How(options, job.scratch, job.console, apps)):
        found = checks.check(delta(rendered, Folder(rendered.path)), {}, is_shown=False).findings
        findings += with_folder(found, rendered.path) if len(apps) > 1 else found
        documents += [file.read() for file in rendered.files if role(file.path) == MANIFESTS]
    # What is written here goes to a controller, and to no branch that others can read.
    asked = [finding for finding in findings if finding.rule != "plain-secret"]
    judged, _ = apply_consents(asked, inputs.consent.allow, inputs.consent.refuse)
    raise_for_errors(judged, CheckError)
    return b"---\n".join(document if document.endswith(b"\n") else document + b"\n" for document in documents)
