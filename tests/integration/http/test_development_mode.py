"""Development mode of a server over HTTP ends when the server stops, not when its client leaves."""

from pathlib import Path

from gitbook_integrations_mcp.sandbox import OWN_INTEGRATION
from tests.support.elicitation_client import GitBookSpy, Human, read_status
from tests.support.fake_gitbook import Era
from tests.support.http_server import Kind, connect, each_way, serve


@each_way
async def test_it_ends_when_the_server_stops(kind: Kind, era: Era, tmp_path: Path) -> None:
    spy = GitBookSpy()
    arguments = {"integrationName": OWN_INTEGRATION, "tunnelUrl": "https://tunnel.example"}
    async with serve(spy, store={"url": f"sqlite:///{tmp_path}/store.db"}) as address:
        async with connect(address, kind, era, human=Human()) as client:
            assert read_status(await client.call_tool("set_integration_development_mode", arguments)) == "done"
        assert [method for method, _ in spy.mutations] == ["PUT"]
    assert spy.mutations[1:] == [("DELETE", f"/v1/integrations/{OWN_INTEGRATION}/dev")]
