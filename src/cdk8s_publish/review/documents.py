"""The documents of files, each of which is parsed once, however often it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.review import plain_secrets
from cdk8s_publish.review.manifests import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdk8s_publish.model import Sha
    from cdk8s_publish.review.manifests import Parsed
    from cdk8s_publish.review.plain_secrets import PlainSecret


class Documents:
    """Remembers what files hold, by path and content, and which readable Secrets, by content alone."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[tuple[str, Sha], Parsed] = {}
        self._secrets: dict[Sha, tuple[PlainSecret, ...]] = {}

    def parse(self, path: str, blob: Sha, read: Callable[[], bytes]) -> Parsed:
        """Return the documents of a file; `read` is asked for its bytes when they are needed."""
        key = (path, blob)
        if key not in self._known:
            data = read()
            self._known[key] = parse(path, data)
            self.secrets(blob, lambda: data)  # while the bytes are at hand
        return self._known[key]

    def secrets(self, blob: Sha, read: Callable[[], bytes]) -> tuple[PlainSecret, ...]:
        """Return the readable Secrets of a file, whatever its name."""
        if blob not in self._secrets:
            self._secrets[blob] = plain_secrets.find(read())
        return self._secrets[blob]
