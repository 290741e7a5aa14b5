"""Runs audits with everything that the store keeps: accepted findings, earlier reports, and the new report."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import anyio
from pydantic_core import from_json

from gitbook_integrations_api.report import Narrowing, Report
from gitbook_integrations_mcp.audit.accepted_findings import AcceptedFinding, read_kept
from gitbook_integrations_mcp.audit.auditor import Audit, Auditor
from gitbook_integrations_mcp.audit.collector import Progress
from gitbook_integrations_mcp.audit.comparison import BaselineError, compare, read_baseline
from gitbook_integrations_mcp.audit.finding_dates import date_findings
from gitbook_integrations_mcp.audit.trend import continue_trend
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.errors import CallError, StoreError
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.store.reports import KeptReport
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.times import read_age, write_time

if TYPE_CHECKING:
    from gitbook_integrations_mcp.store.development_modes import DevelopmentMode


class ReportKey(NamedTuple):
    """Identifies reports by the GitBook user who may see them, and the part of the organization that they cover."""

    user: str
    organization: str
    narrowing: Narrowing

    @property
    def scope(self) -> tuple[str, str, str]:
        """The key as the store knows it."""
        return self.user, self.organization, digest_json(self.narrowing.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class AuditRun:
    """A report, and when its audit began, in seconds since 1970.

    `id` is that of the kept report; without it, `note` says why it was not kept.
    """

    report: Report
    time: float
    id: str | None = None
    note: str = ""
    audit: Audit | None = None
    """The audit itself, if it has just run."""


class AuditRunner:
    """Runs audits, keeps their reports in `store`, and finds them again."""

    def __init__(self, auditor: Auditor, store: Store) -> None:
        self._auditor = auditor
        self._store = store

    async def run(
        self,
        key: ReportKey,
        credentials: Credentials,
        progress: Progress,
        baseline: Report | None = None,
        earlier: Audit | None = None,
    ) -> AuditRun:
        """Audit, compare, and keep the report. A failure of the store does not stop the audit.

        The `credentials` are removed from the text of the report. Without a `baseline`, it is compared with the latest
        one that is kept. For `earlier`, see `Auditor`.

        Raises:
            AcceptanceError: the file of accepted findings cannot be used.
            BaselineError: the baseline covers something else.
            CallError: nothing in the organization can be read.
        """
        latest: AuditRun | None = None

        async def read_latest() -> None:  # during the audit, because it takes as long as many requests
            nonlocal latest
            with contextlib.suppress(StoreError):  # which keeping the new report has, too
                latest = await self.find_latest(key)

        accepted, development, problem = await self._read_known(key.organization)
        started = self._store.database.clock()
        audit: Audit | CallError
        async with anyio.create_task_group() as group:
            group.start_soon(read_latest)
            try:
                audit = await self._auditor.audit(
                    key.organization, key.narrowing, credentials, progress, accepted, earlier, development
                )
            except CallError as error:
                audit = error
        if isinstance(audit, CallError):
            raise audit
        report = _relate(audit.report, [each for each in (baseline, latest and latest.report) if each])
        text = report.model_dump_json()
        if (scrubbed := credentials.scrub(text)) != text:
            text, report = scrubbed, Report.model_validate_json(scrubbed)
        kept: str | None = None
        try:
            kept = await self._store.reports.add(*key.scope, text, time=started, complete=report.coverage.complete)
        except StoreError as error:
            lost = f"The store {error.reason}: this report was not kept and cannot be a baseline later."
            problem = f"{problem} {lost}".lstrip()
        return AuditRun(report, started, kept, problem, audit)

    async def _read_known(
        self, organization: str
    ) -> "tuple[Sequence[AcceptedFinding], Mapping[str, DevelopmentMode] | None, str]":
        """Return the accepted findings, the development modes by integration, and what of these is unknown, and why.

        The newest development mode of an integration is the one that counts.
        """
        modes: dict[str, DevelopmentMode] | None = None
        try:
            modes = {one.integration: one for one in reversed(await self._store.development_modes.list())}
            return [read_kept(one) for one in await self._store.acceptances.list_active(organization)], modes, ""
        except StoreError as error:
            unknown = ", and development modes are unknown" if modes is None else ""
            return (), modes, f"The store {error.reason}: findings that were accepted in it are shown as open{unknown}."

    async def find_latest(self, key: ReportKey) -> AuditRun | None:
        """Return the latest kept report.

        Raises:
            StoreError: the store fails.
        """
        return await _open(await self._store.reports.find_latest(*key.scope))

    async def find_any(self, user: str, organization: str) -> AuditRun | None:
        """Return the user's latest report on any part of an organization.

        Raises:
            StoreError: the store fails.
        """
        return await _open(await self._store.reports.find_latest(user, organization, None))

    async def find_finding(self, user: str, organization: str, finding: str) -> AuditRun | None:
        """Return the user's latest report, if it has a finding, or else that on the whole organization, if it does.

        The latest report may be on a part that does not contain the finding.

        Raises:
            StoreError: the store fails.
        """
        whole = ReportKey(user, organization, Narrowing())
        for run in (await self.find_any(user, organization), await self.find_latest(whole)):
            if run and any(one.id == finding for one in run.report.findings):
                return run
        return None

    async def get(self, key: ReportKey, report_id: str) -> AuditRun | None:
        """Return a kept report by its ID, or None if it is no longer kept.

        Raises:
            StoreError: the store fails.
        """
        return await _open(await self._store.reports.get(report_id, *key.scope))

    async def get_any(self, user: str, organization: str, report_id: str) -> AuditRun | None:
        """Return a kept report of the user on any part of an organization, or None if it is no longer kept.

        Raises:
            StoreError: the store fails.
        """
        return await _open(await self._store.reports.get(report_id, user, organization, None))

    async def find_baseline(self, key: ReportKey, moment: str) -> Report:
        """Return the newest kept report at or before a moment: `last`, an age like `7d`, or a date.

        Raises:
            BaselineError: there is none, or the moment cannot be read.
            StoreError: the store fails.
        """
        before = read_moment(moment, self._store.database.clock())
        found = await self._store.reports.find_latest(*key.scope, before=before)
        if found is None:
            raise BaselineError(_explain_missing(moment, await self._store.reports.find_oldest_time(*key.scope)))
        return (await _parse(found)).report


def _relate(report: Report, earlier: Sequence[Report]) -> Report:
    """Return a report with the dates of its findings, the trend, and the comparison with the first `earlier` one."""
    report = continue_trend(date_findings(report, earlier), earlier)
    return report.model_copy(update={"comparison": compare(earlier[0], report)}) if earlier else report


def read_moment(text: str, now: float) -> float | None:
    """Return the moment that a baseline names, in seconds since 1970; None for `last`. A date includes its whole day.

    Raises:
        BaselineError: it is none of the forms.
    """
    if text == "last":
        return None
    if (age := read_age(text)) is not None:
        return now - age
    try:
        day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return (day + timedelta(days=1)).timestamp() - 0.001
    except (ValueError, OverflowError):
        raise BaselineError(
            "baseline: pass last, an age like 24h, 7d or 4w, a date like 2026-11-18, or an earlier report."
        ) from None


def _explain_missing(moment: str, oldest: float | None) -> str:
    if oldest is None:
        return (
            "No earlier audit with these arguments is kept for this GitBook user, so there is nothing to compare with. "
            "Leave out baseline: this audit is kept then, and a later one is compared with it."
        )
    since = write_time(oldest)
    return (
        f"No audit with these arguments is kept that is as old as {moment}. The oldest is from {since}. "
        f"baseline: {since[:10]} compares with the last one of that day, and baseline: last with the latest. "
        "list_changes has the changes through this server."
    )


async def _open(kept: KeptReport | None) -> AuditRun | None:
    if kept is None:
        return None
    try:
        return await _parse(kept)
    except BaselineError:
        return None  # of a version whose reports this one cannot read


async def _parse(kept: KeptReport) -> AuditRun:
    report = await anyio.to_thread.run_sync(lambda: read_baseline(from_json(kept.report)))
    return AuditRun(report, kept.time, kept.id)
