"""The tool `inspect_integration_events`: groups an integration's events by type and error, with a sample of each.

The error of an event is in its trace, which takes a request of its own. So only some traces of each type are read, the
newest first, and the result says of how many events.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.masking import mask_words
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.calls.response import get_path, read_cursor, read_response
from gitbook_integrations_mcp.calls.view import View, describe_foreign
from gitbook_integrations_mcp.errors import AnswerError, CallError, StatusError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.pipeline.development_mode import DevelopmentModes
from gitbook_integrations_mcp.spelling import describe_unknown
from gitbook_integrations_mcp.times import read_moment, read_period

_LIST, _GET = "list_integration_events", "get_integration_event"
_PAGE = 250
_MOST_EVENTS = 1000
_MOST_TRACES = 20
_TRACES_OF_TYPE = 5
_MOST_GROUPS = 20
_MOST_NAMED = 10
_LINES = 5
_CHARACTERS = 200
"""Characters of a log line that are shown."""

_VARYING = re.compile(r"[0-9a-f]{8,}(?:-[0-9a-f]+)*|\d+", re.IGNORECASE)
"""The parts of an error that differ between events with the same cause: numbers and IDs."""

_VARIED = "#"
"""Stands for them in the error of a group."""

_OTHER = "(unknown)"
"""Type or status of an event that does not say it."""

_UNCONFIGURED = re.compile(r"configur|settings?\b|\bpending\b|\bpaused\b", re.IGNORECASE)
"""Words of errors whose cause can be a missing setting, or a place that is pending or paused."""

_AUDIT = "audit_installations"
_SHOWN = f"{_AUDIT} shows what is pending, paused or lacks a setting."
_NEXT = f"An error is about settings or a status: {_SHOWN}"
_FOREIGN = f"If another organization owns the integration, do not look for its events: {_SHOWN}"
_DEVELOPMENT = {
    True: "Development mode is on: events go to the tunnel, and the published script handles none.",
    False: "Development mode is on: events of the organization that owns the integration go to the tunnel, and the "
    "published script handles only those of other organizations.",
}
"""By whether it is on for all organizations."""

_UNKNOWN = "If events are missing, development mode may have been left on elsewhere: events then go to a tunnel."


@dataclass(slots=True)
class _Group:
    """Events with the same type, status and error, the newest first."""

    events: list[Mapping[str, Any]] = field(default_factory=list)
    logs: list[Mapping[str, Any]] | None = None
    sample: Mapping[str, Any] | None = None


class EventInspector:
    """Inspects events. `clock` is in seconds since 1970."""

    def __init__(self, gitbook: GitBook, development: DevelopmentModes, clock: Callable[[], float]) -> None:
        self._gitbook = gitbook
        self._development = development
        self._clock = clock

    async def run(self, call: Call) -> Output:
        """Return the result of a call.

        Raises:
            ArgumentsError: `since` or `until` cannot be understood, or no event can be between them.
            CallError: the events could not be read.
        """
        with_traces = call.arguments.get("withTraces", True)
        period = read_period(call.arguments.get("since"), call.arguments.get("until"), self._clock())
        offers_audit = _AUDIT in call.caller.policy.tools
        try:
            read, complete = await self._read_events(call, period[0])
        except StatusError as error:
            if error.status != 403 or not offers_audit:
                raise
            raise StatusError(403, f"{error} {_FOREIGN}") from None
        events = sorted((one for one in read if _matches(one, call.arguments, period)), key=_time, reverse=True)
        development = await self._development.find(call)
        failed = [one for one in events if one.get("status") == "failed"]
        traces: dict[str, list[Mapping[str, Any]]] = {}
        if with_traces:
            traces = await self._read_traces(call, _choose(failed))
        groups = _build_groups(events, traces)
        shown = sorted(groups.items(), key=lambda one: (one[0][1] != "failed", -len(one[1].events)))[:_MOST_GROUPS]
        content: dict[str, Any] = {
            "events": len(events),
            "failed": len(failed),
            "groups": [_describe(*key, group) for key, group in shown],
            **development,
        }
        notes = [_DEVELOPMENT[one["all"]] for one in development.values()]
        if not events:
            notes += _describe_others(call.arguments, read, period if complete else (None, None))
            notes += _name_wrong_filters(call.arguments, read) or ([] if development else [_UNKNOWN])
        if not complete:
            oldest = min(map(_time, read), default="")
            notes.append(f"Only the newest {len(read)} events were read, back to {oldest}. {_LIST} reads older ones.")
        if with_traces and len(traces) < len(failed):
            notes.append(f"Traces were read for {len(traces)} of {len(failed)} failed events.")
        if len(groups) > len(shown):
            notes.append(f"{len(groups) - len(shown)} smaller groups are not shown.")
        if any(_VARIED in error for (_, _, error), _ in shown if error):
            notes.append(f"In error, {_VARIED} stands for a number or an ID; sample has the log itself.")
        errors = [error for (_, status, error), _ in shown if status == "failed" and error]
        if offers_audit and any(map(_UNCONFIGURED.search, errors)):
            notes.append(_NEXT)
        if any(traces.values()):
            notes.append(describe_foreign(["error", "logs"]))
        shown_content = View(_CHARACTERS, _GET).show(content)  # a note is a text of this server, and is not cut
        return Output(shown_content | ({"note": " ".join(notes)} if notes else {}))

    async def _read_events(self, call: Call, since: float | None) -> tuple[list[Mapping[str, Any]], bool]:
        """Return the newest events, those since a moment at least, and whether these are complete."""
        read: list[Mapping[str, Any]] = []
        page: str | None = None
        pages: set[str | None] = set()
        while page not in pages:  # else the same events would be counted again
            pages.add(page)
            paging = {"limit": _PAGE, **({"page": page} if page else {})}
            content = await self._read(call, _LIST, paging)
            items = content["items"]
            read += items
            try:
                page = read_cursor(content)
            except AnswerError:
                break
            if page is None or not items or (since is not None and all(_is_before(one, since) for one in items)):
                return read, True
            if len(read) >= _MOST_EVENTS:
                break
        return read, False

    async def _read_traces(self, call: Call, events: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
        """Return the log lines of events by the event's ID, as far as they can be read."""
        traces: dict[str, list[Mapping[str, Any]]] = {}

        async def read(event_id: str) -> None:
            try:
                content = await self._read(call, _GET, {"eventId": event_id})
            except CallError:
                return  # the result counts the traces
            logs = get_path(content, "trace.logs")
            traces[event_id] = [one for one in logs if isinstance(one, Mapping)] if isinstance(logs, list) else []

        async with anyio.create_task_group() as group:
            for event in events:
                group.start_soon(read, str(event.get("id")))
        return traces

    async def _read(self, call: Call, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        endpoint, credentials = ENDPOINTS[name], call.caller.credentials
        request = endpoint.build_request({"integrationName": call.arguments["integrationName"], **arguments})
        response = await self._gitbook.send(request, credentials.select(endpoint))
        return read_response(endpoint, credentials.scrub_response(response))


def _describe_others(
    arguments: Mapping[str, Any], read: Sequence[Mapping[str, Any]], period: tuple[float | None, float | None]
) -> list[str]:
    """Return sentences about the events that were read, none of which matches."""
    if not read:
        return ["There are no events."]
    notes = [f"No event matches. The newest of all is from {max(map(_time, read)) or 'an unknown time'}."]
    if other := max((_time(one) for one in read if _matches(one, arguments)), default=""):
        notes.append(f"Outside this period, the newest that matches is from {other}.")
    first = min(read, key=_time)
    created = _find_moment(first)
    if created is not None and any(moment is not None and moment < created for moment in period):
        notes.append(f"The oldest of all is from {_time(first)}. Earlier ones, if any, are no longer listed.")
    return notes


def _name_wrong_filters(arguments: Mapping[str, Any], read: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each filter that no event has, with the values that events have."""
    if not read:
        return []
    present = {
        "type": {_type(one) for one in read},
        "installationId": {found for one in read if (found := _read_text(one.get("installationId")))},
    }
    return [
        describe_unknown("event", name, arguments[name], values)
        for name, values in present.items()
        if arguments.get(name) is not None and arguments[name] not in values
    ]


def _choose(failed: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the events whose traces are read: the newest of each type, in turn."""
    by_type: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for event in failed:
        by_type[_type(event)].append(event)
    in_turn = [found[place] for place in range(_TRACES_OF_TYPE) for found in by_type.values() if place < len(found)]
    return in_turn[:_MOST_TRACES]


def _build_groups(
    events: Iterable[Mapping[str, Any]], traces: Mapping[str, list[Mapping[str, Any]]]
) -> dict[tuple[str, str, str | None], _Group]:
    groups: dict[tuple[str, str, str | None], _Group] = defaultdict(_Group)
    for event in events:
        logs = traces.get(str(event.get("id")))
        group = groups[
            _type(event), _read_text(event.get("status")) or _OTHER, None if logs is None else _find_error(logs)
        ]
        group.events.append(event)
        if group.sample is None or (group.logs is None and logs is not None):
            group.sample, group.logs = event, logs
    return groups


def _find_error(logs: Iterable[Mapping[str, Any]]) -> str:
    """Return the last error that an integration logged, without the parts that vary."""
    errors = [str(one.get("message")) for one in logs if one.get("level") == "error"]
    return _VARYING.sub(_VARIED, mask_words(errors[-1])) if errors else "(no error was logged)"


def _describe(kind: str, status: str, error: str | None, group: _Group) -> dict[str, Any]:
    times = [_time(one) for one in group.events]
    installations = {found for one in group.events if (found := _read_text(one.get("installationId")))}
    sample: dict[str, Any] = {"eventId": (group.sample or {}).get("id")}
    if group.logs is not None:
        sample["logs"] = [f"{one.get('level')}: {mask_words(str(one.get('message')))}" for one in group.logs[-_LINES:]]
    content = {
        "type": kind,
        "status": status,
        "error": error,
        "count": len(group.events),
        "first": min(times),
        "last": max(times),
        "installationId": next(iter(installations)) if len(installations) == 1 else None,
        "installations": len(installations) if len(installations) > 1 else None,
        "installationIds": sorted(installations)[:_MOST_NAMED] if len(installations) > 1 else None,
        "sample": sample,
    }
    return {name: value for name, value in content.items() if value is not None}


def _matches(
    event: Mapping[str, Any],
    arguments: Mapping[str, Any],
    period: tuple[float | None, float | None] = (None, None),
) -> bool:
    """Whether an event is of the wanted kind and of a period. One whose time is unknown can be of any period."""
    wanted = {"status": event.get("status"), "type": _type(event), "installationId": event.get("installationId")}
    if not all(arguments.get(name) in (None, value) for name, value in wanted.items()):
        return False
    since, until = period
    created = _find_moment(event)
    return created is None or ((since is None or created >= since) and (until is None or created < until))


def _is_before(event: Mapping[str, Any], moment: float) -> bool:
    created = _find_moment(event)
    return created is not None and created < moment


def _find_moment(event: Mapping[str, Any]) -> float | None:
    """Return when an event arrived, in seconds since 1970, or None if its time cannot be read."""
    try:
        return read_moment("createdAt", _time(event), 0)
    except CallError:
        return None


def _type(event: Mapping[str, Any]) -> str:
    return _read_text(get_path(event, "payload.type")) or _OTHER


def _time(event: Mapping[str, Any]) -> str:
    return _read_text(event.get("createdAt"))


def _read_text(value: Any) -> str:
    """Return a field that should be a text, or "" if it is none."""
    return value if isinstance(value, str) else ""
