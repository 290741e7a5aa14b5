"""Every call that changes something leaves one row: written before it is sent, without secrets, with its undo."""

import contextlib
import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.calls.masking import MASK
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION, USER_TOKEN
from gitbook_integrations_mcp.store.change import Change
from tests.support.elicitation_client import GitBookSpy, Human, meet, read_status
from tests.support.fake_gitbook import Era, read_changes, read_code, read_text
from tests.support.gated_calls import each_era, find_target
from tests.support.stores import find_url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store that other processes can read."""
    return find_url(request, request.param)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The URL of an empty store in a file."""
    return f"sqlite:///{tmp_path}/store.db"


def create(spy: Any, url: str, **confirmation: Any) -> Any:
    """Return a server with a store."""
    sections: dict[str, Any] = {"server": {"sandbox": True}, "store": {"url": url}, "confirmation": confirmation}
    return create_server(load_settings(sections), http_transport=httpx.ASGITransport(app=spy))


@each_era
async def test_a_confirmed_deletion_is_recorded_with_its_target_and_undo(era: Era, url: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    async with meet(create(spy, url), Human(), era) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "done"
    (change,) = await read_changes(url)
    assert (change.tool, change.operation) == ("uninstall_integration", "uninstallIntegration")
    assert change.arguments == target.arguments
    assert (change.approval, change.outcome, change.status) == ("form", "done", 205)
    assert change.request_id is not None
    assert change.request_id.startswith("sandbox-")
    assert change.organization == ORGANIZATION_ID
    assert change.principal == getpass.getuser()
    assert change.before is not None
    assert change.before["id"] == installation.id
    assert {one["space"]["id"] for one in change.before["spaces"]} == set(installation.enabled["space"])
    assert change.undo is not None
    assert change.undo[0] == {
        "tool": "install_integration",
        "arguments": {"integrationName": OWN_INTEGRATION, "organization": ORGANIZATION_ID},
        "created": {},
        "masked": [],
    }
    assert change.after == {"exists": False}
    assert change.lost


async def test_reads_and_declined_calls_are_not_recorded(file: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create(spy, file), Human(action="decline"), "2026-07-28") as client:
        await client.call_tool("list_sites", {})
        await client.call_tool(target.name, target.arguments)
    assert await read_changes(file) == []


async def test_an_update_is_recorded_with_the_values_it_replaced_but_no_secret(file: str, tmp_path: Path) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    installation.configuration = {"channel": "very-secret-old", "api_key": "very-secret-before", "digest": True}
    spy.sandbox.state.integrations[OWN_INTEGRATION].manifest.pop("configurations", None)  # any key is allowed
    arguments = {
        **target.arguments,
        "configuration": {"channel": "very-secret-new", "api_key": "very-secret-after", "digest": False},
        "space_selection": "all",
    }
    async with meet(create(spy, file, widening="off"), None, "2026-07-28") as client:
        await client.call_tool("update_integration_installation", arguments)
    (change,) = await read_changes(file)
    assert b"very-secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert change.approval is None
    assert change.arguments["configuration"] == {"channel": MASK, "api_key": MASK, "digest": False}
    assert change.undo is not None
    assert change.undo[0]["arguments"] == {
        **target.arguments,
        "configuration": {"channel": MASK, "api_key": MASK, "digest": True},
        "space_selection": "selected",
    }
    assert change.sealed


async def test_without_kept_values_nothing_is_encrypted(file: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    settings = load_settings({"server": {"sandbox": True}, "store": {"url": file, "keep_values": False}})
    server = create_server(settings, http_transport=httpx.ASGITransport(app=spy))
    async with meet(server, Human(), "2026-07-28") as client:
        await client.call_tool(target.name, target.arguments)
    (change,) = await read_changes(file)
    assert change.sealed is None


async def test_an_error_of_the_api_is_recorded_as_failed(file: str) -> None:
    arguments = {"integrationName": OWN_INTEGRATION, "organization": ORGANIZATION_ID}
    async with meet(create(GitBookSpy(), file), Human(), "2026-07-28") as client:
        await client.call_tool("install_integration", arguments)  # it is already installed
    (change,) = await read_changes(file)
    assert (change.outcome, change.status, change.undo) == ("failed", 409, None)


class Gateway(GitBookSpy):
    """A gateway that passes writes on, and answers them with a status of its own."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET":
            await super().__call__(scope, receive, send)
            return

        async def drop(message: Any) -> None:
            """Lose the answer."""

        await super().__call__(scope, receive, drop)
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("status", [200, 302, 408, 500, 502, 503, 504])
async def test_after_an_error_or_a_page_of_a_gateway_the_outcome_is_unknown_and_the_undo_stays(
    status: int, file: str
) -> None:
    spy = Gateway(status)
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    arguments = {**target.arguments, "externalIds": ["new"]}
    before = list(installation.external_ids)
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        result = await client.call_tool("update_integration_installation", arguments)
    assert "It is unknown whether the call took effect" in read_text(result)
    (change,) = await read_changes(file)
    assert (change.outcome, change.status) == ("unknown", status)
    assert change.undo is not None
    assert change.undo[0]["arguments"]["externalIds"] == before
    assert installation.external_ids == ["new"]


class Breaking(GitBookSpy):
    """A GitBook that dies while it handles a write, after a look at the changes in the store by then."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.seen: list[Change] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] != "GET":
            self.seen = await read_changes(self.url)
            raise ConnectionError
        await super().__call__(scope, receive, send)


async def test_a_row_is_there_before_the_call_and_its_outcome_is_unknown_without_a_response(url: str) -> None:
    spy = Breaking(url)
    target = find_target(spy, "uninstall_integration_from_space")
    async with meet(create(spy, url), Human(), "2026-07-28") as client:
        result = await client.call_tool(target.name, target.arguments)
    assert read_code(result) == "no_response"
    assert [one.outcome for one in spy.seen] == ["unknown"]
    (change,) = await read_changes(url)
    assert (change.outcome, change.status) == ("unknown", None)
    assert change.undo is not None
    assert change.undo[0]["tool"] == "install_integration_on_space"


@contextlib.contextmanager
def forbid_writing(folder: Path) -> Iterator[None]:
    """Put a folder where the file of a store would be."""
    (folder / "store.db").mkdir()
    yield


async def test_a_change_that_cannot_be_recorded_is_not_sent_and_reads_go_on(file: str, tmp_path: Path) -> None:
    spy = GitBookSpy()
    installing = {"integrationName": "mermaid", "organization": ORGANIZATION_ID}
    with forbid_writing(tmp_path):
        async with meet(create(spy, file), Human(), "2026-07-28") as client:
            assert read_code(await client.call_tool("install_integration", installing)) == "store_unavailable"
            assert not (await client.call_tool("list_sites", {})).is_error
            assert read_code(await client.call_tool("list_changes", {})) == "store_unavailable"
    assert spy.mutations == []


async def test_credentials_in_external_ids_and_addresses_are_masked_by_shape(file: str, tmp_path: Path) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    hook = "https://hooks.slack.com/services/T000/B000/XXXX"
    tunnel = "https://tunnel.example/x?token=abcdef0123"
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        arguments = {**target.arguments, "externalIds": [hook, "team:1"]}
        await client.call_tool("update_integration_installation", arguments)
        arguments = {"integrationName": OWN_INTEGRATION, "tunnelUrl": tunnel, "all": False}
        await client.call_tool("set_integration_development_mode", arguments)
    updated, tunnelled = await read_changes(file)
    assert updated.arguments["externalIds"] == [MASK, "team:1"]
    assert tunnelled.arguments["tunnelUrl"] == MASK
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"XXXX" not in content
    assert b"abcdef0123" not in content


async def test_the_default_organization_is_recorded_for_a_call_that_does_not_tell_its_own(file: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "set_integration_development_mode")
    async with meet(create(spy, file), Human(), "2026-07-28") as client:
        await client.call_tool(target.name, target.arguments)
    (change,) = await read_changes(file)
    assert (change.tool, change.organization) == (target.name, ORGANIZATION_ID)


@pytest.mark.parametrize("name", ["a\0b", "x" * 1000, "xoxb-1234567890-abcdefghijklmnop"])
async def test_a_text_that_is_no_id_is_recorded_only_masked_or_not_at_all(name: str, url: str) -> None:
    async with meet(create(GitBookSpy(), url), None, "2026-07-28") as client:
        result = await client.call_tool("install_integration", {"integrationName": "mermaid", "organization": name})
        assert read_code(result) == "not_found"
        for tool in ("list_changes", "undo_change"):
            assert read_code(await client.call_tool(tool, {"changeId": name})) == "unknown_change"
    (change,) = await read_changes(url)
    assert change.organization is None


@pytest.mark.parametrize("place", ["space", "site"])
async def test_the_organization_of_an_update_of_a_place_is_known(place: str, file: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, f"uninstall_integration_from_{place}")
    settings = load_settings({"gitbook": {"token": USER_TOKEN}, "store": {"url": file}})
    server = create_server(settings, http_transport=httpx.ASGITransport(app=spy))
    async with meet(server, Human(), "2026-07-28") as client:
        tool = f"update_integration_{place}_installation"
        changed = await client.call_tool(tool, {**target.arguments, "externalIds": ["a"]})
        assert not changed.is_error, read_text(changed)
    (change,) = await read_changes(file)
    assert (change.outcome, change.organization) == ("done", ORGANIZATION_ID)
