from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.errors import InputError
from cdk8s_publish.inputs.declared import parse
from cdk8s_publish.inputs.values import folder
from cdk8s_publish.render.discover import App, find_apps

if TYPE_CHECKING:
    from pathlib import Path

YARN = '--non-interactive --mutex "file:$XDG_CACHE_HOME/yarn-mutex"'


def find(workspace: Path, directory: str = "", *, command: str = "", install: str = "auto") -> App:
    inputs = parse({}).render._replace(app=command, install=install)
    (app,) = find_apps(inputs, workspace, (directory,), "dist")
    return app


def write(folder: Path, *names: str, **contents: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    for name, content in contents.items():
        (folder / name.replace("__", "/").replace("_", ".")).write_text(content)


@pytest.mark.parametrize(
    ("files", "command", "language"),
    [
        (["package.json", "package-lock.json"], "npm ci --no-audit --no-fund", "node"),
        (["package.json", "yarn.lock"], f"yarn install --frozen-lockfile {YARN}", "node"),
        (["package.json", "pnpm-lock.yaml"], "pnpm install --frozen-lockfile", "node"),
        (["package.json", "bun.lock"], "bun install --frozen-lockfile", "node"),
        (["pyproject.toml", "uv.lock"], "uv sync --locked --all-packages", "python"),
        (["pyproject.toml", "poetry.lock"], "poetry install --no-interaction --no-root", "python"),
        (["Pipfile", "Pipfile.lock"], "pipenv install --deploy", "python"),
        (["go.mod", "go.sum"], "go mod download", "go"),
    ],
)
def test_install__is_what_the_lock_file_asks_for(tmp_path: Path, files: list[str], command: str, language: str) -> None:
    write(tmp_path, *files)
    app = find(tmp_path, command="go run ." if language == "go" else "true")
    (step,) = app.install
    assert (step.command, step.warning, app.language) == (command, "", language)
    assert all(name in step.reason for name in files if name != "go.sum")


def test_install__knows_the_lock_file_of_yarn_by_what_it_holds(tmp_path: Path) -> None:
    write(tmp_path, package_json="{}", yarn_lock="__metadata:\n  version: 8\n")
    (step,) = find(tmp_path, command="true").install
    assert (step.command, step.warning) == ("yarn install --immutable", "")
    assert "yarn, because there is package.json and yarn.lock with `__metadata:`" in step.reason


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"package_json": '{"packageManager": "pnpm@11.0.0"}'}, "pnpm install --no-lockfile"),
        ({"package_json": '{"packageManager": "bun@1.4.5"}'}, "bun install --no-save"),
        ({"package_json": '{"packageManager": "yarn@1.22.22"}'}, f"yarn install --no-lockfile {YARN}"),
        ({"package_json": '{"packageManager": "yarn@4.18.1"}'}, "yarn install --no-immutable"),
        ({"package_json": '{"packageManager": "npm@11.0.0"}'}, "npm install --no-audit --no-fund --no-package-lock"),
        ({"pyproject_toml": "[tool.poetry]\n"}, "poetry install --no-interaction --no-root"),
        ({"pyproject_toml": "[tool.uv.sources]\n"}, "uv sync --all-packages"),
    ],
)
def test_install__without_a_lock_file_is_by_the_manager_that_is_named(
    tmp_path: Path, files: dict[str, str], command: str
) -> None:
    write(tmp_path, **files)
    (step,) = find(tmp_path, command="true").install
    assert step.command == command
    assert step.warning.startswith("There is no lock file")


def test_install__warns_when_there_is_no_lock_file(tmp_path: Path) -> None:
    write(tmp_path, "package.json")
    (step,) = find(tmp_path, command="true").install
    assert step.command.startswith("npm install")
    assert "There is no lock file for npm" in step.warning


@pytest.mark.parametrize(
    ("requirements", "culprit"),
    [
        ("cdk8s==2.70.1\n# a comment\n--hash=x\nconstructs==10.4.2 \\\n    --hash=sha256:0\n", ""),
        ("cdk8s>=2\nconstructs==10.4.2\n", "'cdk8s>=2'"),
    ],
)
def test_install__warns_of_requirements_that_are_not_pinned(tmp_path: Path, requirements: str, culprit: str) -> None:
    write(tmp_path, requirements_txt=requirements)
    (step,) = find(tmp_path, command="true").install
    assert bool(step.warning) == bool(culprit)
    assert culprit in step.warning


def test_install__warns_of_requirements_that_an_included_file_does_not_pin(tmp_path: Path) -> None:
    write(tmp_path, requirements_txt="-r base.txt\n", base_txt="--requirement requirements.txt\ncdk8s\n")
    (step,) = find(tmp_path, command="true").install
    assert "'cdk8s'" in step.warning


def test_install__of_go_modules_is_for_apps_in_go(tmp_path: Path) -> None:
    write(tmp_path, "go.mod", "go.sum")
    write(tmp_path / "deploy", "pyproject.toml")
    assert find(tmp_path, "deploy", command="python3 main.py").language == "python"
    (tmp_path / "deploy" / "cdk8s.yaml").write_text("language: go\napp: make manifests\n")
    (step,) = find(tmp_path, "deploy").install
    assert (step.command, step.directory) == ("go mod download", "")


def test_install__downloads_nothing_that_is_vendored(tmp_path: Path) -> None:
    write(tmp_path / "vendor", "modules.txt")
    write(tmp_path, "go.mod", "go.sum")
    (step,) = find(tmp_path, command="go run .").install
    assert step.command == "go list -mod=vendor -m"


@pytest.mark.parametrize(
    ("files", "install", "reason"),
    [
        (
            ["pom.xml"],
            "auto",
            "Maven fetches what the app command needs (there is pom.xml in the root of the checkout)",
        ),
        (["settings.gradle.kts"], "auto", "Gradle fetches what the app command needs (there is settings.gradle.kts in"),
        (["go.mod"], "auto", "no file of a package manager was found in apps/web or above it"),
        (["package.json"], "none", "the input `install` is `none`"),
    ],
)
def test_install__says_why_nothing_is_installed(tmp_path: Path, files: list[str], install: str, reason: str) -> None:
    write(tmp_path, *files)
    write(tmp_path / "apps" / "web")
    app = find(tmp_path, "apps/web", command="true", install=install)
    assert app.install == ()
    assert app.nothing_installed.startswith(reason)


@pytest.mark.parametrize(
    ("files", "command", "own"),
    [
        (["Pipfile"], "pipenv install && pipenv run python main.py", "pipenv install"),
        (["pyproject.toml"], "uv run python main.py", "uv run"),
        (["requirements.txt"], "uv run python main.py", "uv run"),
        (["package.json"], "npm run render", "npm install"),
        ([], "uv run main.py", "uv run"),
    ],
)
def test_install__is_left_to_an_app_command_that_does_it(
    tmp_path: Path, files: list[str], command: str, own: str
) -> None:
    write(tmp_path, *files)
    if files == ["package.json"]:
        write(tmp_path, package_json='{"scripts": {"render": "npm install && node main.js"}}')
    app = find(tmp_path, command=command)
    assert app.install == ()
    assert app.nothing_installed.startswith(f"the app command does that by itself (`{own}`)")
    assert ("no lock file" in app.warning) == (files != ["requirements.txt"])


@pytest.mark.parametrize(
    ("files", "command", "install"),
    [
        (["Pipfile", "Pipfile.lock"], "pipenv install && pipenv run python main.py", "pipenv install --deploy"),
        (["pyproject.toml", "uv.lock"], "uv run python main.py", "uv sync --locked"),
        (["pyproject.toml"], "pip install . && python main.py", "python3 -m venv"),
        (["package.json"], "npm run synth", "npm install"),
    ],
)
def test_install__goes_before_an_app_command_that_finds_everything_there(
    tmp_path: Path, files: list[str], command: str, install: str
) -> None:
    write(tmp_path, *files)
    (step,) = find(tmp_path, command=command).install
    assert step.command.startswith(install)


@pytest.mark.parametrize(
    ("command", "files", "is_compiled"),
    [
        ("node main", [], True),
        ("node main.cjs", [], True),
        ("node main.ts", ["main.ts"], False),
        ("node main", ["main.js"], False),
        ("node lib", ["lib/index.js"], False),
        ("node main.js --rules=other.js", ["main.js"], False),
        ("node --version && ts-node main", [], False),
    ],
)
def test_install__compiles_what_node_would_not_find(
    tmp_path: Path, command: str, files: list[str], is_compiled: bool
) -> None:
    write(tmp_path / "lib")
    write(tmp_path, *files, package_json='{"scripts": {"compile": "tsc"}}')
    steps = find(tmp_path, command=command).install
    assert [step.command for step in steps if step.is_compilation] == ["npm run compile"] * is_compiled


def test_install__of_an_app_beside_a_java_project_is_its_own(tmp_path: Path) -> None:
    write(tmp_path, "pom.xml")
    write(tmp_path / "deploy", "package.json")
    (step,) = find(tmp_path, "deploy", command="node main.js").install
    assert (step.command.split()[0], step.directory) == ("npm", "deploy")


def test_install__is_what_the_user_says(tmp_path: Path) -> None:
    write(tmp_path / "a", "package.json", "package-lock.json")
    assert find(tmp_path, "a", command="true", install="none").install == ()
    (step,) = find(tmp_path, "a", command="true", install="make deps").install
    assert (step.command, step.directory, step.manager) == ("make deps", "a", None)


def test_install__takes_the_language_of_cdk8s_yaml_before_other_files(tmp_path: Path) -> None:
    write(tmp_path, "package.json", "package-lock.json", "uv.lock", "pyproject.toml")
    (tmp_path / "cdk8s.yaml").write_text("language: python\napp: python main.py\n")
    assert find(tmp_path).install[0].command == "uv sync --locked --all-packages"


def test_install__finds_the_lock_file_of_a_workspace_above(tmp_path: Path) -> None:
    write(tmp_path, "package.json", "pnpm-lock.yaml")
    write(tmp_path / "apps" / "web", "package.json")
    (step,) = find(tmp_path, "apps/web", command="true").install
    assert (step.command, step.directory) == ("pnpm install --frozen-lockfile", "")


def test_install__compiles_what_the_app_command_runs(tmp_path: Path) -> None:
    scripts = '{"scripts": {"compile": "tsc", "build": "npm run compile && cdk8s synth"}}'
    write(tmp_path, "package-lock.json", "main.ts", package_json=scripts)
    steps = find(tmp_path, command="node main.js").install
    assert [step.command for step in steps] == ["npm ci --no-audit --no-fund", "npm run compile"]
    assert "main.js of the app command has to be compiled first" in steps[1].reason
    write(tmp_path, "bun.lock")
    assert find(tmp_path, command="node main.js").install[1].command == "bun run compile"
    write(tmp_path, "main.js")
    assert len(find(tmp_path, command="node main.js").install) == 1


@pytest.mark.parametrize(
    ("above", "beside", "program"),
    [
        ("package-lock.json", "pyproject.toml", "python3"),
        ("uv.lock", "package.json", "npm"),
        ("pnpm-lock.yaml", "package.json", "pnpm"),
    ],
)
def test_install__of_the_language_beside_the_app(tmp_path: Path, above: str, beside: str, program: str) -> None:
    write(tmp_path, "package.json", "pyproject.toml", above)
    write(tmp_path / "deploy", beside)
    (step,) = find(tmp_path, "deploy", command="true").install
    assert step.command.split()[0] == program


def test_find_apps__teaches_when_nothing_says_how_the_app_is_run(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "app", "cdk8s.yaml")
    with pytest.raises(InputError, match="Nothing says how to run the app in the root of the checkout") as error:
        find(tmp_path)
    assert error.value.evidence == "cdk8s.yaml was found in deep/app"
    assert "app: python main.py" in error.value.hint


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("app: [", "apps/a/cdk8s.yaml is not valid YAML"),
        ("- app", "apps/a/cdk8s.yaml must hold keys and values"),
        ("app: '  '", "Nothing says how to run the app in apps/a"),
        ("app: [node, main.js]", "`app` in apps/a/cdk8s.yaml must be a string, not list"),
    ],
)
def test_find_apps__refuses_a_configuration_it_can_t_read(tmp_path: Path, config: str, message: str) -> None:
    (tmp_path / "apps" / "a").mkdir(parents=True)
    (tmp_path / "apps" / "a" / "cdk8s.yaml").write_text(config)
    with pytest.raises(InputError, match=message) as error:
        find(tmp_path, "apps/*")
    assert "app: python main.py" in error.value.hint


@pytest.mark.parametrize("directory", ["..", "/etc", "a/../.."])
def test_find_apps__stays_inside_the_checkout(tmp_path: Path, directory: str) -> None:
    with pytest.raises(InputError, match="is not inside the checkout"):
        find(tmp_path, directory)


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("node main.js", ""),
        ("npx cdk8s synth", "dist"),
        ("npm ci && npx cdk8s-cli synthesize", "dist"),
        ("npm run build", "dist"),
        ("yarn plain", ""),
    ],
)
def test_app__knows_where_the_cli_writes(tmp_path: Path, command: str, output: str) -> None:
    write(tmp_path, package_json='{"scripts": {"build": "tsc && cdk8s synth", "plain": "node main.js"}}')
    assert find(tmp_path, command=command).own_output == output


@pytest.mark.parametrize(
    ("directory", "path"),
    [
        ("a\nb", "dist"),
        ("apps/a\x7fb", "dist"),
        ("apps/a\\b", "prod/{app}"),
        ("apps/.github", "{app}"),
        (".github/deploy", "{directory}"),
        ("x/.gitlab", "./{app}"),
    ],
)
def test_find_apps__holds_names_to_the_rules_of_path__a9(tmp_path: Path, directory: str, path: str) -> None:
    write(tmp_path / directory, cdk8s_yaml="app: ls\n")
    with pytest.raises(InputError) as raised:
        find_apps(parse({}).render, tmp_path, (directory,), folder(path))
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("directory", "path"),
    [("apps/a\\b", "dist"), (".github/deploy", "{app}"), ("apps/.github", "prod/{app}"), ("apps/{a} ü", "{app}")],
)
def test_find_apps__takes_any_other_name__a9(tmp_path: Path, directory: str, path: str) -> None:
    write(tmp_path / directory, cdk8s_yaml="app: ls\n")
    (app,) = find_apps(parse({}).render, tmp_path, (directory,), folder(path))
    assert app.directory == directory
