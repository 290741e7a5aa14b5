"""Completion of arguments with values that the caller can read in GitBook. A failure yields fewer values, no error."""

import logging
from collections.abc import Mapping
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CompleteRequestParams, CompleteResult, Completion, PromptReference

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.resources import RESOURCES
from gitbook_integrations_api.sources import SOURCES, Source
from gitbook_integrations_mcp.auth.callers import Caller, Callers
from gitbook_integrations_mcp.calls.arguments import ORGANIZATION
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.errors import CallError, ErrorCode
from gitbook_integrations_mcp.features.prompts import find_prompt
from gitbook_integrations_mcp.pipeline.budget import UNLIMITED
from gitbook_integrations_mcp.pipeline.pipeline import Pipeline

logger = logging.getLogger(__name__)

_MAX_VALUES = 100
"""Maximum number of values in one completion, as MCP defines it."""

_TIMEOUT_SECONDS = 5
"""Time after which a completion returns the values that were found until then."""

_MAX_ORGANIZATIONS = 10
"""Maximum number of organizations that are searched if none is chosen."""

_MAX_ITEMS = 1000
"""Maximum number of items that are read of each list."""

Context = ServerRequestContext[Any, Any]


class Completer:
    """Serves completions."""

    def __init__(self, pipeline: Pipeline, callers: Callers, organization: str | None) -> None:
        self._pipeline = pipeline
        self._callers = callers
        self._organization = organization

    def register(self, server: Server[Any]) -> None:
        """Register completion with `server`."""
        server.add_request_handler("completion/complete", CompleteRequestParams, self.complete)

    async def complete(self, context: Context, params: CompleteRequestParams) -> CompleteResult:
        """Handle completion/complete. Values that cannot be read are missing from the result."""
        caller = self._callers.identify(context)
        source = _find_source(params, caller)
        search = _Search(self._pipeline, context, caller)
        if source is not None:
            given = (params.context.arguments if params.context else None) or {}
            chosen = {name: value for name, value in given.items() if value}
            if self._organization:
                chosen.setdefault(ORGANIZATION, self._organization)
            with anyio.move_on_after(_TIMEOUT_SECONDS) as scope:
                await search.collect(source, chosen)
            if scope.cancelled_caught:
                search.more = True
                logger.info("Completion timed out after %s s", _TIMEOUT_SECONDS)
        values = search.rank(params.argument.value)
        more = search.more or len(values) > _MAX_VALUES
        return CompleteResult(
            completion=Completion(
                values=values[:_MAX_VALUES], total=None if search.more else len(values), has_more=more
            )
        )


def _find_source(params: CompleteRequestParams, caller: Caller) -> Source | None:
    """Return the source of an argument's values, or None if it has none.

    Raises:
        MCPError: the prompt or template does not exist.
    """
    name = params.argument.name
    if isinstance(params.ref, PromptReference):
        prompt = find_prompt(params.ref.name, caller.policy)
        return next((argument.source for argument in prompt.arguments if argument.name == name), None)
    resource = next((one for one in RESOURCES.values() if one.uri_template == params.ref.uri), None)
    if resource is None:
        text = "Unknown resource template. resources/templates/list returns all templates."
        raise MCPError(INVALID_PARAMS, text, {"code": ErrorCode.UNKNOWN_PROMPT})
    return SOURCES.get(name) if name in resource.names else None


class _Search:
    """Collects values, each with the words that people use for it."""

    def __init__(self, pipeline: Pipeline, context: Context, caller: Caller) -> None:
        self._pipeline = pipeline
        self._context = context
        self._caller = caller
        self._found: dict[str, tuple[str, ...]] = {}
        self.more = False
        """Whether there can be more values than were read."""

    async def collect(self, source: Source, chosen: Mapping[str, str]) -> None:
        """Collect the values in `source`, limited by the arguments that are `chosen` already."""
        fields = TOOLS[source.tool].input.model_fields
        if ORGANIZATION not in fields or chosen.get(ORGANIZATION):
            await self._read_list(source, chosen)
            return
        organizations = _Search(self._pipeline, self._context, self._caller)
        await organizations.collect(SOURCES[ORGANIZATION], {})
        identifiers = organizations.rank("")
        self.more = organizations.more or len(identifiers) > _MAX_ORGANIZATIONS
        async with anyio.create_task_group() as group:
            for identifier in identifiers[:_MAX_ORGANIZATIONS]:
                group.start_soon(self._read_list, source, {**chosen, ORGANIZATION: identifier})

    async def _read_list(self, source: Source, chosen: Mapping[str, str]) -> None:
        fields = TOOLS[source.tool].input.model_fields
        arguments: dict[str, Any] = {name: value for name, value in chosen.items() if name in fields}
        arguments |= {name: chosen[where] for name, where in source.filters.items() if where in chosen}
        arguments |= {"fetchAll": True, "maxItems": _MAX_ITEMS}
        try:
            result = await self._pipeline.read(source.tool, arguments, self._context, self._caller, UNLIMITED)
        except CallError:
            return  # the pipeline has logged the reason
        data = result.structured_content or {}
        self.more = self.more or not data["complete"]
        narrows = {place: chosen[name] for name, place in source.narrows.items() if name in chosen}
        for item in data["items"]:
            value = _read_text(item, source.value)
            if value and all(_read_text(item, place) == wanted for place, wanted in narrows.items()):
                labels = (_read_text(item, place) for place in source.labels)
                self._found[value] = tuple(word.casefold() for word in (value, *labels))

    def rank(self, typed: str) -> list[str]:
        """Return the values that match the `typed` text: first those that start with it, then those that contain it."""
        typed = typed.strip().casefold()
        fitting = [value for value, words in self._found.items() if any(typed in word for word in words)]
        return sorted(fitting, key=lambda value: not any(word.startswith(typed) for word in self._found[value]))


def _read_text(item: Any, place: str) -> str:
    value = get_path(item, place)
    return value if isinstance(value, str) else ""
