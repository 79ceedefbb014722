"""Make docs/images/job-summary.png: the job summary of a real run, as a pull request shows it.

    .venv/bin/python scripts/screenshot.py

Publishes the Python example to a throw-away repository, changes it, runs the program as GitHub's runner does for a pull
request, turns the summary that it wrote into HTML with GitHub's own Markdown library, and lets Chromium take a picture.
Needs what `make setup` installs, and Chromium (Debian: `chromium`), which it does not.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cmarkgfm  # type: ignore[import-untyped]
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "job-summary.png"
PATH = os.pathsep.join((str(ROOT / ".tools" / "bin"), str(ROOT / ".venv" / "bin"), os.environ["PATH"]))
TIMEOUT_S = 600
SIZE = "960,970"
CHANGES = (
    ("main.py", "Hello from cdk8s", "Hello again"),
    ("main.py", "replicas=2", "replicas=3"),
    ("foundation.py", "0 3 * * *", "30 2 * * *"),
)

STYLE = """
body { font: 16px/1.5 "Liberation Sans", Arial, sans-serif; color: #1f2328; margin: 24px 32px; }
h2 { font-size: 24px; border-bottom: 1px solid #d1d9e0; padding-bottom: 8px; }
code { font: 13px "DejaVu Sans Mono", monospace; background: #eff1f3; border-radius: 6px; padding: 3px 6px; }
table { border-collapse: collapse; margin: 16px 0; }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px; }
tr:nth-child(even) td { background: #f6f8fa; }
pre { background: #f6f8fa; border-radius: 6px; padding: 12px; }
pre code { background: none; padding: 0; line-height: 1.45; }
a { color: #0969da; text-decoration: none; }
details { margin: 8px 0; }
.plus { background: #dafbe1; color: #116329; } .minus { background: #ffebe9; color: #82071e; } .hunk { color: #8250df; }
"""


def call(*argv: str | Path, cwd: Path, **env: str) -> None:
    """Run a command and end with its output when it fails."""
    person = {f"GIT_{role}_{what}": "Ada" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **person, "PATH": PATH, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        sys.exit(f"{argv} failed:\n{done.stdout}{done.stderr}")


def summary(folder: Path) -> str:
    """Publish the example, change it, and return the summary of a pull request's run."""
    remote, checkout = folder / "greeter.git", folder / "greeter"
    call("git", "init", "--quiet", "--bare", "--initial-branch=main", remote, cwd=folder)
    call("git", "clone", "--quiet", remote, checkout, cwd=folder)
    shutil.copytree(ROOT / "examples" / "python", checkout, dirs_exist_ok=True)
    commit(checkout, "Greet the world")
    call("git", "push", "--quiet", "origin", "main", cwd=checkout)
    publish(checkout, remote, folder / "first.md", "push", "")
    for name, old, new in CHANGES:
        file = checkout / name
        file.write_text(file.read_text().replace(old, new))
    commit(checkout, "Greet again, with three replicas")
    publish(checkout, remote, folder / "second.md", "pull_request", "greet-again")
    return (folder / "second.md").read_text()


def commit(checkout: Path, subject: str) -> None:
    """Commit everything."""
    call("git", "add", "--all", cwd=checkout)
    call("git", "commit", "--quiet", "--message", subject, cwd=checkout)


def publish(checkout: Path, remote: Path, summary_file: Path, event: str, head: str) -> None:
    """Run the program with the variables of GitHub's runner."""
    call(
        sys.executable,
        ROOT / "entrypoint.py",
        cwd=checkout,
        GITHUB_ACTIONS="true",
        GITHUB_EVENT_NAME=event,
        GITHUB_HEAD_REF=head,
        GITHUB_REF_NAME="main",
        GITHUB_REPOSITORY="acme/greeter",
        GITHUB_RUN_ID="1",
        GITHUB_SERVER_URL="https://github.com",
        GITHUB_WORKSPACE=str(checkout),
        GITHUB_STEP_SUMMARY=str(summary_file),
        INPUT_REPOSITORY=str(remote),
        INPUT_CACHE_DIR=str(summary_file.parent / "cache"),
    )


def page(markdown: str) -> str:
    """Return the summary as GitHub would show it, with the first diff unfolded and coloured."""
    body = cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE)
    body = body.replace("<details>", "<details open>", 1)
    for sign, name in ((r"\+", "plus"), ("-", "minus"), ("@@", "hunk")):
        body = re.sub(rf"^({sign}.*)$", rf'<span class="{name}">\1</span>', body, flags=re.MULTILINE)
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{body}'


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "page.html").write_text(page(summary(folder)), encoding="utf-8")
        PICTURE.parent.mkdir(exist_ok=True)
        call(
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
            "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={SIZE}",
            f"--screenshot={PICTURE}",
            folder / "page.html",
            cwd=folder,
        )
    print(f"wrote {PICTURE.relative_to(ROOT)}, {PICTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
