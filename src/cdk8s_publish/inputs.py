"""Raw inputs → `Inputs`; every problem is reported at once.

`INPUTS` is the one declaration: it feeds this parser, `--help`, `action.yml`, the GitLab template and the reference
page, and a contract test keeps them equal.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import InputError
from cdk8s_publish.model import Finding, Level, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "INPUT_"
TIMEOUT_MAX_S = 24 * 3600
NAME_MAX_BYTES = 255
"""What Linux file systems take as one name (NAME_MAX of limits.h)."""


class Kind(StrEnum):
    """How a raw string becomes a value."""

    TEXT = "text"
    SECRET = "secret"  # noqa: S105  # the name of a kind
    FLAG = "flag"
    DURATION = "duration"
    CHOICE = "choice"
    LIST = "list"
    NAMES = "names"
    BRANCH = "branch"
    FOLDER = "folder"
    REPOSITORY = "repository"
    HISTORY = "history"
    AUTHOR = "author"


class Section(StrEnum):
    """Where an input stands on the help page and in the reference."""

    TARGET = "What is published where"
    APP = "How the app is rendered"
    COMMIT = "The commit on the target branch"
    REPORT = "What is shown"
    GUARDS = "Guards that can be opened, each for its own reason"


class InputSpec(NamedTuple):
    """One input. `default` is what an empty value means; `action_default` replaces it in `action.yml` only."""

    name: str
    kind: Kind
    section: Section
    description: str
    default: str = ""
    choices: tuple[str, ...] = ()
    action_default: str | None = None
    template_default: str | None = None

    @property
    def field(self) -> str:
        """The attribute of `Inputs` that holds the value."""
        return self.name.replace("-", "_")


class History(NamedTuple):
    """`replace`: one root commit. `keep`: append. `keep` with a `limit`: the last `limit` publishes stay."""

    keep: bool = False
    limit: int | None = None


class Inputs(NamedTuple):
    """What the user asked for, checked. Folders have no leading or trailing slash; the root is an empty string."""

    branch: str
    path: str
    app: str
    working_directory: tuple[str, ...]
    install: str
    before_synth: str
    output: str
    timeout: int
    type_check: bool
    hermetic: bool
    app_env: tuple[str, ...]
    cache_dir: str
    repository: str
    token: Secret
    ssh_key: Secret
    ssh_known_hosts: str
    history: History
    commit_message: str
    author: str
    tag: str
    signing_key: Secret
    signing_passphrase: Secret
    mode: str
    diff_file: str
    adopt_branch: bool
    allow_empty: bool
    allow_removals: bool
    allow_secrets: bool
    allow_helm: bool
    allow_rollback: bool

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that was given, for redaction and for scrubbing the environment of foreign code."""
        return tuple(
            secret for secret in (self.token, self.ssh_key, self.signing_key, self.signing_passphrase) if secret
        )


INPUTS: tuple[InputSpec, ...] = (
    InputSpec(
        "branch",
        Kind.BRANCH,
        Section.TARGET,
        "Target branch: the branch that Flux or Argo CD watches. It is created when it does not exist yet and belongs "
        "to this action from then on; it can be neither the branch you build from nor the default branch.",
        default="manifests",
    ),
    InputSpec(
        "path",
        Kind.FOLDER,
        Section.TARGET,
        "Folder on the target branch that receives the rendered manifests (`spec.path` of the Flux Kustomization). "
        "Only this folder is replaced; everything beside it stays. Use `.` for the root of the branch. With several "
        "apps `{app}` stands for the name of an app's folder and `{directory}` for the whole of it.",
        default="dist",
    ),
    InputSpec(
        "app",
        Kind.TEXT,
        Section.APP,
        "App command that renders the manifests, for example `python main.py`. Default: `app` of `cdk8s.yaml`.",
    ),
    InputSpec(
        "working-directory",
        Kind.LIST,
        Section.APP,
        "Folder of your repository that holds the cdk8s app (where `cdk8s.yaml` is). Several folders, one on a line, "
        "and patterns such as `apps/*` render several apps into one commit; `path` then needs `{app}` in it.",
        default=".",
    ),
    InputSpec(
        "install",
        Kind.TEXT,
        Section.APP,
        "How the app's dependencies are installed: `auto` reads the lock file and installs exactly what it says, "
        "`none` installs nothing, anything else is run as a shell command in the folder of the app.",
        default="auto",
    ),
    InputSpec(
        "before-synth",
        Kind.TEXT,
        Section.APP,
        "Shell command that runs in the app's folder after the installation and before the app, for example "
        "`helm repo add …` or a code generator.",
    ),
    InputSpec(
        "output",
        Kind.TEXT,
        Section.APP,
        "Folder that the app insists on writing to, relative to the app's folder; needed only for an app that sets "
        "`new App({ outdir: … })` itself. Default: `output` of `cdk8s.yaml`.",
    ),
    InputSpec(
        "timeout",
        Kind.DURATION,
        Section.APP,
        "How long the installation and the app may take, each: a number of seconds, or `90s`, `10m`, `1h`.",
        default="10m",
    ),
    InputSpec(
        "type-check",
        Kind.FLAG,
        Section.APP,
        "`false` lets ts-node run a TypeScript app without checking its types (`TS_NODE_TRANSPILE_ONLY`): several "
        "times faster, for apps whose types another job checks.",
        default="true",
    ),
    InputSpec(
        "hermetic",
        Kind.FLAG,
        Section.APP,
        "`true` gives the app nothing but its files, its locked dependencies and the variables in `app-env`: no git, "
        "no other app's folder. A run that would render what is published already then ends without rendering. Only "
        "for apps that depend on no clock and no network.",
        default="false",
    ),
    InputSpec(
        "app-env",
        Kind.NAMES,
        Section.APP,
        "Names of the variables that a `hermetic` app gets, on lines of their own or separated by commas.",
    ),
    InputSpec(
        "cache-dir",
        Kind.TEXT,
        Section.APP,
        "Folder that keeps what package managers and runtimes download, relative to the checkout or absolute; let your "
        "CI product cache it. Default: nothing is kept from run to run.",
        template_default=".cdk8s-publish/cache",
    ),
    InputSpec(
        "repository",
        Kind.REPOSITORY,
        Section.TARGET,
        "Repository to publish to: `owner/name` on the same server, or a URL. Default: the repository of the "
        "checkout. Publishing to another repository needs a `token` that may write there.",
    ),
    InputSpec(
        "token",
        Kind.SECRET,
        Section.TARGET,
        "Token with write access to the repository's contents. The app and the installer never see it.",
        action_default="${{ github.token }}",
        template_default="$CI_JOB_TOKEN",
    ),
    InputSpec(
        "ssh-key",
        Kind.SECRET,
        Section.TARGET,
        "Private SSH key that may write to the repository (a deploy key), used in place of the token.",
    ),
    InputSpec(
        "ssh-known-hosts",
        Kind.TEXT,
        Section.TARGET,
        "Host keys of your Git server as `known_hosts` lines, needed with `ssh-key` for any server but github.com and "
        "gitlab.com, whose keys are built in.",
    ),
    InputSpec(
        "history",
        Kind.HISTORY,
        Section.COMMIT,
        "What the target branch remembers: `replace` keeps one commit that is replaced each time, `keep` adds a "
        "commit for each publish, `keep: 20` keeps the last 20.",
        default="replace",
    ),
    InputSpec(
        "commit-message",
        Kind.TEXT,
        Section.COMMIT,
        "First line of the commit on the target branch. `{subject}`, `{sha}`, `{short-sha}`, `{branch}` and `{path}` "
        "are replaced by the subject, id and branch of the source commit and the published folder.",
        default="{subject}",
    ),
    InputSpec(
        "author",
        Kind.AUTHOR,
        Section.COMMIT,
        "Author and committer of the commit on the target branch, as `Name <mail address>`.",
        default="cdk8s-publish <cdk8s-publish@users.noreply.github.com>",
    ),
    InputSpec(
        "tag",
        Kind.TEXT,
        Section.COMMIT,
        "Also create this tag on the published commit; the placeholders of `commit-message` work here too, for "
        "example `manifests-{short-sha}`. A tag that already marks another commit is never moved.",
    ),
    InputSpec(
        "signing-key",
        Kind.SECRET,
        Section.COMMIT,
        "Private OpenPGP or SSH key that signs the commit, for Flux `spec.verify` or a rule that demands signatures.",
    ),
    InputSpec(
        "signing-passphrase",
        Kind.SECRET,
        Section.COMMIT,
        "Passphrase of `signing-key`, when it has one.",
    ),
    InputSpec(
        "mode",
        Kind.CHOICE,
        Section.TARGET,
        "`publish` moves the target branch, `diff` only shows what would change, `auto` shows the diff for pull and "
        "merge requests and publishes otherwise.",
        default="auto",
        choices=("auto", "publish", "diff"),
    ),
    InputSpec(
        "diff-file",
        Kind.TEXT,
        Section.REPORT,
        "Also write the whole diff to this file of the workspace, for example to keep it as an artifact.",
        template_default=".cdk8s-publish/changes.diff",
    ),
    InputSpec(
        "adopt-branch",
        Kind.FLAG,
        Section.GUARDS,
        "Take over a target branch or folder that has content from somebody else. The folder `path` is replaced, "
        "files beside it stay.",
        default="false",
    ),
    InputSpec(
        "allow-empty",
        Kind.FLAG,
        Section.GUARDS,
        "Publish even when the app renders no resource at all. Flux then deletes everything it had applied.",
        default="false",
    ),
    InputSpec(
        "allow-removals",
        Kind.FLAG,
        Section.GUARDS,
        "Publish even when more than half of the resources, or a Namespace, CustomResourceDefinition, "
        "PersistentVolume(Claim) or StatefulSet, would be removed. A trailer `Allow-Removals: <reason>` in the "
        "message of the source commit does the same for that commit.",
        default="false",
    ),
    InputSpec(
        "allow-secrets",
        Kind.FLAG,
        Section.GUARDS,
        "Publish even when a Secret with readable values was rendered. Values are never shown in logs or diffs.",
        default="false",
    ),
    InputSpec(
        "allow-helm",
        Kind.FLAG,
        Section.GUARDS,
        "Publish the Helm chart that `synthConfig` of `cdk8s.yaml` asks for. Flux would take its `Chart.yaml` for a "
        "resource: point a HelmRelease at the folder, no Kustomization.",
        default="false",
    ),
    InputSpec(
        "allow-rollback",
        Kind.FLAG,
        Section.GUARDS,
        "Publish even when the target branch already holds a newer source commit than the one being rendered.",
        default="false",
    ),
)

SPECS: Mapping[str, InputSpec] = {spec.name: spec for spec in INPUTS}

OUTPUTS: Mapping[str, str] = {
    "outcome": "How the run ended: `published`, `unchanged`, `skipped` or `dry-run`; `failed` when the step failed.",
    "changed": "`true` when the rendered manifests differ from what the target branch held, else `false`.",
    "revision": "Published revision: the commit on the target branch after this run; empty when there is none.",
    "source-revision": "Source revision: the commit that was rendered.",
    "branch": "Target branch.",
    "path": "Folder on the target branch.",
    "manifests": "Number of rendered resources.",
    "added": "Number of resources that the target branch did not have.",
    "modified": "Number of resources that differ from what the target branch had.",
    "removed": "Number of resources that are no longer rendered.",
    "diff-file": "File that holds the whole diff; empty unless the input `diff-file` asks for one.",
}


def from_environ(environ: Mapping[str, str]) -> tuple[dict[str, str], tuple[Finding, ...]]:
    """Collect `INPUT_<NAME>` variables; dashes may be written as underscores, as shell variables need it.

    Returns the raw inputs by name, and a warning for each variable that looks like an input but is none.
    """
    raw: dict[str, str] = {}
    unknown: list[Finding] = []
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIX) or not value.strip():
            continue
        name = variable.removeprefix(PREFIX).lower().replace("_", "-")
        if name in SPECS:
            raw[name] = value
        else:
            unknown.append(Finding(Level.WARNING, "unknown-input", f"there is no input `{name}`{_closest(name)}"))
    return raw, tuple(unknown)


def parse(raw: Mapping[str, str]) -> Inputs:
    """Turn raw strings into values; an empty string means the default.

    Raises:
        InputError: names every input that can't be used, its value (never a secret's) and the allowed form.

    """
    values: dict[str, object] = {}
    problems: list[str] = [f"{name}: there is no such input{_closest(name)}" for name in raw if name not in SPECS]
    for spec in INPUTS:
        given = raw.get(spec.name, "")
        text = given.strip() or spec.default
        try:
            values[spec.field] = _choice(text, spec) if spec.kind is Kind.CHOICE else _PARSERS[spec.kind](text)
        except ValueError as error:
            problems.append(f"{spec.name}: {_shown(text, spec)} {error}")
    if problems:
        names = ", ".join(problem.partition(":")[0] for problem in problems)
        raise InputError(
            problems[0] if len(problems) == 1 else f"{len(problems)} inputs can't be used: {names}",
            evidence="\n".join(problems) if len(problems) > 1 else "",
            hint="Every input is described by `cdk8s-publish run --help` and in docs/reference/inputs.md.",
        )
    return Inputs(**values)  # type: ignore[arg-type]  # the fields of Inputs are the names in INPUTS; tested


def _shown(text: str, spec: InputSpec) -> str:
    if spec.kind is Kind.SECRET:
        return "the value given"
    # Whatever stands before the last @ of an address may hold a password.
    return repr(re.sub(r"(^|//).*@", r"\1***@", text) if spec.kind is Kind.REPOSITORY else text)


def _closest(name: str) -> str:
    import difflib  # noqa: PLC0415  # for mistakes only

    matches = difflib.get_close_matches(name, SPECS, n=1)
    return f"; did you mean `{matches[0]}`?" if matches else ""


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("contains a NUL byte")
    return text


def _choice(text: str, spec: InputSpec) -> str:
    if text not in spec.choices:
        raise ValueError(f"is not one of {', '.join(spec.choices)}")
    return text


def _flag(text: str) -> bool:
    """YAML 1.2 core booleans, as GitHub's own toolkit accepts them."""
    if text in {"true", "True", "TRUE"}:
        return True
    if text in {"false", "False", "FALSE"}:
        return False
    raise ValueError("is neither `true` nor `false`")


def _duration(text: str) -> int:
    match = re.fullmatch(r"(\d{1,6})\s*([smh]?)", text)
    seconds = int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0
    if not 0 < seconds <= TIMEOUT_MAX_S:
        raise ValueError("is not a duration such as `90s`, `10m` or `1h` (at most 24h)")
    return seconds


def _list(text: str) -> tuple[str, ...]:
    """Folders of the checkout, one on a line or separated by commas."""
    folders = tuple(part.strip() for part in re.split(r"[\n,]", text) if part.strip())
    if not folders:
        raise ValueError("names no folder")
    for folder in folders:
        if folder.startswith("/") or ".." in folder.split("/") or "\0" in folder:
            raise ValueError("is not a folder inside the checkout, relative to its root")
    return folders


def _names(text: str) -> tuple[str, ...]:
    """Names of environment variables, separated by commas, spaces or lines."""
    names = tuple(sorted(set(re.split(r"[\s,]+", text.strip())) - {""}))
    for name in names:
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise ValueError("is not a list of names of environment variables")
    return names


_REF_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


def is_ref_name(text: str) -> bool:
    """Whether git takes it for the name of a branch or tag; the rules are those of git-check-ref-format(1)."""
    return not (
        _REF_FORBIDDEN.search(text)
        or text in {"", "@", "HEAD"}
        or text.startswith("-")
        or text.endswith(".")
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in text.split("/"))
    )


_INVISIBLE = dict.fromkeys((*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF))


def is_git_name(name: str) -> bool:
    """Whether a file system takes the name for `.git`; git refuses to check such a name out anywhere.

    The rules of git's core.protectHFS (invisible characters, upper case) and core.protectNTFS (short name, stream,
    trailing dots and blanks).
    """
    head = re.split(r"[:\\]", name.translate(_INVISIBLE).lower())[0]
    return head.rstrip(" .") in {".git", "git~1"}


def _branch(text: str) -> str:
    if text.startswith("refs/"):
        raise ValueError("is a ref; give the name of the branch alone, for example `manifests`")
    if not is_ref_name(text):
        raise ValueError("is not a branch name that git accepts, for example `manifests` or `env/production`")
    return text


def _folder(text: str) -> str:
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if any(part == ".." for part in parts) or re.search(r"[\x00-\x1f\x7f\\]", text):
        raise ValueError("is not a folder on the branch, for example `dist` or `clusters/production`")
    if set(re.sub(r"\{(app|directory)\}", "", text)) & set("{}"):
        raise ValueError("contains braces; the placeholders are `{app}` and `{directory}`")
    if any(map(is_git_name, parts)):
        raise ValueError("contains a name that git keeps for itself")
    if any(len(part.encode(errors="surrogateescape")) > NAME_MAX_BYTES for part in parts):
        raise ValueError(f"contains a name of more than {NAME_MAX_BYTES} bytes, which can't be checked out")
    if parts and parts[0].lower().rstrip(". ") == ".github":
        raise ValueError("is a folder in which GitHub looks for workflows; manifests have no place there")
    return "/".join(parts)


def _repository(text: str) -> str:
    """`owner/name`, a URL (https, http, ssh, git, file), `user@host:path`, or a local path."""
    if not text:
        return text
    scheme, separator, _ = text.partition("://")
    has_space = " " in text and (separator or not text.startswith(("/", ".")))
    if text.startswith("-") or re.search(r"[\x00-\x1f\x7f]", text) or has_space or "::" in text.partition("/")[0]:
        raise ValueError("is neither `owner/name` nor a URL or path that git can push to")
    if separator and scheme not in {"https", "http", "ssh", "file"}:
        raise ValueError("has a scheme that git can't push to; use https:// or ssh://")
    if re.match(r"\w+://[^/@]*:(?!\d+/).*@", text):
        raise ValueError("carries a password; hand it over in the input `token`")
    return text


def _history(text: str) -> History:
    match = re.fullmatch(r"(replace)|keep(?:\s*[:\s]\s*(\d{1,5}))?", text)
    if not match or (match[2] is not None and int(match[2]) < 1):
        raise ValueError("is not `replace`, `keep` or `keep: <number>` (at least 1)")
    return History(keep=not match[1], limit=int(match[2]) if match[2] else None)


def _author(text: str) -> str:
    # A name of nothing but what git strips from its ends (ident.c, `crud`) is refused by git.
    if not re.fullmatch(r"""[^<>\n\0]*[^<>\s.,:;"'\\][^<>\n\0]* <[^<>\s\0]+>""", text):
        raise ValueError("is not of the form `Name <mail address>`")
    return text


_PARSERS: Mapping[Kind, Callable[[str], object]] = {
    Kind.TEXT: _text,
    Kind.SECRET: Secret,
    Kind.FLAG: _flag,
    Kind.NAMES: _names,
    Kind.DURATION: _duration,
    Kind.LIST: _list,
    Kind.BRANCH: _branch,
    Kind.FOLDER: _folder,
    Kind.REPOSITORY: _repository,
    Kind.HISTORY: _history,
    Kind.AUTHOR: _author,
}
