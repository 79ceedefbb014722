"""JSON that others wrote: it may be anything."""

from __future__ import annotations

import json
from typing import Any


def json_object(data: bytes) -> dict[str, Any]:
    """Return the object that a JSON text holds; an empty one for every other value, and for what is no JSON at all."""
    try:
        value = json.loads(data or b"{}")
    except (ValueError, RecursionError):  # the decoder calls itself for every level of nesting
        return {}
    return value if isinstance(value, dict) else {}


def string(value: object) -> str:
    """Return a string that can be written; empty for anything else. JSON may hold half of a surrogate pair."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return ""
    return value
