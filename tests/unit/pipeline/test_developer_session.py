"""A whole session of a developer, as an assistant makes it: development mode, events, publishing, going back."""

from typing import Any

import httpx

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION, create_sandbox
from gitbook_integrations_mcp.sandbox.seed import DAY, EPOCH
from tests.support.elicitation_client import Human, meet
from tests.support.fake_gitbook import Era, read_text
from tests.support.gated_calls import each_era
from tests.support.tokens import count_tokens

OWN = {"integrationName": OWN_INTEGRATION}
MOST_TOKENS = 3000
"""Without the script, which `publish_integration_folder` reads itself."""


@each_era
async def test_a_session_from_development_mode_to_a_rollback_costs_few_tokens(era: Era, tmp_path: Any) -> None:
    sandbox = create_sandbox(clock=lambda: EPOCH + DAY * 400)
    settings = load_settings({"server": {"sandbox": True}, "store": {"url": f"sqlite:///{tmp_path}/store.db"}})
    server = create_server(settings, http_transport=httpx.ASGITransport(app=sandbox))
    spent = 0

    async with meet(server, Human(), era) as client:

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            nonlocal spent
            result = await client.call_tool(tool, {**OWN, **arguments})
            assert not result.is_error, read_text(result)
            spent += count_tokens({**OWN, **arguments}) + count_tokens(read_text(result))
            content: dict[str, Any] = result.structured_content
            return content

        publication = {
            "organization": ORGANIZATION_ID,
            "title": "Release Notes Bot",
            "description": "Writes release notes",
            "script": "export default {}",
            "scopes": ["space:content:read"],
        }
        await call("publish_integration", **publication)
        on = await call("set_integration_development_mode", tunnelUrl="https://tunnel.example", **{"for": "1h"})
        assert on["developmentMode"]["tunnelHost"] == "tunnel.example"
        failures = await call("inspect_integration_events", status="failed")
        assert failures["groups"][0]["count"] == 2
        await call("disable_integration_development_mode")
        await call("publish_integration", **{**publication, "script": "export default { fixed: true }"})
        newest, earlier = (await call("list_integration_versions"))["items"]
        done = await call("rollback_integration", version=earlier["id"])
        assert done["status"] == "done"
        assert (await call("list_integration_versions"))["items"][0]["digest"] == earlier["digest"] != newest["digest"]
    assert sandbox.state.integrations[OWN_INTEGRATION].development is None
    assert spent <= MOST_TOKENS
