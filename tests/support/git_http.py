"""lighttpd with `git http-backend`: a git server over HTTP and HTTPS that asks for a token."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.programs import LOOPBACK, free_port, program, run, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG_TIMEOUT_S = 60
TOKEN = "s3cr3t-t0ken-of-the-server"
# The user names that GitHub's and GitLab's documentation tell people to give together with a token.
USERS = ("git", "x-access-token", "gitlab-ci-token", "oauth2", "token")

CONFIG = """
server.modules = ("mod_accesslog", "mod_auth", "mod_authn_file", "mod_alias", "mod_setenv", "mod_cgi", "mod_openssl")
server.bind = "{host}"
server.port = {port}
server.document-root = "{root}"
server.errorlog = "{folder}/error.log"
server.max-request-size = 0
server.stream-request-body = 1
auth.backend = "plain"
auth.backend.plain.userfile = "{folder}/users"
auth.require = ("" => ("method" => "basic", "realm" => "git", "require" => "valid-user"))
alias.url = ("/" => "{folder}/backend/")
cgi.assign = ("" => "")
setenv.add-environment = (
  "GIT_PROJECT_ROOT" => "{root}",
  "GIT_HTTP_EXPORT_ALL" => "1",
  "GIT_CONFIG_NOSYSTEM" => "1",
  "HOME" => "{folder}",
  "PATH" => "/usr/local/bin:/usr/bin:/bin"
)
"""
TLS_CONFIG = """
ssl.engine = "enable"
ssl.pemfile = "{folder}/server.pem"
"""
# Stands between lighttpd and git, so that what the server saw is on disk before git answers.
BACKEND = """#!/bin/sh
printf '%s %s %s\\n' "$REQUEST_METHOD" "$REQUEST_URI" "$REMOTE_USER" >>'{folder}/requests.log'
PATH_INFO=${{REQUEST_URI%%\\?*}}
export PATH_INFO
# Cut off in the middle of a request it reads the end of its input for ever, and outlives the server.
ulimit -t 10
exec git http-backend
"""


@dataclass(frozen=True)
class GitHttpServer:
    """Serves every repository below `root`; a request without the token is answered with 401."""

    folder: Path
    root: Path
    origin: str
    certificate: Path | None = None

    def url(self, repository: Path) -> str:
        """Return the address of a repository below `root`."""
        return f"{self.origin}/{repository.relative_to(self.root)}"

    def requests(self) -> list[str]:
        """Return `METHOD path user` of every request that carried the token, in order."""
        log = self.folder / "requests.log"
        return log.read_text().splitlines() if log.exists() else []

    def pushes(self) -> list[str]:
        """Return the requests that sent objects."""
        return [line for line in self.requests() if line.startswith("POST") and "/git-receive-pack" in line]

    def has_seen_pushes(self, count: int) -> bool:
        """Whether so many arrived; of a request that was cut the server may write that down after the client's end."""
        deadline = time.monotonic() + LOG_TIMEOUT_S
        while len(self.pushes()) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return len(self.pushes()) == count


@contextlib.contextmanager
def git_http_server(folder: Path, root: Path, *, has_tls: bool = False) -> Iterator[GitHttpServer]:
    """Serve the repositories below `root`; `folder` holds the server's own files."""
    folder.mkdir(parents=True)
    port = free_port()
    config = CONFIG + (TLS_CONFIG if has_tls else "")
    (folder / "lighttpd.conf").write_text(config.format(host=LOOPBACK, port=port, root=root, folder=folder))
    (folder / "users").write_text("".join(f"{user}:{TOKEN}\n" for user in USERS))
    backend = folder / "backend"
    backend.write_text(BACKEND.format(folder=folder))
    backend.chmod(0o755)
    certificate = make_certificate(folder) if has_tls else None
    scheme = "https" if has_tls else "http"
    argv = (program("lighttpd"), "-D", "-f", folder / "lighttpd.conf")
    with server(argv, port, folder / "server.log"):
        yield GitHttpServer(folder, root, f"{scheme}://{LOOPBACK}:{port}", certificate)


def make_certificate(folder: Path) -> Path:
    """Make a certificate authority and a certificate for the loopback address; return the authority's file."""
    openssl = program("openssl")
    authority, request = folder / "ca.pem", folder / "server.csr"
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run(openssl, "req", "-x509", *new_key, "-subj", "/CN=Test CA", "-days", "2",
        "-keyout", folder / "ca.key", "-out", authority)  # fmt: skip
    run(openssl, "req", *new_key, "-subj", f"/CN={LOOPBACK}", "-keyout", folder / "server.key", "-out", request)
    (folder / "extensions").write_text(f"subjectAltName=IP:{LOOPBACK}\n")
    run(openssl, "x509", "-req", "-in", request, "-CA", authority, "-CAkey", folder / "ca.key", "-CAcreateserial",
        "-days", "2", "-extfile", folder / "extensions", "-out", folder / "server.crt")  # fmt: skip
    (folder / "server.pem").write_bytes((folder / "server.key").read_bytes() + (folder / "server.crt").read_bytes())
    return authority
