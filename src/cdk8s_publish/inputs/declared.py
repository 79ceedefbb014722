"""Raw inputs → `Inputs`; every problem is reported at once.

`INPUTS` is the one declaration: it feeds this parser, `--help`, `action.yml`, the GitLab template and the reference
page, and a contract test keeps them equal. `Inputs` is cut along the rooms that read it: each gets its own part.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import InputError
from cdk8s_publish.inputs import values
from cdk8s_publish.model import Finding, Level, Secret
from cdk8s_publish.options import FLAG_CHOICES, Option, closest, flag, one_of, parse_options, plain_text
from cdk8s_publish.rules.consent import parse_allow, parse_refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdk8s_publish.inputs.values import History
    from cdk8s_publish.rules.consent import Consent

PREFIX = "INPUT_"


class Section(StrEnum):
    """Where an input stands on the help page and in the reference."""

    TARGET = "What is published where"
    APP = "How the app is rendered"
    COMMIT = "The commit on the target branch"
    REPORT = "What is shown"
    GUARDS = "Guards"


class TargetInputs(NamedTuple):
    """What we publish to, and how we get in. `path` has no leading or trailing slash; the root is an empty string."""

    branch: str
    path: str
    repository: str
    token: Secret
    ssh_key: Secret
    ssh_known_hosts: str
    mode: str
    same_cluster: bool


class RenderInputs(NamedTuple):
    """How apps are found and run. `timeout` is in seconds."""

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


class CommitInputs(NamedTuple):
    """What the commit on the target branch looks like."""

    history: History
    commit_message: str
    author: str
    tag: str
    signing_key: Secret
    signing_passphrase: Secret


class ReportInputs(NamedTuple):
    """What is shown, and where."""

    diff_file: str


class ConsentInputs(NamedTuple):
    """Which findings may pass although their rule stops a run, and which stop it although their rule only warns."""

    allow: tuple[Consent, ...]
    refuse: tuple[Consent, ...]


class Inputs(NamedTuple):
    """What the user asked for, checked."""

    target: TargetInputs
    render: RenderInputs
    commit: CommitInputs
    report: ReportInputs
    consent: ConsentInputs

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that was given, for redaction and for scrubbing the environment of untrusted code."""
        target, commit = self.target, self.commit
        given = (target.token, target.ssh_key, commit.signing_key, commit.signing_passphrase)
        return tuple(secret for secret in given if secret)


INPUTS: tuple[Option, ...] = (
    Option(
        "branch",
        Section.TARGET,
        "Target branch: the branch that Flux or Argo CD watches. It is created when it does not exist yet and belongs "
        "to this action from then on; it can be neither the branch you build from nor the default branch.",
        values.branch,
        default="manifests",
        metavar="branch",
    ),
    Option(
        "path",
        Section.TARGET,
        "Folder on the target branch that receives the rendered manifests (`spec.path` of the Flux Kustomization). "
        "Only this folder is replaced; everything beside it stays. Use `.` for the root of the branch. With several "
        "apps `{app}` stands for the name of an app's folder, or of the repository for one in its root, and "
        "`{directory}` for the whole of it.",
        values.folder,
        default="dist",
        metavar="folder",
    ),
    Option(
        "app",
        Section.APP,
        "App command that renders the manifests, for example `python main.py`. Default: `app` of `cdk8s.yaml`.",
        plain_text,
    ),
    Option(
        "working-directory",
        Section.APP,
        "Folder of your repository that holds the cdk8s app (where `cdk8s.yaml` is). Several folders, one on a line, "
        "and patterns such as `apps/*` render several apps into one commit; `path` then needs `{app}` in it.",
        values.folders,
        default=".",
        metavar="list",
    ),
    Option(
        "install",
        Section.APP,
        "How the app's dependencies are installed: `auto` reads the lock file and installs exactly what it says, "
        "`none` installs nothing, anything else is run as a shell command in the folder of the app.",
        plain_text,
        default="auto",
    ),
    Option(
        "before-synth",
        Section.APP,
        "Shell command that runs in the app's folder after the installation and before the app, for example "
        "`helm repo add …` or a code generator.",
        plain_text,
    ),
    Option(
        "output",
        Section.APP,
        "Folder that the app insists on writing to, relative to the app's folder; needed only for an app that sets "
        "`new App({ outdir: … })` itself. Default: `output` of `cdk8s.yaml`.",
        plain_text,
    ),
    Option(
        "timeout",
        Section.APP,
        "How long the installation and the app may take, each: a number of seconds, or `90s`, `10m`, `1h`.",
        values.duration,
        default="10m",
        metavar="duration",
    ),
    Option(
        "type-check",
        Section.APP,
        "`false` lets ts-node run a TypeScript app without checking its types (`TS_NODE_TRANSPILE_ONLY`): several "
        "times faster, for apps whose types another job checks.",
        flag,
        default="true",
        choices=FLAG_CHOICES,
    ),
    Option(
        "hermetic",
        Section.APP,
        "`true` gives the app nothing but its files, its locked dependencies and the variables in `app-env`: no git, "
        "no other app's folder. A run that would render what is published already then ends without rendering. Only "
        "for apps that depend on no clock and no network.",
        flag,
        default="false",
        choices=FLAG_CHOICES,
    ),
    Option(
        "app-env",
        Section.APP,
        "Names of the variables that a `hermetic` app gets, on lines of their own or separated by commas.",
        values.variable_names,
        metavar="names",
    ),
    Option(
        "cache-dir",
        Section.APP,
        "Folder that keeps what package managers and runtimes download, relative to the checkout or absolute; let your "
        "CI product cache it. Default: nothing is kept from run to run.",
        plain_text,
        template_default=".cdk8s-publish/cache",
    ),
    Option(
        "repository",
        Section.TARGET,
        "Repository to publish to: `owner/name` on the same server, or a URL. Default: the repository of the "
        "checkout. Publishing to another repository needs a `token` that may write there.",
        values.repository,
        metavar="repository",
        shown=values.without_userinfo,
    ),
    Option(
        "token",
        Section.TARGET,
        "Token with write access to the repository's contents. The app and the installer never see it.",
        Secret,
        action_default="${{ github.token }}",
        template_default="$CI_JOB_TOKEN",
        shown=values.nothing_of_it,
        is_secret=True,
    ),
    Option(
        "ssh-key",
        Section.TARGET,
        "Private SSH key that may write to the repository (a deploy key), used in place of the token.",
        Secret,
        shown=values.nothing_of_it,
        is_secret=True,
    ),
    Option(
        "ssh-known-hosts",
        Section.TARGET,
        "Host keys of your Git server as `known_hosts` lines, needed with `ssh-key` for any server but github.com and "
        "gitlab.com, whose keys are built in.",
        plain_text,
    ),
    Option(
        "history",
        Section.COMMIT,
        "What the target branch remembers: `replace` keeps one commit that is replaced each time, `keep` adds a "
        "commit for each publish, `keep: 20` keeps the last 20.",
        values.history,
        default="replace",
        metavar="history",
    ),
    Option(
        "commit-message",
        Section.COMMIT,
        "First line of the commit on the target branch. `{subject}`, `{sha}`, `{short-sha}`, `{branch}` and `{path}` "
        "are replaced by the subject, id and branch of the source commit and the published folder.",
        plain_text,
        default="{subject}",
    ),
    Option(
        "author",
        Section.COMMIT,
        "Author and committer of the commit on the target branch, as `Name <email>`.",
        values.author,
        default="cdk8s-publish <cdk8s-publish@users.noreply.github.com>",
        metavar="author",
    ),
    Option(
        "tag",
        Section.COMMIT,
        "Also create this tag on the published commit; the placeholders of `commit-message` work here too, for "
        "example `manifests-{short-sha}`. A tag that already marks another commit is never moved.",
        plain_text,
    ),
    Option(
        "signing-key",
        Section.COMMIT,
        "Private OpenPGP or SSH key that signs the commit, for Flux `spec.verify` or a rule that demands signatures.",
        Secret,
        shown=values.nothing_of_it,
        is_secret=True,
    ),
    Option(
        "signing-passphrase",
        Section.COMMIT,
        "Passphrase of `signing-key`, when it has one.",
        Secret,
        shown=values.nothing_of_it,
        is_secret=True,
    ),
    Option(
        "mode",
        Section.TARGET,
        "`publish` moves the target branch, `diff` only shows what would change, `auto` shows the diff for pull and "
        "merge requests and publishes otherwise.",
        one_of("auto", "publish", "diff"),
        default="auto",
        choices=("auto", "publish", "diff"),
    ),
    Option(
        "same-cluster",
        Section.TARGET,
        "`true` says that all folders of this run are applied to one cluster: a resource that moves from one app, or "
        "one top-level folder of an app, to another is then not deleted. By default a resource that leaves its folder "
        "counts as removed.",
        flag,
        default="false",
        choices=FLAG_CHOICES,
    ),
    Option(
        "diff-file",
        Section.REPORT,
        "Also write the whole diff to this file of the workspace, for example to keep it as an artifact.",
        plain_text,
        template_default=".cdk8s-publish/changes.diff",
    ),
    Option(
        "allow",
        Section.GUARDS,
        "Rules whose findings may pass, on lines of their own or separated by commas: a rule alone "
        "(`removal-budget`), or a rule for one resource (`plain-secret:Secret/shop/db`, written "
        "`Kind.group/namespace/name`; `*` stands for anything within a part). What is refused names the words that "
        "would let it pass. A trailer `Allow: <rule>[:<resource>] <reason>` in the message of a source commit does the "
        "same for the publish of that commit.",
        parse_allow,
        metavar="rules",
    ),
    Option(
        "refuse",
        Section.GUARDS,
        "Rules that only warn or inform but should stop the run, in the same form.",
        parse_refuse,
        metavar="rules",
    ),
)

SPECS: Mapping[str, Option] = {option.name: option for option in INPUTS}

# One that says `false` does no harm today. It is refused all the same: on the day when it says `true`, somebody is in a
# hurry.
REPLACED: Mapping[str, str] = {
    name: f"it is replaced by `allow`; write `allow: {words}`, or nothing where it was `false`"
    for name, words in {
        "adopt-branch": "foreign-branch",
        "allow-empty": "nothing-rendered",
        "allow-removals": "removal-budget, precious-removal",
        "allow-secrets": "plain-secret",
        "allow-helm": "helm-format",
        "allow-rollback": "older-source",
    }.items()
}
"""Inputs that are no more, and what to write in their place."""

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
        if name in SPECS or name in REPLACED:
            raw[name] = value
        else:
            unknown.append(
                Finding(Level.WARNING, "unknown-input", f"There is no input `{name}`{closest(name, SPECS)}.")
            )
    return raw, tuple(unknown)


def parse(raw: Mapping[str, str]) -> Inputs:
    """Turn raw strings into values; an empty string means the default.

    Raises:
        InputError: names every input that can't be used, its value (never a secret's) and the allowed form.

    """
    values = parse_options(INPUTS, raw, what="Input", hint=_HINT, replaced=REPLACED)
    parts: dict[Section, dict[str, object]] = {section: {} for section in Section}
    for option in INPUTS:
        parts[Section(option.section)][option.field] = values[option.name]
    # The fields of each part are the names that INPUTS declares for its section; tested.
    inputs = Inputs(
        target=TargetInputs(**parts[Section.TARGET]),  # type: ignore[arg-type]
        render=RenderInputs(**parts[Section.APP]),  # type: ignore[arg-type]
        commit=CommitInputs(**parts[Section.COMMIT]),  # type: ignore[arg-type]
        report=ReportInputs(**parts[Section.REPORT]),  # type: ignore[arg-type]
        consent=ConsentInputs(**parts[Section.GUARDS]),  # type: ignore[arg-type]
    )
    _refuse_contradiction(inputs.consent)
    return inputs


def _refuse_contradiction(consent: ConsentInputs) -> None:
    both = ", ".join(f"`{one}`" for one in consent.allow if one in consent.refuse)
    if both:
        raise InputError(f"Inputs `allow` and `refuse`: both name {both}.", hint="Remove it from one of the two.")


_HINT = "`cdk8s-publish run --help` describes every input."
