"""Targets: the objects that a call is about, read from GitBook.

The table of endpoints determines what is read: the target is the nearest readable object on the call's path. A new
endpoint needs no code here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.endpoint import Endpoint, SegmentError, Tool
from gitbook_integrations_api.sources import PLACE_LISTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.related import find_get, find_target
from gitbook_integrations_mcp.calls.response import get_path, read_response
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.errors import AnswerError, ArgumentsError, CallError, CredentialError, StatusError
from gitbook_integrations_mcp.gitbook.client import GitBook

INTEGRATION = "get_integration_by_name"
"""Name of the endpoint that reads an integration."""

_NAMED_BY_THEMSELVES = frozenset({"integration", "installation", "event"})
"""Objects whose own name or ID ends the path that reads them."""

_LEVELS = ("installations", "spaces", "sites")

_VOLATILE = frozenset({"urls", "previewImages", "permissions"})
"""Fields that differ from one response to the next."""


class MismatchError(AnswerError):
    """GitBook answered with another object than the one that was asked for."""


class TargetReader:
    """Reads objects with the credentials of the call that is about them."""

    def __init__(self, gitbook: GitBook) -> None:
        self._gitbook = gitbook

    async def read_target(self, call: Call) -> Mapping[str, Any] | None:
        """Return the object that the call is about, or None if the token may not read it or no endpoint can.

        Raises:
            StatusError: the object does not exist (404), or GitBook failed.
            CallError: GitBook could not be reached.
        """
        reader = find_target(call.tool)
        if reader is None:
            return None
        target = await self.try_to_read_target(call, reader)
        return None if isinstance(target, CallError) else target

    async def try_to_read_target(
        self, call: Call, reader: Endpoint
    ) -> Mapping[str, Any] | CredentialError | StatusError:
        """Return the target, or the error if no token may read it.

        Raises:
            StatusError: the object does not exist (404), or GitBook failed.
            CallError: GitBook could not be reached, or answered with another object.
        """
        try:
            return await self.read(call, reader)
        except CredentialError as error:
            return error
        except StatusError as error:
            if error.status in {401, 403}:
                return error
            if error.status == 404 and creates(call.tool, reader):
                return {}  # this call creates it
            raise

    async def read_integration(self, call: Call, *, exists: bool = False) -> Mapping[str, Any] | None:
        """Return the integration that a call names, or None if the token may not read it or it does not exist.

        Without approval, nothing is read that only an approved call may show.

        Raises:
            StatusError: it does not exist (404), although `exists` says that the call needs it, or GitBook failed.
            CallError: GitBook could not be reached, or answered with another object.
        """
        reader = ENDPOINTS[INTEGRATION]
        if call.caller.policy.may_need_confirmation(reader):
            return None
        try:
            return await self.read(call, reader)
        except CredentialError:
            return None
        except StatusError as error:
            if error.status in {401, 403} or (error.status == 404 and not exists):
                return None
            raise

    async def read_organization(
        self, call: Call, target: Mapping[str, Any] | None
    ) -> tuple[Mapping[str, Any] | str | None, Sequence[Mapping[str, Any]]]:
        """Return the organization of an installation, or only its ID if the organization cannot be read.

        The second value is all organizations that were read for this.

        Raises:
            ArgumentsError: the call names an organization that the token cannot see, so GitBook would refuse it.
        """
        identifier = get_path(target, "target.organization")
        named = identifier is None and "organization" in call.arguments
        try:
            if identifier is None and "installationId" in call.arguments and {"space", "site"} & set(target or ()):
                installation = await self.read(call, ENDPOINTS["get_integration_installation_by_id"])
                identifier = get_path(installation, "target.organization")
            if identifier is None:
                identifier = call.arguments.get("organization")
            if identifier is None:
                return None, ()
            lister = ENDPOINTS["list_organizations_for_authenticated_user"]
            page = await self.read(call, lister)
        except MismatchError:
            raise
        except CallError:
            return None if identifier is None else str(identifier), ()
        found = next((one for one in page["items"] if identifier in (one.get("id"), one.get("hostname"))), None)
        complete = page["items"] and page.get("next") is None
        if found is None and named and complete and not call.caller.policy.may_need_confirmation(lister):
            raise ArgumentsError(
                "organization: the token can see no organization with this ID, so nobody was asked and nothing was "
                "sent. list_organizations_for_authenticated_user returns the IDs."
            )
        return found or str(identifier), page["items"]

    async def read_places(
        self, call: Call, levels: Iterable[Level], organization: Mapping[str, Any] | str | None
    ) -> dict[Level, Mapping[str, Any] | None]:
        """Return the spaces or sites of an organization by level; None if they cannot be read.

        Raises:
            MismatchError: GitBook answered with another object.
        """
        identifier = organization.get("id") if isinstance(organization, Mapping) else organization
        read: dict[Level, Mapping[str, Any] | None] = {}
        for level in levels:
            try:
                one = replace(call, arguments={"organizationId": str(identifier)})
                read[level] = await self.read(one, ENDPOINTS[PLACE_LISTS[level]]) if identifier else None
            except MismatchError:
                raise
            except (CallError, SegmentError):
                read[level] = None
        return read

    async def read(self, call: Call, reader: Endpoint) -> Mapping[str, Any]:
        """Return the response of a reading endpoint whose path the arguments of `call` complete.

        Raises:
            CredentialError: no token may read it.
            StatusError: GitBook answered with an error.
            MismatchError: GitBook answered with another object.
            CallError: GitBook could not be reached.
        """
        taken = {name: call.arguments[name] for name in reader.path_names}
        if "extended" in reader.query_names:
            taken["extended"] = True
        if "limit" in reader.query_names:
            taken["limit"] = 1000
        response = await self._gitbook.send(reader.build_request(taken), call.caller.credentials.select(reader))
        if response.status >= 400:
            response = call.caller.credentials.scrub_response(response)  # its message is cut
        content = read_response(reader, response, tool=call.tool)
        check_identity(reader, content, call.arguments)
        return content


@cache
def find_context(tool: Tool) -> tuple[Endpoint, ...]:
    """Return what a preview reads besides the target: the integration, and the lists below a deleted path."""
    if not isinstance(tool, Endpoint):
        return ()
    context = [ENDPOINTS[INTEGRATION]] if "integrationName" in tool.path_names else []
    target = find_target(tool)
    if tool.method == "DELETE" and target and target.path == tool.path:
        context.extend(reader for level in _LEVELS if (reader := find_get(f"{target.path}/{level}", "page")))
    elif tool.widens is not None and tool.widens.always_asks and target:
        context.extend(reader for reader in (find_get(f"{target.path}/installations", "page"),) if reader)
    return tuple(context)


def check_identity(reader: Endpoint, content: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Check that a response is about the objects that were asked for, as far as it says what it is about.

    Raises:
        MismatchError: it is about another object.
    """
    things = content["items"] if reader.is_list else [content]
    for name in sorted(reader.path_names):
        kind = name.removesuffix("Id").removesuffix("Name")  # space of spaceId, integration of integrationName
        key = "name" if kind == "integration" else "id"
        for thing in things:
            about = [get_path(thing, f"{kind}.{key}"), thing.get(kind)]
            if kind in _NAMED_BY_THEMSELVES and reader.path.endswith(f"/{{{name}}}"):
                about.append(thing.get(key))
            if any(isinstance(one, str) and one != arguments[name] for one in about):
                raise MismatchError(
                    f"GitBook answered {reader.name} with another {kind} than the {name} that was asked for. Nothing "
                    "was sent. Check the spelling of the argument, GITBOOK_ENDPOINT and the proxy."
                )


def creates(tool: Tool, reader: Endpoint) -> bool:
    """Whether a call of `tool` creates the object that `reader` reads."""
    return isinstance(tool, Endpoint) and tool.method == "POST" and reader.path == tool.path


def digest_state(state: Any) -> str:
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
