from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk8s_publish.errors import InputError
from cdk8s_publish.inputs.declared import INPUTS, from_environ, parse
from cdk8s_publish.inputs.values import History


def problems(**raw: str) -> str:
    with pytest.raises(InputError) as caught:
        parse({name.replace("_", "-"): value for name, value in raw.items()})
    assert "\n" not in str(caught.value)
    return f"{caught.value}\n{caught.value.evidence}"


def test_parse__declaration_and_fields_are_the_same() -> None:
    parts = parse({})
    assert sorted(option.field for option in INPUTS) == sorted(field for part in parts for field in part._fields)


def test_parse__nothing_given_means_the_documented_defaults() -> None:
    inputs = parse({})
    assert (inputs.target.branch, inputs.target.path, inputs.render.working_directory) == ("manifests", "dist", (".",))
    assert (inputs.commit.history, inputs.render.timeout, inputs.target.mode) == (History(), 600, "auto")
    assert not any(inputs.consent)


def test_parse__every_problem_is_reported_at_once() -> None:
    text = problems(branch="a..b", timeout="soon", hermetic="yes", path="../up", history="keep: 0")
    for name, value in {"branch": "a..b", "timeout": "soon", "hermetic": "yes", "path": "../up"}.items():
        assert f"Input `{name}`: '{value}'" in text
    assert "5 inputs" in text


def test_parse__unknown_name_suggests_the_closest() -> None:
    assert "did you mean `branch`?" in problems(branhc="x")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600), ("24h", 86400), ("5 m", 300)]
)
def test_timeout__durations(text: str, seconds: int) -> None:
    assert parse({"timeout": text}).render.timeout == seconds


@pytest.mark.parametrize("text", ["0", "-1", "1d", "25h", "m", "1.5m", "9999999"])
def test_timeout__anything_else_is_refused(text: str) -> None:
    assert "timeout" in problems(timeout=text)


@pytest.mark.parametrize(
    ("text", "history"),
    [
        ("replace", History()),
        ("keep", History(keep=True)),
        ("keep: 20", History(keep=True, limit=20)),
        ("keep:1", History(keep=True, limit=1)),
        ("keep 3", History(keep=True, limit=3)),
    ],
)
def test_history__forms(text: str, history: History) -> None:
    assert parse({"history": text}).commit.history == history


@pytest.mark.parametrize("text", ["keep: 0", "keep: x", "drop", "replace: 3", "keep:"])
def test_history__anything_else_is_refused(text: str) -> None:
    assert "history" in problems(history=text)


@pytest.mark.parametrize(
    ("text", "path"),
    [("dist", "dist"), ("./a/b/", "a/b"), ("/a//b", "a/b"), (".", ""), ("/", ""), ("a b", "a b"), ("-x", "-x")],
)
def test_path__is_normalised(text: str, path: str) -> None:
    assert parse({"path": text}).target.path == path


@pytest.mark.parametrize(
    "text",
    [
        "..",
        "a/../b",
        ".git",
        "a/.GIT/b",
        "git~1",
        ".github/workflows",
        "a\\b",
        "a\nb",
        "a/.git ./b",
        ".git:stream",
        "a/.g\u200cit/b",
        "ü" * 128,
    ],
)
def test_path__tricks_are_refused(text: str) -> None:
    assert "path" in problems(path=text)


@pytest.mark.parametrize("text", ["{name}", "clusters/{App}", "{ app }", "{app", "app}", "{{app}}"])
def test_path__knows_no_other_placeholders(text: str) -> None:
    assert "the placeholders are `{app}` and `{directory}`" in problems(path=text)
    assert parse({"path": "clusters/{app}/{directory}"}).target.path == "clusters/{app}/{directory}"


@given(st.text(alphabet=st.sampled_from("ab/.-@{~^:?*[\\ \x01\x7fé") | st.characters(codec="utf-8"), max_size=12))
def test_branch__agrees_with_git(name: str) -> None:
    if "\0" in name or not name.strip():
        return
    name = name.strip()
    asked = subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"], check=False).returncode
    # `git check-ref-format --branch` also refuses a leading dash and expands @{-1}; HEAD and @ name no branch.
    is_good = asked == 0 and not name.startswith(("-", "refs/")) and name not in {"HEAD", "@"}
    try:
        parse({"branch": name})
    except InputError:
        assert not is_good
    else:
        assert is_good


@pytest.mark.parametrize("text", ["-oProxyCommand=x", "ext::sh -c id", "ftp://x/y", "a b", "javascript://x"])
def test_repository__what_is_no_repository_is_refused(text: str) -> None:
    assert "repository" in problems(repository=text)


@pytest.mark.parametrize(
    "text",
    [
        "https://me:hunter2@git.example/a/b",
        "ssh://me:hunter2@git.example/a/b",
        "ftp://me:hunter2@git.example/a/b",
        "https://me:hunter2 hunter2@git.example/a/b",
        "https://me:hunter2/hunter2@git.example/a/b",
        "me:hunter2@git.example a/b",
    ],
)
def test_repository__its_password_is_refused_and_not_shown(text: str) -> None:
    assert "hunter2" not in problems(repository=text)


@pytest.mark.parametrize(
    "text", ["git@git.example:a/b", "ssh://git@git.example/a/b", "https://me@git.example/a/b", "/a b"]
)
def test_repository__names_of_users_and_paths_with_spaces_are_accepted(text: str) -> None:
    assert parse({"repository": text}).target.repository == text


@pytest.mark.parametrize("text", [",", " , \n,"])
def test_working_directory__that_names_no_folder_is_refused(text: str) -> None:
    assert "working-directory" in problems(working_directory=text)


@pytest.mark.parametrize(
    "text", ["me", "<a@b>", "Me <a b>", "Me a@b", "Me <a@b> x", "A\nB <a@b>", ". <a@b>", "'' <a@b>"]
)
def test_author__anything_but_name_and_mail_is_refused(text: str) -> None:
    assert "author" in problems(author=text)


def test_secret__its_value_is_in_no_text() -> None:
    inputs = parse({"token": "hunter2-hunter2"})
    assert "hunter2" not in repr(inputs)
    assert inputs.target.token.reveal() == "hunter2-hunter2"
    with pytest.raises(TypeError):
        inputs.target.token.__reduce__()


def test_from_environ__dashes_and_underscores_name_the_same_input() -> None:
    raw, unknown = from_environ(
        {"INPUT_WORKING-DIRECTORY": "a", "INPUT_COMMIT_MESSAGE": "m", "INPUT_APP": " ", "X": "1"}
    )
    assert raw == {"working-directory": "a", "commit-message": "m"}
    assert not unknown


def test_from_environ__unknown_input_is_a_warning() -> None:
    _, unknown = from_environ({"INPUT_BRANHC": "x"})
    assert [finding.message for finding in unknown] == ["There is no input `branhc` (did you mean `branch`?)."]
