"""What a gated call would do, read from GitBook and put in words before a human is asked.

What to read follows from the table: the target is the nearest thing on the call's path that can be read, a deletion
takes with it what is listed below that path, and an integration is shown by its title. Adding an endpoint needs nothing
here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import anyio

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Endpoint, Tool
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.related import find_get, find_target
from gitbook_integrations_mcp.calls.response import get_path, read_response
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.errors import CallError, CredentialError, StatusError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.text import clean_text

SHOWN = 10
"""How many of the affected spaces, sites or installations are named."""

_VOLATILE = frozenset({"urls", "previewImages", "permissions"})
_LEVELS = ("installations", "spaces", "sites")


@dataclass(frozen=True, slots=True)
class Preview:
    """A call's consequence in words.

    `state` digests the target as read: as long as it is the same, a yes given to these words holds. `typed` is what a
    human types where it cannot be undone.
    """

    title: str
    lines: tuple[str, ...]
    state: str
    typed: str | None = None

    @property
    def text(self) -> str:
        """The preview as plain text."""
        return "\n".join([self.title, *self.lines])


class Previewer:
    """Reads previews, with the same credentials as the call itself."""

    def __init__(self, gitbook: GitBook) -> None:
        self._gitbook = gitbook

    async def read_target(self, call: Call) -> Mapping[str, Any] | None:
        """Return what the call is about, or None where the token may not read it or nothing can be read.

        Raises:
            StatusError: it does not exist (404), or GitBook failed.
            CallError: GitBook could not be asked.
        """
        tool = call.tool
        reader = find_target(tool)
        if reader is None:
            return None
        try:
            return await self._read(call, reader)
        except CredentialError:
            return None
        except StatusError as error:
            if error.status in {401, 403}:
                return None
            if error.status == 404 and _creates(tool, reader):
                return {}  # it is created by this very call
            raise

    async def preview(self, call: Call) -> tuple[Preview, Mapping[str, Any] | None]:
        """Return what the call would do, and what it is about as `read_target` does.

        The target stays out of the words, which may be kept elsewhere: its configuration can hold others' secrets.

        Raises:
            StatusError: the target does not exist, or GitBook failed.
            CallError: GitBook could not be asked.
        """
        tool, arguments = call.tool, call.arguments
        target = await self.read_target(call)
        readers = [reader for reader in find_context(tool) if reader is not find_target(tool)]
        answers: dict[str, Mapping[str, Any] | None] = {}

        async def read(reader: Endpoint) -> None:
            try:
                answers[reader.name] = await self._read(call, reader)
            except CallError:
                answers[reader.name] = None  # the question says so

        async with anyio.create_task_group() as group:
            for reader in readers:
                group.start_soon(read, reader)
        lines = [
            *_describe_target(find_target(tool), target, await self._read_organization(call, target)),
            *(line for reader in readers for line in _describe_context(reader, answers[reader.name])),
            *_describe_loss(tool, target),
            *_describe_arguments(tool, arguments),
            tool.consequence or f"This call would {tool.title[0].lower()}{tool.title[1:]}.",
        ]
        preview = Preview(
            title=f"{tool.title}?",
            lines=tuple(call.caller.credentials.scrub(line) for line in lines),
            state=_digest([target, [answers[reader.name] for reader in readers]]),
            typed=arguments.get("integrationName") if tool.irreversible else None,
        )
        return preview, target

    async def _read_organization(self, call: Call, target: Mapping[str, Any] | None) -> Mapping[str, Any] | str | None:
        """Return the organization of an installation; as its ID, which is all an installation has, where need be."""
        identifier = get_path(target, "target.organization")
        try:
            if identifier is None and {"space", "site"} & set(target or ()):
                installation = await self._read(call, ENDPOINTS["get_integration_installation_by_id"])
                identifier = get_path(installation, "target.organization")
            if identifier is None:
                return None
            page = await self._read(call, ENDPOINTS["list_organizations_for_authenticated_user"])
        except CallError:
            return None if identifier is None else str(identifier)
        return next((one for one in page["items"] if one.get("id") == identifier), str(identifier))

    async def _read(self, call: Call, reader: Endpoint) -> Mapping[str, Any]:
        taken = {name: call.arguments[name] for name in reader.path_names}
        if "extended" in reader.query_names:
            taken["extended"] = True
        if "limit" in reader.query_names:
            taken["limit"] = 1000
        reply = await self._gitbook.send(reader.build_request(taken), call.caller.credentials.select(reader))
        return read_response(reader, reply)


@cache
def find_context(tool: Tool) -> tuple[Endpoint, ...]:
    """Return what else is worth reading: the integration, and the lists below a path that is deleted."""
    if not isinstance(tool, Endpoint):
        return ()
    context = []
    if "integrationName" in tool.path_names and (reader := find_get("/integrations/{integrationName}", "object")):
        context.append(reader)
    if tool.method == "DELETE" and (target := find_target(tool)) and target.path == tool.path:
        context.extend(reader for level in _LEVELS if (reader := find_get(f"{target.path}/{level}", "page")))
    return tuple(context)


def _creates(tool: Tool, reader: Endpoint) -> bool:
    """Whether a call of `tool` makes what `reader` reads."""
    return isinstance(tool, Endpoint) and tool.method == "POST" and reader.path == tool.path


def _describe_target(
    reader: Endpoint | None, target: Mapping[str, Any] | None, organization: Mapping[str, Any] | str | None
) -> Iterator[str]:
    if reader is None:
        return
    if target is None:
        yield "The target could not be read: the token may not, or it needs another one. Its state is unknown."
        return
    if "name" in target and "version" in target:
        yield from _describe_integration(target)
        return
    for level in ("space", "site"):
        if level in target:
            yield f"{level.capitalize()}: {_name(target[level])}"
    if organization:
        yield f"Organization: {_name(organization)}"
    if "status" in target:
        yield f"Status: {_name(target['status'])}"
    for level in ("space", "site"):
        if f"{level}_selection" in target:
            yield f"{level.capitalize()}s: {_name(target[f'{level}_selection'])}"


def _describe_integration(integration: Mapping[str, Any]) -> Iterator[str]:
    facts = [f"version {integration.get('version')}", _name(integration.get("visibility"))]
    facts.append("verified by GitBook" if integration.get("verified") else "not verified")
    if owner := integration.get("owner"):
        facts.append(f"owned by {_name(owner)}")
    yield f"Integration: {_name(integration)}, {', '.join(facts)}"


def _describe_context(reader: Endpoint, answer: Mapping[str, Any] | None) -> Iterator[str]:
    if reader.result.shape == "object":
        if answer is None:
            yield "The integration could not be read."
        else:
            yield from _describe_integration(answer)
        return
    level = reader.path.rpartition("/")[2]
    if answer is None:
        yield f"Affected {level}: could not be read with this token"
        return
    items = answer["items"]
    more = "+" if answer.get("next") else ""
    named = ", ".join(_name(item.get(level[:-1], item)) for item in items[:SHOWN])
    rest = f", and {len(items) - SHOWN}{more} more" if len(items) > SHOWN else ""
    yield f"Affected {level}: {len(items)}{more}" + (f" ({named}{rest})" if items else "")


def _describe_loss(tool: Tool, target: Mapping[str, Any] | None) -> Iterator[str]:
    """Name what a deletion takes along: the keys of the configuration, never their values, and the external IDs."""
    if target is None or not isinstance(tool, Endpoint) or tool.method != "DELETE":
        return
    if configuration := target.get("configuration"):
        yield f"Configuration that is lost: {', '.join(clean_text(key, 40) for key in configuration)}"
    if external := target.get("externalIds"):
        yield f"External IDs that are lost: {', '.join(clean_text(str(one), 60) for one in external)}"


def _describe_arguments(tool: Tool, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Name what the call sets; of free-form objects only the keys, as their values may be secrets."""
    shown = tool.body_names if isinstance(tool, Endpoint) else arguments
    for name in arguments:
        if name in shown:
            yield f"{name}: {_show_argument(arguments[name])}"


def _show_argument(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(clean_text(str(key), 40) for key in value) + " (values not shown)"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return clean_text(", ".join(value), 600)
    return clean_text(str(value), 256) if isinstance(value, str | int | float) else f"{len(value)} given"


def _name(thing: Any) -> str:
    """Return title and identifier of an object, or the identifier that stands for it."""
    if not isinstance(thing, Mapping):
        return clean_text(str(thing), 80)
    identifier = thing.get("name") or thing.get("id") or ""
    if organization := get_path(thing, "target.organization"):
        return clean_text(f"{identifier} in organization {organization}", 100)
    if (title := thing.get("title")) and identifier:
        return f"“{clean_text(str(title), 80)}” ({clean_text(str(identifier), 100)})"
    return clean_text(str(title or identifier), 100)


def _digest(state: Any) -> str:
    """Return a digest of what matters in an answer: without what changes from one reading to the next."""

    def prune(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                key: child if key == "configuration" else prune(child)
                for key, child in value.items()
                if key not in _VOLATILE
            }
        return [prune(child) for child in value] if isinstance(value, list) else value

    return digest_json(prune(state))
