"""Resources are reads of the table: the same stages, the same answers, at addresses of their own."""

import json
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, TextResourceContents

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Endpoint, Risk
from gitbook_integrations_api.resources import RESOURCES, SCHEME
from gitbook_integrations_mcp.features.addresses import read_address, write_uri
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.elicitation_client import GitBookSpy, create_gated_server
from tests.support.fake_gitbook import ERAS, NOT_FOUND, TOKENS, Era, Upstream, connect, read_capabilities, read_text
from tests.support.http_server import CALLERS, bear, serve
from tests.support.http_server import connect as reach

each_era = pytest.mark.parametrize("era", ERAS)
INVENTORY = f"{SCHEME}://orgs/{ORGANIZATION_ID}/installations"
LISTED = [resource for resource in RESOURCES.values() if not resource.document]
SLACK = f"{SCHEME}://integrations/slack"


async def read(client: Client, uri: str) -> Any:
    """Return what a resource holds."""
    (contents,) = (await client.read_resource(uri)).contents
    assert isinstance(contents, TextResourceContents)
    assert (contents.uri, contents.mime_type) == (uri, "application/json")
    return json.loads(contents.text)


async def walk(client: Client) -> list[list[str]]:
    """Return the URIs of all resources, page by page."""
    pages, cursor = [], None
    while True:
        result = await client.list_resources(cursor=cursor)
        pages.append([resource.uri for resource in result.resources])
        cursor = result.next_cursor
        if cursor is None:
            return pages


# The table


def test_a_resource_is_a_read_at_the_address_that_is_its_path() -> None:
    for resource in RESOURCES.values():
        assert resource.tool.risk is Risk.READ
        assert bool(resource.path) is not isinstance(resource.tool, Endpoint)
        arguments = dict.fromkeys(resource.names, "some.thing-1")
        valid = {"organizationId": "some-1", "reportId": f"rep_{0:016x}", "format": "html"}
        arguments |= {name: valid[name] for name in arguments if name in valid}
        uri = write_uri(resource, arguments)
        assert read_address(uri).resource is resource
        assert read_address(uri).arguments == {**arguments, **resource.fixed}


def test_a_write_touches_what_can_be_read_at_its_path_above_and_below_it() -> None:
    slack = {"integrationName": "slack"}
    installed = {**slack, "installationId": "i"}
    arguments: dict[str, dict[str, Any]] = {
        "inventory": {"organizationId": "o"},
        "integration": slack,
        "installation": installed,
        "installation_spaces": installed,
        "installation_sites": installed,
        "report": {"organizationId": "o"},
        "policy": {},
        "exported_report": {},
    }
    all_but_the_report = set(RESOURCES) - {"report", "policy", "exported_report"}

    def list_touched(tool: str, path: str) -> set[str]:
        write = ENDPOINTS[tool]
        return {name for name, resource in RESOURCES.items() if resource.is_touched(arguments[name], write, path)}

    on_space = "/integrations/slack/installations/i/spaces/s"
    assert list_touched("unpublish_integration", "/integrations/slack") == all_but_the_report
    assert list_touched("uninstall_integration", "/integrations/slack/installations/i") == all_but_the_report
    assert list_touched("uninstall_integration_from_space", on_space) == all_but_the_report - {"installation_sites"}
    assert list_touched("install_integration", "/integrations/slack/installations") == all_but_the_report
    # Others' names that begin alike, and what changes nothing that can be read.
    assert list_touched("unpublish_integration", "/integrations/slack2") == {"inventory"}
    assert list_touched("uninstall_integration", "/integrations/slack/installations/i2") == {"inventory", "integration"}
    assert list_touched("queue_integration_task", "/integrations/slack/tasks") == set()
    assert list_touched("create_integration_installation_token", "/integrations/slack/installations/i/tokens") == set()
    assert list_touched("get_integration_by_name", "/integrations/slack") == set()


# Reading


@each_era
async def test_a_client_lists_templates_and_reads_what_it_finds(era: Era) -> None:
    server = create_gated_server(GitBookSpy())
    async with Client(server, mode=era) as client:
        assert (await read_capabilities(client))["resources"] == {"listChanged": False, "subscribe": True}
        templates = (await client.list_resource_templates()).resource_templates
        assert [template.uri_template for template in templates] == [one.uri_template for one in LISTED]
        pages = await walk(client)
        assert pages[0] == [INVENTORY]
        assert len(pages[1]) == 9
        inventory = await read(client, INVENTORY)
        installations = {item["installation"]["id"] for item in inventory["items"]}
        assert {(await read(client, uri))["id"] for uri in pages[1]} == installations
        assert (await read(client, SLACK))["name"] == "slack"


@each_era
async def test_a_resource_holds_what_the_tool_of_its_read_answers(era: Era) -> None:
    async with Client(create_gated_server(GitBookSpy()), mode=era) as client:
        for uri in [INVENTORY, SLACK, *(await walk(client))[1]]:
            address = read_address(uri)
            result = await client.call_tool(address.resource.tool.name, dict(address.arguments))
            assert await read(client, uri) == json.loads(read_text(result))


async def test_the_report_is_that_of_the_last_audit() -> None:
    async with Client(create_gated_server(GitBookSpy())) as client:
        uri = f"{SCHEME}://orgs/{ORGANIZATION_ID}/report"
        audited = (await client.call_tool("audit_installations", {})).structured_content or {}
        content = await read(client, uri)
        assert content["generatedAt"] == audited["generatedAt"]
        assert content["report"]["figures"]["installations"] == 9
        with pytest.raises(MCPError) as caught:
            await client.read_resource(f"{uri}?pages=2")
        assert caught.value.data["code"] == "unknown_argument"


async def test_a_list_is_short_unless_its_address_asks_for_all_of_each_item() -> None:
    async with Client(create_gated_server(GitBookSpy())) as client:
        short, full = await read(client, INVENTORY), await read(client, f"{INVENTORY}?detail=full")
        assert set(short["items"][0]["integration"]) < set(full["items"][0]["integration"])
        with pytest.raises(MCPError, match="detail must be"):
            await client.read_resource(f"{INVENTORY}?detail=everything")


async def test_large_contents_come_in_pages() -> None:
    upstream = Upstream()
    upstream.answer({"items": [{"installation": {"id": "i"}}], "next": {"page": "p/2"}})
    async with connect(upstream) as client:
        assert (await read(client, f"{INVENTORY}?page=p%2F1"))["next"]["page"] == "p/2"
    assert upstream.requests[0].query["page"] == ["p/1"]


@each_era
@pytest.mark.parametrize(
    ("uri", "number", "code"),
    [
        (f"{SCHEME}://nothing", None, "unknown_resource"),
        ("https://gitbook.com/", None, "unknown_resource"),
        (f"{SCHEME}://integrations/slack/", None, "unknown_resource"),
        (f"{SCHEME}://integrations/{'x' * 3000}", None, "unknown_resource"),
        (f"{SCHEME}://integrations/none-such", None, "not_found"),
        (f"{SCHEME}://integrations/..", INVALID_PARAMS, "invalid_arguments"),
        (f"{SCHEME}://integrations/a%2Fb", INVALID_PARAMS, "invalid_arguments"),
        (f"{SCHEME}://integrations/slack/installations/%2e%2e", INVALID_PARAMS, "invalid_arguments"),
        (f"{SLACK}?pgae=2", INVALID_PARAMS, "unknown_argument"),
    ],
)
async def test_what_cannot_be_read_is_told_with_the_codes_of_the_era(
    era: Era, uri: str, number: int | None, code: str
) -> None:
    async with Client(create_gated_server(GitBookSpy()), mode=era) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
    assert caught.value.code == (number or NOT_FOUND[era])
    assert caught.value.data == {"uri": uri, "code": code}


@each_era
async def test_the_path_of_an_address_says_what_is_read_whatever_its_query_says(era: Era) -> None:
    async with Client(create_gated_server(GitBookSpy()), mode=era) as client:
        (content,) = (await client.read_resource(f"{SLACK}?integrationName=heatlens")).contents
    assert isinstance(content, TextResourceContents)
    assert json.loads(content.text)["name"] == "slack"


@each_era
@pytest.mark.parametrize(
    ("sections", "left", "expected"),
    [
        (
            {"tools": {"exclude": ["get_integration_by_name"]}},
            {one.name for one in LISTED} - {"integration"},
            "tools.exclude",
        ),
        (
            {"tools": {"toolsets": ["installations"]}},
            {"inventory", "installation"},
            "its toolset marketplace is not enabled",
        ),
        (
            {"confirmation": {"extra_tools": ["get_integration_by_name"]}},
            {one.name for one in LISTED} - {"integration"},
            "requires confirmation",
        ),
    ],
)
async def test_what_is_no_tool_for_a_caller_is_no_resource_either(
    era: Era, sections: dict[str, Any], left: set[str], expected: str
) -> None:
    upstream = Upstream()
    async with connect(upstream, era, **sections) as client:
        templates = {template.name for template in (await client.list_resource_templates()).resource_templates}
        assert templates == left
        with pytest.raises(MCPError, match=expected) as caught:
            await client.read_resource(SLACK)
    assert caught.value.code == NOT_FOUND[era]
    assert caught.value.data == {"uri": SLACK, "code": "tool_disabled"}
    assert upstream.requests == []


@each_era
async def test_a_failure_of_gitbook_is_told_and_no_token_is_in_it(era: Era) -> None:
    upstream = Upstream(500, json.dumps({"error": {"code": 500, "message": f"of {TOKENS['token']}"}}).encode())
    async with connect(upstream, era) as client:
        for reading in (client.read_resource(SLACK), client.list_resources()):
            with pytest.raises(MCPError, match=r"with 500: \"of \[redacted\]\"") as caught:
                await reading
            assert caught.value.code == INTERNAL_ERROR
            assert caught.value.data["code"] == "gitbook_failed"
        upstream.answer({"name": "slack", "echo": TOKENS["token"]})
        assert (await read(client, SLACK))["echo"] == "[redacted]"


async def test_a_defect_tells_nothing_but_that_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError(TOKENS["token"])

    monkeypatch.setattr("gitbook_integrations_mcp.pipeline.pipeline.read_response", fail)
    async with connect(Upstream()) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(SLACK)
    assert caught.value.code == INTERNAL_ERROR
    assert caught.value.data == {"uri": SLACK, "code": "internal_error"}
    assert TOKENS["token"] not in str(caught.value)


@each_era
async def test_each_caller_reads_with_their_own_token(era: Era) -> None:
    upstream = Upstream(body=b'{"name": "slack"}')
    sections: dict[str, Any] = {
        "http": {"tokens": CALLERS, "credentials": "per-request"},
        "gitbook": {"token": "operators-own-token"},
    }
    ann, bob = (bear(name, **{"X-GitBook-Token": f"{name}s-token"}) for name in ("ann", "bob"))
    async with (
        serve(upstream, **sections) as address,
        reach(address, "streamable-http", era, headers=ann) as anns,
        reach(address, "streamable-http", era, headers=bob) as bobs,
        reach(address, "streamable-http", era, headers=bear("bob")) as nobodys,
    ):
        for client in (anns, bobs, bobs, anns):
            await read(client, SLACK)
        with pytest.raises(MCPError, match="X-GitBook-Token"):
            await read(nobodys, SLACK)
    sent = [request.headers["authorization"].removeprefix("Bearer ") for request in upstream.requests]
    assert sent == ["anns-token", "bobs-token", "bobs-token", "anns-token"]


# The list


class Organizations(Upstream):
    """Three organizations on two pages, the second of which is not the caller's to look into, with two pages each."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer by path and page."""
        path, query = scope["path"], scope["query_string"].decode()
        self.answer({"items": []})
        if path == "/v1/orgs":
            first = "page=" not in query
            items = [{"id": "one", "title": "One\u202e"}, {"id": "two"}] if first else [{"id": "three"}]
            self.answer({"items": items, **({"next": {"page": "2"}} if first else {})})
        elif path == "/v1/orgs/two/installations":
            self.answer({"error": {"code": 403, "message": "no"}}, 403)
        elif path.endswith("/installations"):
            number = "2" if "page=2" in query else "1"
            item = {"installation": {"id": f"{path.split('/')[3]}-{number}"}, "integration": {"name": "slack"}}
            self.answer({"items": [item, {}], **({} if number == "2" else {"next": {"page": "2"}})})
        await super().__call__(scope, receive, send)


@each_era
async def test_the_list_leads_through_all_organizations_and_their_installations_a_page_at_a_time(era: Era) -> None:
    async with connect(Organizations(), era) as client:
        first = (await client.list_resources()).resources
        assert [resource.title for resource in first] == ["One: installed integrations", "two: installed integrations"]
        pages = await walk(client)
    short = [[uri.removeprefix(f"{SCHEME}://").replace("integrations/slack/", "") for uri in page] for page in pages]
    assert short == [
        ["orgs/one/installations", "orgs/two/installations"],
        ["installations/one-1"],
        ["installations/one-2"],
        [],
        ["orgs/three/installations"],
        ["installations/three-1"],
        ["installations/three-2"],
    ]


@pytest.mark.parametrize("cursor", ["", "nonsense", "W10=", "WzEsMiwzXQ==", "W251bGwsIi4uIixudWxsXQ=="])
async def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    async with connect(Organizations()) as client:
        with pytest.raises(MCPError) as caught:
            await client.list_resources(cursor=cursor)
    assert caught.value.code == INVALID_PARAMS
    assert caught.value.data == {"code": "invalid_arguments"}


async def test_without_a_token_nothing_is_listed_and_reading_says_what_is_missing() -> None:
    from gitbook_integrations_mcp.app import create_server
    from gitbook_integrations_mcp.config.settings import load_settings

    async with Client(create_server(load_settings({}))) as client:
        assert await walk(client) == [[]]
        with pytest.raises(MCPError, match="GITBOOK_TOKEN") as caught:
            await client.read_resource(SLACK)
    assert caught.value.code == INTERNAL_ERROR
