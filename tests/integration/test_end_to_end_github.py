"""The way of GitHub's runner: its variables and file commands, a push over HTTP with a token."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from support import readme
from support.checkouts import Checkout, config_map
from support.git_http import TOKEN, GitHttpServer
from support.github import GitHubJob, obeyed_commands
from support.remotes import Remote
from support.snapshots import Untouched

if TYPE_CHECKING:
    from support.runner import Cli

pytestmark = pytest.mark.server


@pytest.fixture
def job(checkout: Checkout, http_server: GitHttpServer, tmp_path: Path) -> GitHubJob:
    """Return a job on a shallow checkout, as actions/checkout makes it."""
    fresh = checkout.ci_checkout(tmp_path / "workspace", http_server.url(checkout.origin.path))
    return GitHubJob.create(tmp_path / "runner", fresh, http_server.origin, "source/origin")


def run(cli: Cli, job: GitHubJob, *, code: int = 0, event: str = "push", **inputs: str) -> str:
    """Run the action once and return its log."""
    environ = job.environ(event=event, **{"token": TOKEN, "install": "none", **inputs})
    return cli.run(cwd=job.checkout.path, **environ).exits(code).text


def test_action__publishes_with_the_token_and_reports(
    job: GitHubJob, cli: Cli, checkout: Checkout, http_server: GitHttpServer
) -> None:
    guard = Untouched(job.checkout.path, cli.home)
    log = run(cli, job)
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web")
    assert job.outputs() == {
        "outcome": "published",
        "changed": "true",
        "revision": checkout.origin.tip("manifests"),
        "source-revision": checkout.sha,
        "branch": "manifests",
        "path": "dist",
        "manifests": "2",
        "added": "2",
        "modified": "0",
        "removed": "0",
        "diff-file": "",
    }
    assert "ConfigMap web" in job.summary()
    assert "::group::" in log
    assert job.untouched_commands() == ["ENV", "PATH", "STATE"]
    assert len(http_server.pushes()) == 1
    guard.check()
    assert cli.left_behind() == []


def test_action__says_unchanged_and_moves_nothing(job: GitHubJob, cli: Cli, http_server: GitHttpServer) -> None:
    run(cli, job)
    pushes = len(http_server.pushes())
    run(cli, job)
    assert job.outputs()["outcome"] == "unchanged"
    assert job.outputs()["changed"] == "false"
    assert len(http_server.pushes()) == pushes


@pytest.mark.parametrize("event", ["pull_request", "merge_group"])
def test_action__shows_the_diff_before_a_merge(
    job: GitHubJob, cli: Cli, checkout: Checkout, http_server: GitHttpServer, event: str
) -> None:
    run(cli, job)
    pushes, tip = len(http_server.pushes()), checkout.origin.tip("manifests")
    (job.checkout.path / "rendered" / "web.yaml").write_bytes(config_map("web", "2"))
    run(cli, job, event=event)
    assert job.outputs()["outcome"] == "dry-run"
    assert job.outputs()["modified"] == "1"
    assert job.outputs()["revision"] == tip
    assert '+  value: "2"' in job.summary()
    assert len(http_server.pushes()) == pushes


def test_action__accepts_dashes_in_the_names_of_inputs(job: GitHubJob, cli: Cli, checkout: Checkout) -> None:
    checkout.origin.commit("manifests", {"a": b"a"})
    assert "to allow: foreign-branch" in run(cli, job, code=5)
    run(cli, job, allow="foreign-branch", commit_message="render {short-sha}")
    assert checkout.origin.log("manifests")[0] == f"render {checkout.sha[:12]}"


@pytest.mark.parametrize("token", ["wrong", ""])
def test_action__tells_which_permission_is_missing(job: GitHubJob, cli: Cli, checkout: Checkout, token: str) -> None:
    before = checkout.origin.refs()
    log = run(cli, job, code=5, token=token)
    assert "contents: write" in log
    assert "::error" in log
    assert job.outputs() == {"outcome": "failed"}
    assert checkout.origin.refs() == before


def test_action__gives_the_servers_reason_for_a_protected_branch(job: GitHubJob, cli: Cli, checkout: Checkout) -> None:
    checkout.origin.protect("manifests")
    log = run(cli, job, code=5)
    assert "GH006" in log
    assert "protect" in log
    assert checkout.origin.tip("manifests") is None


def test_action__annotation_is_one_line_and_names_the_cause(job: GitHubJob, cli: Cli) -> None:
    log = run(cli, job, code=3, app="echo deep trouble >&2; exit 1")
    (annotation,) = (line for line in log.splitlines() if line.startswith("::error"))
    assert "exit code 1" in annotation
    assert "deep trouble" in log


def test_action__that_can_not_use_an_input_says_so_on_the_page_and_to_later_steps(job: GitHubJob, cli: Cli) -> None:
    run(cli, job, code=2, branch="a b", timeout="soon")
    assert job.outputs() == {"outcome": "failed"}
    assert "Not published: 2 inputs" in job.summary()
    assert "soon" in job.summary()


def test_action__works_with_the_credential_that_checkout_v4_leaves(
    job: GitHubJob, cli: Cli, checkout: Checkout, http_server: GitHttpServer
) -> None:
    stale = b64encode(b"x-access-token:expired").decode()
    job.checkout.git("config", f"http.{http_server.origin}/.extraheader", f"AUTHORIZATION: basic {stale}")
    guard = Untouched(job.checkout.path)
    log = run(cli, job)
    assert "persist-credentials" in log
    assert checkout.origin.tip("manifests")
    guard.check()


def test_action__works_in_a_workspace_of_another_user(job: GitHubJob, cli: Cli, checkout: Checkout) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    environ = job.environ(token=TOKEN, install="none")
    for path in (job.checkout.path, *job.checkout.path.rglob("*")):
        shutil.chown(path, 1001, 1001)
    guard = Untouched(job.checkout.path)
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to that user
        Path(folder).chmod(0o755)
        cli.run(cwd=job.checkout.path, TMPDIR=folder, **environ).ok()
        assert list(Path(folder).iterdir()) == []
    assert checkout.origin.tip("manifests")
    guard.check()


def test_action__app_that_fails_can_not_write_commands_of_the_workflow(job: GitHubJob, cli: Cli) -> None:
    job.checkout.write("fail", b"echo ::add-mask::forged; exit 1")
    rest = run(cli, job, code=3, app="sh fail")
    fenced = 0
    while "::stop-commands::" in rest:
        before, _, rest = rest.partition("::stop-commands::")
        assert "forged" not in before
        inside, end, rest = rest.partition(f"\n::{rest.splitlines()[0]}::")
        assert end
        fenced += "forged" in inside
    assert "forged" not in rest
    assert fenced == 2  # as it was said, and as the evidence of the error


def test_action__app_can_not_write_commands_of_the_workflow(job: GitHubJob, cli: Cli) -> None:
    app = (
        'echo "::error::forged"; printf "a\\r::set-output name=x::y\\n"; echo "x=y" >>"${GITHUB_OUTPUT:-/dev/null}"; '
        'mkdir -p "$CDK8S_OUTDIR"; cp rendered/* "$CDK8S_OUTDIR"'
    )
    log = run(cli, job, app=app)
    before, _, fenced = log.partition("::stop-commands::")
    token = fenced.splitlines()[0]
    inside, end, _ = fenced.partition(f"\n::{token}::")
    assert end
    assert "::error::forged" in inside
    assert "forged" not in before
    assert "x" not in job.outputs()


FORGED = ("a\n::set-output name=outcome::published", "a\r::set-output name=x::y", "a##[set-output name=x]y")
OWN_COMMANDS = {"group", "endgroup", "error", "warning", "notice"}


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("path", ["dist", "{app}"])
def test_action__name_of_a_folder_is_no_command_of_the_workflow__a9(
    job: GitHubJob, cli: Cli, name: str, path: str
) -> None:
    job.checkout.write(f"apps/{name}/cdk8s.yaml", b"app: cp ../../rendered/* $CDK8S_OUTDIR\n")
    environ = job.environ(token=TOKEN, install="none", path=path, **{"working-directory": "apps/*"})
    done = cli.run(cwd=job.checkout.path, **environ)
    assert set(obeyed_commands(done.stdout)) <= OWN_COMMANDS
    assert set(obeyed_commands(done.stderr)) <= OWN_COMMANDS
    done.exits(0 if "##" in name else 2)


def test_action__name_of_a_resource_is_no_command_of_the_workflow__a9(job: GitHubJob, cli: Cli) -> None:
    (job.checkout.path / "rendered" / "x.yaml").write_bytes(config_map("'##[set-output name=outcome]published'"))
    assert set(obeyed_commands(run(cli, job))) <= OWN_COMMANDS


def test_action__publishes_to_another_repository_of_the_server(
    job: GitHubJob, cli: Cli, tmp_path: Path, checkout: Checkout
) -> None:
    target = Remote.create(tmp_path / "team" / "deploy.git")
    run(cli, job, repository="team/deploy")
    assert target.files("manifests")["dist/web.yaml"] == config_map("web")
    assert checkout.origin.tip("manifests") is None


def test_readme__workflow_publishes_where_it_says(job: GitHubJob, cli: Cli, checkout: Checkout) -> None:
    inputs = readme.workflow_inputs()
    environ = job.environ(**{"token": TOKEN, "install": "none", **inputs})
    cli.run(cwd=job.checkout.path, **environ).ok()
    assert f"{inputs['path']}/web.yaml" in checkout.origin.files(inputs["branch"])


@pytest.mark.parametrize("is_allowed", [True, False])
def test_action__shows_no_value_of_a_secret_in_any_spelling__a12(
    job: GitHubJob, cli: Cli, checkout: Checkout, tmp_path: Path, *, is_allowed: bool
) -> None:
    value = 'p@ss"w0rd/x'
    encoded = b64encode(value.encode()).decode()
    copy = json.dumps({"kind": "Secret", "data": {"p": encoded}})
    annotation = {"kubectl.kubernetes.io/last-applied-configuration": copy}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "annotations": annotation}, "data": None}
    repeated = [json.dumps({"p": value}), f"x://u:{quote(value)}@h", b64encode(f"oauth2:{value}".encode()).decode()]
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"a": "\n".join(repeated)}}
    files = {"db.json": secret, "web.yaml": config}
    checkout.render({name: json.dumps(one).encode() for name, one in files.items()})
    job.checkout.git("fetch", "--quiet", "--depth=1", checkout.origin.path.as_uri(), checkout.sha)
    job.checkout.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    diff = tmp_path / "changes.diff"
    inputs = {"allow": "plain-secret:Secret/db"} if is_allowed else {}
    log = run(cli, job, code=0 if is_allowed else 4, diff_file=str(diff), verbose="true", **inputs)
    assert "plain-secret" in log
    for text in (log, job.summary(), diff.read_text(), (job.folder / "OUTPUT").read_text()):
        for spelled in (value, json.dumps(value)[1:-1], encoded, encoded[:-2], quote(value), *repeated):
            assert spelled not in text
    assert "***" in log
    assert "***" in job.summary()
