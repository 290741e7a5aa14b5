"""What `publish_integration` refuses although GitBook would take it, and what it sends."""

import base64
from typing import Any

import pytest

from gitbook_integrations_api.catalog import ENDPOINTS, TOOLS
from gitbook_integrations_api.checks import INTERNAL_SCOPES, REPLACED_VALUES, Check
from gitbook_integrations_api.parameters import INTEGRATION_NAME
from gitbook_integrations_mcp.calls.checks import complete_arguments, find_problems
from tests.support.fake_gitbook import ERAS, Era, Upstream, connect, read_code, read_text
from tests.support.samples import make_arguments, make_png

TOOL = ENDPOINTS["publish_integration"]
PUBLICATION = make_arguments(TOOL, optional=False)
OLD_SCRIPT = "var __gitbook_integration=(()=>({}))();"
LINK = {"label": "Help", "url": "https://help.example/start"}
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(20)).decode()
GIF = base64.b64encode(b"GIF89a" + bytes(20)).decode()

SENT: dict[str, dict[str, Any]] = {
    "everything": make_arguments(TOOL),
    "what is required": {},
    "a name in capitals": {"integrationName": "Acme-2-changelog"},
    "an old script": {"script": OLD_SCRIPT},
    "an old script with its runtime": {"script": OLD_SCRIPT, "runtime": "v1"},
    "a module with its runtime": {"runtime": "v2"},
    "a secret with a dollar": {"secrets": {"KEY": "$x{y}"}},
    "the largest icon": {"icon": make_png(250 * 1024)},
    "the largest preview images": {"previewImages": [make_png(1024 * 1024)] * 3},
    "a required setting": {
        "configurations": {
            "account": {"properties": {"key": {"type": "string"}}, "required": ["key"]},
            "space": {"componentId": "configure", "required": True},
            "site": {"componentId": "configure", "properties": {}, "required": ["key"]},
        }
    },
    "a link over http": {"externalLinks": [{**LINK, "url": "http://help.example"}]},
    "every scope that is not internal": {
        "scopes": ["space:content:write", "space:git:sync", "site:visitor:auth", "site:adaptive:write", "openapi:read"]
    },
}
REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a path as script": ({"script": "./src/index.tsx"}, ["script is a path"]),
    "an import": (
        {"script": 'import x from "react";export default x', "runtime": "v1"},
        ['script imports "react"'],
    ),
    "a module on the old runtime": ({"runtime": "v1"}, ["runtime must be v2 or left out"]),
    "an old script on the new runtime": (
        {"script": OLD_SCRIPT, "runtime": "v2"},
        ["runtime must be v1 or left out"],
    ),
    "an underscore in the name": ({"integrationName": "acme_changelog"}, ["integrationName must consist of letters"]),
    "a dot in the name": ({"integrationName": "acme.io"}, ["integrationName must consist"]),
    "two hyphens in the name": ({"integrationName": "acme--io"}, ["integrationName must consist"]),
    "a hyphen as name": ({"integrationName": "-"}, ["integrationName must consist"]),
    "a reference as secret": (
        {"secrets": {"A": "${{ env.A }}", "B": 'x${{ "op://vault/b" }}', "C": "c"}},
        ["secrets.A is a reference", "secrets.B is a reference"],
    ),
    "internal scopes": (
        {"scopes": ["space:content:read", *INTERNAL_SCOPES]},
        ["scopes.1 must not be site:script:inject", "scopes.2 must not be site:script:cookies"],
    ),
    "an icon that is no PNG": ({"icon": "AAAA"}, ["icon is not a PNG"]),
    "an empty icon": ({"icon": ""}, ["icon is not a PNG"]),
    "an icon that is too large": ({"icon": make_png(250 * 1024 + 1)}, ["icon has 256,001 bytes", "256,000"]),
    "preview images": (
        {"previewImages": [JPEG, GIF, make_png(1024 * 1024 + 2)]},
        ["previewImages.1 is not a PNG", "previewImages.2 has 1,048,578 bytes"],
    ),
    "levels of configurations that GitBook does not have": (
        {"configurations": {"acount": {"properties": {}}, "organization": {"componentId": "a"}}},
        ["configurations.acount is not a level", "Did you mean account?", "configurations.organization is not a level"],
    ),
    "a required setting without a property": (
        {"configurations": {"site": {"properties": {"key": {"type": "string"}}, "required": ["key", "keys"]}}},
        ["configurations.site.required.1 must be one of the properties. Did you mean key?"],
    ),
    "links": (
        {
            "externalLinks": [
                LINK,
                {**LINK, "url": "docs/readme.md"},
                {**LINK, "url": "javascript:alert(1)"},
                {**LINK, "url": "https://"},
                {**LINK, "url": "https://[x"},
            ]
        },
        [f"externalLinks.{number}.url must be an absolute http or https URL" for number in (1, 2, 3, 4)],
    ),
}


@pytest.mark.parametrize("case", list(SENT))
async def test_a_valid_publication_is_sent_with_the_runtime_of_its_script(case: str) -> None:
    upstream = Upstream()
    arguments = PUBLICATION | SENT[case]
    async with connect(upstream) as client:
        result = await client.call_tool("publish_integration", arguments)
    assert not result.is_error, read_text(result)
    body = {name: value for name, value in arguments.items() if name != "integrationName"}
    runtime = "v1" if arguments["script"] == OLD_SCRIPT else "v2"
    assert upstream.requests[-1].body == {**body, "runtime": runtime}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("case", list(REFUSED))
async def test_what_gitbooks_command_line_would_never_send_is_refused(case: str, era: Era) -> None:
    changes, expected = REFUSED[case]
    upstream = Upstream()
    async with connect(upstream, era) as client:
        result = await client.call_tool("publish_integration", PUBLICATION | changes)
    assert read_code(result) == "invalid_publication"
    assert all(f"{part}" in read_text(result) for part in expected), read_text(result)
    assert "Nothing was sent" in read_text(result)
    assert "env.A" not in read_text(result)
    assert upstream.requests == []


@pytest.mark.parametrize("name", ["blocks", "contentSources"])
async def test_two_of_a_kind_with_one_id_are_refused(name: str) -> None:
    one = {"id": "a", "title": "First", "configuration": {"componentId": "c"}}
    items = [{key: value for key, value in one.items() if name == "contentSources" or key != "configuration"}] * 2
    async with connect(Upstream()) as client:
        result = await client.call_tool("publish_integration", PUBLICATION | {name: items})
    assert f"{name}.1.id must not be the same as that of another one." in read_text(result)


async def test_all_problems_are_listed_together_with_those_of_the_schema() -> None:
    upstream = Upstream()
    wrong = {
        "script": "a.js",
        "icon": "AAAA",
        "scopes": ["space:views:read"],
        "title": "x",
        "secrets": {"A": "${{ a }}"},
    }
    async with connect(upstream) as client:
        result = await client.call_tool("publish_integration", PUBLICATION | wrong)
    text = read_text(result)
    assert read_code(result) == "invalid_arguments"
    assert all(f"\n- {path} " in text for path in ("script", "icon", "scopes.0", "title", "secrets.A"))
    assert upstream.requests == []


@pytest.mark.parametrize("old", list(REPLACED_VALUES))
async def test_a_value_that_no_longer_exists_is_refused_with_its_successor(old: str) -> None:
    changes = {"categories": [old]} if "access" in old else {"scopes": [old]}
    async with connect(Upstream()) as client:
        text = read_text(await client.call_tool("publish_integration", PUBLICATION | changes))
    assert f"{old} no longer exists. Its successor is {REPLACED_VALUES[old]}" in text
    assert ("only GitBook's own integrations" in text) is (REPLACED_VALUES[old] in INTERNAL_SCOPES)


async def test_an_unknown_category_is_refused_with_the_nearest() -> None:
    async with connect(Upstream()) as client:
        text = read_text(await client.call_tool("publish_integration", PUBLICATION | {"categories": ["analytic"]}))
    assert "Did you mean 'analytics'?" in text


async def test_a_scope_of_gitbook_itself_can_be_searched() -> None:
    upstream = Upstream(body=b'{"items": []}')
    async with connect(upstream) as client:
        result = await client.call_tool("list_integrations", {"scope": "site:script:inject"})
    assert not result.is_error, read_text(result)


def test_every_check_is_declared_by_a_field_and_nothing_else_is_completed() -> None:
    declared = {
        mark for tool in TOOLS.values() for field in tool.input.model_fields.values() for mark in field.metadata
    }
    assert declared >= set(Check)
    for tool in TOOLS.values():
        sample = make_arguments(tool)
        assert list(find_problems(tool, sample)) == []
        assert complete_arguments(tool, sample) == sample


def test_the_name_of_a_published_integration_is_only_checked_on_publication() -> None:
    assert INTEGRATION_NAME == r"^[a-zA-Z0-9-_.]+$"
    assert list(find_problems(ENDPOINTS["unpublish_integration"], {"integrationName": "acme_io"})) == []


def test_every_endpoint_that_takes_a_configuration_declares_its_level() -> None:
    levels = {name: endpoint.configures for name, endpoint in ENDPOINTS.items() if endpoint.configures}
    assert set(levels) == {name for name, one in ENDPOINTS.items() if "configuration" in one.input.model_fields}
    assert sorted(levels.values()) == ["account", "site", "space"]
