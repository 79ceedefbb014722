"""Where CI products keep credentials, and take commands, no app may look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.ci.github import GitHub
from cdk8s_publish.ci.gitlab import GitLab

if TYPE_CHECKING:
    from pathlib import Path


def test_github__denies_file_commands_and_the_credentials_of_checkout_and_runner(tmp_path: Path) -> None:
    temporary = tmp_path / "_work" / "_temp"
    temporary.mkdir(parents=True)
    for name in ("git-credentials-1.config", "git-credentials-2.config", "other"):
        (temporary / name).touch()
    for name in (".credentials", ".env"):
        (tmp_path / name).touch()
    github = GitHub({"RUNNER_TEMP": str(temporary), "GITHUB_ENV": f"{temporary}/_runner_file_commands/set_env"})
    assert [path.relative_to(tmp_path).as_posix() for path in github.denied_paths()] == [
        ".credentials",
        "_work/_temp/_runner_file_commands",
        "_work/_temp/git-credentials-1.config",
        "_work/_temp/git-credentials-2.config",
    ]


def test_gitlab__denies_the_git_configuration_of_the_runner(tmp_path: Path) -> None:
    beside = tmp_path / "project.tmp"
    beside.mkdir()
    for name in (".gitlab-runner.ext.conf", "CI_SERVER_TLS_CA_FILE"):
        (beside / name).touch()
    assert GitLab({"CI_PROJECT_DIR": f"{tmp_path}/project"}).denied_paths() == (beside / ".gitlab-runner.ext.conf",)
