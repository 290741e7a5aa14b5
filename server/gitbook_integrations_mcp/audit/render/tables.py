"""Reports as tables, for terminals and spreadsheets."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gitbook_integrations_api.choices import LEVELS, TableName
from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.audit.places import list_powers

Row = dict[str, Any]


def _list_installations(report: Report) -> Iterator[Row]:
    for installed in report.installations:
        integration = installed.integration
        yield {
            "integration": integration.name,
            "status": installed.status,
            "access": ", ".join(list_powers(integration.scopes)),
            "verified": integration.verified,
            "spaces": _count(len(installed.spaces), installed.spaceSelection, complete=installed.spacesComplete),
            "sites": _count(len(installed.sites), installed.siteSelection, complete=installed.sitesComplete),
            "owner": (integration.owner and integration.owner.title) or "",
            "visibility": integration.visibility,
            "scopes": len(integration.scopes),
            "version": integration.version,
        }


def _count(number: int, selection: str | None, *, complete: bool) -> str:
    return f"{number}{'' if complete else ' or more'}{' (all)' if selection == 'all' else ''}"


def _list_places(report: Report) -> Iterator[Row]:
    titles = report.titles
    for installed in report.installations:
        for level in LEVELS:
            for place in installed.get_places(level):
                yield {
                    "integration": installed.integration.name,
                    "installation": installed.id,
                    "level": level,
                    "id": place.id,
                    "title": titles.get(place.id, ""),
                    "status": place.status,
                    "externalIds": ", ".join(place.externalIds),
                }


def _list_scripts(report: Report) -> Iterator[Row]:
    for site in report.sites:
        for script in site.scripts or ():
            yield {
                "site": site.title,
                "integration": script.integration,
                "policy": bool(script.contentSecurityPolicy),
                "cookies": script.cookies,
                "published": site.published,
                "host": script.host,
            }


def _list_findings(report: Report) -> Iterator[Row]:
    new = set(report.comparison.newFindings) if report.comparison else set()
    shows_accepted = any(each.accepted for each in report.findings)
    for finding in report.findings:
        row: Row = {"severity": finding.severity, "id": finding.id, "finding": finding.summary}
        if report.comparison:
            row["new"] = finding.id in new
        if shows_accepted:
            row["accepted"] = finding.accepted.reason if finding.accepted else None
        yield row


TABLES: Mapping[TableName, Callable[[Report], Iterator[Row]]] = {
    "installations": _list_installations,
    "scripts": _list_scripts,
    "findings": _list_findings,
    "places": _list_places,
}


_FORMULA_STARTS = (*"=+-@＝＋－＠", "\t", "\r", "\n")  # East Asian editions also accept full-width characters
"""A spreadsheet treats a cell as a formula if its text starts with one of these."""


def _list_complete_findings(report: Report) -> Iterator[Row]:
    """Yield findings with all columns, so that the files of all audits have the same ones."""
    new = set(report.comparison.newFindings) if report.comparison else None
    for finding in report.findings:
        place, accepted = finding.place, finding.accepted
        yield {
            "severity": finding.severity,
            "rule": finding.rule,
            "finding": finding.summary,
            "id": finding.id,
            "integration": finding.subject.integration,
            "owner": finding.owner and finding.owner.name,
            "level": place.level if place else "organization",
            "place": place.title if place else report.organization.title,
            "place_id": place.id if place else report.organization.id,
            "first_seen": finding.firstSeen,
            "since": finding.since,
            "new": None if new is None else finding.id in new,
            "accepted": accepted and accepted.reason,
            "accepted_by": accepted and accepted.by,
            "accepted_on": accepted and accepted.date,
            "accepted_until": accepted and accepted.expires,
            "evidence": "; ".join(finding.evidence),
            "tool": finding.remedy.tool,
            "arguments": json.dumps(finding.remedy.arguments, ensure_ascii=False),
        }


def render_csv(report: Report, table: TableName) -> str:
    """Return one table as CSV. Text that a spreadsheet would treat as a formula is marked as text."""
    rows = list(_list_complete_findings(report) if table == "findings" else TABLES[table](report))
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _format_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _format_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
