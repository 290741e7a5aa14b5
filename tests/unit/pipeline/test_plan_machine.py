"""Any sequence of plans, answers, failures and crashes: no call without an approval of exactly its plan, once."""

from collections import Counter
from contextlib import ExitStack
from typing import Any

from anyio.from_thread import start_blocking_portal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult

from gitbook_integrations_mcp.sandbox.state import Setup
from tests.support.elicitation_client import Clock, GitBookSpy, Human, create_gated_server, meet
from tests.support.gated_calls import APPROVAL, Target, call_once

PLACES = 4
ANSWERS = st.sampled_from([APPROVAL, ElicitResult(action="decline"), ElicitResult(action="cancel")])


class Faulty(GitBookSpy):
    """A GitBook that can fail at its next change: before it takes effect, after it, or by an error."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: str | None = None
        self.sent: list[str] = []
        self.deleted: Counter[str] = Counter()
        """Deletions that took effect. The client repeats one that a gateway answered."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] == "GET":
            return await super().__call__(scope, receive, send)
        if scope["method"] == "DELETE":
            self.sent.append(scope["path"])
            *_, installation, _, place = scope["path"].split("/")
            enabled = self.sandbox.state.installations[installation].enabled["space"]
            if self.fault in {None, "after"} and place in enabled:
                self.deleted[scope["path"]] += 1
        if self.fault is None:
            return await super().__call__(scope, receive, send)
        fault, self.fault = self.fault, None

        async def drop(_: Any) -> None:
            """Lose the response."""

        if fault == "after":
            await self.sandbox(scope, receive, drop)
        if fault == "crash":
            raise ConnectionError
        status = 400 if fault == "error" else 502
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return None


class PlanMachine(RuleBasedStateMachine):
    """Random sequences of calls of `set_installation_places`, each of which wants one of the places removed.

    `allowed` counts the approvals for each deletion. GitBook must never receive more of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.allowed: Counter[str] = Counter()
        self.pending: list[tuple[int, str, frozenset[str]]] = []
        self.used: set[str] = set()
        self.opened_at: dict[str, float] = {}

    @initialize()
    def begin(self) -> None:
        """Start a server with a client that does not answer by itself."""
        self.spy, self.clock = Faulty(), Clock()
        state = self.spy.sandbox.state
        self.installation = next(one for one in state.installations.values() if one.integration == "slack")
        self.places = [one.id for one in state.get_places("space", self.installation.organization)][:PLACES]
        self.installation.enabled["space"] = {one: Setup() for one in self.places}
        self.portal = self.stack.enter_context(start_blocking_portal())
        client = meet(create_gated_server(self.spy, self.clock), Human(), "2026-07-28")
        self.client = self.stack.enter_context(self.portal.wrap_async_context_manager(client))

    def wish(self, index: int) -> Target:
        """Return the call that removes a place and the next one."""
        unwanted = {self.places[index], self.places[(index + 1) % PLACES]}
        return Target(
            "set_installation_places",
            {
                "integrationName": self.installation.integration,
                "installationId": self.installation.id,
                "spaces": [one for one in self.places if one not in unwanted],
            },
        )

    def list_deletions(self, index: int) -> frozenset[str]:
        """Return the paths that the plan of a wish deletes now."""
        wanted = self.wish(index).arguments["spaces"]
        own = f"/v1/integrations/{self.installation.integration}/installations/{self.installation.id}/spaces"
        return frozenset(f"{own}/{one}" for one in self.installation.enabled["space"] if one not in wanted)

    def call(self, index: int, state: str | None = None, answer: Any = None) -> Any:
        """Make one round of a call. Errors of the protocol are returned."""

        async def make() -> Any:
            try:
                return await call_once(self.client, self.wish(index), state, answer)
            except Exception as error:  # noqa: BLE001
                return error

        shown = self.list_deletions(index)
        result = self.portal.call(make)
        if isinstance(result, InputRequiredResult):
            assert result.request_state is not None
            self.pending.append((index, result.request_state, shown))
            self.opened_at[result.request_state] = self.clock()
        elif isinstance(result, CallToolResult) and not result.is_error:
            self.check_report(result.structured_content or {})
        return result

    def check_report(self, content: dict[str, Any]) -> None:
        """Check that a result says what is done and how to undo it."""
        if content["status"] in {"done", "incomplete"}:
            *done, last = content["calls"]
            assert all(one["tool"] and "code" not in one for one in done)
            assert ("code" in last) == (content["status"] == "incomplete")
            assert content["undo"]["changeId"] == content["changeId"]

    @rule(index=st.integers(0, PLACES - 1))
    def ask(self, index: int) -> None:
        """Make a call without an answer."""
        self.call(index)

    @rule(pick=st.integers(0, 50), index=st.integers(0, PLACES - 1), answer=ANSWERS, same=st.booleans())
    def answer(self, pick: int, index: int, answer: ElicitResult, same: bool) -> None:
        """Answer an earlier question, which may be used up or belong to another plan."""
        if not self.pending:
            return
        asked, state, shown = self.pending[pick % len(self.pending)]
        index = asked if same else index
        fits = index == asked and state not in self.used and self.clock() < self.opened_at[state] + 600
        if index == asked:
            self.used.add(state)
        if fits and answer.action == "accept" and shown == self.list_deletions(index):
            self.allowed.update(shown)
        self.call(index, state, answer)

    @rule(fault=st.sampled_from(["before", "after", "error", "crash"]))
    def fail(self, fault: str) -> None:
        """Let GitBook fail at its next change."""
        self.spy.fault = fault

    @rule(seconds=st.sampled_from([1, 601]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.now += seconds

    @rule(index=st.integers(0, PLACES - 1))
    def change(self, index: int) -> None:
        """Install the integration on a place, or configure it there, as another person would."""
        setup = self.installation.enabled["space"].setdefault(self.places[index], Setup())
        setup.configuration["changed"] = setup.configuration.get("changed", 0) + 1

    @invariant()
    def nothing_is_deleted_without_an_approval_of_its_plan(self) -> None:
        """The rule."""
        if hasattr(self, "spy"):
            assert self.spy.deleted <= self.allowed
            assert set(self.spy.sent) <= self.allowed.keys()

    @invariant()
    def every_deletion_is_recorded(self) -> None:
        """A change that was sent has a record, also if its outcome is unknown."""
        if hasattr(self, "spy"):
            arguments = {"tool": "uninstall_integration_from_space", "limit": 100}
            listed = self.portal.call(self.client.call_tool, "list_changes", arguments).structured_content["items"]
            assert len(listed) >= self.spy.deleted.total()

    def teardown(self) -> None:
        """Close client and server."""
        self.stack.close()


TestPlanMachine = PlanMachine.TestCase
TestPlanMachine.settings = settings(max_examples=settings().max_examples // 4, stateful_step_count=15)
