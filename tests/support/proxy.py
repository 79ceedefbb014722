"""mitmproxy in front of a git server: breaks chosen requests the way networks and providers do."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.programs import LOOPBACK, free_port, program, server

if TYPE_CHECKING:
    from collections.abc import Iterator

PUSH = "POST .*/git-receive-pack"
LOOK = "GET .*service=git-upload-pack"
ANY = ""


@dataclass(frozen=True)
class FaultProxy:
    """The proxy's address, what it was told to break and what it saw."""

    folder: Path
    port: int

    def url(self, upstream: str) -> str:
        """Return an upstream address as it is reached through the proxy."""
        return f"http://{LOOPBACK}:{self.port}/{upstream.split('/', 3)[3]}"

    def inject(self, fault: str, match: str = ANY, times: int = 1, **options: str) -> None:
        """Break the next `times` requests whose `METHOD path` matches, in the ways `fault_addon.py` lists."""
        rule = {"fault": fault, "match": match, "times": times, **options}
        self._write([*json.loads((self.folder / "rules.json").read_text()), rule])

    def keep_alive(self) -> None:
        """Let clients reuse a connection, as most servers do: libcurl then repeats a request that was cut."""
        (self.folder / "keep-alive").touch()

    def clear(self) -> None:
        """Break nothing from now on."""
        self._write([])

    def seen(self) -> list[dict[str, str]]:
        """Return method, path, fault (empty where none) and time of every request, in order."""
        log = self.folder / "seen.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def faults(self) -> list[str]:
        """Return the faults that were injected, in order."""
        return [request["fault"] for request in self.seen() if request["fault"]]

    def _write(self, rules: list[dict[str, object]]) -> None:
        fresh = self.folder / "rules.new"
        fresh.write_text(json.dumps(rules))
        fresh.replace(self.folder / "rules.json")


@contextlib.contextmanager
def fault_proxy(folder: Path, origin: str) -> Iterator[FaultProxy]:
    """Run the proxy in front of `origin` (`http://host:port`)."""
    folder.mkdir(parents=True)
    proxy = FaultProxy(folder, free_port())
    proxy.clear()
    argv = (
        program("mitmdump"),
        "--quiet",
        *("--mode", f"reverse:{origin}"),
        *("--listen-host", LOOPBACK),
        *("--listen-port", str(proxy.port)),
        *("--set", f"confdir={folder}"),
        *("--set", f"fault_folder={folder}"),
        *("--scripts", Path(__file__).with_name("fault_addon.py")),
    )
    with server(argv, proxy.port, folder / "server.log"):
        yield proxy
