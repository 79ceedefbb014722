"""Addon of mitmproxy, run by it and not by the tests: applies the rules of `rules.json` and logs every request.

Faults: `cut-before` (the server never sees the request), `cut-middle` (the server gets half of the body),
`cut-after` (the server has answered, the client never hears it), `status` (answered by the proxy; `status`),
`throttle` (429 with Retry-After to everything for so many `seconds`), `login` (redirect to a page for people),
`reject-after` (the server has done it, the proxy says 500).
"""

import json
import math
import re
import socket
import time
from pathlib import Path
from typing import Any

from mitmproxy import ctx, http

LOGIN_PAGE = b"<!doctype html><title>Sign in</title><form></form>"
SERVER_TIMEOUT_S = 10


class FaultInjector:
    """Holds how often each rule was used; the rules themselves are read again for every request."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}
        self.throttled_until = 0.0

    def load(self, loader: Any) -> None:  # noqa: ANN401 - mitmproxy is not installed where types are checked
        """Declare the option that names the folder of the rules."""
        loader.add_option("fault_folder", str, "", "where rules.json is and seen.jsonl goes")

    def request(self, flow: Any) -> None:  # noqa: ANN401
        """Break the request, or let it pass."""
        rule = self.pick(flow)
        flow.metadata["fault"] = rule["fault"] if rule else ""
        with (self.folder / "seen.jsonl").open("a") as log:
            entry = {
                "method": flow.request.method,
                "path": flow.request.path,
                "fault": flow.metadata["fault"],
                "time": str(time.time()),
            }
            log.write(json.dumps(entry) + "\n")
        if flow.request.path.startswith("/login"):
            flow.response = http.Response.make(200, LOGIN_PAGE, {"Content-Type": "text/html"})
        elif time.time() < self.throttled_until:
            flow.response = self.too_many()
        elif rule:
            self.break_request(flow, rule)

    def break_request(self, flow: Any, rule: dict[str, Any]) -> None:  # noqa: ANN401
        """Apply a fault that happens before the server answers."""
        match rule["fault"]:
            case "cut-before":
                flow.kill()
            case "cut-middle":
                self.send_half(flow)
                flow.kill()
            case "login":
                flow.response = http.Response.make(302, b"", {"Location": "/login"})
            case "throttle":
                self.throttled_until = max(self.throttled_until, time.time() + int(rule["seconds"]))
                flow.response = self.too_many()
            case "status":
                flow.response = http.Response.make(int(rule["status"]), b"the proxy says no\n")

    def too_many(self) -> Any:  # noqa: ANN401
        """Answer as a provider does whose limit is exceeded."""
        seconds = math.ceil(self.throttled_until - time.time())
        return http.Response.make(429, b"too many requests\n", {"Retry-After": str(seconds)})

    def response(self, flow: Any) -> None:  # noqa: ANN401
        """Lose or replace the server's answer."""
        # libcurl silently repeats a request whose reused connection breaks: with a connection for each request, one
        # cut is one failure.
        if not (self.folder / "keep-alive").exists():
            flow.response.headers["Connection"] = "close"
        match flow.metadata.get("fault"):
            case "cut-after":
                flow.kill()
            case "reject-after":
                flow.response = http.Response.make(500, b"something went wrong\n")

    def send_half(self, flow: Any) -> None:  # noqa: ANN401
        """Send the head and half of the body to the server, then hang up."""
        request = flow.request
        lines = [f"{request.method} {request.path} HTTP/1.1"]
        headers = {key: value for key, value in request.headers.items() if key.lower() != "transfer-encoding"}
        headers["Content-Length"] = str(len(request.raw_content))
        lines += [f"{key}: {value}" for key, value in headers.items()]
        with socket.create_connection((request.host, request.port), timeout=SERVER_TIMEOUT_S) as upstream:
            upstream.sendall("\r\n".join([*lines, "", ""]).encode())
            upstream.sendall(request.raw_content[: len(request.raw_content) // 2])

    def pick(self, flow: Any) -> dict[str, Any] | None:  # noqa: ANN401
        """Return the first rule that matches and is not used up."""
        for index, rule in enumerate(json.loads((self.folder / "rules.json").read_text())):
            key = f"{index} {json.dumps(rule)}"
            if re.search(rule["match"], f"{flow.request.method} {flow.request.path}") is None:
                continue
            if self.used.get(key, 0) < rule["times"]:
                self.used[key] = self.used.get(key, 0) + 1
                return dict(rule)
        return None

    @property
    def folder(self) -> Path:
        """Where rules and log are."""
        return Path(ctx.options.fault_folder)


addons = [FaultInjector()]
