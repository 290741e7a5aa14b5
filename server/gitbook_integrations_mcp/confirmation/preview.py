"""Previews: the effect of a call that needs confirmation, read from GitBook.

The table of endpoints determines what is read: the target is the nearest readable object on the call's path, a deletion
also affects the lists below that path, and an integration is read for its title. A new endpoint needs no code here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
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

MAX_NAMED = 10
"""Number of affected spaces, sites or installations that are named; the others are counted."""

_VOLATILE = frozenset({"urls", "previewImages", "permissions"})
_QUOTES = str.maketrans(dict.fromkeys('“”„‟″❝❞〝〞＂"', "'"))
_LEVELS = ("installations", "spaces", "sites")


@dataclass(frozen=True, slots=True)
class Fact:
    """A labelled value. Neither contains a line break, so that no value can look like a fact of its own."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The effect of a call: what could not be read, facts about the target, and the consequence in a sentence.

    `state` is a digest of the target. An approval is valid while the state is the same. `typed` is the name that the
    human must type if the effect is irreversible.
    """

    title: str
    consequence: str
    state: str
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    typed: str | None = None

    @property
    def text(self) -> str:
        """The preview as plain text, one fact or sentence per line."""
        facts = (f"{fact.label}: {fact.value}" for fact in self.facts)
        return "\n".join([self.title, *self.notes, *facts, self.consequence])

    def to_json(self) -> dict[str, Any]:
        """Return the preview as JSON, for a store."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Preview":
        """Return the preview that `to_json` returned as JSON."""
        return cls(**{**data, "facts": tuple(Fact(**fact) for fact in data["facts"]), "notes": tuple(data["notes"])})


class Previewer:
    """Reads previews with the credentials of the call."""

    def __init__(self, gitbook: GitBook) -> None:
        self._gitbook = gitbook

    async def read_target(self, call: Call) -> Mapping[str, Any] | None:
        """Return the object that the call is about, or None if the token may not read it or no endpoint can.

        Raises:
            StatusError: the object does not exist (404), or GitBook failed.
            CallError: GitBook could not be reached.
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
                return {}  # this call creates it
            raise

    async def preview(self, call: Call) -> tuple[Preview, Mapping[str, Any] | None]:
        """Return the preview of a call, and the target as `read_target` returns it.

        The target is not part of the preview: a store keeps the preview, and the target's configuration can contain
        secrets of third parties.

        Raises:
            StatusError: the target does not exist, or GitBook failed.
            CallError: GitBook could not be reached.
        """
        tool, arguments = call.tool, call.arguments
        target = await self.read_target(call)
        readers = [reader for reader in find_context(tool) if reader is not find_target(tool)]
        responses: dict[str, Mapping[str, Any] | None] = {}

        async def read(reader: Endpoint) -> None:
            try:
                responses[reader.name] = await self._read(call, reader)
            except CallError:
                responses[reader.name] = None  # the preview says so

        async with anyio.create_task_group() as group:
            for reader in readers:
                group.start_soon(read, reader)
        scrub = call.caller.credentials.scrub_json  # before anything is cut
        shown, organization = scrub(target), scrub(await self._read_organization(call, target))
        described = [
            *_describe_target(find_target(tool), shown, organization),
            *(one for reader in readers for one in _describe_context(reader, scrub(responses[reader.name]))),
            *_describe_loss(tool, shown),
            *_describe_arguments(tool, scrub(arguments)),
        ]
        preview = Preview(
            title=f"{tool.title}?",
            consequence=scrub(tool.consequence or f"This call would {tool.title[0].lower()}{tool.title[1:]}."),
            state=_digest([target, [responses[reader.name] for reader in readers]]),
            facts=tuple(Fact(scrub(one.label), scrub(one.value)) for one in described if isinstance(one, Fact)),
            notes=tuple(scrub(one) for one in described if isinstance(one, str)),
            typed=arguments.get("integrationName") if tool.irreversible else None,
        )
        return preview, target

    async def _read_organization(self, call: Call, target: Mapping[str, Any] | None) -> Mapping[str, Any] | str | None:
        """Return the organization of an installation, or only its ID if the organization cannot be read."""
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
        response = await self._gitbook.send(reader.build_request(taken), call.caller.credentials.select(reader))
        if response.status >= 400:
            response = call.caller.credentials.scrub_response(response)  # its message is cut
        return read_response(reader, response)


@cache
def find_context(tool: Tool) -> tuple[Endpoint, ...]:
    """Return what a preview reads besides the target: the integration, and the lists below a deleted path."""
    if not isinstance(tool, Endpoint):
        return ()
    context = []
    if "integrationName" in tool.path_names and (reader := find_get("/integrations/{integrationName}", "object")):
        context.append(reader)
    if tool.method == "DELETE" and (target := find_target(tool)) and target.path == tool.path:
        context.extend(reader for level in _LEVELS if (reader := find_get(f"{target.path}/{level}", "page")))
    return tuple(context)


def _creates(tool: Tool, reader: Endpoint) -> bool:
    """Whether a call of `tool` creates the object that `reader` reads."""
    return isinstance(tool, Endpoint) and tool.method == "POST" and reader.path == tool.path


def _describe_target(
    reader: Endpoint | None, target: Mapping[str, Any] | None, organization: Mapping[str, Any] | str | None
) -> Iterator[Fact | str]:
    if reader is None:
        return
    if target is None:
        yield "The target could not be read with the configured tokens. Its state is unknown."
        return
    if "name" in target and "version" in target:
        yield from _describe_integration(target)
        return
    for level in ("space", "site"):
        if level in target:
            yield Fact(level.capitalize(), _format_name(target[level]))
    if organization:
        yield Fact("Organization", _format_name(organization))
    if "status" in target:
        yield Fact("Status", _format_name(target["status"]))
    for level in ("space", "site"):
        if f"{level}_selection" in target:
            yield Fact(f"{level.capitalize()}s", _format_name(target[f"{level}_selection"]))


def _describe_integration(integration: Mapping[str, Any]) -> Iterator[Fact]:
    """Yield facts about an integration. No text of its publisher stands beside what GitBook says about it."""
    yield Fact("Integration", _format_name(integration))
    version, visibility = (clean_text(str(integration.get(key)), 40) for key in ("version", "visibility"))
    verified = "verified by GitBook" if integration.get("verified") else "not verified by GitBook"
    yield Fact("Version", f"{version} ({visibility}, {verified})")
    if owner := integration.get("owner"):
        yield Fact("Owner", _format_name(owner))


def _describe_context(reader: Endpoint, response: Mapping[str, Any] | None) -> Iterator[Fact | str]:
    if reader.result.shape == "object":
        if response is None:
            yield "The integration could not be read."
        else:
            yield from _describe_integration(response)
        return
    level = reader.path.rpartition("/")[2]
    label = f"Affected {level}"
    if response is None:
        yield Fact(label, "could not be read with this token")
        return
    items = response["items"]
    more = "+" if response.get("next") else ""
    named = ", ".join(_format_name(item.get(level[:-1], item)) for item in items[:MAX_NAMED])
    rest = f", and {len(items) - MAX_NAMED}{more} more" if len(items) > MAX_NAMED else ""
    yield Fact(label, f"{len(items)}{more}" + (f" ({named}{rest})" if items else ""))


def _describe_loss(tool: Tool, target: Mapping[str, Any] | None) -> Iterator[Fact]:
    """Yield what a deletion removes: the keys of the configuration without values, and the external IDs."""
    if target is None or not isinstance(tool, Endpoint) or tool.method != "DELETE":
        return
    if configuration := target.get("configuration"):
        yield Fact("Configuration that is lost", ", ".join(clean_text(key, 40) for key in configuration))
    if external := target.get("externalIds"):
        yield Fact("External IDs that are lost", ", ".join(clean_text(str(one), 60) for one in external))


def _describe_arguments(tool: Tool, arguments: Mapping[str, Any]) -> Iterator[Fact]:
    """Yield what the call sets. Free-form objects show only their keys, because values may be secrets."""
    shown = tool.body_names if isinstance(tool, Endpoint) else arguments
    for name in arguments:
        if name in shown:
            yield Fact(name, _format_argument(arguments[name]))


def _format_argument(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(clean_text(str(key), 40) for key in value) + " (values not shown)"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return clean_text(", ".join(value), 600)
    return clean_text(str(value), 256) if isinstance(value, str | int | float) else f"{len(value)} items"


def _format_name(thing: Any) -> str:
    """Return title and ID of an object, or only one of them. No title can close the quotes that it stands in."""
    if not isinstance(thing, Mapping):
        return clean_text(str(thing), 80)
    identifier = thing.get("name") or thing.get("id") or ""
    if organization := get_path(thing, "target.organization"):
        return clean_text(f"{identifier} in organization {organization}", 100)
    if (title := thing.get("title")) and identifier:
        return f"“{clean_text(str(title), 80).translate(_QUOTES)}” ({clean_text(str(identifier), 100)})"
    return clean_text(str(title or identifier), 100)


def _digest(state: Any) -> str:
    """Return a digest of responses without the fields that differ from one response to the next."""

    def prune(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                key: child if key == "configuration" else prune(child)
                for key, child in value.items()
                if key not in _VOLATILE
            }
        return [prune(child) for child in value] if isinstance(value, list) else value

    return digest_json(prune(state))
