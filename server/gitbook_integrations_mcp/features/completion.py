"""Completion of arguments from what GitBook has, as the caller may see it. It helps where it can and never fails."""

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
from gitbook_integrations_mcp.errors import CallError
from gitbook_integrations_mcp.features.prompts import find_prompt
from gitbook_integrations_mcp.pipeline.budget import UNLIMITED
from gitbook_integrations_mcp.pipeline.pipeline import Pipeline

logger = logging.getLogger(__name__)

_MOST = 100
"""Values in one answer, as MCP has it."""

_PATIENCE = 5
"""Seconds after which somebody who types has no use for an answer."""

_ORGANIZATIONS = 10
"""Organizations that are looked through where none is chosen."""

_ITEMS = 1000
"""Items that are looked through in each."""

Context = ServerRequestContext[Any, Any]


class Completer:
    """Serves completions."""

    def __init__(self, pipeline: Pipeline, callers: Callers, organization: str | None) -> None:
        self._pipeline = pipeline
        self._callers = callers
        self._organization = organization

    def register(self, server: Server[Any]) -> None:
        """Have `server` offer completion."""
        server.add_request_handler("completion/complete", CompleteRequestParams, self.complete)

    async def complete(self, context: Context, params: CompleteRequestParams) -> CompleteResult:
        """Answer completion/complete. Whatever keeps the values from being read, the answer then has none of them."""
        caller = self._callers.identify(context)
        source = _find_source(params, caller)
        search = _Search(self._pipeline, context, caller)
        if source is not None:
            given = (params.context.arguments if params.context else None) or {}
            chosen = {name: value for name, value in given.items() if value}
            if self._organization:
                chosen.setdefault(ORGANIZATION, self._organization)
            with anyio.move_on_after(_PATIENCE) as scope:
                await search.look_into(source, chosen)
            if scope.cancelled_caught:
                search.more = True
                logger.info("a completion took too long")
        values = search.rank(params.argument.value)
        more = search.more or len(values) > _MOST
        return CompleteResult(
            completion=Completion(values=values[:_MOST], total=None if search.more else len(values), has_more=more)
        )


def _find_source(params: CompleteRequestParams, caller: Caller) -> Source | None:
    """Return where the values of an argument come from, or None where nobody lists any.

    Raises:
        MCPError: there is no such prompt or template.
    """
    name = params.argument.name
    if isinstance(params.ref, PromptReference):
        prompt = find_prompt(params.ref.name, caller.policy)
        return next((argument.source for argument in prompt.arguments if argument.name == name), None)
    resource = next((one for one in RESOURCES.values() if one.uri_template == params.ref.uri), None)
    if resource is None:
        raise MCPError(INVALID_PARAMS, "There is no such template; resources/templates/list has them all.")
    return SOURCES.get(name) if name in resource.names else None


class _Search:
    """Collects values, each with the words by which people know it."""

    def __init__(self, pipeline: Pipeline, context: Context, caller: Caller) -> None:
        self._pipeline = pipeline
        self._context = context
        self._caller = caller
        self._found: dict[str, tuple[str, ...]] = {}
        self.more = False
        """Whether there may be values that were not looked at."""

    async def look_into(self, source: Source, chosen: Mapping[str, str]) -> None:
        """Collect what `source` lists, given what is `chosen` already."""
        fields = TOOLS[source.tool].input.model_fields
        if ORGANIZATION not in fields or chosen.get(ORGANIZATION):
            await self._collect(source, chosen)
            return
        organizations = _Search(self._pipeline, self._context, self._caller)
        await organizations.look_into(SOURCES[ORGANIZATION], {})
        identifiers = organizations.rank("")
        self.more = organizations.more or len(identifiers) > _ORGANIZATIONS
        async with anyio.create_task_group() as group:
            for identifier in identifiers[:_ORGANIZATIONS]:
                group.start_soon(self._collect, source, {**chosen, ORGANIZATION: identifier})

    async def _collect(self, source: Source, chosen: Mapping[str, str]) -> None:
        fields = TOOLS[source.tool].input.model_fields
        arguments: dict[str, Any] = {name: value for name, value in chosen.items() if name in fields}
        arguments |= {name: chosen[where] for name, where in source.filters.items() if where in chosen}
        arguments |= {"fetchAll": True, "maxItems": _ITEMS}
        try:
            result = await self._pipeline.read(source.tool, arguments, self._context, self._caller, UNLIMITED)
        except CallError:
            return  # the log has the reason
        data = result.structured_content or {}
        self.more = self.more or not data["complete"]
        narrows = {place: chosen[name] for name, place in source.narrows.items() if name in chosen}
        for item in data["items"]:
            value = _read(item, source.value)
            if value and all(_read(item, place) == wanted for place, wanted in narrows.items()):
                labels = (_read(item, place) for place in source.labels)
                self._found[value] = tuple(word.casefold() for word in (value, *labels))

    def rank(self, typed: str) -> list[str]:
        """Return the values that fit what was `typed`: first what begins with it, then what contains it."""
        typed = typed.strip().casefold()
        fitting = [value for value, words in self._found.items() if any(typed in word for word in words)]
        return sorted(fitting, key=lambda value: not any(word.startswith(typed) for word in self._found[value]))


def _read(item: Any, place: str) -> str:
    value = get_path(item, place)
    return value if isinstance(value, str) else ""
