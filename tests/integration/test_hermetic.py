"""A hermetic app is rendered when anything changed that it can see, and only then."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.programs import require
from support.remotes import git

if TYPE_CHECKING:
    from support.runner import Cli, Result

NODE = "#!/bin/sh\necho {version}\n"


class Shop:
    """A checkout with two hermetic apps and a shared folder; each app prints that it was rendered."""

    def __init__(self, folder: Path, cli: Cli) -> None:
        self.folder, self.cli = folder, cli
        self.said: list[str] = []
        self.seen: list[str] = []
        self.checkout = Checkout.create(folder / "source", {})
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.node("v24.0.0")
        self.checkout.write("shared/value", b"1\n")
        for name in ("one", "two"):
            self.app(name)
        self.checkout.commit("Add the apps")

    def app(self, name: str, extra: str = "true") -> None:
        command = (
            f"echo rendered {name}; {extra}; "
            f'sed "s/VALUE/$(cat ../../shared/value)$STAGE/" config.yaml > $CDK8S_OUTDIR/config.yaml'
        )
        self.checkout.write(f"apps/{name}/cdk8s.yaml", f"app: |\n  {command}\n".encode())
        self.checkout.write(f"apps/{name}/config.yaml", config_map(name, "VALUE"))

    def node(self, version: str) -> None:
        (self.programs / "node").write_text(NODE.format(version=version))
        (self.programs / "node").chmod(0o755)

    def run(self, *options: str, **env: str) -> Result:
        path = os.pathsep.join([str(self.programs), self.cli.environ()["PATH"]])
        fixed = ("--working-directory", "apps/*", "--path", "{app}", "--install", "true", "--app-env", "STAGE")
        command = ("run", *fixed, "--hermetic", "true", *options)
        result = self.cli.run(*command, cwd=self.checkout.path, PATH=path, **env).ok()
        self.said += re.findall(r"(?m)^rendered (\w+)$", result.stdout)
        self.seen = re.findall(r"(?m)^seen: (.*)$", result.stdout)
        return result

    def rendered(self) -> list[str]:
        """Return the apps that were rendered since this was asked last."""
        found = sorted(self.said)
        self.said.clear()
        return found

    def published(self, name: str) -> str:
        return self.checkout.origin.git("show", f"manifests:{name}/config.yaml")


@pytest.fixture
def shop(tmp_path: Path, cli: Cli) -> Shop:
    shop = Shop(tmp_path, cli)
    shop.run()
    assert shop.rendered() == ["one", "two"]
    return shop


def test_hermetic__renders_nothing_when_nothing_changed(shop: Shop) -> None:
    tip = shop.checkout.origin.git("rev-parse", "manifests")
    shop.run()
    assert shop.rendered() == []
    shop.checkout.commit("An empty commit")
    shop.run()
    assert shop.rendered() == []
    assert shop.checkout.origin.git("rev-parse", "manifests") == tip


def test_hermetic__renders_only_the_app_that_changed(shop: Shop) -> None:
    shop.checkout.write("apps/two/config.yaml", config_map("two", "other"))
    shop.checkout.commit("Change one app")
    shop.run()
    assert shop.rendered() == ["two"]
    assert '"other"' in shop.published("two")
    assert '"1"' in shop.published("one")
    shop.run()
    assert shop.rendered() == []


@pytest.mark.parametrize(
    "change", ["shared folder", "new file", "removed file", "permission", "link", "lock file", "empty folder"]
)
def test_hermetic__misses_when_a_file_differs_that_an_app_can_see(shop: Shop, change: str) -> None:
    root = shop.checkout.path
    if change == "shared folder":
        (root / "shared" / "value").write_text("2\n")
    elif change == "new file":
        (root / "shared" / "new").touch()
    elif change == "removed file":
        (root / "rendered").mkdir(exist_ok=True)
        (root / "cdk8s.yaml").unlink()
    elif change == "permission":
        (root / "shared" / "value").chmod(0o755)
    elif change == "link":
        (root / "shared" / "link").symlink_to("value")
    elif change == "empty folder":
        (root / "shared" / "tenant").mkdir()
    else:
        (root / "package-lock.json").write_text("{}")
    shop.run()
    assert shop.rendered() == ["one", "two"]


def test_hermetic__an_app_that_changes_a_file_outside_its_folder_changes_its_own_copy(shop: Shop) -> None:
    # Nothing else that both may write to is there for both.
    changed = Path("/dev/shm", f"cdk8s-publish-test-{os.getpid()}")  # noqa: S108
    shop.app("one", f"echo 2 > ../../shared/value; touch {changed}")
    shop.app("two", f"until [ -e {changed} ]; do sleep 0.01; done")
    try:
        shop.run()
    finally:
        changed.unlink(missing_ok=True)
    assert 'value: "1"' in shop.published("two")


@pytest.mark.parametrize("is_absolute", [True, False])
def test_hermetic__misses_when_the_file_differs_that_a_link_leads_to(shop: Shop, is_absolute: bool) -> None:
    outside = shop.folder / "outside"
    outside.write_text("1")
    link = shop.checkout.path / "shared" / "link"
    link.symlink_to(outside if is_absolute else os.path.relpath(outside, link.parent))
    shop.run()
    assert shop.rendered() == ["one", "two"]
    shop.run()
    assert shop.rendered() == []
    outside.write_text("2")
    shop.run()
    assert shop.rendered() == ["one", "two"]


def test_hermetic__renders_an_app_that_sees_a_folder_outside_the_checkout(shop: Shop) -> None:
    (shop.checkout.path / "apps" / "one" / "link").symlink_to(shop.folder)
    shop.run()
    shop.rendered()
    result = shop.run()
    assert shop.rendered() == ["one"]
    assert "apps/one/link is a link to a folder outside the checkout" in result.text


def test_hermetic__misses_when_a_listed_variable_differs(shop: Shop) -> None:
    shop.run(STAGE="-prod")
    assert shop.rendered() == ["one", "two"]
    assert '"1-prod"' in shop.published("one")
    shop.run(STAGE="-prod", OTHER="not listed")
    assert shop.rendered() == []


def test_hermetic__says_which_listed_variable_no_app_gets(shop: Shop) -> None:
    result = shop.run("--app-env", "STAGE,CDK8S_OUTPUT,UNSET", CDK8S_OUTPUT="elsewhere")
    assert "app-env: no app gets CDK8S_OUTPUT, which" in result.text
    result = shop.run("--hermetic", "false")
    assert "without `hermetic: true` the app gets every variable" in result.text


def test_hermetic__misses_when_a_tool_differs(shop: Shop) -> None:
    shop.node("v24.0.1")
    shop.run()
    assert shop.rendered() == ["one", "two"]


@pytest.mark.parametrize("is_absolute", [True, False])
def test_hermetic__misses_when_a_program_differs_that_a_command_names(shop: Shop, is_absolute: bool) -> None:
    program = shop.programs / "template-engine"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    shop.app("one", f"x=$({program if is_absolute else program.name})")
    shop.run()
    assert shop.rendered() == ["one"]
    program.write_text("#!/bin/sh\necho newer\n")
    shop.run()
    assert shop.rendered() == ["one"]


def test_hermetic__misses_when_a_version_manager_chooses_another_tool(shop: Shop) -> None:
    (shop.programs / "node").write_text("#!/bin/sh\ncase $PWD in */one) cat ../../../version;; *) echo v24;; esac\n")
    version = shop.checkout.path.parent / "version"
    version.write_text("v22.1.0")
    (shop.checkout.path / "apps" / "one" / ".tool-versions").write_text("nodejs 22\n")
    shop.run()
    shop.rendered()
    version.write_text("v22.2.0")
    shop.run()
    assert shop.rendered() == ["one"]


def test_hermetic__compilation_sees_no_other_variables_than_the_app(shop: Shop) -> None:
    require("npm", "node")
    package = {"name": "one", "version": "1.0.0", "scripts": {"compile": "env > main.js"}}
    shop.checkout.write("apps/one/package.json", json.dumps(package).encode())
    lock = {"name": "one", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "one"}}}
    shop.checkout.write("apps/one/package-lock.json", json.dumps(lock).encode())
    shop.app("one", "cat main.js | sed 's/^/seen: /'")
    (shop.programs / "node").unlink()
    shop.run("--install", "auto", STAGE="-s", OTHER="not listed")
    assert "STAGE=-s" in shop.seen
    assert "OTHER=not listed" not in shop.seen


def test_hermetic__renders_an_app_whose_imports_may_change(shop: Shop) -> None:
    (shop.programs / "cdk8s").write_text("#!/bin/sh\nmkdir imports && touch imports/web.ts\n")
    (shop.programs / "cdk8s").chmod(0o755)
    config = shop.checkout.path / "apps" / "one" / "cdk8s.yaml"
    config.write_text(f"{config.read_text()}language: typescript\nimports: [https://example.com/crd.yaml]\n")
    shop.run()
    shop.rendered()
    result = shop.run()
    assert shop.rendered() == ["one"]
    assert "the import https://example.com/crd.yaml is not in the checkout" in result.text
    (config.parent / "imports").mkdir()
    (config.parent / "imports" / "web.ts").touch()
    shop.run()
    shop.run()
    assert shop.rendered() == ["one"]


@pytest.mark.parametrize("option", ["--app", "--before-synth", "--type-check"])
def test_hermetic__misses_when_an_input_differs(shop: Shop, option: str) -> None:
    shop.run(option, {"--app": "cp config.yaml $CDK8S_OUTDIR", "--type-check": "false"}.get(option, "true"))
    assert shop.rendered() == ([] if option == "--app" else ["one", "two"])
    assert option != "--app" or '"VALUE"' in shop.published("one")


def test_hermetic__misses_when_somebody_else_changed_the_branch(shop: Shop, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--branch", "manifests", shop.checkout.origin.path, clone, cwd=tmp_path)
    git("rm", "--quiet", "one/config.yaml", cwd=clone)
    git("commit", "--quiet", "--message", "By hand", cwd=clone)
    git("push", "--quiet", cwd=clone)
    shop.run()
    assert shop.rendered() == ["one", "two"]
    assert '"1"' in shop.published("one")


def test_hermetic__shows_an_app_nothing_else(shop: Shop) -> None:
    probe = "(env; ls -a ../..; ls ..; git rev-parse HEAD) 2>&1 | sed 's/^/seen: /'"
    (shop.checkout.path / "node_modules").mkdir()
    shop.app("one", probe)
    shop.run(SECRET_OF_MINE="x", STAGE="-s")
    text = "\n".join(shop.seen)
    assert "SECRET_OF_MINE" not in text
    assert "STAGE=-s" in shop.seen
    assert "TZ=UTC" in shop.seen
    assert not {"two", ".git", "node_modules"} & set(shop.seen)
    assert "not a git repository" in text


def test_hermetic__finds_nothing_that_another_run_has_left_in_the_cache(shop: Shop) -> None:
    shop.app("one", 'cat "$XDG_CACHE_HOME/planted" 2>&1; echo "seen: planted" >"$XDG_CACHE_HOME/planted" || true')
    shop.app("two", 'mkdir -p "$XDG_CACHE_HOME"; cat "$XDG_CACHE_HOME/planted" 2>&1 || true')
    options = ("--cache-dir", str(shop.folder / "cache"))
    for _ in range(2):
        shop.run(*options, "--hermetic", "false", "--app-env", "")
    assert shop.seen == ["planted", "planted"], "the attack is a real one"
    shop.rendered()
    shop.run(*options)
    assert shop.rendered() == ["one", "two"]
    assert shop.seen == []


def test_hermetic__renders_an_app_every_time_that_fetches_by_itself(shop: Shop) -> None:
    shop.checkout.write("pom.xml", b"<project/>")
    done = shop.run("--install", "auto")
    why = "Maven fetches what the app command needs (there is pom.xml in the root of the checkout)"
    assert f"one: java app in apps/one; nothing to install: {why}\n" in done.stdout
    reason = f"nothing that this run installs says which versions of its dependencies it uses: {why}"
    assert f"hermetic: two is rendered every time, because {reason}" in done.text
    shop.rendered()
    shop.run("--install", "auto")
    assert shop.rendered() == ["one", "two"]


def test_hermetic__misses_when_a_manifest_differs_that_the_same_lock_file_covers(shop: Shop) -> None:
    root = shop.checkout.path
    (shop.programs / "npm").write_text("#!/bin/sh\n")
    (shop.programs / "npm").chmod(0o755)
    shop.app("one", "ls ../two | sed 's/^/seen: /'")
    for name in ("package.json", "package-lock.json", "apps/two/package.json"):
        (root / name).write_text("{}")
    options = ("--install", "auto")
    shop.run(*options)
    assert shop.seen == ["package.json"]
    shop.rendered()
    shop.run(*options)
    assert shop.rendered() == []
    (root / "apps" / "two" / "package.json").write_text('{"private": true}')
    shop.run(*options)
    assert shop.rendered() == ["one", "two"]


def test_hermetic__asks_tools_for_their_versions_in_a_home_of_their_own(shop: Shop) -> None:
    (shop.programs / "go").write_text(
        '#!/bin/sh\nmkdir -p "$HOME" && touch "$HOME/asked" && echo go version go1.26.8\n'
    )
    (shop.programs / "go").chmod(0o755)
    shop.run()
    assert not list(shop.cli.home.iterdir())


def test_hermetic__renders_an_app_whose_dependencies_are_anybody_s_guess(shop: Shop) -> None:
    shop.run("--install", "none")
    shop.rendered()
    result = shop.run("--install", "none")
    assert shop.rendered() == ["one", "two"]
    assert "is rendered every time, because nothing that this run installs" in result.text
