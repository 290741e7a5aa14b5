"""The tools that accept findings and withdraw acceptances: only a human's approval hides a finding from an auditor."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitRequestFormParams, InputRequiredResult

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from gitbook_integrations_mcp.store.acceptances import KeptAcceptance
from gitbook_integrations_mcp.store.store import Store
from tests.support.audit_fixtures import Watched, fail
from tests.support.elicitation_client import Clock, Human, meet, read_status
from tests.support.fake_gitbook import Era, read_code, read_text
from tests.support.gated_calls import APPROVAL, Target, call_once, each_era, start_call
from tests.support.stores import KINDS, find_url

DAY = 86400
FINDING = "script-not-installed:ac477a73c5"
RULE = "unverified-write"
REASON = "Our own script"


each_engine = pytest.mark.parametrize("engine", KINDS)


class Place:
    """A store, a clock, and servers in front of the sandbox that share both."""

    def __init__(self, url: str) -> None:
        self.clock = Clock(1_800_000_000.0)
        self.watched = Watched()
        self._options: dict[str, Any] = {"store": {"url": url}}
        self.store = Store(load_settings(self._options), clock=self.clock)

    def create_server(self, **sections: Any) -> Any:
        """Return a new server."""
        settings = load_settings({"server": {"sandbox": True}, "limits": {"attempts": 1}, **self._options, **sections})
        return create_server(settings, http_transport=httpx.ASGITransport(app=self.watched), clock=self.clock)

    async def list_active(self) -> list[KeptAcceptance]:
        """Return what is accepted, as another process sees it."""
        store = Store(load_settings(self._options), clock=self.clock)
        try:
            return await store.acceptances.list_active(ORGANIZATION_ID)
        finally:
            await store.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(f"sqlite:///{tmp_path}/store.db")


@pytest.fixture(params=KINDS)
def any_server(request: pytest.FixtureRequest) -> tuple[Place, Any]:
    place = Place(find_url(request, request.param))
    return place, place.create_server()


async def audit(client: Client, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool("audit_installations", arguments)
    assert not result.is_error, read_text(result)
    content: dict[str, Any] | None = result.structured_content
    assert content is not None
    return content


async def list_accepted(client: Client) -> dict[str, Any]:
    """Return the accepted findings by ID, from the latest audit if it is still valid."""
    items = (await audit(client, section="findings"))["items"]
    return {item["id"]: item["accepted"] for item in items if item.get("accepted")}


@each_era
async def test_an_approved_acceptance_holds_in_every_audit_until_it_is_withdrawn(
    era: Era, any_server: tuple[Place, Any]
) -> None:
    place, server = any_server
    human = Human()
    async with meet(server, human, era) as client:
        before = await audit(client)
        place.clock.now += 1
        result = await client.call_tool("accept_finding", {"finding": FINDING, "reason": REASON, "until": "2027-06-30"})
        assert read_status(result) == "accepted"
        place.clock.now += 1
        [(identifier, accepted)] = (await list_accepted(client)).items()
        assert identifier == FINDING
        assert accepted == {"reason": REASON, "date": "2027-01-15", "expires": "2027-06-30", "by": "Robin Okafor"}
        after = await audit(client)
        assert after["findings"]["accepted"] == before["findings"]["accepted"] + 1
        place.clock.now += 1
        assert read_status(await client.call_tool("withdraw_acceptance", {"finding": FINDING})) == "withdrawn"
        place.clock.now += 1
        assert await list_accepted(client) == {}
        changes = await audit(client, section="changes")
        assert (changes["changes"]["newFindings"], changes["changes"]["reopened"]) == (0, 1)
        assert [(item["change"], item["id"]) for item in changes["items"]] == [("reopened", FINDING)]
    shown = human.texts[0]
    for fact in (FINDING, REASON, "2027-06-30", "Severity: high", "Finding: ", "every user"):
        assert fact in shown
    assert REASON in human.texts[1]
    assert "Robin Okafor" in human.texts[1]


@each_era
@pytest.mark.parametrize("tool", ["accept_finding", "withdraw_acceptance"])
async def test_without_approval_nothing_is_accepted_or_withdrawn(era: Era, tool: str, place: Place) -> None:
    arguments = {"finding": RULE} | ({"reason": REASON} if tool == "accept_finding" else {})
    expected = 0
    if tool == "withdraw_acceptance":
        await place.store.acceptances.accept(ORGANIZATION_ID, RULE, REASON, None, "Ada")
        expected = 1
    for human in (Human("decline"), Human("cancel"), Human(confirm=False), Human(confirm="yes")):
        async with meet(place.create_server(), human, era) as client:
            assert read_status(await client.call_tool(tool, arguments)).startswith("confirmation_")
            assert len(human.requests) == 1
    for fallback in ("refuse", "two-step"):
        async with meet(place.create_server(confirmation={"fallback": fallback}), None, era) as client:
            for _ in range(2):
                assert read_status(await client.call_tool(tool, arguments)).startswith("confirmation_")
    assert len(await place.list_active()) == expected


async def test_where_nobody_can_be_asked_the_result_says_how_a_person_accepts_a_finding(place: Place) -> None:
    async with meet(place.create_server(confirmation={"fallback": "refuse"}), None, "2026-07-28") as client:
        result = await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON})
    assert read_status(result) == "confirmation_unavailable"
    assert "accepted with `gitbook-integrations-mcp audit accept`" in read_text(result)


async def test_an_approval_is_for_one_reason_and_for_one_call(place: Place) -> None:
    async with meet(place.create_server(), Human(), "2026-07-28") as client:
        target = Target("accept_finding", {"finding": RULE, "reason": REASON})
        state = await start_call(client, target)
        other = Target("accept_finding", {"finding": RULE, "reason": "Anything"})
        with pytest.raises(MCPError, match="requestState"):  # the SDK seals it together with the arguments
            await call_once(client, other, state, APPROVAL)
        assert await place.list_active() == []
        assert read_status(await call_once(client, target, state, APPROVAL)) == "accepted"  # type: ignore[arg-type]
        again = await call_once(client, target, state, APPROVAL)
        assert read_status(again) == "confirmation_expired"  # type: ignore[arg-type]
    assert len(await place.list_active()) == 1


async def test_a_human_is_asked_again_if_the_acceptance_would_now_do_something_else(place: Place) -> None:
    server = place.create_server()
    async with meet(server, Human(), "2026-07-28") as client:
        target = Target("accept_finding", {"finding": RULE, "reason": REASON})
        state = await start_call(client, target)
        await place.store.acceptances.accept(ORGANIZATION_ID, RULE, "Another reason", None, "Ada")
        again = await call_once(client, target, state, APPROVAL)
        assert isinstance(again, InputRequiredResult)
        assert "Another reason" in str(again.input_requests)
        assert [one.reason for one in await place.list_active()] == ["Another reason"]
        assert again.request_state is not None
        assert read_status(await call_once(client, target, again.request_state, APPROVAL)) == "accepted"  # type: ignore[arg-type]
    await place.store.close()


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"finding": "unverified-wrte"}, ["unverified-write"]),
        ({"finding": "unverified-wrte:ac477a73c5"}, ["unverified-write"]),
        ({"finding": "script-not-installed:ac477a73c6"}, ["ac477a73c6", FINDING]),
        ({"finding": f"{FINDING} "}, ["finding has the wrong form"]),
        ({"finding": FINDING, "until": "2026-01-01"}, ["until", "passed"]),
        ({"finding": FINDING, "until": "2027-13-01"}, ["until"]),
        ({"finding": FINDING, "until": "tomorrow"}, ["until", "30d"]),
        ({"finding": FINDING, "reason": ""}, ["reason"]),
        ({"finding": FINDING, "reason": " \u200b "}, ["reason"]),
    ],
)
async def test_what_cannot_be_accepted_is_refused_before_a_human_is_asked(
    arguments: dict[str, Any], facts: list[str], place: Place
) -> None:
    human = Human()
    async with meet(place.create_server(), human, "2026-07-28") as client:
        await audit(client)
        result = await client.call_tool("accept_finding", {"reason": REASON, **arguments})
        assert read_code(result) == "invalid_arguments"
        for fact in facts:
            assert fact in read_text(result)
    assert human.requests == []


@pytest.mark.parametrize(("until", "last"), [("30d", "2027-02-14"), ("4w", "2027-02-12")])
async def test_an_acceptance_for_some_days_names_its_last_day(place: Place, until: str, last: str) -> None:
    human = Human()
    async with meet(place.create_server(), human, "2026-07-28") as client:
        result = await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON, "until": until})
    assert read_status(result) == "accepted"
    assert f"Last day: {last}" in human.texts[0]
    assert [one.until for one in await place.list_active()] == [last]


async def test_a_finding_needs_a_report_and_a_rule_does_not(place: Place) -> None:
    async with meet(place.create_server(), Human(), "2026-07-28") as client:
        result = await client.call_tool("accept_finding", {"finding": FINDING, "reason": REASON})
        assert read_code(result) == "invalid_arguments"
        assert "audit_installations" in read_text(result)
        assert read_status(await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON})) == "accepted"
        accepted = await list_accepted(client)
        assert accepted
        assert {identifier.partition(":")[0] for identifier in accepted} == {RULE}


async def test_the_question_says_how_many_findings_of_a_rule_are_open_once_there_is_an_audit(place: Place) -> None:
    human = Human("decline")
    async with meet(place.create_server(), human, "2026-07-28") as client:
        await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON})
        findings = (await audit(client, section="findings"))["items"]
        await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON})
    found = [item["summary"] for item in findings if item["rule"] == RULE]
    assert found
    assert "latest audit" not in human.texts[0]
    assert "Last day: none" in human.texts[0]
    assert f": {len(found)} open in your latest audit" in human.texts[1]
    assert human.texts[1].count("Open finding: ") == len(found)


async def test_the_question_counts_the_findings_of_the_whole_organization_after_an_audit_of_a_part(
    place: Place,
) -> None:
    human = Human("decline")
    async with meet(place.create_server(), human, "2026-07-28") as client:
        await audit(client, integrations=["slack"])
        await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON})
        findings = (await audit(client, section="findings"))["items"]
        place.clock.now += 1
        await audit(client, integrations=["slack"], refresh=True)
        await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON})
    found = [item["id"] for item in findings if item["rule"] == RULE]
    assert found
    assert ": 0 open in your latest audit of a part of the organization" in human.texts[0]
    assert f": {len(found)} open in your latest audit of the whole organization" in human.texts[1]


async def test_the_explanation_of_a_rule_marks_its_accepted_findings(place: Place) -> None:
    async with meet(place.create_server(), Human(), "2026-07-28") as client:
        await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON, "until": "30d"})
        [named] = (await audit(client, explain=RULE))["explanation"]["findings"]
    assert named.endswith(" (accepted until 2027-02-14)")


async def test_the_question_names_the_finding_or_the_rule_in_its_title_and_beside_the_box(place: Place) -> None:
    human = Human()
    finding, rule = f"the finding {FINDING}", f"all findings of the rule {RULE}"
    async with meet(place.create_server(), human, "2026-07-28") as client:
        await audit(client)
        for identifier in (FINDING, RULE):
            await client.call_tool("accept_finding", {"finding": identifier, "reason": REASON})
            await client.call_tool("withdraw_acceptance", {"finding": identifier})
    asked = ["Accept", "Withdraw the acceptance"]
    titles = [f"Accept {finding}", f"Withdraw the acceptance of {finding}"]
    titles += [f"Accept {rule}", f"Withdraw the acceptance of {rule}"]
    for request, title, verb in zip(human.requests, titles, asked * 2, strict=True):
        assert isinstance(request, ElicitRequestFormParams)
        assert request.message.startswith(f"{title}?")
        assert "\nOrganization: Aurora Robotics\n" in request.message
        box = request.requested_schema["properties"]["confirm"]
        assert (box["title"], box["description"]) == (title, f"Tick to approve: {verb}")


async def test_a_finding_of_the_whole_organization_is_known_after_an_audit_of_a_part(place: Place) -> None:
    async with meet(place.create_server(), Human(), "2026-07-28") as client:
        await audit(client)
        place.clock.now += 1
        await audit(client, integrations=["slack"])
        result = await client.call_tool("accept_finding", {"finding": FINDING, "reason": REASON})
        assert read_status(result) == "accepted"


@each_engine
async def test_a_reason_in_any_characters_can_be_kept(engine: str, request: pytest.FixtureRequest) -> None:
    place = Place(find_url(request, engine))
    async with meet(place.create_server(), Human(), "2026-07-28") as client:
        reason = "“Büro” \x00\u202e' ; DROP TABLE 日本"
        result = await client.call_tool("accept_finding", {"finding": RULE, "reason": reason})
        assert read_status(result) == "accepted"
        accepted = await list_accepted(client)
        assert {one["reason"] for one in accepted.values()} == {"“Büro” ' ; DROP TABLE 日本"}


async def test_only_an_acceptance_can_be_withdrawn(place: Place) -> None:
    human = Human()
    await place.store.acceptances.accept(ORGANIZATION_ID, RULE, REASON, None, "Ada")
    await place.store.close()
    async with meet(place.create_server(), human, "2026-07-28") as client:
        result = await client.call_tool("withdraw_acceptance", {"finding": "unverified-writ"})
        assert read_code(result) == "invalid_arguments"
        assert f"Did you mean {RULE}" in read_text(result)
        assert ORGANIZATION_ID in read_text(result)
    assert human.requests == []


@pytest.mark.parametrize("tool", ["accept_finding", "withdraw_acceptance"])
async def test_a_token_that_cannot_audit_the_organization_cannot_change_its_audits(tool: str, place: Place) -> None:
    human = Human()
    await place.store.acceptances.accept(ORGANIZATION_ID, RULE, REASON, None, "Ada")
    await place.store.close()
    place.watched.fault = fail("/installations", 403)
    arguments = {"finding": RULE} | ({"reason": REASON} if tool == "accept_finding" else {})
    async with meet(place.create_server(), human, "2026-07-28") as client:
        assert read_code(await client.call_tool(tool, arguments)) == "forbidden"
    assert human.requests == []
    assert [one.accepted_by for one in await place.list_active()] == ["Ada"]


async def test_a_store_that_fails_accepts_nothing(tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path}")  # a folder
    human = Human()
    async with meet(place.create_server(), human, "2026-07-28") as client:
        result = await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON})
        assert read_code(result) == "store_unavailable"
    assert human.requests == []


async def call_undo(client: Client, result: CallToolResult) -> CallToolResult:
    """Make the call that the result says undoes it."""
    assert result.structured_content is not None
    undo = dict(result.structured_content["undo"])
    return await client.call_tool(undo.pop("tool"), undo)


async def test_a_result_names_the_call_that_undoes_it(place: Place) -> None:
    first = {"finding": RULE, "reason": REASON, "until": "2027-06-30"}
    async with meet(place.create_server(), Human(), "2026-07-28") as client:
        accepted = await client.call_tool("accept_finding", first)
        withdrawn = await call_undo(client, accepted)
        assert read_status(withdrawn) == "withdrawn"
        assert read_status(await call_undo(client, withdrawn)) == "accepted"
        assert [(one.reason, one.until) for one in await place.list_active()] == [(REASON, "2027-06-30")]
        replaced = await client.call_tool("accept_finding", {"finding": RULE, "reason": "Another reason"})
        assert [(one.reason, one.until) for one in await place.list_active()] == [("Another reason", None)]
        assert read_status(await call_undo(client, replaced)) == "accepted"
        assert [(one.reason, one.until) for one in await place.list_active()] == [(REASON, "2027-06-30")]


async def test_no_undo_restores_an_acceptance_that_has_expired(place: Place) -> None:
    async with meet(place.create_server(), Human(), "2026-07-28") as client:
        await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON, "until": "2027-01-16"})
        place.clock.now += 2 * DAY
        accepted = await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON, "until": "2027-01-17"})
        assert accepted.structured_content is not None
        assert accepted.structured_content["undo"]["tool"] == "withdraw_acceptance"
        place.clock.now += 2 * DAY
        withdrawn = await client.call_tool("withdraw_acceptance", {"finding": RULE})
        assert withdrawn.structured_content is not None
        assert isinstance(withdrawn.structured_content["undo"], str)


async def test_a_result_says_if_the_server_does_not_offer_the_undo(place: Place) -> None:
    server = place.create_server(tools={"exclude": ["withdraw_acceptance"]})
    async with meet(server, Human(), "2026-07-28") as client:
        result = await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON})
        assert result.structured_content is not None
        assert result.structured_content["undo"] == "withdraw_acceptance is disabled on this server."


async def test_an_expired_acceptance_is_shown_as_open_again(place: Place) -> None:
    async with meet(place.create_server(), Human(), "2026-07-28") as client:
        await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON, "until": "2027-01-16"})
        place.clock.now += DAY
        assert await list_accepted(client)
        place.clock.now += DAY
        assert await list_accepted(client) == {}


async def test_the_file_of_accepted_findings_holds_too_and_may_be_missing(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "accepted.json"
    async with meet(place.create_server(audit={"accepted": str(path)}), Human(), "2026-07-28") as client:
        await audit(client)
        await audit(client)
        assert [one.message for one in caplog.records if "audit.accepted" in one.message] == [
            f"audit.accepted: {path} does not exist, so it accepts no finding"
        ]
        place.clock.now += 1
        await client.call_tool("accept_finding", {"finding": RULE, "reason": REASON})
        path.write_text(json.dumps([{"finding": FINDING, "reason": "CI", "date": "2026-01-01", "by": "CI"}]))
        place.clock.now += 1
        accepted = await list_accepted(client)
        assert accepted[FINDING]["by"] == "CI"
        assert len({identifier.partition(":")[0] for identifier in accepted}) == 2
        path.write_text("{")
        place.clock.now += 1
        result = await client.call_tool("audit_installations", {})
        assert read_code(result) == "invalid_accepted_findings"


async def test_a_rule_that_this_version_does_not_have_stops_no_audit(place: Place) -> None:
    await place.store.acceptances.accept(ORGANIZATION_ID, "rule-of-another-version", REASON, None, None)
    await place.store.close()
    async with meet(place.create_server(), Human(), "2026-07-28") as client:
        assert (await audit(client))["findings"]["accepted"] == 0
