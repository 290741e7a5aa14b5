"""Reads one list of GitBook page by page and records how far it got."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Endpoint, SegmentError
from gitbook_integrations_mcp.audit.coverage import CoverageTracker, ListStatus
from gitbook_integrations_mcp.calls.response import read_cursor, read_response
from gitbook_integrations_mcp.errors import AnswerError, CallError
from gitbook_integrations_mcp.gitbook.http import GitBookResponse

PAGE_SIZE = 1000
"""Items per page; the API's maximum."""

Send = Callable[[Endpoint, Mapping[str, Any]], Awaitable[GitBookResponse]]
"""Sends a GET request to an endpoint with arguments and returns GitBook's response.

Raises a `CallError` if there is no response.
"""

AddItem = Callable[[Mapping[str, Any]], bool]
"""Stores what can be read of an item of a list; returns false if something is missing that GitBook always sends."""


class ListReader:
    """Reads lists. Errors are recorded in the coverage and not raised, so that the other lists are still read."""

    def __init__(self, send: Send, coverage: CoverageTracker) -> None:
        self._send = send
        self._coverage = coverage

    async def read(self, source: str, tool: str, arguments: Mapping[str, Any], add_item: AddItem) -> None:
        """Pass every item of a list to `add_item`."""
        status = self._coverage.open(source, tool, arguments)
        try:
            await self._read_pages(status, ENDPOINTS[tool], dict(arguments), add_item)
        except CallError as error:
            status.error = error

    async def _read_pages(
        self, status: ListStatus, endpoint: Endpoint, arguments: dict[str, Any], add_item: AddItem
    ) -> None:
        paged = "page" in endpoint.input.model_fields
        if paged:
            arguments["limit"] = PAGE_SIZE
        seen: set[str] = set()
        incomplete = 0
        while True:
            self._coverage.requests += 1
            try:
                page = read_response(endpoint, await self._send(endpoint, arguments))
            except SegmentError as error:
                self._coverage.requests -= 1
                raise AnswerError(f"GitBook returned an ID that cannot be part of a URL path: {error}.") from None
            status.pages += 1
            for item in page["items"]:
                complete = add_item(item)
                status.items += complete
                incomplete += not complete
            cursor = read_cursor(page)
            if cursor is None:
                break
            if not paged or cursor in seen:
                raise AnswerError(f"GitBook returned an invalid pagination cursor on page {status.pages}.")
            seen.add(cursor)
            arguments["page"] = cursor
        if incomplete:
            raise AnswerError(f"GitBook returned items in which something is missing or malformed: {incomplete}.")
