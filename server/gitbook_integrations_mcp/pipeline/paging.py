"""Lists: one page as it came, or all pages up to a limit; never more than a model can take, and always the way on.

GitBook's cursor leads to the end of a page. Where a result has to end within one, that page is asked for again with a
smaller limit, so that the cursor in the answer leads to exactly what was not shown.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from gitbook_integrations_api.options import MOST_ITEMS
from gitbook_integrations_api.summary import summarize
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.response import read_response
from gitbook_integrations_mcp.calls.view import View
from gitbook_integrations_mcp.confirmation.results import Approval
from gitbook_integrations_mcp.errors import CallError
from gitbook_integrations_mcp.pipeline.budget import Budget
from gitbook_integrations_mcp.pipeline.execution import Executor
from gitbook_integrations_mcp.pipeline.progress import Progress

_PAGE = 250
"""Items asked for at a time where all are wanted: few requests, and progress now and then."""

_EMPTY = 10
"""Pages without items, one after the other, after which a list counts as endless."""


class PageReader:
    """Reads lists, a page at a time, as long as the budget of a result lasts."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def read(self, call: EndpointCall, approval: Approval | None, view: View, budget: Budget) -> dict[str, Any]:
        """Return the list that `call` asks for, its items as `view` shows them.

        Raises:
            CallError: not even the first page could be read.
        """
        reading = _Reading(self._executor, budget, call, approval, view)
        if call.options.fetchAll:
            await reading.read_all(call.options.maxItems or MOST_ITEMS, Progress(call.context))
        else:
            await reading.read_page(None)
        return reading.report()


@dataclass(slots=True)
class _Reading:
    """A list while it is being read.

    `cursor` is where to go on. `note` says why not here, or what is missing; where no cursor leads to what is missing,
    that is `lost`.
    """

    executor: Executor
    budget: Budget
    call: EndpointCall
    approval: Approval | None
    view: View
    items: list[dict[str, Any]] = field(default_factory=list)
    used: float = 0
    beside: dict[str, Any] = field(default_factory=dict)
    cursor: str | None = None
    note: str = ""
    lost: bool = False

    def __post_init__(self) -> None:
        self.cursor = self.call.arguments.get("page")

    def report(self) -> dict[str, Any]:
        """Return the structured content."""
        result: dict[str, Any] = {"items": self.items}
        if self.cursor is not None:
            result["next"] = {"page": self.cursor}
        result |= self.view.show(self.beside)
        if self.call.options.fetchAll or self.note:
            result["complete"] = self.cursor is None and not self.lost
        if self.note:
            result["note"] = f"{self.note} Go on with page." if self.cursor is not None else self.note
        return result

    async def read_all(self, most: int, progress: Progress) -> None:
        """Read page after page until there are no more, or `most` items, or no room is left.

        Raises:
            CallError: not even the first page could be read.
        """
        visited: set[str | None] = set()
        empty = 0
        while not self.note:
            visited.add(self.cursor)
            before = len(self.items)
            try:
                await self.read_page(min(int(self.call.arguments.get("limit", 0)) or _PAGE, most - before))
            except CallError as error:
                if len(visited) == 1:
                    raise
                self.note = f"Only a part could be read. {error}"
                return
            empty = 0 if len(self.items) > before else empty + 1
            count = self.beside.get("count")
            total = min(count, most) if isinstance(count, int | float) else None
            await progress.report(len(self.items), total, f"{len(self.items)} items")
            if self.cursor is None or self.note:
                return
            if len(self.items) >= most:
                self.note = f"These are maxItems ({most}); there are more."
            elif self.cursor in visited:
                self.note, self.cursor, self.lost = "GitBook's cursors lead in a circle; there may be more.", None, True
            elif empty == _EMPTY:
                self.note = f"GitBook sent {_EMPTY} pages without items, one after the other."

    async def read_page(self, limit: int | None) -> None:
        """Read the page at the cursor, or as much of it as there is room for.

        Raises:
            CallError: it could not be read.
        """
        answer = await self._ask(limit)
        cut = False
        while True:
            items = [self._show(item) for item in answer["items"]]
            fitting = self.budget.count_fitting(items, self.used)
            if fitting == len(items):
                self._take(answer, items)
                break
            cut = True
            if fitting == 0 and self.items:
                break  # the cursor leads to this very page
            if not self.call.tool.is_paged or (limit is not None and len(items) > limit):
                self._cut_short(answer, items[:fitting])
                return
            if len(items) == 1:
                self._take(answer, [self._squeeze(answer["items"][0])])
                self.note = f"An item is cut to fit into {self.budget.tokens:,} tokens."
                return
            limit = max(fitting, 1)
            try:
                answer = await self._ask(limit)
            except CallError:
                self._cut_short(answer, items[:fitting])
                return
        if cut and self.cursor is not None:
            self.note = f"No more fits into {self.budget.tokens:,} tokens."

    async def _ask(self, limit: int | None) -> dict[str, Any]:
        call, changed = self.call, {"page": self.cursor, "limit": limit}
        arguments = {**call.arguments, **{name: value for name, value in changed.items() if value is not None}}
        if arguments != call.arguments:
            call = replace(call, request=call.tool.build_request(arguments))
        return read_response(call.tool, await self.executor.execute(call, self.approval))

    def _show(self, item: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = self.view.show(self._choose_fields(item))
        return shown

    def _squeeze(self, item: dict[str, Any]) -> dict[str, Any]:
        return self.budget.squeeze(self._choose_fields(item), self.view)

    def _choose_fields(self, item: dict[str, Any]) -> dict[str, Any]:
        return item if self.call.options.detail == "full" else summarize(self.call.tool.result.model, item)

    def _take(self, answer: dict[str, Any], items: list[dict[str, Any]]) -> None:
        self.items += items
        self.used += self.budget.measure(items)
        self.beside = {name: value for name, value in answer.items() if name not in {"items", "next"}}
        following = answer.get("next")
        cursor = following.get("page") if isinstance(following, dict) else None
        self.cursor = cursor if isinstance(cursor, str) and cursor else None
        if self.cursor is not None and not self.call.tool.is_paged:
            self.note, self.cursor, self.lost = "There are more, but this endpoint takes no cursor.", None, True

    def _cut_short(self, answer: dict[str, Any], items: list[dict[str, Any]]) -> None:
        """End where no cursor leads."""
        self._take(answer, items or [self._squeeze(answer["items"][0])])
        self.cursor, self.lost = None, True
        self.note = (
            f"Only {len(self.items)} of {len(answer['items'])} items fit into {self.budget.tokens:,} tokens, and no "
            "cursor leads to the others: ask for summaries, or for less."
        )
