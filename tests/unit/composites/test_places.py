"""Setting the places of an installation: the plan, its approval, its receipts, failures in between, and its undo."""

from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox.state import Installation, Setup
from gitbook_integrations_mcp.store.store import Store
from tests.support.altered_gitbook import AlteredGitBook, Change
from tests.support.elicitation_client import GitBookSpy, Human, create_gated_server, meet, read_status
from tests.support.fake_gitbook import Era, connect, read_changes, read_code, read_text
from tests.support.gated_calls import APPROVAL, Target, call_once, each_era, start_call
from tests.support.grown_sandbox import Size, create_grown_sandbox

TOOL = "set_installation_places"
SECRET = "xoxb-the-secret-of-a-space"


class Case:
    """An installation of the sandbox on several spaces, and a wish: one space more, two fewer."""

    def __init__(self, spy: GitBookSpy | None = None) -> None:
        self.spy = spy or GitBookSpy()
        state = self.spy.sandbox.state
        self.installation: Installation = next(
            one for one in state.installations.values() if one.integration == "slack"
        )
        others = [one.id for one in state.get_places("space", self.installation.organization)]
        self.added, kept = [one for one in others if one not in self.spaces][:2]
        self.installation.enabled["space"][kept] = Setup()
        self.present = list(self.installation.enabled["space"])
        self.removed = self.present[:2]
        for space in self.removed:
            setup = self.installation.enabled["space"][space]
            setup.configuration, setup.external_ids = {"api_key": SECRET}, ["external"]

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the call."""
        return {
            "integrationName": self.installation.integration,
            "installationId": self.installation.id,
            "spaces": [*self.present[2:], self.added],
        }

    @property
    def spaces(self) -> set[str]:
        """The spaces on which the integration is."""
        return set(self.installation.enabled["space"])

    def title(self, space: str) -> str:
        """Return the title of a space."""
        return self.spy.sandbox.state.spaces[space].title


@each_era
async def test_one_approval_adds_and_removes_places_and_one_undo_takes_all_of_it_back(era: Era, file: str) -> None:
    case, human = Case(), Human()
    async with meet(create_gated_server(case.spy, url=file), human, era) as client:
        result = await client.call_tool(TOOL, case.arguments)
        content = result.structured_content or {}
        assert read_status(result) == "done", read_text(result)
        assert case.spaces == {*case.present[2:], case.added}
        [question] = human.texts
        for space in (case.added, *case.present):
            assert f"{space} (“{case.title(space)}”)" in question
        assert question.count("Configuration that is lost: api_key; on ") == 2
        undone = await client.call_tool("undo_change", {"changeId": content["undo"]["changeId"]})
        assert read_status(undone) == "done", read_text(undone)
        assert case.title(case.removed[0]) in human.texts[1]
        again = await client.call_tool("undo_change", {"changeId": content["changeId"]})
        assert read_code(again) == "change_not_undoable"
    assert case.spaces == set(case.present)
    for space in case.removed:
        setup = case.installation.enabled["space"][space]
        assert (setup.configuration, setup.external_ids) == ({"api_key": SECRET}, ["external"])
    assert len(human.requests) == 2
    assert SECRET not in "".join(human.texts) + read_text(result) + read_text(undone)


async def test_each_call_has_a_receipt_and_the_plan_has_one_id(file: str) -> None:
    case = Case()
    async with meet(create_gated_server(case.spy, url=file), Human(), "2026-07-28") as client:
        content = (await client.call_tool(TOOL, case.arguments)).structured_content or {}
    added, *removed = content["calls"]
    assert added["tool"] == "install_integration_on_space"
    assert [one["changed"]["externalIds"] for one in removed] == [{"from": ["external"], "to": None}] * 2
    assert content["undo"] == {"tool": "undo_change", "changeId": content["changeId"]}
    plan, *calls = await read_changes(file)
    assert (plan.id, plan.tool, plan.outcome, plan.approval) == (content["changeId"], TOOL, "done", "form")
    assert [one["spaceId"] for one in removed] == case.removed
    assert added["space"] == case.added
    assert {one.plan for one in calls} == {plan.id}
    assert {one.approval for one in calls} == {"form"}


async def test_the_result_says_that_added_places_are_pending_and_have_no_settings() -> None:
    case = Case()
    async with meet(create_gated_server(case.spy), Human(), "2026-07-28") as client:
        content = (await client.call_tool(TOOL, case.arguments)).structured_content
        [note] = content["notes"]
        assert [one.get("status") for one in content["calls"]] == ["pending", None, None]
        removed = await client.call_tool(TOOL, {**case.arguments, "spaces": case.present[2:]})
    assert "update_integration_space_installation" in note
    assert "copy_configuration" in note
    assert "notes" not in removed.structured_content


async def test_a_plan_that_changes_nothing_says_so_and_asks_nothing() -> None:
    case, human = Case(), Human()
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        result = await client.call_tool(TOOL, {**case.arguments, "spaces": case.present[::-1]})
    assert read_status(result) == "unchanged"
    assert (human.requests, case.spy.mutations) == ([], [])


async def test_selected_places_replace_a_selection_of_all_places(file: str) -> None:
    case, human = Case(), Human()
    case.installation.selection.update({"space": "all"})
    async with meet(create_gated_server(case.spy, url=file), human, "2026-07-28") as client:
        content = (await client.call_tool(TOOL, case.arguments)).structured_content or {}
        assert case.installation.selection == {"space": "selected", "site": "selected"}
        assert case.spaces == {*case.present[2:], case.added}
        assert "No longer all: spaces" in human.texts[0]
        await client.call_tool("undo_change", {"changeId": content["changeId"]})
    assert case.installation.selection == {"space": "all", "site": "selected"}
    assert case.installation.enabled["space"][case.removed[0]].configuration == {"api_key": SECRET}


@pytest.mark.parametrize(
    ("level", "loss", "other"),
    [
        ("site", "Sign-in: Visitors of sites sign in with this integration.", "Blocks that pages lose: 1: webframe"),
        ("space", "Blocks that pages lose: 1: webframe", "Sign-in"),
    ],
)
async def test_the_human_learns_what_readers_lose_with_the_removed_places(
    level: Any, loss: str, other: str, file: str
) -> None:
    case, human = Case(), Human()
    manifest = case.spy.sandbox.state.integrations["slack"].manifest
    manifest["scopes"], manifest["blocks"] = ["site:visitor:auth"], [{"id": "webframe", "title": ""}]
    places = case.spy.sandbox.state.get_places(level, case.installation.organization)
    case.installation.enabled = {"space": {}, "site": {}, level: {one.id: Setup() for one in places[:3]}}
    arguments = {"integrationName": "slack", "installationId": case.installation.id, f"{level}s": []}
    async with meet(create_gated_server(case.spy, url=file), human, "2026-07-28") as client:
        assert read_status(await client.call_tool(TOOL, arguments)) == "done"
    assert human.texts[0].count(loss) == 1
    assert other not in human.texts[0]


@each_era
@pytest.mark.parametrize("human", [None, Human(action="decline"), Human(action="cancel"), Human(confirm=False)])
async def test_nothing_is_sent_without_approval(human: Human | None, era: Era) -> None:
    case = Case()
    async with meet(create_gated_server(case.spy, fallback="refuse"), human, era) as client:
        assert read_status(await client.call_tool(TOOL, case.arguments)).startswith("confirmation_")
    assert case.spy.mutations == []


async def test_an_approval_is_used_once_and_only_for_the_same_places() -> None:
    case = Case()
    this = Target(TOOL, case.arguments)
    other = Target(TOOL, {**case.arguments, "spaces": []})
    async with meet(create_gated_server(case.spy), Human(), "2026-07-28") as client:
        state = await start_call(client, this)
        with pytest.raises(MCPError):  # the state is for another call
            await call_once(client, other, state, APPROVAL)
        assert case.spy.mutations == []
        assert read_status(await call_once(client, this, state, APPROVAL)) == "done"  # type: ignore[arg-type]
        sent = len(case.spy.mutations)
        case.installation.enabled["space"][case.removed[0]] = Setup()
        assert read_status(await call_once(client, this, state, APPROVAL)) == "confirmation_expired"  # type: ignore[arg-type]
    assert len(case.spy.mutations) == sent


def reconfigure(case: Case) -> None:
    """Change the last place that is to be removed."""
    case.installation.enabled["space"][case.removed[-1]].configuration = {"by": "another person"}


def take_away(case: Case) -> None:
    """Remove a place that is to be kept."""
    del case.installation.enabled["space"][case.present[2]]


@each_era
@pytest.mark.parametrize("change", [reconfigure, take_away])
async def test_nothing_is_sent_if_places_change_while_the_form_is_open(change: Any, era: Era) -> None:
    case, human = Case(), Human()

    def interfere() -> None:
        if len(human.requests) == 1:
            change(case)
        else:
            human.action = "decline"  # the second form shows the new state

    human.before = interfere
    async with meet(create_gated_server(case.spy), human, era) as client:
        result = await client.call_tool(TOOL, case.arguments)
    assert read_status(result) in {"target_changed", "confirmation_declined"}
    assert case.spy.mutations == []


class Meddling(GitBookSpy):
    """A GitBook in which another person acts after the first change."""

    act: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, send)
        if self.mutations and self.act:
            act, self.act = self.act, None
            act()


async def test_a_place_that_changes_while_the_plan_runs_is_not_removed(file: str) -> None:
    spy = Meddling()
    case = Case(spy)
    spy.act = lambda: reconfigure(case)
    async with meet(create_gated_server(spy, url=file), Human(), "2026-07-28") as client:
        content = (await client.call_tool(TOOL, case.arguments)).structured_content or {}
        assert content["status"] == "incomplete"
        failed = {"tool": "uninstall_integration_from_space", "spaceId": case.removed[1], "code": "target_changed"}
        assert content["calls"][-1] == failed
        assert case.spaces == {*case.present[1:], case.added}
        assert [one.outcome for one in await read_changes(file)] == ["incomplete", "done", "done"]
        assert content["changeId"] in content["message"]
        await client.call_tool("undo_change", {"changeId": content["changeId"]})
    assert case.spaces == set(case.present)


class Refusing(GitBookSpy):
    """A GitBook that refuses to remove anything from spaces."""

    refuses = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.refuses and scope["method"] == "DELETE":
            scope = {**scope, "path": "/v1/nowhere", "raw_path": b"/v1/nowhere"}
        await super().__call__(scope, receive, send)


async def test_an_incomplete_result_counts_what_was_not_sent_and_does_not_say_that_nothing_changed() -> None:
    case = Case(Refusing())
    async with meet(create_gated_server(case.spy), Human(), "2026-07-28") as client:
        result = await client.call_tool(TOOL, {**case.arguments, "spaces": [case.added]})
    assert read_status(result) == "incomplete"
    assert case.added in case.spaces
    unsent = len(case.present) - 1
    assert f"Not sent: uninstall_integration_from_space ({unsent} calls)." in read_text(result)
    assert "Nothing was changed" not in read_text(result)


async def test_an_incomplete_plan_does_the_rest_when_it_is_called_again(file: str) -> None:
    spy = Refusing()
    case = Case(spy)
    async with meet(create_gated_server(spy, url=file), Human(), "2026-07-28") as client:
        result = await client.call_tool(TOOL, case.arguments)
        assert f"{TOOL} with the same arguments" in read_text(result)
        spy.refuses = False
        again = (await client.call_tool(TOOL, case.arguments)).structured_content or {}
    assert [one["spaceId"] for one in again["calls"]] == case.removed
    assert case.spaces == {*case.present[2:], case.added}


async def test_an_incomplete_undo_does_the_rest_and_names_what_was_undone_before(file: str) -> None:
    spy, human = Refusing(), Human()
    case, spy.refuses = Case(spy), False
    async with meet(create_gated_server(spy, url=file), human, "2026-07-28") as client:
        change_id = (await client.call_tool(TOOL, case.arguments)).structured_content["changeId"]
        spy.refuses = True
        result = await client.call_tool("undo_change", {"changeId": change_id})
        incomplete = result.structured_content or {}
        assert "undo_change with the same arguments" in read_text(result)
        spy.refuses = False
        content = (await client.call_tool("undo_change", {"changeId": change_id})).structured_content or {}
    assert (incomplete["status"], content["status"]) == ("incomplete", "done")
    assert case.spaces == set(case.present)
    assert all(incomplete["changeId"] not in text for text in content["lost"])
    assert sum(incomplete["changeId"] in note for note in content["notes"]) == len(case.removed)
    assert "Not restored: uninstall" not in human.texts[-1]
    assert len(content["notes"]) == len({*content["notes"]})


async def test_the_question_of_a_long_undo_counts_the_calls_that_it_does_not_show(file: str) -> None:
    spy, human = GitBookSpy(create_grown_sandbox(Size(spaces=70, installations=120), rate_limit=10_000)), Human()
    case = Case(spy)
    spaces = [one.id for one in spy.sandbox.state.get_places("space", case.installation.organization)]
    async with meet(create_gated_server(spy, url=file), human, "2026-07-28") as client:
        content = (await client.call_tool(TOOL, {**case.arguments, "spaces": spaces})).structured_content or {}
        await client.call_tool("undo_change", {"changeId": content["changeId"]})
    calls, question = len(content["calls"]), human.texts[-1]
    assert calls > 50
    assert f"All calls: uninstall_integration_from_space ({calls} calls)" in question
    assert f"Calls, not shown: {calls - 50} of {calls}" in question
    assert ("Call 50:" in question, "Call 51:" in question) == (True, False)
    assert case.spaces == set(case.present)


class Unsure(GitBookSpy):
    """A GitBook whose gateway answers all deletions but the first one instead of it."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "DELETE" and "DELETE" in dict(self.mutations):
            await send({"type": "http.response.start", "status": 502, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await super().__call__(scope, receive, send)


async def test_after_a_crash_the_outcome_is_unknown_and_what_took_effect_can_be_undone(file: str) -> None:
    case = Case(Unsure())
    async with meet(create_gated_server(case.spy, url=file), Human(), "2026-07-28") as client:
        content = (await client.call_tool(TOOL, case.arguments)).structured_content or {}
        store = Store(load_settings({"store": {"url": file}}))
        await store.changes.complete(content["changeId"], {"outcome": "unknown", "undo": None})  # as if it was killed
        await store.close()
        assert [one.outcome for one in await read_changes(file)] == ["unknown", "done", "done", "unknown"]
        result = await client.call_tool("undo_change", {"changeId": content["changeId"]})
        undone = result.structured_content or {}
    assert read_status(result) == "incomplete"  # the gateway answers the last call, too
    assert [one["tool"] for one in undone["calls"]] == [
        "install_integration_on_space",
        "update_integration_space_installation",
        "uninstall_integration_from_space",
    ]
    assert case.installation.enabled["space"][case.removed[0]].configuration == {"api_key": SECRET}
    assert any("had no effect" in text for text in undone["lost"])


class Lossy(GitBookSpy):
    """A GitBook that runs each change. Its gateway then sends another response."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__()
        self.answer = status, body

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def drop(message: Any) -> None:
            """Lose GitBook's own answer."""

        if scope["method"] not in {"POST", "DELETE"}:
            await super().__call__(scope, receive, send)
            return
        await super().__call__(scope, receive, drop)
        status, body = self.answer
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    ("answer", "outcomes"),
    [
        ((502, b""), ["unknown", "unknown"]),
        ((408, b""), ["unknown", "unknown"]),
        ((302, b""), ["unknown", "unknown"]),
        ((200, b"<html>"), ["unknown", "unknown"]),
        ((400, b""), ["failed", "failed"]),
    ],
)
async def test_a_plan_whose_first_call_may_have_taken_effect_is_not_recorded_as_not_sent(
    answer: tuple[int, bytes], outcomes: list[str], file: str
) -> None:
    case = Case(Lossy(*answer))
    async with meet(create_gated_server(case.spy, url=file), Human(), "2026-07-28") as client:
        result = await client.call_tool(TOOL, case.arguments)
    assert result.is_error
    assert [one.outcome for one in await read_changes(file)] == outcomes
    assert len(case.spy.mutations) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"spaces": ["nowhere"]}, "invalid_arguments"),
        ({"sites": ["nowhere"]}, "invalid_arguments"),
        ({"spaces": None}, "invalid_arguments"),
        ({"installationId": ".."}, "invalid_arguments"),
        ({"installationId": "nowhere"}, "not_found"),
    ],
)
async def test_a_plan_that_cannot_be_made_is_an_error_before_anybody_is_asked(
    changes: dict[str, Any], code: str
) -> None:
    case, human = Case(), Human()
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        assert read_code(await client.call_tool(TOOL, {**case.arguments, **changes})) == code
    assert (human.requests, case.spy.mutations) == ([], [])


async def test_the_human_learns_which_added_places_are_not_public_and_who_made_the_integration() -> None:
    case, human = Case(), Human(action="decline")
    spaces = [one for one in case.spy.sandbox.state.spaces.values() if one.id not in case.spaces]
    private, public = (next(one for one in spaces if one.visibility == kind) for kind in ("private", "public"))
    wanted = [private.id, public.id]
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        await client.call_tool(TOOL, {**case.arguments, "spaces": wanted})
    assert f"Gets access to: 2 spaces; not public: 1 ({private.id} (“{private.title}”) private)" in human.texts[0]
    assert "verified by GitBook" in human.texts[0]
    assert "Owner: " in human.texts[0]


async def test_the_question_of_a_plan_names_its_organization_and_links_to_the_integration() -> None:
    case, human = Case(), Human(action="decline")
    organization = case.installation.organization
    own = {name: case.arguments[name] for name in ("integrationName", "installationId")}
    source, target = ({**own, "spaceId": one} for one in case.removed)
    case.spy.sandbox.state.integrations["slack"].manifest.pop("configurations", None)
    async with meet(create_gated_server(case.spy), human, "2026-07-28") as client:
        await client.call_tool(TOOL, case.arguments)
        await client.call_tool("copy_configuration", {"source": source, "target": target})
    assert len(human.texts) == 2
    for text in human.texts:
        assert f"Organization: {organization} (“{case.spy.sandbox.state.organizations[organization].title}”)" in text
        assert "In GitBook: https://app.gitbook.com/integrations/slack" in text


async def test_a_title_in_place_of_an_id_is_answered_with_the_id() -> None:
    case = Case()
    async with meet(create_gated_server(case.spy), Human(), "2026-07-28") as client:
        result = await client.call_tool(TOOL, {**case.arguments, "spaces": [case.title(case.added), "nowhere"]})
    assert f"Did you mean {case.added} (“{case.title(case.added)}”)?" in read_text(result)
    assert read_text(result).endswith("- nowhere.")
    assert case.spy.mutations == []


async def test_all_in_place_of_ids_is_answered_with_what_selects_all() -> None:
    case = Case()
    async with meet(create_gated_server(case.spy), Human(), "2026-07-28") as client:
        result = await client.call_tool(TOOL, {**case.arguments, "spaces": "all"})
    assert "update_integration_installation has space_selection: all" in read_text(result)
    assert case.spy.mutations == []


async def test_a_tool_that_the_server_does_not_offer_is_not_used_by_a_plan() -> None:
    case = Case()
    async with connect(
        case.spy, server={"sandbox": True}, tools={"exclude": ["uninstall_integration_from_space"]}
    ) as client:
        result = await client.call_tool(TOOL, case.arguments)
    assert read_code(result) == "tool_disabled"
    assert case.spy.mutations == []


@pytest.mark.parametrize("change", [lambda item: item.pop("space"), lambda item: item.update(space=12345)])
async def test_a_place_without_an_id_is_neither_asked_about_nor_sent(change: Change) -> None:
    case, human = Case(), Human()
    gitbook = AlteredGitBook(
        case.spy, {f"/installations/{case.installation.id}/spaces": lambda data: change(data["items"][0])}
    )
    async with meet(create_gated_server(gitbook), human, "2026-07-28") as client:
        assert read_code(await client.call_tool(TOOL, case.arguments)) == "invalid_response"
    assert (human.texts, case.spy.mutations) == ([], [])


async def test_a_space_that_is_listed_without_an_id_stops_no_other() -> None:
    case = Case()
    organization = case.installation.organization
    free = [one.id for one in case.spy.sandbox.state.get_places("space", organization) if one.id not in case.spaces]
    gitbook = AlteredGitBook(case.spy, {f"/{organization}/spaces": lambda data: data["items"][-1].update(id=["x"])})
    async with meet(create_gated_server(gitbook), Human(), "2026-07-28") as client:
        result = await client.call_tool(TOOL, case.arguments | {"spaces": [*case.present, *free[:2]]})
    assert read_status(result) == "done"
    assert case.spaces == {*case.present, *free[:2]}
