"""Changes over HTTP belong to the principal who made them, also where all use the same token of GitBook."""

from pathlib import Path
from typing import Any

from tests.support.elicitation_client import GitBookSpy, Human, read_status
from tests.support.fake_gitbook import Era, read_code
from tests.support.gated_calls import find_target
from tests.support.http_server import CALLERS, Kind, bear, connect, each_way, serve


@each_way
async def test_nobody_sees_or_undoes_the_changes_of_another_principal(kind: Kind, era: Era, tmp_path: Path) -> None:
    spy, human = GitBookSpy(), Human()
    store = {"url": f"sqlite:///{tmp_path}/store.db"}
    target = find_target(spy, "uninstall_integration")
    async with serve(spy, http={"tokens": CALLERS}, store=store) as address:
        async with connect(address, kind, era, human, bear("ann")) as ann:
            assert read_status(await ann.call_tool(target.name, target.arguments)) == "done"
            change = await find_first(ann)
            assert change["who"] == "ann"
        sent, asked = len(spy.mutations), len(human.requests)
        async with connect(address, kind, era, human, bear("bob")) as bob:
            assert await find_first(bob) == {}
            for tool in ("list_changes", "undo_change"):
                assert read_code(await bob.call_tool(tool, {"changeId": change["id"]})) == "unknown_change"
        assert (len(spy.mutations), len(human.requests)) == (sent, asked)
        async with connect(address, kind, era, human, bear("ann")) as ann:  # in another session
            assert read_status(await ann.call_tool("undo_change", {"changeId": change["id"]})) == "done"


async def find_first(client: Any) -> dict[str, Any]:
    """Return the newest change of a caller, or nothing."""
    result = await client.call_tool("list_changes", {})
    found: list[dict[str, Any]] = result.structured_content["items"]
    return found[0] if found else {}
