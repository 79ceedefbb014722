from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.errors import SynthError
from cdk8s_publish.render import imports
from cdk8s_publish.render.discover import App
from cdk8s_publish.render.imports import Tools, ensure
from cdk8s_publish.sandbox import process
from cdk8s_publish.sandbox.confinement import Confinement
from support.programs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = ROOT / ".tools"
EXAMPLES = ROOT / "examples"
CRD = "crds/maintenancewindow.yaml"

pytestmark = pytest.mark.synth


class Project:
    """An app's folder, its cache, and what was run."""

    def __init__(self, folder: Path, language: str = "typescript", spec: str = CRD) -> None:
        self.folder, self.cache = folder / "app", folder / "cache"
        shutil.copytree(EXAMPLES / "python" / "crds", self.folder / "crds")
        self.tmp = folder / "tmp"
        self.cache.mkdir()
        self.tmp.mkdir()
        (self.folder / "cdk8s.yaml").write_text(f"language: {language}\napp: 'true'\nimports:\n  - {spec}\n")
        self.app = App("app", "", language, "true", "dist", config={"imports": [spec]})
        self.ran: list[str] = []
        self.said: list[str] = []
        self.path = os.pathsep.join([str(TOOLS / "bin"), os.environ["PATH"]])

    def ensure(self) -> list[str]:
        """Return the cdk8s commands that were needed."""

        def run(command: str) -> process.Completed:
            self.ran.append(command)
            within = Confinement().also(writable=[self.folder, self.cache, self.tmp])
            environ = {
                **os.environ,
                "PATH": self.path,
                "TMPDIR": str(self.tmp),
                "HOME": str(self.tmp),
                "CDK8S_CHECK_UPGRADE": "false",
            }
            return process.run(
                process.Command(("sh", "-c", command), self.folder, environ, 300, within),
                on_line=self.said.append,
            )

        self.ran.clear()
        ensure(self.app, self.folder, Tools(run, self.path, self.cache, self.said.append))
        return [command for command in self.ran if command.startswith("cdk8s")]

    def forget(self) -> dict[str, bytes]:
        """Remove the imports and return what they were."""
        found = self.files()
        shutil.rmtree(self.folder / "imports")
        return found

    def files(self) -> dict[str, bytes]:
        base = self.folder / "imports"
        return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_imports__are_generated_once_and_then_taken_from_the_cache(project: Project) -> None:
    assert project.ensure() == ["cdk8s import --language typescript"]
    assert project.ensure() == []
    first = project.forget()
    assert list(first) == ["ops.example.com.ts"]
    assert project.ensure() == []
    assert project.files() == first
    assert any("taken from the cache" in line for line in project.said)


def test_imports__are_generated_anew_when_a_local_crd_changes(project: Project) -> None:
    project.ensure()
    project.forget()
    crd = project.folder / CRD
    crd.write_text(crd.read_text().replace("duration", "lasting"))
    assert project.ensure() == ["cdk8s import --language typescript"]
    assert b"lasting" in project.files()["ops.example.com.ts"]


@pytest.mark.parametrize(
    "change",
    [
        lambda app: app._replace(language="python"),
        lambda app: app._replace(config={"imports": [CRD, "k8s"]}),
        lambda app: app._replace(config={"imports": [CRD], "importDirectory": "generated"}),
    ],
)
def test_imports__key_depends_on_everything(project: Project, change: object) -> None:
    def key(app: App) -> str:
        return imports._key(app, project.folder, app.config["imports"], project.path)  # noqa: SLF001

    assert callable(change)
    assert key(project.app) == key(project.app)
    assert key(change(project.app)) not in {"", key(project.app)}


def test_imports__key_depends_on_the_versions_of_the_cli(project: Project, tmp_path: Path) -> None:
    def key(version: str) -> str:
        cli = tmp_path / version / "node_modules" / "cdk8s-cli"
        (cli / "bin").mkdir(parents=True)
        (cli / "bin" / "cdk8s").touch(mode=0o755)
        (cli / "package.json").write_text(f'{{"version": "{version}"}}')
        return imports._key(project.app, project.folder, [CRD], str(cli / "bin"))  # noqa: SLF001

    assert key("2.1.0") != key("2.2.0")


def test_imports__key_depends_on_the_versions_of_a_generator_that_pnpm_keeps_apart(
    project: Project, tmp_path: Path
) -> None:
    store = tmp_path / "node_modules" / ".pnpm" / "cdk8s-cli@2.1.0" / "node_modules"
    cli, generator, programs = store / "cdk8s-cli", store / "jsii-pacmak", tmp_path / "node_modules" / ".bin"
    for folder in (cli, generator, programs):
        folder.mkdir(parents=True)
    (cli / "package.json").write_text('{"version": "2.1.0"}')
    (tmp_path / "node_modules" / "cdk8s-cli").symlink_to(cli)
    (programs / "cdk8s").touch(mode=0o755)

    def key(version: str) -> str:
        (generator / "package.json").write_text(f'{{"version": "{version}"}}')
        return imports._key(project.app, project.folder, [CRD], str(programs))  # noqa: SLF001

    assert key("1.1.0") != key("1.2.0")


def test_imports__of_a_cli_whose_version_nobody_knows_are_not_cached(project: Project, tmp_path: Path) -> None:
    (tmp_path / "cdk8s").touch(mode=0o755)
    assert imports._key(project.app, project.folder, [CRD], str(tmp_path)) == ""  # noqa: SLF001


def test_imports__of_one_spec_may_be_listed_without_a_list(project: Project) -> None:
    project.app = project.app._replace(config={"imports": CRD})
    assert project.ensure() == ["cdk8s import --language typescript"]
    project.forget()
    assert project.ensure() == []


@pytest.mark.parametrize("value", [5, {"k8s": 1}, [5, None]])
def test_imports__that_are_no_specs_are_left_to_the_cli(project: Project, value: object) -> None:
    project.app = project.app._replace(config={"imports": value})
    assert project.ensure() == []


def test_imports__say_for_which_languages_they_are_generated(project: Project) -> None:
    project.app = project.app._replace(language="javascript")
    assert project.ensure() == []
    assert "`language` in cdk8s.yaml is not one of typescript, python, go, java" in project.said[0]


@pytest.mark.parametrize("spec", ["https://example.com/crd.yaml", "name:=https://example.com/crd.yaml", "github:a/b"])
def test_imports__of_an_address_that_may_change_are_not_cached(project: Project, spec: str) -> None:
    assert imports._key(project.app, project.folder, [spec], project.path) == ""  # noqa: SLF001


@pytest.mark.slow
def test_imports__are_incomplete_without_their_jsii_package(tmp_path: Path) -> None:
    project = Project(tmp_path, "python")
    shutil.copytree(EXAMPLES / "python" / "imports", project.folder / "imports")
    assert project.ensure() == []
    (package,) = (project.folder / "imports").rglob("*.tgz")
    package.unlink()
    assert project.ensure() == ["cdk8s import --language python"]
    assert package.exists()
    package.unlink()
    assert project.ensure() == []
    assert package.exists()


def test_imports__say_how_to_do_without_a_download(tmp_path: Path) -> None:
    project = Project(tmp_path, spec="https://127.0.0.1:1/crd.yaml")
    with pytest.raises(SynthError, match="The imports of app could not be generated") as error:
        project.ensure()
    assert "Commit the generated imports" in error.value.hint
    assert "ECONNREFUSED" in error.value.evidence


def test_imports__say_that_the_cli_is_missing(project: Project) -> None:
    project.path = "/usr/bin:/bin"
    with pytest.raises(SynthError) as error:
        project.ensure()
    assert "add `cdk8s-cli`" in error.value.hint


def test_imports__are_left_alone_when_nothing_is_listed(project: Project) -> None:
    project.app = project.app._replace(config={})
    assert project.ensure() == []
