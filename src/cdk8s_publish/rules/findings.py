"""What is done with findings wherever they come from: sort them, say whose they are, stop a run because of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdk8s_publish.model import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cdk8s_publish.errors import Cdk8sPublishError

HOW_TO_ALLOW = (
    "What is meant to be so may pass: put the words after “to allow” into the input `allow`, or into the message of a "
    "source commit as a trailer `Allow: <these words> <reason>`."
)
"""The next step for findings that may be allowed."""

_SEVERITY = {level: number for number, level in enumerate(Level)}


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort errors first, then by file."""
    return tuple(sorted(findings, key=_severity))


def _severity(finding: Finding) -> tuple[int, str, str, str]:
    return _SEVERITY[finding.level], finding.file, finding.rule, finding.message


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that stop a run."""
    return [finding for finding in findings if finding.level is Level.ERROR]


def as_warnings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the same findings, none of which stops a run."""
    return tuple(finding._replace(level=Level.WARNING) for finding in findings)


def with_folder(findings: Iterable[Finding], folder: str) -> tuple[Finding, ...]:
    """Return the findings about one of several apps with its folder on the branch, which says whose they are."""
    return tuple(finding._replace(file=f"{folder}/{finding.file}".strip("/")) for finding in findings)


def listed(names: Sequence[str], maximum: int) -> str:
    """Return the first of many names in one line, and how many more there are."""
    more = f" and {len(names) - maximum} more" if len(names) > maximum else ""
    return ", ".join(names[:maximum]) + more


def remedies(findings: Sequence[Finding]) -> list[str]:
    """Return the next steps, each once for all findings that share it."""
    hints = dict.fromkeys(finding.hint for finding in findings)
    hints.pop("", None)
    if any(finding.allow for finding in findings):
        hints[HOW_TO_ALLOW] = None
    return list(hints)


def raise_for_errors(findings: Sequence[Finding], kind: Callable[..., Cdk8sPublishError]) -> None:
    """Raise one error of this kind that names the findings which are errors, if there are any."""
    found = errors(findings)
    if not found:
        return
    message, more = found[0].message, len(found) - 1
    if more:
        message += f" ({more} more finding{'s' * (more > 1)})"
    # One that is all in its message needs no list.
    is_worth_listing = more or found[0].file or found[0].allow
    evidence = "\n".join(map(str, found)) if is_worth_listing else ""
    raise kind(message, evidence=evidence, hint="\n".join(remedies(found)), findings=tuple(findings))
