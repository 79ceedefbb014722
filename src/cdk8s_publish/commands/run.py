"""The pipeline: each stage's value is handed to the next one, and nothing else connects them."""

from __future__ import annotations

import logging
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.errors import InputError, RemoteError
from cdk8s_publish.job import find_apps, relative_folders, synth_options
from cdk8s_publish.model import (
    Action,
    CIContext,
    NotRenderedError,
    Publication,
    Relation,
    Remote,
    RenderedFile,
    RenderedManifests,
    Secret,
)
from cdk8s_publish.publish import loop
from cdk8s_publish.publish.branch import urls
from cdk8s_publish.publish.branch.git_process import frozen_config
from cdk8s_publish.publish.branch.repository import Repository
from cdk8s_publish.publish.branch.signing import SigningKey, armored, sign
from cdk8s_publish.publish.branch.source import Checkout
from cdk8s_publish.render import discover, fingerprint, imports
from cdk8s_publish.render.schedule import checkout_copy, render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cdk8s_publish.ci import Facts
    from cdk8s_publish.inputs import Inputs
    from cdk8s_publish.job import World
    from cdk8s_publish.model import Finding, Sha
    from cdk8s_publish.render.environment import SynthOptions

_log = logging.getLogger(__name__)


class Result(NamedTuple):
    """How a run ended."""

    publication: Publication
    context: CIContext
    target_url: str
    findings: tuple[Finding, ...] = ()


def run(inputs: Inputs, world: World) -> Result:
    """Render and publish.

    Raises:
        PublishError: every class of `errors`; the target branch is as it was.

    """
    base = Path(world.product.facts().workspace or world.folder)
    place = _place(inputs, world, base)
    root = place.context.workspace
    world.console.hide(place.source.token)
    options = synth_options(inputs, world, root, (*inputs.secrets, place.source.token))
    with ThreadPoolExecutor(thread_name_prefix="ask") as beside:
        environ = beside.submit(frozen_config, _git_environ(world))
        remark, machine = beside.submit(_remark, place), fingerprint.Machine(options, world.private / "tools", beside)
        folders = relative_folders(inputs, base, root)
        found = find_apps(inputs, root, folders)
        fingerprints = fingerprint.fingerprints(found, options, machine, lambda app: imports.reason_against(app, root))
    if remark.result():
        _log.warning("%s", remark.result())
    target = _target(inputs, world, place, _Work(folders, found, fingerprints), environ.result())
    seen = _look(world, target, options)
    if seen.plan.action is Action.SKIP:
        return Result(loop.skipped(target, seen), place.context, place.target.url)
    known = _published(target, seen)
    fresh = [app for app in found if app.path not in known]
    for path in known:
        _log.info("%s: not rendered, its fingerprint is the one of what is published", path or ".")
    rendered = render(fresh, world.private, options, world.console, found) if fresh else ()
    with world.console.stage("Compare" if seen.plan.action is Action.DIFF else f"Publish to `{inputs.target.branch}`"):
        try:
            publication, review = loop.publish(target, seen, (*known.values(), *rendered))
        except NotRenderedError as error:
            _log.info("%s", error)
            again = world.private / "again"
            again.mkdir(mode=0o711)
            publication, review = loop.publish(target, seen, render(found, again, options, world.console, found))
    return Result(publication, place.context, place.target.url, review.findings if review else ())


def _look(world: World, target: loop.Target, options: SynthOptions) -> loop.Look:
    """Look at the target branch, and copy the checkout meanwhile.

    Installing and rendering wait: what this look says may make them unnecessary, and no foreign code runs beside a
    process that holds the credential.
    """
    with ThreadPoolExecutor(1, "copy") as beside:
        copied = beside.submit(checkout_copy, world.private, options) if options.visible is None else None
        with world.console.stage(f"Look at `{target.inputs.target.branch}`"):
            seen = loop.look(target)
            _log.info("%s: %s", seen.plan.action, seen.plan.reason)
            for warning in seen.plan.warnings:
                _log.warning("%s", warning)
    if copied:
        copied.result()
    return seen


def _first_folder(base: Path, inputs: Inputs) -> Path:
    """Return the folder whose checkout is meant: the first working directory, up to a wildcard in it."""
    parts = Path(inputs.render.working_directory[0]).parts
    folder = base.joinpath(*takewhile(lambda part: not set(part) & set("*?["), parts))
    if not folder.is_dir():
        raise InputError(
            f"working-directory: there is no folder {inputs.render.working_directory[0]!r} in {base}",
            hint="It is relative to the root of the workspace, or to the folder that the command stands in.",
        )
    return folder


def _git_environ(world: World) -> dict[str, str]:
    return {name: value for name, value in world.environ.items() if name.startswith("GIT_CONFIG_")}


class _Place(NamedTuple):
    """The checkout, what is known about it, and the remotes to publish to and to read the history from."""

    checkout: Checkout
    context: CIContext
    target: Remote
    source: Remote


def _place(inputs: Inputs, world: World, base: Path) -> _Place:
    facts = world.product.facts()
    checkout = Checkout(_first_folder(base, inputs), _git_environ(world))
    origin, user, secret = urls.split_credential(checkout.remote_url())
    # A workflow may have checked out another repository than its own.
    has_other = urls.is_other_repository(origin, facts.remote_url)
    source_url = origin if has_other or not facts.remote_url else facts.remote_url
    url = _target_url(inputs, facts, source_url, base)
    if not url:
        raise InputError(
            "the checkout has no remote `origin`, so there is nothing to publish to",
            hint="Name the repository with the input `repository`, or add a remote: `git remote add origin <url>`.",
        )
    is_same = urls.normal(url) == urls.normal(source_url)
    # A token that publishes to another server is not for the server of the sources. A deploy key opens one repository:
    # beside one for another repository, the token reads the history of this one.
    own = Secret("") if not inputs.target.ssh_key and urls.is_other_server(url, source_url) else inputs.target.token
    username, token = facts.username if own or (secret and not user) else user, own or Secret(secret)
    has_own_access = own and not is_same
    source = Remote(source_url, username, token) if has_own_access else _remote(inputs, source_url, username, token)
    named = facts.username if inputs.target.token else urls.split_credential(inputs.target.repository)[1]
    target = source if is_same else _remote(inputs, url, named, inputs.target.token)
    return _Place(checkout, _context(checkout, facts, world.product.name, source_url), target, source)


def _remote(inputs: Inputs, url: str, username: str, token: Secret) -> Remote:
    key = armored(inputs.target.ssh_key, "ssh-key")
    if not key:
        return Remote(url, username, token)
    known = Path(__file__).with_name("known_hosts").read_text(encoding="utf-8")
    return Remote(urls.over_ssh(url), ssh_key=key, ssh_known_hosts=f"{known}{inputs.target.ssh_known_hosts}\n")


def _context(checkout: Checkout, facts: Facts, product: str, remote_url: str) -> CIContext:
    context = CIContext(
        product=product,
        workspace=Path(checkout.root),
        source=checkout.source(facts.branch),
        remote_url=remote_url,
        default_branch=facts.default_branch,
        server_url=facts.server_url,
        repository=facts.repository,
        job_url=facts.job_url,
        is_review=facts.is_review,
        is_fork=facts.is_fork,
    )
    return context.with_source_url(context.commit_url(remote_url, checkout.head))


def _remark(place: _Place) -> str:
    """Return what is to be said about the checkout, if anything."""
    if place.context.product == "shell":
        is_modified = place.checkout.is_modified()
        return "the checkout has changes that are not committed; they are rendered too" if is_modified else ""
    if not place.checkout.carries_credential():
        return ""
    remedy = "; set `persist-credentials: false` on actions/checkout, it is not needed here"
    found = "the checkout's .git/config holds a credential that every step can read"
    return f"{found}{remedy}" if place.context.product == "github" else found


def _target_url(inputs: Inputs, facts: Facts, source_url: str, base: Path) -> str:
    if not inputs.target.repository:
        return source_url
    url, _, _ = urls.split_credential(inputs.target.repository)
    if not urls.is_short(url) or (not facts.server_url and (base / url).exists()):
        return urls.absolute(url, str(base))
    sibling = f"{facts.server_url}/{url}.git" if facts.server_url else urls.sibling(source_url, url)
    if not sibling:
        raise InputError(
            f"repository: `{url}` names a repository on a server, but `origin` is not on one",
            hint="Give a URL or the path of a repository.",
        )
    return sibling


class _Work(NamedTuple):
    """The folders and patterns of `working-directory`, the apps that they led to, and what those are known by."""

    folders: tuple[str, ...]
    found: tuple[discover.App, ...]
    fingerprints: Mapping[str, str]


def _target(inputs: Inputs, world: World, place: _Place, work: _Work, environ: Mapping[str, str]) -> loop.Target:
    @cache  # the folders of several apps mostly have the same record
    def history(recorded: Sha, own: Sha) -> Relation:
        known = place.checkout.relation(recorded, own)
        if known is not None or not place.source.url:
            return known or Relation.UNKNOWN
        folder = Path(tempfile.mkdtemp(prefix="source-", dir=world.private)) / "source.git"
        try:
            return Repository(folder, place.source, environ, world.inherited).relation(recorded, own)
        except RemoteError:
            if inputs.guards.allow_rollback:
                return Relation.UNKNOWN
            raise

    return loop.Target(
        repository=Repository(world.private / "target.git", place.target, environ, world.inherited),
        inputs=inputs,
        context=place.context,
        directories={app.path: app.directory or "." for app in work.found},
        patterns=tuple(folder for folder in work.folders if set(folder) & set("*?[")),
        path_of=lambda directory: discover.target_path(inputs.target.path, directory, place.context.workspace.name),
        history=history,
        is_same_repository=place.target is place.source,
        fingerprints=work.fingerprints,
        signature=_signature(inputs, world),
    )


def _signature(inputs: Inputs, world: World) -> Callable[[bytes], str] | None:
    key = armored(inputs.commit.signing_key, "signing-key")
    signer = SigningKey(key, inputs.commit.signing_passphrase)
    return (lambda content: sign(content, signer, world.environ)) if key else None


def _published(target: loop.Target, seen: loop.Look) -> dict[str, RenderedManifests]:
    """Return, by path, what hermetic apps would render again: the files that are published."""
    return {
        folder.path: RenderedManifests(
            target.directories[folder.path],
            folder.path,
            tuple(RenderedFile(path, "", 0, blob) for path, blob in folder.files.items()),
        )
        for folder in seen.folders
        if folder.is_managed and folder.fingerprint and folder.fingerprint == target.fingerprints.get(folder.path)
    }
