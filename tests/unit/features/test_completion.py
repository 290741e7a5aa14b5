"""Arguments are completed from what GitBook has, as the caller may see it, and a failure is no values, not an error."""

import json
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import INVALID_PARAMS, Completion, PromptReference, ResourceTemplateReference

from gitbook_integrations_api.prompts import PROMPTS
from gitbook_integrations_api.resources import RESOURCES
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from tests.support.elicitation_client import GitBookSpy, create_gated_server
from tests.support.fake_gitbook import ERAS, Era, Upstream, connect, read_capabilities
from tests.support.http_server import CALLERS, bear, serve
from tests.support.http_server import connect as reach

each_era = pytest.mark.parametrize("era", ERAS)
REVIEW = PromptReference(name="review_site_scripts")
OFFBOARD = PromptReference(name="offboard_integration")
PUBLISH = PromptReference(name="publish_version")
INSTALLATION = ResourceTemplateReference(uri=RESOURCES["installation"].uri_template)


async def complete(client: Client, ref: Any, name: str, typed: str = "", **chosen: str) -> Completion:
    """Return the completion of one argument."""
    return (await client.complete(ref, {"name": name, "value": typed}, context_arguments=chosen or None)).completion


@each_era
async def test_every_argument_of_every_prompt_and_template_has_values(era: Era) -> None:
    async with Client(create_gated_server(GitBookSpy()), mode=era) as client:
        assert (await read_capabilities(client))["completions"] == {}
        for prompt in PROMPTS.values():
            for argument in prompt.arguments:
                assert (await complete(client, PromptReference(name=prompt.name), argument.name)).values
        for template in (await client.list_resource_templates()).resource_templates:
            resource = RESOURCES[template.name]
            ref = ResourceTemplateReference(uri=resource.uri_template)
            for name in resource.names:
                assert (await complete(client, ref, name)).values


async def test_people_find_by_title_what_has_an_id() -> None:
    async with Client(create_gated_server(GitBookSpy())) as client:
        sites = {
            site["id"]: site["title"].casefold()
            for site in ((await client.call_tool("list_sites", {})).structured_content or {})["items"]
        }
        site, title = next(iter(sites.items()))
        for typed in (site, site[:6], title, title[:3].upper(), f" {title[2:5]} "):
            found = await complete(client, REVIEW, "siteId", typed)
            assert site in found.values
            assert set(found.values) <= {
                one for one, words in sites.items() if typed.strip().casefold() in words or typed.strip() in one
            }
        assert (await complete(client, REVIEW, "siteId", "no such site")).values == []


async def test_what_a_model_can_take_does_not_bound_what_is_looked_through() -> None:
    found = []
    for tokens in (1000, 25_000):
        settings = load_settings({"server": {"sandbox": True}, "limits": {"result_tokens": tokens}})
        async with Client(create_server(settings)) as client:
            arguments = {"organizationId": ORGANIZATION_ID, "fetchAll": True}
            listed = (await client.call_tool("list_organization_installations", arguments)).structured_content
            assert listed is not None
            assert listed["complete"] is (tokens > 1000)
            found.append(await complete(client, INSTALLATION, "installationId"))
    assert found[0] == found[1]


async def test_values_that_begin_with_what_was_typed_come_first() -> None:
    upstream = Upstream()
    upstream.answer({"items": [{"id": "1", "title": "Old docs"}, {"id": "2"}, {"id": "3", "title": "Docs"}]})
    async with connect(upstream) as client:
        assert (await complete(client, REVIEW, "siteId", "docs", organizationId="o")).values == ["3", "1"]


async def test_what_is_chosen_already_narrows_the_rest() -> None:
    spy = GitBookSpy()
    own = [one for one in spy.sandbox.state.installations.values() if one.integration == OWN_INTEGRATION]
    async with Client(create_gated_server(spy)) as client:
        found = await complete(client, INSTALLATION, "installationId", integrationName=OWN_INTEGRATION)
        assert set(found.values) <= {one.id for one in own}
        assert found.values
        (other,) = set((await complete(client, REVIEW, "organizationId")).values) - {ORGANIZATION_ID}
        mine, theirs = [
            (await complete(client, REVIEW, "siteId", organizationId=one)).values for one in (ORGANIZATION_ID, other)
        ]
        assert mine
        assert not set(mine) & set(theirs)
        installed = (await complete(client, OFFBOARD, "integrationName")).values
        owned = (await complete(client, PUBLISH, "integrationName")).values
        assert "slack" in installed
        assert "slack" not in owned
        assert OWN_INTEGRATION in owned


async def test_without_an_organization_all_of_the_callers_are_looked_through() -> None:
    class Organizations(Upstream):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            path = scope["path"]
            identifiers = [f"o{number}" for number in range(12)]
            self.answer({"items": [{"id": one} for one in identifiers]})
            if path.endswith("/sites"):
                self.answer({"items": [{"id": f"site-of-{path.split('/')[3]}"}]})
            await super().__call__(scope, receive, send)

    upstream = Organizations()
    async with connect(upstream) as client:
        found = await complete(client, REVIEW, "siteId")
    assert set(found.values) == {f"site-of-o{number}" for number in range(10)}
    assert (found.has_more, found.total) == (True, None)
    assert len(upstream.requests) == 11


async def test_values_are_found_on_every_page() -> None:
    class Pages(Upstream):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            last = b"page=2" in scope["query_string"]
            self.answer({"items": [{"id": "last" if last else "first"}], **({} if last else {"next": {"page": "2"}})})
            await super().__call__(scope, receive, send)

    async with connect(Pages()) as client:
        found = await complete(client, REVIEW, "siteId", organizationId="o")
    assert (found.values, found.total, found.has_more) == (["first", "last"], 2, False)


@pytest.mark.parametrize(
    ("count", "following", "expected"),
    [(100, False, (100, 100, False)), (101, False, (100, 101, True)), (5, True, (5, None, True))],
)
async def test_answers_are_bounded_and_say_whether_there_is_more(
    count: int, following: bool, expected: tuple[int, int | None, bool]
) -> None:
    upstream = Upstream()
    more = {"next": {"page": "2"}} if following else {}
    upstream.answer({"items": [{"id": f"site_{number}"} for number in range(count)], **more})
    async with connect(upstream) as client:
        found = await complete(client, REVIEW, "siteId", organizationId="o")
    assert (len(found.values), found.total, found.has_more) == expected
    assert len(upstream.requests) <= 2


# Failing softly


@each_era
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
async def test_a_failure_is_no_values_and_a_line_in_the_log(
    era: Era, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gitbook_integrations_mcp")
    async with connect(Upstream(status), era) as client:
        found = await complete(client, REVIEW, "siteId", organizationId="o")
    assert found.values == []
    assert "list_sites failed: StatusError" in caplog.text


@pytest.mark.parametrize("chosen", [{"organizationId": "../x"}, {"organizationId": ""}, {"nonsense": "x"}])
async def test_what_was_chosen_wrongly_is_no_error(chosen: dict[str, str]) -> None:
    upstream = Upstream(body=b'{"items": []}')
    async with connect(upstream) as client:
        assert (await complete(client, REVIEW, "siteId", **chosen)).values == []
    assert all(b".." not in request.raw_path for request in upstream.requests)


async def test_without_a_token_there_are_no_values() -> None:
    async with Client(create_server(load_settings({}))) as client:
        assert (await complete(client, REVIEW, "siteId")).values == []


async def test_what_is_switched_off_completes_nothing() -> None:
    upstream = Upstream()
    async with connect(upstream, tools={"exclude": ["list_sites"]}) as client:
        assert (await complete(client, REVIEW, "siteId", organizationId="o")).values == []
    assert upstream.requests == []


async def test_an_upstream_that_is_slow_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitbook_integrations_mcp.features.completion._TIMEOUT_SECONDS", 0.05)

    class Slow(Upstream):
        async def __call__(self, *_: Any) -> None:
            await anyio.sleep_forever()

    async with connect(Slow()) as client:
        with anyio.fail_after(5):
            found = await complete(client, REVIEW, "siteId", organizationId="o")
    assert (found.values, found.total, found.has_more) == ([], None, True)


@pytest.mark.parametrize(
    "ref", [PromptReference(name="nope"), ResourceTemplateReference(uri="gitbook-integrations://nope/{x}")]
)
async def test_what_does_not_exist_is_not_completed(ref: Any) -> None:
    async with connect(Upstream()) as client:
        with pytest.raises(MCPError) as caught:
            await complete(client, ref, "siteId")
    assert caught.value.code == INVALID_PARAMS
    assert caught.value.data == {"code": "unknown_prompt"}


async def test_an_argument_that_nobody_lists_has_no_values() -> None:
    upstream = Upstream()
    async with connect(upstream) as client:
        for ref in (REVIEW, INSTALLATION):
            assert (await complete(client, ref, "nonsense")).values == []
    assert upstream.requests == []


# Callers


@each_era
async def test_each_caller_is_shown_what_their_own_token_may_see(era: Era) -> None:
    organizations = {"anns-token": "annas", "bobs-token": "bobs"}

    class Tokens(Upstream):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            token = dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer ")
            self.body = json.dumps({"items": [{"id": organizations[token]}]}).encode()
            await super().__call__(scope, receive, send)

    sections: dict[str, Any] = {"http": {"tokens": CALLERS, "credentials": "per-request"}}
    async with serve(Tokens(), **sections) as address:
        for name, organization in (("ann", "annas"), ("bob", "bobs"), ("ann", "annas")):
            headers = bear(name, **{"X-GitBook-Token": f"{name}s-token"})
            async with reach(address, "streamable-http", era, headers=headers) as client:
                found = await complete(client, REVIEW, "organizationId")
            assert found.values == [organization]
