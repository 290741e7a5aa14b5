"""Who watches a resource hears of the changes that this server made for them, in both eras, and of nobody else's."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from gitbook_integrations_api.resources import RESOURCES, SCHEME
from gitbook_integrations_mcp.features.addresses import read_address, write_uri
from gitbook_integrations_mcp.features.subscriptions import MAX_WATCHED, Subscriptions, Watcher
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.elicitation_client import GitBookSpy, Human, create_gated_server, read_status
from tests.support.fake_gitbook import ERAS, NOT_FOUND, Era, Upstream, connect, read_capabilities
from tests.support.http_server import CALLERS, Kind, bear, each_way, serve
from tests.support.http_server import connect as reach
from tests.support.process import COMMAND, SOON
from tests.support.subscriber import Subscriber, find_installation, handle_updates, update, watch

each_era = pytest.mark.parametrize("era", ERAS)
INVENTORY = f"{SCHEME}://orgs/{ORGANIZATION_ID}/installations"
SLACK = f"{SCHEME}://integrations/slack"


@contextlib.asynccontextmanager
async def listen_to(server: Any, era: Era) -> AsyncIterator[Subscriber]:
    """Yield the subscriber of a client of `server`, in memory or as a process."""
    subscriber: Subscriber
    handlers: list[Any] = []

    async def handle(message: Any) -> None:
        for handler in handlers:
            await handler(message)

    async with Client(server, mode=era, message_handler=handle) as client:
        subscriber = Subscriber(client)
        handlers.append(handle_updates(subscriber))
        yield subscriber


@each_era
async def test_a_write_tells_of_what_it_touched_and_of_nothing_else(era: Era) -> None:
    spy = GitBookSpy()
    installation = find_installation(spy)
    mine, other = write_uri(RESOURCES["installation"], installation), SLACK
    async with listen_to(create_gated_server(spy), era) as subscriber, watch(subscriber, mine, INVENTORY, other):
        await subscriber.client.read_resource(mine)
        await subscriber.client.call_tool("list_sites", {})
        await update(subscriber.client, installation)
        await subscriber.take(mine, INVENTORY)


@each_era
async def test_who_no_longer_watches_hears_nothing(era: Era) -> None:
    spy = GitBookSpy()
    installation = find_installation(spy)
    mine = write_uri(RESOURCES["installation"], installation)
    async with listen_to(create_gated_server(spy), era) as subscriber:
        async with watch(subscriber, mine):
            await update(subscriber.client, installation)
            await subscriber.take(mine)
        async with watch(subscriber, INVENTORY):
            await update(subscriber.client, installation)
            await subscriber.take(INVENTORY)


@each_era
@pytest.mark.parametrize(("status", "told"), [(200, 1), (400, 0), (404, 0), (500, 1)])
async def test_a_write_that_changed_nothing_tells_nobody_and_one_of_unknown_fate_does(
    era: Era, status: int, told: int
) -> None:
    upstream = Upstream(status)
    installation = {"integrationName": "slack", "installationId": "i"}
    mine = write_uri(RESOURCES["installation"], installation)
    async with connect(upstream, era) as client:
        subscriber = Subscriber(client)
        client.session._message_handler = handle_updates(subscriber)
        async with watch(subscriber, mine, INVENTORY):
            await client.call_tool("install_integration_on_space", {**installation, "space": "s"})  # reads nothing
            # What is told is told in order: the next write is the first heard of, if this one was not.
            upstream.status = 200
            await client.call_tool("install_integration", {"integrationName": "new", "organization": ORGANIZATION_ID})
            await subscriber.take(*[mine, INVENTORY] * told, INVENTORY)


@each_era
async def test_a_no_of_the_human_tells_nobody_and_a_yes_does(era: Era) -> None:
    spy, human = GitBookSpy(), Human(action="decline")
    installation = find_installation(spy)
    mine = write_uri(RESOURCES["installation"], installation)
    async with Client(create_gated_server(spy), mode=era, elicitation_callback=human.answer) as client:
        subscriber = Subscriber(client)
        client.session._message_handler = handle_updates(subscriber)
        async with watch(subscriber, mine, INVENTORY):
            assert read_status(await client.call_tool("uninstall_integration", installation)) == "confirmation_declined"
            human.action = "accept"
            assert read_status(await client.call_tool("uninstall_integration", installation)) == "done"
            await subscriber.take(mine, INVENTORY)


async def test_a_session_that_goes_on_with_another_token_watches_nothing_of_before() -> None:
    upstream = Upstream()
    sections: dict[str, Any] = {"http": {"credentials": "per-request"}}
    installation = {"integrationName": "slack", "installationId": "i"}
    mine = write_uri(RESOURCES["installation"], installation)
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(serve(upstream, **sections))
        http = await stack.enter_async_context(httpx2.AsyncClient(headers={"X-GitBook-Token": "one"}, trust_env=False))
        transport: Any = streamable_http_client(f"{address}/mcp", http_client=http)
        client = await stack.enter_async_context(Client(transport, mode="legacy"))
        subscriber = Subscriber(client)
        client.session._message_handler = handle_updates(subscriber)
        await stack.enter_async_context(watch(subscriber, mine))
        await update(client, installation)
        await subscriber.take(mine)
        http.headers["X-GitBook-Token"] = "two"
        await update(client, installation)
        await stack.enter_async_context(watch(subscriber, INVENTORY))
        await update(client, installation)
        await subscriber.take(INVENTORY)


@each_era
async def test_what_is_no_resource_for_a_caller_cannot_be_watched(era: Era) -> None:
    nothing = f"{SCHEME}://nothing"
    async with connect(Upstream(), era, tools={"exclude": ["get_integration_by_name"]}) as client:
        subscriber = Subscriber(client)
        if era == "legacy":
            for uri in (nothing, SLACK):
                with pytest.raises(MCPError) as caught:
                    async with watch(subscriber, uri):
                        pass
                assert caught.value.code == NOT_FOUND[era]
        else:
            async with watch(subscriber, nothing, INVENTORY, SLACK) as honoured:
                assert honoured == [INVENTORY]


@each_era
async def test_one_client_cannot_watch_without_end(era: Era) -> None:
    uris = [f"{SCHEME}://integrations/i{number}" for number in range(MAX_WATCHED + 1)]
    async with connect(Upstream(), era) as client:
        subscriber = Subscriber(client)
        if era == "legacy":
            with pytest.raises(MCPError, match=str(MAX_WATCHED)) as caught:
                async with watch(subscriber, *uris):
                    pass
            assert caught.value.data == {"code": "too_many_subscriptions"}
        else:
            async with watch(subscriber, *uris) as honoured:
                assert honoured == uris[:MAX_WATCHED]


@each_era
async def test_many_clients_cannot_watch_without_end(era: Era, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitbook_integrations_mcp.features.subscriptions.MAX_WATCHERS", 1)
    server = create_gated_server(GitBookSpy())
    async with listen_to(server, era) as one, listen_to(server, era) as other, watch(one, SLACK):
        with pytest.raises(MCPError) as caught:
            async with watch(other, SLACK):
                pass
    assert caught.value.data == {"code": "too_many_subscriptions"}


@each_era
async def test_a_client_that_goes_leaves_nothing_behind(era: Era, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Subscriptions] = []
    create = Subscriptions.__init__

    def remember(self: Subscriptions, *, announces_tools: bool) -> None:
        create(self, announces_tools=announces_tools)
        made.append(self)

    monkeypatch.setattr(Subscriptions, "__init__", remember)
    server = create_gated_server(GitBookSpy())
    for _ in range(3):
        async with contextlib.AsyncExitStack() as stack:
            subscriber = await stack.enter_async_context(listen_to(server, era))
            for _ in range(2):
                async with watch(subscriber, SLACK):
                    (subscriptions,) = made
                    assert len(subscriptions._watchers) == 1
        assert (subscriptions._watchers, subscriptions._sessions, subscriptions._streams) == ({}, {}, {})


async def test_a_client_that_takes_nothing_does_not_hold_up_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitbook_integrations_mcp.features.subscriptions._TIMEOUT_SECONDS", 0.05)
    spy = GitBookSpy()
    installation = find_installation(spy)
    server = create_gated_server(spy)
    stuck = Watcher("", "", lambda _uri: anyio.sleep_forever(), lambda: None, {INVENTORY: read_address(INVENTORY)})
    server.subscriptions._watchers[stuck] = None
    async with listen_to(server, "2026-07-28") as subscriber, watch(subscriber, INVENTORY):
        with anyio.fail_after(5):
            await update(subscriber.client, installation)
        await subscriber.take(INVENTORY)
    assert len(spy.mutations) == 1


@each_era
async def test_where_the_next_process_may_make_the_change_nobody_is_promised_to_be_told(era: Era) -> None:
    sections: dict[str, Any] = {"server": {"transport": ["streamable-http"]}, "http": {"stateless": True}}
    async with connect(Upstream(), era, **sections) as client:
        assert (await read_capabilities(client))["resources"] == {"listChanged": False, "subscribe": False}
        with pytest.raises(MCPError, match="Method not found"):
            async with watch(Subscriber(client), SLACK):
                pass


# Over real transports


@pytest.mark.slow
@each_era
async def test_it_works_over_stdio(era: Era) -> None:
    server = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "--sandbox"])
    installation = find_installation(GitBookSpy())
    mine = write_uri(RESOURCES["installation"], installation)
    async with listen_to(server, era) as subscriber, watch(subscriber, mine, SLACK) as honoured:
        assert honoured == [mine, SLACK]
        await update(subscriber.client, installation)
        await subscriber.take(mine)


@each_era
async def test_a_caller_who_watches_with_many_clients_gives_way_to_another(
    era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitbook_integrations_mcp.features.subscriptions.MAX_WATCHERS", 3)
    upstream = Upstream()
    sections: dict[str, Any] = {"http": {"tokens": CALLERS}, "gitbook": {"token": "t"}}
    installation = {"integrationName": "slack", "installationId": "i"}
    mine = write_uri(RESOURCES["installation"], installation)
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(serve(upstream, **sections))

        async def open_subscriber(name: str) -> Subscriber:
            client = await stack.enter_async_context(reach(address, "streamable-http", era, headers=bear(name)))
            subscriber = Subscriber(client)
            client.session._message_handler = handle_updates(subscriber)
            return subscriber

        bobs = [await open_subscriber("bob") for _ in range(4)]
        for subscriber in bobs[:3]:
            await stack.enter_async_context(watch(subscriber, mine))
        ann = await open_subscriber("ann")
        await stack.enter_async_context(watch(ann, mine))
        with pytest.raises(MCPError) as caught:
            await stack.enter_async_context(watch(bobs[3], mine))
        assert caught.value.data == {"code": "too_many_subscriptions"}
        await update(ann.client, installation)
        await ann.take(mine)
        await update(bobs[1].client, installation)
        # With protocol 2025-11-25, each session is a caller of its own.
        for subscriber in [bobs[1]] if era == "legacy" else bobs[1:3]:
            await subscriber.take(mine)
        assert [subscriber.updated for subscriber in bobs] == [[], [], [], []]


@each_way
@pytest.mark.parametrize("credentials", ["operator", "per-request"])
async def test_of_two_callers_each_hears_of_their_own_changes_only(kind: Kind, era: Era, credentials: str) -> None:
    upstream = Upstream()
    sections: dict[str, Any] = {"http": {"tokens": CALLERS, "credentials": credentials}, "gitbook": {"token": "t"}}
    installations = [{"integrationName": "slack", "installationId": name} for name in ("anns", "bobs")]
    uris = [write_uri(RESOURCES["installation"], installation) for installation in installations]
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(serve(upstream, **sections))
        subscribers = []
        for name in ("ann", "bob"):
            headers = bear(name, **{"X-GitBook-Token": f"{name}s-token"})
            client = await stack.enter_async_context(reach(address, kind, era, Human(), headers))
            subscribers.append(Subscriber(client))
            client.session._message_handler = handle_updates(subscribers[-1])
            await stack.enter_async_context(watch(subscribers[-1], *uris))
        for writer in (0, 1, 1, 0):
            await update(subscribers[writer].client, installations[writer])
            # What each hears comes in order: of another's change, they would have heard before.
            await subscribers[writer].take(uris[writer])
        assert [subscriber.updated for subscriber in subscribers] == [[], []]


@pytest.mark.slow
async def test_a_server_that_is_told_to_stop_ends_its_streams_first() -> None:
    words = ["serve", "--sandbox", "--transport", "streamable-http", "--port", "0"]
    async with await anyio.open_process([*COMMAND, *words], stdout=None) as process:
        assert process.stderr is not None
        address = (await process.stderr.receive()).decode().split()[-1].removesuffix("/mcp")
        async with (
            reach(address, "streamable-http", "2026-07-28") as client,
            client.listen(resource_subscriptions=[SLACK]) as subscription,
        ):
            process.terminate()
            with anyio.fail_after(SOON):
                assert [event async for event in subscription] == []
    assert process.returncode in {0, -15}
