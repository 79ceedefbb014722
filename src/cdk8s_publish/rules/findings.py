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
    return tuple(sorted(findings, key=lambda one: (_SEVERITY[one.level], one.file, one.rule, one.message)))


def with_folder(findings: Iterable[Finding], folder: str) -> tuple[Finding, ...]:
    """Return the findings about one of several apps with its folder on the branch, which says whose they are."""
    return tuple(finding._replace(file=f"{folder}/{finding.file}".strip("/")) for finding in findings)


def remedies(findings: Iterable[Finding]) -> list[str]:
    """Return the next steps, each once for all findings that share it."""
    findings = tuple(findings)
    hints = [finding.hint for finding in findings if finding.hint]
    if any(finding.allow for finding in findings):
        hints.append(HOW_TO_ALLOW)
    return list(dict.fromkeys(hints))


def raise_for_errors(findings: Sequence[Finding], kind: Callable[..., Cdk8sPublishError]) -> None:
    """Raise one error of this kind that names the findings which are errors, if there are any."""
    errors = [finding for finding in findings if finding.level is Level.ERROR]
    if not errors:
        return
    more = len(errors) - 1
    message = errors[0].message
    if more:
        message += f" ({more} more finding{'s' * (more > 1)})"
    is_worth_listing = more or errors[0].file or errors[0].allow
    evidence = "\n".join(map(str, errors)) if is_worth_listing else ""
    raise kind(message, evidence=evidence, hint="\n".join(remedies(errors)), findings=tuple(findings))
