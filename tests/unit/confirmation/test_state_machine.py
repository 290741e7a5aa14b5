"""Any sequence of steps of clients and humans: no mutation without an approval of exactly that call, and one with it.

With one server and its memory, and with two servers that share a SQLite file or a real PostgreSQL.
"""

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult

from tests.support.elicitation_client import Clock, GitBookSpy, Human, create_gated_server, meet
from tests.support.gated_calls import Target, call_once
from tests.support.postgres_server import PostgresServer
from tests.support.stores import KEYS, RUN, open_store

SPACES = 3
SERVERS = st.integers(0, 1)
ANSWERS = st.sampled_from(
    [
        ElicitResult(action="accept", content={"confirm": True}),
        ElicitResult(action="accept", content={"confirm": False}),
        ElicitResult(action="accept", content={"confirm": "true"}),
        ElicitResult(action="accept", content={}),
        ElicitResult(action="decline"),
        ElicitResult(action="cancel"),
    ]
)


class ConfirmationMachine(RuleBasedStateMachine):
    """Random sequences of calls, responses, replays, waits and changes of the targets, against one rule.

    In the model, a confirmation is valid for one response, for its own target, until it expires. `allowed` counts the
    approvals of the human. There must never be more deletions.
    """

    url: ClassVar[str] = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.allowed = 0
        self.pending: list[tuple[Target, str]] = []
        self.used: set[str] = set()
        self.opened_at: dict[str, float] = {}

    @initialize()
    def begin(self) -> None:
        """Start the servers, each with a client that does not respond by itself."""
        self.empty_store()
        self.spy, self.clock = GitBookSpy(), Clock()
        state = self.spy.sandbox.state
        self.installation = next(one for one in state.installations.values() if len(one.enabled["space"]) >= SPACES)
        self.targets = [
            Target(
                "uninstall_integration_from_space",
                {
                    "integrationName": self.installation.integration,
                    "installationId": self.installation.id,
                    "spaceId": space,
                },
            )
            for space in list(self.installation.enabled["space"])[:SPACES]
        ]
        self.portal = self.stack.enter_context(start_blocking_portal())
        self.clients: list[Any] = []
        for _ in range(1 if self.url == "memory" else 2):
            server = create_gated_server(self.spy, self.clock, url=self.url, run=RUN, keys=KEYS)
            client = meet(server, Human(), "2026-07-28")
            self.clients.append(self.stack.enter_context(self.portal.wrap_async_context_manager(client)))

    def empty_store(self) -> None:
        """Delete what an earlier sequence left."""

    def call(self, server: int, target: Target, state: str | None = None, answer: Any = None) -> Any:
        """Make one round of a call. Errors of the protocol are returned."""

        async def make() -> Any:
            try:
                return await call_once(self.clients[server % len(self.clients)], target, state, answer)
            except Exception as error:  # noqa: BLE001
                return error

        return self.portal.call(make)

    @rule(server=SERVERS, index=st.integers(0, SPACES - 1))
    def ask(self, server: int, index: int) -> None:
        """Make a call without a response."""
        result = self.call(server, self.targets[index])
        self.note(self.targets[index], result)

    @rule(server=SERVERS, pick=st.integers(0, 50), index=st.integers(0, SPACES - 1), answer=ANSWERS, same=st.booleans())
    def answer(self, server: int, pick: int, index: int, answer: ElicitResult, same: bool) -> None:
        """Respond to an earlier confirmation, which may be used up or belong to another call."""
        if not self.pending:
            return
        asked_for, state = self.pending[pick % len(self.pending)]
        target = asked_for if same else self.targets[index]
        fits = target == asked_for and state not in self.used and self.clock() < self.opened_at[state] + 600
        if target == asked_for:  # with another call, the state is rejected before the confirmation is read
            self.used.add(state)
        if fits and answer.action == "accept" and answer.content == {"confirm": True}:
            self.allowed += 1
        self.note(target, self.call(server, target, state, answer))

    @rule(seconds=st.sampled_from([1, 300, 601]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.now += seconds

    @rule()
    def change(self) -> None:
        """Change the targets."""
        for setup in self.installation.enabled["space"].values():
            setup.configuration["changed"] = setup.configuration.get("changed", 0) + 1

    @rule(index=st.integers(0, SPACES - 1))
    def put_back(self, index: int) -> None:
        """Install an integration again that an approved call has removed."""
        target = self.targets[index]
        arguments = {
            "integrationName": self.installation.integration,
            "installationId": self.installation.id,
            "space": target.arguments["spaceId"],
        }
        self.portal.call(self.clients[0].call_tool, "install_integration_on_space", arguments)

    def note(self, target: Target, result: Any) -> None:
        """Record a new confirmation."""
        if isinstance(result, InputRequiredResult):
            assert result.request_state is not None
            self.pending.append((target, result.request_state))
            self.opened_at[result.request_state] = self.clock()
        elif isinstance(result, CallToolResult) and not result.is_error:
            assert result.structured_content is not None

    @invariant()
    def nothing_is_deleted_without_an_approval(self) -> None:
        """The rule."""
        if hasattr(self, "spy"):
            deletions = [mutation for mutation in self.spy.mutations if mutation[0] == "DELETE"]
            assert len(deletions) <= self.allowed

    def teardown(self) -> None:
        """Close clients and servers."""
        self.stack.close()


class FileMachine(ConfirmationMachine):
    """The same with two servers that share a SQLite file. Each can open a confirmation and receive the response."""

    path: ClassVar[Path]

    def empty_store(self) -> None:
        """Delete what an earlier sequence left."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("DELETE FROM confirmations")


class PostgresMachine(ConfirmationMachine):
    """The same with two servers that share a PostgreSQL database."""

    server: ClassVar[PostgresServer]

    def empty_store(self) -> None:
        """Delete what an earlier sequence left."""
        self.server.execute("TRUNCATE confirmations")


async def create_tables(url: str) -> None:
    store = open_store(url)
    async with store.database.write():
        pass
    await store.close()


@pytest.fixture
def file(tmp_path: Path) -> None:
    FileMachine.path = tmp_path / "store.db"
    FileMachine.url = f"sqlite:///{FileMachine.path}"
    anyio.run(create_tables, FileMachine.url)


@pytest.fixture
def database(postgres: PostgresServer) -> None:
    PostgresMachine.server = postgres
    PostgresMachine.url = postgres.url
    anyio.run(create_tables, postgres.url)


TestConfirmationMachine = ConfirmationMachine.TestCase
TestFileMachine = pytest.mark.usefixtures("file")(FileMachine.TestCase)
TestPostgresMachine = pytest.mark.usefixtures("database")(PostgresMachine.TestCase)
TestConfirmationMachine.settings = TestFileMachine.settings = TestPostgresMachine.settings = settings(
    max_examples=settings().max_examples // 4, stateful_step_count=20
)
