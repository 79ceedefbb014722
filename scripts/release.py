"""Keep what main says and what a release says honest.

    python3 scripts/release.py version 1.2.3          fail unless the source says so and the release would be the newest
    python3 scripts/release.py pin 1.2.3 sha256:…     point action.yml and the GitLab template at this very image
    python3 scripts/release.py check <source> <tag>   fail unless the tag is the source plus exactly that change

On main, `action.yml` builds the Dockerfile beside it. A release runs the image that was built from the same source, by
digest, so that nobody can put another one behind its name.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGE = "ghcr.io/cdk8s-publish/cdk8s-publish"
ACTION = "action.yml"
TEMPLATES = (".gitlab-ci-template.yml", "templates/publish.yml")
FROM_SOURCE = "  image: Dockerfile\n"
FLOATING = f"      default: {IMAGE}:v1\n"


def source_version() -> str:
    """Return the version that the source claims."""
    text = (ROOT / "src/cdk8s_publish/__init__.py").read_text(encoding="utf-8")
    return text.partition('__version__ = "')[2].partition('"')[0]


def check_version(version: str) -> None:
    """Refuse what is not the source's version, and what is not newer than every release of its major version.

    A second release of a version would put another image behind its name; one of an older version would take `v1` back.
    """
    if version != source_version():
        sys.exit(f"release: the tag is {version}, the source says {source_version()}")
    tags = _git("ls-remote", "--tags", "origin", f"v{version.partition('.')[0]}.*")
    released = re.findall(r"refs/tags/v(\d+)\.(\d+)\.(\d+)$", tags, re.MULTILINE)
    newest = max((tuple(map(int, parts)) for parts in released), default=())
    if tuple(map(int, version.split("."))) <= newest:
        sys.exit(f"release: v{'.'.join(map(str, newest))} is out already")


def pinned(text: str, path: str, version: str, digest: str) -> str:
    """Return an interface's file as a release has it."""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        sys.exit(f"release: {digest!r} is no digest")
    if path == ACTION:
        return _once(text, FROM_SOURCE, f"  image: docker://{IMAGE}:v{version}@{digest}\n", path)
    return _once(text, FLOATING, f"      default: {IMAGE}:v{version}@{digest}\n", path)


def check(source: str, tag: str) -> None:
    """Compare a release with the commit it was made from."""
    if differing := set(_git("diff", "--name-only", source, tag).split()) - {ACTION, *TEMPLATES}:
        sys.exit(f"release: {tag} changes more than its image: {', '.join(sorted(differing))}")
    action = _git("show", f"{tag}:{ACTION}")
    image = re.search(rf"^  image: docker://{re.escape(IMAGE)}:v(\S+)@(sha256:\S+)$", action, re.MULTILINE)
    if not image or f"v{image[1]}" != tag:
        sys.exit(f"release: {ACTION} of {tag} names no image of this version by digest")
    for path in (ACTION, *TEMPLATES):
        if _git("show", f"{tag}:{path}") != pinned(_git("show", f"{source}:{path}"), path, image[1], image[2]):
            sys.exit(f"release: {path} of {tag} is not the source's, pointed at {image[2]}")
    print(f"release: {tag} is {source[:12]} with {image[2]}")


def _once(text: str, old: str, new: str, path: str) -> str:
    if text.count(old) != 1:
        sys.exit(f"release: {path} does not hold {old.strip()!r} once")
    return text.replace(old, new)


def _git(*args: str) -> str:
    done = subprocess.run(("git", *args), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        sys.exit(f"release: git {args[0]} failed: {done.stderr.strip()}")
    return done.stdout


def main(argv: list[str]) -> None:
    """Run one of the three commands."""
    match argv:
        case ["version", version]:
            check_version(version)
        case ["pin", version, digest]:
            for path in (ACTION, *TEMPLATES):
                file = ROOT / path
                file.write_text(pinned(file.read_text(encoding="utf-8"), path, version, digest), encoding="utf-8")
        case ["check", source, tag]:
            check(source, tag)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
