"""Package managers for real: each locks a small project itself, and our program renders it from a clean checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pip._internal.models.index import PyPI

from support.checkouts import Checkout
from support.programs import ROOT, SEARCH_PATH, program, require, require_toolchain, run
from support.runner import Cli
from support.snapshots import Untouched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.runner import Result

EXAMPLE, GOLDEN = ROOT / "examples" / "javascript", ROOT / "tests" / "golden" / "javascript"
NPM_TOOLS = json.loads((ROOT / "scripts" / "npm" / "package.json").read_text())
VERSIONS: Mapping[str, str] = NPM_TOOLS["dependencies"]
YARN = ROOT / ".tools" / "npm" / "node_modules" / "@yarnpkg" / "cli-dist" / "bin" / "yarn.js"
PNPM_OTHER = "10.34.9"
"""Not the version that the set-up installs, nor the newest."""

PAGE = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: page\n"
SHOP_MANIFESTS = {"shop.k8s.yaml": PAGE}
SHOP = {
    "cdk8s.yaml": "language: python\napp: python main.py\n",
    "main.py": """\
from cdk8s import ApiObject, ApiObjectMetadata, App, Chart

app = App()
ApiObject(Chart(app, "shop"), "page", api_version="v1", kind="ConfigMap", metadata=ApiObjectMetadata(name="page"))
app.synth()
""",
}
MAIN_JAVA = """\
import java.util.Map;
import org.cdk8s.ApiObject;
import org.cdk8s.ApiObjectMetadata;
import org.cdk8s.App;
import org.cdk8s.Chart;

public class Main {
    public static void main(String[] args) {
        App app = new App();
        ApiObject.Builder.create(new Chart(app, "shop"), "page").apiVersion("v1").kind("ConfigMap")
            .metadata(ApiObjectMetadata.builder().name("page").build()).build();
        app.synth();
    }
}
"""
# For Gradle 4, which Debian has, as well as for those of today.
BUILD_GRADLE = """\
plugins { id 'java' }
repositories { mavenCentral() }
dependencies {
    implementation 'org.cdk8s:cdk8s:2.70.0'
    implementation 'software.constructs:constructs:10.4.2'
}
task render(type: JavaExec) {
    classpath = sourceSets.main.runtimeClasspath
    if (hasProperty('mainClass')) { mainClass = 'Main' } else { main = 'Main' }
}
"""
PYPROJECT = """\
[project]
name = "shop"
version = "1.0.0"
requires-python = ">=3.11,<4"
dependencies = ["cdk8s==2.70.115", "constructs==10.8.1"]
"""
# Poetry's own way to PyPI needs more than packages (its JSON API), which not every mirror has: any index will do.
POETRY = f"""
[[tool.poetry.source]]
name = "index"
url = "{os.environ.get("PIP_INDEX_URL") or PyPI.simple_url}/"
priority = "primary"
"""
PIPFILE = '[packages]\ncdk8s = "==2.70.115"\nconstructs = "==10.8.1"\n'
IGNORED = ".gradle/\n.venv/\nnode_modules/\n.pnp.*\n.yarn/install-state.gz\n"


def greeter(package_manager: str = "", node: str = "", **more: str) -> dict[str, str]:
    """Return the JavaScript example with another package.json and `more` files; `__` stands for a dot.

    Where the package manager is named, the app has to be compiled first, in a way.
    """
    package = json.loads((EXAMPLE / "package.json").read_text())
    package |= {"engines": {"node": node}} if node else {}
    main = "main.js"
    if package_manager:
        main = "source.js"
        package |= {"packageManager": package_manager, "scripts": {"compile": f"cp {main} main.js"}}
    return {
        "cdk8s.yaml": (EXAMPLE / "cdk8s.yaml").read_text(),
        main: (EXAMPLE / "main.js").read_text(),
        "package.json": json.dumps(package, indent=2),
        **{name.replace("__", "."): text for name, text in more.items()},
    }


def shop(**more: str) -> dict[str, str]:
    """Return the Python app and `more` files; `__` stands for a dot."""
    return {**SHOP, **{name.replace("__", "."): text for name, text in more.items()}}


@dataclass(frozen=True)
class Project:
    """A project and its package manager.

    `found` is what the log has to say that was found. `lock` is the shell command with which the manager itself writes
    the lock file, `words` (a regular expression) what it says when that no longer fits its manifest.
    """

    tool: str
    files: Mapping[str, str]
    found: str
    lock: str = ":"
    words: str = ""

    @property
    def manifest(self) -> str:
        return next(name for name in ("package.json", "pyproject.toml", "Pipfile") if name in self.files)

    @property
    def manifests(self) -> Mapping[str, bytes]:
        if "main.py" in self.files:
            return SHOP_MANIFESTS
        return {path.name: path.read_bytes() for path in GOLDEN.iterdir()}


YARN_PATH = "yarnPath: .yarn/yarn.cjs\n"
YARN_FOUND = "yarn, because there is package.json and yarn.lock with `__metadata:`"
YARN_LOCK = "yarn install --mode=update-lockfile"
YARN_WORDS = "The lockfile would have been modified by this install, which is explicitly forbidden"
LOCKED = {
    "npm": Project(
        "npm",
        greeter(),
        "npm, because there is package.json and package-lock.json",
        "npm install --package-lock-only",
        r"Invalid: lock file's constructs@10\.8\.1 does not satisfy constructs@10\.8\.0",
    ),
    "npm with npm-shrinkwrap.json": Project(
        "npm",
        greeter(),
        "npm, because there is package.json and npm-shrinkwrap.json",
        "npm install --package-lock-only && npm shrinkwrap",
        r"Invalid: lock file's constructs@10\.8\.1 does not satisfy constructs@10\.8\.0",
    ),
    "pnpm": Project(
        "pnpm",
        greeter(),
        "pnpm, because there is package.json and pnpm-lock.yaml",
        "pnpm install --lockfile-only",
        "ERR_PNPM_OUTDATED_LOCKFILE",
    ),
    "yarn classic": Project(
        "yarn",
        greeter(),
        "yarn classic, because there is package.json and yarn.lock",
        "yarn install",
        "Your lockfile needs to be updated",
    ),
    "yarn": Project(
        "yarn", greeter(__yarnrc__yml=YARN_PATH + "nodeLinker: node-modules\n"), YARN_FOUND, YARN_LOCK, YARN_WORDS
    ),
    "yarn without node_modules": Project("yarn", greeter(__yarnrc__yml=YARN_PATH), YARN_FOUND, YARN_LOCK, YARN_WORDS),
    "bun": Project(
        "bun",
        greeter(),
        "bun, because there is package.json and bun.lock",
        "bun install --lockfile-only",
        "lockfile had changes, but lockfile is frozen",
    ),
    # As Bun wrote it before 1.2.
    "bun with bun.lockb": Project(
        "bun",
        greeter(bunfig__toml="[install]\nsaveTextLockfile = false\n"),
        "bun, because there is package.json and bun.lockb",
        "bun install --lockfile-only",
        "lockfile had changes, but lockfile is frozen",
    ),
    "uv": Project(
        "uv",
        shop(pyproject__toml=PYPROJECT),
        "uv, because there is pyproject.toml and uv.lock",
        "uv lock",
        "The lockfile at `uv.lock` needs to be updated",
    ),
    "poetry": Project(
        "poetry",
        shop(pyproject__toml=PYPROJECT + POETRY),
        "poetry, because there is pyproject.toml and poetry.lock",
        "poetry lock",
        r"pyproject\.toml changed significantly since poetry\.lock was last generated",
    ),
    "pipenv": Project(
        "pipenv",
        shop(Pipfile=PIPFILE),
        "pipenv, because there is Pipfile and Pipfile.lock",
        "pipenv lock",
        r"Your Pipfile\.lock\s+\(\w+\)\s+is\s+out\s+of\s+date",
    ),
}
UNLOCKED = {
    "npm": Project("npm", greeter(), "npm, because there is package.json"),
    "pnpm": Project(
        "pnpm",
        greeter(f"pnpm@{VERSIONS['pnpm']}"),
        'pnpm, because there is package.json with `"packageManager": "pnpm@`',
    ),
    "yarn classic": Project(
        "yarn",
        greeter(f"yarn@{VERSIONS['yarn']}"),
        'yarn classic, because there is package.json with `"packageManager": "yarn@1.`',
    ),
    "yarn": Project(
        "yarn",
        greeter(f"yarn@{VERSIONS['@yarnpkg/cli-dist']}", __yarnrc__yml=YARN_PATH),
        'yarn, because there is package.json with `"packageManager": "yarn@`',
    ),
    "bun": Project("bun", greeter("bun@1"), 'bun, because there is package.json with `"packageManager": "bun@`'),
    "uv": Project(
        "uv",
        shop(pyproject__toml=PYPROJECT + "[tool.uv]\npackage = false\n"),
        "uv, because there is pyproject.toml with `[tool.uv`",
    ),
    "poetry": Project(
        "poetry",
        shop(pyproject__toml=PYPROJECT + POETRY),
        "poetry, because there is pyproject.toml with `[tool.poetry`",
    ),
    "pipenv": Project("pipenv", shop(Pipfile=PIPFILE), "pipenv, because there is Pipfile"),
    "pip": Project("python3", shop(pyproject__toml=PYPROJECT), "pip, because there is pyproject.toml"),
}
COREPACK = {
    "pnpm": Project(
        "corepack",
        greeter(f"pnpm@{PNPM_OTHER}"),
        "pnpm, because there is package.json and pnpm-lock.yaml",
        "corepack pnpm install --lockfile-only",
        f"pnpm v{PNPM_OTHER}",
    ),
    "yarn": Project(
        "corepack",
        greeter(f"yarn@{VERSIONS['@yarnpkg/cli-dist']}"),
        YARN_FOUND,
        f"corepack {YARN_LOCK}",
        f"Yarn {VERSIONS['@yarnpkg/cli-dist']}",
    ),
}


def environ() -> dict[str, str]:
    """Return the machine's way to its package registries: its variables, without those of the CI product."""
    ours = re.compile(r"(HOME|PATH|TMPDIR|VIRTUAL_ENV|(CI|GITHUB|GITLAB|RUNNER|INPUT|CDK8S|PYTEST)(_.*)?)$")
    return {name: value for name, value in os.environ.items() if not ours.match(name)}


def commit(project: Project, folder: Path, directory: str = "", **env: str) -> Checkout:
    """Return a checkout in which the project is committed with the lock file that its manager wrote."""
    require(project.tool)
    checkout = Checkout.create(folder, {})
    for name, text in {**project.files, ".gitignore": IGNORED}.items():
        checkout.write(f"{directory}/{name}" if directory else name, text.encode())
    if YARN_PATH in project.files.get(".yarnrc.yml", ""):
        checkout.write(".yarn/yarn.cjs", YARN.read_bytes())
    home = folder / "home"
    home.mkdir()
    own = {"PATH": SEARCH_PATH, "HOME": str(home), "PIPENV_VENV_IN_PROJECT": "1", **env}
    run("sh", "-c", project.lock, cwd=checkout.path / directory, env={**environ(), **own})
    checkout.git("clean", "-fdXq")
    checkout.commit("Add the project")
    return checkout


@pytest.fixture(scope="module", params=LOCKED)
def locked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Checkout]:
    project = LOCKED[request.param]
    return project, commit(project, tmp_path_factory.mktemp("project"))


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return the program on a machine of its own, as in CI, with a way to the package registries."""
    return Cli.create(tmp_path / "machine", **environ(), CI="true")


@pytest.fixture
def corepack(tmp_path: Path) -> dict[str, str]:
    """Return the variables of a machine that has Node.js and Corepack, but neither yarn nor pnpm.

    Corepack is to ask the registry that npm asks, and not for signatures, which mirrors do not pass on.
    """
    path = tmp_path / "path"
    path.mkdir()
    for name in ("node", "corepack", "git", "sh", "env", "cp"):
        (path / name).symlink_to(program(name))
    registry = run(program("npm"), "config", "get", "registry", env={**os.environ, "PATH": SEARCH_PATH}).stdout.decode()
    return {"PATH": str(path), "COREPACK_NPM_REGISTRY": registry.strip().rstrip("/"), "COREPACK_INTEGRITY_KEYS": "0"}


def publish(cli: Cli, checkout: Checkout, *args: str, **env: str) -> Result:
    """Run, and prove that checkout and home are as they were and nothing is left behind, whatever the run ended in."""
    guard = Untouched(checkout.path, cli.home)
    done = cli.run("run", *args, cwd=checkout.path, **env)
    guard.check()
    assert checkout.git("status", "--porcelain", "--ignored") == ""
    assert cli.left_behind() == []
    assert "Traceback" not in done.text
    return done


def published(checkout: Checkout) -> dict[str, bytes]:
    files = checkout.origin.files("manifests").items()
    return {name.removeprefix("dist/"): content for name, content in files if name.endswith(".yaml")}


@pytest.mark.slow
@pytest.mark.synth
def test_manager__installs_what_its_lock_file_says(locked: tuple[Project, Checkout], cli: Cli) -> None:
    project, checkout = locked
    done = publish(cli, checkout).ok()
    assert f"Install with {project.found} in the root of the checkout\n" in done.stdout
    assert "can render something else" not in done.text
    assert re.search(r"^(node|python3) --version: \D*\d", done.stdout, re.MULTILINE)
    assert published(checkout) == project.manifests


@pytest.mark.slow
@pytest.mark.synth
def test_manager__refuses_a_lock_file_that_disagrees_with_its_manifest(
    locked: tuple[Project, Checkout], cli: Cli, tmp_path: Path
) -> None:
    project, original = locked
    checkout = original.ci_checkout(tmp_path / "stale")
    changed = project.files[project.manifest].replace("10.8.1", "10.8.0")
    checkout.write(project.manifest, changed.encode())
    checkout.git("commit", "--quiet", "--all", "--message", "Change the manifest alone")
    done = publish(cli, checkout).exits(3)
    assert re.search(project.words, done.text)


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.parametrize("project", UNLOCKED.values(), ids=UNLOCKED)
def test_manager__installs_without_a_lock_file_and_warns(project: Project, cli: Cli, tmp_path: Path) -> None:
    checkout = commit(project, tmp_path)
    done = publish(cli, checkout).ok()
    assert f"Install with {project.found} in the root of the checkout\n" in done.stdout
    assert "the same source can render something else tomorrow" in done.text
    assert published(checkout) == project.manifests


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.parametrize("project", COREPACK.values(), ids=COREPACK)
def test_corepack__runs_the_version_that_the_project_asks_for(
    project: Project, cli: Cli, corepack: dict[str, str], tmp_path: Path
) -> None:
    checkout = commit(project, tmp_path, **corepack)
    done = publish(cli, checkout, **corepack).ok()
    assert f"Install with {project.found} in the root of the checkout\n" in done.stdout
    assert project.words in done.stdout
    assert published(checkout) == project.manifests


@pytest.mark.slow
@pytest.mark.synth
def test_corepack__is_asked_in_the_folder_of_the_app(cli: Cli, corepack: dict[str, str], tmp_path: Path) -> None:
    # As in the image: `pnpm` is there, and is Corepack, which runs what the package.json of its folder asks for.
    shims = corepack["PATH"]
    run("corepack", "enable", "--install-directory", shims, "pnpm", env=corepack)
    checkout = commit(COREPACK["pnpm"], tmp_path, "apps/web", **corepack)
    done = publish(cli, checkout, "--working-directory", "apps/web", **corepack).ok()
    assert COREPACK["pnpm"].words in done.stdout
    assert published(checkout) == COREPACK["pnpm"].manifests


REFUSED = {
    "yarn classic": (
        Project("yarn", greeter(node=">=99"), "", "yarn install --ignore-engines"),
        r'The engine "node" is incompatible with this module\. Expected version ">=99"',
    ),
    "pipenv": (
        Project("pipenv", shop(Pipfile=PIPFILE + '[requires]\npython_version = "3.99"\n'), ""),
        "Python 3.99 was not found on your system",
    ),
    "poetry": (
        Project("poetry", shop(pyproject__toml=PYPROJECT.replace(">=3.11,<4", ">=3.99,<4") + POETRY), ""),
        r"Python version [\d.]+ is not supported by the project",
    ),
    "uv": (
        Project("uv", {**shop(pyproject__toml=PYPROJECT), ".python-version": "3.99\n"}, "", "uv lock --python 3.11"),
        "No interpreter found for Python 3.99",
    ),
}


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.parametrize(("project", "words"), REFUSED.values(), ids=REFUSED)
def test_manager__says_itself_that_a_version_is_refused(project: Project, words: str, cli: Cli, tmp_path: Path) -> None:
    done = publish(cli, commit(project, tmp_path)).exits(3)
    assert re.search(words, done.text)


@pytest.mark.slow
@pytest.mark.synth
def test_pip__refuses_a_package_with_another_hash(cli: Cli, tmp_path: Path) -> None:
    pinned = f"constructs==10.8.1 --hash=sha256:{'0' * 64}\n"
    checkout = commit(Project("python3", shop(requirements__txt=pinned), ""), tmp_path)
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in publish(cli, checkout).exits(3).text


GRADLE = {"build.gradle": BUILD_GRADLE, "src/main/java/Main.java": MAIN_JAVA}
GRADLE_FOUND = (
    "java app in the root of the checkout; nothing to install: "
    "Gradle fetches what the app command needs (there is build.gradle in the root of the checkout)\n"
)
# Gradle 4 on a Java that is newer than it; its own start script in Debian says the same.
GRADLE_OPTS = " ".join(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in ("lang", "lang.invoke", "util"))


@pytest.mark.slow
@pytest.mark.synth
def test_gradle__is_left_to_the_app_command(cli: Cli, tmp_path: Path) -> None:
    require_toolchain("gradle", "javac")
    files = {"cdk8s.yaml": "language: java\napp: gradle --quiet render\n", **GRADLE}
    checkout = commit(Project("gradle", files, ""), tmp_path)
    done = publish(cli, checkout).ok()
    assert GRADLE_FOUND in done.stdout
    assert published(checkout) == SHOP_MANIFESTS


@pytest.mark.slow
@pytest.mark.synth
def test_gradlew__fetches_its_gradle_into_the_cache(cli: Cli, tmp_path: Path) -> None:
    require_toolchain("gradle", "javac")
    home = Path(program("gradle")).resolve().parent.parent
    distribution = shutil.make_archive(str(tmp_path / "gradle-bin"), "zip", home.parent, home.name)
    wrapper = f"gradle --no-daemon -g $HOME/gradle wrapper --quiet --gradle-distribution-url file://{distribution}"
    files = {"cdk8s.yaml": "language: java\napp: ./gradlew render\n", **GRADLE}
    checkout = commit(Project("gradle", files, "", wrapper), tmp_path)
    done = publish(cli, checkout, GRADLE_OPTS=GRADLE_OPTS).ok()
    assert GRADLE_FOUND in done.stdout
    assert f"file:{distribution}" in done.stdout
    assert published(checkout) == SHOP_MANIFESTS


# Two apps and what they share. Every manager takes the version of its own for a package beside the app.
WEB = """\
import { ApiObject, App, Chart } from 'cdk8s';
import { name } from 'common';

const app = new App();
new ApiObject(new Chart(app, 'shop'), 'page', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
app.synth();
"""
UV_MEMBER = """\
[project]
name = "{name}"
version = "1.0.0"
requires-python = ">=3.11,<4"
dependencies = {dependencies}
"""


def node_workspace(common: str, **more: str) -> dict[str, str]:
    """Return a workspace of npm packages in which the apps ask for `common`; `__` stands for a dot."""
    dependencies = json.loads((EXAMPLE / "package.json").read_text())["dependencies"] | {"common": common}
    package = {"version": "1.0.0", "private": True, "type": "module"}
    files = {
        "package.json": json.dumps({"name": "shops", "private": True, "workspaces": ["apps/*", "libs/*"]}),
        "libs/common/package.json": json.dumps({"name": "common", "main": "index.js", **package}),
        "libs/common/index.js": "export const name = 'page';\n",
    }
    for name in ("one", "two"):
        files[f"apps/{name}/package.json"] = json.dumps({"name": name, "dependencies": dependencies, **package})
        files[f"apps/{name}/main.js"] = WEB
        files[f"apps/{name}/cdk8s.yaml"] = "language: javascript\napp: node main.js\n"
    return files | {name.replace("__", "."): text for name, text in more.items()}


def uv_workspace(root: str) -> dict[str, str]:
    """Return a workspace of Python packages, with `root` in the root's pyproject.toml."""
    common = UV_MEMBER.format(name="common", dependencies="[]")
    build = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    shop = UV_MEMBER.format(name="{}", dependencies='["cdk8s==2.70.115", "constructs==10.8.1", "common"]')
    files = {
        "pyproject.toml": f'{root}[tool.uv.workspace]\nmembers = ["apps/*", "libs/*"]\n',
        "libs/common/pyproject.toml": common + build,
        "libs/common/common.py": 'name = "page"\n',
    }
    for name in ("one", "two"):
        files[f"apps/{name}/pyproject.toml"] = shop.format(name) + "[tool.uv.sources]\ncommon = { workspace = true }\n"
        files[f"apps/{name}/main.py"] = "from common import name\n" + SHOP["main.py"].replace('"page"))', "name))")
        files[f"apps/{name}/cdk8s.yaml"] = SHOP["cdk8s.yaml"]
    return files


def in_workspace(locked: str, files: Mapping[str, str], words: str = "") -> Project:
    """Return a workspace that is locked as that other project is; `words` are what it says of a stale lock file."""
    return replace(LOCKED[locked], files=files, words=words or LOCKED[locked].words)


WORKSPACES = {
    "npm": in_workspace("npm", node_workspace("1.0.0"), r"package\.json and package-lock\.json .* are in sync"),
    "pnpm": in_workspace(
        "pnpm", node_workspace("workspace:*") | {"pnpm-workspace.yaml": "packages:\n  - apps/*\n  - libs/*\n"}
    ),
    "yarn classic": in_workspace(
        "yarn classic", node_workspace("1.0.0"), r"yarn\.lock does not hold constructs@10\.8\.0, which a package of"
    ),
    "yarn": in_workspace("yarn", node_workspace("workspace:*", __yarnrc__yml=YARN_PATH + "nodeLinker: node-modules\n")),
    "yarn without node_modules": in_workspace("yarn", node_workspace("workspace:*", __yarnrc__yml=YARN_PATH)),
    "bun": in_workspace("bun", node_workspace("workspace:*")),
    "uv": in_workspace("uv", uv_workspace("")),
    "uv with a project in the root": in_workspace(
        "uv", uv_workspace(UV_MEMBER.format(name="shops", dependencies="[]"))
    ),
}


@pytest.fixture(scope="module", params=WORKSPACES)
def workspace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Checkout]:
    project = WORKSPACES[request.param]
    return project, commit(project, tmp_path_factory.mktemp("workspace"))


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.parametrize("hermetic", ["false", "true"])
def test_workspace__is_installed_once_for_all_its_apps(
    workspace: tuple[Project, Checkout], hermetic: str, cli: Cli, tmp_path: Path
) -> None:
    project, original = workspace
    checkout = original.ci_checkout(tmp_path / "fresh")
    branch = f"hermetic-{hermetic}"
    folders = ("--working-directory", "apps/*", "--path", "{app}", "--hermetic", hermetic)
    done = publish(cli, checkout, *folders, "--branch", branch).ok()
    assert done.stdout.count(f"Install with {project.found} in the root of the checkout\n") == 1
    found = checkout.origin.files(branch)
    assert {name: found[f"{name}/shop.k8s.yaml"] for name in ("one", "two")} == dict.fromkeys(("one", "two"), PAGE)


@pytest.mark.slow
@pytest.mark.synth
def test_workspace__installs_for_one_app(workspace: tuple[Project, Checkout], cli: Cli, tmp_path: Path) -> None:
    project, original = workspace
    checkout = original.ci_checkout(tmp_path / "fresh")
    done = publish(cli, checkout, "--working-directory", "apps/two").ok()
    assert f"Install with {project.found} in the root of the checkout\n" in done.stdout
    assert published(checkout) == SHOP_MANIFESTS


@pytest.mark.slow
@pytest.mark.synth
def test_workspace__refuses_a_lock_file_that_disagrees_with_one_of_its_packages(
    workspace: tuple[Project, Checkout], cli: Cli, tmp_path: Path
) -> None:
    project, original = workspace
    checkout = original.ci_checkout(tmp_path / "stale")
    for manifest in (f"apps/one/{project.manifest}", f"apps/two/{project.manifest}"):
        checkout.write(manifest, project.files[manifest].replace("10.8.1", "10.8.0").encode())
    checkout.git("commit", "--quiet", "--all", "--message", "Change the manifests alone")
    done = publish(cli, checkout, "--working-directory", "apps/two").exits(3)
    assert re.search(project.words, done.text)
