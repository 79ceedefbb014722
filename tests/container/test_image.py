"""What is in the image, and what its variants are for."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cdk8s_publish import __version__
from support.containers import Container, engine, image
from support.programs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.image

SIZE_MAX = 360_000_000
"""Bytes of all layers, unpacked."""
HOME = "/tmp"  # noqa: S108 - inside the container, where nobody else is
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that any user of a container may write to."""
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    tmp.chmod(0o1777)
    return tmp


def container(folder: Path, target: str = "default", *options: str) -> Container:
    return Container(image(target), folder, f"test-{os.getpid()}-{target}", options)


def inspect(target: str) -> dict[str, Any]:
    shown = subprocess.run((engine(), "image", "inspect", image(target)), capture_output=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(shown.stdout)[0]
    return found


def test_version__prints_what_is_inside(folder: Path) -> None:
    lines = container(folder).run({}, "--version").ok().stdout.splitlines()
    assert lines[0] == f"cdk8s-publish {__version__}"
    assert [line.split()[0] for line in lines[1:]] == ["python", "git", "ssh", "gpg", "node", "npm", "cdk8s"]


def test_image__is_small() -> None:
    assert inspect("default")["Size"] <= SIZE_MAX


def test_image__has_no_compiler_no_headers_and_no_perl_modules(folder: Path) -> None:
    probe = (
        "for name in cc gcc g++ make go java; do command -v $name && exit 1; done; "
        'test ! -e /usr/share/perl && test -z "$(ls -A /usr/local/include)"'
    )
    container(folder, "default", "--entrypoint=sh").run({}, "-c", probe).ok()


def test_image__names_its_source() -> None:
    labels = inspect("default")["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.source"].startswith("https://")
    assert re.fullmatch(r"[0-9a-f]{40}", labels["org.opencontainers.image.revision"])
    assert datetime.fromisoformat(labels["org.opencontainers.image.created"]).tzinfo


@pytest.mark.parametrize("broken", ["", "/usr/local/bin/node", "/usr/bin/git", "/usr/bin/gpg"])
def test_image__asks_itself_whether_it_is_whole(broken: str, folder: Path) -> None:
    found = inspect("default")
    check = found.get("Healthcheck") or found["Config"]["Healthcheck"]  # podman, Docker
    _, program, *args = check["Test"]
    options = (f"--volume=/dev/null:{broken}:ro",) if broken else ()
    asked = container(folder, "default", f"--entrypoint={program}", *options).run({}, *args)
    assert (asked.code != 0) == bool(broken), asked.text


def test_image__starts_without_compiling(folder: Path) -> None:
    program = (
        "import sys; sys.path[:0] = ['/app/src', '/app/packages']; import cdk8s_publish.commands.run; "
        "print(*(module.__cached__ for module in sys.modules.values() if getattr(module, '__cached__', None)))"
    )
    shown = container(folder, "default", "--entrypoint=python3").run({}, "-I", "-c", program).ok()
    assert "cdk8s_publish" in shown.stdout
    probe = "for file; do test -e $file || echo missing $file; done"
    checked = container(folder, "default", "--entrypoint=sh").run({}, "-c", probe, "sh", *shown.stdout.split()).ok()
    assert checked.stdout == ""


def test_cli__imports_a_crd_for_python(folder: Path) -> None:
    (folder / "crd.yaml").write_text(CRD)
    imports = ("--workdir=/tmp", "--entrypoint=cdk8s")
    container(folder, "default", *imports).run({}, "import", "crd.yaml", "--language", "python", "--output", "out").ok()
    assert (folder / "out" / "com" / "example").is_dir()


def test_argocd__generates_as_its_own_user(folder: Path) -> None:
    app = folder / "app"
    app.mkdir()
    (app / "cdk8s.yaml").write_text("language: python\napp: cp one.yaml two.yaml $CDK8S_OUTDIR\n")
    for name in ("one", "two"):
        (app / f"{name}.yaml").write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
    plugin = yaml.safe_load((ROOT / "image/argocd/plugin.yaml").read_text())
    command, *args = plugin["spec"]["generate"]["command"]
    sidecar = ("--user=999", "--read-only", "--workdir=/tmp/app", f"--entrypoint={command}")
    shown = container(folder, "argocd", *sidecar).run({}, *args).ok()
    assert [document["metadata"]["name"] for document in yaml.safe_load_all(shown.stdout)] == ["one", "two"]


def test_argocd__has_its_plugin_where_the_server_looks(folder: Path) -> None:
    shown = container(folder, "argocd", "--entrypoint=cat").run({}, "/home/argocd/cmp-server/config/plugin.yaml").ok()
    assert shown.stdout == (ROOT / "image/argocd/plugin.yaml").read_text()
    config = inspect("argocd")["Config"]
    assert config["User"] == "999"
    assert config["Entrypoint"] == ["/var/run/argocd/argocd-cmp-server"]


@pytest.mark.slow
def test_languages__has_go_java_and_the_python_managers(folder: Path) -> None:
    probe = "set -e; go version; javac -version; mvn --version; for name in uv poetry pipenv; do $name --version; done"
    shown = container(folder, "languages", "--entrypoint=sh", "--user=1001").run({"HOME": HOME}, "-c", probe).ok()
    assert "go1." in shown.stdout
