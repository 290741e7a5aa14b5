"""Since when findings exist. Each report continues the dates of earlier ones, so that no other report is needed."""

from collections.abc import Sequence

from gitbook_integrations_api.report import Finding, PastFinding, Report

MAX_PAST = 1000
"""Maximum number of past findings in a report. The first ones are forgotten."""


def date_findings(report: Report, earlier: Sequence[Report]) -> Report:
    """Return a report whose findings have the dates of `earlier` reports on the same part of the same organization."""
    known: dict[str, tuple[str, str | None]] = {}
    for before in sorted(earlier, key=lambda each: each.generatedAt):
        if before.organization.id == report.organization.id:
            dated: tuple[Finding | PastFinding, ...] = (*before.past, *before.findings)
            for one in dated:
                first, _ = known.pop(one.id, (one.firstSeen, None))
                known[one.id] = min(first, one.firstSeen), one.since
    undecided = {rule.id for rule in report.rules if rule.outcome != "checked"}
    present = {finding.id for finding in report.findings}
    past = [
        PastFinding(id=finding, firstSeen=first, since=since if finding.partition(":")[0] in undecided else None)
        for finding, (first, since) in known.items()
        if finding not in present
    ]
    findings = tuple(_date(finding, known.get(finding.id)) for finding in report.findings)
    return report.model_copy(update={"findings": findings, "past": tuple(past[-MAX_PAST:])})


def _date(finding: Finding, known: tuple[str, str | None] | None) -> Finding:
    if known is None:
        return finding
    first, since = known
    return finding.model_copy(update={"firstSeen": first, "since": since or finding.since})
