"""A whole session of a developer, as an assistant makes it: from a new folder to a rollback."""

from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION, create_sandbox
from gitbook_integrations_mcp.sandbox.seed import DAY, EPOCH
from tests.support.elicitation_client import Human, meet
from tests.support.fake_gitbook import Era, read_text
from tests.support.gated_calls import each_era
from tests.support.integration_folder import create_folder_server
from tests.support.tokens import count_tokens

OWN = {"integrationName": OWN_INTEGRATION}
MOST_TOKENS = 2500


@each_era
async def test_a_session_from_a_new_folder_to_a_rollback_costs_few_tokens(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", OWN_INTEGRATION, "--organization", ORGANIZATION_ID]) == 0
    folder = tmp_path / OWN_INTEGRATION
    script = folder / "src" / "index.js"
    sandbox = create_sandbox(clock=lambda: EPOCH + DAY * 400)
    server = create_folder_server(sandbox, tmp_path, store={"url": f"sqlite:///{tmp_path}/store.db"})
    spent = 0

    async with meet(server, Human(), era) as client:

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            nonlocal spent
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, read_text(result)
            spent += count_tokens(arguments) + count_tokens(read_text(result))
            content: dict[str, Any] = result.structured_content
            return content

        assert (await call("check_integration_folder", path=str(folder)))["problems"] == []
        await call("publish_integration_folder", path=str(folder))
        on = await call("set_integration_development_mode", **OWN, tunnelUrl="https://tunnel.example", **{"for": "1h"})
        assert on["developmentMode"]["tunnelHost"] == "tunnel.example"
        failures = await call("inspect_integration_events", **OWN, status="failed")
        assert failures["groups"][0]["count"] == 2
        await call("disable_integration_development_mode", **OWN)
        script.write_text(script.read_text("utf-8").replace("received", "got"), "utf-8")
        await call("publish_integration_folder", path=str(folder))
        newest, earlier = (await call("list_integration_versions", **OWN))["items"]
        done = await call("rollback_integration", **OWN, version=earlier["id"])
        assert done["status"] == "done"
        live = (await call("list_integration_versions", **OWN))["items"][0]
    assert live["digest"] == earlier["digest"] != newest["digest"]
    own = sandbox.state.integrations[OWN_INTEGRATION]
    assert own.development is None
    assert spent <= MOST_TOKENS
