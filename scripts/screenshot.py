"""Make docs/images/job-summary.png: the job summary of a real run, in a real browser.

    make setup && .venv/bin/python scripts/screenshot.py

An example is published to a throw-away repository twice, with a change in between, under the variables of GitHub's
runner. The summary of the second run is rendered by cmark-gfm, the library that GitHub renders with; the style sheet
is ours and only resembles GitHub's. Needs Chromium (Debian: `chromium`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cmarkgfm  # type: ignore[import-untyped]
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "job-summary.png"
WIDTH = 920
TIMEOUT_S = 120
CHROMIUM = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--force-device-scale-factor=2",
)  # fmt: skip
PAGE = """<!doctype html><meta charset="utf-8"><style>
  body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1f2328; margin: 28px 32px; }
  h1, h2, h3 { border-bottom: 1px solid #d1d9e0; padding-bottom: .3em; margin: 0 0 14px; }
  table { border-collapse: collapse; margin: 0 0 16px; }
  th, td { border: 1px solid #d1d9e0; padding: 5px 12px; text-align: left; }
  tr:nth-child(2n) { background: #f6f8fa; }
  code { background: #eff1f3; border-radius: 5px; padding: .15em .4em; font: 85% "DejaVu Sans Mono", monospace; }
  pre { background: #f6f8fa; border-radius: 6px; padding: 12px 16px; overflow: hidden; }
  pre code { background: none; padding: 0; }
  details { margin-bottom: 12px; }
  a { color: #0969da; text-decoration: none; }
  .add { color: #116329; background: #dafbe1; } .remove { color: #82071e; background: #ffebe9; }
</style>"""
GIT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER")
       for key, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))},
}  # fmt: skip


def call(*argv: str | Path, cwd: Path, **env: str) -> str:
    """Run a program and return what it printed."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LANG": "C.UTF-8", **GIT, **env}
    done = subprocess.run(argv, cwd=cwd, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        sys.exit(f"{argv[0]} failed: {done.stdout}{done.stderr}")
    return done.stdout


def commit(shop: Path, message: str) -> str:
    """Commit everything, push it, and return the commit."""
    call("git", "add", "--all", cwd=shop)
    call("git", "commit", "--quiet", "--message", message, cwd=shop)
    call("git", "push", "--quiet", "origin", "HEAD:main", cwd=shop)
    return call("git", "rev-parse", "HEAD", cwd=shop).strip()


def publish(work: Path, shop: Path, sha: str) -> str:
    """Run the action once and return its job summary."""
    summary, event = work / f"{sha}.md", work / "event.json"
    event.write_text(json.dumps({"repository": {"default_branch": "main"}}))
    call(
        sys.executable, ROOT / "entrypoint.py", cwd=shop,
        GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(shop), GITHUB_EVENT_NAME="push", GITHUB_EVENT_PATH=str(event),
        GITHUB_REF_NAME="main", GITHUB_SHA=sha, GITHUB_REPOSITORY="acme/shop", GITHUB_SERVER_URL="https://github.com",
        GITHUB_STEP_SUMMARY=str(summary), INPUT_INSTALL="none", INPUT_APP="python main.py",
        INPUT_REPOSITORY=(work / "shop.git").as_uri(), PATH=f"{ROOT / '.tools/example/bin'}:{os.environ['PATH']}",
    )  # fmt: skip
    return summary.read_text(encoding="utf-8")


def run_twice(work: Path) -> str:
    """Publish, change the app, publish again; return the summary of the second run."""
    shop = work / "shop"
    call("git", "init", "--quiet", "--bare", "--initial-branch=main", work / "shop.git", cwd=work)
    call("git", "clone", "--quiet", work / "shop.git", shop, cwd=work)
    shutil.copytree(ROOT / "examples" / "python", shop, dirs_exist_ok=True)
    publish(work, shop, commit(shop, "Greet the world"))
    main = shop / "main.py"
    main.write_text(main.read_text(encoding="utf-8").replace("replicas=2", "replicas=3"), encoding="utf-8")
    return publish(work, shop, commit(shop, "Run three of them"))


def page(markdown: str) -> str:
    """Render the summary as GitHub does; the first diff is unfolded, as by a click."""
    html = cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE)
    lines = []
    for line in html.replace("<details>", "<details open>", 1).splitlines():
        kind = {"+": "add", "-": "remove"}.get(line[:1])
        lines.append(f'<span class="{kind}">{line}</span>' if kind else line)
    return PAGE + "\n".join(lines)


def photograph(chromium: str, html: Path, picture: Path, height: int) -> None:
    """Let a headless browser draw the page."""
    options = (
        f"--user-data-dir={html.parent / 'browser'}",
        f"--window-size={WIDTH},{height}",
        f"--screenshot={picture}",
    )
    call(chromium, *CHROMIUM, *options, html.as_uri(), cwd=html.parent)


def height_of(chromium: str, html: Path) -> int:
    """Ask the browser how high the page is."""
    probe = html.with_name("probe.html")
    script = "<script>document.title = document.documentElement.scrollHeight</script>"
    probe.write_text(html.read_text(encoding="utf-8") + script, encoding="utf-8")
    options = (f"--user-data-dir={html.parent / 'browser'}", f"--window-size={WIDTH},100", "--dump-dom")
    shown = call(chromium, *CHROMIUM, *options, probe.as_uri(), cwd=html.parent)
    return int(shown.partition("<title>")[2].partition("</title>")[0])


def main() -> None:
    """Make the picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        sys.exit("screenshot: no Chromium on this machine (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        html = work / "summary.html"
        html.write_text(page(run_twice(work)), encoding="utf-8")
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        photograph(chromium, html, PICTURE, height_of(chromium, html))
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
