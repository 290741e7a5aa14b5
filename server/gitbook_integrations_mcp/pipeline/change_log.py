"""Records every call that changes something: before it is sent, and again with its outcome.

A change that cannot be recorded is not sent. A crash during a call leaves its outcome unknown. Values that an undo
needs are kept encrypted; everything else is kept without secrets.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp.auth.callers import Caller
from gitbook_integrations_mcp.calls.call import Call, EndpointCall
from gitbook_integrations_mcp.calls.masking import mask_secrets
from gitbook_integrations_mcp.calls.plan import PlannedCall
from gitbook_integrations_mcp.calls.response import get_path, read_response
from gitbook_integrations_mcp.calls.undo import GONE, describe_state, list_undo, omit_values
from gitbook_integrations_mcp.confirmation.results import Approval
from gitbook_integrations_mcp.errors import AnswerError, UnreachableError
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.gitbook.json_body import read_json
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.store import Store

_ORGANIZATIONS = (
    "arguments.organizationId",
    "arguments.organization",
    "before.target.organization",
    "before.space.organization",
    "result.target.organization",
    "result.space.organization",
    "before.site.urls.location",
    "result.site.urls.location",
)
_ORGANIZATION = re.compile(r"([a-zA-Z0-9_-]{1,100})|https?://[^/?#]+/v1/orgs/([a-zA-Z0-9_-]{1,100})/sites/[^/?#]+")
"""The ID of an organization, or the address of a site in the API, which contains it."""

_MAX_REQUEST_ID = 100


class ChangeLog:
    """Keeps the changes in the store. `organization` is the default one, for calls that do not tell theirs."""

    def __init__(self, store: Store, organization: str | None) -> None:
        self._store = store
        self._organization = organization

    async def begin(self, call: EndpointCall, approval: Approval | None, before: Mapping[str, Any] | None) -> Change:
        """Record that `call` is about to be sent.

        Raises:
            StoreError: it cannot be recorded, so it must not be sent.
        """
        options = call.chosen_options if approval else {}  # without approval, no `for` is applied
        arguments = mask_for_record(call.caller, {**call.arguments, **options})
        masked = mask_for_record(call.caller, before)
        changes = self._store.changes
        change_id = call.change_id or changes.create_id()
        change = Change(
            id=change_id,
            time=self._store.database.clock(),
            owner=call.caller.owner,
            principal=call.caller.user,
            organization=_find_organization({"arguments": arguments, "before": masked}) or self._find_default(call),
            tool=call.tool.name,
            operation=call.tool.operation,
            arguments=arguments,
            before=masked,
            approval=approval.mode if approval else None,
            undoes=call.undoes,
            **await self._describe_undo(change_id, call, before, None),
        )
        await changes.begin(change)
        return change

    async def complete(
        self,
        change: Change,
        call: EndpointCall,
        outcome: GitBookResponse | UnreachableError,
        before: Mapping[str, Any] | None,
    ) -> Change:
        """Record the outcome of a call, and return the completed change.

        Raises:
            StoreError: it cannot be recorded; the outcome stays unknown.
        """
        values = describe_outcome(call.tool, call.arguments, outcome, call.caller.credentials)
        if isinstance(outcome, GitBookResponse) and values["outcome"] == "done":
            values |= await self._describe_undo(change.id, call, before, outcome)
            if change.organization == self._find_default(call):
                found = _find_organization({"result": _parse_body(outcome)})
                values["organization"] = found or change.organization
        elif values["outcome"] != "unknown":
            values |= _NO_UNDO
        await self._store.changes.complete(change.id, values)
        return replace(change, **values)

    async def begin_plan(self, call: PlannedCall, approval: Approval) -> Change:
        """Record that the calls of a plan are about to be sent.

        Raises:
            StoreError: it cannot be recorded, so nothing must be sent.
        """
        sources = {"arguments": call.arguments, "before": next((step.before for step in call.plan.steps), None)}
        change = Change(
            id=self._store.changes.create_id(),
            time=self._store.database.clock(),
            owner=call.caller.owner,
            principal=call.caller.user,
            organization=call.plan.organization or _find_organization(sources) or self._find_default(call),
            tool=call.tool.name,
            operation=call.tool.operation,
            arguments=mask_for_record(call.caller, call.arguments),
            approval=approval.mode,
            undoes=call.plan.undoes,
        )
        await self._store.changes.begin(change)
        return change

    async def complete_plan(self, plan: Change, size: int) -> None:
        """Record the outcome of a plan of `size` calls, as it follows from the rows of its calls.

        It is `done` or `incomplete` if a call is done, and otherwise that of its first call.

        Raises:
            StoreError: it cannot be recorded; the outcome stays unknown.
        """
        parts = await self._store.changes.list_parts(plan.id, plan.owner)
        done = sum(one.outcome == "done" for one in parts)
        first = parts[-1].outcome if parts else "not sent"
        undo = [{"tool": step["tool"]} for part in parts for step in part.undo or ()]
        values = {
            "outcome": "done" if done == size else "incomplete" if done else first,
            "undo": undo or None,
            "lost": list_lost(parts[::-1]) or None,
        }
        await self._store.changes.complete(plan.id, values)

    def _find_default(self, call: Call) -> str | None:
        """Return the default organization, unless the call names one, if only in a text that is no ID."""
        return None if {"organization", "organizationId"} & call.arguments.keys() else self._organization

    async def _describe_undo(
        self, change_id: str, call: EndpointCall, before: Mapping[str, Any] | None, response: GitBookResponse | None
    ) -> dict[str, Any]:
        """Return the columns that an undo needs. Secrets are only in the encrypted one."""
        result = _parse_body(response)
        steps, lost = list_undo(call, before, result)
        if not steps:
            return {**_NO_UNDO}
        after = None
        if response is not None and call.tool.result.shape == "nothing":
            after = GONE
        elif isinstance(result, Mapping):
            after = describe_state(result)
        kept = {"steps": steps, "after": after}
        masked = mask_for_record(call.caller, kept)
        undo = [
            {**shown, "masked": [name for name, value in one["arguments"].items() if shown["arguments"][name] != value]}
            for one, shown in zip(steps, masked["steps"], strict=True)
        ]
        sealed = None if masked == kept else await self._store.sealer.seal(kept, change_id)
        if sealed is None:
            rest, omitted = omit_values(undo)
            if not rest:
                return {**_NO_UNDO}
            lost += omitted
        return {"undo": undo, "after": masked["after"], "lost": lost, "sealed": sealed}


def list_lost(changes: Iterable[Change]) -> list[str]:
    """Return what the undo of these changes does not restore, each text once."""
    return list(dict.fromkeys(text for one in changes for text in one.lost or ()))


_NO_UNDO: Mapping[str, Any] = {"undo": None, "after": None, "lost": None, "sealed": None}


def describe_outcome(
    tool: Endpoint, arguments: Mapping[str, Any], outcome: GitBookResponse | UnreachableError, credentials: Credentials
) -> dict[str, Any]:
    """Return the columns of a change that say how it ended."""
    if isinstance(outcome, UnreachableError):
        return {"attempts": outcome.attempts, "outcome": "unknown" if outcome.sent else "not sent"}
    done = 200 <= outcome.status < 300 and _is_answer(tool, arguments, outcome)
    failed = is_certain_failure(outcome)
    request_id = outcome.headers.get("x-request-id") or outcome.headers.get("cf-ray") or ""
    return {
        "attempts": outcome.attempts,
        "outcome": "done" if done else "failed" if failed else "unknown",
        "status": outcome.status,
        "request_id": credentials.scrub(request_id)[:_MAX_REQUEST_ID] or None,
    }


def is_certain_failure(response: GitBookResponse) -> bool:
    """Whether a call had no effect for certain.

    A gateway that gave up (408, 5xx) or redirects does not know, and an earlier attempt may have taken effect.
    """
    return 400 <= response.status < 500 and response.status != 408 and not response.uncertain


def _is_answer(tool: Endpoint, arguments: Mapping[str, Any], response: GitBookResponse) -> bool:
    """Whether a response is one of GitBook's API, not the page of a proxy and not cut off."""
    try:
        read_response(tool, response, arguments)
    except AnswerError:
        return False
    return True


def mask_for_record(caller: Caller, value: Any) -> Any:
    """Return `value` without secrets and without the caller's own tokens."""
    return caller.credentials.scrub_json(mask_secrets(value))


def _find_organization(sources: Mapping[str, Any]) -> str | None:
    """Return the ID of the organization that a call is about, or None if it is unknown."""
    for path in _ORGANIZATIONS:
        value = get_path(sources, path)
        if isinstance(value, str) and (found := _ORGANIZATION.fullmatch(value)):
            return found[1] or found[2]
    return None


def _parse_body(response: GitBookResponse | None) -> Any:
    try:
        return read_json(response.body) if response else None
    except ValueError:
        return None
