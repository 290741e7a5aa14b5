"""What a model reads when its arguments do not fit, and that nothing is sent then."""

from typing import Any

import pytest

from gitbook_integrations_api.catalog import ENDPOINTS
from tests.support.fake_gitbook import ERAS, Era, Upstream, connect, read_code, read_text
from tests.support.samples import make_arguments

INTEGRATION = {"integrationName": "acme"}
PUBLICATION = make_arguments(ENDPOINTS["publish_integration"], optional=False)

BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown argument": ("list_integrations", {"serch": "x"}, "serch: unknown argument. Did you mean search?"),
    "valid names": ("get_integration_by_name", {"name": "x"}, "Valid names: integrationName."),
    "valid names within an object": (
        "copy_configuration",
        {"source": {**INTEGRATION, "installation": "i"}, "target": {}},
        "Did you mean installationId? Valid names: integrationName, installationId, spaceId, siteId.",
    ),
    "missing": (
        "get_integration_by_name",
        {},
        "integrationName is required. Name from list_organization_integrations.",
    ),
    "null for what is required": ("get_integration_by_name", {"integrationName": None}, "integrationName is required"),
    "null for what is unknown": ("list_integrations", {"serch": None}, "serch: unknown argument"),
    "text for a number": ("list_integrations", {"limit": "five"}, "limit must be a valid number"),
    "text for a boolean": ("list_integrations", {"blocks": "yes"}, "blocks must be a valid boolean"),
    "text for an object": ("queue_integration_task", {**INTEGRATION, "task": "{"}, "task must be a valid object"),
    "half a character in JSON": (
        "queue_integration_task",
        {**INTEGRATION, "task": '{"a": "\\ud83d"}'},
        "invalid Unicode",
    ),
    "deep nesting in JSON": (
        "queue_integration_task",
        {**INTEGRATION, "task": '{"a":' * 300 + "1" + "}" * 300},
        "nesting that is too deep",
    ),
    "an update of nothing": (
        "update_integration_installation",
        {**INTEGRATION, "installationId": "i"},
        "Give at least one of: configuration, externalIds, space_selection, site_selection.",
    ),
    "an update of nulls": (
        "update_integration_installation",
        {**INTEGRATION, "installationId": "i", "configuration": None},
        "changes nothing",
    ),
    "number for text": ("list_integrations", {"search": 5.5}, "search must be a valid string"),
    "boolean for a number": ("list_integrations", {"limit": True}, "limit must be a valid number"),
    "too large": ("list_integrations", {"limit": 1001}, "limit must be less than or equal to 1000"),
    "too small": ("list_integrations", {"limit": -1}, "limit must be greater than or equal to 0"),
    "not in the enum": ("list_integrations", {"category": "analytic"}, "Did you mean 'analytics'?"),
    "pattern": (
        "list_integrations",
        {"blockDomain": "a b"},
        "blockDomain has the wrong form. Filter by a domain whose links its blocks unfurl.",
    ),
    "pattern of an option": (
        "set_integration_development_mode",
        {**INTEGRATION, "tunnelUrl": "https://hook.example.com", "for": "2 hours"},
        "for has the wrong form. 30m, 1d; default 2h",
    ),
    "a status, which only GitBook sets": (
        "update_integration_installation",
        {**INTEGRATION, "installationId": "i", "status": "paused"},
        "Only GitBook sets the status",
    ),
    "an option without the one that it needs": ("list_integrations", {"maxItems": 5}, "maxItems has an effect only"),
    "too long": ("get_integration_by_name", {"integrationName": "x" * 101}, "at most 100 characters"),
    "empty segment": ("get_integration_event", {**INTEGRATION, "eventId": ""}, "eventId must not be empty"),
    "dot segment": ("get_integration_by_name", {"integrationName": "."}, 'must not be "." or ".."'),
    "dots segment": ("get_integration_by_name", {"integrationName": ".."}, 'must not be "." or ".."'),
    "slash": ("get_integration_event", {**INTEGRATION, "eventId": "a/../b"}, "must not contain slashes"),
    "backslash": ("get_integration_event", {**INTEGRATION, "eventId": "a\\b"}, "backslashes"),
    "control character": ("get_integration_event", {**INTEGRATION, "eventId": "a\x00"}, "control characters"),
    "relative tunnel": (
        "set_integration_development_mode",
        {**INTEGRATION, "tunnelUrl": "/hook"},
        "tunnelUrl must be an absolute http or https URL",
    ),
    "tunnel of another scheme": (
        "set_integration_development_mode",
        {**INTEGRATION, "tunnelUrl": "ftp://x.example"},
        "absolute http or https URL",
    ),
    "tunnel at a number for an IPv4 address": (
        "set_integration_development_mode",
        {**INTEGRATION, "tunnelUrl": "http://2130706433/"},
        "tunnelUrl must have an IPv4 address as four decimal numbers, or a host name",
    ),
    "tunnel at a hexadecimal IPv4 address": (
        "set_integration_development_mode",
        {**INTEGRATION, "tunnelUrl": "http://0x7f.1/"},
        "tunnelUrl must have an IPv4 address as four decimal numbers, or a host name",
    ),
    "tunnel at a short IPv4 address": (
        "set_integration_development_mode",
        {**INTEGRATION, "tunnelUrl": "http://127.1/"},
        "tunnelUrl must have an IPv4 address as four decimal numbers, or a host name",
    ),
    "tunnel at an octal IPv4 address": (
        "set_integration_development_mode",
        {**INTEGRATION, "tunnelUrl": "http://127.0.0.01/"},
        "tunnelUrl must have an IPv4 address as four decimal numbers, or a host name",
    ),
    "tunnel at an IPv4 address with a dot after it": (
        "set_integration_development_mode",
        {**INTEGRATION, "tunnelUrl": "http://127.0.0.1./"},
        "tunnelUrl must have an IPv4 address as four decimal numbers, or a host name",
    ),
    "tunnel at a port that is none": (
        "set_integration_development_mode",
        {**INTEGRATION, "tunnelUrl": "https://x.example:99999"},
        "tunnelUrl must be an absolute http or https URL",
    ),
    "tunnel with a space": (
        "set_integration_development_mode",
        {**INTEGRATION, "tunnelUrl": " https://x.example"},
        "visible ASCII characters",
    ),
    "tunnel with a line break": (
        "set_integration_development_mode",
        {**INTEGRATION, "tunnelUrl": "https://x.exa\nmple"},
        "visible ASCII characters",
    ),
    "union": (
        "publish_integration",
        {**PUBLICATION, "contentSecurityPolicy": 5},
        "or an object of directives.\n- contentSecurityPolicy must be a valid object.",
    ),
    "a list of sources for an unknown directive": (
        "publish_integration",
        {**PUBLICATION, "contentSecurityPolicy": {"script-sources": ["https://cdn.example"]}},
        "contentSecurityPolicy.script-sources must be a valid string.",
    ),
    "text for an object with fields": (
        "copy_configuration",
        {"source": "site_1", "target": {**INTEGRATION, "installationId": "i"}},
        "the installation itself. Its fields: integrationName, installationId, spaceId, siteId.",
    ),
    "a word for a date": (
        "accept_finding",
        {"organizationId": "o", "finding": "weak-csp", "reason": "-", "until": "March"},
        "until has the wrong form. Last day: 2027-06-30, or 30d.",
    ),
    "nested twice": (
        "publish_integration",
        {**PUBLICATION, "configurations": {"site": {"properties": {}, "required": ["a", "a"]}}},
        "configurations.site.required must not name a property twice",
    ),
    "not Base64": ("publish_integration", {**PUBLICATION, "icon": "***"}, "icon is not valid Base64"),
    "too many": ("publish_integration", {**PUBLICATION, "previewImages": [""] * 4}, "at most 3 items"),
    "too many secrets": (
        "publish_integration",
        {**PUBLICATION, "secrets": {str(number): "x" for number in range(21)}},
        "secrets must have at most 20 items",
    ),
    "nested": ("publish_integration", {**PUBLICATION, "blocks": [{"id": "b"}]}, "blocks.0.title is required"),
    "nested tag": (
        "publish_integration",
        {**PUBLICATION, "configurations": {"site": {"properties": {"key": {"type": "text"}}}}},
        "'string', 'number', 'boolean', 'button'",
    ),
    "too late": ("queue_integration_task", {**INTEGRATION, "task": {}, "schedule": 86401}, "schedule must be less"),
}


@pytest.mark.parametrize("case", list(BAD))
@pytest.mark.parametrize("era", ERAS)
async def test_invalid_arguments_are_described_before_anything_is_sent(case: str, era: Era) -> None:
    name, arguments, expected = BAD[case]
    upstream = Upstream()
    async with connect(upstream, era) as client:
        result = await client.call_tool(name, arguments)
    assert result.is_error
    assert expected in read_text(result)
    assert "Nothing was sent" in read_text(result)
    assert "pydantic" not in read_text(result)
    assert upstream.requests == []


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://gitbook.com@evil.example", "must not contain a user name or password"),
        ("https://user:pass-word@evil.example", "must not contain a user name or password"),
        ("https://@evil.example", "must not contain a user name or password"),
        ("https://evil.example\\@gitbook.com", "backslashes"),
        ("https://evil.example/\\x", "backslashes"),
        ("https://evil.example/ x", "visible ASCII characters"),
        ("https://evil.example/\u202emoc.koobtig", "visible ASCII characters"),
        ("https://gitbook.com\u200b.evil.example", "visible ASCII characters"),
        ("https://gitb\u043e\u043ek.com", "visible ASCII characters"),
        ("https://gitbook\uff0ecom", "visible ASCII characters"),
        ("https://gitbook.com\u3164.evil.example", "visible ASCII characters"),
        ("https://evil.example/\x7f", "visible ASCII characters"),
        ("https://gitbook.com%2f.evil.example", "must have a host of letters"),
        ("https://localhost..", "must have a host of letters"),
        ("https://127.0.0.1..", "must have a host of letters"),
        ("https://a..b.example", "must have a host of letters"),
        ("https://evil.example;gitbook.com", "must have a host of letters"),
        ("https://[::1%25evil]/", "must"),
        ("https://evil.example:port", "absolute http or https URL"),
    ],
)
async def test_a_tunnel_that_could_be_read_as_another_is_rejected(url: str, expected: str, shared: bool) -> None:
    upstream = Upstream()
    async with connect(upstream) as client:
        arguments = {**INTEGRATION, "tunnelUrl": url, "all": shared}
        result = await client.call_tool("set_integration_development_mode", arguments)
    assert (result.structured_content or {})["code"] == "invalid_arguments"
    assert expected in read_text(result)
    assert "pass-word" not in read_text(result)
    assert upstream.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "https://tunnel.example",
        "HTTP://Tunnel.example:8443/hook?a=b&c=@d#e",
        "https://xn--bcher-kva.example/%C3%A9",
        "http://93.184.216.34:8000/",
        "http://[2606:2800:220:1::1]:8000/",
        "https://my_tunnel.example./",
    ],
)
async def test_a_usual_tunnel_is_sent(url: str) -> None:
    upstream = Upstream(status=204, body=b"")
    async with connect(upstream) as client:
        result = await client.call_tool("set_integration_development_mode", {**INTEGRATION, "tunnelUrl": url})
    assert not result.is_error, result.content


async def test_all_problems_are_reported_at_once() -> None:
    async with connect(Upstream()) as client:
        text = read_text(await client.call_tool("list_integrations", {"limit": "x", "serch": "x", "blocks": 1}))
    assert text.count("\n- ") == 3


async def test_a_rejected_value_is_not_repeated() -> None:
    secret = "sk-live-0123456789"
    arguments = {**PUBLICATION, "secrets": {"KEY": [secret]}, "title": [secret], "runtime": secret, secret * 4: 1}
    async with connect(Upstream()) as client:
        text = read_text(await client.call_tool("publish_integration", arguments))
    assert "secrets.KEY must be a valid string" in text
    assert secret not in text


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("uninstall_integration_from_sit", "uninstall_integration_from_site"),
        ("audit", "audit_installations"),
        ("get_integration", "get_integration_by_name"),
        ("list_installations", "list_organization_installations"),
        ("list_spaces", "list_spaces_in_organization_by_id"),
        ("undo", "undo_change"),
    ],
)
async def test_an_unknown_tool_is_rejected_with_the_nearest_names(name: str, nearest: str) -> None:
    async with connect(Upstream()) as client:
        result = await client.call_tool(name, {})
    assert read_code(result) == "unknown_tool"
    assert nearest in read_text(result)


async def test_an_unknown_tool_like_no_other_is_rejected_without_a_guess() -> None:
    async with connect(Upstream()) as client:
        assert "tools/list returns all names." in read_text(await client.call_tool("xyz", {}))


async def test_a_default_organization_makes_the_argument_optional_is_sent_and_is_named() -> None:
    upstream = Upstream(body=b'{"items": []}')
    async with connect(upstream, gitbook={"organization": "acme-org"}) as client:
        for tool in (await client.list_tools()).tools:
            assert not {"organizationId", "organization"} & set(tool.input_schema.get("required", []))
        filled = await client.call_tool("list_sites", {})
        given = [await client.call_tool("list_sites", {name: "other"}) for name in ("organizationId", "organization")]
    assert (filled.structured_content or {})["organizationId"] == "acme-org"  # the token may see others
    assert not any("organizationId" in (result.structured_content or {}) for result in given)
    assert [request.raw_path for request in upstream.requests] == [
        b"/v1/orgs/acme-org/sites",
        *[b"/v1/orgs/other/sites"] * 2,
    ]


@pytest.mark.parametrize(("given", "sent"), [(10, "10"), (10.0, "10"), (0, "0"), (2.5, "2.5")])
async def test_a_count_is_sent_as_a_count(given: float, sent: str) -> None:
    upstream = Upstream(body=b'{"items": []}')
    async with connect(upstream) as client:
        await client.call_tool("list_integrations", {"limit": given})
    assert upstream.requests[0].query == {"limit": [sent]}


@pytest.mark.parametrize(("given", "sent"), [(True, "true"), (False, "false")])
async def test_a_flag_is_sent_as_it_was_given(given: bool, sent: str) -> None:
    upstream = Upstream(body=b'{"items": []}')
    name = "install_integration_on_space"
    async with connect(upstream) as client:
        await client.call_tool(name, {**make_arguments(ENDPOINTS[name]), "extended": given})
    assert upstream.requests[0].query == {"extended": [sent]}
