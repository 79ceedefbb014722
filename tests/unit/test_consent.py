"""Who may let what pass: exactly what was named, by somebody who meant it, and nothing that must never pass."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cdk8s_publish
from cdk8s_publish.errors import InputError
from cdk8s_publish.inputs.declared import REPLACED, parse
from cdk8s_publish.model import CommitMessage, Finding, Level, ResourceId, Sha
from cdk8s_publish.rules.consent import Consent, apply_consents, consents_of, parse_allow, parse_refuse, unused
from cdk8s_publish.rules.registry import RULES

DB = ResourceId("", "Secret", "shop", "db")
WEB = ResourceId("apps", "Deployment", "shop", "web")
SECRET = Finding(Level.ERROR, "plain-secret", "Secret shop/db holds readable values.", "a.yaml", DB, hint="Use SOPS.")
BUDGET = Finding(Level.ERROR, "removal-budget", "This would delete 9 of 10 resources in dist.")
EMPTY = Finding(Level.WARNING, "empty-file", "b.yaml is empty.", "b.yaml")
LINK = Finding(Level.ERROR, "not-publishable", "x is a link that leaves the output folder.", "x")
SHA = Sha("0123456789abcdef" * 2 + "01234567")


def commit(trailer: str) -> CommitMessage:
    return CommitMessage(SHA, "Ann", f"Subject\n\nBody.\n\n{trailer}\n")


def words(text: str) -> list[str]:
    return [str(consent) for consent in parse_allow(text)]


@pytest.mark.parametrize(
    "text",
    [
        "removal-budget,plain-secret:Secret/shop/*",
        "removal-budget\nplain-secret:Secret/shop/*\n",
        " removal-budget , plain-secret:Secret/shop/* ,, removal-budget",
        "removal-budget plain-secret:Secret/shop/*",
    ],
)
def test_allow__is_a_list_on_lines_or_between_commas(text: str) -> None:
    assert words(text) == ["removal-budget", "plain-secret:Secret/shop/*"]
    assert parse({"allow": text}).consent.allow == parse_allow(text)
    assert words("") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("removal-budgt", "there is no rule `removal-budgt` (did you mean `removal-budget`?)."),
        ("Removal-Budget", "did you mean `removal-budget`?"),
        ("zzz", "the rules are nothing-rendered, removal-budget"),
        ("source-branch", "`source-branch` must never pass, because publishing to it would replace your sources"),
        ("not-publishable", "must never pass, because"),
        ("removal-budget:ConfigMap/shop/a", "`removal-budget` is about no resource, so it stands alone"),
        ("plain-secret:db", "write `Kind.group/namespace/name`"),
        ("plain-secret:", "names no resource"),
        ("plain-secret:a/b/c/d", "names no resource"),
        ("foreign-folder:", "names no folder"),
        (
            "plain-secret, nothing-renderd, zzz",
            "`nothing-renderd` (did you mean `nothing-rendered`?); there is no rule",
        ),
    ],
)
def test_allow__what_can_not_be_used_is_named_with_what_can(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse({"allow": text})
    assert str(caught.value).startswith(f"Input `allow`: {text!r} can't be used: ")
    assert message in str(caught.value)


def test_refuse__takes_every_rule_that_exists() -> None:
    assert [consent.rule for consent in parse_refuse(",".join(RULES))] == list(RULES)
    with pytest.raises(InputError, match="did you mean `empty-file`"):
        parse({"refuse": "empty-fil"})


def test_refuse__of_what_is_allowed_is_a_contradiction() -> None:
    with pytest.raises(InputError, match="both name `empty-file`"):
        parse({"allow": "empty-file", "refuse": "empty-file"})
    assert parse({"allow": "duplicate-resource:Secret/a/b", "refuse": "duplicate-resource"})


@pytest.mark.parametrize("value", ["true", "false"])
@pytest.mark.parametrize("name", REPLACED)
def test_replaced_input__is_refused_with_the_new_words(name: str, value: str) -> None:
    with pytest.raises(InputError) as caught:
        parse({name: value})
    words = str(caught.value).partition("write `allow: ")[2].partition("`")[0]
    assert str(caught.value).startswith(f"Input `{name}`: it is replaced by `allow`; write")
    assert parse_allow(words)


def test_replaced_input__is_named_with_every_other_problem() -> None:
    with pytest.raises(InputError, match="3 inputs can't be used: allow-empty, adopt-branch, history"):
        parse({"allow-empty": "true", "adopt-branch": "true", "history": "some"})


@pytest.mark.parametrize(
    ("pattern", "covers"),
    [
        ("", True),
        ("Secret/shop/db", True),
        ("Secret/shop/*", True),
        ("Secret/*/d*b", True),
        ("*/shop/db", True),
        ("Secret/shop/d", False),
        ("Secret/other/db", False),
        ("Secret.apps/shop/db", False),
        ("Secret/db", False),
        ("Secret/*", False),
        ("secret/shop/db", False),
        ("Secret/shop/?b", False),
    ],
)
def test_covers__one_resource_by_a_pattern(pattern: str, *, covers: bool) -> None:
    assert Consent("plain-secret", pattern).covers(SECRET) is covers


def test_covers__nothing_of_another_rule_nor_a_resource_where_there_is_none() -> None:
    assert not Consent("invalid-yaml").covers(SECRET)
    assert not Consent("plain-secret", "Secret/*/*").covers(SECRET._replace(resource=None))


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
RESOURCES = st.builds(ResourceId, NAMES | st.just(""), NAMES, NAMES | st.just(""), NAMES)


@given(RESOURCES)
def test_words__of_a_finding_are_what_lets_it_pass(resource: ResourceId) -> None:
    (refused,), _ = apply_consents([SECRET._replace(resource=resource)], ())
    (allowed,), unneeded = apply_consents([refused], parse_allow(refused.allow))
    assert (allowed.level, allowed.allow, unneeded) == (Level.WARNING, "", ())
    given_by_commit, remarks = consents_of([commit(f"Allow: {refused.allow} because")])
    assert remarks == ()
    assert apply_consents([refused], given_by_commit)[0][0].level is Level.WARNING


@pytest.mark.parametrize(
    ("resource", "expected"),
    [(DB, "Secret/shop/db"), (WEB, "Deployment.apps/shop/web"), (ResourceId("", "Namespace", "", "a"), "Namespace/a")],
)
def test_words__are_those_of_the_resource(resource: ResourceId, expected: str) -> None:
    (finding,), _ = apply_consents([SECRET._replace(resource=resource)], ())
    assert finding.allow == f"plain-secret:{expected}"
    assert f"[to allow: plain-secret:{expected}]" in str(finding)


def test_apply__what_nobody_allowed_stays_an_error() -> None:
    judged, unneeded = apply_consents([SECRET, BUDGET, EMPTY, LINK], parse_allow("invalid-yaml"))
    assert [finding.level for finding in judged] == [Level.ERROR, Level.ERROR, Level.WARNING, Level.ERROR]
    assert [finding.allow for finding in judged] == ["plain-secret:Secret/shop/db", "removal-budget", "", ""]
    assert [str(consent) for consent in unneeded] == ["invalid-yaml"]


def test_apply__what_is_allowed_is_a_warning_that_says_by_whom() -> None:
    by_commit, _ = consents_of([commit("Allow: plain-secret:Secret/shop/db it is a template.")])
    (budget, secret), unneeded = apply_consents([BUDGET, SECRET], (*parse_allow("removal-budget"), *by_commit))
    assert unneeded == ()
    assert (budget.level, secret.level) == (Level.WARNING, Level.WARNING)
    assert budget.message == "This would delete 9 of 10 resources in dist. Allowed by the input `allow`."
    assert secret.message == (
        "Secret shop/db holds readable values. Allowed by commit 0123456789ab (Ann): it is a template."
    )
    assert secret.hint == ""


def test_apply__one_resource_of_several() -> None:
    other = SECRET._replace(resource=DB._replace(name="other"))
    judged, _ = apply_consents([SECRET, other], parse_allow("plain-secret:Secret/shop/db"))
    assert [finding.level for finding in judged] == [Level.WARNING, Level.ERROR]


def test_apply__what_is_refused_stops_the_run_until_it_is_allowed() -> None:
    (finding,), _ = apply_consents([EMPTY], (), parse_refuse("empty-file"))
    assert (finding.level, finding.allow) == (Level.ERROR, "empty-file")
    (finding,), _ = apply_consents([EMPTY], parse_allow("empty-file"), parse_refuse("empty-file"))
    assert finding.level is Level.WARNING


def test_apply__a_warning_needs_no_consent() -> None:
    judged, unneeded = apply_consents([EMPTY], parse_allow("empty-file"))
    assert judged == (EMPTY,)
    (notice,) = unused(unneeded)
    assert (notice.level, notice.rule) == (Level.NOTICE, "unused-consent")
    assert "`empty-file` in the input `allow`" in notice.message


@pytest.mark.parametrize("finding", [LINK, Finding(Level.ERROR, "source-branch", "It is the source.")])
def test_apply__what_must_never_pass_does_not(finding: Finding) -> None:
    assert apply_consents([finding], [Consent(finding.rule)]) == ((finding,), (Consent(finding.rule),))


FINDINGS = st.lists(st.sampled_from([SECRET, BUDGET, EMPTY, LINK, SECRET._replace(resource=WEB)]), max_size=6)
CONSENTS = st.lists(
    st.sampled_from(["plain-secret", "plain-secret:Secret/*/*", "removal-budget", "empty-file", "invalid-yaml"]),
    max_size=4,
).map(lambda some: parse_allow(",".join(some)))


@given(FINDINGS, CONSENTS, CONSENTS)
def test_apply__keeps_every_finding_and_a_consent_never_makes_one_worse(
    findings: list[Finding], consents: tuple[Consent, ...], more: tuple[Consent, ...]
) -> None:
    few, _ = apply_consents(findings, consents)
    many, unneeded = apply_consents(findings, (*consents, *more))
    assert [(one.rule, one.file, one.resource) for one in many] == [(f.rule, f.file, f.resource) for f in findings]
    order = list(Level)
    assert all(order.index(one.level) <= order.index(other.level) for one, other in zip(few, many, strict=True))
    assert not any(consent.covers(finding) for consent in unneeded for finding in many if finding.level is Level.ERROR)


@pytest.mark.parametrize(
    "trailer",
    [
        "Allow: no",
        "Allow: false",
        "Allow: none",
        "Allow: removal-budget no",
        "Allow: removal-budget False.",
        "Allow: precious-removal:Namespace/shop not yet, wait for Bob",
        "Allow: removal-budget Don't, before Bob agrees",
        "Allow: removal-budget none",
        "Allow:",
        "Allow: <rule> <reason>",
        "Allow-Removals: no",
        "Allows: removal-budget because",
    ],
)
def test_trailer__that_says_no_is_none(trailer: str) -> None:
    assert consents_of([commit(trailer)]) == ((), ())


@pytest.mark.parametrize("reason", ["no longer needed", "not used any more", "never used", "Bob waited for it"])
def test_trailer__with_a_reason_that_sounds_like_no_is_one(reason: str) -> None:
    given, _ = consents_of([commit(f"Allow: removal-budget {reason}")])
    assert [str(one.rule) for one in given] == ["removal-budget"]


@pytest.mark.parametrize(
    ("trailer", "reason"),
    [
        ("Allow: removal-budget", "it gives no reason"),
        ("Allow: removal-budget <reason>", "its reason is a placeholder"),
        ("Allow: removal-budget …", "its reason is a placeholder"),
        ("Allow: removal-budget [why]", "its reason is a placeholder"),
        ("Allow: removal-budget TODO", "its reason is a placeholder"),
        ("Allow: removal-budgt because", "did you mean `removal-budget`?"),
        ("Allow: source-branch because", "`source-branch` must never pass"),
        ("Allow: removal-budget:ConfigMap/a because", "is about no resource"),
        ("Allow-Removals: because", "write `Allow: removal-budget <reason>`"),
    ],
)
def test_trailer__that_can_not_be_used_is_a_warning(trailer: str, reason: str) -> None:
    given_by_commit, (warning,) = consents_of([commit(trailer)])
    assert given_by_commit == ()
    assert (warning.level, warning.rule) == (Level.WARNING, "unreadable-consent")
    assert reason in warning.message
    assert "commit 0123456789ab (Ann)" in warning.message


def test_trailer__of_every_commit_counts() -> None:
    messages = [commit("Allow: removal-budget because"), commit("Nothing"), commit("allow : plain-secret: yes, it is")]
    given_by_commits, remarks = consents_of(messages)
    assert [(str(one), one.reason) for one in given_by_commits] == [
        ("removal-budget", "because"),
        ("plain-secret", "yes, it is"),
    ]
    assert remarks == ()


def test_unused__names_the_commit_of_a_trailer() -> None:
    (notice,) = unused(consents_of([commit("Allow: removal-budget because")])[0])
    assert notice.message == "Nothing needed the trailer `Allow: removal-budget` of commit 0123456789ab (Ann)."


def rule_names() -> set[str]:
    """Return the rules that the code's findings have: second argument of `Finding`, first of a flaw."""
    found = set()
    for path in Path(cdk8s_publish.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            calls = {"Finding": 1, "FlawError": 0, "Obeyed": 0, "Unknown": 1, "self._fault": 1}
            position = calls.get(ast.unparse(node.func))
            if position is None:
                continue
            named = [word.value for word in node.keywords if word.arg == "rule"]
            value = (*named, *node.args[position : position + 1])[0]
            found |= {str(value.value)} if isinstance(value, ast.Constant) else set()
    return found


def test_rules__every_one_that_a_finding_has_is_declared() -> None:
    in_a_table = {"older-source", "diverged-source", "unknown-source"}
    assert rule_names() | in_a_table == set(RULES)


@pytest.mark.parametrize(
    ("words", "folder", "is_covered"),
    [
        ("foreign-folder", "prod/a", True),
        ("foreign-folder:prod/a", "prod/a", True),
        ("foreign-folder:prod/*", "prod/a", True),
        ("foreign-folder:prod", "prod/a", False),
        ("foreign-folder:prod/a", "prod/b", False),
        ("foreign-folder:prod/*", "prod/a/b", False),
        ("foreign-folder:.", ".", True),
        ("overlapping-folders:prod/a", "prod/a", False),
    ],
)
def test_consent__for_a_folder_covers_that_one(words: str, folder: str, *, is_covered: bool) -> None:
    finding = Finding(Level.ERROR, "foreign-folder", "The folder is of somebody else.", folder)
    (consent,) = parse_allow(words)
    assert consent.covers(finding) is is_covered
    ((judged,), _) = apply_consents([finding], [])
    assert judged.allow == f"foreign-folder:{folder}"
