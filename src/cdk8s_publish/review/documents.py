"""The documents of files, each of which is parsed once, however often it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.review.manifests import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdk8s_publish.model import Sha
    from cdk8s_publish.review.manifests import Parsed


class Documents:
    """Remembers what files hold, by path and content."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[tuple[str, Sha], Parsed] = {}

    def parse(self, path: str, blob: Sha, read: Callable[[], bytes]) -> Parsed:
        """Return the documents of a file; `read` is asked for its bytes when they are needed."""
        key = (path, blob)
        if key not in self._known:
            self._known[key] = parse(path, read())
        return self._known[key]
