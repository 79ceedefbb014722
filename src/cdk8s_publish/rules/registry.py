"""Every rule by its name: what it finds, how severe that is, and whether a finding of it may pass.

The table in docs/reference/checks.md is written from this one.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import Level

if TYPE_CHECKING:
    from collections.abc import Mapping


class Rule(NamedTuple):
    """One rule.

    `level` is that of its findings, unless the reference says otherwise. `never` says why no consent lets them pass; it
    is empty for a rule that may be allowed. Where a rule `skips`, its findings end the run without an
    error, and without a publish.

    `is_about_branch` rules are judged before anything is rendered. Findings of a rule that is `is_about_resource` name
    one, those of a rule that is `is_about_folder` name a folder of the branch where they are about one. A rule that is
    `is_read_from_file` is not judged again for files that did not change since they were published.
    """

    name: str
    level: Level
    meaning: str
    never: str = ""
    is_about_branch: bool = False
    is_about_resource: bool = False
    is_about_folder: bool = False
    is_read_from_file: bool = False
    skips: bool = False


_ALL = (
    Rule(
        "nothing-rendered",
        Level.ERROR,
        "no resource at all was rendered: publishing that deletes everything that was published",
    ),
    Rule("removal-budget", Level.ERROR, "[too many resources](#the-removal-budget) would be deleted"),
    Rule(
        "precious-removal",
        Level.ERROR,
        "a resource would be deleted that takes data, or other resources, with it",
        is_about_resource=True,
    ),
    Rule(
        "unknown-removal",
        Level.ERROR,
        "something published goes, and nobody can say which resources go with it: a file that can't be read, or a "
        "kustomization file that does more than list resources",
    ),
    Rule(
        "plain-secret",
        Level.ERROR,
        "a `Secret` with [readable values](#readable-secrets), in any file that parses as YAML or JSON",
        is_about_resource=True,
        is_read_from_file=True,
    ),
    Rule("invalid-yaml", Level.ERROR, "the file does not parse", is_read_from_file=True),
    Rule(
        "not-a-resource",
        Level.ERROR,
        "a document is no Kubernetes object: `apiVersion`, `kind` or `metadata.name` is missing or of the wrong type",
        is_read_from_file=True,
    ),
    Rule(
        "lost-labels",
        Level.ERROR,
        "a label is a number or a boolean: Flux drops all labels of the object",
        is_about_resource=True,
        is_read_from_file=True,
    ),
    Rule(
        "duplicate-resource",
        Level.ERROR,
        "two documents have the same group, kind, namespace and name; in folders of their own a warning",
        is_about_resource=True,
        is_read_from_file=True,
    ),
    Rule(
        "dropped-resource",
        Level.ERROR,
        "the app wrote a resource to a file and then overwrote it: cdk8s names files without namespace and API group",
        is_about_resource=True,
    ),
    Rule(
        "not-publishable",
        Level.ERROR,
        "a link out of the folder, a device, an entry named like `.git`, or something [larger, or nested more "
        "deeply](#sizes), than is published",
        never="git can't hold it, or it would publish files from outside the folder",
    ),
    Rule(
        "reserved-name",
        Level.ERROR,
        "the name `hydrator.metadata`, or a resource in a file that kustomize reads as its own configuration",
        never="the file would be read as something else than what it is",
    ),
    Rule(
        "workflow-file",
        Level.ERROR,
        "a CI product or a forge would run or obey [the file](#files-that-others-obey) on the target branch",
        never="what an app renders must not become code that your CI runs",
    ),
    Rule(
        "git-attributes",
        Level.ERROR,
        "a `.gitattributes` would let git rewrite published bytes",
        never="what is published must stay what was rendered",
    ),
    Rule(
        "git-configuration",
        Level.ERROR,
        "a `.gitmodules` or `.lfsconfig` in the root of the branch would lead git to other repositories or servers",
    ),
    Rule(
        "unusable-name",
        Level.ERROR,
        "a [name](#names-that-flux-cant-read) with which Flux can't read the branch or the folder, such as `aux.yaml`",
    ),
    Rule(
        "kustomization-fault",
        Level.ERROR,
        "kustomize refuses a kustomization file, or what it lists: Flux applies nothing",
    ),
    Rule("helm-format", Level.ERROR, "the app rendered a Helm chart: Flux would read `Chart.yaml` as an object"),
    Rule("validation", Level.ERROR, "what a validation plugin in `cdk8s.yaml` reported; some of it only warns"),
    Rule(
        "obeyed-file",
        Level.WARNING,
        "a forge or a CI product may obey [the file](#files-that-others-obey) on the target branch",
    ),
    Rule("empty-file", Level.WARNING, "a chart rendered nothing"),
    Rule(
        "source-ignore",
        Level.WARNING,
        "a `.sourceignore` makes Flux leave out what it matches, wherever it is below the path",
    ),
    Rule(
        "not-applied",
        Level.WARNING,
        "what is published is not applied: Flux ignores the file's name, or kustomize leaves the document out",
    ),
    Rule(
        "not-followed",
        Level.WARNING,
        "a kustomization file does more than list files of the branch, so what Flux applies can't be counted",
    ),
    Rule(
        "no-namespace",
        Level.WARNING,
        "resources name no namespace: Flux applies nothing, unless its Kustomization sets one for all",
        is_read_from_file=True,
    ),
    Rule(
        "needs-decryption",
        Level.WARNING,
        "a `Secret` is encrypted with SOPS: Flux's Kustomization must set `spec.decryption`",
        is_about_resource=True,
        is_read_from_file=True,
    ),
    Rule("kustomization", Level.NOTICE, "Flux and Argo CD apply only what this file lists"),
    Rule("unknown-input", Level.WARNING, "a variable `INPUT_…` is no input; the closest name is suggested"),
    Rule("unreadable-consent", Level.WARNING, "a trailer `Allow:` names no rule that may pass, or gives no reason"),
    Rule(
        "unused-consent",
        Level.NOTICE,
        "a rule was allowed, and nothing needed it; a warning where it would let a folder of somebody else be replaced",
    ),
    Rule(
        "source-branch",
        Level.ERROR,
        "the target branch is the branch that is rendered, or shares its history and holds no publish",
        never="publishing to it would replace your sources",
        is_about_branch=True,
    ),
    Rule(
        "default-branch",
        Level.ERROR,
        "the target branch is the default branch of its repository",
        never="that is where people expect sources",
        is_about_branch=True,
    ),
    Rule(
        "foreign-branch",
        Level.ERROR,
        "the branch, or the folder on it, has content that was not published by cdk8s-publish",
        is_about_branch=True,
        is_about_folder=True,
    ),
    Rule(
        "foreign-folder",
        Level.ERROR,
        "the folder was published from another repository, or by another app of this one: it would be replaced",
        is_about_branch=True,
        is_about_folder=True,
    ),
    Rule(
        "foreign-signature",
        Level.ERROR,
        "the newest commit of the branch is not [signed with `signing-key`](#what-a-key-signs): a publish would sign "
        "what others have put beside its folders",
        is_about_branch=True,
    ),
    Rule(
        "former-folder",
        Level.WARNING,
        "the app comes to a new folder, and the one that it was published to before stays",
        is_about_branch=True,
    ),
    Rule(
        "other-source",
        Level.WARNING,
        "the folder was published from another branch: the run ends with the diff",
        is_about_branch=True,
        skips=True,
    ),
    Rule(
        "overlapping-folders",
        Level.ERROR,
        "the folder holds another published folder, or is in one: a publish of one removes files of the other",
        is_about_branch=True,
        is_about_folder=True,
    ),
    Rule(
        "older-source",
        Level.NOTICE,
        "the target branch holds a newer source commit already, or the branch that is rendered no longer holds this "
        "one: the run ends `skipped`",
        is_about_branch=True,
        skips=True,
    ),
    Rule(
        "diverged-source",
        Level.WARNING,
        "the commit that was published last is not in the history of the one that is rendered",
        is_about_branch=True,
    ),
    Rule(
        "unknown-source",
        Level.WARNING,
        "the commit that was published last can't be found any more",
        is_about_branch=True,
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
