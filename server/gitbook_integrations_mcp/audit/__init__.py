"""Installation audits: what is installed where, with which scopes, which scripts run on the sites, and what to do.

`collector` reads an organization with a `list_reader`; `coverage` tracks which lists could not be read completely.
`inventory` holds what was read; it reads configurations with the `configuration_forms` of integrations. The modules
`installation_rules`, `policy_rules`, `setting_rules` and `script_rules` check it and return `rule_results`, with the
help of `integration_jobs`. `evaluation` runs all rules and marks the `accepted_findings`. `auditor` makes the report,
`comparison` compares two, `finding_dates` continues the dates of earlier ones. `runner` does this with what the store
keeps: accepted findings, and the reports of each GitBook user. `sections` selects parts of a report, with the names of
`places`, and `explanation` explains a finding. `tool` serves them until a change of the organization. `organizations`
audits all of a token and sets them `side_by_side`. `acceptance_tools` accept findings. `export_tool` links whole
reports, as `exported_files`. `problems` groups findings for people, `trend` counts them over time, and `render` turns
reports into text.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Describe, Handler
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.store.store import Store

if TYPE_CHECKING:
    from gitbook_integrations_mcp.audit.acceptance_tools import AcceptanceTools
    from gitbook_integrations_mcp.audit.export_tool import ExportHandler
    from gitbook_integrations_mcp.audit.runner import AuditRunner
    from gitbook_integrations_mcp.audit.tool import AuditHandler
    from gitbook_integrations_mcp.gitbook.user import UserResolver


class AuditTools:
    """The handlers of the tools. The first call imports the rest of this package; most servers never audit."""

    def __init__(self, gitbook: GitBook, settings: Settings, store: Store, clock: Callable[[], float]) -> None:
        self._gitbook = gitbook
        self._settings = settings
        self._store = store
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers by tool name."""
        return {
            "audit_installations": _defer(lambda: self._audits.run),
            "export_report": _defer(lambda: self._exports.run),
            "accept_finding": _defer(lambda: self._acceptances.accept),
            "withdraw_acceptance": _defer(lambda: self._acceptances.withdraw),
        }

    @property
    def effects(self) -> Mapping[str, Describe]:
        """The functions that describe the effect of a call, by tool name."""
        return {
            "accept_finding": _defer(lambda: self._acceptances.describe_acceptance),
            "withdraw_acceptance": _defer(lambda: self._acceptances.describe_withdrawal),
        }

    @cached_property
    def _users(self) -> "UserResolver":
        from gitbook_integrations_mcp.gitbook.user import UserResolver

        return UserResolver(self._gitbook, self._clock)

    @cached_property
    def _runner(self) -> "AuditRunner":
        from gitbook_integrations_mcp.audit.auditor import Auditor
        from gitbook_integrations_mcp.audit.runner import AuditRunner

        return AuditRunner(Auditor(self._gitbook, self._settings, wall_clock=self._clock), self._store)

    @cached_property
    def _audits(self) -> "AuditHandler":
        from gitbook_integrations_mcp.audit.tool import AuditHandler

        seconds = self._settings.audit.cache_seconds
        return AuditHandler(self._runner, self._users, self._store, seconds)

    @cached_property
    def _exports(self) -> "ExportHandler":
        from gitbook_integrations_mcp.audit.export_tool import ExportHandler
        from gitbook_integrations_mcp.audit.exported_files import ExportedFiles

        files = ExportedFiles(self._settings) if "stdio" in self._settings.server.transport else None
        return ExportHandler(self._audits, self._runner, self._users, files)

    @cached_property
    def _acceptances(self) -> "AcceptanceTools":
        from gitbook_integrations_mcp.audit.acceptance_tools import AcceptanceTools

        return AcceptanceTools(self._gitbook, self._runner, self._users, self._store)


def _defer(find: Callable[[], Callable[[Call], Awaitable[Any]]]) -> Callable[[Call], Awaitable[Any]]:
    """Return a function that finds the function for a call only when it is called."""

    async def run(call: Call) -> Any:
        return await find()(call)

    return run
