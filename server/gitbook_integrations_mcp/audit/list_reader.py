"""Reading one list to its end, or as far as it goes, and accounting for it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Endpoint, SegmentError
from gitbook_integrations_mcp.audit.coverage import CoverageTracker, ListStatus
from gitbook_integrations_mcp.calls.response import read_response
from gitbook_integrations_mcp.errors import AnswerError, CallError
from gitbook_integrations_mcp.gitbook.http import GitBookResponse

PAGE = 1000
"""Items of a page; the API gives no more."""

Send = Callable[[Endpoint, Mapping[str, Any]], Awaitable[GitBookResponse]]
"""Sends a GET of the table with arguments, and returns GitBook's reply; raises a `CallError` where none comes."""

Take = Callable[[Mapping[str, Any]], bool]
"""Takes one item of a list; false means that it cannot be used."""


class Reader:
    """Reads lists. What goes wrong is written into the coverage and never raised, so that no list hides another."""

    def __init__(self, send: Send, coverage: CoverageTracker) -> None:
        self._send = send
        self._ledger = coverage

    async def read(self, source: str, tool: str, arguments: Mapping[str, Any], take: Take) -> None:
        """Hand every item of a list to `take`."""
        status = self._ledger.open(source, tool, arguments)
        try:
            await self._read_pages(status, ENDPOINTS[tool], dict(arguments), take)
        except CallError as error:
            status.error = error

    async def _read_pages(self, status: ListStatus, endpoint: Endpoint, arguments: dict[str, Any], take: Take) -> None:
        paged = "page" in endpoint.input.model_fields
        if paged:
            arguments["limit"] = PAGE
        seen: set[str] = set()
        unusable = 0
        while True:
            self._ledger.requests += 1
            try:
                answer = read_response(endpoint, await self._send(endpoint, arguments))
            except SegmentError as error:
                self._ledger.requests -= 1
                raise AnswerError(f"GitBook gave an ID that cannot be asked for: {error}.") from None
            status.pages += 1
            for item in answer["items"]:
                usable = take(item)
                status.items += usable
                unusable += not usable
            cursor = _find_next(answer)
            if cursor is None:
                break
            if not paged or cursor in seen:
                raise AnswerError(f"GitBook's list does not end: page {status.pages} leads back or nowhere.")
            seen.add(cursor)
            arguments["page"] = cursor
        if unusable:
            raise AnswerError(f"{unusable} of its items are malformed: without what identifies them.")


def _find_next(answer: Mapping[str, Any]) -> str | None:
    """Return the cursor of the next page, None where there is none.

    Raises:
        AnswerError: there is more, but not where.
    """
    more = answer.get("next")
    if more is None:
        return None
    cursor = more.get("page") if isinstance(more, Mapping) else None
    if not isinstance(cursor, str) or not cursor:
        raise AnswerError("GitBook says that the list goes on, but not where.")
    return cursor
