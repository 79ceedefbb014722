"""The image as GitHub's runner runs it: root, a workspace of another user, file commands, dashes in names."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.checkouts import Checkout, config_map
from support.containers import RUNNER_UID, GitHubRunner, owners
from support.git_http import TOKEN, GitHttpServer
from support.github import GitHubJob
from support.programs import ROOT
from support.snapshots import Untouched

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.image,
    pytest.mark.server,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the workspace to the runner's user"),
]

SIGTERM_EXIT_CODE = 130
# What untrusted code can find out about where it runs, as a manifest; each command that succeeds is a way out.
CURIOUS_APP = """
id=$(id -u):$(id -G)
touch "$HOME/mine" && home=writable
ways=
cat /proc/1/environ >/dev/null 2>&1 && ways="$ways environment-of-process-1"
ls /proc/1/fd >/dev/null 2>&1 && ways="$ways files-of-process-1"
cat /github/file_commands/* >/dev/null 2>&1 && ways="$ways file-commands"
echo "NAME=value" 2>/dev/null >>/github/file_commands/ENV && ways="$ways job-environment"
cat /var/run/docker.sock >/dev/null 2>&1 && ways="$ways container-engine"
touch /app/mine 2>/dev/null && ways="$ways program"
env | grep -q "^INPUT_\\|^GITHUB_OUTPUT\\|s3cr3t" && ways="$ways variables"
cat >"$CDK8S_OUTDIR/me.yaml" <<END
apiVersion: v1
kind: ConfigMap
metadata: {name: me}
data: {id: "$id", home: "$home", ways: "$ways"}
END
"""


@pytest.fixture
def job(checkout: Checkout, http_server: GitHttpServer, tmp_path: Path) -> GitHubJob:
    """Return a job on a shallow checkout, as actions/checkout makes it."""
    fresh = checkout.ci_checkout(tmp_path / "workspace", http_server.url(checkout.origin.path))
    return GitHubJob.create(tmp_path / "commands", fresh, http_server.origin, "source/origin")


@pytest.fixture
def runner(job: GitHubJob, tmp_path: Path) -> GitHubRunner:
    """Return the runner of that job."""
    return GitHubRunner.create(tmp_path / "runner", job)


def test_action__publishes_and_leaves_nothing(runner: GitHubRunner, checkout: Checkout) -> None:
    environ = runner.environ(token=TOKEN, working_directory=".", install="none")
    assert "INPUT_WORKING-DIRECTORY" in environ
    guard = Untouched(runner.job.checkout.path, runner.home)
    runner.container.run(environ).ok()
    assert checkout.origin.files("manifests")["dist/web.yaml"] == config_map("web")
    outputs = runner.job.outputs()
    assert outputs["outcome"] == "published"
    assert outputs["revision"] == checkout.origin.tip("manifests")
    assert outputs["manifests"] == "2"
    assert "ConfigMap web" in runner.job.summary()
    guard.check()
    assert set(owners(runner.job.checkout.path)) == {RUNNER_UID}
    assert set(owners(runner.job.folder)) == {RUNNER_UID}
    assert list(runner.container.tmp.iterdir()) == []


def test_action__needs_no_more_than_a_writable_tmp(job: GitHubJob, tmp_path: Path, checkout: Checkout) -> None:
    runner = GitHubRunner.create(tmp_path / "runner", job, read_only=True)
    runner.container.run(runner.environ(token=TOKEN, install="none")).ok()
    assert checkout.origin.tip("manifests") == runner.job.outputs()["revision"]


def test_action__imports_nothing_from_the_checkout(runner: GitHubRunner, checkout: Checkout) -> None:
    for name in ("sitecustomize.py", "json.py", "yaml.py"):
        (runner.job.checkout.path / name).write_text("raise SystemExit('code of the checkout runs beside the token')\n")
    environ = runner.environ(token=TOKEN, install="none") | {"PYTHONPATH": "/github/workspace"}
    runner.container.run(environ).ok()
    assert checkout.origin.tip("manifests") == runner.job.outputs()["revision"]


def test_action__refuses_bad_inputs_by_their_names(runner: GitHubRunner, checkout: Checkout) -> None:
    log = runner.container.run(runner.environ(token=TOKEN, allow="perhaps", history="forever")).exits(2).text
    assert "Input `allow`: 'perhaps'" in log
    assert "history" in log
    assert checkout.origin.tip("manifests") is None


def test_action__shows_a_diff_in_a_pull_request(runner: GitHubRunner, checkout: Checkout) -> None:
    runner.container.run(runner.environ(event="pull_request", token=TOKEN, install="none")).ok()
    assert runner.job.outputs()["outcome"] == "dry-run"
    assert checkout.origin.tip("manifests") is None


def test_app__is_not_root_and_finds_no_way_out(runner: GitHubRunner, checkout: Checkout, tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"
    socket.write_text("the runner mounts it into every container action")
    socket.chmod(0o660)
    volumes = {**runner.container.volumes, str(socket): "/var/run/docker.sock"}
    log = (
        replace(runner.container, volumes=volumes)
        .run(runner.environ(token=TOKEN, app=CURIOUS_APP, install="none"))
        .ok()
        .text
    )
    me = checkout.origin.files("manifests")["dist/me.yaml"].decode()
    assert f'id: "{RUNNER_UID}:{RUNNER_UID}"' in me
    assert 'home: "writable"' in me
    assert 'ways: ""' in me
    assert f"user {RUNNER_UID}" in log
    assert runner.job.untouched_commands() == ["ENV", "PATH", "STATE"]


def test_sigterm__ends_the_app_and_publishes_nothing(runner: GitHubRunner, checkout: Checkout) -> None:
    environ = runner.environ(token=TOKEN, app="echo started; exec sleep 600", install="none")
    guard = Untouched(runner.job.checkout.path)
    process = runner.container.start(environ)
    try:
        assert process.stdout
        for line in process.stdout:
            if line.strip() == "started":
                break
        asked = time.monotonic()
        runner.container.signal("TERM")
        _, stderr = process.communicate(timeout=60)
    finally:
        runner.container.stop()
    assert process.returncode == SIGTERM_EXIT_CODE, stderr
    assert time.monotonic() - asked < 30  # an idle machine takes a second, and GitHub waits for ten
    assert checkout.origin.tip("manifests") is None
    assert list(runner.container.tmp.iterdir()) == []
    guard.check()


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.parametrize(
    ("language", "target"), [("python", "default"), ("typescript", "default"), ("java", "languages")]
)
def test_example__is_installed_and_rendered(
    language: str, target: str, checkout: Checkout, http_server: GitHttpServer, tmp_path: Path
) -> None:
    for path in (ROOT / "examples" / language).rglob("*"):
        if path.is_file() and not {"node_modules", ".venv", "dist", "__pycache__"} & set(path.parts):
            checkout.write(str(path.relative_to(ROOT / "examples" / language)), path.read_bytes())
    checkout.commit(f"Add the {language} example")
    fresh = checkout.ci_checkout(tmp_path / "workspace", http_server.url(checkout.origin.path))
    job = GitHubJob.create(tmp_path / "commands", fresh, http_server.origin, "source/origin")
    runner = GitHubRunner.create(tmp_path / "runner", job, target)
    environ = runner.environ(token=TOKEN)
    guard = Untouched(job.checkout.path, runner.home)
    runner.container.run(environ).ok()
    assert int(job.outputs()["manifests"]) > 1
    guard.check()
    if target == "default":  # a JVM knows no TMPDIR; what it writes to /tmp ends with the container
        assert list(runner.container.tmp.iterdir()) == []
