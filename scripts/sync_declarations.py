"""Write the declared inputs and outputs into every file that repeats them.

    python3 scripts/sync_declarations.py           write
    python3 scripts/sync_declarations.py --check   write nothing, fail when a file differs

Each file keeps its hand-written rest: only what stands between a line with `<name>: begin` and one with `<name>: end`
is replaced, indented like the first of them.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from cdk8s_publish import errors  # noqa: E402
from cdk8s_publish.ci.pull_requests import SIGNS  # noqa: E402
from cdk8s_publish.flux.options import FLUX_OPTIONS  # noqa: E402
from cdk8s_publish.inputs.declared import INPUTS, OUTPUTS, PREFIX, Section  # noqa: E402
from cdk8s_publish.render.dependencies import ECOSYSTEMS  # noqa: E402
from cdk8s_publish.rules.registry import RULES  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cdk8s_publish.options import Option

WIDTH = 110
SHELL_COMMANDS = frozenset({"app", "before-synth", "install"})
"""Their `$` belongs to the shell that runs them: GitLab must not expand it first."""


def action_inputs() -> Iterator[str]:
    """Yield `inputs:` of action.yml."""
    for spec in INPUTS:
        default = spec.default if spec.action_default is None else spec.action_default
        yield f"{spec.name}:"
        yield from _folded("description", spec.description)
        yield "  required: false"
        yield f"  default: {json.dumps(default)}"


def action_outputs() -> Iterator[str]:
    """Yield `outputs:` of action.yml."""
    for name, description in OUTPUTS.items():
        yield f"{name}:"
        yield from _folded("description", description)


def template_inputs() -> Iterator[str]:
    """Yield `spec: inputs:` of the GitLab template."""
    for spec in INPUTS:
        default = spec.default if spec.template_default is None else spec.template_default
        yield f"{spec.name}:"
        yield from _folded("description", spec.description)
        yield f"  default: {json.dumps(default)}"
        if choices := spec.choices:
            yield f"  options: {json.dumps(choices)}"


def template_variables() -> Iterator[str]:
    """Yield the variables through which the template hands its inputs over."""
    for spec in INPUTS:
        variable = PREFIX + spec.field.upper()
        value = f'"$[[ inputs.{spec.name} ]]"'
        if spec.name in SHELL_COMMANDS:
            yield from (f"{variable}:", f"  value: {value}", "  expand: false")
        else:
            yield f"{variable}: {value}"


def reference_inputs() -> Iterator[str]:
    """Yield the chapters of the reference page of inputs."""
    for section in Section:
        yield from (f"## {section}", "")
        for spec in (spec for spec in INPUTS if spec.section == section):
            yield from (f"### `{spec.name}`", "", *textwrap.wrap(spec.description, WIDTH), "", *_facts(spec), "")


def reference_outputs() -> Iterator[str]:
    """Yield the table of the outputs."""
    yield from ("| GitHub | GitLab | |", "|---|---|---|")
    for name, description in OUTPUTS.items():
        yield f"| `{name}` | `PUBLISH_{name.upper().replace('-', '_')}` | {description} |"


def reference_exit_codes() -> Iterator[str]:
    """Yield the table of exit codes, from the classes of the errors."""
    yield from ("| code | meaning |", "|---|---|", "| 0 | Done: published, unchanged, skipped, or a diff was shown. |")
    classes = [
        cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.Cdk8sPublishError)
    ]
    # A class that only narrows its parent's kind of failure shares the parent's code.
    own = [cls for cls in classes if "exit_code" in vars(cls)]
    for code in sorted({cls.exit_code for cls in own}):
        told = (inspect.getdoc(cls) for cls in own if cls.exit_code == code)
        yield f"| {code} | {' '.join(' '.join(str(text).split(chr(10) * 2)[0].split()) for text in told)} |"


def reference_rules(*, is_about_branch: bool) -> Iterator[str]:
    """Yield the table of the rules about content, or of those about the branch."""
    yield from ("| rule | level | meaning | may be allowed |", "|---|---|---|---|")
    for rule in RULES.values():
        if rule.is_about_branch is is_about_branch:
            may_pass = "for one resource" if rule.is_about_resource else "yes"
            may_pass = "for one folder" if rule.is_about_folder else may_pass
            allowed = f"never: {rule.never}" if rule.never else may_pass
            yield f"| `{rule.name}` | {rule.level} | {rule.meaning} | {allowed} |"


def reference_managers() -> Iterator[str]:
    """Yield one table for each ecosystem: which files stand for which package manager and what it is told to do."""
    for ecosystem in ECOSYSTEMS:
        yield from (
            f"### {ecosystem.name}",
            "",
            "| files | package manager | command | lock file |",
            "|---|---|---|---|",
        )
        for manager in ecosystem.managers:
            files = " and ".join(f"`{file}`" for file in manager.files)
            files += f" with `{manager.contains}`" if manager.contains else ""
            shown = textwrap.shorten(manager.command, WIDTH, placeholder=" …")
            command = f"`{shown}`" if shown else "none: see below"
            lock = "yes" if manager.is_locked else "**no**: a warning" if shown else "no"
            yield f"| {files} | {manager.name} | {command} | {lock} |"
        yield ""


def reference_pull_requests() -> Iterator[str]:
    """Yield the table of the variables that say that a pull request is built."""
    yield from ("| product | a pull request is built where | |", "|---|---|---|")
    for sign in SIGNS:
        values = " or ".join(f"`{value}`" for value in sign.values)
        names = " or ".join(f"`{name}`" for name in sign.variables)
        condition = f"is {values}" if values else "is set, and says neither `false` nor `0`"
        yield f"| {sign.product} | {names} {condition} | {f'with `{sign.mark}`' if sign.mark else ''} |"


def reference_flux() -> Iterator[str]:
    """Yield the table of the options of `cdk8s-publish flux`."""
    yield from ("| option | default | |", "|---|---|---|")
    for option in FLUX_OPTIONS:
        default = f"`{option.default}`" if option.default else ""
        yield f"| `--{option.name}` | {default} | {option.description} |"


ROOMS = (
    "cli",
    "commands",
    "publish",
    "publish.branch",
    "flux",
    "render",
    "review",
    "job",
    "ci",
    "sandbox",
    "inputs",
    "rules",
    "git",
)
"""What the picture shows. Every other module lies on the ground floor, which everybody may use."""


def architecture() -> Iterator[str]:
    """Yield the picture of the rooms: an arrow for each import that no longer way implies."""
    arrows = {room: set[str]() for room in ROOMS}
    package = ROOT / "src" / "cdk8s_publish"
    for path in sorted(package.rglob("*.py")):
        own = _room(".".join(path.relative_to(package).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if own and isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                arrows[own] |= {_room(name.removeprefix("cdk8s_publish.")) for name in names} - {own, ""}
    yield from ("```mermaid", "flowchart TD")
    for room, others in arrows.items():
        implied = set[str]().union(*(_reached(arrows, other) for other in others))
        yield from (f"  {_node(room)} --> {_node(other)}" for other in sorted(others - implied))
    yield "```"


def _room(module: str) -> str:
    parts = module.split(".")
    candidates = (".".join(parts[:length]) for length in (2, 1))
    return next((name for name in candidates if name in ROOMS), "")


def _reached(arrows: Mapping[str, set[str]], start: str) -> set[str]:
    """Return every room that can be reached from one."""
    found, pending = set[str](), [start]
    while pending:
        new = arrows[pending.pop()] - found
        found |= new
        pending += new
    return found


def _node(room: str) -> str:
    return f"{room.replace('.', '_')}[{room.replace('.', '/')}]"


PARTS: Mapping[str, Mapping[str, Iterator[str]]] = {
    "action.yml": {"inputs": action_inputs(), "outputs": action_outputs()},
    ".gitlab-ci-template.yml": {"inputs": template_inputs(), "variables": template_variables()},
    "docs/reference/inputs.md": {"inputs": reference_inputs()},
    "docs/reference/outputs.md": {"outputs": reference_outputs()},
    "docs/reference/checks.md": {
        "rules on content": reference_rules(is_about_branch=False),
        "rules on the branch": reference_rules(is_about_branch=True),
    },
    "docs/reference/exit-codes.md": {"exit codes": reference_exit_codes()},
    "docs/reference/detection.md": {
        "package managers": reference_managers(),
        "pull requests": reference_pull_requests(),
    },
    "docs/development/architecture.md": {"rooms": architecture()},
    "docs/reference/flux.md": {"options": reference_flux()},
}


def replaced(text: str, part: str, lines: Iterator[str]) -> str:
    """Return `text` with the lines between the two marks of `part` replaced."""
    marks = re.compile(rf"^( *)(\S+ {part}: begin[^\n]*\n).*?^( *\S+ {part}: end)", re.MULTILINE | re.DOTALL)

    def fill(match: re.Match[str]) -> str:
        body = textwrap.indent("\n".join(lines).rstrip() + "\n", match[1])
        gap = "\n" if match[2].startswith("<!--") else ""  # Markdown wants an empty line around a comment
        return f"{match[1]}{match[2]}{gap}{body}{gap}{match[3]}"

    text, count = marks.subn(fill, text)
    if count != 1:
        sys.exit(f"sync_declarations: expected the marks of {part!r} once, found them {count} times")
    return text


def _folded(key: str, text: str) -> Iterator[str]:
    lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    yield f"  {key}: >-"
    yield from (f"    {line}" for line in lines)


def _facts(spec: Option) -> Iterator[str]:
    forms = (" or " if spec.is_flag else ", ").join(f"`{choice}`" for choice in spec.choices)
    if forms:
        yield f"* Values: {forms}"
    if spec.default:
        yield f"* Default: `{spec.default}`"
    if spec.action_default is not None:
        yield f"* Default of the GitHub Action: `{spec.action_default}`"
    if spec.template_default is not None:
        yield f"* Default of the GitLab template: `{spec.template_default}`"
    variable = f"`{PREFIX}{spec.field.upper()}`"
    yield f"* Command line: {variable} (never an option)" if spec.is_secret else f"* Variable: {variable}"


def main(argv: list[str]) -> None:
    """Bring every file up to date, or tell which are not."""
    stale = []
    for name, parts in PARTS.items():
        path = ROOT / name
        before = after = path.read_text(encoding="utf-8")
        for part, lines in parts.items():
            after = replaced(after, part, lines)
        if after != before:
            stale.append(name)
            if argv != ["--check"]:
                path.write_text(after, encoding="utf-8")
    # GitLab looks for a component below templates/, and follows no link there.
    component, template = (
        ROOT / "templates" / "publish.yml",
        (ROOT / ".gitlab-ci-template.yml").read_text(encoding="utf-8"),
    )
    if not component.exists() or component.read_text(encoding="utf-8") != template:
        stale.append("templates/publish.yml")
        if argv != ["--check"]:
            component.parent.mkdir(exist_ok=True)
            component.write_text(template, encoding="utf-8")
    if stale and argv == ["--check"]:
        names = ", ".join(stale)
        sys.exit(f"sync_declarations: not what is declared: {names}; run `python3 scripts/sync_declarations.py`")


if __name__ == "__main__":
    main(sys.argv[1:])
