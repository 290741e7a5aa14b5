"""A title, a hostname or another case in place of an ID: the error names the ID, and nothing else happens."""

from typing import Any

import pytest

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.sources import SOURCES
from gitbook_integrations_mcp.calls.arguments import ORGANIZATION_NAMES
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN
from tests.support.audit_fixtures import Watched, connect
from tests.support.fake_gitbook import read_text

SPACE = "4Bx5L9BNoCBwuh9BLKDm"


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("get_integration_by_name", {"integrationName": "Slack"}, "Did you mean slack"),
        ("get_integration_by_name", {"integrationName": "gogleanalytics"}, "Did you mean googleanalytics"),
        ("get_integration_by_name", {"integrationName": "Gogle Analytics"}, "Did you mean googleanalytics"),
        ("audit_installations", {"section": "findings", "integration": "Heat Lens"}, "Did you mean heatlens"),
        ("list_sites", {"organizationId": "Aurora Robotics"}, ORGANIZATION_ID),
        ("list_space_integrations", {"spaceId": "Internal Handbook"}, SPACE),
        ("list_space_integrations", {"spaceId": "handbook"}, SPACE),
        ("list_space_integrations", {"spaceId": SPACE.upper()}, SPACE),
        ("list_site_integrations", {"siteId": "Help Center"}, "site_qLN1io"),
        ("list_site_integrations", {"siteId": "https://app.gitbook.com/o/x/sites/site_qLN1io"}, "mean site_qLN1io"),
        ("list_space_integrations", {"spaceId": f"app.gitbook.com/s/{SPACE}"}, f"mean {SPACE}"),
        ("list_space_integrations", {"spaceId": f"https://app.gitbook.com/o/{ORGANIZATION_ID}/s/{SPACE}/"}, SPACE),
        ("audit_installations", {"spaces": ["Internal Handbok"]}, f"mean {SPACE} (“Internal Handbook”) or"),
        ("get_integration_installation_by_id", {"integrationName": "slack", "installationId": "Slack"}, None),
    ],
)
async def test_the_id_that_was_meant_is_named(name: str, arguments: dict[str, Any], expected: str | None) -> None:
    watched = Watched()
    async with connect(watched) as client:
        result = await client.call_tool(name, arguments)
    assert result.is_error
    if expected is None:
        (expected,) = (
            each.id
            for each in watched.sandbox.state.get_installations(organization=ORGANIZATION_ID)
            if each.integration == "slack"
        )
    assert expected in read_text(result)


@pytest.mark.parametrize(
    ("wrong", "expected", "source"),
    [
        ({"spaceId": "Internal Handbook"}, f"spaceId: Did you mean {SPACE}", "list_spaces_in_organization_by_id"),
        ({"siteId": "Help Center"}, "siteId: Did you mean site_qLN1io", "list_sites"),
        ({"integrationName": "Google Analytics"}, "integrationName: Did you mean googleanalytics", "integrations"),
        ({"installationId": "Mermaid"}, "installationId: Did you mean rbHSJkV1qs9dDMKkWwTH", "installations"),
    ],
)
@pytest.mark.parametrize("place", ["source", "target"])
async def test_the_id_that_was_meant_is_named_below_an_argument(
    place: str, wrong: dict[str, Any], expected: str, source: str
) -> None:
    watched = Watched()
    right = {"integrationName": "mermaid", "installationId": "rbHSJkV1qs9dDMKkWwTH"}
    async with connect(watched) as client:
        arguments = {"source": right, "target": right} | {place: right | wrong}
        text = read_text(await client.call_tool("copy_configuration", arguments))
    assert f"{place}.{expected}" in text
    assert source in text
    listed = [one for one in watched.requests if one.startswith("/orgs")]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("name", "filters", "expected"),
    [
        ("list_sites", {"space": "Help Articles"}, "space: Did you mean pTYLCKsNA08hTWZVLrNJ"),
        ("list_organization_integrations_status", {"target": "site", "site": "Help Center"}, "mean site_qLN1io"),
        ("list_organization_integrations_status", {"target": "space", "space": "simulatr"}, "space: Did you mean"),
        ("list_organization_integrations", {"owner": "Aurora Robotics"}, f"owner: Did you mean {ORGANIZATION_ID}"),
        ("list_integrations", {"owner": "aurora-robotics"}, f"owner: Did you mean {ORGANIZATION_ID}"),
    ],
)
async def test_a_filter_that_matches_nothing_names_the_id_that_was_meant(
    name: str, filters: dict[str, Any], expected: str
) -> None:
    async with connect(Watched()) as client:
        result = await client.call_tool(name, filters)
    assert result.structured_content["items"] == []
    assert expected in result.structured_content["note"]


async def test_a_filter_with_a_right_id_that_matches_nothing_names_no_other() -> None:
    async with connect(Watched()) as client:
        result = await client.call_tool("list_sites", {"space": SPACE})
    assert "Did you mean" not in result.structured_content["note"]


@pytest.mark.parametrize("given", ["aurora-robotics", "Aurora Robotics"])
@pytest.mark.parametrize(("name", "arguments"), [("list_sites", {}), ("audit_installations", {})])
async def test_the_id_of_the_default_organization_that_was_meant_is_named(
    name: str, arguments: dict[str, Any], given: str
) -> None:
    async with connect(Watched(), gitbook={"token": USER_TOKEN, "organization": given}) as client:
        result = await client.call_tool(name, arguments)
    assert result.is_error
    assert f"GITBOOK_ORGANIZATION): Did you mean {ORGANIZATION_ID}" in read_text(result)


@pytest.mark.parametrize(("tool", "path"), [("uninstall_integration", ""), ("copy_configuration", "target.")])
async def test_an_installation_of_another_integration_is_named_with_the_right_one(tool: str, path: str) -> None:
    watched = Watched()
    ids = {one.integration: one.id for one in watched.sandbox.state.get_installations(organization=ORGANIZATION_ID)}
    right = {"integrationName": "slack", "installationId": ids["slack"]}
    wrong = {"integrationName": "slack", "installationId": ids["heatlens"]}
    async with connect(watched) as client:
        result = await client.call_tool(tool, {"source": right, "target": wrong} if path else wrong)
    expected = f"{path}installationId: {ids['heatlens']} is of heatlens. Did you mean {ids['slack']} (“slack”)?"
    assert result.is_error
    assert expected in read_text(result)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("list_space_integrations", {"spaceId": "Internal Handbook"}, f"mean {SPACE} (“Internal Handbook”)?"),
        ("list_space_integrations", {"spaceId": "Meeting Notes"}, "mean PA7qTtzWmr2NtyurVUFL"),
        ("list_site_integrations", {"siteId": "Help Center"}, "mean site_qLN1io"),
    ],
)
async def test_without_a_default_organization_the_lists_of_a_few_organizations_are_read(
    name: str, arguments: dict[str, Any], expected: str
) -> None:
    watched = Watched()
    async with connect(watched, gitbook={"token": USER_TOKEN}) as client:
        result = await client.call_tool(name, arguments)
    assert result.is_error
    assert expected in read_text(result)
    assert len(watched.requests) <= 6


async def test_the_name_of_another_product_is_no_typing_error() -> None:
    async with connect(Watched()) as client:
        result = await client.call_tool("get_integration_by_name", {"integrationName": "gitlab"})
    assert result.is_error
    assert "Did you mean" not in read_text(result)


async def test_a_space_that_does_not_exist_is_answered_with_the_tool_that_lists_spaces() -> None:
    watched = Watched()
    installation = next(one for one in watched.sandbox.state.installations.values() if one.integration == "slack")
    arguments = {"integrationName": "slack", "installationId": installation.id, "space": "nowhere"}
    async with connect(watched) as client:
        result = await client.call_tool("install_integration_on_space", arguments)
    assert result.is_error
    assert "space: list_spaces_in_organization_by_id" in read_text(result)


async def test_without_a_match_or_with_many_no_id_is_named() -> None:
    watched = Watched()
    spaces = [one for one in watched.sandbox.state.spaces.values() if one.organization == ORGANIZATION_ID]
    alike, others = spaces[:3], spaces[3:]
    async with connect(watched) as client:
        for space in alike:
            space.title = "One of three"
        result = await client.call_tool("list_space_integrations", {"spaceId": "one of"})
        assert all(space.id in read_text(result) for space in alike)
        others[0].title = "One of four"
        for given in ("one of", "fo", "nothing like it"):
            result = await client.call_tool("list_space_integrations", {"spaceId": given})
            assert result.is_error
            assert "Did you mean" not in read_text(result)


@pytest.mark.parametrize("wrong", [{"a": 1}, ["a"], 5.5])
async def test_a_value_of_the_wrong_type_beside_a_title_gets_the_error_about_it(wrong: Any) -> None:
    async with connect(Watched()) as client:
        for tool in (await client.list_tools()).tools:
            fields = TOOLS[tool.name].input.model_fields.keys()
            for field in fields & {*ORGANIZATION_NAMES}:
                arguments = dict.fromkeys(fields & SOURCES.keys(), "A Title!") | {field: wrong}
                result = await client.call_tool(tool.name, arguments)
                assert result.structured_content
                assert result.structured_content["code"] == "invalid_arguments"


async def test_a_list_that_the_settings_leave_out_is_not_read() -> None:
    watched = Watched()
    async with connect(watched, tools={"exclude": ["list_spaces_in_organization_by_id"]}) as client:
        result = await client.call_tool("list_space_integrations", {"spaceId": "Internal Handbook"})
    assert result.is_error
    assert watched.requests == []


@pytest.mark.parametrize("name", ["spaces", "integrations"])
async def test_space_around_an_id_in_a_list_means_nothing(name: str) -> None:
    given = {"spaces": f" {SPACE}\n", "integrations": " slack "}[name]
    async with connect(Watched()) as client:
        result = await client.call_tool("audit_installations", {name: [given]})
    assert not result.is_error, read_text(result)
