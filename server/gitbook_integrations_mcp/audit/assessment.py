"""The rules applied: findings, and for every rule whether it could be judged everywhere."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from gitbook_integrations.report import Finding, Remedy, RuleOutcome, Undecided
from gitbook_integrations.rules import RULES, SEVERITIES, Rule, Severity
from gitbook_integrations_mcp.audit import judgement
from gitbook_integrations_mcp.audit.acceptance import Acceptances
from gitbook_integrations_mcp.audit.installation_rules import INSTALLATION_JUDGES
from gitbook_integrations_mcp.audit.judgement import Facts, Hit, Verdict
from gitbook_integrations_mcp.audit.script_rules import SCRIPT_JUDGES
from gitbook_integrations_mcp.configuration.sections import AuditSection
from gitbook_integrations_mcp.digest import digest_json

JUDGES = {**INSTALLATION_JUDGES, **SCRIPT_JUDGES}
"""How each rule is judged, by its ID."""


@dataclass(slots=True)
class Assessment:
    """What all rules came to. `affected` says by source which rules it kept from being judged everywhere."""

    findings: list[Finding] = field(default_factory=list)
    outcomes: list[RuleOutcome] = field(default_factory=list)
    affected: dict[str, list[str]] = field(default_factory=dict)


def assess(facts: Facts, settings: AuditSection, acceptances: Acceptances) -> Assessment:
    """Judge every rule that is on. The gravest findings come first, of the same rule in the inventory's order."""
    assessment = Assessment()
    for rule in RULES.values():
        severity = settings.severity.get(rule.id, rule.severity)
        if rule.id in settings.off:
            assessment.outcomes.append(_conclude(rule, severity, "off", 0, ()))
            continue
        verdicts = list(JUDGES[rule.id](facts))
        undecided = [verdict for verdict in verdicts if isinstance(verdict, judgement.Undecided)]
        hits = [verdict for verdict in verdicts if isinstance(verdict, Hit)]
        assessment.findings += [_report(rule, severity, hit, acceptances) for hit in hits]
        outcome = _decide(verdicts, undecided)
        assessment.outcomes.append(_conclude(rule, severity, outcome, len(hits), undecided))
        for source in {source for each in undecided for source in each.sources}:
            assessment.affected.setdefault(source, []).append(rule.id)
    assessment.findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return assessment


def _decide(verdicts: Collection[Verdict], undecided: Collection[object]) -> Literal["checked", "partly", "unchecked"]:
    if not undecided:
        return "checked"
    judged = any(not isinstance(verdict, judgement.Undecided) for verdict in verdicts)
    return "partly" if judged else "unchecked"


def _conclude(
    rule: Rule,
    severity: Severity,
    outcome: Literal["checked", "partly", "unchecked", "off"],
    findings: int,
    undecided: Collection[judgement.Undecided],
) -> RuleOutcome:
    return RuleOutcome(
        id=rule.id,
        severity=severity,
        title=rule.title,
        meaning=rule.meaning,
        why=rule.why,
        outcome=outcome,
        findings=findings,
        undecided=tuple(Undecided(what=each.what, subject=each.subject) for each in undecided),
    )


def _report(rule: Rule, severity: Severity, hit: Hit, acceptances: Acceptances) -> Finding:
    identifier = f"{rule.id}:{digest_json(hit.key)[:10]}"
    return Finding(
        id=identifier,
        rule=rule.id,
        severity=severity,
        summary=hit.summary,
        subject=hit.subject,
        evidence=hit.evidence,
        remedy=Remedy(tool=hit.tool or rule.remedy, arguments=dict(hit.arguments), advice=rule.advice),
        sources=hit.sources,
        accepted=acceptances.find(identifier, rule.id),
    )
