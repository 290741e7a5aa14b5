"""Since when findings exist. Each report continues the dates of earlier ones, so that no other report is needed."""

from collections.abc import Sequence

from gitbook_integrations_api.report import Finding, PastFinding, Report

MAX_PAST = 1000
"""Maximum number of past findings in a report. The first ones are forgotten."""


def date_findings(report: Report, earlier: Sequence[Report]) -> Report:
    """Return a report whose findings have the dates of `earlier` reports on the same part of the same organization."""
    known: dict[str, PastFinding] = {}
    for before in sorted(earlier, key=lambda each: each.generatedAt):
        if before.organization.id == report.organization.id:
            for one in [*before.past, *map(_describe, before.findings)]:
                known[one.id] = _merge(known.pop(one.id, one), one)
    undecided = {rule.id for rule in report.rules if rule.outcome != "checked"}
    present = {finding.id for finding in report.findings}
    past = [
        one if one.id.partition(":")[0] in undecided else one.model_copy(update={"since": None})
        for one in known.values()
        if one.id not in present
    ]
    findings = tuple(_date(finding, known.get(finding.id)) for finding in report.findings)
    return report.model_copy(update={"findings": findings, "past": tuple(past[-MAX_PAST:])})


def _describe(finding: Finding) -> PastFinding:
    return PastFinding(id=finding.id, firstSeen=finding.firstSeen, since=finding.since)


def _merge(older: PastFinding, newer: PastFinding) -> PastFinding:
    """Return what both reports know: when it was seen first in any, and since when in the newer one."""
    return newer.model_copy(update={"firstSeen": min(older.firstSeen, newer.firstSeen)})


def _date(finding: Finding, past: PastFinding | None) -> Finding:
    if past is None:
        return finding
    return finding.model_copy(update={"firstSeen": past.firstSeen, "since": past.since or finding.since})
