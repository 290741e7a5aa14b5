"""Installation audits: what is installed where, with which scopes, which scripts run on the sites, and what to do.

`collector` reads an organization with a `list_reader`; `coverage` tracks which lists could not be read completely.
`inventory` holds what was read; it reads configurations with the `configuration_forms` of integrations. The modules
`installation_rules`, `setting_rules` and `script_rules` check it and return `rule_results`, with the help of
`integration_jobs` and `content_policies`. `evaluation` runs all rules and marks the `accepted_findings`. `auditor`
makes the report, `comparison` compares two. `sections` selects parts of a report, `tool` serves them from a
`report_cache` until one of the caller's `own_changes`. `render` turns reports into text.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from gitbook_integrations_mcp.audit.own_changes import OwnChanges
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Handler, Output
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.gitbook.client import GitBook

if TYPE_CHECKING:
    from gitbook_integrations_mcp.audit.tool import AuditHandler


def create_handler(gitbook: GitBook, settings: Settings, clock: Callable[[], float], changes: OwnChanges) -> Handler:
    """Return the handler of the tool. Its first call imports the rest of this package; most servers never audit."""

    @cache
    def open_handler() -> "AuditHandler":
        from gitbook_integrations_mcp.audit.auditor import Auditor
        from gitbook_integrations_mcp.audit.report_cache import ReportCache
        from gitbook_integrations_mcp.audit.tool import AuditHandler

        return AuditHandler(Auditor(gitbook, settings), ReportCache(clock), settings.audit.cache_seconds, changes)

    async def run(call: Call) -> Output:
        return await open_handler().run(call)

    return run
