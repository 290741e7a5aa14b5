"""The rules applied: findings, and for every rule whether it could be judged everywhere."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from gitbook_integrations_api.report import Finding, Remedy, RuleOutcome, Undecided
from gitbook_integrations_api.rules import RULES, SEVERITIES, Rule, Severity
from gitbook_integrations_mcp.audit import rule_results as judgement
from gitbook_integrations_mcp.audit.accepted_findings import Acceptances
from gitbook_integrations_mcp.audit.installation_rules import INSTALLATION_CHECKS
from gitbook_integrations_mcp.audit.rule_results import Facts, Match, RuleResult
from gitbook_integrations_mcp.audit.script_rules import SCRIPT_CHECKS
from gitbook_integrations_mcp.config.models import AuditSection
from gitbook_integrations_mcp.digest import digest_json

CHECKS = {**INSTALLATION_CHECKS, **SCRIPT_CHECKS}
"""How each rule is judged, by its ID."""


@dataclass(slots=True)
class Evaluation:
    """What all rules came to. `affected` says by source which rules it cached from being judged everywhere."""

    findings: list[Finding] = field(default_factory=list)
    outcomes: list[RuleOutcome] = field(default_factory=list)
    affected: dict[str, list[str]] = field(default_factory=dict)


def evaluate_rules(facts: Facts, settings: AuditSection, acceptances: Acceptances) -> Evaluation:
    """RuleCheck every rule that is on. The gravest findings come first, of the same rule in the inventory's options."""
    evaluation = Evaluation()
    for rule in RULES.values():
        severity = settings.severity.get(rule.id, rule.severity)
        if rule.id in settings.disabled_rules:
            evaluation.outcomes.append(_conclude(rule, severity, "off", 0, ()))
            continue
        results = list(CHECKS[rule.id](facts))
        undecided = [result for result in results if isinstance(result, judgement.Undecided)]
        matches = [result for result in results if isinstance(result, Match)]
        evaluation.findings += [_report(rule, severity, match, acceptances) for match in matches]
        outcome = _decide(results, undecided)
        evaluation.outcomes.append(_conclude(rule, severity, outcome, len(matches), undecided))
        for source in {source for each in undecided for source in each.sources}:
            evaluation.affected.setdefault(source, []).append(rule.id)
    evaluation.findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return evaluation


def _decide(
    results: Collection[RuleResult], undecided: Collection[object]
) -> Literal["checked", "partly", "unchecked"]:
    if not undecided:
        return "checked"
    judged = any(not isinstance(result, judgement.Undecided) for result in results)
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


def _report(rule: Rule, severity: Severity, match: Match, acceptances: Acceptances) -> Finding:
    identifier = f"{rule.id}:{digest_json(match.key)[:10]}"
    return Finding(
        id=identifier,
        rule=rule.id,
        severity=severity,
        summary=match.summary,
        subject=match.subject,
        evidence=match.evidence,
        remedy=Remedy(tool=match.tool or rule.remedy, arguments=dict(match.arguments), advice=rule.advice),
        sources=match.sources,
        accepted=acceptances.find(identifier, rule.id),
    )
