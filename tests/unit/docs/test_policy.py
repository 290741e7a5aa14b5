"""The example policies in the documentation decide as their page says."""

import json
import re
from typing import Any

import pytest
from mcp import Client

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.models import PolicyRule
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.config.types import PLACE_KINDS
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from gitbook_integrations_mcp.sandbox.seed import create_state
from gitbook_integrations_mcp.sandbox.state import State
from tests.support.repository import ROOT

TEXT = (ROOT / "docs" / "concepts" / "policy.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]

DECISIONS: list[list[tuple[dict[str, Any], str | None]]] = [
    [
        ({"integrationName": "slack"}, None),
        ({"integrationName": "release-notes-bot"}, "own"),
        ({"integrationName": "heatlens"}, "reviewed-only"),
        ({"integrationName": "heatlens", "action": "widen"}, "reviewed-only"),
        ({"integrationName": "heatlens", "tunnelHost": "t.example"}, None),
    ],
    [
        ({"integrationName": "slack"}, "approved"),
        ({"integrationName": "figma"}, "everything-else"),
        ({"integrationName": "figma", "action": "publish"}, None),
    ],
    [
        ({"integrationName": "style-linter"}, None),
        ({"integrationName": "style-linter", "spaceId": "private"}, "confidential"),
        ({"integrationName": "style-linter", "spaceId": "public"}, None),
        ({"integrationName": "style-linter", "siteId": "visitor-auth"}, "confidential"),
        ({"integrationName": "style-linter", "action": "widen"}, "confidential"),
        ({"integrationName": "slack", "spaceId": "private"}, None),
        ({"integrationName": "ticket-importer"}, "no-writing"),
    ],
    [
        ({"integrationName": "heatlens"}, "unlimited-scripts"),
        ({"integrationName": "lumen-analytics"}, None),
        ({"integrationName": "slack"}, None),
    ],
    [
        ({"integrationName": "mermaid", "action": "publish"}, "public-release"),
        ({"integrationName": "release-notes-bot", "action": "publish"}, None),
        ({"integrationName": "mermaid"}, None),
        ({"integrationName": "mermaid", "tunnelHost": "ann.tunnel.aurora-robotics.example"}, "our-tunnels"),
        ({"integrationName": "mermaid", "tunnelHost": "tunnel.example"}, "other-tunnels"),
    ],
]
"""Questions about integrations of the sandbox, by example, with the rules that decide. Places by their visibility."""


def find_places(state: State, asked: dict[str, Any]) -> dict[str, Any]:
    found = dict(asked)
    for name, level in (("spaceId", "space"), ("siteId", "site")):
        if name in asked:
            places = state.get_places(level, ORGANIZATION_ID)  # type: ignore[arg-type]
            found[name] = next(one.id for one in places if one.visibility == asked[name])
    return found


@pytest.mark.parametrize(("example", "decisions"), list(zip(EXAMPLES, DECISIONS, strict=True)))
async def test_an_example_decides_as_its_page_says(
    example: dict[str, Any], decisions: list[tuple[dict[str, Any], str | None]]
) -> None:
    state = create_state()
    async with Client(create_server(load_settings({"server": {"sandbox": True}, **example}))) as client:
        for asked, rule in decisions:
            arguments = {"organizationId": ORGANIZATION_ID, **find_places(state, asked)}
            answer: dict[str, Any] = (await client.call_tool("check_policy", arguments)).structured_content or {}
            assert (answer["rule"] or {}).get("name") == rule, asked
            assert answer["unknown"] == []


def test_the_page_names_every_condition_place_and_judged_tool() -> None:
    for name in PolicyRule.model_fields:
        assert f"`{name}`" in TEXT
    for place in PLACE_KINDS:
        assert f"`{place}`" in TEXT
    for endpoint in ENDPOINTS.values():
        assert (f"`{endpoint.name}`" in TEXT) is (endpoint.policy_action is not None)
