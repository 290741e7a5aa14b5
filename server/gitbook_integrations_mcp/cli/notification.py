"""Messages about new findings: `--notify slack:URL`. The URL is a credential: no message and no error contains it."""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from gitbook_integrations_api.report import Finding, Report
from gitbook_integrations_mcp.audit.problems import describe_verdict
from gitbook_integrations_mcp.errors import UsageError
from gitbook_integrations_mcp.gitbook.http import HTTPTransport, open_transport
from gitbook_integrations_mcp.text import clean_text, format_count

MOST_LISTED = 10
"""Maximum number of findings that a message lists."""

SECONDS = 20
"""Time-out for sending a message."""

VARIABLE = "SLACK_WEBHOOK_URL"
"""Holds the URL for `--notify slack`, so that no list of processes shows it."""

_PREFIX = "slack:"


class NotificationError(Exception):
    """The message was not delivered. The text says why, without the URL."""


def read_target(text: str) -> SecretStr:
    """Return the URL of an incoming webhook of Slack: the text after `slack:`, or for `slack` alone, from VARIABLE.

    Raises:
        UsageError: it is not an https URL. The message does not quote it.
    """
    url = os.environ.get(VARIABLE, "") if text == "slack" else text.removeprefix(_PREFIX)
    url = url.strip()
    try:
        parts = urlsplit(url)
        valid = text.startswith("slack") and parts.scheme == "https" and parts.hostname and parts.username is None
        valid = valid and parts.port != 0  # a port that is not valid raises ValueError
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(
            f"--notify: pass slack:URL with the https URL of an incoming webhook, or slack and set {VARIABLE}. Nothing "
            "was audited."
        )
    return SecretStr(url)


async def notify(url: SecretStr, report: Report, transport: HTTPTransport | None = None) -> bool:
    """Send the new findings to Slack, and return whether there were any.

    Reopened ones count as new. If there is no earlier report, all open findings are new. In tests, `transport` replaces
    the network.

    Raises:
        NotificationError: Slack could not be reached, or refused the message.
    """
    if not (found := list_new(report)):
        return False
    import httpx

    body = json.dumps(_write_message(report, found)).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    request = httpx.Request("POST", url.get_secret_value(), headers=headers, content=body)
    connection = transport or open_transport(url.get_secret_value())
    try:
        async with asyncio.timeout(SECONDS):
            response = await connection.handle_async_request(request)
            await response.aclose()
    except Exception as error:  # noqa: BLE001
        # The text of the exception can contain the URL.
        raise NotificationError(f"Slack was not notified: it could not be reached ({type(error).__name__}).") from None
    finally:
        if transport is None:
            await connection.aclose()
    if response.status_code != 200:
        raise NotificationError(f"Slack was not notified: it answered with {response.status_code}.")
    return True


def list_new(report: Report) -> list[Finding]:
    """Return the findings that are open and were not in the earlier report, or all open ones if there is none."""
    new = report.comparison.newly_open if report.comparison else None
    return [each for each in report.findings if each.accepted is None and (new is None or each.id in new)]


def _write_message(report: Report, found: list[Finding]) -> dict[str, Any]:
    """Return a message of plain text: titles of third parties cannot format it, link, or mention anybody."""
    title = clean_text(report.organization.name, 100)
    kind = "new or reopened finding" if report.comparison and report.comparison.reopened else "new finding"
    heading = f"Installation audit of {title}: {format_count(len(found), kind)}"
    lines = "\n".join(_list_lines(report, found))
    blocks = [{"type": "section", "text": {"type": "plain_text", "text": text}} for text in (heading, lines)]
    escaped = heading.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": escaped, "blocks": blocks, "unfurl_links": False}


def _list_lines(report: Report, found: list[Finding]) -> Iterator[str]:
    yield " · ".join(text for _, text in describe_verdict(report))
    for finding in found[:MOST_LISTED]:
        yield f"{finding.severity}: {clean_text(finding.summary, 150)} ({finding.id})"
    if (more := len(found) - MOST_LISTED) > 0:
        yield f"and {more:,} more"
