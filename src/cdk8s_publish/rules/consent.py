"""The one way to let a finding pass: somebody named its rule, in the input `allow` or in a trailer of a commit.

    allow: removal-budget, plain-secret:Secret/shop/*
    Allow: precious-removal:Namespace/shop the shop has closed

`refuse` is the other direction: rules that only warn or inform but should stop the run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cdk8s_publish.model import Finding, Level
from cdk8s_publish.options import closest
from cdk8s_publish.rules.registry import RULES
from cdk8s_publish.rules.trailers import trailers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cdk8s_publish.model import CommitMessage, ResourceId
    from cdk8s_publish.rules.registry import Rule

INPUT_ORIGIN = "the input `allow`"
TRAILER = "allow"

_SHORT = 12
_PATTERN = re.compile(r"[^/\s,]+(?:/[^/\s,]+){1,2}")
_NOT_IN_PATTERN = re.compile(r"[\s,/`]+|:+$")
_NO = frozenset({"no", "false", "none", "never", "off"})
_NOT_YET = re.compile(r"not (?:yet|now|allowed|approved|agreed|ok|okay)\b|(?:do not|don'?t|wait)\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"<.*>|\[.*\]|\{.*\}|reason|todo|tbd|\W*", re.IGNORECASE)
_OLD_TRAILER = "allow-removals"


class Consent(NamedTuple):
    """Leave for the findings of one rule to pass.

    `resource` is a pattern: `Kind.group/namespace/name`, or a folder of the branch where the rule is about those; `*`
    stands for anything within a part. An empty one means every finding. `origin` says in words who gave it, `reason`
    why.
    """

    rule: str
    resource: str = ""
    reason: str = ""
    origin: str = INPUT_ORIGIN

    def __str__(self) -> str:
        return f"{self.rule}:{self.resource}" if self.resource else self.rule

    def covers(self, finding: Finding) -> bool:
        """Whether it lets this finding pass."""
        if finding.rule != self.rule:
            return False
        return not self.resource or _matches(self.resource, _subject(finding))


def parse_allow(text: str) -> tuple[Consent, ...]:
    """Read the input `allow`: rules separated by commas, spaces or lines, each alone or for one resource.

    Raises:
        ValueError: names every entry that is no rule, or a rule that must never pass.

    """
    return _parsed(text, is_allowing=True)


def parse_refuse(text: str) -> tuple[Consent, ...]:
    """Read the input `refuse`; its form is that of `allow`.

    Raises:
        ValueError: names every entry that is no rule.

    """
    return _parsed(text, is_allowing=False)


def consents_of(messages: Iterable[CommitMessage]) -> tuple[tuple[Consent, ...], tuple[Finding, ...]]:
    """Return the consents that the trailers of commits give, and a warning for each trailer that gives none by mistake.

    A trailer that says no (`Allow: none`, `Allow: removal-budget no`) is passed over.
    """
    given: list[Consent] = []
    warnings: list[Finding] = []
    for message in messages:
        origin = f"commit {message.sha[:_SHORT]} ({message.author})"
        for key, value in trailers(message.text):
            words, _, reason = value.replace("\t", " ").partition(" ")
            if not _is_consent(key, words, reason):
                continue
            words, reason = words.rstrip(":"), reason.strip()
            if flaw := _flaw(key, words, reason):
                text = f"The trailer `{key}: {value}` of {origin} is no consent: {flaw}."
                warnings.append(Finding(Level.WARNING, "unreadable-consent", text))
            else:
                rule, _, resource = words.partition(":")
                given.append(Consent(rule, resource, reason, origin))
    return tuple(given), tuple(warnings)


def apply_consents(
    findings: Iterable[Finding], consents: Sequence[Consent], refusals: Sequence[Consent] = ()
) -> tuple[tuple[Finding, ...], tuple[Consent, ...]]:
    """Return the findings at the level that they have in this run, and the consents that none of them needed.

    A refused one is an error. One that stops the run (an error, or one whose rule skips) and has a consent becomes a
    warning that says who gave it; without a consent it says which words would let it pass.
    """
    judged: list[Finding] = []
    used: set[Consent] = set()
    for given in findings:
        is_refused = any(refusal.covers(given) for refusal in refusals)
        finding = given._replace(level=Level.ERROR) if is_refused else given
        covering = [consent for consent in consents if consent.covers(finding)]
        if not _needs_consent(finding):
            judged.append(finding)
        elif covering:
            used.update(covering)
            judged.append(_allowed(finding, covering[0]))
        else:
            judged.append(finding._replace(allow=_words(finding)))
    return tuple(judged), tuple(consent for consent in consents if consent not in used)


def _needs_consent(finding: Finding) -> bool:
    """Whether a finding keeps the run from publishing, and may be allowed."""
    rule = RULES.get(finding.rule)
    if rule is None or rule.never:
        return False
    return finding.level is Level.ERROR or rule.skips


def unused(consents: Iterable[Consent]) -> tuple[Finding, ...]:
    """Return a notice for each consent that nothing needed."""
    return tuple(Finding(_unused_level(consent), "unused-consent", _unused_message(consent)) for consent in consents)


def _unused_level(consent: Consent) -> Level:
    """Return how much it matters: what is left on in an input lets the next folder of others be replaced as well."""
    is_left_on = consent.origin == INPUT_ORIGIN and RULES[consent.rule].is_about_folder
    return Level.WARNING if is_left_on else Level.NOTICE


def _unused_message(consent: Consent) -> str:
    if consent.origin == INPUT_ORIGIN:
        return f"Nothing needed `{consent}` in the input `allow`: take it out, so that this guard is closed again."
    return f"Nothing needed the trailer `Allow: {consent}` of {consent.origin}."


def _allowed(finding: Finding, consent: Consent) -> Finding:
    because = f": {consent.reason.rstrip('.')}" if consent.reason else ""
    message = f"{finding.message.rstrip('.')}. Allowed by {consent.origin}{because}."
    return finding._replace(level=Level.WARNING, message=message, hint="", allow="")


def _parsed(text: str, *, is_allowing: bool) -> tuple[Consent, ...]:
    entries = [entry for entry in re.split(r"[,\s]+", text) if entry]
    faults = [fault for entry in entries if (fault := _fault(entry, is_allowing=is_allowing))]
    if faults:
        raise ValueError(f"can't be used: {'; '.join(faults)}")
    pairs = (entry.partition(":") for entry in dict.fromkeys(entries))
    return tuple(Consent(rule, resource) for rule, _, resource in pairs)


def _fault(entry: str, *, is_allowing: bool) -> str:
    """Return what is wrong with `rule` or `rule:resource`; empty where nothing is."""
    name, colon, resource = entry.partition(":")
    rule = RULES.get(name)
    if rule is None:
        others = ", ".join(other.name for other in RULES.values() if not (is_allowing and other.never))
        return f"there is no rule `{name}`" + (closest(name, RULES) or f"; the rules are {others}")
    if is_allowing and rule.never:
        return f"`{name}` must never pass, because {rule.never}"
    return _resource_fault(rule, resource) if colon else ""


def _resource_fault(rule: Rule, resource: str) -> str:
    if rule.is_about_folder:
        return "" if resource else f"`{rule.name}:` names no folder of the branch: write `{rule.name}:dist`"
    if not rule.is_about_resource:
        return f"`{rule.name}` is about no resource, so it stands alone"
    if not _PATTERN.fullmatch(resource):
        example = f"{rule.name}:Deployment.apps/shop/web"
        return f"`{resource}` names no resource: write `Kind.group/namespace/name`, for example `{example}`"
    return ""


def _is_consent(key: str, words: str, reason: str) -> bool:
    """Whether a trailer means to allow something."""
    says_no = any(text.lower().strip(" .!") in _NO for text in (words, reason))
    is_meant = not (says_no or _NOT_YET.match(reason))
    return key.lower() in {TRAILER, _OLD_TRAILER} and is_meant and not _PLACEHOLDER.fullmatch(words)


def _flaw(key: str, words: str, reason: str) -> str:
    """Return why a trailer does not allow what it means to; empty where it does."""
    if key.lower() == _OLD_TRAILER:
        return "write `Allow: removal-budget <reason>` or `Allow: precious-removal:<resource> <reason>`"
    if fault := _fault(words, is_allowing=True):
        return fault
    if not reason:
        return "it gives no reason"
    return "its reason is a placeholder" if _PLACEHOLDER.fullmatch(reason) else ""


def _words(finding: Finding) -> str:
    """Return what `allow` must say to let this finding pass, and little else."""
    parts = _subject(finding)
    return f"{finding.rule}:{'/'.join(map(_pattern_part, parts))}" if parts else finding.rule


def _pattern_part(part: str) -> str:
    """Write a name so that it survives between commas and spaces."""
    return _NOT_IN_PATTERN.sub("*", part)


def _subject(finding: Finding) -> tuple[str, ...]:
    """Return the parts of the name that a finding may be allowed for; none where it is about nothing with a name."""
    rule = RULES[finding.rule]
    if rule.is_about_folder and finding.file:
        return tuple(finding.file.split("/"))
    return _parts(finding.resource) if rule.is_about_resource and finding.resource else ()


def _parts(resource: ResourceId) -> tuple[str, ...]:
    place = (resource.namespace,) if resource.namespace else ()
    return (resource.kind_and_group, *place, resource.name)


def _matches(pattern: str, parts: Sequence[str]) -> bool:
    wanted = pattern.strip("/").split("/")
    return len(wanted) == len(parts) and all(map(_matches_part, wanted, parts))


def _matches_part(pattern: str, part: str) -> bool:
    expression = ".*".join(re.escape(piece) for piece in pattern.split("*"))
    return re.fullmatch(expression, part, re.DOTALL) is not None
