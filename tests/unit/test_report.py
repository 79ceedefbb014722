"""What people read: complete, within limits, and never formatted by what an app or a commit says.

Markdown is rendered by cmark-gfm, the library that GitHub renders with.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import cmarkgfm  # type: ignore[import-untyped]
import pytest
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from cdk8s_publish import report
from cdk8s_publish.errors import CheckError, SynthError
from cdk8s_publish.log import Stage
from cdk8s_publish.model import (
    Change,
    ChangeKind,
    Changes,
    Finding,
    Level,
    Outcome,
    Publication,
    ResourceId,
    Result,
    Sha,
    SourceRevision,
)

GOLDEN = Path(__file__).parent.parent / "golden"
SOURCE = SourceRevision(
    Sha("0123456789abcdef" * 2 + "01234567"),
    "main",
    "Scale the web to 3",
    "",
    "Ann <ann@example.com>",
    "2026-01-01T00:00:00+00:00",
    "https://github.com/o/r/commit/0123",
)
PUBLISHED_URL = f"https://github.com/o/r/commit/{'f' * 40}"
CHANGES = Changes(
    "dist",
    (
        Change(ChangeKind.ADDED, "a.yaml", ResourceId("", "ConfigMap", "shop", "new"), "@@ -0,0 +1,1 @@\n+a: b\n"),
        Change(
            ChangeKind.MODIFIED, "a.yaml", ResourceId("apps", "Deployment", "shop", "web"), "@@ -1,1 +1,1 @@\n-1\n+2\n"
        ),
        Change(ChangeKind.REMOVED, "a.yaml", ResourceId("", "Namespace", "", "old"), "@@ -1,1 +0,0 @@\n-a: b\n"),
        Change(ChangeKind.MODIFIED, "logo.png", None),
    ),
    7,
    files=True,
)
PUBLICATION = Publication(Outcome.PUBLISHED, "manifests", ("dist",), Sha("f" * 40), Sha("e" * 40), (CHANGES,))
FINDING = Finding(
    Level.WARNING, "empty-file", "b.yaml is empty: its chart rendered nothing.", "b.yaml", hint="Set `x`."
)
STAGES = (Stage("Install with `npm ci`", 2.31), Stage("Publish to `manifests`", 0.42), Stage("Total", 2.73))
NASTY = (
    "a|b", "`code`", "``", "**bold**", "_it_", "<b>", "</code></details><script>alert(1)</script>", "&lt;", "@octocat",
    "[x](https://evil.example)", "https://evil.example", "www.evil.example", "#1", ":tada:", "~~x~~", "$x$", "\\|",
    "a\nb", "a\r\nb", "\x1b[31m", "\u202e", "\udcff", "```", "~~~~", "# h", "<!--", "-->", "x" * 3_000, "o/r#1", "![x]",
)  # fmt: skip
ALLOWED = {"h2", "p", "a", "code", "br", "ul", "li", "strong", "table", "thead", "tbody", "tr", "th", "td", "em", "pre"}
ALLOWED |= {"details", "summary"}


class Page(HTMLParser):
    """The rendered summary: which tags it has, which links, and the text of each element."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.outside_code = ""
        self._open = 0
        self.feed(cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        self._open += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self._open -= tag == "code"

    def handle_data(self, data: str) -> None:
        self.words += data
        self.outside_code += "" if self._open else data

    def handle_comment(self, data: str) -> None:
        assert data == " "
        self.outside_code += "<!-- -->"


def with_text(text: str) -> tuple[Publication, SourceRevision, list[Finding]]:
    """Put a text wherever an app or a commit can put one."""
    items = (
        Change(ChangeKind.ADDED, text, ResourceId(text, text, text, text), f"@@ -0,0 +1,1 @@\n+ {printable(text)}\n"),
        Change(ChangeKind.REMOVED, text, None, f"@@ -1,1 +0,0 @@\n {printable(text)}\n"),
    )
    publication = PUBLICATION._replace(reason=text, changes=(Changes("dist", items, 1, files=True),))
    source = SOURCE._replace(subject=text, branch=text)
    return publication, source, [Finding(Level.ERROR, "r", text, text, hint=text)]


def printable(text: str) -> str:
    """Return a line as a diff shows it."""
    return "".join(char if char.isprintable() else "?" for char in text)


def check_page(markdown: str) -> Page:
    page = Page(markdown)
    assert set(page.tags) <= ALLOWED
    assert all(link.startswith("https://github.com/o/r/commit/") for link in page.links)
    assert not re.search(r"@\w", page.outside_code)
    return page


def golden(name: str, text: str) -> None:
    """Compare with a file; a missing one is written, for a person to look at, and the test fails."""
    path = GOLDEN / name
    if not path.exists():
        path.write_text(text, encoding="utf-8")
        pytest.fail(f"{path.name} is new: look at it")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.FAILED])
def test_summary__golden(outcome: Outcome) -> None:
    has_changes = outcome in {Outcome.PUBLISHED, Outcome.DRY_RUN}
    publication = PUBLICATION._replace(
        outcome=outcome,
        changes=(CHANGES,) if has_changes else (),
        reason="" if has_changes else "`dist` was rendered from a newer commit already",
    )
    findings = [FINDING] if has_changes else []
    text = report.summary(publication, SOURCE, findings, STAGES, published_url=PUBLISHED_URL)
    golden(f"summary-{outcome}.md", text)
    check_page(text)


def refusal() -> CheckError:
    """Return what is raised when a rule stops a run: it knows what would have been published."""
    namespace = ResourceId("", "Namespace", "", "old")
    removal = Finding(Level.ERROR, "precious-removal", "This would delete Namespace old.", "a.yaml", namespace)
    findings = (removal._replace(allow="precious-removal:Namespace/old"), FINDING)
    result = Result(PUBLICATION._replace(outcome=Outcome.FAILED), SOURCE, PUBLISHED_URL, findings)
    evidence = "not shown beside findings"
    return CheckError(removal.message, result=result, evidence=evidence, hint="nor is this", findings=findings)


def test_failure__golden() -> None:
    refused = refusal()
    text = report.failure(refused, STAGES)
    golden("summary-refused.md", text)
    check_page(text)
    error = SynthError(
        "The app of `.` failed with exit code 1", evidence="Traceback:\n  ```\n<b>", hint="Run it locally."
    )
    golden("summary-failed.md", report.failure(error))


def test_failure__of_a_refused_run_shows_what_it_would_have_published() -> None:
    refused = refusal()
    words = check_page(report.failure(refused)).words
    for part in ("Scale the web to 3", "7 rendered, 1 added, 1 modified, 1 removed", "precious-removal:Namespace/old"):
        assert part in words
    assert check_page(report.failure(refused)).tags.count("details") == 3
    assert report.outputs(PUBLICATION._replace(outcome=Outcome.FAILED), SOURCE, "")["outcome"] == "failed"


@pytest.mark.parametrize("limit", [8_000, 20_000])
def test_failure__of_a_refused_run_keeps_to_its_limit(limit: int) -> None:
    change = Change(ChangeKind.ADDED, "a.yaml", ResourceId("", "ConfigMap", "shop", "x" * 300), "+ü\n" * 5_000)
    refused = refusal()
    assert refused.result
    many = PUBLICATION._replace(changes=(CHANGES._replace(items=(change,) * 500),))
    refused.result = refused.result._replace(publication=many)
    assert len(report.failure(refused, STAGES, limit=limit).encode()) <= limit


def test_summary__tells_everything() -> None:
    page = check_page(report.summary(PUBLICATION, SOURCE, [FINDING], STAGES, published_url=PUBLISHED_URL))
    assert page.words.startswith("Published 4 changes to manifests / dist\n")
    assert page.links == [SOURCE.url, f"https://github.com/o/r/commit/{'f' * 40}"]
    for part in (
        "Scale the web to 3",
        "7 rendered, 1 added, 1 modified, 1 removed",
        "b.yaml is empty",
        "npm ci",
        "2.3 s",
    ):
        assert part in page.words
    assert page.tags.count("details") == 3
    summaries = re.findall("(?:removed|modified|added) [A-Z]", page.words)
    assert summaries == ["removed N", "modified D", "added C"]


def test_summary__several_folders_are_told_apart() -> None:
    publication = PUBLICATION._replace(paths=("a", ""), changes=(CHANGES._replace(path="a"), CHANGES._replace(path="")))
    page = check_page(report.summary(publication, SOURCE, [], []))
    assert page.words.startswith("Published 8 changes to manifests / a, .\n")
    assert page.tags.count("th") == 5


@pytest.mark.parametrize("text", NASTY)
def test_summary__nasty_text_is_only_text(text: str) -> None:
    publication, source, findings = with_text(text)
    page = check_page(report.summary(publication, source, findings, STAGES))
    assert page.tags.count("tr") == 3 + 4  # with both heads: no cell broke out of its row
    assert page.tags.count("details") == 2
    assert "".join(text[:20].split()) in "".join(page.words.split()) or not text.isprintable()
    check_page(report.failure(CheckError(text, evidence=text, hint=text, findings=tuple(findings))))
    check_page(report.failure(CheckError(text, evidence=text, hint=text)))


@given(st.text(st.sampled_from("`|<>&@*_[]()#:~$\\-!/w. a1\n\"'"), max_size=30))
def test_summary__any_text_is_only_text(text: str) -> None:
    publication, source, findings = with_text(text)
    page = check_page(report.summary(publication, source, findings, STAGES))
    assert page.tags.count("tr") == 3 + 4
    assert "".join(text.split()) in "".join(page.words.split())


@pytest.mark.parametrize("count", [0, 1, 30, 3_000])
@pytest.mark.parametrize("limit", [8_000, 65_536, 1_000_000])
def test_summary__stays_within_the_limit(count: int, limit: int) -> None:
    items = tuple(
        Change(
            ChangeKind.MODIFIED, "a", ResourceId("", "ConfigMap", "é" * 20, f"c{n}"), "@@ -1,1 +1,1 @@\n-ü\n+ö\n" * 90
        )
        for n in range(count)
    )
    publication = PUBLICATION._replace(changes=(Changes("dist", items, count, files=True),))
    text = report.summary(publication, SOURCE, [FINDING] * count, STAGES, limit=limit)
    assert len(text.encode()) <= limit
    page = check_page(text)
    assert "npm ci" in page.words
    rows, details = page.tags.count("tr") - 4 - bool(count), page.tags.count("details")
    for shown, what in ((rows, "changes"), (details, "diffs"), (page.tags.count("li"), "findings")):
        assert (f"{count - shown} more {what} omitted to stay within the size limit." in page.words) is (shown < count)
    assert count == 0 or (rows > 0 and page.tags.count("li") > 0)


def test_summary__diff_too_big_for_it_leaves_room_for_the_others() -> None:
    big = Change(ChangeKind.MODIFIED, "a", ResourceId("", "A", "", "big"), "+x\n" * 400_000)
    publication = PUBLICATION._replace(changes=(CHANGES._replace(items=(big, *CHANGES.items)),))
    page = check_page(report.summary(publication, SOURCE, [], STAGES))
    assert page.tags.count("details") == 3
    assert "1 more diff omitted to stay within the size limit." in page.words


@pytest.mark.parametrize(
    "url", ['https://h/"><script>alert(1)</script>', "javascript:alert(1)", "file:///etc/passwd", ""]
)
def test_summary__links_lead_to_web_pages_only(url: str) -> None:
    page = Page(report.summary(PUBLICATION, SOURCE._replace(url=url), [], []))
    assert set(page.tags) <= ALLOWED
    assert page.links == [url] * url.startswith("https:")


def test_text__is_short_and_plain() -> None:
    assert report.text(PUBLICATION, SOURCE, [FINDING]) == (
        "Published 4 changes to `manifests` / `dist`\n"
        "  - Namespace old\n"
        "  ~ Deployment.apps shop/web\n"
        "  ~ logo.png\n"
        "  + ConfigMap shop/new\n"
        "warning empty-file: b.yaml is empty: its chart rendered nothing.\n"
        "Resources: 7 rendered, 1 added, 1 modified, 1 removed, 1 other file changed\n"
        f"Source revision: main@sha1:{SOURCE.sha}\n"
        f"Published revision: manifests@sha1:{'f' * 40}"
    )


@pytest.mark.parametrize("text", NASTY)
def test_text__obeys_nobody(text: str) -> None:
    publication, source, findings = with_text(text)
    lines = report.text(publication, source, findings).splitlines()
    assert len(lines) == 7
    assert all(line.isprintable() and not line.lstrip().startswith("::") for line in lines)


def test_text__names_only_some_of_many_changes() -> None:
    items = tuple(Change(ChangeKind.ADDED, "a", ResourceId("", "A", "", str(n))) for n in range(50))
    text = report.text(PUBLICATION._replace(changes=(Changes("d", items, 50, files=True),)), SOURCE)
    assert text.count("  + A ") == 20
    assert "  … and 30 more\n" in text


@pytest.mark.parametrize(
    ("outcome", "changes", "expected"),
    [
        (Outcome.PUBLISHED, (CHANGES,), "Published 4 changes to `manifests` / `dist`"),
        (Outcome.PUBLISHED, (CHANGES._replace(items=CHANGES.items[:1]),), "Published 1 change to `manifests` / `dist`"),
        (Outcome.PUBLISHED, (CHANGES._replace(items=()),), "Published to `manifests` / `dist`: no resource changed"),
        (Outcome.DRY_RUN, (CHANGES,), "Publishing would make 4 changes to `manifests` / `dist`"),
        (Outcome.DRY_RUN, (), "Publishing would change nothing in `manifests` / `dist`"),
        (Outcome.UNCHANGED, (), "Nothing to publish: no change in `manifests` / `dist`"),
        (Outcome.SKIPPED, (), "Skipped `manifests` / `dist`: why"),
    ],
)
def test_headline__says_how_it_ended(outcome: Outcome, changes: tuple[Changes, ...], expected: str) -> None:
    assert report.headline(PUBLICATION._replace(outcome=outcome, changes=changes, reason="why")) == expected


def test_headline__many_folders() -> None:
    publication = PUBLICATION._replace(outcome=Outcome.UNCHANGED, paths=tuple("abcde"))
    assert (
        report.headline(publication)
        == "Nothing to publish: no change in `manifests` / `a`, `b`, `c` and 2 more folders"
    )


def test_outputs__are_exactly_these() -> None:
    assert report.outputs(PUBLICATION, SOURCE, "out.diff") == {
        "outcome": "published",
        "changed": "true",
        "revision": "f" * 40,
        "source-revision": SOURCE.sha,
        "branch": "manifests",
        "path": "dist",
        "manifests": "7",
        "added": "1",
        "modified": "1",
        "removed": "1",
        "diff-file": "out.diff",
    }


def test_outputs__of_a_run_that_did_nothing() -> None:
    publication = Publication(Outcome.SKIPPED, "manifests", ("a", ""), None, None)
    outputs = report.outputs(publication, SOURCE, "")
    assert (outputs["changed"], outputs["revision"], outputs["path"], outputs["manifests"]) == ("false", "", "a,.", "0")


def test_commit_message__default() -> None:
    assert report.commit_message("{subject}", SOURCE, {"dist": 7}) == (
        "Scale the web to 3\n\n7 resources in dist\n\n"
        f"Source-Revision: main@sha1:{SOURCE.sha}\nSource-URL: https://github.com/o/r/commit/0123\n"
    )


@pytest.mark.parametrize(
    ("template", "subject"),
    [
        ("{short-sha} on {branch}", "0123456789ab on main"),
        ("{sha}", SOURCE.sha),
        ("{path}: {subject}", "dist: Scale the web to 3"),
        ("{unknown} {} {subject", "{unknown} {} {subject"),
        ("two\nlines", "two lines"),
        (" ", "Publish 0123456789ab"),
    ],
)
def test_commit_message__template(template: str, subject: str) -> None:
    assert report.commit_message(template, SOURCE, {"dist": 7}).split("\n\n")[0] == subject


def test_fill__fills_once() -> None:
    assert report.fill("{subject}", SOURCE._replace(subject="{sha}"), []) == "{sha}"


@pytest.mark.parametrize("limit", [8_000, 65_536])
def test_failure__stays_within_the_limit(limit: int) -> None:
    error = CheckError("é" * 90_000, evidence="é\x00\n" * 90_000, hint="<é>" * 90_000)
    many = [FINDING._replace(message="<é>" * 9_000, hint=f"{n}" * 900) for n in range(900)]
    for findings in ([], [FINDING], many):
        error.findings = tuple(findings)
        text = report.failure(error, limit=limit)
        assert len(text.encode()) <= limit
        check_page(text)
