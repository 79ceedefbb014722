from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.errors import SynthError
from cdk8s_publish.inputs.declared import parse
from cdk8s_publish.model import Level
from cdk8s_publish.render.discover import find_apps
from cdk8s_publish.render.environment import AppEnvironment, RunAs
from cdk8s_publish.render.install import install
from cdk8s_publish.render.output import collect
from cdk8s_publish.render.synth import synthesize
from cdk8s_publish.render.workspace import copy_workspace
from cdk8s_publish.sandbox.confinement import Confinement
from cdk8s_publish.sandbox.environ import scrub
from support import golang, snapshots
from support.programs import LOOPBACK, require, require_toolchain

if TYPE_CHECKING:
    from cdk8s_publish.model import RenderedManifests

ROOT = Path(__file__).parent.parent.parent
NODE_MODULES = ROOT / ".tools" / "npm" / "node_modules"
JAVASCRIPT = """
const { App, Chart, ApiObject, YamlOutputType } = require('cdk8s');
const app = new App({ %s });
const chart = new Chart(app, 'chart');
const add = (id, name, namespace) =>
  new ApiObject(chart, id, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace } });
%s
app.synth();
"""
PYTHON = """
from cdk8s import ApiObject, ApiObjectMetadata, App, Chart, YamlOutputType
app = App(yaml_output_type=YamlOutputType.FILE_PER_RESOURCE)
chart = Chart(app, "chart")
for namespace in ("one", "two"):
    metadata = ApiObjectMetadata(name="same", namespace=namespace)
    ApiObject(chart, namespace, api_version="v1", kind="ConfigMap", metadata=metadata)
app.synth()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "node_modules").symlink_to(NODE_MODULES)
    return folder


def render(
    workspace: Path,
    app: str = "",
    *,
    output: str = "",
    installs: str = "none",
    timeout_s: float = 60,
    has_type_check: bool = True,
    caches: tuple[Path, ...] = (),
) -> tuple[RenderedManifests, list[str]]:
    lines: list[str] = []
    inputs = parse({}).render._replace(app=app, output=output, install=installs)
    (found,) = find_apps(inputs, workspace, ("",), "dist")
    base = workspace.parent / "run"
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir(mode=0o700)
    source = copy_workspace(workspace, base / "source")
    environ = scrub(os.environ, [])
    cache = workspace.parent / "cache"
    cache.mkdir(exist_ok=True)
    within = Confinement().also(writable=caches)
    options = RunAs(environ, workspace, timeout_s, cache=cache, has_type_check=has_type_check, confinement=within)
    for step in found.install:
        install(step, AppEnvironment(step.directory, source, base / "app", options, lines.append))
    rendered = synthesize(found, AppEnvironment("", source, base / "app", options, lines.append))
    return rendered, lines


def texts(rendered: RenderedManifests) -> dict[str, str]:
    return {file.path: file.read().decode() for file in rendered.files}


@pytest.mark.synth
def test_synth__renders_a_javascript_app(workspace: Path) -> None:
    (workspace / "main.js").write_text(JAVASCRIPT % ("", "add('a', 'a'); console.log('::error::hello')"))
    (workspace / "cdk8s.yaml").write_text("app: node main.js\n")
    rendered, lines = render(workspace)
    assert texts(rendered) == {"chart.k8s.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"}
    assert lines == ["::error::hello"]
    assert (rendered.app, rendered.path, rendered.overwritten, rendered.refused) == ("workspace", "dist", (), ())


@pytest.mark.synth
def test_synth__keeps_what_a_file_name_collision_loses_in_javascript(workspace: Path) -> None:
    script = JAVASCRIPT % (
        "yamlOutputType: YamlOutputType.FILE_PER_RESOURCE",
        "add('a', 'same', 'one'); add('b', 'same', 'two'); add('c', 'same', 'three'); add('d', 'other')",
    )
    (workspace / "main.js").write_text(script)
    rendered, _ = render(workspace, "node main.js")
    assert [file.path for file in rendered.files] == ["ConfigMap.other.k8s.yaml", "ConfigMap.same.k8s.yaml"]
    assert [lost.path for lost in rendered.overwritten] == ["ConfigMap.same.k8s.yaml"] * 2
    lost = "".join(item.location.read_text() for item in rendered.overwritten)
    assert "namespace: one" in lost
    assert "namespace: two" in lost
    assert "namespace: three" not in lost


@pytest.mark.synth
@pytest.mark.slow
def test_synth__keeps_what_a_file_name_collision_loses_in_python(workspace: Path) -> None:
    (workspace / "main.py").write_text(PYTHON)
    rendered, _ = render(workspace, f"{sys.executable} main.py")
    assert [file.path for file in rendered.files] == ["ConfigMap.same.k8s.yaml"]
    (lost,) = rendered.overwritten
    assert "namespace: one" in lost.location.read_text()


@pytest.mark.synth
@pytest.mark.slow
@pytest.mark.parametrize("language", sorted(path.parent.name for path in (ROOT / "examples").glob("*/cdk8s.yaml")))
def test_synth__renders_an_example_as_the_cdk8s_cli_does(
    tmp_path: Path, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What `cdk8s synth` writes for the examples is on record in this folder; test_examples holds the CLI against it.
    golden = ROOT / "tests" / "golden" / {"python": "greeter", "typescript": "greeter"}.get(language, language)
    repository = Path.home() / ".m2" / "repository"
    if language == "java":
        require_toolchain("mvn", "javac")
        # Maven's downloads take minutes and are made by other tests as well.
        # An app is let into a folder only where it exists.
        repository.mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("MAVEN_OPTS", f"-Dmaven.repo.local={repository}")
    example, workspace = ROOT / "examples" / language, tmp_path / "workspace"
    ignored = shutil.ignore_patterns("node_modules", ".venv", "dist", "__pycache__")
    shutil.copytree(example, workspace, ignore=ignored)
    if language == "go":
        golang.download_modules(workspace, os.environ)
        for name, value in golang.caches("GOCACHE", "GOMODCACHE").items():
            monkeypatch.setenv(name, value)
    before = snapshots.snapshot(workspace)
    rendered, _ = render(workspace, installs="auto", timeout_s=600, caches=(repository,))
    assert {file.path: file.read() for file in rendered.files} == {
        path.name: path.read_bytes() for path in golden.iterdir()
    }
    assert snapshots.snapshot(workspace) == before


WRITES = {
    "fs.writeFileSync": "fs.writeFileSync(file, text)",
    "fs.writeFile": "await new Promise((done) => fs.writeFile(file, text, done))",
    "promises": "await fs.promises.writeFile(file, text)",
    "promises module": "await require('fs/promises').writeFile(file, text)",
    "url": "fs.writeFileSync(require('url').pathToFileURL(file), text)",
    "descriptor": "{ const fd = fs.openSync(file, 'w'); fs.writeSync(fd, text); fs.closeSync(fd) }",
    "handle": "{ const it = await fs.promises.open(file, 'w'); await it.writeFile(text); await it.close() }",
    "stream": "await new Promise((done) => fs.createWriteStream(file).end(text, done))",
    "rename": "fs.writeFileSync(file + '.tmp', text), fs.renameSync(file + '.tmp', file)",
    "esm": "(await import('fs')).writeFileSync(file, text)",
    "other process": "require('child_process').execFileSync('node', ['-e', `fs.writeFileSync('${file}', '${text}')`])",
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_preload__sees_every_way_of_overwriting(workspace: Path, write: str) -> None:
    lines = "\n".join(f"text = 'text: {text}'; {write};" for text in ("first", "second", "second"))
    script = f"""const fs = require('fs');
        const file = process.env.CDK8S_OUTDIR + '/a.yaml';
        (async () => {{ let text; {lines} }})()"""
    (workspace / "main.js").write_text(script)
    rendered, lines_seen = render(workspace, "node main.js")
    assert texts(rendered) == {"a.yaml": "text: second"}
    assert [(lost.path, lost.location.read_text()) for lost in rendered.overwritten] == [("a.yaml", "text: first")]
    assert lines_seen == []


@pytest.mark.parametrize("app", ["bun main.ts", "bun run main.ts", "bun run render", "bun install && bun run main.ts"])
def test_preload__sees_overwriting_in_bun(workspace: Path, app: str) -> None:
    require("bun")
    (workspace / "package.json").write_text('{"scripts": {"render": "bun main.ts"}}')
    (workspace / "main.ts").write_text(
        "import { writeFileSync } from 'fs';\n"
        "const file: string = process.env.CDK8S_OUTDIR + '/a.yaml';\n"
        "for (const text of ['first', 'second']) writeFileSync(file, 'text: ' + text);\n"
    )
    rendered, _ = render(workspace, app)
    assert texts(rendered) == {"a.yaml": "text: second"}
    assert [(lost.path, lost.location.read_text()) for lost in rendered.overwritten] == [("a.yaml", "text: first")]


def test_preload__leaves_an_app_alone_that_has_options_of_its_own(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "own.cjs").write_text("globalThis.own = 'loaded'")
    monkeypatch.setenv("NODE_OPTIONS", f"--require {workspace}/own.cjs")
    (workspace / "main.js").write_text("const { open } = require('fs'); console.log(own, open.name, open.length)")
    _, lines = render(workspace, "node main.js")
    assert lines == ["loaded open 4"]


def test_synth__an_app_that_writes_nothing_renders_no_files(workspace: Path) -> None:
    rendered, _ = render(workspace, "true")
    assert rendered.files == ()


@pytest.mark.parametrize("ending", ["true", "touch $CDK8S_OUTDIR"])
def test_synth__names_an_app_that_removes_its_output_folder(workspace: Path, ending: str) -> None:
    with pytest.raises(SynthError, match="The app workspace removed the folder in CDK8S_OUTDIR"):
        render(workspace, f"rm -r $CDK8S_OUTDIR; {ending}")


@pytest.mark.parametrize("command", ["kill -9 $$", "sh -c 'kill -9 $$'; exit $?"])
def test_synth__says_what_it_means_to_be_killed(workspace: Path, command: str) -> None:
    with pytest.raises(SynthError, match=r"was killed by signal 9|failed with exit code 137") as error:
        render(workspace, command)
    assert "memory" in error.value.hint
    with pytest.raises(SynthError, match=r"was killed by signal 9|failed with exit code 137") as error:
        render(workspace, "true", installs=command)
    assert "memory" in error.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "npm error code E401",
        "npm error code E404",
        "ERROR: HTTP error 403 while getting https://pypi.example/x.whl: 403 Client Error: Forbidden for url",
        "ERROR: No matching distribution found for acme-charts==1.0",
        "Could not transfer artifact from/to acme: status code: 401, reason phrase: Unauthorized",
        "fatal: could not read Username for 'https://go.example': terminal prompts disabled",
    ],
)
def test_install__that_a_registry_refuses_says_where_credentials_belong(workspace: Path, line: str) -> None:
    for app, installs in (("true", f'echo "{line}"; exit 1'), (f'echo "{line}"; exit 1', "none")):
        with pytest.raises(SynthError) as error:
            render(workspace, app, installs=installs)
        assert "a token that can only read" in error.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "npm error code SELF_SIGNED_CERT_IN_CHAIN",
        "npm error request to https://npm.example failed, reason: unable to get local issuer certificate",
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed\nERROR: No matching distribution found for cdk8s",
        "invalid peer certificate: UnknownIssuer",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "PKIX path building failed: unable to find valid certification path to requested target",
    ],
)
def test_install__that_meets_an_unknown_ca_names_the_variables__u8(workspace: Path, line: str) -> None:
    for app, installs in (("true", f'echo "{line}"; exit 1'), (f'echo "{line}"; exit 1', "none")):
        with pytest.raises(SynthError) as error:
            render(workspace, app, installs=installs)
        assert "NODE_EXTRA_CA_CERTS" in error.value.hint
        assert "PIP_CERT" in error.value.hint


class Unauthorized(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic realm=acme")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_install__does_not_ask_for_a_password(workspace: Path) -> None:
    with HTTPServer((LOOPBACK, 0), Unauthorized) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        index = f"http://{LOOPBACK}:{server.server_port}/simple"
        try:
            with pytest.raises(SynthError) as error:
                render(workspace, "true", installs=f"python3 -m pip --retries 0 download -i {index} acme-charts")
        finally:
            server.shutdown()
            thread.join()
    assert "EOFError" not in error.value.evidence
    assert "a token that can only read" in error.value.hint


def test_synth__names_an_app_that_prints_what_it_should_write(workspace: Path) -> None:
    with pytest.raises(SynthError, match="The app workspace printed manifests and wrote none") as error:
        render(workspace, "echo 'apiVersion: v1'; echo 'kind: ConfigMap'")
    assert "CDK8S_OUTDIR" in error.value.hint


def test_synth__shows_the_last_words_of_an_app_that_fails(workspace: Path) -> None:
    with pytest.raises(
        SynthError, match="The app workspace failed with exit code 3: echo no good >&2; exit 3"
    ) as error:
        render(workspace, "echo no good >&2; exit 3")
    assert error.value.evidence == "no good"


def test_synth__names_the_known_cause_of_a_timeout(workspace: Path) -> None:
    with pytest.raises(SynthError, match=r"did not finish within 0\.5 seconds") as error:
        render(workspace, "sleep 60", timeout_s=0.5)
    assert "exponential" in error.value.hint


def test_synth__says_that_a_program_is_missing(workspace: Path) -> None:
    with pytest.raises(SynthError, match="exit code 127") as error:
        render(workspace, "no-such-program --now")
    assert "not there" in error.value.hint


def test_synth__knows_the_trap_of_cdk8s_init(workspace: Path) -> None:
    (workspace / "main.py").write_text("raise ModuleNotFoundError(\"No module named 'cdk8s'\")")
    with pytest.raises(SynthError, match="exit code 1") as error:
        render(workspace, "python3 main.py")
    assert "cdk8s init python-app" in error.value.hint


@pytest.mark.parametrize(("command", "is_named"), [("no-such-manager install", True), ("sh -c no-such-part", False)])
def test_install__says_that_a_program_is_missing_when_it_is_that_one(
    workspace: Path, command: str, is_named: bool
) -> None:
    with pytest.raises(SynthError, match="exit code 127") as error:
        render(workspace, "true", installs=command)
    assert ("is not installed here" in error.value.hint) is is_named


def test_synth__names_the_folder_that_an_app_insists_on(workspace: Path) -> None:
    with pytest.raises(SynthError, match="wrote to its own folder manifests/prod instead of") as error:
        render(workspace, "mkdir -p manifests/prod; echo 'a: 1' > manifests/prod/a.yaml")
    assert "manifests/prod" in error.value.hint
    assert "expected below" in error.value.evidence
    assert not (workspace / "manifests").exists()


@pytest.mark.parametrize("way", ["input", "cdk8s.yaml"])
def test_synth__takes_the_rendered_manifests_from_the_app_s_own_folder(workspace: Path, way: str) -> None:
    (workspace / "manifests").mkdir()
    (workspace / "manifests" / "stale.yaml").write_text("from an earlier synth")
    if way == "cdk8s.yaml":
        (workspace / "cdk8s.yaml").write_text("output: manifests\n")
    app = "mkdir -p manifests; echo 'a: 1' > manifests/a.yaml"
    rendered, _ = render(workspace, app, output="manifests" if way == "input" else "")
    assert texts(rendered) == {"a.yaml": "a: 1\n"}
    assert [path.name for path in (workspace / "manifests").iterdir()] == ["stale.yaml"]


@pytest.mark.synth
def test_synth__serves_an_app_command_that_calls_the_cli(workspace: Path) -> None:
    (workspace / "main.js").write_text(JAVASCRIPT % ("", "add('a', 'a')"))
    (workspace / "cdk8s.yaml").write_text("app: node main.js\n")
    rendered, _ = render(workspace, "cdk8s synth")
    assert list(texts(rendered)) == ["chart.k8s.yaml"]
    assert not (workspace / "dist").exists()


PLUGIN = """
exports.Validator = class {
  constructor(properties) { this.properties = properties; }
  async validate(context) {
    for (const manifest of context.manifests) {
      for (const resource of context.parseManifest(manifest)) {
        context.report.addViolation({
          ruleName: 'no-config', recommendation: 'Use something else.', fix: 'Remove it.',
          violatingResources: [{ resourceName: resource.metadata.name, manifestPath: manifest, locations: [] }],
        });
      }
    }
    context.report.submit(this.properties.status);
  }
};
"""


@pytest.mark.synth
@pytest.mark.parametrize(("status", "level"), [("failure", Level.ERROR), ("success", Level.WARNING)])
@pytest.mark.parametrize("app", ["", "npm run synth"])
def test_synth__turns_the_reports_of_validation_plugins_into_findings(
    workspace: Path, status: str, level: Level, app: str
) -> None:
    (workspace / "package.json").write_text('{"scripts": {"synth": "cdk8s synth"}}')
    (workspace / "main.js").write_text(JAVASCRIPT % ("", "add('a', 'a'); console.log('shown')"))
    (workspace / "plugin.js").write_text(PLUGIN)
    (workspace / "cdk8s.yaml").write_text(
        "app: node main.js\nvalidations:\n  - package: ./plugin.js\n    version: 1.0.0\n    class: Validator\n"
        f"    properties:\n      status: {status}\n"
    )
    rendered, lines = render(workspace, app)
    assert list(texts(rendered)) == ["chart.k8s.yaml"]
    assert [(item.level, item.rule, item.file) for item in rendered.refused] == [
        (level, "validation", "chart.k8s.yaml")
    ]
    assert rendered.refused[0].message == "plugin.js: no-config (a)"
    assert rendered.refused[0].hint == "Use something else. Remove it."
    assert "shown" in lines or app, "the CLI shows nothing of what an app prints"


@pytest.mark.synth
def test_synth__renders_the_helm_format_that_cdk8s_yaml_asks_for(workspace: Path) -> None:
    (workspace / "main.js").write_text(JAVASCRIPT % ("", "add('a', 'a')"))
    (workspace / "cdk8s.yaml").write_text("app: node main.js\nsynthConfig:\n  format: helm\n  chartVersion: 1.2.3\n")
    rendered, _ = render(workspace)
    assert list(texts(rendered)) == ["Chart.yaml", "README.md", "templates/chart.k8s.yaml"]


@pytest.mark.parametrize(("has_type_check", "shown"), [(True, "no"), (False, "true")])
def test_synth__leaves_types_unchecked_when_that_is_asked_for(
    workspace: Path, has_type_check: bool, shown: str
) -> None:
    _, lines = render(workspace, "echo ${TS_NODE_TRANSPILE_ONLY:-no}", has_type_check=has_type_check)
    assert lines == [shown]


def test_synth__leads_variables_that_point_into_the_checkout_into_the_copy(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", str(workspace / "sub"))
    monkeypatch.setenv("BESIDE", f"{workspace}-other")
    _, lines = render(workspace, 'echo "$WHERE"; echo "$BESIDE"; echo "$HOME"; echo "$PWD"')
    run = workspace.parent / "run"
    assert lines == [f"{run}/source/sub", f"{workspace}-other", f"{run}/app/home", f"{run}/source"]


def test_synth__gives_java_the_private_folders_too(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_toolchain("java", "javac")
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-Dwhose=theirs")
    names = ("user.home", "java.io.tmpdir", "whose")
    shown = " ".join(f'System.out.println(System.getProperty("{name}"));' for name in names)
    (workspace / "Where.java").write_text(f"class Where {{ public static void main(String[] a) {{ {shown} }} }}")
    _, lines = render(workspace, "java Where.java")
    run = workspace.parent / "run"
    assert lines[-3:] == [f"{run}/app/home", f"{run}/app/tmp", "theirs"]


def test_install__runs_a_command_of_the_user_before_the_app(workspace: Path) -> None:
    app = 'cp made "$CDK8S_OUTDIR/a.yaml"'
    rendered, _ = render(workspace, app, installs="echo 'a: 1' > made")
    assert texts(rendered) == {"a.yaml": "a: 1\n"}
    assert not (workspace / "made").exists()


def test_install__that_takes_too_long_names_the_input_that_helps(workspace: Path) -> None:
    with pytest.raises(SynthError, match=r"did not finish within 0\.2 seconds: sleep 9") as error:
        render(workspace, "true", installs="sleep 9", timeout_s=0.2)
    assert "`timeout`" in error.value.hint


def test_install__fails_in_the_words_of_the_package_manager(workspace: Path) -> None:
    (workspace / "node_modules").unlink()
    (workspace / "package.json").write_text('{"name": "a", "dependencies": {"cdk8s": "2.70.106"}}')
    (workspace / "package-lock.json").write_text('{"name": "a", "lockfileVersion": 3, "packages": {"": {}}}')
    with pytest.raises(
        SynthError, match="Installing dependencies in the root of the checkout failed with exit code 1: npm ci"
    ) as error:
        render(workspace, "true", installs="auto")
    assert "package.json and package-lock.json" in error.value.evidence


def test_install__replaces_dependencies_that_are_in_the_checkout(workspace: Path) -> None:
    (workspace / "node_modules").unlink()
    (workspace / "node_modules" / "stale").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (workspace / name).write_text('{"name": "a", "version": "1.0.0", "lockfileVersion": 3, "packages": {}}')
    programs = workspace / ".venv" / "bin"  # comes first on PATH
    programs.mkdir(parents=True)
    (programs / "npm").write_text("#!/bin/sh\nls -d node_modules 2>&1; true\n")
    (programs / "npm").chmod(0o755)
    _, lines = render(workspace, "true", installs="auto")
    assert "No such file or directory" in lines[-1]
    assert lines[0].startswith("node --version: v")
    assert (workspace / "node_modules" / "stale").is_dir()


@pytest.mark.parametrize(("version", "is_refused"), [("1.22.22", True), ("4.12.0", False)])
def test_install__refuses_a_yarn_that_does_not_read_the_lock_file(
    workspace: Path, version: str, is_refused: bool
) -> None:
    (workspace / "package.json").write_text("{}")
    (workspace / "yarn.lock").write_text("__metadata:\n  version: 8\n")
    programs = workspace / ".venv" / "bin"  # comes first on PATH
    programs.mkdir(parents=True)
    (programs / "yarn").write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo {version} || echo installed\n')
    (programs / "yarn").chmod(0o755)
    if is_refused:
        with pytest.raises(SynthError, match=r"yarn 1\.22\.22 can't read this yarn\.lock") as error:
            render(workspace, "true", installs="auto")
        assert "packageManager" in error.value.hint
    else:
        assert render(workspace, "true", installs="auto")[1][-1] == "installed"


def test_collect__ids_are_those_of_git(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "deep" / "er").mkdir(parents=True)
    for name, content in {"b.yaml": b"", "a.yml": b"a: 1\r\n", "deep/er/x": b"\x00" * 5000, "B.yaml": b"b"}.items():
        (out / name).write_bytes(content)
    (out / "construct-metadata.json").write_text("{}")
    (out / "deep" / "construct-metadata.json").write_text("{}")
    files, refused = collect(out)
    assert refused == ()
    assert [file.path for file in files] == ["B.yaml", "a.yml", "b.yaml", "deep/construct-metadata.json", "deep/er/x"]
    paths = "\n".join(file.location for file in files)
    ids = subprocess.run(
        ["git", "hash-object", "--no-filters", "--stdin-paths"], input=paths, capture_output=True, text=True, check=True
    ).stdout.split()
    assert [file.blob for file in files] == ids
    assert [file.size for file in files] == [1, 6, 0, 2, 5000]


def test_collect__publishes_a_link_inside_the_folder_as_content_and_refuses_the_rest(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "deep" / ".git").mkdir(parents=True)
    (tmp_path / "secret").write_text("not ours")
    (out / "real.yaml").write_text("a: 1")
    (out / "deep" / "inside.yaml").symlink_to("../real.yaml")
    (out / "chain.yaml").symlink_to("deep/inside.yaml")
    (out / "outside.yaml").symlink_to(tmp_path / "secret")
    (out / "through.yaml").symlink_to("../secret")
    (out / "nothing.yaml").symlink_to("gone")
    (out / "loop.yaml").symlink_to("loop.yaml")
    (out / "folder").symlink_to("deep")
    os.mkfifo(out / "pipe.yaml")
    (out / ".GIT").write_text("gitdir: /")
    files, refused = collect(out)
    assert {file.path: file.read() for file in files} == dict.fromkeys(
        ["chain.yaml", "deep/inside.yaml", "real.yaml"], b"a: 1"
    )
    assert [(finding.file, finding.message.removeprefix(f"{finding.file} ")) for finding in refused] == [
        (".GIT", "is named like a git folder, which git refuses to store."),
        ("deep/.git", "is named like a git folder, which git refuses to store."),
        ("folder", "is a link to a folder."),
        ("loop.yaml", "is a broken link."),
        ("nothing.yaml", "is a broken link."),
        ("outside.yaml", "is a link that leaves the output folder."),
        ("pipe.yaml", "is neither a file nor a folder (a pipe, a socket or a device)."),
        ("through.yaml", "is a link that leaves the output folder."),
    ]


def test_collect__keeps_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.yaml")
    (tmp_path / name).write_text("a: 1")
    ((file,), _) = collect(tmp_path)
    assert os.fsencode(file.path) == b"caf\xe9.yaml"
