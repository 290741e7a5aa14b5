"""The tool `audit_installations`: a new audit, or an answer from the last one of the same caller."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import anyio

from gitbook_integrations_api.report import Narrowing, Report
from gitbook_integrations_mcp.audit.auditor import Auditor
from gitbook_integrations_mcp.audit.comparison import BaselineError, compare, read_baseline
from gitbook_integrations_mcp.audit.render.markdown import render_items, render_summary
from gitbook_integrations_mcp.audit.report_cache import CachedReport, CacheKey, ReportCache
from gitbook_integrations_mcp.audit.sections import cut_page, list_items, summarize
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.errors import ArgumentsError
from gitbook_integrations_mcp.pipeline.progress import Progress

MORE = (
    "For details call again with section: findings, installations, scripts, coverage or changes, and integration where "
    "only one matters; that answers from this audit. refresh: true audits anew, baseline: last compares with this one."
)


class AuditHandler:
    """Runs calls of the tool. Callers never see, nor wait for, each other's reports."""

    def __init__(self, auditor: Auditor, cache: ReportCache, cache_seconds: float) -> None:
        self._auditor = auditor
        self._shelf = cache
        self._cache_seconds = cache_seconds
        self._locks: WeakValueDictionary[CacheKey, anyio.Lock] = WeakValueDictionary()

    async def run(self, call: Call) -> Output:
        """Return the answer to a call.

        Raises:
            CallError: nothing can be read, or the arguments do not go with what there is.
        """
        arguments = call.arguments
        narrowing = Narrowing(
            **{name: tuple(arguments[name]) for name in Narrowing.model_fields if arguments.get(name) is not None}
        )
        key = CacheKey(call.caller.id, arguments["organizationId"], narrowing)
        # Of calls that come together, the first audits, and the others answer from its report.
        lock = self._locks.setdefault(key, anyio.Lock())
        async with lock:
            cached = self._find_fresh(key, arguments) or await self._audit(key, call)
        return _answer(cached, arguments)

    def _find_fresh(self, key: CacheKey, arguments: Mapping[str, Any]) -> CachedReport | None:
        """Return the last report where it is to answer: to a question for details, while it is fresh."""
        if arguments.get("section") is None or arguments.get("refresh") or arguments.get("baseline") is not None:
            return None
        cached = self._shelf.find(key)
        # Who turns the pages of a report goes on in it, whatever its age.
        return cached if cached and (cached.age <= self._cache_seconds or arguments.get("page") is not None) else None

    async def _audit(self, key: CacheKey, call: Call) -> CachedReport:
        baseline = self._find_baseline(key, call.arguments.get("baseline"))
        progress = Progress(call.context)
        report = await self._auditor.audit(key.organization, key.narrowing, call.caller.credentials, progress.report)
        if baseline is not None:
            report = report.model_copy(update={"comparison": compare(baseline, report)})
        self._shelf.put(key, report)
        return CachedReport(report, 0.0)

    def _find_baseline(self, key: CacheKey, wanted: Any) -> Report | None:
        if wanted is None:
            return None
        if wanted != "last":
            return read_baseline(wanted)
        cached = self._shelf.find(key)
        if cached is None:
            raise BaselineError(
                "There is no earlier audit of this to compare with: this server keeps the last ones of each caller, in "
                "memory. Audit without baseline first, or give an earlier report."
            )
        return cached.report


def _answer(cached: CachedReport, arguments: Mapping[str, Any]) -> Output:
    report, section, integration = cached.report, arguments.get("section"), arguments.get("integration")
    content: dict[str, Any] = {
        "generatedAt": report.generatedAt,
        "ageSeconds": round(cached.age),
        "complete": report.coverage.complete,
    }
    age = f", {_format_age(cached.age)}"
    if section == "report":
        return Output(content | {"report": report.model_dump(mode="json")})
    if section in {None, "summary"}:
        summary = summarize(report)
        return Output(content | summary | {"more": MORE}, f"{render_summary(summary, age)}\n\n{MORE}")
    if section == "changes" and report.comparison is None:
        raise BaselineError("The last audit was not compared with any; call with baseline: last, or an earlier report.")
    items = list_items(report, section, integration)
    page = cut_page(items, _read_page(arguments.get("page"), len(items)))
    head = f"## {section.capitalize()}{f' of {integration}' if integration else ''}{age}"
    part = "" if report.coverage.complete else "\nThe audit is INCOMPLETE; see section coverage."
    more = f"\n\nThere is more: page: {page['next']['page']}" if "next" in page else ""
    text = f"{head}{part}\n\n{render_items(section, page['items'])}{more}"
    return Output(content | {"section": section} | page, text)


def _format_age(seconds: float) -> str:
    return "made just now" if seconds < 5 else f"made {round(seconds)} s ago"


def _read_page(page: str | None, count: int) -> int:
    if page is None:
        return 0
    if not page.isdecimal() or int(page) >= max(count, 1):
        raise ArgumentsError("page: is no page of this section; it comes from next.page of its previous answer.")
    return int(page)
