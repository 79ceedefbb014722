"""Files of a branch that somebody else obeys: CI products run them, forges and git follow what they say.

A product looks for its file in the root of a branch, git for `.gitattributes` in every folder. The names are those that
the products look for by default.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from cdk8s_publish.git.names import is_attributes_name, plain_name


class Obeyed(NamedTuple):
    """Who obeys a file: the name of the rule about that, and the words that follow the path in a message."""

    rule: str
    what: str


_RUN = {
    "GitHub": (".github",),
    "Gitea": (".gitea",),
    "Forgejo": (".forgejo",),
    "GitLab": (".gitlab-ci.yml", ".gitlab"),
    "AppVeyor": ("appveyor.yml", ".appveyor.yml"),
    "Azure Pipelines": ("azure-pipelines.yml", ".azure-pipelines"),
    "Bitbucket Pipelines": ("bitbucket-pipelines.yml",),
    "Buildkite": (
        ".buildkite",
        *(f"buildkite{name}.{suffix}" for name in ("", "/pipeline") for suffix in ("yml", "yaml", "json")),
    ),
    "CircleCI": (".circleci",),
    "Cirrus CI": (".cirrus.yml", ".cirrus.star"),
    "Drone": (".drone.yml", ".drone.star", ".drone.jsonnet"),
    "Jenkins": ("jenkinsfile",),
    "OneDev": (".onedev-buildspec.yml",),
    "Pipelines as Code": (".tekton",),
    "Prow": (".prow.yaml", ".prow"),
    "Semaphore": (".semaphore",),
    "SourceHut": (".build.yml", ".builds"),
    "TeamCity": (".teamcity",),
    "Travis CI": (".travis.yml",),
    "Woodpecker": (".woodpecker.yml", ".woodpecker.yaml", ".woodpecker"),
    "Zuul": (".zuul.yaml", ".zuul.d"),
}
"""Files, and folders with all below them, that a product runs when it is in use: no manifest has such a name."""

_MAY_RUN = {
    "AWS CodeBuild": ("buildspec.yml",),
    "Google Cloud Build": ("cloudbuild.yaml", "cloudbuild.yml", "cloudbuild.json"),
    "Zuul": ("zuul.yaml", "zuul.d"),
}
"""What is run only where somebody said so for this branch, or what a chart could be called as well."""

_OWNERS = ("codeowners", "docs/codeowners", ".bitbucket/codeowners")
"""Forges ask these people before something is merged into the branch; other places are in folders named above."""

_LEADING = (".gitmodules", ".lfsconfig")
"""git takes the addresses of other repositories and servers from them, in the root only."""

_ATTRIBUTES = Obeyed("git-attributes", "would make git rewrite the bytes of published files on every checkout")


def _table() -> dict[str, Obeyed]:
    found: dict[str, Obeyed] = {}
    for product, paths in _RUN.items():
        found |= dict.fromkeys(
            paths, Obeyed("workflow-file", f"would be run or obeyed by {product} on the target branch")
        )
    for product, paths in _MAY_RUN.items():
        found |= dict.fromkeys(paths, Obeyed("obeyed-file", f"is run by {product} where that builds the target branch"))
    owners = Obeyed("obeyed-file", "tells a forge who has to agree to changes of the target branch")
    addresses = Obeyed("git-configuration", "would tell git which other repositories or servers to fetch from")
    return {**found, **dict.fromkeys(_OWNERS, owners), **dict.fromkeys(_LEADING, addresses)}


_TABLE = _table()


def obeyed(path: str) -> Obeyed | None:
    """Return who obeys a file, by its path from the root of a branch, in whatever spelling; None where nobody does."""
    names = [plain_name(name) for name in path.replace("\\", "/").split("/")]
    if is_attributes_name(names[-1]):
        return _ATTRIBUTES
    return next((_TABLE[place] for place in accumulate(names, "{}/{}".format) if place in _TABLE), None)
