"""Whatever names and bytes git can store come back identical from a clone with default settings."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.checkouts import Checkout, config_map

if TYPE_CHECKING:
    from support.runner import Cli

Tree = dict[bytes, "bytes | Tree"]

# Names that mean something to git, to Flux or to us; each has a test of its own.
RESERVED = (b".git", b"git~", b".yaml", b".yml", b"hydrator.metadata", b"construct-metadata.json", b".ht")
name = st.one_of(
    st.binary(min_size=1, max_size=40).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_")),
    st.text(min_size=1, max_size=20).map(
        lambda text: text.encode("utf-8", "replace").replace(b"/", b"_").replace(b"\0", b"0")
    ),
    st.sampled_from(
        [b"-rf", b"--", b"a b", b'"', b"\\", b"\t", b"\n", b"a\nb", b":(glob)*", b"*", b"HEAD", b"\xff\xfe"]
    ),
).filter(
    lambda raw: (
        raw not in {b".", b".."} and not any(word in raw.lower() for word in RESERVED) and b"\xe2\x80" not in raw
    )
)
content = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\n", b"\r\n", b"a\r\nb\n", b"$Id$", b"\0", b"\xef\xbb\xbfx", b"x" * 70_000]),
)
tree = st.recursive(content, lambda children: st.dictionaries(name, children, min_size=1, max_size=6), max_leaves=30)


def flat(node: Tree, prefix: bytes = b"") -> dict[bytes, bytes]:
    """Return path → bytes of every file."""
    found: dict[bytes, bytes] = {}
    for key, value in node.items():
        found |= flat(value, prefix + key + b"/") if isinstance(value, dict) else {prefix + key: value}
    return found


def write(folder: Path, files: dict[bytes, bytes]) -> None:
    """Make the files below a folder."""
    for path, data in files.items():
        target = folder / os.fsdecode(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def read(folder: Path) -> dict[bytes, bytes]:
    """Return path → bytes of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {os.fsencode(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rendered=st.dictionaries(name, tree, max_size=12))
@example(rendered={b"a": {b"b": {b"c": b"deep"}}, b"A": b"other case"})
def test_bytes__come_back_from_a_clone(checkout: Checkout, cli: Cli, rendered: Tree) -> None:
    files = {**flat(rendered), b"web.yaml": config_map("web")}
    with tempfile.TemporaryDirectory(dir=checkout.path.parent) as folder:
        source, clone = Path(folder, "source"), Path(folder, "clone")
        write(source, files)
        app = f'mkdir -p "$CDK8S_OUTDIR" && cp -R {source}/. "$CDK8S_OUTDIR"/'
        cli.run("--install", "none", "--allow", "unusable-name", "--app", app, cwd=checkout.path).ok()
        checkout.origin.clone(clone, "manifests")
        published = read(clone / "dist")
        published.pop(b"hydrator.metadata")
        assert published == files


@pytest.mark.parametrize(
    "refused", [".git/config", "sub/.GIT/x", "git~1/x", "sub/.g\u200cit/x", ".git. ./x", ".git::$INDEX_ALLOCATION/x"]
)
def test_name__that_git_keeps_for_itself_is_refused(checkout: Checkout, cli: Cli, refused: str) -> None:
    checkout.write("cdk8s.yaml", b"language: python\napp: sh render\n")
    script = f'file="$CDK8S_OUTDIR/{refused}"; mkdir -p "${{file%/*}}"; cp rendered/* "$CDK8S_OUTDIR"; echo x >"$file"'
    checkout.write("render", script.encode())
    checkout.commit("Render a strange name")
    done = cli.run("--install", "none", cwd=checkout.path).exits(4)
    assert "Traceback" not in done.text
    assert checkout.origin.tip("manifests") is None


def test_name__of_our_own_record_is_refused(checkout: Checkout, cli: Cli) -> None:
    checkout.render({"web.yaml": config_map("web"), "hydrator.metadata": b"{}"})
    done = cli.run("--install", "none", cwd=checkout.path).exits(4)
    assert "hydrator.metadata" in done.text
    assert checkout.origin.tip("manifests") is None


def test_bytes__of_more_changed_files_than_pipes_hold_arrive(checkout: Checkout, cli: Cli) -> None:
    # Names of the old files go into git while their bytes come out: neither side may wait for the other.
    for value in ("old", "new"):
        files = {f"{number}.yaml": config_map(f"a{number}", value * 20) for number in range(2500)}
        checkout.render(files)
        cli.run("--install", "none", cwd=checkout.path).ok()
    assert checkout.origin.files("manifests").items() >= {f"dist/{name}": data for name, data in files.items()}.items()
