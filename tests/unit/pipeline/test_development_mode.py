"""Development mode with an end: this server disables exactly what a human let it enable, and nothing else."""

from collections.abc import AsyncIterator, Iterator
from itertools import permutations
from typing import Any

import anyio
import httpx
import pytest

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import StoreError
from gitbook_integrations_mcp.pipeline import development_mode
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from gitbook_integrations_mcp.store.development_modes import CLAIM_SECONDS, UNANSWERED_SECONDS, DevelopmentModeStore
from gitbook_integrations_mcp.store.store import Store
from tests.support.elicitation_client import Clock, GitBookSpy, Human, create_gated_server, meet, read_status
from tests.support.fake_gitbook import Era, read_code
from tests.support.gated_calls import each_era
from tests.support.postgres_server import PostgresServer
from tests.support.stores import KINDS, find_url

HOUR = 3600
OTHER = "style-linter"
ENABLE = "set_integration_development_mode"
OWN = {"integrationName": OWN_INTEGRATION}
CALL = {**OWN, "tunnelUrl": "https://tunnel.example/secret-path"}
OFF = ("DELETE", f"/v1/integrations/{OWN_INTEGRATION}/dev")


@pytest.fixture
def spy() -> GitBookSpy:
    return GitBookSpy()


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
def url(tmp_path: Any) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
async def store(url: str, clock: Clock) -> AsyncIterator[Store]:
    store = Store(load_settings({"store": {"url": url}}), clock=clock)
    yield store
    await store.close()


def count_off(spy: GitBookSpy) -> int:
    """Return how often development mode was disabled. Nothing else may be deleted."""
    deleted = [one for one in spy.mutations if one[0] == "DELETE"]
    assert set(deleted) <= {OFF}
    return len(deleted)


async def enable(server: Any, duration: str | None = None, human: Human | None = None) -> Any:
    async with meet(server, human or Human(), "2026-07-28") as client:
        return await client.call_tool(ENABLE, CALL if duration is None else {**CALL, "for": duration})


@each_era
@pytest.mark.parametrize("kind", KINDS)
async def test_development_mode_ends_by_itself_at_the_approved_time(
    kind: str, era: Era, request: pytest.FixtureRequest, spy: GitBookSpy, clock: Clock
) -> None:
    server, human = create_gated_server(spy, clock, url=find_url(request, kind)), Human()
    async with meet(server, human, era) as client:
        result = await client.call_tool(ENABLE, {**CALL, "for": "1h"})
        assert read_status(result) == "done"
        assert result.structured_content["developmentMode"]["until"] == "2027-01-15T09:00:00Z"
        clock.now += HOUR - 1
        assert await server.development.disable_due() == 1
        assert count_off(spy) == 0
        clock.now += 1
        for _ in range(2):
            await server.development.disable_due()
            await server.development.disable_own()
        assert count_off(spy) == 1
        changes = (await client.call_tool("list_changes", {})).structured_content["items"]
    assert len(human.requests) == 1
    assert "1h" in human.texts[0]
    [ended, began] = changes
    assert (ended["tool"], ended["undoes"], ended["approval"]) == (OFF_TOOL, began["id"], "form")
    assert began["arguments"] == {**CALL, "for": "1h"}
    assert ended["organization"] == ORGANIZATION_ID
    state = spy.sandbox.state.integrations
    assert (state[OWN_INTEGRATION].development, state[OTHER].development is None) == (None, False)


async def test_the_question_names_a_tunnel_that_is_replaced_if_this_server_enabled_it(
    url: str, spy: GitBookSpy, clock: Clock
) -> None:
    human = Human()
    async with meet(create_gated_server(spy, clock, url=url), human, "2026-07-28") as client:
        for host in ("first", "second"):
            result = await client.call_tool(
                ENABLE, {**CALL, "tunnelUrl": f"https://{host}.example/secret", "for": "1h"}
            )
            assert read_status(result) == "done"
    first, second = human.texts
    assert "Replaces tunnel" not in first
    assert "Replaces tunnel: first.example, on until 2027-01-15T09:00:00Z" in second.replace("․", ".").replace(
        "：", ":"
    )


OFF_TOOL = "disable_integration_development_mode"


@each_era
@pytest.mark.parametrize("human", [None, Human(action="decline"), Human(confirm=False)])
async def test_without_approval_nothing_is_enabled_and_nothing_ends(
    human: Human | None, era: Era, url: str, spy: GitBookSpy, clock: Clock, store: Store
) -> None:
    server = create_gated_server(spy, clock, url=url, fallback="refuse")
    async with meet(server, human, era) as client:
        assert read_status(await client.call_tool(ENABLE, CALL)).startswith("confirmation_")
    clock.now += 100 * HOUR
    await server.development.disable_due()
    assert (spy.mutations, await store.development_modes.list()) == ([], [])


async def test_an_approval_of_one_duration_is_not_valid_for_another(url: str, spy: GitBookSpy, clock: Clock) -> None:
    server = create_gated_server(spy, clock, url=url, fallback="two-step")
    async with meet(server, None, "2026-07-28") as client:
        asked = (await client.call_tool(ENABLE, {**CALL, "for": "1h"})).structured_content["confirmationId"]
        for arguments in ({"for": "20h"}, {}, {"for": "1h", "all": True}):
            result = await client.call_tool(ENABLE, {**CALL, **arguments, "confirmationId": asked})
            assert read_status(result) == "confirmation_expired"
        assert spy.mutations == []
        assert read_status(await client.call_tool(ENABLE, {**CALL, "for": "1h", "confirmationId": asked})) == "done"


async def test_the_default_duration_is_part_of_the_question(url: str, spy: GitBookSpy, clock: Clock) -> None:
    human = Human()
    result = await enable(create_gated_server(spy, clock, url=url), human=human)
    assert result.structured_content["developmentMode"]["until"] == "2027-01-15T10:00:00Z"
    assert "For: 2h" in human.texts[0]


@pytest.mark.parametrize("duration", ["25h", "99999d", "0h", "-1h", "2 hours", "1.5h", ""])
async def test_a_duration_that_is_too_long_or_malformed_is_refused(duration: str, spy: GitBookSpy) -> None:
    result = await enable(create_gated_server(spy), duration)
    if duration == "":  # the model left it out
        assert read_status(result) == "done"
        return
    assert read_code(result) == "invalid_arguments"
    assert spy.mutations == []


async def test_the_end_of_an_earlier_approval_does_not_end_a_later_one(url: str, spy: GitBookSpy, clock: Clock) -> None:
    server = create_gated_server(spy, clock, url=url)
    await enable(server, "1h")
    clock.now += HOUR / 2
    await enable(server, "2h")
    clock.now += HOUR
    await server.development.disable_due()
    assert count_off(spy) == 0
    clock.now += HOUR
    await server.development.disable_due()
    assert count_off(spy) == 1


@each_era
async def test_nothing_is_sent_at_the_end_if_development_mode_is_off_already(
    era: Era, url: str, spy: GitBookSpy, clock: Clock, store: Store
) -> None:
    server = create_gated_server(spy, clock, url=url)
    async with meet(server, Human(), era) as client:
        await client.call_tool(ENABLE, CALL)
        clock.now += 1
        assert read_status(await client.call_tool(OFF_TOOL, OWN)) == "done"
    clock.now += 100 * HOUR
    await server.development.disable_due()
    await server.development.disable_own()
    assert (count_off(spy), await store.development_modes.list()) == (1, [])


async def test_what_gitbook_rejects_has_no_end(url: str, spy: GitBookSpy, clock: Clock, store: Store) -> None:
    server = create_gated_server(spy, clock, url=url)
    async with meet(server, Human(), "2026-07-28") as client:
        result = await client.call_tool(ENABLE, {**CALL, "integrationName": "slack"})
    assert read_code(result) == "forbidden"
    assert await store.development_modes.list() == []


async def test_what_the_store_cannot_keep_is_not_enabled(
    url: str, spy: GitBookSpy, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: Any, _mode: Any) -> None:
        raise StoreError("has no space left on its disk")

    monkeypatch.setattr(DevelopmentModeStore, "add", fail)
    server = create_gated_server(spy, clock, url=url)
    async with meet(server, Human(), "2026-07-28") as client:
        assert read_code(await client.call_tool(ENABLE, CALL)) == "store_unavailable"
        [change] = (await client.call_tool("list_changes", {})).structured_content["items"]
    assert (change["outcome"], spy.mutations) == ("not sent", [])


async def test_a_server_ends_what_an_earlier_one_left_on(url: str, spy: GitBookSpy, clock: Clock) -> None:
    await enable(create_gated_server(spy, clock, url=url))
    later = create_gated_server(spy, clock, url=url)
    await later.development.disable_own()  # it enabled nothing itself
    clock.now += HOUR
    await later.development.disable_due()
    assert count_off(spy) == 0
    async with meet(later, Human(), "2026-07-28") as client:
        shown = (await client.call_tool("get_integration_by_name", OWN)).structured_content["developmentMode"]
    assert (shown["tunnelHost"], shown["until"]) == ("tunnel.example", "2027-01-15T10:00:00Z")
    clock.now += HOUR
    await later.development.disable_due()
    assert count_off(spy) == 1


async def test_one_of_several_servers_ends_it(url: str, spy: GitBookSpy, clock: Clock) -> None:
    servers = [create_gated_server(spy, clock, url=url, run="same") for _ in range(3)]
    await enable(servers[0])
    clock.now += 2 * HOUR
    for server in servers:
        await server.development.disable_due()
    assert count_off(spy) == 1


async def test_a_server_with_another_token_ends_nothing_and_shows_nothing(
    url: str, spy: GitBookSpy, clock: Clock
) -> None:
    await enable(create_gated_server(spy, clock, url=url))
    settings = load_settings({"gitbook": {"token": "another-token-0123456789"}, "store": {"url": url}})
    other = create_server(settings, http_transport=httpx.ASGITransport(app=spy), clock=clock)
    clock.now += 100 * HOUR
    await other.development.disable_due()
    assert count_off(spy) == 0
    async with meet(other, Human(), "2026-07-28") as client:
        result = await client.call_tool("get_integration_by_name", {"integrationName": "slack"})
    assert "developmentMode" not in (result.structured_content or {})


async def test_a_server_that_stops_ends_what_it_enabled(url: str, spy: GitBookSpy, clock: Clock) -> None:
    server = create_gated_server(spy, clock, url=url)
    async with server.development.run():
        await enable(server)
        assert count_off(spy) == 0
    assert count_off(spy) == 1


async def test_a_server_that_stops_closes_what_it_opened_after_its_last_connection(
    postgres: PostgresServer, spy: GitBookSpy, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(development_mode, "_FIRST_LOOK_SECONDS", 0)
    server = create_gated_server(spy, clock, url=postgres.url)
    async with server.development.run():
        await postgres.await_connections(1)
    await postgres.await_connections(0)


@pytest.mark.parametrize("tool", [OFF_TOOL, "unpublish_integration", ENABLE])
@pytest.mark.parametrize("elsewhere", [False, True])
async def test_credentials_are_forgotten_when_their_development_mode_is_over(
    tool: str, elsewhere: bool, url: str, spy: GitBookSpy, clock: Clock
) -> None:
    server = create_gated_server(spy, clock, url=url)
    await enable(server)
    [kept] = server.development._own
    clock.now += 1
    other = create_gated_server(spy, clock, url=url) if elsewhere else server
    async with meet(other, Human(), "2026-07-28") as client:
        assert read_status(await client.call_tool(tool, CALL if tool == ENABLE else OWN)) == "done"
    if elsewhere:
        await server.development.disable_due()
    assert kept not in server.development._own


@pytest.mark.parametrize("by", ["the server", "a call"])
@pytest.mark.parametrize("page", [False, True])
async def test_an_end_that_gitbook_does_not_answer_is_tried_again(
    page: bool, by: str, url: str, spy: GitBookSpy, clock: Clock
) -> None:
    failing = True

    async def fail_at_times(scope: Any, receive: Any, send: Any) -> None:
        if not failing or scope["method"] != "DELETE":
            await spy(scope, receive, send)
        elif page:  # of a proxy
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
            await send({"type": "http.response.body", "body": b"<html>"})
        else:
            raise httpx.ConnectError("refused")

    settings = load_settings({"server": {"sandbox": True}, "store": {"url": url}, "limits": {"attempts": 1}})
    server = create_server(settings, http_transport=httpx.ASGITransport(app=fail_at_times), clock=clock)
    await enable(server)
    if by == "a call":
        async with meet(server, Human(), "2026-07-28") as client:
            assert (await client.call_tool(OFF_TOOL, OWN)).is_error
    clock.now += 2 * HOUR
    await server.development.disable_due()
    failing = False
    await server.development.disable_due()
    assert count_off(spy) == 0  # still claimed
    clock.now += CLAIM_SECONDS + 1
    await server.development.disable_due()
    assert count_off(spy) == 1


async def test_a_server_that_may_not_disable_development_mode_does_not_enable_it(spy: GitBookSpy) -> None:
    settings = load_settings({"server": {"sandbox": True}, "tools": {"exclude": [OFF_TOOL]}})
    result = await enable(create_server(settings, http_transport=httpx.ASGITransport(app=spy)))
    assert read_code(result) == "tool_disabled"
    assert spy.mutations == []


async def test_reading_an_integration_opens_no_store(url: str, spy: GitBookSpy, tmp_path: Any) -> None:
    async with meet(create_gated_server(spy, url=url), Human(), "2026-07-28") as client:
        await client.call_tool("get_integration_by_name", OWN)
    assert list(tmp_path.iterdir()) == []


async def test_an_audit_reports_it_until_it_is_disabled(spy: GitBookSpy, clock: Clock) -> None:
    async def audit() -> list[Any]:
        arguments = {"section": "findings", "integration": OWN_INTEGRATION, "refresh": True}
        named = {"organizationId": ORGANIZATION_ID, **arguments}
        content = (await client.call_tool("audit_installations", named)).structured_content
        assert content is not None
        return [one for one in content["items"] if one["rule"] == "development-mode-on"]

    async with meet(create_gated_server(spy, clock), Human(), "2026-07-28") as client:
        await client.call_tool(ENABLE, CALL)
        (finding,) = await audit()
        remedy = finding["remedy"]
        assert (remedy["tool"], remedy["arguments"]) == ("disable_integration_development_mode", OWN)
        assert "secret-path" not in str(finding)
        clock.now += 1
        assert read_status(await client.call_tool(remedy["tool"], remedy["arguments"])) == "done"
        assert await audit() == []


class SlowGitBook:
    """GitBook that takes each step of a call that changes development mode when the test says so.

    The steps of a call are that it arrives, that it takes effect, and that it is answered.
    """

    def __init__(self, spy: GitBookSpy) -> None:
        self._spy = spy
        self._allowed: dict[str, anyio.Event] = {}
        self._done: dict[str, anyio.Event] = {}
        for call in ("enable", "disable"):
            for step in ("arrive", "act", "answer"):
                self._allowed[f"{call}: {step}"] = anyio.Event()
                self._done[f"{call}: {step}"] = anyio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        name = "disable" if scope["method"] == "DELETE" else "enable"
        if scope["method"] == "GET" or self._done[f"{name}: answer"].is_set():
            await self._spy(scope, receive, send)
            return
        messages: list[Any] = []

        async def keep(message: Any) -> None:
            messages.append(message)

        self._done[f"{name}: arrive"].set()
        await self._allowed[f"{name}: act"].wait()
        await self._spy(scope, receive, keep)
        self._done[f"{name}: act"].set()
        await self._allowed[f"{name}: answer"].wait()
        for message in messages:
            await send(message)
        self._done[f"{name}: answer"].set()

    async def take(self, step: str) -> None:
        """Let a step happen, and wait for it."""
        self._allowed[step].set()
        await self._done[step].wait()


def list_interleavings() -> Iterator[tuple[str, ...]]:
    """Yield every order of the steps of one call that enables and one that disables."""
    steps = ("arrive", "act", "answer")
    for order in sorted(set(permutations(("enable", "disable") * 3))):
        left = {"enable": iter(steps), "disable": iter(steps)}
        yield tuple(f"{name}: {next(left[name])}" for name in order)


@pytest.mark.parametrize("order", list(list_interleavings()), ids=", ".join)
async def test_a_tunnel_that_is_on_has_a_row_in_every_interleaving_of_enable_and_disable(
    order: tuple[str, ...], url: str, spy: GitBookSpy, clock: Clock, store: Store
) -> None:
    gitbook = SlowGitBook(spy)
    arguments = {ENABLE: CALL, OFF_TOOL: OWN}
    settings = load_settings({"server": {"sandbox": True}, "store": {"url": url}})
    server = create_server(settings, http_transport=httpx.ASGITransport(app=gitbook), clock=clock)
    integration = spy.sandbox.state.integrations[OWN_INTEGRATION]
    async with meet(server, Human(), "2026-07-28") as client:
        done = {ENABLE: anyio.Event(), OFF_TOOL: anyio.Event()}

        async def call(name: str) -> None:
            assert not (await client.call_tool(name, arguments[name])).is_error
            done[name].set()

        async with anyio.create_task_group() as group:
            for step in order:
                name = ENABLE if step.startswith("enable") else OFF_TOOL
                if step.endswith("arrive"):
                    clock.now += 1
                    group.start_soon(call, name)
                await gitbook.take(step)
                if step.endswith("answer"):
                    await done[name].wait()
                assert integration.development is None or await store.development_modes.list()
        clock.now += 100 * HOUR
        await server.development.disable_due()
    assert (integration.development, await store.development_modes.list()) == (None, [])


@pytest.mark.parametrize("by", ["the caller", "the end"])
async def test_an_enable_without_an_answer_keeps_its_row_until_it_can_no_longer_take_effect(
    by: str, url: str, spy: GitBookSpy, clock: Clock, store: Store
) -> None:
    late = True

    async def lose(scope: Any, receive: Any, send: Any) -> None:
        if late and scope["method"] not in {"GET", "DELETE"}:
            raise httpx.ReadTimeout("no answer")
        await spy(scope, receive, send)

    settings = load_settings({"server": {"sandbox": True}, "store": {"url": url}, "limits": {"attempts": 1}})
    server = create_server(settings, http_transport=httpx.ASGITransport(app=lose), clock=clock)
    async with meet(server, Human(), "2026-07-28") as client:
        assert (await client.call_tool(ENABLE, {**CALL, "for": "1s"})).is_error

        async def disable() -> None:
            if by == "the caller":
                await client.call_tool(OFF_TOOL, OWN)
            else:
                await server.development.disable_due()

        clock.now += 1
        await disable()
        assert (count_off(spy), len(await store.development_modes.list())) == (1, 1)
        clock.now += UNANSWERED_SECONDS
        await disable()
    assert (count_off(spy), await store.development_modes.list()) == (2, [])
