"""One contract for all tools: the published schema, the request, the result and the errors."""

import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
from jsonschema import Draft202012Validator

from gitbook_integrations_api.catalog import ENDPOINTS, NOT_EXPOSED, TOOLS, TOOLSETS
from gitbook_integrations_api.endpoint import Composite, Endpoint, Risk, Tool
from gitbook_integrations_api.options import CONFIRMATION_ARGUMENT, name_options
from gitbook_integrations_api.schema import describe_model
from gitbook_integrations_mcp.calls.checks import complete_arguments
from gitbook_integrations_mcp.features.tools import describe_tool
from gitbook_integrations_mcp.pipeline.masked_values import is_written_back
from tests.support.fake_gitbook import ERAS, TOKENS, Era, Upstream, connect, read_text
from tests.support.samples import OFFERED, make_arguments

DESTRUCTIVE = {
    "unpublish_integration",
    "uninstall_integration",
    "uninstall_integration_from_space",
    "uninstall_integration_from_site",
    "disable_integration_development_mode",
}
REPLACING = {
    "set_integration_development_mode",
    "update_integration_installation",
    "update_integration_space_installation",
    "update_integration_site_installation",
}
NEEDS_INTEGRATION = {
    "list_integration_installations",
    "list_integration_space_installations",
    "list_integration_site_installations",
    "create_integration_installation_token",
    "queue_integration_task",
}

NAMES_IN_DESCRIPTIONS = {"configuration_account", "completion_url", "callback_url", "button_text"}
"""Names with underscores in descriptions that are not tools."""

each_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=list(ENDPOINTS))
each_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))
each_era = pytest.mark.parametrize("era", ERAS)


def walk(schema: Any) -> list[dict[str, Any]]:
    """Return all schemas within a schema, itself included."""
    if isinstance(schema, list):
        return [found for item in schema for found in walk(item)]
    if not isinstance(schema, dict):
        return []
    children = [
        child
        for key, value in schema.items()
        for child in (value.values() if key == "properties" else [value])
        if key not in {"default", "enum", "const", "required"}
    ]
    return [schema, *(found for child in children for found in walk(child))]


LIMITS = {"pattern", "format", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "maxProperties"}


@each_tool
def test_the_input_schema_is_valid_described_and_readable_by_every_client(tool: Tool) -> None:
    schema = describe_tool(tool).input_schema
    Draft202012Validator.check_schema(schema)
    assert set(schema) <= {"type", "properties", "required"}  # no anyOf, oneOf or allOf: clients reject them here
    assert schema["type"] == "object"
    for name, child in schema["properties"].items():
        assert child.get("description"), name
    for node in walk(schema):
        assert not LIMITS & set(node)
        assert node.get("additionalProperties") is not False
        assert not isinstance(node.get("title"), str)
        assert "$ref" not in node
        assert "const" not in node
        assert {"type", "anyOf", "oneOf"} & set(node) or set(node) <= {"description"}
        assert node.get("type") != "null"
        assert node.get("default", 0) is not None


@each_tool
def test_the_input_schema_names_the_same_arguments_as_the_model_that_checks_them(tool: Tool) -> None:
    published, checked = describe_tool(tool).input_schema, describe_model(tool.input)
    assert list(published["properties"]) == [*checked["properties"], *name_options(tool)]
    assert published.get("required") == checked.get("required")
    assert checked["additionalProperties"] is False
    for name, child in checked["properties"].items():
        for keyword in ("type", "enum", "default", "maximum", "description"):
            assert published["properties"][name].get(keyword) == child.get(keyword), (name, keyword)


@each_era
async def test_every_argument_is_described_with_two_steps_too(era: Era) -> None:
    async with connect(Upstream(), era, confirmation={"fallback": "two-step"}) as client:
        tools = (await client.list_tools()).tools
    described = [tool.input_schema["properties"] for tool in tools]
    assert any(CONFIRMATION_ARGUMENT in properties for properties in described)
    assert all(child.get("description") for properties in described for child in properties.values())


@each_tool
def test_samples_fit_the_published_schema(tool: Tool) -> None:
    schema = describe_tool(tool).input_schema
    for optional in (True, False):
        Draft202012Validator(schema).validate(make_arguments(tool, optional=optional))


@each_endpoint
def test_annotations_describe_the_effect_of_a_call(endpoint: Endpoint) -> None:
    annotations = describe_tool(endpoint).annotations
    assert annotations is not None
    assert annotations.read_only_hint is (endpoint.method == "GET")
    assert annotations.destructive_hint is (endpoint.name in DESTRUCTIVE | REPLACING)
    assert annotations.idempotent_hint is (endpoint.method in {"GET", "PUT", "DELETE"})
    assert annotations.open_world_hint is True


@each_tool
def test_an_output_schema_accepts_any_fields(tool: Tool) -> None:
    schema = describe_tool(tool).output_schema
    assert schema is not None
    Draft202012Validator.check_schema(schema)
    assert "required" not in schema
    assert schema.get("additionalProperties", True) is True
    Draft202012Validator(schema).validate({"status": "not_sent", "code": "confirmation_required", "new": [1]})


def expect_request(endpoint: Endpoint, arguments: dict[str, Any]) -> tuple[str, dict[str, list[str]], Any]:
    """Return path, query and body as documented, computed independently of the program."""
    path = "/v1" + endpoint.path
    rest = dict(arguments)
    for name in arguments:
        if "{" + name + "}" in path:
            path = path.replace("{" + name + "}", str(rest.pop(name)))
    in_query = set(rest) if endpoint.method in {"GET", "DELETE"} else {"extended"} & set(rest)
    query = {name: [_word(item) for item in _listed(rest.pop(name))] for name in in_query}
    return path, query, rest if describe_body(endpoint) else None


def describe_body(endpoint: Endpoint) -> bool:
    """Return whether the endpoint takes a body. Creating a token is a POST without one."""
    return endpoint.method in {"POST", "PUT", "PATCH"} and endpoint.name != "create_integration_installation_token"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@each_era
@pytest.mark.parametrize("optional", [True, False], ids=["all arguments", "required arguments"])
@each_endpoint
async def test_a_call_sends_exactly_the_documented_request(endpoint: Endpoint, optional: bool, era: Era) -> None:
    upstream = Upstream()
    upstream.answer([] if endpoint.result.shape == "array" else {"items": []})
    arguments = make_arguments(endpoint, optional=optional)
    async with connect(upstream, era) as client:
        result = await client.call_tool(endpoint.name, arguments)
    assert not result.is_error, read_text(result)
    *read, sent = upstream.requests
    reads_target = is_written_back(endpoint) and not endpoint.body_names.isdisjoint(arguments)
    reads_schema = endpoint.configures is not None and "configuration" in arguments
    assert [request.method for request in read] == ["GET"] * (reads_target + reads_schema)
    path, query, body = expect_request(endpoint, complete_arguments(endpoint, arguments))
    assert (sent.method, unquote(sent.raw_path.decode())) == (endpoint.method, path)
    assert sent.query == query
    assert sent.body == body
    secret = TOKENS["integration_token" if endpoint.name in NEEDS_INTEGRATION else "token"]
    assert sent.headers["authorization"] == f"Bearer {secret}"


ANSWERING = [endpoint for endpoint in ENDPOINTS.values() if endpoint.result.shape != "nothing"]
ANSWERS: dict[str, tuple[Any, Any]] = {
    "object": ({"id": "x", "new": {"a": [None]}},) * 2,
    "page": ({"items": [{"id": "é", "new": 1}], "next": {"page": "p2"}, "count": 9},) * 2,
    "array": ([{"script": "s"}], {"items": [{"script": "s"}]}),
}


@each_era
@pytest.mark.parametrize("endpoint", ANSWERING, ids=lambda endpoint: endpoint.name)
async def test_a_result_keeps_every_field_as_structured_content_and_as_the_same_text(
    endpoint: Endpoint, era: Era
) -> None:
    upstream = Upstream()
    answered, expected = ANSWERS[endpoint.result.shape]
    if endpoint.is_list and not endpoint.is_paged and "next" in answered:
        answered = expected = {name: value for name, value in answered.items() if name != "next"}
    upstream.answer(answered, endpoint.success[0])
    async with connect(upstream, era) as client:
        await client.list_tools()  # from here on the client checks results against the output schema
        everything = {"detail": "full"} if endpoint.is_list else {}
        answered_about = {"installationId": "x"} if "installationId" in endpoint.path_names else {}
        result = await client.call_tool(endpoint.name, make_arguments(endpoint) | everything | answered_about)
    content = result.structured_content or {}
    assert read_text(result) == json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    assert ("receipt" in content) == (endpoint.risk is not Risk.READ)
    assert {name: value for name, value in content.items() if name != "receipt"} == expected


async def test_of_the_owner_of_an_integration_only_the_summary_is_shown() -> None:
    upstream, owner = Upstream(), {"id": "o", "title": "Acme", "hostname": "acme"}
    upstream.answer({"name": "acme", "owner": {**owner, "permissions": {"admin": False}, "inviteLinks": False}})
    async with connect(upstream) as client:
        found = (await client.call_tool("get_integration_by_name", {"integrationName": "acme"})).structured_content
        assert found == {"name": "acme", "owner": owner}
        upstream.answer({"name": "acme", "owner": "o"})
        found = (await client.call_tool("get_integration_by_name", {"integrationName": "acme"})).structured_content
        assert found == {"name": "acme", "owner": "o"}


@pytest.mark.parametrize("status", [204, 205])
async def test_a_deletion_names_what_it_removed(status: int) -> None:
    arguments = {"integrationName": "acme", "installationId": "i-1", "siteId": "s-1"}
    async with connect(Upstream(status)) as client:
        text = read_text(await client.call_tool("uninstall_integration_from_site", arguments))
    for name, value in arguments.items():
        assert re.search(rf"\b{value}\b", text), name


async def test_switching_development_mode_says_what_happens_now() -> None:
    acme = {"integrationName": "acme"}
    async with connect(Upstream(204)) as client:
        tunnel = {"tunnelUrl": "https://tunnel.example:8443/hook?key=planted"}
        on = read_text(await client.call_tool("set_integration_development_mode", acme | tunnel))
        already = await client.call_tool("disable_integration_development_mode", acme)
        assert (already.structured_content or {})["receipt"]["undo"] == "Nothing was changed."
    async with connect(Upstream(205)) as client:
        off = read_text(await client.call_tool("disable_integration_development_mode", acme))
    assert "acme is on: its events now go to https://tunnel.example:8443." in on
    assert "get_integration_by_name" in on
    assert "planted" not in on
    assert "acme is off" in off
    assert (already.structured_content or {})["status"] == "already_absent"


@pytest.mark.parametrize(("status", "outcome"), [(205, "done"), (204, "already_absent")])
@pytest.mark.parametrize("name", sorted(DESTRUCTIVE))
async def test_a_deletion_distinguishes_deleted_from_already_absent(name: str, status: int, outcome: str) -> None:
    upstream = Upstream()
    upstream.answer(None, status)
    async with connect(upstream) as client:
        result = await client.call_tool(name, make_arguments(ENDPOINTS[name]))
    assert result.structured_content is not None
    assert result.structured_content["status"] == outcome


FAULTS: dict[str, tuple[int, bytes, dict[str, str], str]] = {
    "bad request": (400, b'{"error":{"code":400,"message":"limit is off"}}', {}, 'with 400: "limit is off"'),
    "hidden text": (400, '{"error":{"code":400,"message":"a\u202eb\U000e0041 c"}}'.encode(), {}, '"a b c"'),
    "unauthorized": (401, b'{"error":{"code":401,"message":"no"}}', {}, "accepts"),
    "forbidden": (403, b'{"error":{"code":403,"message":"no"}}', {}, "accepts"),
    "not found": (404, b'{"error":{"code":404,"message":"no"}}', {}, "Check "),
    "conflict": (409, b'{"error":{"code":409,"message":"no"}}', {}, "Read that state"),
    "precondition": (412, b'{"error":{"code":412,"message":"no"}}', {}, "precondition"),
    "unprocessable": (422, b'{"error":{"code":422,"message":"no"}}', {}, "Fix the arguments"),
    "too many": (429, b'{"error":{"code":429,"message":"no"}}', {"retry-after": "7"}, "Wait 7 s"),
    "too many, untold": (429, b"", {"x-ratelimit-reset": "soon"}, "Wait a minute"),
    "broken": (500, b"oops", {}, "GitBook failed"),
    "unavailable": (503, b"<html>busy</html>", {"content-type": "text/html"}, "(a web page)"),
    "redirect": (302, b"", {"location": "https://elsewhere.example"}, "redirect"),
}
UNREADABLE = {
    "not JSON": (b"hello", {}, "invalid or truncated JSON"),
    "cut off": (b'{"items": [', {}, "invalid or truncated JSON"),
    "not finite": (b'{"items": [NaN]}', {}, "invalid or truncated JSON"),
    "empty": (b" \n", {}, "an empty response"),
    "web page": (b"<!doctype html>", {"content-type": "text/html"}, "a web page"),
    "a number": (b"5", {}, "not a"),
    "a list of numbers": (b'{"items": [1]}', {}, "not a list"),
}


@each_endpoint
@pytest.mark.parametrize("fault", list(FAULTS))
async def test_an_error_of_the_api_is_explained_with_a_remedy(endpoint: Endpoint, fault: str) -> None:
    status, body, headers, expected = FAULTS[fault]
    upstream = Upstream(status, body, headers)
    async with connect(upstream) as client:
        result = await client.call_tool(endpoint.name, make_arguments(endpoint))
    text = read_text(result)
    assert result.is_error
    assert str(status) in text
    assert expected in text
    assert endpoint.name in text
    assert not any(token in text for token in TOKENS.values())
    sent = [request.method for request in upstream.requests]
    # What may not be read, or is not there yet, may be writable all the same.
    if fault == "not found":  # lists are read for a suggestion
        while len(sent) > 1 and sent[-1] == "GET":
            sent.pop()
    assert sent == [endpoint.method] or (is_written_back(endpoint) and sent in (["GET"], ["GET", endpoint.method]))


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("get_integration_site_installation", 404, "not installed there: install_integration_on_site installs it."),
        ("update_integration_space_installation", 404, "not installed there: install_integration_on_space installs"),
        ("get_integration_installation_by_id", 404, "not installed there: install_integration installs it."),
        ("uninstall_integration_from_site", 404, "not installed there: nothing is left to uninstall."),
        ("install_integration", 409, "The call changed nothing. Read that state with list_organization_installations"),
        ("list_integration_events", 403, "another attempt fails, too. This endpoint accepts"),
        ("list_integration_events", 403, "of someone with the needed role in the organization concerned or of the"),
        ("list_sites", 403, "(GITBOOK_TOKEN): of someone with the needed role in the organization concerned. Tell"),
        ("queue_integration_task", 403, "(GITBOOK_INTEGRATION_TOKEN): of the integration itself. Tell"),
    ],
)
async def test_an_error_of_the_api_names_the_next_step(name: str, status: int, words: str) -> None:
    upstream = Upstream(status)
    async with connect(upstream) as client:
        text = read_text(await client.call_tool(name, make_arguments(ENDPOINTS[name])))
    assert words in text


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        pytest.param(endpoint, fault, id=f"{endpoint.name}-{fault}")
        for endpoint in ANSWERING
        for fault in UNREADABLE
        if not (fault == "a list of numbers" and endpoint.result.shape == "object")  # there, that is an answer
    ],
)
async def test_an_unreadable_response_is_an_error_with_the_reason(endpoint: Endpoint, fault: str) -> None:
    body, headers, expected = UNREADABLE[fault]
    upstream = Upstream(200, body, headers)
    async with connect(upstream) as client:
        result = await client.call_tool(endpoint.name, make_arguments(endpoint))
    assert result.is_error
    assert expected in read_text(result)
    fate = (
        "You can repeat the call"
        if endpoint.method == "GET" or is_written_back(endpoint)
        else "It is unknown whether the call took effect"
    )
    assert fate in read_text(result)


@each_endpoint
async def test_a_404_names_the_tools_that_list_valid_values(endpoint: Endpoint) -> None:
    upstream = Upstream(404, b'{"error":{"code":404,"message":"Not found"}}')
    async with connect(upstream) as client:
        text = read_text(await client.call_tool(endpoint.name, make_arguments(endpoint)))
    schema = describe_model(endpoint.input)
    for name in {*endpoint.path_names, "componentId"} & set(schema["properties"]):
        source = re.search(r"\bfrom (\w+)", schema["properties"][name]["description"])
        assert (f"{name}: {source and source[1]}" in text) is (source is not None)


def test_every_tool_named_in_a_description_exists() -> None:
    for tool in TOOLS.values():
        shown = describe_tool(tool)
        for node in ({"description": shown.description}, *walk(shown.input_schema)):
            description = node.get("description", "")
            for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", description if isinstance(description, str) else ""):
                assert word in {*TOOLS, *NAMES_IN_DESCRIPTIONS}, (tool.name, description)


def test_the_catalog_names_each_operation_once() -> None:
    operations = [tool.operation for tools in TOOLSETS.values() for tool in tools]
    assert len(operations) == len(set(operations)) == len(TOOLS)
    assert not set(operations) & set(NOT_EXPOSED)


async def test_tools_are_listed_in_the_order_of_the_catalog_in_both_eras() -> None:
    for era in ERAS:
        async with connect(Upstream(), era) as client:
            listed = [tool.name for tool in (await client.list_tools()).tools]
        assert listed == list(OFFERED)


def test_a_composite_tool_that_changes_something_always_needs_approval() -> None:
    changing = [tool for tool in TOOLS.values() if isinstance(tool, Composite) and tool.risk is not Risk.READ]
    assert changing
    assert all(tool.needs_confirmation({}) for tool in changing)


def test_the_tools_that_others_name_exist() -> None:
    endpoints = list(ENDPOINTS.values())
    named = {name for one in endpoints for name in (one.reverted_by, one.ended_by, one.user_alternative) if name}
    assert named
    assert named <= TOOLS.keys()
