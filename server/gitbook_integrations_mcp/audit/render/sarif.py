"""Reports as SARIF 2.1.0, which GitHub code scanning and other dashboards of findings read."""

import json
from typing import Any
from urllib.parse import quote

from gitbook_integrations_api.choices import Severity
from gitbook_integrations_api.report import Finding, Report, RuleOutcome
from gitbook_integrations_api.rules import RULES
from gitbook_integrations_mcp import NAME, __version__
from gitbook_integrations_mcp.audit.problems import format_command, link_rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_LEVELS: dict[Severity, str] = {"high": "error", "medium": "warning", "low": "note"}

_SCORES: dict[Severity, str] = {"high": "8.0", "medium": "5.0", "low": "2.0"}
"""Severities as GitHub code scanning reads them: from 7.0 on high, from 4.0 on medium."""


def render_sarif(report: Report) -> str:
    """Return the report as a SARIF log with one run. Accepted findings are suppressed results."""
    run = {
        "tool": {
            "driver": {
                "name": NAME,
                "version": __version__,
                "rules": [_describe_rule(rule) for rule in report.rules],
            }
        },
        "automationDetails": {"id": f"gitbook-installations/{quote(report.organization.id, safe='')}/"},
        "invocations": [
            {
                "executionSuccessful": report.coverage.complete,
                "endTimeUtc": report.generatedAt,
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": f"{gap.source}: {gap.reason} {gap.consequence}"}}
                    for gap in report.coverage.gaps
                ],
            }
        ],
        "results": [_describe_finding(finding, report) for finding in report.findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _describe_rule(rule: RuleOutcome) -> dict[str, Any]:
    advice = RULES[rule.id].advice if rule.id in RULES else ""
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.meaning} {rule.why}"},
        "help": {"text": f"{rule.why} {advice}".rstrip()},
        "helpUri": link_rule(rule.id),
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"security-severity": _SCORES[rule.severity], "tags": ["security"]},
    }


def _describe_finding(finding: Finding, report: Report) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.summary}. {finding.remedy.advice}\n{format_command(finding.remedy)}"},
        "locations": [_describe_location(finding, report)],
        "partialFingerprints": {"findingId/v1": finding.id},
        "properties": {"firstSeen": finding.firstSeen, "since": finding.since, "evidence": list(finding.evidence)},
    }
    if report.comparison:
        states = {"new": report.comparison.newFindings, "updated": report.comparison.reopened}
        result["baselineState"] = next((state for state, ids in states.items() if finding.id in ids), "unchanged")
    if accepted := finding.accepted:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": accepted.reason}]
    return result


def _describe_location(finding: Finding, report: Report) -> dict[str, Any]:
    """Return the place of a finding. Code scanning requires a path; no file of a repository has this one."""
    place = finding.place
    level, identifier = (place.level, place.id) if place else ("organization", report.organization.id)
    name = place.title if place else report.organization.title or identifier
    path = f"gitbook/{level}s/{quote(identifier, safe='')}"
    return {
        "physicalLocation": {"artifactLocation": {"uri": path}, "region": {"startLine": 1}},
        "logicalLocations": [{"name": name, "fullyQualifiedName": path, "kind": level}],
    }
