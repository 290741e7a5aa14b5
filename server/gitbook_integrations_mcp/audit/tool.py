"""The tool `audit_installations`: runs a new audit, or returns details from the user's latest kept report."""

import re
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import anyio

from gitbook_integrations_api.endpoints.audit import REPORT_ID, SECTIONS
from gitbook_integrations_api.report import Narrowing, Report
from gitbook_integrations_mcp.audit.comparison import BaselineError, read_baseline
from gitbook_integrations_mcp.audit.explanation import explain
from gitbook_integrations_mcp.audit.exported_files import write_report_uri
from gitbook_integrations_mcp.audit.organizations import OrganizationsAudit
from gitbook_integrations_mcp.audit.render.markdown import (
    PARTLY_CHECKED,
    escape,
    format_changes,
    format_others,
    format_span,
    render_explanation,
    render_items,
    render_narrowing,
    render_summary,
)
from gitbook_integrations_mcp.audit.runner import AuditRun, AuditRunner, ReportKey
from gitbook_integrations_mcp.audit.sections import (
    cut_page,
    describe_comparison,
    describe_others,
    list_items,
    summarize,
)
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.calls.response import FOREIGN_PAGE
from gitbook_integrations_mcp.errors import ArgumentsError, StoreError
from gitbook_integrations_mcp.gitbook.user import UserResolver
from gitbook_integrations_mcp.pipeline.progress import Progress
from gitbook_integrations_mcp.spelling import suggest_id
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text

MORE = (
    "Details of this audit: section: findings, installations, access (who may do what where), scripts, coverage or "
    "changes, optionally with integration; explain: the ID of a finding. New audit: refresh: true; compared with an "
    "older one: baseline: 7d or a date."
)

INTEGRATION_SECTIONS = tuple(section for section in SECTIONS if section != "coverage")
"""Sections that can be limited to one integration."""


class AuditHandler:
    """Runs calls of the tool. The tokens of one GitBook user share reports; users never see or wait for each other."""

    def __init__(self, runner: AuditRunner, users: UserResolver, store: Store, cache_seconds: float) -> None:
        self._runner = runner
        self._users = users
        self._store = store
        self._cache_seconds = cache_seconds
        self._organizations = OrganizationsAudit(runner, users)
        self._locks: WeakValueDictionary[ReportKey, anyio.Lock] = WeakValueDictionary()

    async def run(self, call: Call) -> Output:
        """Return the result of a call.

        Raises:
            CallError: nothing can be read, or the arguments do not fit the report.
        """
        arguments = call.arguments
        _check_section(arguments)
        if arguments.get("organizations") is not None:
            return await self._organizations.run(call)
        narrowing = Narrowing(
            **{name: tuple(arguments[name]) for name in Narrowing.model_fields if arguments.get(name) is not None}
        )
        user = await self._users.resolve(call.caller.credentials)
        key = ReportKey(user.key, arguments["organizationId"], narrowing)
        # Of concurrent calls, the first runs the audit, and the others use its report.
        async with self._lock(key):
            found = await self._find_kept(key, call) or await self._audit(key, call)
        age = max(0.0, self._store.database.clock() - found.time)
        return _build_output(found, age, arguments)

    async def find_report(self, key: ReportKey, call: Call) -> AuditRun:
        """Return the user's latest report if it is fresh, or that of a new audit.

        Raises:
            CallError: nothing can be read.
        """
        async with self._lock(key):
            return await self._find_latest(key, call) or await self._audit(key, call)

    def _lock(self, key: ReportKey) -> anyio.Lock:
        return self._locks.setdefault(key, anyio.Lock())

    async def _find_kept(self, key: ReportKey, call: Call) -> AuditRun | None:
        """Return the kept report that can serve this call: the one of an earlier page, or the latest if it is fresh."""
        arguments = call.arguments
        asks_for_details = arguments.get("section") is not None or arguments.get("explain") is not None
        if not asks_for_details or arguments.get("refresh") or arguments.get("baseline") is not None:
            return None
        _, _, identifier = (arguments.get("page") or "").partition("-")
        if identifier:
            if re.fullmatch(REPORT_ID, identifier) and (found := await self._runner.get(key, identifier)):
                return found
            raise ArgumentsError(FOREIGN_PAGE)
        return await self._find_latest(key, call)

    async def _find_latest(self, key: ReportKey, call: Call) -> AuditRun | None:
        """Return the latest kept report if it is fresh, or if its next page is asked for.

        A change of the organization or of its accepted findings makes it stale, during the audit too.
        """
        try:
            latest = await self._runner.find_latest(key)
            if latest is None or call.arguments.get("page") is not None:
                return latest
            accepted = await self._store.acceptances.find_last_change(key.organization)
            changed = await self._store.changes.find_last_time(key.organization)
        except StoreError:
            return None
        fresh = self._store.database.clock() - latest.time <= self._cache_seconds
        return latest if fresh and max(accepted or 0, changed or 0) < latest.time else None

    async def _audit(self, key: ReportKey, call: Call) -> AuditRun:
        given = call.arguments.get("baseline")
        if isinstance(given, str):
            baseline: Report | None = await self._runner.find_baseline(key, given)
        else:
            baseline = None if given is None else read_baseline(given)
        return await self._runner.run(key, call.caller.credentials, Progress(call.context).report, baseline)


def _check_section(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that would have no effect, because a result that ignores them looks like an answer to them.

    Raises:
        ArgumentsError: an argument does not apply to the section.
    """
    section = arguments.get("section")
    if arguments.get("organizationId") == "all":
        raise ArgumentsError("organizationId is the ID of one organization. organizations: all audits every one.")
    if arguments.get("explain") is not None and section is not None:
        raise ArgumentsError("explain: leave out section. The explanation is the whole result.")
    if arguments.get("organizations") is not None:
        extra = [name for name in arguments if name not in {"organizationId", "organizations", "refresh"}]
        if extra:
            raise ArgumentsError(
                f"organizations: leave out {', '.join(extra)}. Audit all organizations first, and then ask for the "
                "details of one with organizationId."
            )
    if arguments.get("integration") is not None and section not in INTEGRATION_SECTIONS:
        raise ArgumentsError(
            f"integration: only section {', '.join(INTEGRATION_SECTIONS[:-1])} or {INTEGRATION_SECTIONS[-1]} can be "
            "limited to an integration. To audit only one, use integrations."
        )
    if arguments.get("page") is not None and section not in SECTIONS:
        raise ArgumentsError(f"page: add the section that the page belongs to: {', '.join(SECTIONS)}.")


def _check_integration(report: Report, integration: str | None) -> None:
    """Refuse an integration that the report has nothing of. To list nothing would look as if all were well.

    Raises:
        ArgumentsError: the report does not have it.
    """
    if integration is None:
        return
    titles = {each.integration.name: each.integration.title for each in report.installations}
    others = [script.integration for site in report.sites for script in site.scripts or ()]
    others += [finding.subject.integration for finding in report.findings]
    if changes := report.comparison:
        others += [change.subject.integration for change in (*changes.added, *changes.removed, *changes.changed)]
        others += [finding.subject.integration for finding in changes.fixed]
    titles = {name: name for name in others if name} | titles
    if integration not in titles:
        limits = [] if report.coverage.complete else ["The audit is incomplete; see section coverage."]
        limits += render_narrowing(report.narrowing.model_dump(exclude_none=True))
        raise ArgumentsError(
            f"integration: this audit has no installation, script or finding of {clean_text(integration, 100)}."
            f"{' '.join([suggest_id(integration, titles), *limits])}"
        )


def _build_output(found: AuditRun, seconds: float, arguments: Mapping[str, Any]) -> Output:
    report, section = found.report, arguments.get("section")
    content = _describe(found, seconds)
    note = f"\n\n{found.note}" if found.note else ""
    age = f", {_format_age(seconds)}"
    limits = [] if report.coverage.complete else ["The audit is INCOMPLETE; see section coverage."]
    if not limits and section == "findings" and any(one.outcome in {"partly", "unchecked"} for one in report.rules):
        limits = [f"{PARTLY_CHECKED} See section coverage."]
    warning = "".join(f"\n{line}" for line in [*limits, *render_narrowing(content.get("narrowing", {}))])
    if section == "report":
        whole = (
            "Use the sections findings, installations, scripts and coverage, which have pages. export_report links the "
            f"whole report; it is also the resource gitbook-integrations://orgs/{report.organization.id}/report, and "
            "the output of `gitbook-integrations-mcp audit --format json`."
        )
        return Output(content | {"report": report.model_dump(mode="json")}, whole=whole)
    if (identifier := arguments.get("explain")) is not None:
        explanation = explain(report, identifier)
        below = f"\n{warning}" if warning else ""  # not a part of the last item
        return Output(content | {"explanation": explanation}, f"{render_explanation(explanation)}{below}{note}")
    if section in {None, "summary"}:
        summary = summarize(report)
        kept = f" Later export of this report: export_report with reportId: {found.id}." if found.id else ""
        return Output(content | summary | {"more": MORE}, f"{render_summary(summary, age)}{note}\n\n{MORE}{kept}")
    if section == "changes" and report.comparison is None:
        kept = "It is kept: a later one is compared with it." if found.id is not None else found.note
        raise BaselineError(
            f"This audit is the first with these arguments, so there is nothing to compare it with. {kept} "
            "list_changes has the changes through this server."
        )
    integration = arguments.get("integration")
    _check_integration(report, integration)
    items = list_items(report, section, integration)
    start = _read_page(arguments.get("page"), len(items), found.id)
    page = cut_page(items, start)
    if "next" in page and found.id is not None:
        page["next"]["page"] += f"-{found.id}"  # all pages come from the same report
    comparison = describe_comparison(report, items) if section == "changes" else {}
    heading = f"## {section.capitalize()}{f' of {integration}' if integration else ''}{age}"
    left = len(items) - start - len(page["items"])
    more = f"\n\n{left:,} more items. Next page: page: {page['next']['page']}" if "next" in page else ""
    since = "".join(f"\n{line}" for line in map(escape, format_changes(comparison or None)))
    others = describe_others(report.others)
    warning += "".join(f"\n{line}" for line in map(escape, format_others(others)))
    text = f"{heading}{warning}{since}\n\n{render_items(section, page['items'])}{more}{note}"
    content |= {"section": section, **others, **({"changes": comparison} if comparison else {})}
    return Output(content | page, text)


def _describe(found: AuditRun, seconds: float) -> dict[str, Any]:
    """Return what every result says about the report that it comes from."""
    report = found.report
    content: dict[str, Any] = {
        "generatedAt": report.generatedAt,
        "ageSeconds": round(seconds),
        "complete": report.coverage.complete,
    }
    if found.id is not None:
        content["reportUri"] = write_report_uri(report.organization.id, found.id, "html")
    if narrowing := report.narrowing.model_dump(mode="json", exclude_none=True):
        content["narrowing"] = narrowing
    if found.note:
        content |= {"kept": found.id is not None, "note": found.note}
    return content


def _format_age(seconds: float) -> str:
    return "just now" if seconds < 5 else f"{format_span(seconds)} ago"


def _read_page(page: str | None, count: int, report: str | None) -> int:
    """Return where a page begins. A number that no result named would skip findings in silence."""
    if page is None:
        return 0
    start, _, named = page.partition("-")
    if named != (report or "") or not start.isdecimal() or len(start) > 9 or int(start) >= max(count, 1):
        raise ArgumentsError(FOREIGN_PAGE)
    return int(start)
