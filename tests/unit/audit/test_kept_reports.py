"""What audits keep in the store: earlier reports as baselines, who sees them, and a store that fails."""

from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from sqlalchemy import delete

from gitbook_integrations_mcp.audit import sections
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.store.schema import reports
from gitbook_integrations_mcp.store.store import Store
from tests.support.audit_fixtures import fail, list_installed
from tests.support.fake_gitbook import UNASKED, read_code, read_text
from tests.support.many_users import Place
from tests.support.stores import KINDS, find_url

TOOL = "audit_installations"
DAY = 86400


@pytest.fixture(params=KINDS[1:])
def place(request: pytest.FixtureRequest) -> Place:
    return Place(find_url(request, request.param))


@pytest.fixture(params=KINDS)
def any_place(request: pytest.FixtureRequest) -> Place:
    return Place(find_url(request, request.param))


async def call(client: Client, **arguments: Any) -> dict[str, Any]:
    """Return the structured content of a call that succeeds."""
    result = await client.call_tool(TOOL, arguments)
    assert not result.is_error, read_text(result)
    content: dict[str, Any] | None = result.structured_content
    assert content is not None
    return content


async def test_after_a_restart_the_last_report_is_the_baseline_and_is_named(place: Place) -> None:
    async with place.serve() as client:
        first = await call(client)
    place.clock.now += 7 * DAY
    state = place.gitbook.watched.sandbox.state
    del state.installations["Yh00V3IILptlqECPtsAf"]
    async with place.serve() as client:
        result = await client.call_tool(TOOL, {"baseline": "last"})
        assert result.structured_content is not None
        changes = result.structured_content["changes"]
        assert (changes["since"], changes["sinceAgeSeconds"]) == (first["generatedAt"], 7 * DAY)
        assert (changes["sinceComplete"], changes["removed"]) == (True, 3)
        assert f"Since {first['generatedAt']} (7 days earlier)" in read_text(result)
    async with place.serve() as client:
        sent = len(place.gitbook.watched.reads)
        listed = await client.call_tool(TOOL, {"section": "changes"})
        assert len(place.gitbook.watched.reads) == sent
        assert listed.structured_content is not None
        assert listed.structured_content["changes"] == changes
        assert f"Since {first['generatedAt']} (7 days earlier)" in read_text(listed)


async def test_a_finding_has_the_dates_of_its_first_audit_and_of_its_return(any_place: Place) -> None:
    times, sandbox = [], any_place.gitbook.watched.sandbox
    heatlens = sandbox.state.integrations["heatlens"]
    audits: list[tuple[bool, Any]] = [(False, None), (False, fail("/installations?")), (True, None), (False, None)]
    expected = [(0, 0), None, None, (0, 3)]
    async with any_place.serve() as client:
        for (heatlens.verified, any_place.gitbook.watched.fault), dates in zip(audits, expected, strict=True):
            result = await call(client, section="findings", refresh=True)
            times.append(result["generatedAt"])
            found = [item for item in result["items"] if item["rule"] == "foreign-unlisted"]
            assert [(one["firstSeen"], one["since"]) for one in found] == (
                [(times[dates[0]], times[dates[1]])] if dates else []
            )
            any_place.clock.now += DAY


async def test_a_gap_between_two_audits_does_not_end_a_finding(any_place: Place) -> None:
    async with any_place.serve() as client:
        first = await call(client, section="findings")
        for any_place.gitbook.watched.fault in (fail("/installations?"), None):
            any_place.clock.now += DAY
            latest = await call(client, section="findings", refresh=True)
    assert {item["id"] for item in latest["items"]} == {item["id"] for item in first["items"]}
    assert {(item["firstSeen"], item["since"]) for item in latest["items"]} == {(first["generatedAt"],) * 2}


async def test_the_tokens_of_one_user_share_reports_and_other_users_see_nothing(place: Place) -> None:
    async with place.serve("ada-1") as ada, place.serve("ada-2") as same, place.serve("bob-1") as other:
        first = await call(ada)
        place.clock.now += 1
        sent = len(place.gitbook.watched.reads)
        assert (await call(same, section="findings"))["generatedAt"] == first["generatedAt"]
        assert len(place.gitbook.watched.reads) == sent
        assert (await call(same, baseline="last"))["changes"]["since"] == first["generatedAt"]
        assert read_code(await other.call_tool(TOOL, {"baseline": "last"})) == "invalid_baseline"
        details = await call(other, section="findings")
        assert details["generatedAt"] != first["generatedAt"]
        assert details["ageSeconds"] == 0


async def test_a_span_or_a_date_picks_the_newest_report_at_or_before_it(any_place: Place) -> None:
    times = []
    async with any_place.serve() as client:
        for _ in range(4):
            times.append((await call(client))["generatedAt"])
            any_place.clock.now += 3 * DAY
        for moment, expected in (
            ("last", times[3]),
            ("24h", times[3]),
            ("5d", times[2]),
            ("1w", times[1]),
            ("2026-11-18", times[0]),
            ("2026-11-20", times[0]),
            ("2026-11-21", times[1]),
        ):
            any_place.clock.now += 0.001
            assert (await call(client, baseline=moment))["changes"]["since"] == expected, moment


@pytest.mark.parametrize(
    ("moment", "facts"),
    [("4w", ["2026-11-18T12:00:00Z", "last"]), ("2026-11-17", ["2026-11-18T12:00:00Z"]), ("2026-13-45", ["7d"])],
)
async def test_a_moment_without_a_report_names_the_oldest_one(moment: str, facts: list[str], tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path}/store.db")
    async with place.serve() as client:
        await call(client)
        sent = len(place.gitbook.watched.reads)
        result = await client.call_tool(TOOL, {"baseline": moment})
        assert read_code(result) == "invalid_baseline"
        for fact in facts:
            assert fact in read_text(result)
        assert len(place.gitbook.watched.reads) == sent
        result = await client.call_tool(TOOL, {"baseline": "last", "sites": ["site_qLN1io"]})
        assert read_code(result) == "invalid_baseline"
        result = await client.call_tool(TOOL, {"baseline": "yesterday"})
        assert read_code(result) == "invalid_arguments"
        for form in ("last", "24h", "7d", "4w", "2026-11-18"):
            assert form in read_text(result)
        assert not set("^$|\\").intersection(read_text(result))  # no regular expression


async def test_an_incomplete_baseline_is_said(tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path}/store.db")
    place.gitbook.watched.fault = fail("site_qLN1io/integration-scripts", 403)
    async with place.serve() as client:
        await call(client)
        place.gitbook.watched.fault = None
        place.clock.now += 1
        result = await client.call_tool(TOOL, {"baseline": "last"})
        assert result.structured_content is not None
        assert result.structured_content["changes"]["sinceComplete"] is False
        assert "INCOMPLETE audit" in read_text(result)
        listed = await client.call_tool(TOOL, {"section": "changes"})
        assert "INCOMPLETE audit" in read_text(listed)
        assert listed.structured_content is not None
        assert listed.structured_content["changes"]["sinceComplete"] is False


async def test_the_pages_of_a_section_come_from_one_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "PAGE_CHARACTERS", 900)
    place = Place(f"sqlite:///{tmp_path}/store.db")
    async with place.serve() as client, place.serve("ada-2") as other, place.serve("bob-1") as stranger:
        first = await call(client, section="findings")
        place.clock.now += 1
        await call(other, refresh=True, section="findings")
        page = {"section": "findings", "page": first["next"]["page"]}
        second = await call(client, **page)
        assert second["generatedAt"] == first["generatedAt"]
        assert read_code(await stranger.call_tool(TOOL, page)) == "invalid_arguments"
        for wrong in ("1-x", "1-\x00", "-", "x-1", f"99999-{page['page'].partition('-')[2]}"):
            result = await client.call_tool(TOOL, {"section": "findings", "page": wrong})
            assert read_code(result) == "invalid_arguments"
        store = Store(load_settings({"store": {"url": place.url}}))
        async with store.database.write() as connection:
            await connection.execute(delete(reports))
        await store.close()
        assert read_code(await client.call_tool(TOOL, page)) == "invalid_arguments"


async def test_a_failing_store_stops_no_audit_and_the_result_says_that_it_was_not_kept(tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path}")  # a folder
    async with place.serve() as client:
        result = await client.call_tool(TOOL, {})
        assert not result.is_error
        assert result.structured_content is not None
        assert result.structured_content["kept"] is False
        assert "not kept" in read_text(result)
        assert "shown as open" in read_text(result)
        assert result.structured_content["coverage"]["rulesNotChecked"]["development-mode-on"] == "partly"
        details = await call(client, section="findings")
        assert details["kept"] is False
        assert details["items"]
        assert read_code(await client.call_tool(TOOL, {"baseline": "last"})) == "store_unavailable"
        given = await call(client, section="report")
        assert (await call(client, baseline=given["report"]))["changes"]["removed"] == 0


async def test_a_change_by_anybody_through_another_process_makes_the_report_stale(place: Place) -> None:
    installed = next(one for one in list_installed(place.gitbook.watched.sandbox.state) if one.integration == "slack")
    arguments = {"integrationName": "slack", "installationId": installed.id, "externalIds": ["new-id"]}
    async with place.serve() as client, place.serve("bob-1", confirmation=UNASKED) as other:
        await call(client)
        place.clock.now += 1
        assert (await call(client, section="findings"))["ageSeconds"] == 1
        changed = await other.call_tool("update_integration_installation", arguments)
        assert not changed.is_error, read_text(changed)
        place.clock.now += 1
        assert (await call(client, section="findings"))["ageSeconds"] == 0


async def test_a_change_through_another_session_of_the_caller_makes_the_report_stale(tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path}/store.db")
    installed = next(one for one in list_installed(place.gitbook.watched.sandbox.state) if one.integration == "slack")
    arguments = {"integrationName": "slack", "installationId": installed.id, "externalIds": ["new-id"]}
    async with place.serve(confirmation=UNASKED) as client:
        await call(client)
        place.clock.now += 1
        await client.call_tool("update_integration_installation", arguments)
        place.clock.now += 1
        [item, *_] = (await call(client, section="installations", integration="slack"))["items"]
        assert item["externalIds"] == ["new-id"]
        assert (await call(client, section="findings"))["ageSeconds"] == 0
