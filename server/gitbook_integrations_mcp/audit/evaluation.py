"""Runs all rules. Returns the findings and, for every rule, whether it could be checked completely."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.choices import SEVERITIES, Level, Severity
from gitbook_integrations_api.report import (
    Finding,
    FindingPlace,
    Owner,
    Remedy,
    RuleOutcome,
    Subject,
)
from gitbook_integrations_api.report import Undecided as ReportedUndecided
from gitbook_integrations_api.rules import RULES, Rule
from gitbook_integrations_mcp.audit.accepted_findings import Acceptances
from gitbook_integrations_mcp.audit.installation_rules import INSTALLATION_CHECKS
from gitbook_integrations_mcp.audit.integration_jobs import find_protected_job, is_trusted
from gitbook_integrations_mcp.audit.policy_rules import POLICY_CHECKS
from gitbook_integrations_mcp.audit.rule_results import Facts, Match, RuleResult, Undecided
from gitbook_integrations_mcp.audit.script_rules import SCRIPT_CHECKS
from gitbook_integrations_mcp.audit.setting_rules import SETTING_CHECKS
from gitbook_integrations_mcp.config.models import AuditSection
from gitbook_integrations_mcp.digest import digest_json

CHECKS = {**INSTALLATION_CHECKS, **POLICY_CHECKS, **SETTING_CHECKS, **SCRIPT_CHECKS}
"""The check of each rule, by rule ID."""


@dataclass(slots=True)
class Evaluation:
    """The results of all rules. `affected` has, by source, the rules that it kept from being checked completely."""

    findings: list[Finding] = field(default_factory=list)
    outcomes: list[RuleOutcome] = field(default_factory=list)
    affected: dict[str, list[str]] = field(default_factory=dict)


def evaluate_rules(facts: Facts, settings: AuditSection, acceptances: Acceptances) -> Evaluation:
    """Run all enabled rules. Findings are sorted by severity, the most severe first, then by rule and inventory."""
    evaluation = Evaluation()
    for rule in RULES.values():
        severity = settings.severity.get(rule.id, rule.severity)
        if rule.id in settings.disabled_rules:
            evaluation.outcomes.append(_build_outcome(rule, severity, "off", 0, ()))
            continue
        results = list(CHECKS[rule.id](facts))
        undecided = [result for result in results if isinstance(result, Undecided)]
        matches = [result for result in results if isinstance(result, Match)]
        evaluation.findings += [_build_finding(facts, rule, severity, match, acceptances) for match in matches]
        outcome = _classify(results, undecided)
        evaluation.outcomes.append(_build_outcome(rule, severity, outcome, len(matches), undecided))
        for source in {source for each in undecided for source in each.sources}:
            evaluation.affected.setdefault(source, []).append(rule.id)
    evaluation.findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return evaluation


def _classify(
    results: Collection[RuleResult], undecided: Collection[Undecided]
) -> Literal["checked", "partly", "unchecked"]:
    if not undecided:
        return "checked"
    return "partly" if len(results) > len(undecided) else "unchecked"


def _build_outcome(
    rule: Rule,
    severity: Severity,
    outcome: Literal["checked", "partly", "unchecked", "off"],
    findings: int,
    undecided: Collection[Undecided],
) -> RuleOutcome:
    return RuleOutcome(
        id=rule.id,
        severity=severity,
        title=rule.title,
        meaning=rule.meaning,
        why=rule.why,
        outcome=outcome,
        findings=findings,
        undecided=tuple(ReportedUndecided(what=each.what, subject=each.subject) for each in undecided),
    )


def _build_finding(facts: Facts, rule: Rule, severity: Severity, match: Match, acceptances: Acceptances) -> Finding:
    identifier, time = f"{rule.id}:{digest_json(match.key)[:10]}", facts.time
    return Finding(
        id=identifier,
        rule=rule.id,
        severity=severity,
        summary=match.summary,
        subject=match.subject,
        place=_find_place(facts, match.subject),
        owner=_find_owner(facts, match.subject),
        firstSeen=time,
        since=time,
        evidence=match.evidence,
        remedy=_build_remedy(facts, rule, match),
        sources=match.sources,
        accepted=acceptances.find(identifier, rule.id),
    )


def _find_place(facts: Facts, subject: Subject) -> FindingPlace | None:
    level: Level = "site" if subject.site else "space"
    if (identifier := subject.site or subject.space) is None:
        return None
    place = facts.inventory.get_places(level).get(identifier)
    title = facts.inventory.titles[level].get(identifier, identifier)
    return FindingPlace(level=level, id=identifier, title=title, visibility=place.visibility if place else None)


def _find_owner(facts: Facts, subject: Subject) -> Owner | None:
    integration = facts.inventory.find_integration(subject.integration)
    return integration.owner if integration else None


_OF_STRANGERS = frozenset({"unverified-write", "unverified-script", "unverified-read", "foreign-unlisted"})
"""Rules about integrations whose developer nobody vouches for."""


def _build_remedy(facts: Facts, rule: Rule, match: Match) -> Remedy:
    """Return the proposed call.

    Never propose to remove sync, sign-in, trusted consent, or what another organization of the user may own: only look
    at it. Strangers get no protection by a name or title about consent, because everyone can choose one.
    """
    tool = match.tool or rule.remedy
    advice = match.advice or rule.advice
    installation = match.arguments.get("installationId")
    installed = facts.inventory.installations.get(installation) if installation else None
    if installed is None or TOOLS[tool].risk != "destroy":
        return Remedy(tool=tool, arguments=dict(match.arguments), advice=advice)
    integration = installed.facts.integration
    job, owner = find_protected_job(integration), integration.owner
    protected = job is not None and (job != "consent" or is_trusted(integration) is not False)
    if rule.id in _OF_STRANGERS and owner is not None and owner.id in facts.inventory.organizations:
        protected = True
        advice = (
            "The token can list the organization that owns it, too. If that one is yours, accept the finding. "
            "Otherwise, uninstall the integration unless you know and trust its developer."
        )
    if job is not None:
        advice += f" If it is used for {job}, ask those who rely on it before you remove or replace it."
    if not protected:
        return Remedy(tool=tool, arguments=dict(match.arguments), advice=advice)
    return Remedy(
        tool="get_integration_installation_by_id",
        arguments=installed.arguments,
        advice=advice,
    )
