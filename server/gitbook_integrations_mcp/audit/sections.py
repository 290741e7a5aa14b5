"""Parts of a report: a short summary, and sections with pages of items.

They are the structured content of the tool's results. `render.markdown` renders them as text.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from gitbook_integrations_api.choices import LEVELS, Severity
from gitbook_integrations_api.endpoints.audit import Section
from gitbook_integrations_api.report import (
    AuditedOrganization,
    Finding,
    Gap,
    InstallationFacts,
    Placement,
    Report,
    ScriptFacts,
    SiteFacts,
)
from gitbook_integrations_api.scopes import INJECT_SCRIPT, SCOPES, is_powerful, writes
from gitbook_integrations_mcp.audit.coverage import name_places
from gitbook_integrations_mcp.audit.places import PlaceNames, describe_installation, list_levels, read_names
from gitbook_integrations_mcp.audit.problems import Problem, group_findings
from gitbook_integrations_mcp.text import clean_text

MAX_GAPS = 3
"""Maximum number of gaps in a summary."""

MAX_EXAMPLES: Mapping[Severity, int] = {"high": 3, "medium": 2, "low": 1}
"""Maximum number of examples per rule in a summary, by severity."""

MAX_LINES = 60
"""Maximum number of installations in a summary."""

MAX_CHANGES: Mapping[str, int] = {"new": 2, "reopened": 1, "fixed": 1, "added": 1, "removed": 1, "changed": 1}
"""Maximum number of changes in a summary, by kind."""

MAX_OTHERS = 10
"""Maximum number of other organizations in a summary."""

MAX_PLACES = 10
"""Maximum number of spaces, and of sites, that an item of a section names."""

MAX_UNDECIDED = 20
"""Maximum number of unchecked things that section coverage names per rule."""

PAGE_CHARACTERS = 9000
"""Maximum size of the items of one page, in characters of JSON: about 3,000 tokens."""


def summarize(report: Report) -> dict[str, Any]:
    """Return figures, findings by rule, installations, coverage and changes. The size is limited."""
    gaps, names = report.coverage.gaps, read_names(report)
    lines = [describe_installation(installed, names) for installed in report.installations[:MAX_LINES]]
    summary: dict[str, Any] = {
        "organization": report.organization.model_dump(mode="json"),
        "narrowing": report.narrowing.model_dump(mode="json", exclude_none=True),
        "figures": report.figures.model_dump(mode="json", exclude={"findings", "accepted"}),
        "findings": {**report.figures.findings, "accepted": report.figures.accepted},
        "byRule": [_describe_problem(problem) for problem in group_findings(report)],
        "installations": lines,
        "moreInstallations": len(report.installations) - len(lines),
        "coverage": {
            "complete": report.coverage.complete,
            "requests": report.coverage.requests,
            "gaps": [_describe_gap(gap) for gap in gaps[:MAX_GAPS]],
            "moreGaps": max(0, len(gaps) - MAX_GAPS),
            "rulesNotChecked": {rule.id: rule.outcome for rule in report.rules if rule.outcome != "checked"},
        },
    }
    if changes := describe_comparison(report):
        summary |= {"changes": changes, "changeExamples": list_change_examples(report)}
    return summary | describe_others(report.others)


def describe_others(others: Sequence[AuditedOrganization]) -> dict[str, Any]:
    """Return the fields about organizations that the token can list, too, but that were not audited."""
    if not others:
        return {}
    names = [f"{each.title} ({each.id})" if each.title else each.id for each in others[:MAX_OTHERS]]
    return {"notAudited": names, "moreNotAudited": len(others) - len(names)}


def list_change_examples(report: Report) -> list[str]:
    """Return the first changes of each kind as text."""
    by_kind: dict[str, list[str]] = {kind: [] for kind in MAX_CHANGES}
    for each in _list_changes(report, None):
        if len(lines := by_kind.get(each["change"], [])) < MAX_CHANGES.get(each["change"], 0):
            lines.append(f"{each['change']}: {each['title']}{_describe_difference(each)}")
    return [line for lines in by_kind.values() for line in lines]


def _describe_difference(change: Mapping[str, Any]) -> str:
    if "field" not in change:
        return f" ({change['kind']})" if "kind" in change else ""
    before, after = (clean_text(str(change[name]), 60) for name in ("before", "after"))
    return f", {change['field']}: {before} → {after}"


_COUNTED = {
    **{name: name for name in ("added", "removed", "changed")},
    "newFindings": "new",
    **{name: name for name in ("reopened", "fixed", "undecided")},
}
"""The numbers of changes, each with the kind of the items that it counts."""


def describe_comparison(report: Report, items: Iterable[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return which earlier report was compared, how old it was, and how many changes there are; {} without one.

    With `items` of the section, only these are counted.
    """
    changes = report.comparison
    if changes is None:
        return {}
    kinds = None if items is None else Counter(item["change"] for item in items)
    return {
        "since": changes.baseline,
        "sinceAgeSeconds": _measure_age(changes.baseline, report.generatedAt),
        "sinceComplete": changes.baselineComplete,
        **{name: len(getattr(changes, name)) if kinds is None else kinds[kind] for name, kind in _COUNTED.items()},
    }


def _measure_age(earlier: str, later: str) -> int | None:
    """Return the seconds between two moments (ISO 8601), or None if one of them is no moment."""
    try:
        return round((datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds())
    except (ValueError, TypeError):  # TypeError: only one of them has a time zone
        return None


def _describe_problem(problem: Problem) -> dict[str, Any]:
    return {
        "rule": problem.rule.id,
        "severity": problem.severity,
        "title": problem.rule.title,
        "count": len(problem.findings),
        "examples": [finding.summary for finding in problem.findings[: MAX_EXAMPLES[problem.severity]]],
    }


def _describe_gap(gap: Gap) -> dict[str, Any]:
    return {name: getattr(gap, name) for name in ("source", "reason", "consequence", "rules")}


# Sections


def _concerns(report: Report, integration: str | None) -> Callable[[Finding], bool]:
    """Return whether a finding is about an integration, or based on the places of one of its installations."""
    installed = [one.id for one in report.installations if one.integration.name == integration]
    sources = {name_places(level, one) for level in LEVELS for one in installed}

    def concerns(finding: Finding) -> bool:
        return integration in {None, finding.subject.integration} or not sources.isdisjoint(finding.sources)

    return concerns


def _list_findings(report: Report, integration: str | None) -> Iterator[dict[str, Any]]:
    rules = {rule.id: rule for rule in report.rules}
    advised: dict[str, str] = {}
    for finding in filter(_concerns(report, integration), report.findings):
        item = finding.model_dump(mode="json", exclude={"sources", "subject"}, exclude_none=True)
        if finding.rule not in advised:  # only the first finding of a rule explains it, to save tokens
            item |= {"meaning": rules[finding.rule].meaning, "why": rules[finding.rule].why}
            advised[finding.rule] = finding.remedy.advice
        elif finding.remedy.advice == advised[finding.rule]:
            del item["remedy"]["advice"]
        yield item


def _list_installations(report: Report, integration: str | None) -> Iterator[dict[str, Any]]:
    """Yield all installations, or those of one integration with their spaces and sites."""
    titles, names = report.titles, read_names(report)
    for installed in report.installations:
        if integration is None:
            yield _describe_installation(installed, names)
        elif integration == installed.integration.name:
            yield _describe_installation(installed, names)
            for level in LEVELS:
                yield from (_describe_place(level, place, titles) for place in installed.get_places(level))


def _describe_installation(installed: InstallationFacts, names: PlaceNames) -> dict[str, Any]:
    facts = installed.integration.model_dump(mode="json", exclude={"owner"}, exclude_none=True)
    owner = installed.integration.owner
    own = installed.model_dump(mode="json", exclude={"integration", "spaces", "sites"}, exclude_none=True)
    places = {
        "spaces": names.list_names(installed.spaces, MAX_PLACES),
        "sites": names.list_names(installed.sites, MAX_PLACES),
    }
    return facts | {"owner": owner.name if owner else None} | own | places


def _describe_place(level: str, place: Placement, titles: Mapping[str, str]) -> dict[str, Any]:
    described = {level: place.id, "title": titles.get(place.id), "status": place.status}
    return described | ({"externalIds": place.externalIds} if place.externalIds else {})


def _list_scripts(report: Report, integration: str | None) -> Iterator[dict[str, Any]]:
    for site in report.sites:
        for script in site.scripts or ():
            if integration in {None, script.integration}:
                yield {
                    "site": site.id,
                    "title": site.title,
                    "visibility": site.visibility,
                    "published": site.published,
                    **script.model_dump(mode="json", exclude={"contentSecurityPolicy", "owner"}, exclude_none=True),
                    "owner": script.owner.name if script.owner else "unknown",
                    **({"own": True} if script.owner and script.owner.id == report.organization.id else {}),
                    "csp": script.contentSecurityPolicy or "none",
                }


def _list_access(report: Report, integration: str | None) -> Iterator[dict[str, Any]]:
    """Yield who may do what where: the scopes that change something first, and for each its integrations.

    Those without any scope come last: without an item, one would look as if it were not installed.

    The pages of sites also load scripts of integrations that are not installed, whose other scopes nobody knows.
    """
    names, scripts = read_names(report), _group_scripts(report)
    scopes = {scope for installed in report.installations for scope in installed.integration.scopes}
    scopes |= {INJECT_SCRIPT} if scripts else set()
    for scope in sorted(scopes, key=lambda each: (not is_powerful(each), not writes(each), each)):
        meaning: dict[str, Any] = {"meaning": SCOPES.get(scope)}
        others = dict(scripts) if scope == INJECT_SCRIPT else {}
        for installed in report.installations:
            facts = installed.integration
            if scope not in facts.scopes:
                continue
            running = others.pop(facts.name, [])
            if integration in {None, facts.name}:
                described = _describe_access(installed, scope, names, [site for site, _ in running])
                yield {"scope": scope, "integration": facts.name} | meaning | described
                meaning = {}  # only the first item of a scope explains it, to save tokens
        for name, running in others.items():
            if integration in {None, name}:
                yield {"scope": scope, "integration": name} | meaning | _describe_running(report, running, names)
                meaning = {}
    for installed in report.installations:
        facts = installed.integration
        if not facts.scopes and integration in {None, facts.name}:
            yield {"scope": "none", "integration": facts.name} | _describe_access(installed, "", names, [])


def _group_scripts(report: Report) -> dict[str, list[tuple[SiteFacts, ScriptFacts]]]:
    """Return the scripts of all sites by integration, or by host if their URL names none."""
    grouped: dict[str, list[tuple[SiteFacts, ScriptFacts]]] = {}
    for site in report.sites:
        for script in site.scripts or ():
            grouped.setdefault(script.integration or script.host, []).append((site, script))
    return grouped


def _describe_running(
    report: Report, running: Sequence[tuple[SiteFacts, ScriptFacts]], names: PlaceNames
) -> dict[str, Any]:
    """Return where scripts run whose integration has no installation with this scope in the report."""
    owner, sites = running[0][1].owner, dict.fromkeys(site.id for site, _ in running)
    return {
        "status": "no installation in this report: other scopes are unknown",
        "verified": running[0][1].verified,
        "owner": owner.name if owner else "unknown",
        **({"own": True} if owner and owner.id == report.organization.id else {}),
        "sites": names.list_names([Placement(id=site) for site in sites], MAX_PLACES),
    }


def _describe_access(
    installed: InstallationFacts, scope: str, names: PlaceNames, running: Sequence[SiteFacts]
) -> dict[str, Any]:
    """Return the spaces or sites that a scope reaches; scopes that are about neither reach both.

    `running` are sites whose pages load its script, where it need not be enabled.
    """
    level, owner = scope.partition(":")[0], installed.integration.owner
    scripted = {site.id: Placement(id=site.id) for site in running}
    item: dict[str, Any] = {
        "status": installed.status,
        "verified": installed.integration.verified,
        "owner": owner.name if owner else "unknown",
        **({"own": True} if installed.integration.own else {}),
    }
    for key, everywhere, enabled, complete in list_levels(installed):
        if level == key or level not in LEVELS:
            places = (scripted if key == "site" else {}) | {place.id: place for place in enabled}
            item[f"{key}s"] = [
                *([f"all {key}s, new ones too"] if everywhere else []),
                *names.list_names([*places.values()], MAX_PLACES),
                *([] if complete else ["more may be missing"]),
            ]
    return item


def _list_gaps(report: Report, _integration: str | None) -> Iterator[dict[str, Any]]:
    yield from (gap.model_dump(mode="json", exclude_none=True) for gap in report.coverage.gaps)
    for rule in report.rules:
        if rule.outcome != "checked":
            undecided = [each.what for each in rule.undecided]
            more = {"more": len(undecided) - MAX_UNDECIDED} if len(undecided) > MAX_UNDECIDED else {}
            yield {"rule": rule.id, "outcome": rule.outcome, "undecided": undecided[:MAX_UNDECIDED]} | more
    yield from ({"unavailable": fact} for fact in report.coverage.unavailable)


def _list_changes(report: Report, integration: str | None) -> Iterator[dict[str, Any]]:
    changes = report.comparison
    if changes is None:
        return
    findings = {finding.id: finding for finding in filter(_concerns(report, integration), report.findings)}
    for identifier in changes.newFindings:
        if finding := findings.get(identifier):
            older = {"possiblyOlder": True} if identifier in changes.possiblyOlder else {}
            yield {"change": "new", "severity": finding.severity, "title": finding.summary, "id": identifier} | older
    for identifier in changes.reopened:
        if finding := findings.get(identifier):
            yield {"change": "reopened", "severity": finding.severity, "title": finding.summary, "id": identifier}
    for finding in changes.fixed:
        if integration in {None, finding.subject.integration}:
            yield {"change": "fixed", "severity": finding.severity, "title": finding.summary, "id": finding.id}
    for name in ("added", "removed", "changed"):
        for change in getattr(changes, name):
            if integration in {None, change.subject.integration}:
                yield {"change": name, **change.model_dump(mode="json", exclude={"subject"}, exclude_none=True)}
    yield from ({"change": "undecided", "title": what} for what in changes.undecided)


_SECTIONS: Mapping[Section, Callable[[Report, str | None], Iterator[dict[str, Any]]]] = {
    "findings": _list_findings,
    "installations": _list_installations,
    "scripts": _list_scripts,
    "access": _list_access,
    "coverage": _list_gaps,
    "changes": _list_changes,
}


def list_items(report: Report, section: Section, integration: str | None = None) -> list[dict[str, Any]]:
    """Return all items of a section, or only those of one integration."""
    return list(_SECTIONS[section](report, integration))


def cut_page(items: Sequence[Mapping[str, Any]], start: int) -> dict[str, Any]:
    """Return one page of items from `start`, with at least one item, and the start of the next page."""
    end, room = start, PAGE_CHARACTERS
    while end < len(items) and (end == start or room >= len(to_json(items[end]))):
        room -= len(to_json(items[end]))
        end += 1
    page: dict[str, Any] = {"items": list(items[start:end]), "count": len(items)}
    return page | ({"next": {"page": str(end)}} if end < len(items) else {})
