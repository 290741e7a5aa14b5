"""Reports as SARIF: valid, and read by GitHub code scanning as they are meant."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from gitbook_integrations_api.report import Acceptance, Comparison, Gap, Report
from gitbook_integrations_mcp.audit.render.sarif import render_sarif
from tests.support.sandbox_audit import audit

SCHEMA = Path(__file__).parents[3] / "data" / "sarif_schema.json"
"""OASIS's schema of SARIF 2.1.0."""


def read_run(report: Report) -> dict[str, Any]:
    log = json.loads(render_sarif(report))
    Draft4Validator(json.loads(SCHEMA.read_bytes())).validate(log)
    (run,) = log["runs"]
    return dict(run)


def test_every_finding_is_a_result_with_its_rule_place_and_id() -> None:
    report = audit()
    run = read_run(report)
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    for result, finding in zip(run["results"], report.findings, strict=True):
        assert result["ruleId"] == finding.rule
        assert result["ruleId"] in rules
        assert result["partialFingerprints"] == {"findingId/v1": finding.id}
        assert result["level"] == {"high": "error", "medium": "warning", "low": "note"}[finding.severity]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.endswith(finding.place.id if finding.place else report.organization.id)
        assert "baselineState" not in result
    assert run["invocations"][0]["executionSuccessful"]


def test_a_reopened_finding_is_updated() -> None:
    report = audit()
    first = report.findings[0]
    changes = Comparison(baseline="x", baselineComplete=True, reopened=(first.id,))
    results = read_run(report.model_copy(update={"comparison": changes}))["results"]
    states = {result["partialFingerprints"]["findingId/v1"]: result["baselineState"] for result in results}
    assert states.pop(first.id) == "updated"
    assert set(states.values()) == {"unchanged"}


@pytest.mark.parametrize("is_new", [True, False])
def test_accepted_findings_are_suppressed_and_known_ones_unchanged(is_new: bool) -> None:
    report = audit()
    first = report.findings[0].model_copy(update={"accepted": Acceptance(reason="known", date="2026-11-01")})
    changes = Comparison(baseline="x", baselineComplete=True, newFindings=(first.id,) if is_new else ())
    result = read_run(report.model_copy(update={"findings": (first,), "comparison": changes}))["results"][0]
    assert result["baselineState"] == ("new" if is_new else "unchanged")
    assert result["suppressions"][0]["justification"] == "known"


def test_an_incomplete_audit_is_an_unsuccessful_run_with_its_gaps() -> None:
    report = audit()
    gap = Gap(source="scripts", tool="list_sites", arguments={}, read=0, reason="GitBook refused.", consequence="None.")
    coverage = report.coverage.model_copy(update={"complete": False, "gaps": (gap,)})
    (invocation,) = read_run(report.model_copy(update={"coverage": coverage}))["invocations"]
    assert not invocation["executionSuccessful"]
    assert "GitBook refused." in invocation["toolExecutionNotifications"][0]["message"]["text"]
