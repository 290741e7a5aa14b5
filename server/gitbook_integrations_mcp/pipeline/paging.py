"""Reads lists: one page, or all pages up to a limit, as far as they fit into the token budget of the result.

GitBook's cursor leads to the end of a page. If a result must end within a page, that page is requested again with a
smaller limit. So the cursor in the result leads exactly to the first item that is not in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gitbook_integrations_api.options import MOST_ITEMS
from gitbook_integrations_api.summary import summarize
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.response import read_cursor, read_response
from gitbook_integrations_mcp.calls.view import View
from gitbook_integrations_mcp.errors import AnswerError, CallError
from gitbook_integrations_mcp.pipeline.budget import Budget
from gitbook_integrations_mcp.pipeline.execution import Executor
from gitbook_integrations_mcp.pipeline.progress import Progress
from gitbook_integrations_mcp.tokens import estimate_result

_PAGE = 250
"""Items requested at a time when all are wanted: few requests, and regular progress reports."""

_EMPTY = 10
"""Empty pages in a row after which reading stops."""

_PAGING = frozenset({"page", "limit", "extended"})
"""Arguments that filter nothing."""


class PageReader:
    """Reads lists page by page, until the token budget of the result is used up."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def read(self, call: EndpointCall, view: View, budget: Budget) -> dict[str, Any]:
        """Return the list that `call` requests, its items as `view` shows them.

        Raises:
            CallError: not even the first page could be read.
        """
        reading = _Reading(self._executor, budget, call, view)
        if call.options.fetchAll:
            await reading.read_all(call.options.maxItems or MOST_ITEMS, Progress(call.context))
        else:
            await reading.read_page(None)
        return reading.build_content()


@dataclass(frozen=True, slots=True)
class _Page:
    """A page as GitBook sent it, and its items as they are shown, with the tokens that each costs.

    `fitting` is how many of the items fit into what the budget leaves.
    """

    response: dict[str, Any]
    items: list[dict[str, Any]]
    costs: list[float]
    fitting: int

    @property
    def fits(self) -> bool:
        """Whether all items fit."""
        return self.fitting == len(self.items)


def is_empty(call: EndpointCall, content: Mapping[str, Any]) -> bool:
    """Whether a list that was read from its beginning to its end has no items, and no note yet."""
    return not content["items"] and content.keys().isdisjoint({"next", "note"}) and "page" not in call.arguments


def list_filters(call: EndpointCall) -> list[str]:
    """Return the arguments that filter a list."""
    return sorted(call.tool.query_names & call.arguments.keys() - _PAGING)


@dataclass(slots=True)
class _Reading:
    """A list while it is read: its call, and what has been read so far.

    `cursor` leads to the items that are not read yet. `note` says why reading stopped early, or what is missing, and
    `unreachable` that no cursor leads to missing items. `used` counts tokens; `fields` are those beside the items.
    """

    executor: Executor
    budget: Budget
    call: EndpointCall
    view: View
    items: list[dict[str, Any]] = field(default_factory=list)
    used: float = 0
    fields: dict[str, Any] = field(default_factory=dict)
    cursor: str | None = None
    note: str = ""
    unreachable: bool = False

    def __post_init__(self) -> None:
        self.cursor = self.call.arguments.get("page")

    def build_content(self) -> dict[str, Any]:
        """Return the structured content of the result."""
        content: dict[str, Any] = {"items": self.items}
        if self.cursor is not None:
            content["next"] = {"page": self.cursor}
        content |= self.view.show(self.fields)
        if self.call.options.fetchAll or self.note:
            content["complete"] = self.cursor is None and not self.unreachable
        if self.note:
            content["note"] = f"{self.note} Pass page to continue." if self.cursor is not None else self.note
        elif content.get("complete") and "page" in self.call.arguments:
            content.setdefault("note", "The items before page are not in this result.")
        return content

    async def read_all(self, most: int, progress: Progress) -> None:
        """Read page after page until the list ends, `most` items are read, or the budget is used up.

        Raises:
            CallError: not even the first page could be read.
        """
        visited: set[str | None] = set()
        empty_pages = 0
        while not self.note:
            visited.add(self.cursor)
            count = len(self.items)
            try:
                room = most - count
                await self.read_page(min(int(self.call.arguments.get("limit", 0)) or _PAGE, room), room)
            except CallError as error:
                if len(visited) == 1:
                    raise
                self.note = f"Only part of the list could be read. {error}"
                return
            empty_pages = 0 if len(self.items) > count else empty_pages + 1
            await self._report_progress(most, progress)
            if self.cursor is None or self.note:
                return
            self._check_limits(most, visited, empty_pages)

    async def _report_progress(self, most: int, progress: Progress) -> None:
        count = self.fields.get("count")
        total = min(count, most) if isinstance(count, int | float) else None
        await progress.report(len(self.items), total, f"{len(self.items)} items")

    def _check_limits(self, most: int, visited: set[str | None], empty_pages: int) -> None:
        """Set a note if reading must stop although the list goes on."""
        if len(self.items) >= most:
            self.note = f"The limit maxItems ({most}) is reached, and there are more items."
        elif self.cursor in visited:
            self._end_list("GitBook returned the same cursor again; there may be more items.")
        elif empty_pages == _EMPTY:
            self.note = f"GitBook returned {_EMPTY} empty pages in a row."

    async def read_page(self, limit: int | None, room: int | None = None) -> None:
        """Read the page at the cursor, or as much of it as fits, but at most `room` items.

        Raises:
            CallError: it could not be read.
        """
        page = await self._request_page(limit)
        if room is not None and room < len(page.items) and room <= page.fitting:
            self._add_first(page, room)
        elif page.fits:
            self._add(page)
        else:
            await self._read_part(page, limit)

    async def _read_part(self, page: _Page, limit: int | None) -> None:
        """Read the beginning of a page that does not fit: request it again with smaller limits until it does."""
        while not page.fits:
            if page.fitting == 0 and self.items:
                break  # the cursor still leads to this page
            if not self.call.tool.is_paged or (limit is not None and len(page.items) > limit):
                self._add_beginning(page)  # the endpoint ignores the limit
                return
            if len(page.items) == 1:
                self._add(self._shorten_first_item(page))
                self.note = f"One item is cut to fit into {self.budget.tokens:,} tokens."
                return
            limit = max(page.fitting, 1)
            try:
                page = await self._request_page(limit)
            except CallError:
                self._add_beginning(page)
                return
        if page.fits:
            self._add(page)
        if self.cursor is not None:
            self.note = f"No more items fit into {self.budget.tokens:,} tokens."

    async def _request_page(self, limit: int | None) -> _Page:
        call, changed = self.call, {"page": self.cursor, "limit": limit}
        arguments = {**call.arguments, **{name: value for name, value in changed.items() if value is not None}}
        if arguments != call.arguments:
            call = replace(call, request=call.tool.build_request(arguments))
        response = read_response(call.tool, await self.executor.read(call), arguments)
        items, costs = [], []
        for item in response["items"]:
            shown, json = self.view.show_json(self._select_fields(item))
            items.append(shown)
            costs.append(estimate_result(json))
        return _Page(response, items, costs, self.budget.count_fitting(costs, self.used))

    def _select_fields(self, item: dict[str, Any]) -> dict[str, Any]:
        return item if self.call.options.detail == "full" else summarize(self.call.tool.result.model, item)

    def _shorten_first_item(self, page: _Page) -> _Page:
        """Return a page with only its first item, cut so that it fits."""
        item = self.budget.shorten(self._select_fields(page.response["items"][0]), self.view)
        return _Page(page.response, [item], [self.budget.measure(item)], 1)

    def _add(self, page: _Page, count: int | None = None) -> None:
        """Add the first `count` items of a page, or all, and take over its cursor and other fields."""
        self.items += page.items[:count]
        self.used += sum(page.costs[:count])
        self.fields = {name: value for name, value in page.response.items() if name not in {"items", "next"}}
        try:
            self.cursor = read_cursor(page.response)
        except AnswerError as error:
            self._end_list(f"{error} There are more items.")
        if self.cursor is not None and not self.call.tool.is_paged:
            self._end_list("There are more items, but this endpoint accepts no cursor.")

    def _add_first(self, page: _Page, room: int) -> None:
        """Add the first `room` items of a page that is longer than requested. The cursor stays at its beginning."""
        cursor = self.cursor
        self._add(page, room)
        if cursor is None:
            left = len(page.items) - room
            self._end_list(
                f"The limit maxItems is reached. GitBook ignored the page size, so no cursor leads to {left} more "
                "items of this page. Raise maxItems."
            )
        else:
            self.cursor, self.unreachable = cursor, False
            self.note = (
                "The limit maxItems is reached, and there are more items. GitBook ignored the page size, so the next "
                f"page repeats {room} of these items."
            )

    def _add_beginning(self, page: _Page) -> None:
        """Add the items of a page that fit, where no cursor can lead to the others."""
        if page.fitting:
            self._add(page, page.fitting)
        else:
            self._add(self._shorten_first_item(page))
        self._end_list(
            f"Only {len(self.items)} of {len(page.items)} items fit into {self.budget.tokens:,} tokens, and no cursor "
            "leads to the others. Request summaries, or fewer items."
        )

    def _end_list(self, note: str) -> None:
        """End the list where no cursor leads to the items that are missing."""
        self.note, self.cursor, self.unreachable = note, None, True
