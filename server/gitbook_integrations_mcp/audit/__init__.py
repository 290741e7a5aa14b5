"""Installation audits: what is installed where, with which rights, what runs on the sites, and what to do about it.

`walk` reads what it takes with a `crew`, `reader` one list of it, and `ledger` keeps account of what could not be read.
`inventory` is what was found; `installation_rules` and `script_rules` come to a `judgement` of it, `assessment` to that
of all rules together, less what the operator has accepted (`acceptance`). `engine` makes the report of it, `comparison`
compares two. `sections` and `markdown` answer questions from a report, `handler` in the tool, where a `shelf` keeps the
last ones, `command` and `tables` on the command line; `document` is the page.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from gitbook_integrations_mcp.configuration.settings import Settings
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.pipeline.call import Call
from gitbook_integrations_mcp.pipeline.output import Handler, Output

if TYPE_CHECKING:
    from gitbook_integrations_mcp.audit.handler import AuditHandler


def create_handler(gitbook: GitBook, settings: Settings, clock: Callable[[], float]) -> Handler:
    """Return what runs the tool. All of this package is imported with its first call; most servers never audit."""

    @cache
    def open_handler() -> "AuditHandler":
        from gitbook_integrations_mcp.audit.engine import Auditor
        from gitbook_integrations_mcp.audit.handler import AuditHandler
        from gitbook_integrations_mcp.audit.shelf import Shelf

        return AuditHandler(Auditor(gitbook, settings), Shelf(clock), settings.audit.fresh_seconds)

    async def run(call: Call) -> Output:
        return await open_handler().run(call)

    return run
