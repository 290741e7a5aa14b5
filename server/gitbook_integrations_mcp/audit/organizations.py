"""Audits all organizations that a token can list, one after the other, and shows them side by side."""

from typing import Any

from gitbook_integrations_api.report import Narrowing
from gitbook_integrations_mcp.audit.auditor import Audit
from gitbook_integrations_mcp.audit.places import describe_installation, read_names
from gitbook_integrations_mcp.audit.render.markdown import render_organizations
from gitbook_integrations_mcp.audit.runner import AuditRun, AuditRunner, ReportKey
from gitbook_integrations_mcp.audit.sections import describe_others
from gitbook_integrations_mcp.audit.side_by_side import MAX_LINES, OrganizationAudit, set_side_by_side
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.errors import CallError
from gitbook_integrations_mcp.gitbook.user import UserResolver
from gitbook_integrations_mcp.pipeline.progress import Progress

MAX_ORGANIZATIONS = 10
"""Maximum number of organizations in one audit."""

MAX_SEVERE = 5
"""Maximum number of findings that the result names of each organization."""


class OrganizationsAudit:
    """Runs audits of all organizations. The organization of the call is the first."""

    def __init__(self, runner: AuditRunner, users: UserResolver) -> None:
        self._runner = runner
        self._users = users

    async def run(self, call: Call) -> Output:
        """Return the organizations side by side. One that cannot be read does not stop the others.

        Raises:
            CallError: nothing can be read in the organization of the call.
        """
        progress = _ContinuedProgress(Progress(call.context))
        user = (await self._users.resolve(call.caller.credentials)).key
        first = await self._audit(call, user, call.arguments["organizationId"], progress)
        others, rest = first.report.others[: MAX_ORGANIZATIONS - 1], first.report.others[MAX_ORGANIZATIONS - 1 :]
        runs, problems = [first], list[dict[str, Any]]()
        for other in others:
            progress.start_next()
            try:
                runs.append(await self._audit(call, user, other.id, progress, first.audit))
            except CallError as error:
                problems.append({"id": other.id, "title": other.title, "error": str(error)})
        content = {
            "generatedAt": first.report.generatedAt,
            "ageSeconds": 0,
            "complete": not problems and not rest and all(run.report.coverage.complete for run in runs),
            "organizations": [*map(_describe, runs), *problems],
            **set_side_by_side(
                [OrganizationAudit(run.report, run.audit.settings if run.audit else {}) for run in runs]
            ),
            **describe_others(rest),
        }
        more = "For the details of one organization, call again with its ID as organizationId and a section."
        return Output(content | {"more": more}, f"{render_organizations(content)}\n\n{more}")

    async def _audit(
        self, call: Call, user: str, organization: str, progress: "_ContinuedProgress", earlier: Audit | None = None
    ) -> AuditRun:
        key = ReportKey(user, organization, Narrowing())
        return await self._runner.run(key, call.caller.credentials, progress.report, earlier=earlier)


class _ContinuedProgress:
    """The progress of several audits as that of one, because progress must not go back."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._before = 0.0
        self._latest = 0.0

    def start_next(self) -> None:
        self._before = self._latest

    async def report(self, done: float, _total: float | None, source: str | None) -> None:
        self._latest = self._before + done
        await self._progress.report(self._latest, None, source)


def _describe(run: AuditRun) -> dict[str, Any]:
    report, names = run.report, read_names(run.report)
    severe = [finding.summary for finding in report.findings if finding.accepted is None and finding.severity == "high"]
    described: dict[str, Any] = {
        "id": report.organization.id,
        "title": report.organization.title,
        "complete": report.coverage.complete,
        "figures": report.figures.model_dump(mode="json", exclude={"findings", "accepted"}),
        "findings": {**report.figures.findings, "accepted": report.figures.accepted},
        "mostSevere": severe[:MAX_SEVERE],
        "installations": [describe_installation(each, names) for each in report.installations[:MAX_LINES]],
        "moreInstallations": max(0, len(report.installations) - MAX_LINES),
    }
    return described | ({"note": run.note} if run.note else {})
