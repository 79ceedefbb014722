"""Generate what cdk8s.yaml lists under `imports` when the checkout does not hold it, and remember the result.

`cdk8s import` takes seconds; its output depends only on what goes into `_key`, so it is kept in the cache folder
under that key and copied from there the next time.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import SynthError
from cdk8s_publish.json_object import json_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cdk8s_publish.render.discover import App
    from cdk8s_publish.sandbox.process import Completed

IMPORT_DIRECTORY = "imports"
"""Where the cdk8s CLI puts generated code unless cdk8s.yaml says otherwise (cdk8s-cli, lib/cli/cmds/import.js)."""
JAVA_FOLDERS = ("src/main/java/imports", "src/main/resources/imports")
"""Java code is generated into the project's own tree whatever the import directory (cdk8s-cli, lib/import/base.js)."""
LANGUAGES = ("typescript", "python", "go", "java")
"""What `cdk8s import` writes, without C#: there are no apps in it."""
GENERATORS = ("cdk8s", "constructs", "jsii", "jsii-pacmak", "jsii-srcmak", "json2jsii")
"""Packages whose version shapes the generated code."""
FORMAT = b"2"
"""Raise it when the layout of a cached entry changes."""

_PINNED = r"k8s(@.*)?|(helm|github):.*@.+"
"""Specs that mean the same thing every time; `k8s` alone is a version that is fixed in the CLI."""
_MISSING_CLI = (
    "`cdk8s import` is the cdk8s CLI's work: add `cdk8s-cli` to the app's development dependencies, install it before "
    "this step, or commit the generated imports."
)
_BAD_SPEC = (
    "A spec could not be downloaded or read. Commit the generated imports (mind a `*.tgz` line in .gitignore: "
    "`_jsii/*.tgz` belongs to them), or save the CRD as a file in the repository and name that in `imports`."
)


class Tools(NamedTuple):
    """How imports are generated: `run` runs a shell command in the app's folder, `path` is where programs are found."""

    run: Callable[[str], Completed]
    path: str
    cache: Path
    on_line: Callable[[str], None]


def ensure(app: App, folder: Path, tools: Tools) -> None:
    """Make sure that the app's `folder`, in the copy of the checkout, holds its imports.

    Raises:
        SynthError: the cdk8s CLI is not there, or a spec can't be downloaded or read.

    """
    specs, folders = _specs(app), _folders(app)
    if specs and app.language not in LANGUAGES:
        tools.on_line(f"imports: not generated, because `language` in cdk8s.yaml is not one of {', '.join(LANGUAGES)}")
    if not _is_needed(app, folder):
        return
    key = _key(app, folder, specs, tools.path)
    entry = tools.cache / "imports" / key
    if key and entry.is_dir():
        tools.on_line(f"imports: taken from the cache ({', '.join(specs)})")
        _copy(entry, folders, tools)
        return
    tools.on_line(f"imports: {folders[0]} is missing or incomplete, running `cdk8s import`")
    _generate(app, tools)
    if key:
        _store(entry, folders, tools)


def reason_against(app: App, workspace: Path) -> str:
    """Say why the imports that a run would generate are not determined by the checkout; empty where they are."""
    folder = workspace / app.directory
    moving = next((spec for spec in _specs(app) if _is_moving(folder, spec)), "")
    if not moving or not _is_needed(app, folder):
        return ""
    return f"the import {moving} is not in the checkout and can be something else tomorrow"


def _specs(app: App) -> list[str]:
    """Return what cdk8s.yaml lists; the CLI takes a single text for a list of one."""
    listed = app.config.get("imports")
    return [spec for spec in (listed if isinstance(listed, list) else [listed]) if isinstance(spec, str)]


def _is_needed(app: App, folder: Path) -> bool:
    return bool(_specs(app)) and app.language in LANGUAGES and not _is_complete(app, folder)


def _is_moving(folder: Path, spec: str) -> bool:
    """Whether a spec is neither a file of the checkout nor a version that is fixed."""
    source = _source(spec)
    return not (folder / source).is_file() and not re.fullmatch(_PINNED, source)


def _source(spec: str) -> str:
    """Return a spec without the name that it gives to a module (`name:=spec`)."""
    return spec.rpartition(":=")[2]


def _folders(app: App) -> tuple[str, ...]:
    directory = app.config.get("importDirectory") or IMPORT_DIRECTORY
    return JAVA_FOLDERS if app.language == "java" else (str(directory),)


def _is_complete(app: App, folder: Path) -> bool:
    """Whether generated code is there, and what it loads: a `*.tgz` line in .gitignore takes jsii's packages out."""
    for name in _folders(app):
        base = folder / name
        if not base.is_dir() or not any(base.iterdir()):
            return False
        if not all(any(package.glob("*.tgz")) for package in _packages(base)):
            return False
    return True


def _packages(base: Path) -> Iterator[Path]:
    """Yield the folders in which the generated code of Python, Go and Java looks for its jsii package."""
    for path in base.rglob("*"):
        if path.name in {"_jsii", "jsii"} and path.is_dir():
            yield path
        elif path.name == "$Module.txt":
            yield path.parent


def _generate(app: App, tools: Tools) -> None:
    done = tools.run(f"cdk8s import --language {app.language}")
    if done.has_failed:
        raise SynthError(
            f"The imports of {app.name} could not be generated.",
            evidence="\n".join(done.excerpt),
            hint=_BAD_SPEC if shutil.which("cdk8s", path=tools.path) else _MISSING_CLI,
        )


def _key(app: App, folder: Path, specs: Iterable[str], path: str) -> str:
    """Return a digest of everything the generated code depends on, or '' where that is not known."""
    cli = shutil.which("cdk8s", path=path)
    package = _cli_package(Path(cli).resolve().parent) if cli else None
    if package is None:
        return ""  # a wrapper of somebody's own; nobody knows when what it runs changes
    parts = [app.language, *_folders(app), *_versions(package), _go_module(folder)]
    for spec in specs:
        if _is_moving(folder, spec):
            return ""  # a URL can hold something else tomorrow
        source = folder / _source(spec)
        parts += [spec, hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else ""]
    return hashlib.sha256(FORMAT + json.dumps(parts).encode()).hexdigest()


def _cli_package(folder: Path) -> Path | None:
    """Return the package of the CLI whose program is in `folder`.

    pnpm's program is a script beside a link to the CLI, and only what the link leads to is beside its dependencies.
    """
    for parent in (folder, *folder.parents):
        package = parent if parent.name == "cdk8s-cli" else parent / "node_modules" / "cdk8s-cli"
        if (package / "package.json").is_file():
            return package.resolve()
    return None


def _versions(cli: Path) -> list[str]:
    """Return the versions of the CLI and of the generator's packages as Node finds them from there."""
    found = [f"cdk8s-cli@{_version(cli)}"]
    for name in GENERATORS:
        candidates = [parent / "node_modules" / name for parent in (cli, *cli.parents)]
        package = next((place for place in candidates if (place / "package.json").is_file()), None)
        if package:
            found.append(f"{name}@{_version(package)}")
    return found


def _version(package: Path) -> str:
    return str(json_object((package / "package.json").read_bytes()).get("version"))


def _go_module(folder: Path) -> str:
    """Return the module line of the nearest go.mod: generated Go code names the module that it belongs to."""
    file = next((parent / "go.mod" for parent in (folder, *folder.parents) if (parent / "go.mod").is_file()), None)
    match = re.search(r"^module (.*)", file.read_text(errors="replace"), re.MULTILINE) if file else None
    return match[1] if match else ""


def _copy(entry: Path, folders: Iterable[str], tools: Tools) -> None:
    """Put cached imports into the app's folder; by a program of the app's user, who owns the cache."""
    for number, name in enumerate(folders):
        source, target = shlex.quote(f"{entry}/{number}"), shlex.quote(name)
        tools.run(f"[ ! -d {source} ] || {{ mkdir -p {target} && cp -R {source}/. {target}; }}")


def _store(entry: Path, folders: Iterable[str], tools: Tools) -> None:
    """Keep generated imports; the entry appears as a whole or not at all, also with several runs at once."""
    parent, final = shlex.quote(str(entry.parent)), shlex.quote(str(entry))
    copies = [f'cp -R {shlex.quote(name)} "$fresh/{number}"' for number, name in enumerate(folders)]
    finish = f'{{ [ ! -e {final} ] && mv "$fresh" {final} || rm -rf "$fresh"; }}'
    tools.run(" && ".join((f"mkdir -p {parent}", f"fresh=$(mktemp -d {parent}/XXXXXX)", *copies, finish)))
