"""The audit of a sandbox of any size."""

import functools
from typing import Any

import anyio
import httpx

from gitbook_integrations_api.report import Narrowing, Report
from gitbook_integrations_mcp.audit.auditor import Auditor
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from tests.support.grown_sandbox import Size, create_grown_sandbox


@functools.cache
def audit(*size: int) -> Report:
    """Return the audit of a sandbox. `size`: integrations, spaces, sites, installations."""
    settings = load_settings({"server": {"sandbox": True}})
    transport = httpx.ASGITransport(app=create_grown_sandbox(Size(*size)))
    gitbook, credentials, organization = open_gitbook(settings, transport)
    assert organization

    async def ignore(*_: Any) -> None:
        pass

    async def run() -> Report:
        auditor = Auditor(gitbook, settings)
        return (await auditor.audit(organization, Narrowing(), credentials, ignore, development={})).report

    return anyio.run(run)
