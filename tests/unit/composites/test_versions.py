"""Published versions: who sees them, and how one is published again."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from gitbook_integrations_mcp.store.store import Store
from tests.support.elicitation_client import GitBookSpy, Human, create_gated_server, meet, read_status
from tests.support.fake_gitbook import Era, read_code, read_text
from tests.support.gated_calls import each_era
from tests.support.tokens import count_tokens

SECRET = "s3cr3t-value-of-the-script"
OWN = {"integrationName": OWN_INTEGRATION}
FIRST = {
    **OWN,
    "organization": ORGANIZATION_ID,
    "title": "Release Notes Bot",
    "description": "Writes release notes",
    "script": "export default { marker: 'first' }",
    "scopes": ["space:content:read"],
    "secrets": {"API": SECRET},
}
SECOND = {**FIRST, "title": "Second", "script": "export default { marker: 'second' }", "secrets": {}}
FIRST_NUMBER = "8"


@pytest.fixture
def url(tmp_path: Any) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def spy() -> GitBookSpy:
    return GitBookSpy()


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = Store(load_settings({"store": {"url": url}}))
    yield store
    await store.close()


async def publish_both(client: Any) -> None:
    for arguments in (FIRST, SECOND):
        result = await client.call_tool("publish_integration", arguments)
        assert not result.is_error, read_text(result)


async def list_versions(client: Any) -> dict[str, Any]:
    result = await client.call_tool("list_integration_versions", OWN)
    assert not result.is_error, read_text(result)
    content: dict[str, Any] = result.structured_content
    return content


@each_era
async def test_a_version_is_published_again_with_its_script_and_its_secrets(
    era: Era, url: str, spy: GitBookSpy
) -> None:
    human = Human()
    async with meet(create_gated_server(spy, url=url), human, era) as client:
        await publish_both(client)
        listed = await list_versions(client)
        newest, first = listed["items"]
        assert (first["version"], listed["live"]) == (FIRST_NUMBER, int(newest["version"]))
        result = await client.call_tool("rollback_integration", {**OWN, "version": FIRST_NUMBER})
        assert read_status(result) == "done", read_text(result)
        again = (await list_versions(client))["items"][0]
        changes = (await client.call_tool("list_changes", {})).structured_content["items"]
    assert human.texts[-1].count("which is replaced") == 1
    live = spy.sandbox.state.integrations[OWN_INTEGRATION]
    assert (live.manifest["title"], live.secrets) == (FIRST["title"], {"API": SECRET})
    assert (again["digest"], again["scriptCharacters"]) == (first["digest"], len(str(FIRST["script"])))
    assert {one["changeId"] for one in (newest, first, again)} == {one["id"] for one in changes}
    seen = "".join(human.texts) + read_text(result) + str(listed)
    assert SECRET not in seen
    assert "marker" not in seen
    assert count_tokens(listed) < 250


async def test_a_version_whose_visibility_gitbook_chose_gets_it_again(url: str, spy: GitBookSpy) -> None:
    human = Human()
    async with meet(create_gated_server(spy, url=url), human, "2026-07-28") as client:
        await client.call_tool("publish_integration", FIRST)
        chosen = spy.sandbox.state.integrations[OWN_INTEGRATION].visibility
        other = {"private": "public", "public": "private"}.get(chosen, "private")
        await client.call_tool("publish_integration", {**SECOND, "visibility": other, "target": "site"})
        result = await client.call_tool("rollback_integration", {**OWN, "version": FIRST_NUMBER})
        assert read_status(result) == "done", read_text(result)
    live = spy.sandbox.state.integrations[OWN_INTEGRATION]
    assert (live.visibility, live.target) == (chosen, "all")
    assert f"Visibility: “{other}” → “{chosen}”" in human.texts[-1]


@each_era
@pytest.mark.parametrize("human", [None, Human(action="decline"), Human(confirm=False)])
async def test_nothing_is_published_again_without_approval(
    human: Human | None, era: Era, url: str, spy: GitBookSpy
) -> None:
    async with meet(create_gated_server(spy, url=url), Human(), era) as client:
        await publish_both(client)
    sent = len(spy.mutations)
    async with meet(create_gated_server(spy, url=url, fallback="refuse"), human, era) as client:
        result = await client.call_tool("rollback_integration", {**OWN, "version": FIRST_NUMBER})
        assert read_status(result).startswith("confirmation_")
    assert len(spy.mutations) == sent


async def test_an_approval_holds_for_one_version_only(url: str, spy: GitBookSpy) -> None:
    async with meet(create_gated_server(spy, url=url), Human(), "2026-07-28") as client:
        await publish_both(client)
        await client.call_tool("publish_integration", FIRST)
    sent = len(spy.mutations)
    async with meet(create_gated_server(spy, url=url, fallback="two-step"), None, "2026-07-28") as client:
        asked = (await client.call_tool("rollback_integration", {**OWN, "version": FIRST_NUMBER})).structured_content
        other = {**OWN, "version": "9", "confirmationId": asked["confirmationId"]}
        assert read_status(await client.call_tool("rollback_integration", other)) == "confirmation_expired"
    assert len(spy.mutations) == sent


async def test_the_published_version_is_not_published_again(url: str, spy: GitBookSpy) -> None:
    human = Human()
    async with meet(create_gated_server(spy, url=url), human, "2026-07-28") as client:
        await publish_both(client)
        sent, asked = len(spy.mutations), len(human.requests)
        newest = (await list_versions(client))["items"][0]
        result = await client.call_tool("rollback_integration", {**OWN, "version": newest["id"]})
    assert read_status(result) == "unchanged"
    assert newest["version"] in read_text(result)
    assert (len(spy.mutations), len(human.requests)) == (sent, asked)


async def test_the_question_says_which_secrets_return_and_which_are_dropped(url: str, spy: GitBookSpy) -> None:
    human = Human()
    rotated = {**FIRST, "title": "Third", "secrets": {"API": f"{SECRET}-new", "OTHER": SECRET}}
    async with meet(create_gated_server(spy, url=url), human, "2026-07-28") as client:
        await publish_both(client)
        assert "Secrets dropped: API; version 8 has them" in human.texts[-1]
        await client.call_tool("publish_integration", rotated)
        assert "Secrets dropped" not in human.texts[-1]
        await client.call_tool("rollback_integration", {**OWN, "version": FIRST_NUMBER})
        assert "Secrets that return: API. " in human.texts[-1]
        assert "Secrets dropped: OTHER; version 10 has them" in human.texts[-1]
        assert not (await client.call_tool("publish_integration", {**FIRST, "secrets": {"API": "guess"}})).is_error
        guess = human.texts[-1]
        await client.call_tool("publish_integration", {**FIRST, "secrets": {"API": "guess"}})
    assert "ecrets dropped" not in guess + human.texts[-1]
    assert SECRET not in "".join(human.texts)


async def test_a_publication_does_not_need_secrets_that_cannot_be_decrypted(url: str, spy: GitBookSpy) -> None:
    human = Human()
    async with meet(create_gated_server(spy, url=url), human, "2026-07-28") as client:
        await client.call_tool("publish_integration", FIRST)
    store = Store(load_settings({"store": {"url": url}}))
    async with store.database.write() as connection:
        await connection.exec_driver_sql("UPDATE versions SET sealed = x'00'")
    await store.close()
    async with meet(create_gated_server(spy, url=url), human, "2026-07-28") as client:
        assert not (await client.call_tool("publish_integration", SECOND)).is_error
    assert "Secrets dropped: unknown" in human.texts[-1]


@pytest.mark.parametrize(
    ("third", "said"),
    [(FIRST, "the same script and manifest"), ({**FIRST, "title": "Third"}, "the same script. The"), (SECOND, None)],
)
async def test_the_question_says_that_the_script_is_published_already(
    third: dict[str, Any], said: str | None, url: str, spy: GitBookSpy
) -> None:
    human = Human()
    async with meet(create_gated_server(spy, url=url), human, "2026-07-28") as client:
        await publish_both(client)
        assert not (await client.call_tool("publish_integration", third)).is_error
        await client.call_tool("rollback_integration", {**OWN, "version": FIRST_NUMBER})
    assert ("Already published" in human.texts[-1]) is (said is not None)
    assert said is None or said in human.texts[-1]


async def test_what_was_unpublished_can_be_published_again_without_its_installations(url: str, spy: GitBookSpy) -> None:
    human = Human(name=OWN_INTEGRATION)
    async with meet(create_gated_server(spy, url=url), human, "2026-07-28") as client:
        await client.call_tool("publish_integration", FIRST)
        gone = await client.call_tool("unpublish_integration", OWN)
        assert gone.structured_content["receipt"]["undo"].startswith("undo_change cannot undo it. Use rollback_")
        refused = await client.call_tool("undo_change", {"changeId": gone.structured_content["receipt"]["changeId"]})
        assert "Use rollback_integration, if list_integration_versions has a version" in read_text(refused)
        result = await client.call_tool("rollback_integration", {**OWN, "version": FIRST_NUMBER})
    assert read_status(result) == "done"
    assert spy.sandbox.state.integrations[OWN_INTEGRATION].manifest["title"] == FIRST["title"]
    assert not [one for one in spy.sandbox.state.installations.values() if one.integration == OWN_INTEGRATION]


async def test_a_publication_names_what_reverts_it_also_in_the_list_of_changes(url: str, spy: GitBookSpy) -> None:
    async with meet(create_gated_server(spy, url=url), Human(), "2026-07-28") as client:
        published = await client.call_tool("publish_integration", FIRST)
        (change,) = (await client.call_tool("list_changes", {})).structured_content["items"]
        earlier = await client.call_tool("rollback_integration", {**OWN, "version": "99"})
    assert published.structured_content["receipt"]["undo"].startswith(
        "undo_change cannot undo it. Use rollback_integration, if "
    )
    assert change["insteadOfUndo"].startswith("rollback_integration, if list_integration_versions has ")
    assert "no earlier one is kept" in read_text(earlier)


async def test_a_store_without_versions_says_so(url: str, spy: GitBookSpy) -> None:
    async with meet(create_gated_server(spy, url=url), Human(), "2026-07-28") as client:
        listed = await list_versions(client)
        result = await client.call_tool("rollback_integration", {**OWN, "version": "1"})
    assert (listed["items"], "keeps no version" in listed["note"]) == ([], True)
    assert read_code(result) == "unknown_version"
    assert spy.mutations == []


async def test_a_version_is_named_by_its_id_if_its_number_is_not_unique(url: str, spy: GitBookSpy) -> None:
    async with meet(create_gated_server(spy, url=url), Human(), "2026-07-28") as client:
        await publish_both(client)
        spy.sandbox.state.integrations[OWN_INTEGRATION].version = 7
        await client.call_tool("publish_integration", SECOND)
        sent = len(spy.mutations)
        for version in (FIRST_NUMBER, "no version"):
            result = await client.call_tool("rollback_integration", {**OWN, "version": version})
            assert read_code(result) == "unknown_version"
        assert len(spy.mutations) == sent
        by_id = {**OWN, "version": (await list_versions(client))["items"][-1]["id"]}
        result = await client.call_tool("rollback_integration", by_id)
        assert read_status(result) == "done"
        assert result.structured_content["version"] == spy.sandbox.state.integrations[OWN_INTEGRATION].version
        assert result.structured_content["app"].endswith(f"/{OWN_INTEGRATION}")
    assert spy.sandbox.state.integrations[OWN_INTEGRATION].manifest["title"] == FIRST["title"]


@pytest.mark.parametrize("foreign", ["not an administrator", "another organization took the name"])
async def test_versions_of_others_stay_invisible(foreign: str, url: str, spy: GitBookSpy, store: Store) -> None:
    async with meet(create_gated_server(spy, url=url), Human(), "2026-07-28") as client:
        await publish_both(client)
        version = await store.versions.get((await store.versions.list_entries(OWN_INTEGRATION))[0].id)
        assert version
        organization = next(one for one in spy.sandbox.state.organizations.values() if not one.member).id
        spy.sandbox.state.integrations["theirs"] = spy.sandbox.state.integrations[OWN_INTEGRATION]
        spy.sandbox.state.integrations["theirs"].name = "theirs"
        if foreign == "not an administrator":
            spy.sandbox.state.integrations["theirs"].owner = organization
            spy.sandbox.state.integrations["theirs"].manifest["visibility"] = "public"
        await store.versions.add(
            dataclasses.replace(
                version, id="ver_theirs", integration="theirs", owner="somebody", organization=organization
            )
        )
        listed = (await client.call_tool("list_integration_versions", {"integrationName": "theirs"})).structured_content
        result = await client.call_tool("rollback_integration", {"integrationName": "theirs", "version": "ver_theirs"})
    assert listed["items"] == []
    assert read_code(result) == "unknown_version"


async def test_a_colleague_who_administrates_the_integration_sees_its_versions(
    url: str, spy: GitBookSpy, store: Store
) -> None:
    async with meet(create_gated_server(spy, url=url), Human(), "2026-07-28") as client:
        await publish_both(client)
        version = await store.versions.get((await store.versions.list_entries(OWN_INTEGRATION))[0].id)
        assert version
        await store.versions.add(dataclasses.replace(version, id="ver_colleague", owner="a colleague"))
        assert "ver_colleague" in {one["id"] for one in (await list_versions(client))["items"]}


async def test_secrets_that_were_not_kept_are_named_before_anybody_approves(url: str, spy: GitBookSpy) -> None:
    human = Human()
    settings = load_settings({"server": {"sandbox": True}, "store": {"url": url, "keep_values": False}})
    server = create_server(settings, http_transport=httpx.ASGITransport(app=spy))
    async with meet(server, human, "2026-07-28") as client:
        await publish_both(client)
        result = await client.call_tool("rollback_integration", {**OWN, "version": FIRST_NUMBER})
    assert read_status(result) == "done"
    assert "secrets is not restored" in human.texts[-1]
    assert spy.sandbox.state.integrations[OWN_INTEGRATION].secrets == {}
