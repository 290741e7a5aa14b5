"""The tool `audit_installations`: runs a new audit, or returns details from the caller's latest report."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import anyio

from gitbook_integrations_api.endpoints.audit import SECTIONS
from gitbook_integrations_api.report import Narrowing, Report
from gitbook_integrations_mcp.audit.auditor import Auditor
from gitbook_integrations_mcp.audit.comparison import BaselineError, compare, read_baseline
from gitbook_integrations_mcp.audit.own_changes import OwnChanges
from gitbook_integrations_mcp.audit.render.markdown import render_items, render_summary
from gitbook_integrations_mcp.audit.report_cache import CachedReport, CacheKey, ReportCache
from gitbook_integrations_mcp.audit.sections import cut_page, list_items, summarize
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.errors import ArgumentsError
from gitbook_integrations_mcp.pipeline.progress import Progress
from gitbook_integrations_mcp.spelling import suggest_id
from gitbook_integrations_mcp.text import clean_text

MORE = (
    "For details, call again with section: findings, installations, scripts, coverage or changes, and optionally "
    "integration. Details come from this audit. Use refresh: true for a new audit, and baseline: last to compare a new "
    "audit with this one."
)

INTEGRATION_SECTIONS = tuple(section for section in SECTIONS if section != "coverage")
"""Sections that can be limited to one integration."""


class AuditHandler:
    """Runs calls of the tool. Callers never see each other's reports and never wait for each other."""

    def __init__(self, auditor: Auditor, cache: ReportCache, cache_seconds: float, changes: OwnChanges) -> None:
        self._auditor = auditor
        self._cache = cache
        self._cache_seconds = cache_seconds
        self._changes = changes
        self._locks: WeakValueDictionary[CacheKey, anyio.Lock] = WeakValueDictionary()

    async def run(self, call: Call) -> Output:
        """Return the result of a call.

        Raises:
            CallError: nothing can be read, or the arguments do not fit the report.
        """
        arguments = call.arguments
        _check_section(arguments)
        narrowing = Narrowing(
            **{name: tuple(arguments[name]) for name in Narrowing.model_fields if arguments.get(name) is not None}
        )
        key = CacheKey(call.caller.id, arguments["organizationId"], narrowing)
        # Of concurrent calls, the first runs the audit, and the others use its report.
        lock = self._locks.setdefault(key, anyio.Lock())
        async with lock:
            cached = self._find_cached(key, arguments) or await self._audit(key, call)
        return _build_output(cached, arguments)

    def _find_cached(self, key: CacheKey, arguments: Mapping[str, Any]) -> CachedReport | None:
        """Return the latest report if it can serve this call: a request for details while the report is fresh.

        A change by the caller, during the audit or later, makes it stale.
        """
        if arguments.get("section") is None or arguments.get("refresh") or arguments.get("baseline") is not None:
            return None
        cached = self._cache.find(key)
        # Later pages must come from the same report as the first, whatever its age.
        if cached is None or arguments.get("page") is not None:
            return cached
        holds = cached.change == self._changes.find_latest(key.caller)
        return cached if holds and cached.age <= self._cache_seconds else None

    async def _audit(self, key: CacheKey, call: Call) -> CachedReport:
        change = self._changes.find_latest(key.caller)
        baseline = self._find_baseline(key, call.arguments.get("baseline"))
        progress = Progress(call.context)
        report = await self._auditor.audit(key.organization, key.narrowing, call.caller.credentials, progress.report)
        if baseline is not None:
            report = report.model_copy(update={"comparison": compare(baseline, report)})
        self._cache.put(key, report, change)
        return CachedReport(report, 0.0)

    def _find_baseline(self, key: CacheKey, baseline: Any) -> Report | None:
        if baseline is None:
            return None
        if baseline != "last":
            return read_baseline(baseline)
        cached = self._cache.find(key)
        if cached is None:
            raise BaselineError(
                "No earlier audit with these arguments is in memory. Audit without baseline first, or pass an earlier "
                "report as baseline."
            )
        return cached.report


def _check_section(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that would have no effect, because a result that ignores them looks like an answer to them.

    Raises:
        ArgumentsError: an argument does not apply to the section.
    """
    section = arguments.get("section")
    if arguments.get("integration") is not None and section not in INTEGRATION_SECTIONS:
        raise ArgumentsError(
            f"integration: add section: {', '.join(INTEGRATION_SECTIONS[:-1])} or {INTEGRATION_SECTIONS[-1]}. To audit "
            "only one integration, use integrations."
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
        incomplete = "" if report.coverage.complete else " The audit is incomplete; see section coverage."
        raise ArgumentsError(
            f"integration: this audit has no installation, script or finding of {clean_text(integration, 100)}."
            f"{suggest_id(integration, titles)}{incomplete}"
        )


def _build_output(cached: CachedReport, arguments: Mapping[str, Any]) -> Output:
    report, section, integration = cached.report, arguments.get("section"), arguments.get("integration")
    content: dict[str, Any] = {
        "generatedAt": report.generatedAt,
        "ageSeconds": round(cached.age),
        "complete": report.coverage.complete,
    }
    age = f", {_format_age(cached.age)}"
    if section == "report":
        whole = (
            "Use the sections findings, installations, scripts and coverage, which have pages. The whole report is the "
            f"resource gitbook-integrations://orgs/{report.organization.id}/report, or the output of "
            "`gitbook-integrations-mcp audit --format json`."
        )
        return Output(content | {"report": report.model_dump(mode="json")}, whole=whole)
    if section in {None, "summary"}:
        summary = summarize(report)
        return Output(content | summary | {"more": MORE}, f"{render_summary(summary, age)}\n\n{MORE}")
    if section == "changes" and report.comparison is None:
        raise BaselineError(
            "The latest audit has no comparison. Call again with baseline: last, or pass an earlier report as baseline."
        )
    _check_integration(report, integration)
    items = list_items(report, section, integration)
    page = cut_page(items, _read_page(arguments.get("page"), len(items)))
    heading = f"## {section.capitalize()}{f' of {integration}' if integration else ''}{age}"
    warning = "" if report.coverage.complete else "\nThe audit is INCOMPLETE; see section coverage."
    more = f"\n\nNext page: page: {page['next']['page']}" if "next" in page else ""
    text = f"{heading}{warning}\n\n{render_items(section, page['items'])}{more}"
    return Output(content | {"section": section} | page, text)


def _format_age(seconds: float) -> str:
    return "just now" if seconds < 5 else f"{round(seconds)} s ago"


def _read_page(page: str | None, count: int) -> int:
    if page is None:
        return 0
    if not page.isdecimal() or int(page) >= max(count, 1):
        raise ArgumentsError("page: unknown page of this section. Use next.page of the previous result.")
    return int(page)
