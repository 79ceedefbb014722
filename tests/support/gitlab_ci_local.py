"""gitlab-ci-local on a project that includes the template: its own script, variables, rules and artifacts."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import sys
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from support.git_http import TOKEN, GitHttpServer
from support.programs import LOOPBACK, ROOT, SEARCH_PATH, program, require, run
from support.remotes import Remote, git
from support.runner import ENTRYPOINT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.checkouts import Checkout

PRODUCT = "cdk8s-publish/cdk8s-publish"
SHAPES = {
    "local": '- local: ".gitlab-ci-template.yml"',
    "project": f'- project: {PRODUCT}\n    ref: v1.0.0\n    file: "/.gitlab-ci-template.yml"',
    "component": f"- component: $CI_SERVER_FQDN/{PRODUCT}/publish@v1.0.0",
    "remote": "- remote: {remote}/.gitlab-ci-template.yml",
}


@dataclass(frozen=True)
class Pipeline:
    """A project on a server, and the machine that gitlab-ci-local runs its jobs on."""

    checkout: Checkout
    server: GitHttpServer
    machine: Path
    remote: str
    executor: tuple[str, ...] = ()
    """Options of another executor than the machine's shell."""

    def include(self, shape: str, **inputs: str) -> None:
        """Write and commit the project's own .gitlab-ci.yml."""
        lines = [f"include:\n  {SHAPES[shape].format(remote=self.remote)}"]
        lines += ["    inputs:", '      install: "none"']
        lines += [f"      {name.replace('_', '-')}: {json.dumps(value)}" for name, value in inputs.items()]
        if shape == "local":
            shutil.copy(ROOT / ".gitlab-ci-template.yml", self.checkout.path)
        self.checkout.write(".gitlab-ci.yml", ("\n".join(lines) + "\n").encode())
        self.checkout.commit("Include the template")

    def local(self, *args: str, **variables: str) -> str:
        """Run gitlab-ci-local in the project and return what it printed."""
        predefined = {
            "GITLAB_CI": "true",  # gitlab-ci-local says false
            "CI_DEFAULT_BRANCH": "main",
            "CI_JOB_TOKEN": TOKEN,
            "CI_PROJECT_URL": self.server.url(self.checkout.origin.path).removesuffix(".git"),
            "CI_SERVER_URL": self.server.origin,
            "CI_SERVER_FQDN": self.server.origin.removeprefix("http://"),
            **variables,
        }
        options = [f"--variable={name}={value}" for name, value in predefined.items()]
        done = run(
            program("gitlab-ci-local"),
            *(self.executor or ("--force-shell-executor", "--shell-isolation")),
            *options,
            *args,
            cwd=self.checkout.path,
            env={"PATH": f"{self.machine / 'bin'}:{SEARCH_PATH}", "HOME": str(self.machine), "LANG": "C.UTF-8"},
        )
        return (done.stdout + done.stderr).decode()

    def jobs(self, **variables: str) -> list[str]:
        """Return the names of the jobs that a pipeline would have."""
        shown = self.local("--list-json", **variables)
        listed = json.loads(shown[shown.index("[\n") if "[\n" in shown else shown.index("[{") : shown.rindex("]") + 1])
        return [job["name"] for job in listed if job["when"] != "never"]

    def artifact(self, name: str) -> str:
        """Return a file that a job left as an artifact; gitlab-ci-local copies them back to the checkout."""
        return (self.checkout.path / ".cdk8s-publish" / name).read_text()


@contextlib.contextmanager
def files_over_http(folder: Path) -> Iterator[str]:
    """Serve a folder without a password, as a raw file on a public server."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def pipeline_of(checkout: Checkout, http_server: GitHttpServer, tmp_path: Path) -> Iterator[Pipeline]:
    """Put a project on the server, beside the project that holds the template."""
    require("gitlab-ci-local", "rsync")
    checkout.git("remote", "set-url", "origin", http_server.url(checkout.origin.path))
    product = tmp_path / PRODUCT
    (product / "templates").mkdir(parents=True)
    for name in (".gitlab-ci-template.yml", "templates/publish.yml"):
        shutil.copy(ROOT / name, product / name)
    git("init", "--quiet", "--initial-branch=main", cwd=product)
    git("add", "--all", cwd=product)
    git("commit", "--quiet", "--message", "Release", cwd=product)
    git("tag", "v1.0.0", cwd=product)
    Remote.create(product.with_suffix(".git"))
    git("push", "--quiet", product.with_suffix(".git"), "main", "v1.0.0", cwd=product)
    machine = tmp_path / "machine"
    (machine / "bin").mkdir(parents=True)
    launcher = machine / "bin" / "cdk8s-publish"
    # For a job with an image gitlab-ci-local names the folder inside a container, also where it starts none.
    launcher.write_text(f'#!/bin/sh\nCI_PROJECT_DIR=$PWD exec "{sys.executable}" "{ENTRYPOINT}" "$@"\n')
    launcher.chmod(0o755)
    scheme, _, host = http_server.origin.partition("://")
    (machine / ".git-credentials").write_text(f"{scheme}://git:{TOKEN}@{host}\n")
    (machine / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    with files_over_http(product) as remote:
        yield Pipeline(checkout, http_server, machine, remote)
