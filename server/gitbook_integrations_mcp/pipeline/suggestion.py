"""Finds the ID that was probably meant where a call has a title or a typing error. It never acts on it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Tool
from gitbook_integrations_api.sources import SOURCES, Source
from gitbook_integrations_mcp.auth.callers import Caller
from gitbook_integrations_mcp.calls.arguments import ORGANIZATION_NAMES, find_models
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.response import get_path, read_response
from gitbook_integrations_mcp.errors import ArgumentsError, CallError, StatusError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.spelling import MOST_MEANT, find_mistyped, name_meant
from gitbook_integrations_mcp.text import clean_text

_LISTED_AS = {
    "organization": "organizationId",
    "space": "spaceId",
    "site": "siteId",
    "integration": "integrationName",
    "owner": "organizationId",
    **{name: name for name in SOURCES},
}
_MARKETPLACE = Source(tool="list_integrations", value="name", labels=("title",))
_MOST_ORGANIZATIONS = 3
_IDENTIFIER = re.compile(r"[a-zA-Z0-9_.-]+")


def _find_ids(model: type[BaseModel], arguments: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the path of each ID in the arguments, the argument whose source lists such IDs, and the ID."""
    for name, listed_as in _LISTED_AS.items():
        if name in model.model_fields and isinstance(given := arguments.get(name), str):
            yield name, listed_as, given
    for name, below in find_models(model).items():
        if isinstance(nested := arguments.get(name), Mapping):
            yield from ((f"{name}.{path}", listed_as, given) for path, listed_as, given in _find_ids(below, nested))


def _name_other_integration(
    name: str, given: str, titles: Mapping[str, list[str]], arguments: Mapping[str, Any]
) -> str:
    """Return which integration an installation belongs to if the call names another one, or ""."""
    wanted = get_path(arguments, f"{name.removesuffix('installationId')}integrationName")
    if not titles.get(given) or wanted in titles[given]:
        return ""
    right = {identifier: labels[0] for identifier, labels in titles.items() if wanted in labels}
    return f"{given} is of {titles[given][0]}.{name_meant(right, right)}"


class Suggester:
    """Reads the list that an ID should be from, after a call that failed."""

    def __init__(self, gitbook: GitBook, organization: str | None) -> None:
        self._gitbook = gitbook
        self._organization = organization

    async def suggest(self, error: CallError, tool: Tool, arguments: Mapping[str, Any], caller: Caller) -> str:
        """Return a sentence with the IDs that were probably meant, or "" if none or too many match."""
        invalid = isinstance(error, ArgumentsError)
        if not invalid and not (isinstance(error, StatusError) and error.status == 404):
            return ""
        ids = _find_ids(tool.input, arguments)
        return await self._name_meant(
            (one for one in ids if not (invalid and _IDENTIFIER.fullmatch(one[2]))), arguments, caller
        )

    async def suggest_filters(self, call: EndpointCall, filters: Iterable[str]) -> str:
        """Return a sentence with the IDs that were probably meant by these filters of a list without items, or ""."""
        given = {name: call.arguments[name] for name in filters}
        return await self._name_meant(_find_ids(call.tool.input, given), call.arguments, call.caller)

    async def _name_meant(
        self, ids: Iterable[tuple[str, str, str]], arguments: Mapping[str, Any], caller: Caller
    ) -> str:
        lists: dict[str, dict[str, list[str]]] = {}
        for name, listed_as, given in ids:
            if listed_as not in lists:
                lists[listed_as] = await self._read_titles(listed_as, arguments, caller)
            titles = lists[listed_as]
            if listed_as == "installationId" and (other := _name_other_integration(name, given, titles, arguments)):
                return f" {name}: {other}"
            meant = find_mistyped(given, titles) if given not in titles else []
            if 0 < len(meant) <= MOST_MEANT:
                shown = {identifier: next(iter(titles[identifier]), identifier) for identifier in meant}
                is_default = name in ORGANIZATION_NAMES and given == self._organization
                named = f"{name} (by default the operator's GITBOOK_ORGANIZATION)" if is_default else name
                return f" {named}:{name_meant(meant, shown)}"
        return ""

    async def _read_titles(self, name: str, arguments: Mapping[str, Any], caller: Caller) -> dict[str, list[str]]:
        """Return the titles of the listed objects, by ID: of one organization, or of the first few if none is named."""
        source = SOURCES[name]
        organization = arguments.get("organizationId") or arguments.get("organization") or self._organization
        if name == "integrationName" and not organization:
            source = _MARKETPLACE
        endpoint = ENDPOINTS[source.tool]
        if "organizationId" in endpoint.path_names and not organization:
            known = [*await self._read_titles("organizationId", {}, caller)][:_MOST_ORGANIZATIONS]
            lists = [await self._read_titles(name, {"organizationId": one}, caller) for one in known]
            return {identifier: labels for each in lists for identifier, labels in each.items()}
        taken: dict[str, Any] = {"limit": 1000} if "limit" in endpoint.input.model_fields else {}
        if "organizationId" in endpoint.path_names:
            taken["organizationId"] = organization
        if not caller.policy.may_read(endpoint.name) or not isinstance(taken.get("organizationId", ""), str):
            return {}
        try:
            request = endpoint.build_request(taken)
            items = read_response(endpoint, await self._gitbook.send(request, caller.credentials.select(endpoint)))[
                "items"
            ]
        except (CallError, ValueError):
            return {}
        titles: dict[str, list[str]] = {}
        for item in items:
            if isinstance(identifier := get_path(item, source.value), str):
                labels = (get_path(item, path) for path in source.labels)
                titles[identifier] = [clean_text(label, 100) for label in labels if isinstance(label, str)]
        return titles
