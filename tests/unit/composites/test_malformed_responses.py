"""GitBook can answer with fields of another type than it documents. No composite tool takes that for a defect here."""

import copy
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.endpoint import Composite
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION, create_sandbox
from gitbook_integrations_mcp.sandbox.state import Setup
from tests.support.elicitation_client import GitBookSpy, Human, meet
from tests.support.fake_gitbook import read_text
from tests.support.gated_calls import find_target
from tests.support.integration_folder import write_folder

VALUES = ("x", None, 7, [7], ["a"], {"a": 1})
DEPTH = 4
MOST = 40
"""Fields that are altered of a tool that reads many."""

OWN = {"integrationName": OWN_INTEGRATION}
RULES = [
    {"effect": "deny", "reason": "x", "name": "places", "integrations": ["heat*"], "places": ["non-public-spaces"]},
    {"effect": "deny", "reason": "x", "name": "scopes", "scopes": ["openapi:write"], "verified": False},
    {"effect": "allow", "reason": "x", "name": "owners", "owners": ["nobody"]},
]

ENDPOINT = re.compile(r"/[^/]*(\d|-)[^/]*")
"""The parts of a path that are IDs: one response of each endpoint is altered."""

FieldPath = tuple[str, ...]


class Altered:
    """The sandbox, with one field of the responses at one path replaced, and a record of the responses."""

    def __init__(self) -> None:
        self.spy = GitBookSpy(create_sandbox(rate_limit=1_000_000))
        self.responses: dict[str, Any] = {}
        self.change: tuple[str, FieldPath, Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        if scope["type"] != "http":
            await self.spy(scope, receive, send)
            return
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.spy(scope, receive, keep)
        body = b"".join(message.get("body", b"") for message in messages)
        if body and messages[0]["status"] < 300:
            data, key = json.loads(body), f"{scope['method']} {scope['path']}"
            self.responses.setdefault(key, copy.deepcopy(data))
            if self.change and self.change[0] == key:
                body = json.dumps(replace(data, *self.change[1:])).encode()
        headers = [(name, value) for name, value in messages[0]["headers"] if name != b"content-length"]
        await send({**messages[0], "headers": headers})
        await send({"type": "http.response.body", "body": body})


def replace(data: Any, path: FieldPath, value: Any) -> Any:
    """Return `data` with another value at a path. In a path, `*` stands for every item of a list."""
    if not path:
        return value
    if isinstance(data, list):
        return [replace(one, path[1:], value) for one in data]
    if isinstance(data, dict) and path[0] in data:
        return {**data, path[0]: replace(data[path[0]], path[1:], value)}
    return data


def list_paths(data: Any, above: FieldPath = ()) -> Iterator[FieldPath]:
    """Yield the path of each field, of lists those of the first items."""
    yield above
    named = data.items() if isinstance(data, dict) else [("*", data[0])] if isinstance(data, list) and data else ()
    for name, value in named if len(above) < DEPTH else ():
        yield from list_paths(value, (*above, name))


async def _set_places(client: Any, spy: GitBookSpy) -> dict[str, Any]:
    mermaid = next(one for one in spy.sandbox.state.installations.values() if one.integration == "mermaid")
    return {"integrationName": "mermaid", "installationId": mermaid.id, "spaces": list(mermaid.enabled["space"])[:1]}


async def _copy(client: Any, spy: GitBookSpy) -> dict[str, Any]:
    state = spy.sandbox.state
    slack = next(one for one in state.installations.values() if one.integration == "slack")
    places = [one.id for one in state.spaces.values() if one.organization == ORGANIZATION_ID][:2]
    slack.enabled["space"] = {one: Setup(configuration={"channel": one}) for one in places}
    own = {"integrationName": "slack", "installationId": slack.id}
    return {"source": {**own, "spaceId": places[0]}, "target": {**own, "spaceId": places[1]}}


async def _publish(client: Any, spy: GitBookSpy) -> dict[str, Any]:
    target = find_target(spy, "publish_integration")
    for number in range(2):
        script = f"export default {{ number: {number} }}"
        result = await client.call_tool(target.name, {**target.arguments, "script": script})
        assert not result.is_error, read_text(result)
    return OWN


async def _roll_back(client: Any, spy: GitBookSpy) -> dict[str, Any]:
    versions = (await client.call_tool("list_integration_versions", await _publish(client, spy))).structured_content
    return {**OWN, "version": versions["items"][-1]["id"]}


async def _change(client: Any, spy: GitBookSpy) -> dict[str, Any]:
    target = find_target(spy, "uninstall_integration")
    result = await client.call_tool(target.name, target.arguments)
    assert not result.is_error, read_text(result)
    return {"changeId": result.structured_content["receipt"]["changeId"]}


Setting = Callable[[Any, GitBookSpy], Awaitable[dict[str, Any]]]


def _pass(**arguments: Any) -> Setting:
    async def build(client: Any, spy: GitBookSpy) -> dict[str, Any]:
        return arguments

    return build


CALLS: dict[str, Setting] = {
    "set_installation_places": _set_places,
    "copy_configuration": _copy,
    "uninstall_everywhere": _pass(**OWN, organizationId=ORGANIZATION_ID),
    "inspect_integration_events": _pass(**OWN),
    "list_integration_versions": _publish,
    "rollback_integration": _roll_back,
    "check_integration_folder": _pass(path="integration"),
    "publish_integration_folder": _pass(path="integration"),
    "check_policy": _pass(integrationName="heatlens", organizationId=ORGANIZATION_ID, spaceId="4Bx5L9BNoCBwuh9BLKDm"),
    "list_changes": _change,
    "undo_change": _change,
    "audit_installations": _pass(organizationId=ORGANIZATION_ID, organizations="all", refresh=True),
    "export_report": _pass(organizationId=ORGANIZATION_ID, format="json"),
    "accept_finding": _pass(organizationId=ORGANIZATION_ID, finding="unverified-write", reason="x"),
    "withdraw_acceptance": _pass(organizationId=ORGANIZATION_ID, finding="unverified-write"),
}


def test_each_composite_tool_is_called() -> None:
    assert CALLS.keys() == {name for name, tool in TOOLS.items() if isinstance(tool, Composite)}


@pytest.mark.slow
@pytest.mark.parametrize("action", ["accept", "decline"])
@pytest.mark.parametrize("tool", CALLS)
async def test_a_field_of_another_type_is_no_defect_of_this_server(tool: str, action: str, tmp_path: Path) -> None:
    """A field of one kind of response at a time; with approval, in responses to the changing calls only."""
    root = write_folder(tmp_path / "integration")
    sections: dict[str, Any] = {"policy": {"rules": RULES}, "publishing": {"roots": [str(root.parent)]}}
    settings = load_settings(
        {"server": {"sandbox": True}, "limits": {"attempts": 1}, "store": {"url": "memory"}, **sections}
    )
    gitbook, human, failures = Altered(), Human(), list[str]()
    server = create_server(settings, http_transport=httpx.ASGITransport(app=gitbook))
    async with meet(server, human, "2026-07-28") as client:
        arguments = await CALLS[tool](client, gitbook.spy)
        human.action = action
        gitbook.responses.clear()
        await client.call_tool(tool, arguments)
        kinds = {
            ENDPOINT.sub("/-", key): key for key in gitbook.responses if (action == "decline") is (key[:3] == "GET")
        }
        changes = [(key, path) for key in kinds.values() for path in list_paths(gitbook.responses[key])]
        for number, (key, path) in enumerate(changes[:: 1 + len(changes) // MOST]):
            for value in VALUES if len(path) < 2 else VALUES[number % 3 :: 3]:
                gitbook.change = (key, path, value)
                result = await client.call_tool(tool, arguments)
                if result.is_error and result.structured_content["code"] == "internal_error":
                    failures.append(f"{gitbook.change}: {read_text(result)}")
    assert not failures, "\n".join(failures[:20])
