"""Apps in Go: what go.sum lists is installed and nothing else, and Go's own words say what is wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import yaml

from support import golang
from support.programs import ROOT, run
from support.runner import Cli
from support.snapshots import Untouched

if TYPE_CHECKING:
    from pathlib import Path

    from support.checkouts import Checkout

pytestmark = pytest.mark.slow

MAIN = b"""package main

import (
	"os"

	"gopkg.in/yaml.v3"
)

func main() {
	metadata := map[string]string{"name": "web"}
	manifest, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
	if err == nil {
		err = os.WriteFile(os.Getenv("CDK8S_OUTDIR")+"/web.yaml", manifest, 0o644)
	}
	if err != nil {
		panic(err)
	}
}
"""
MOD = b"module example.com/shop\n\ngo 1.18\n\nrequire gopkg.in/yaml.v3 v3.0.1\n"
SUM = b"""gopkg.in/check.v1 v0.0.0-20161208181325-20d25e280405 h1:yhCVgyC4o1eVCa2tZl7eS0r+SDo693bJlVdllGtEeKM=
gopkg.in/check.v1 v0.0.0-20161208181325-20d25e280405/go.mod h1:Co6ibVJAznAaIkqp8huTwlJQCZ016jof/cbN4VW5Yz0=
gopkg.in/yaml.v3 v3.0.1 h1:fxVm/GzAzEWqLHuvctI91KS9hhNmmWOoWu0XTYJS7CA=
gopkg.in/yaml.v3 v3.0.1/go.mod h1:K4uyk7z7BCEPqu6E+C64Yfv1cQ7kz7rIZviUmN+EgEM=
"""
MANIFEST = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n    name: web\n"


@pytest.fixture
def shop(checkout: Checkout) -> Checkout:
    """Return a checkout of an app in Go that depends on one module."""
    for name, content in {"cdk8s.yaml": b"app: go run .\n", "main.go": MAIN, "go.mod": MOD, "go.sum": SUM}.items():
        checkout.write(name, content)
    checkout.commit("Write the app in Go")
    return checkout


@pytest.fixture
def golang_cli(tmp_path: Path) -> Cli:
    """Return the program on a machine with Go; what was compiled before need not be again."""
    reach = {name: value for name, value in os.environ.items() if name.startswith("GO")}
    return Cli.create(tmp_path / "machine", **reach, **golang.caches("GOCACHE"), GOTOOLCHAIN="local")


def test_go__what_go_sum_lists_is_installed_and_the_checkout_left_alone(shop: Checkout, golang_cli: Cli) -> None:
    guard = Untouched(shop.path)
    # What its owner can't write its owner can't remove.
    writable = 'test -z "$(find "$GOMODCACHE" -type d ! -perm -u+w)"'
    done = golang_cli.run("--before-synth", writable, cwd=shop.path).ok()
    assert "Go modules, because there is go.mod in the root of the checkout" in done.text
    assert shop.origin.files("manifests")["dist/web.yaml"] == MANIFEST
    guard.check()
    assert golang_cli.left_behind() == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"go.sum": SUM.replace(b"fxVm/", b"fxVmA")}, "checksum mismatch"),
        ({"go.sum": SUM.replace(b"gopkg.in/yaml.v3 v3.0.1 h1", b"gopkg.in/yaml.v3 v3.0.0 h1")}, "missing go.sum entry"),
        ({"go.sum": b""}, "missing go.sum entry"),
        ({"go.mod": MOD.replace(b"go 1.18", b"go 1.99")}, "go.mod requires go >= 1.99 (running go 1"),
    ],
    ids=["another sum", "no sum of a module", "no sums", "newer Go"],
)
def test_go__says_itself_what_is_wrong(shop: Checkout, golang_cli: Cli, changed: dict[str, bytes], words: str) -> None:
    for name, content in changed.items():
        shop.write(name, content)
    guard = Untouched(shop.path)
    done = golang_cli.run("generate", cwd=shop.path).exits(3)
    assert words in done.stderr
    assert done.stdout == ""
    guard.check()
    assert golang_cli.left_behind() == []


def test_go__vendored_modules_are_not_downloaded(shop: Checkout, golang_cli: Cli) -> None:
    run(golang.go(), "mod", "vendor", cwd=shop.path, env=golang_cli.environ())
    done = golang_cli.run("generate", cwd=shop.path, GOPROXY="off").ok()
    assert done.stdout.encode() == MANIFEST
    shop.write("go.mod", MOD.replace(b"v3.0.1", b"v3.0.0"))
    assert "inconsistent vendoring" in golang_cli.run("generate", cwd=shop.path, GOPROXY="off").exits(3).stderr


def test_go__build_does_not_ask_a_repository_that_belongs_to_somebody_else(shop: Checkout, golang_cli: Cli) -> None:
    build = 'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 go build -o "$TMPDIR/app" . && "$TMPDIR/app"'
    assert golang_cli.run("generate", "--app", build, cwd=shop.path).ok().stdout.encode() == MANIFEST


def test_go__hermetic_app_is_rendered_once(shop: Checkout, golang_cli: Cli) -> None:
    first = golang_cli.run("--hermetic", "true", "--app-env", "GOCACHE", cwd=shop.path).ok()
    assert "Synth" in first.text
    second = golang_cli.run("--hermetic", "true", "--app-env", "GOCACHE", cwd=shop.path).ok()
    assert "Synth" not in second.text


def test_go__hermetic_apps_of_one_workspace_see_each_other_s_manifests(shop: Checkout, golang_cli: Cli) -> None:
    shop.write("go.work", b"go 1.18\n\nuse (\n\t./apps/one\n\t./apps/two\n)\n")
    for app in ("one", "two"):
        for name, content in {"cdk8s.yaml": b"app: go run .\n", "main.go": MAIN, "go.mod": MOD, "go.sum": SUM}.items():
            shop.write(f"apps/{app}/{name}", content.replace(b"example.com/shop", f"example.com/{app}".encode()))
    for name in ("main.go", "go.mod", "go.sum", "cdk8s.yaml"):
        (shop.path / name).unlink()
    options = ("--working-directory", "apps/*", "--path", "{app}", "--hermetic", "true", "--app-env", "GOCACHE")
    golang_cli.run(*options, cwd=shop.path).ok()
    assert shop.origin.files("manifests")["two/web.yaml"] == MANIFEST
    assert "Synth" not in golang_cli.run(*options, cwd=shop.path).ok().text


TYPED = b"""package main

import (
	"example.com/greeter/imports/opsexamplecom"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdk8s-team/cdk8s-core-go/cdk8s/v2"
)

func main() {
	defer jsii.Close()
	app := cdk8s.NewApp(nil)
	chart := cdk8s.NewChart(app, jsii.String("typed"), nil)
	opsexamplecom.NewMaintenanceWindow(chart, jsii.String("window"), &opsexamplecom.MaintenanceWindowProps{
		Metadata: &cdk8s.ApiObjectMetadata{Name: jsii.String("nightly")},
		Spec:     &opsexamplecom.MaintenanceWindowSpec{Schedule: jsii.String("0 3 * * *"), Duration: jsii.String("2h")},
	})
	app.Synth()
}
"""


@pytest.mark.synth
def test_go__imports_that_are_missing_are_generated(checkout: Checkout, golang_cli: Cli) -> None:
    for path in ("go.mod", "go.sum", "crds/maintenancewindow.yaml"):
        checkout.write(path, (ROOT / "examples" / "go" / path).read_bytes())
    checkout.write("main.go", TYPED)
    checkout.write("cdk8s.yaml", b"language: go\napp: go run .\nimports: [crds/maintenancewindow.yaml]\n")
    golang.download_modules(checkout.path, golang_cli.environ())
    guard = Untouched(checkout.path)
    done = golang_cli.run("generate", cwd=checkout.path).ok()
    assert yaml.safe_load(done.stdout) == {
        "apiVersion": "ops.example.com/v1",
        "kind": "MaintenanceWindow",
        "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "duration": "2h"},
    }
    guard.check()
