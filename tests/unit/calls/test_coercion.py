"""Arguments as clients really send them: null for what is left out, JSON in strings, and the longer names of IDs."""

from typing import Any

import pytest

from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.confirmation.results import Approval
from tests.support.fake_gitbook import Upstream, approve, connect, read_code, read_text

PAGE: dict[str, Any] = {"items": []}
NAMED = {"integrationName": "acme"}


async def send(name: str, arguments: dict[str, Any], **sections: Any) -> Any:
    """Return the one request that a call leads to."""
    upstream = Upstream()
    upstream.answer(PAGE if name.startswith("list") else {})
    async with connect(upstream, **sections) as client:
        result = await client.call_tool(name, arguments)
    assert not result.is_error, read_text(result)
    return upstream.requests[-1]


@pytest.mark.parametrize(
    ("name", "arguments", "query"),
    [
        ("list_integrations", {"limit": None, "search": None, "blocks": None, "fetchAll": None}, {}),
        ("list_integrations", {"limit": "5"}, {"limit": ["5"]}),
        ("list_integrations", {"blocks": "true"}, {"blocks": ["true"]}),
        ("list_integrations", {"blocks": "True"}, {"blocks": ["true"]}),
        ("list_integrations", {"blocks": "false", "detail": "full"}, {"blocks": ["false"]}),
        ("list_sites", {"organizationId": "o", "type": '["basic"]'}, {"type": ["basic"]}),
        ("list_sites", {"organizationId": "o", "type": "basic"}, {"type": ["basic"]}),
        ("list_integrations", {"search": "", "owner": "", "page": "", "category": ""}, {}),
        ("list_integrations", {"detail": "", "fetchAll": "", "maxItems": ""}, {}),
        ("list_integrations", {"fetchAll": True, "maxItems": 5.0}, {"limit": ["5"]}),
        ("list_integrations", {"fetchAll": "True", "maxItems": "5.0"}, {"limit": ["5"]}),
        ("list_sites", {"organization": "o", "limit": 1}, {"limit": ["1"]}),
        ("list_integrations", {"search": "5"}, {"search": ["5"]}),
        ("list_integrations", {"search": 5}, {"search": ["5"]}),
        ("list_integrations", {"search": "true"}, {"search": ["true"]}),
    ],
)
async def test_one_reading_that_fits_is_taken(
    name: str, arguments: dict[str, Any], query: dict[str, list[str]]
) -> None:
    assert (await send(name, arguments)).query == query


@pytest.mark.parametrize(
    ("name", "arguments", "body"),
    [
        ("queue_integration_task", {**NAMED, "task": '{"a": 1}', "schedule": "60"}, {"task": {"a": 1}, "schedule": 60}),
        ("install_integration", {**NAMED, "organizationId": "o"}, {"organization": "o"}),
        ("install_integration_on_space", {**NAMED, "installationId": "i", "spaceId": "s"}, {"space": "s"}),
        ("install_integration_on_site", {**NAMED, "installationId": "i", "site": "s"}, {"siteId": "s"}),
    ],
)
async def test_bodies_are_read_alike(name: str, arguments: dict[str, Any], body: dict[str, Any]) -> None:
    assert (await send(name, arguments)).body == body


@pytest.mark.parametrize(
    ("name", "arguments", "code", "word"),
    [
        ("get_integration_by_name", {"integrationName": None}, "invalid_arguments", "integrationName is required"),
        ("list_integrations", {"limit": "five"}, "invalid_arguments", "limit"),
        ("list_integrations", {"fetchAll": True, "maxItems": 5.5}, "invalid_arguments", "maxItems"),
        ("list_integrations", {"fetchAll": True, "maxItems": "5.5"}, "invalid_arguments", "maxItems"),
        ("list_sites", {"organizationId": "o", "type": '["basic"'}, "invalid_arguments", "type"),
        ("list_integrations", {"limit": "[5]"}, "invalid_arguments", "limit"),
        ("list_integrations", {"limit": "true"}, "invalid_arguments", "limit"),
        ("list_integrations", {"blocks": "1"}, "invalid_arguments", "blocks"),
        ("list_integrations", {"blocks": "yes"}, "invalid_arguments", "blocks"),
        ("list_integrations", {"search": 5.0}, "invalid_arguments", "search"),
        ("list_integrations", {"search": True}, "invalid_arguments", "search"),
        ("queue_integration_task", {**NAMED, "task": '"text"'}, "invalid_arguments", "task"),
        ("queue_integration_task", {**NAMED, "task": "{"}, "invalid_arguments", "task"),
        ("queue_integration_task", {**NAMED, "task": '{"a": 1, "a": 2}'}, "invalid_arguments", "task"),
        ("queue_integration_task", {**NAMED, "task": '{"a": NaN}'}, "invalid_arguments", "task"),
        ("queue_integration_task", {**NAMED, "task": '{"a": 1} // note'}, "invalid_arguments", "task"),
        (
            "install_integration",
            {**NAMED, "organization": "o", "organizationId": "p"},
            "unknown_argument",
            "organizationId",
        ),
    ],
)
async def test_everything_else_stays_strict(name: str, arguments: dict[str, Any], code: str, word: str) -> None:
    upstream = Upstream()
    async with connect(upstream) as client:
        result = await client.call_tool(name, arguments)
    assert result.is_error
    assert result.structured_content["code"] == code
    assert word in read_text(result)
    assert upstream.requests == []


async def test_null_for_an_optional_field_of_an_object_is_as_if_it_were_left_out() -> None:
    block = {"id": "b", "title": "Block"}
    nulls = {"description": None, "markdown": None, "urlUnfurl": None}
    manifest = {
        "title": "Acme",
        "description": "Acme",
        "organization": "o",
        "script": "export default {}",
        "scopes": [],
    }
    sent = {"blocks": [{**block, **nulls}], "configurations": {"account": None}}
    body = (await send("publish_integration", {**NAMED, **manifest, **sent})).body
    assert body["blocks"] == [block]
    assert body["configurations"] == {}


async def test_null_for_a_required_field_of_an_object_is_an_error() -> None:
    place = {**NAMED, "installationId": None, "spaceId": None, "siteId": None}
    async with connect(Upstream()) as client:
        result = await client.call_tool("copy_configuration", {"source": place, "target": place})
    assert read_text(result).count("installationId") == 2
    assert "spaceId" not in read_text(result)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("list_changes", {"changeId": "", "page": "", "outcome": "", "since": "", "limit": ""}),
        ("check_policy", {"integrationName": "", "spaceId": "", "action": ""}),
        ("inspect_integration_events", {**NAMED, "status": "", "type": "", "since": "", "withTraces": ""}),
        (
            "audit_installations",
            {"organizationId": "", "section": "summary", "integration": "", "explain": "", "integrations": ""},
        ),
        ("list_sites", {"organizationId": ""}),
        ("install_integration", {**NAMED, "organization": ""}),
    ],
)
async def test_an_empty_text_that_can_mean_nothing_is_as_if_it_were_left_out(
    name: str, arguments: dict[str, Any]
) -> None:
    upstream = Upstream()
    upstream.answer(PAGE)
    async with connect(upstream, gitbook={"organization": "mine"}) as client:
        result = await client.call_tool(name, arguments)
    assert not result.is_error, read_text(result)


async def test_an_empty_text_in_a_call_that_changes_something_is_a_value() -> None:
    arguments = {**NAMED, "organization": "o", "visibility": ""}
    async with connect(Upstream()) as client:
        result = await client.call_tool("publish_integration", arguments)
    assert "visibility must be" in read_text(result)


async def test_null_inside_an_object_keeps_its_meaning() -> None:
    upstream = Upstream()
    upstream.answer({"configuration": {"a": "x"}})
    async with connect(upstream) as client:
        arguments = {**NAMED, "installationId": "i", "configuration": {"a": None}}
        await client.call_tool("update_integration_installation", arguments)
    assert upstream.requests[-1].body == {"configuration": {"a": None}}


async def test_the_default_organization_is_taken_under_both_names() -> None:
    organization = {"gitbook": {"organization": "mine"}}
    assert (await send("install_integration", NAMED, **organization)).body == {"organization": "mine"}
    assert (await send("list_sites", {"organizationId": None}, **organization)).raw_path == b"/v1/orgs/mine/sites"


@pytest.mark.parametrize("given", ['"5"', "5", "5.0", " 5 "])
async def test_a_number_in_a_string_is_read_once(given: str) -> None:
    if given == '"5"':
        async with connect(Upstream()) as client:
            assert read_code(await client.call_tool("list_integrations", {"limit": given})) == "invalid_arguments"
    else:
        assert (await send("list_integrations", {"limit": given})).query == {"limit": ["5"]}


async def test_an_option_of_this_server_is_read_alike() -> None:
    upstream = Upstream()
    upstream.answer({"items": [{"name": "a"}, {"name": "b"}]})
    async with connect(upstream) as client:
        result = await client.call_tool("list_integrations", {"fetchAll": "true", "maxItems": "1", "detail": None})
    assert not result.is_error, read_text(result)
    assert [item["name"] for item in (result.structured_content or {})["items"]] == ["a"]


async def test_a_confirmation_is_asked_for_and_bound_to_the_arguments_as_they_are_read() -> None:
    asked = []

    async def confirm(call: Call) -> Approval:
        asked.append((dict(call.arguments), call.binding))
        return await approve(call)

    upstream = Upstream()
    arguments = {**NAMED, "tunnelUrl": "https://x.example"}
    async with connect(upstream, confirm=confirm) as client:
        await client.call_tool("set_integration_development_mode", {**arguments, "all": "true"})
        await client.call_tool("set_integration_development_mode", {**arguments, "all": True})
    (first, second) = asked
    assert first == second
    assert first[0] == {**arguments, "all": True}
