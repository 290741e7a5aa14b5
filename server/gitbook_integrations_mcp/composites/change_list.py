"""The tool `list_changes`: the caller's own changes, newest first."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.endpoint import Composite, Endpoint, Risk, Tool
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.masking import MASK
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.calls.response import FOREIGN_PAGE
from gitbook_integrations_mcp.calls.view import View, format_marker
from gitbook_integrations_mcp.composites.undo_check import UndoCheck, UnknownChangeError
from gitbook_integrations_mcp.errors import ArgumentsError
from gitbook_integrations_mcp.pipeline.receipt import UNDO_TOOL
from gitbook_integrations_mcp.spelling import describe_unknown, find_alike
from gitbook_integrations_mcp.store.change import ID_LENGTH, Change, is_change_id
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text
from gitbook_integrations_mcp.times import read_period

_PAGE = 25
_LATER = 1000
"""Number of later changes by which the list says whether the target of a change still exists."""

_VIEW = View(300, "`gitbook-integrations-mcp changes --json` shows it")
_DETAILS = ("status", "requestId", "lost")
"""Fields that are shown only of a single change."""

_ITEMS = 10
"""Items of an argument, for example spaces, that a list of changes shows."""

_FILTERS = ("organizationId", "integrationName")
_UNKNOWN_ORGANIZATION = "A change without organization can be of any organization."
_ONLY_HERE = (
    "Only changes that you made through this server are listed. GitBook does not say who else installed or changed "
    "something. audit_installations with baseline shows what changed, and its section findings what was accepted."
)
"""Note of an empty list, which would otherwise read as if nobody had changed anything."""

_HIDDEN = (
    f"{MASK}: records hide all texts and numbers of configurations, tasks and secrets, because some are credentials. "
    "The receipt of a changed installation has the old and new values. The tools that get it show the current ones."
)
"""Note of a list with values that the record of a change hides."""

_UNASKED = "A change without approval was sent without asking a human."

_OF_PLAN = ("time", "who", "approval", "organization", "requestId", "undoes", "plan")
"""Fields of a call that the plan has, too, or that nobody needs beside it."""


class ChangeLister:
    """Lists the changes in `store`."""

    def __init__(self, store: Store, check: UndoCheck) -> None:
        self._store = store
        self._check = check

    async def run(self, call: Call) -> Output:
        """Return the result of a call.

        Raises:
            ArgumentsError: an argument cannot be understood.
            UnknownChangeError: the change does not exist.
            StoreError: the store fails.
        """
        arguments, owner = call.arguments, call.caller.owner
        if (change_id := arguments.get("changeId")) is not None:
            change = await self._store.changes.find(change_id, owner)
            if change is None:
                raise UnknownChangeError(change_id)
            [described] = await self._describe(call, [change])
            whole = {**described, "before": change.before}
            if parts := (await self._store.changes.list_parts(change.id, owner))[::-1]:
                later = await self._store.changes.search(owner, after=parts[0].id, limit=_LATER)
                shown = await self._describe(call, parts, later)
                whole["calls"] = [_describe_part(one, part, change) for one, part in zip(parts, shown, strict=True)]
            return _build_output({"items": [whole]}, _explain([change], MASK in str(whole)))
        tool = arguments.get("tool")
        if tool is not None and tool not in TOOLS:
            alike = find_alike(tool, [name for name, one in TOOLS.items() if one.risk is not Risk.READ])
            similar = f" Similar names: {', '.join(alike)}." if alike else ""
            raise ArgumentsError(f"tool: there is no tool {clean_text(tool, 64)}.{similar}")
        page = arguments.get("page")
        if page is not None and not is_change_id(page):
            raise ArgumentsError(FOREIGN_PAGE)
        now, limit = self._store.database.clock(), arguments.get("limit", _PAGE)
        since, until = read_period(arguments.get("since"), arguments.get("until"), now)
        found = await self._store.changes.search(
            owner,
            organization=arguments.get("organizationId"),
            tool=tool,
            outcome=arguments.get("outcome"),
            integration=arguments.get("integrationName"),
            parts=tool is not None or "outcome" in arguments,
            since=since,
            until=until,
            before=page,
            limit=limit + 1,
        )
        listed = found[:limit]
        later = await self._store.changes.search(owner, after=listed[-1].id, limit=_LATER) if listed else []
        items = [_summarize(one) for one in await self._describe(call, listed, later)]
        content: dict[str, Any] = {"items": items}
        if len(found) > limit:
            content["next"] = {"page": listed[-1].id}
        notes = [] if found else [_ONLY_HERE]
        # Changes without organization match each, and would look like all changes of a misspelt one.
        uncertain = ("organizationId",) if found else _FILTERS
        given = [name for name in uncertain if name in arguments]
        if given and not any(one.organization for one in listed):
            notes += await self._explain_filters(given, arguments, owner, empty=not found)
        notes += _explain(listed, MASK in str(content["items"]))
        if "organizationId" in arguments and any(one.organization is None for one in listed):
            notes.append(_UNKNOWN_ORGANIZATION)
        if tool is not None and (calls := _list_recorded_alone(TOOLS[tool])):
            notes.append(f"Where {tool} needed only one call, that call is listed: {' or '.join(calls)}.")
        return _build_output(content, notes, whole="Use a smaller limit.")

    async def _describe(
        self, call: Call, changes: Sequence[Change], recorded: Sequence[Change] | None = None
    ) -> list[dict[str, Any]]:
        """Return changes for a reader: each with what would undo it, or what undid it, or why nothing can."""
        undone = await self._find_undone([one.id for one in changes])
        left = [one for one in changes if one.undo is not None and one.id not in undone]
        obstacles = await self._check.find_obstacles(call, left, recorded)
        described = []
        for one in changes:
            instead = {"undoneBy": undone.get(one.id), "noUndo": obstacles.get(one.id)}
            found = {name: text for name, text in instead.items() if text}
            described.append(_omit(describe_change(one), ("undo",) if found else ()) | found)
        return described

    async def _explain_filters(
        self, given: Sequence[str], arguments: Mapping[str, Any], owner: str, *, empty: bool
    ) -> list[str]:
        """Return notes on filters that no change has, and on those that can be the reason why a list is empty."""
        others = await self._store.changes.search(owner, limit=_LATER)
        values = {
            "organizationId": {one.organization for one in others if one.organization},
            "integrationName": {name for one in others if (name := one.arguments.get("integrationName"))},
        }
        unmatched = f"Nothing matches {' and '.join(given)}; without that, the list can have changes. A title is no ID."
        wrong = [name for name in given if arguments[name] not in values[name]]
        return [unmatched] * empty + [describe_unknown("change", name, arguments[name], values[name]) for name in wrong]

    async def _find_undone(self, change_ids: Sequence[str]) -> dict[str, str]:
        """Return which of the changes are undone, each with its undo. An undo that is undone itself does not count."""
        undoing = [
            one
            for one in await self._store.changes.list_undoing(*change_ids)
            # The call of an undo that is incomplete has the outcome "done", too.
            if one.outcome == "done" and (one.plan is None or len(str(one.undoes)) > ID_LENGTH)
        ]
        undone = {str(one.undoes): one.plan or one.id for one in reversed(undoing)}
        again = await self._find_undone([*undone.values()]) if undone else {}
        return {change: undo for change, undo in undone.items() if undo not in again}


def _build_output(content: Mapping[str, Any], notes: Sequence[str], whole: str = "") -> Output:
    """Return a result. Its notes are texts of this server, and are not cut."""
    return Output(_VIEW.show(content) | ({"note": " ".join(notes)} if notes else {}), whole=whole)


def _explain(changes: Sequence[Change], hides: bool) -> list[str]:
    """Return notes on changes: on what their records hide, and on those without approval."""
    return [_HIDDEN] * hides + [_UNASKED] * any(one.approval is None for one in changes)


def describe_change(change: Change) -> dict[str, Any]:
    """Return a change for a reader, without what it was before and without internal digests."""
    content = {
        "id": change.id,
        "time": change.moment,
        "tool": change.tool,
        "outcome": change.outcome,
        "status": change.status,
        "who": change.principal,
        "approval": change.approval,
        "organization": change.organization,
        "arguments": change.arguments,
        "requestId": change.request_id,
        "undo": None if change.undo is None else list(dict.fromkeys(one["tool"] for one in change.undo)),
        "insteadOfUndo": _find_other_way(change),
        "lost": change.lost or None,
        "undoes": change.undoes,
        "plan": change.plan,
    }
    return {name: value for name, value in content.items() if value is not None}


def _find_other_way(change: Change) -> str | None:
    """Return the tool, with its condition, that reverts a change which `undo_change` cannot undo."""
    tool = TOOLS.get(change.tool)
    may_have_effect = change.outcome in {"done", "unknown"}
    return tool.other_way or None if isinstance(tool, Endpoint) and may_have_effect else None


def _describe_part(part: Change, content: Mapping[str, Any], plan: Change) -> dict[str, Any]:
    """Return a call of a plan without what is the same for the whole plan."""
    own = {name: value for name, value in part.arguments.items() if plan.arguments.get(name) != value}
    return {**_omit(content, _OF_PLAN), "arguments": own}


def _summarize(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a change as one of many: without details, and with only the first items of a long argument."""
    arguments = {
        name: [*value[:_ITEMS], format_marker(len(value) - _ITEMS, "changeId shows all", "items")]
        if isinstance(value, list) and len(value) > _ITEMS
        else value
        for name, value in content["arguments"].items()
    }
    return {**_omit(content, _DETAILS), "arguments": arguments}


def _omit(content: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


def _list_recorded_alone(tool: Tool) -> list[str]:
    """Return the names of the calls that have no record of a plan beside their own if `tool` needs only one."""
    changing = [TOOLS[name] for name in tool.uses] if isinstance(tool, Composite) else []
    return [
        one.name
        for one in changing
        if isinstance(one, Endpoint) and one.risk is not Risk.READ and (tool.name == UNDO_TOOL or one.undo is None)
    ]
