"""Two servers that share a real PostgreSQL, or a SQLite file as workers do, behave like one server."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import pytest
from mcp.client.session import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult
from sqlalchemy import select

from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN
from gitbook_integrations_mcp.store.confirmations import ConfirmationStore
from gitbook_integrations_mcp.store.pending import PendingConfirmation
from gitbook_integrations_mcp.store.schema import confirmations
from tests.support.elicitation_client import GitBookSpy, Human, find_outcome, read_status
from tests.support.fake_gitbook import ERAS, Era, read_text
from tests.support.gated_calls import APPROVAL, Target, call_once, find_target, start_call
from tests.support.http_server import CALLERS, bear, connect, serve
from tests.support.loopback import open_client
from tests.support.page_client import APPROVE, Browser
from tests.support.postgres_server import PostgresServer, start_postgres
from tests.support.stores import KEYS, RUN, find_url, open_store

each_era = pytest.mark.parametrize("era", ERAS)

PUBLIC = "https://mcp.example"
DECLINE = {"decision": "decline"}


@dataclass
class Replicas:
    """Two servers with one GitBook, and their addresses."""

    spy: GitBookSpy
    one: str
    other: str
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        self.target = find_target(self.spy, "uninstall_integration")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a store that both share."""
    return find_url(request, request.param)


@contextlib.asynccontextmanager
async def replicate(url: str, **sections: Any) -> AsyncIterator[Replicas]:
    """Yield two servers that share only a store and settings, behind one public address."""
    spy = GitBookSpy()
    sections["store"] = {"url": url}
    sections["confirmation"] = {"keys": KEYS, **sections.get("confirmation", {})}
    sections["http"] = {"public_url": PUBLIC, **sections.get("http", {})}
    async with serve(spy, run=RUN, **sections) as one, serve(spy, run=RUN, **sections) as other:
        yield Replicas(spy, one, other)


def meet(
    address: str, human: Human | None = None, era: Era = "2026-07-28", headers: Mapping[str, str] | None = None
) -> Any:
    """Return a client of the replica at `address`."""
    return connect(address, "streamable-http", era, human, headers)


async def decide(address: str, url: str, fields: dict[str, str]) -> int:
    """Decide on a page that the replica at `address` serves, and return the HTTP status."""
    headers = {"Host": httpx.URL(PUBLIC).host, "Origin": PUBLIC}
    async with open_client(headers=headers) as client:
        return (await Browser(client).decide(address + httpx.URL(url).path, fields, {"Origin": PUBLIC})).status_code


async def repeat(client: Any, target: Target) -> dict[str, Any]:
    """Make a call and return the structured content of its result."""
    result = await client.call_tool(target.name, target.arguments)
    assert not result.is_error, read_text(result)
    content: dict[str, Any] = result.structured_content
    return content


async def answer(address: str, target: Target, state: str, response: Any = APPROVAL) -> str:
    """Send a human's response to the replica at `address`, and return the outcome."""
    async with meet(address, Human()) as client:
        result = await call_once(client, target, state, response)
    assert isinstance(result, CallToolResult)
    return "error" if result.is_error else read_status(result)


async def test_a_confirmation_of_one_replica_is_used_once_at_the_other(url: str) -> None:
    async with replicate(url) as both:
        async with meet(both.one, Human()) as client:
            state = await start_call(client, both.target)
        assert await answer(both.other, both.target, state) == "done"
        for address in (both.one, both.other):
            assert await answer(address, both.target, state) == "confirmation_expired"
    assert len(both.spy.mutations) == 1


async def test_of_forty_simultaneous_approvals_at_both_replicas_one_runs(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reads the open confirmation before any of them uses it up."""
    results: list[str] = []
    looked: list[PendingConfirmation | None] = []
    all_looked = anyio.Event()
    get = ConfirmationStore.get

    async def look_at_together(store: ConfirmationStore, confirmation_id: str) -> PendingConfirmation | None:
        looked.append(await get(store, confirmation_id))
        if len(looked) == 40:
            all_looked.set()
        await all_looked.wait()
        return looked[0]

    monkeypatch.setattr(ConfirmationStore, "get", look_at_together)
    async with (
        replicate(url) as both,
        meet(both.one, Human()) as ones,
        meet(both.other, Human()) as others,
    ):
        state = await start_call(ones, both.target)

        async def replay(client: Any) -> None:
            result = await call_once(client, both.target, state, APPROVAL)
            assert isinstance(result, CallToolResult)
            results.append(read_status(result))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(replay, ones)
                group.start_soon(replay, others)
    assert sorted(results) == ["confirmation_expired"] * 39 + ["done"]
    assert len(both.spy.mutations) == 1


async def test_a_refusal_at_one_replica_revokes_an_approval_at_the_other(url: str) -> None:
    async with replicate(url) as both, meet(both.other) as unasked:
        async with meet(both.one, Human()) as asked:
            state = await start_call(asked, both.target)
        page = (await repeat(unasked, both.target))["url"]
        assert await decide(both.other, page, APPROVE) == 200
        assert await answer(both.one, both.target, state, ElicitResult(action="decline")) == "confirmation_declined"
        assert find_outcome(await repeat(unasked, both.target)) == "confirmation_required"
    assert both.spy.mutations == []


@each_era
@pytest.mark.parametrize(("fields", "status", "sent"), [(APPROVE, "done", 1), (DECLINE, "confirmation_declined", 0)])
async def test_a_page_of_one_replica_decides_a_call_to_the_other(
    url: str, era: Era, fields: dict[str, str], status: str, sent: int
) -> None:
    """A client of protocol 2025-11-25 has a session at one replica, so it repeats its call there."""
    async with replicate(url) as both, meet(both.one, era=era) as client:
        page = (await repeat(client, both.target))["url"]
        assert page.startswith(PUBLIC)
        assert (await repeat(client, both.target))["url"] == page
        assert await decide(both.other, page, fields) == 200
        assert await decide(both.one, page, APPROVE) == 410
        assert find_outcome(await repeat(client, both.target)) == status
    assert len(both.spy.mutations) == sent


async def test_an_approval_on_the_page_runs_once_at_either_replica(url: str) -> None:
    statuses: list[str] = []
    async with replicate(url) as both, meet(both.one) as ones, meet(both.other) as others:
        assert await decide(both.one, (await repeat(ones, both.target))["url"], APPROVE) == 200

        async def call(client: Any) -> None:
            result = await client.call_tool(both.target.name, both.target.arguments)
            statuses.append("404" if result.is_error else read_status(result))

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(call, ones)
                group.start_soon(call, others)
    assert statuses.count("done") == 1
    assert len(both.spy.mutations) == 1


@dataclass
class Visitor(Human):
    """A human whose client opens the URL, and who decides later."""

    sent: anyio.Event = field(default_factory=anyio.Event)

    async def answer(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Report that the page is open."""
        self.requests.append(params)
        self.sent.set()
        return ElicitResult(action="accept")


@each_era
@pytest.mark.parametrize(("fields", "status"), [(APPROVE, "done"), (DECLINE, "confirmation_declined")])
async def test_a_call_that_waits_at_one_replica_ends_with_a_decision_at_the_other(
    url: str, era: Era, fields: dict[str, str], status: str
) -> None:
    human = Visitor()
    statuses: list[str] = []
    async with replicate(url, confirmation={"ask": "fallback"}) as both, meet(both.one, human, era) as client:

        async def call() -> None:
            statuses.append(find_outcome(await repeat(client, both.target)))

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await human.sent.wait()
            assert await decide(both.other, human.requests[0].url, fields) == 200  # type: ignore[union-attr]
    assert statuses == [status]
    assert len(both.spy.mutations) == (1 if status == "done" else 0)


async def test_keys_can_be_rotated_without_interruption(url: str) -> None:
    new = "another key of the tests that is long enough"
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")

    async def ask_and_answer(asking: list[str], answering: list[str]) -> str:
        async with (
            serve(spy, run=RUN, store={"url": url}, confirmation={"keys": asking}) as one,
            serve(spy, run=RUN, store={"url": url}, confirmation={"keys": answering}) as other,
        ):
            async with meet(one, Human()) as client:
                state = await start_call(client, target)
            return await answer(other, target, state, ElicitResult(action="decline"))

    for asking, answering in (
        (KEYS, [*KEYS, new]),
        ([*KEYS, new], [new, *KEYS]),
        ([new, *KEYS], [*KEYS, new]),
        ([new, *KEYS], [new]),
    ):
        assert await ask_and_answer(asking, answering) == "confirmation_declined"
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # the SDK's clients raise groups of groups
        await ask_and_answer(KEYS, [new])
    assert "Invalid or expired requestState" in repr(caught.value.split(lambda error: "requestState" in str(error)))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("url", "status"), [("sqlite", "confirmation_expired"), ("postgres", "done")], indirect=["url"]
)
async def test_confirmations_survive_a_restart_of_the_server_only_in_a_database(url: str, status: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    sections: dict[str, Any] = {"store": {"url": url}, "confirmation": {"keys": KEYS}}
    async with serve(spy, **sections) as address, meet(address, Human()) as client:
        state = await start_call(client, target)
    async with serve(spy, **sections) as address:
        assert await answer(address, target, state) == status
    assert len(spy.mutations) == (status == "done")


@each_era
async def test_without_sessions_any_replica_accepts_the_second_call(url: str, era: Era) -> None:
    async with (
        replicate(url, http={"stateless": True}, confirmation={"fallback": "two-step"}) as both,
        meet(both.one, era=era) as ones,
        meet(both.other, era=era) as others,
    ):
        confirmation_id = (await repeat(ones, both.target))["confirmationId"]
        second = Target(both.target.name, {**both.target.arguments, "confirmationId": confirmation_id})
        assert find_outcome(await repeat(others, second)) == "done"
        assert len(both.spy.mutations) == 1


async def test_without_a_session_a_client_of_protocol_2025_11_25_gets_the_page(url: str) -> None:
    human = Human()
    async with (
        replicate(url, http={"stateless": True}) as both,
        meet(both.one, human, "legacy") as ones,
        meet(both.other, human, "legacy", {"Mcp-Session-Id": "made up"}) as others,
    ):
        page = (await repeat(ones, both.target))["url"]
        assert await decide(both.other, page, APPROVE) == 200
        assert find_outcome(await repeat(others, both.target)) == "done"
    assert human.requests == []
    assert len(both.spy.mutations) == 1


@each_era
async def test_an_approval_of_one_caller_is_not_valid_for_another_at_any_replica(url: str, era: Era) -> None:
    sections = {"http": {"tokens": CALLERS, "stateless": True}, "confirmation": {"fallback": "two-step"}}
    async with (
        replicate(url, **sections) as both,
        meet(both.one, era=era, headers=bear("ann")) as anns,
        meet(both.other, era=era, headers=bear("bob")) as bobs,
    ):
        confirmation_id = (await repeat(anns, both.target))["confirmationId"]
        second = Target(both.target.name, {**both.target.arguments, "confirmationId": confirmation_id})
        assert find_outcome(await repeat(bobs, second)) == "confirmation_expired"
        assert both.spy.mutations == []
        assert find_outcome(await repeat(anns, second)) == "done"  # the attempt of another caller leaves it open
    assert len(both.spy.mutations) == 1


async def test_an_approval_at_a_server_with_another_token_is_not_valid(url: str) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    ours = {"sandbox": False, "transport": ["streamable-http"]}
    shared = {"store": {"url": url}, "confirmation": {"keys": KEYS}, "http": {"public_url": PUBLIC}}
    sections: dict[str, Any] = {"server": ours, "run": RUN, **shared}
    tokens = {"token": USER_TOKEN, "organization": ORGANIZATION_ID}
    async with (
        serve(spy, gitbook=tokens, **sections) as one,
        serve(spy, gitbook={**tokens, "integration_token": "another"}, **sections) as other,
        meet(one) as ones,
        meet(other) as others,
    ):
        page = (await repeat(ones, target))["url"]
        assert await decide(other, page, APPROVE) == 200
        assert find_outcome(await repeat(others, target)) == "confirmation_required"
        assert spy.mutations == []
        assert find_outcome(await repeat(ones, target)) == "done"


async def test_no_secret_is_kept_with_a_confirmation(url: str) -> None:
    async with replicate(url) as both, meet(both.one) as client, meet(both.one, Human()) as asked:
        installation = both.spy.sandbox.state.installations[both.target.arguments["installationId"]]
        installation.configuration["password"] = "third-party-secret"
        await repeat(client, both.target)
        await start_call(asked, both.target)
        store = open_store(url)
        async with store.database.read() as connection:
            kept = repr((await connection.execute(select(confirmations))).all())
        await store.close()
        assert "Uninstall" in kept
        for secret in (USER_TOKEN, *KEYS, *(str(value) for value in installation.configuration.values())):
            assert len(secret) < 6 or secret not in kept


# Without the store


@pytest.fixture
def frail() -> Iterator[PostgresServer]:
    """A PostgreSQL that the test stops."""
    with start_postgres() as server:
        yield server


async def test_without_the_store_only_calls_that_need_confirmation_fail(frail: PostgresServer) -> None:
    async with replicate(frail.url) as both, meet(both.one) as unasked:
        async with meet(both.one, Human()) as asked:
            state = await start_call(asked, both.target)
        page = (await repeat(unasked, both.target))["url"]
        assert await decide(both.one, page, APPROVE) == 200
        frail.stop()
        assert await answer(both.other, both.target, state) == "error"
        result = await unasked.call_tool(both.target.name, both.target.arguments)
        assert result.is_error
        assert result.structured_content["code"] == "store_unavailable"
        assert "Nothing was sent" in read_text(result)
        assert await decide(both.one, page, APPROVE) == 503
        assert not (await unasked.call_tool("list_sites", {})).is_error
        frail.start()
        assert await answer(both.one, both.target, state) == "confirmation_expired"
        assert find_outcome(await repeat(unasked, both.target)) == "confirmation_required"
    assert both.spy.mutations == []


@each_era
async def test_an_approval_that_cannot_be_used_up_sends_nothing(frail: PostgresServer, era: Era) -> None:
    human = Human(before=frail.stop)
    async with replicate(frail.url) as both, meet(both.one, human, era) as client:
        result = await client.call_tool(both.target.name, both.target.arguments)
    assert len(human.requests) == 1
    assert result.is_error
    assert result.structured_content["code"] == "store_unavailable"
    assert "Nothing was sent" in read_text(result)
    assert both.spy.mutations == []
