"""The tool `undo_change`: makes the plan that undoes a recorded change."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_api.sources import PLACE_ARGUMENTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.plan import Plan, Step, count_calls
from gitbook_integrations_mcp.calls.undo import SETTINGS
from gitbook_integrations_mcp.composites.undo_check import UndoCheck, UnknownChangeError, join_steps
from gitbook_integrations_mcp.confirmation.facts import (
    MAX_LISTED,
    clean_foreign,
    describe_effect,
    format_name,
    limit_facts,
)
from gitbook_integrations_mcp.errors import CallError
from gitbook_integrations_mcp.pipeline.snapshot import SnapshotReader
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.pending import Fact
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import format_count


class UndoPlanner:
    """Plans undos of the changes in `store`, of one call or of all calls of a plan."""

    def __init__(self, store: Store, check: UndoCheck, snapshots: SnapshotReader) -> None:
        self._store = store
        self._check = check
        self._snapshots = snapshots

    async def plan(self, call: Call) -> Plan:
        """Return the calls that undo a change of the caller.

        Raises:
            UnknownChangeError: the change does not exist.
            UndoError: it cannot be undone; the message says why, and what to do instead.
            StoreError: the store fails, or the kept values cannot be decrypted.
            DisabledToolError: the server does not offer a tool that the undo needs.
            CredentialError: a token that the undo needs is missing.
            CallError: the target could not be read.
        """
        change_id, owner = call.arguments["changeId"], call.caller.owner
        change = await self._store.changes.find(change_id, owner)
        if change is None:
            raise UnknownChangeError(change_id)
        undos, lost = await self._check.list_undos(call, change)
        steps = join_steps(undos)
        undone = {step.undoes for step in steps}  # a sentence about a call that was left out would be false
        lost = list(dict.fromkeys([*lost, *(text for undo in undos if undo.change.id in undone for text in undo.lost)]))
        titles = await self._read_titles(call, change.organization, [undo.change for undo in undos], steps)
        scrub_json = call.caller.credentials.scrub_json  # before anything is cut
        shown = [replace(step, arguments=scrub_json(step.arguments)) for step in steps]
        calls = [Fact(f"Call {number}", _describe_step(one, titles)) for number, one in enumerate(shown, start=1)]
        found = dict.fromkeys(
            Fact(label, f"{clean_foreign(text, 500).rstrip('.')}{_name_place(undo.change, titles)}.")
            for undo in undos
            for label, text in undo.facts
        )
        facts = [
            *describe_effect([("Change", f"{change.id}: {change.tool} at {change.moment}, outcome {change.outcome}")]),
            *([Fact("All calls", count_calls(steps))] if len(calls) > MAX_LISTED else ()),
            *limit_facts(calls, "Calls"),
            *found,
            *describe_effect([("Not restored", text) for text in scrub_json(lost)]),
        ]
        notes = [f"{one.label}: {one.value}" for one in found]
        return Plan(
            tuple(steps),
            tuple(facts),
            tuple(lost),
            change.id,
            organization=change.organization,
            report={"notes": notes} if notes else {},
        )

    async def _read_titles(
        self, call: Call, organization: str | None, changes: Iterable[Change], steps: Iterable[Step]
    ) -> dict[str, str]:
        """Return the titles of spaces and sites by ID, as they were recorded or else from GitBook."""
        titles: dict[str, str] = {}
        for change in changes:
            titles |= dict(_find_titles(change.before))
        for level in LEVELS:
            names = (level, f"{level}Id")
            named = {str(step.arguments[name]) for step in steps for name in names if name in step.arguments}
            if organization and named - titles.keys():
                with suppress(CallError):
                    places = await self._snapshots.read_places(call, level, organization)
                    titles |= {one: str(places[one].get("title") or "") for one in named & places.keys()}
        return call.caller.credentials.scrub_json(titles)


def _find_titles(value: Any) -> Iterator[tuple[str, str]]:
    """Yield ID and title of each object in a recorded state."""
    if isinstance(value, Mapping):
        identifier, title = value.get("id"), value.get("title")
        if isinstance(identifier, str) and isinstance(title, str):
            yield identifier, title
        for child in value.values():
            yield from _find_titles(child)
    elif isinstance(value, list):
        for child in value:
            yield from _find_titles(child)


def _name_place(change: Change, titles: Mapping[str, str]) -> str:
    """Return on which space or site a change was, after what is said about it."""
    names = (*PLACE_ARGUMENTS.values(), *(f"{level}Id" for level in LEVELS))
    place = next((change.arguments[name] for name in names if name in change.arguments), None)
    return f"; on {format_name({'id': place, 'title': titles.get(str(place))})}" if place else ""


def _describe_step(step: Step, titles: Mapping[str, str]) -> str:
    """Return a call in one line: its tool, its IDs with titles, and the names of the settings that it restores."""
    named = [
        f"{name} {format_name({'id': value, 'title': titles.get(value)})}"
        for name, value in step.arguments.items()
        if name not in SETTINGS
    ]
    named += [f"{name} of the new installation" for name in step.created]
    restored = [f"{name} ({_describe_value(step.arguments[name])})" for name in step.restored]
    settings = f"; restores {', '.join(restored)}" if restored else ""
    return f"{step.tool.name}: {', '.join(named)}{settings}"


def _describe_value(value: Any) -> str:
    return format_name(value) if isinstance(value, str) else format_count(len(value), "value")
