"""The environment of untrusted code: the user's own, without our variables and without any credential of this run."""

from __future__ import annotations

import fnmatch
import logging
import re
from typing import TYPE_CHECKING

from cdk8s_publish import redaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_log = logging.getLogger(__name__)

DENIED = (
    "INPUT_*",
    "CDK8S_*",  # the cdk8s CLI reads each of them as an option: they would change the render
    "GIT_ASKPASS",
    "GIT_CONFIG*",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_SSH*",
    "GIT_WORK_TREE",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "SSH_ASKPASS",
    "GPG_AGENT_INFO",
)
"""Names (glob patterns) that untrusted code never sees; each CI product adds its own."""


def scrub(environ: Mapping[str, str], secrets: Iterable[str], denied: Iterable[str] = ()) -> dict[str, str]:
    """Return the environment for untrusted code: `environ` without denied names and without any form of a secret.

    `denied` holds glob patterns of names, added to `DENIED`. A variable goes as well when it is one of `secrets`, or
    its value contains one in any form (see `redaction`).
    """
    patterns = re.compile("|".join(fnmatch.translate(pattern) for pattern in (*DENIED, *denied)))
    known = {secret for secret in secrets if secret}
    allowed = {name: value for name, value in environ.items() if not patterns.match(name)}
    kept = {name: value for name, value in allowed.items() if not _carries(value, known)}
    if withheld := sorted(allowed.keys() - kept):
        names = ", ".join(withheld)
        _log.info("Kept from installer and app, because a credential of this run is in the value: %s", names)
    return kept | {"CDK8S_CHECK_UPGRADE": "false"}


def _carries(value: str, secrets: Iterable[str]) -> bool:
    return value in secrets or any(redaction.find(secret, value) for secret in secrets)
