"""`cdk8s-publish flux`: print the Flux resources that apply the target branch."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cdk8s_publish.errors import InputError
from cdk8s_publish.flux import charts
from cdk8s_publish.flux.options import parse
from cdk8s_publish.git.urls import split_credential
from cdk8s_publish.publish.branch.source import Checkout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdk8s_publish.job import Job


def run(raw: Mapping[str, str], job: Job) -> int:
    """Write the resources to standard output."""
    given = dict(raw)
    if not given.get("url"):
        with contextlib.suppress(InputError):  # outside a checkout; `parse` asks for the URL
            given["url"] = split_credential(Checkout(job.folder, {}).remote_url())[0]
    job.stdout.write(charts.render(parse(given), job.environ.get("JSII_NODE") or "node"))
    job.stdout.flush()
    return 0
