"""Explains one finding, or one rule with its findings: why it matters, the evidence, and the call that fixes it."""

from typing import Any

from gitbook_integrations_api.report import Finding, Report
from gitbook_integrations_api.rules import RULES
from gitbook_integrations_mcp.errors import ArgumentsError
from gitbook_integrations_mcp.spelling import suggest
from gitbook_integrations_mcp.text import clean_text

MAX_FINDINGS = 20
"""Maximum number of findings that the explanation of a rule names."""


def explain(report: Report, identifier: str) -> dict[str, Any]:
    """Return the explanation of a finding of the report, or of a rule.

    Raises:
        ArgumentsError: the report does not have the finding. The message says when it was fixed, if it was.
    """
    for finding in report.findings:
        if finding.id == identifier:
            return explain_finding(finding, report)
    if identifier in RULES:
        return _explain_rule(identifier, report)
    if past := next((one for one in report.past if one.id == identifier), None):
        state = "could not check it" if past.since else "does not have it any more"
        raise ArgumentsError(
            f"explain: {identifier} was found first on {past.firstSeen}. The audit of {report.generatedAt} {state}."
        )
    known = [*(finding.id for finding in report.findings), *RULES]
    raise ArgumentsError(
        f"explain: this audit has no finding {clean_text(identifier, 100)}.{suggest(identifier, known)} Call again "
        "with section: findings for the IDs."
    )


def explain_finding(finding: Finding, report: Report) -> dict[str, Any]:
    """Return everything about a finding; its `remedy` can be called as it stands."""
    rule = next(one for one in report.rules if one.id == finding.rule)
    about = finding.model_dump(mode="json", exclude={"sources", "subject"}, exclude_none=True)
    return about | {
        "title": rule.title,
        "meaning": rule.meaning,
        "why": rule.why,
        "subject": finding.subject.model_dump(mode="json", exclude_none=True),
    }


def _explain_rule(identifier: str, report: Report) -> dict[str, Any]:
    rule = RULES[identifier]
    found = [finding for finding in report.findings if finding.rule == identifier]
    checked = next((one for one in report.rules if one.id == identifier), None)
    # An advice is about the call of a finding, so the first one's is shown.
    return {
        "rule": rule.id,
        "severity": checked.severity if checked else rule.severity,
        "outcome": checked.outcome if checked else "unchecked",
        "title": rule.title,
        "meaning": rule.meaning,
        "why": rule.why,
        "advice": rule.advice,
        **({"call": found[0].remedy.model_dump(mode="json", include={"tool", "arguments"})} if found else {}),
        "findings": [_name(finding) for finding in found[:MAX_FINDINGS]],
        "moreFindings": max(0, len(found) - MAX_FINDINGS),
    }


def _name(finding: Finding) -> str:
    if (accepted := finding.accepted) is None:
        return f"{finding.id}: {finding.summary}"
    return f"{finding.id}: {finding.summary} (accepted{f' until {accepted.expires}' if accepted.expires else ''})"
