"""How long a server wants to be left alone. git ignores `Retry-After`, so it is asked for once more by ourselves."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdk8s_publish.model import Remote

RETRY_AFTER_MAX_S = 120
_TIMEOUT_S = 20

_log = logging.getLogger(__name__)


def retry_after(remote: Remote) -> float:
    """Return the seconds that the server asks to wait (RFC 9110, 10.2.3), at most two minutes; else 0."""
    if not remote.is_http:
        return 0
    import requests  # noqa: PLC0415  # a tenth of a second that only a throttled run pays

    try:
        response = requests.get(
            f"{remote.url}/info/refs",
            params={"service": "git-receive-pack"},
            auth=(remote.username, remote.token.reveal()) if remote.token else None,
            timeout=_TIMEOUT_S,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        _log.debug("asking for Retry-After failed: %s", type(error).__name__)
        return 0
    return min(_seconds(response.headers.get("Retry-After", "")), RETRY_AFTER_MAX_S)


def _seconds(value: str) -> float:
    """Read either form of the header: a number of seconds, or an HTTP date."""
    if value.isdigit():
        return int(value)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  # as above

    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0
