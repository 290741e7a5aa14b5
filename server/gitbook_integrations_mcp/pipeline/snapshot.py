"""Reads what planners need from GitBook: targets with all their spaces and sites, and the names of places."""

from collections.abc import Mapping
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_api.sources import PLACE_LISTS
from gitbook_integrations_mcp.calls.arguments import build_request
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.response import find_id, read_cursor, read_response
from gitbook_integrations_mcp.confirmation.targets import TargetReader, check_identity, find_context
from gitbook_integrations_mcp.errors import AnswerError, CallError, TargetError
from gitbook_integrations_mcp.gitbook.client import GitBook

_PAGE_SIZE = 1000
_IDENTIFIED = {
    "list_organization_installations": "installation",
    "list_integration_installation_spaces": "space",
    "list_integration_installation_sites": "site",
}
"""Fields that identify the items of a list. A planner that skipped an item without one would plan too little."""


class SnapshotReader:
    """Reads with the credentials of the call."""

    def __init__(self, gitbook: GitBook, targets: TargetReader) -> None:
        self._gitbook = gitbook
        self._targets = targets

    async def read_target(self, call: Call, tool: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the target of a call of `tool`, with the spaces and sites that it deletes.

        Raises:
            ArgumentsError: an argument cannot be part of a path.
            TargetError: the token may not read it.
            CallError: it does not exist or could not be read completely.
        """
        endpoint = ENDPOINTS[tool]
        build_request(endpoint, arguments)
        reader = find_target(endpoint)
        assert reader is not None
        target = await self._targets.try_to_read_target(call.derive(endpoint, arguments), reader)
        if isinstance(target, CallError):
            raise TargetError(f"{call.tool.name} could not read the current state, so nothing was changed. {target}")
        if not isinstance(target.get("configuration", {}), Mapping | None):
            raise AnswerError("GitBook returned a configuration that is not an object. Nothing was sent.")
        lists = [reader for reader in find_context(endpoint) if reader.is_list]
        return {**target, **{_name_list(one): await self.read_list(call, one.name, arguments) for one in lists}}

    async def read_list(self, call: Call, tool: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return all items of a list, with objects instead of IDs where GitBook offers both.

        Raises:
            CallError: it could not be read completely.
        """
        reader = ENDPOINTS[tool]
        taken = {name: value for name, value in arguments.items() if name in reader.input.model_fields}
        options = {"extended": True, "limit": _PAGE_SIZE}
        taken |= {name: value for name, value in options.items() if name in reader.query_names}
        items: list[dict[str, Any]] = []
        seen: set[str] = set()
        while True:
            response = await self._gitbook.send(build_request(reader, taken), call.caller.credentials.select(reader))
            content = read_response(reader, response)
            check_identity(reader, content, taken)
            items += content["items"]
            try:
                cursor = read_cursor(content)
            except AnswerError as error:
                raise AnswerError(f"{reader.name}: {error} Nothing was sent.") from None
            if cursor is None:
                break
            if not reader.is_paged or cursor in seen:
                raise AnswerError(f"GitBook did not return all items of {reader.name}. Nothing was sent.")
            seen.add(cursor)
            taken["page"] = cursor
        if (name := _IDENTIFIED.get(tool)) and any(not isinstance(find_id(item.get(name)), str) for item in items):
            raise AnswerError(f"{reader.name}: GitBook returned an item without an ID. Nothing was sent.")
        return items

    async def read_places(self, call: Call, level: Level, organization: str) -> dict[str, dict[str, Any]]:
        """Return the spaces or sites of an organization by ID, as they may be shown: without the caller's tokens.

        Raises:
            CallError: they could not be read completely.
        """
        listed = await self.read_list(call, PLACE_LISTS[level], {"organizationId": organization})
        items = call.caller.credentials.scrub_json(listed)
        return {one["id"]: one for one in items if isinstance(one.get("id"), str)}


def _name_list(reader: Endpoint) -> str:
    return reader.path.rpartition("/")[2]
