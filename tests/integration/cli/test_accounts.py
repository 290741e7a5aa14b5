"""The command `accounts`: the operator sees linked accounts, and removes one."""

import json
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest

from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import Sandbox
from gitbook_integrations_mcp.store.store import Store
from tests.support.login import obtain
from tests.support.sandbox_server import serve_in_thread


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox at which two callers have linked accounts."""
    with serve_in_thread() as (sandbox, address):
        monkeypatch.setenv("GITBOOK_MCP_GITBOOK__ENDPOINT", address)
        monkeypatch.setenv("GITBOOK_MCP_STORE__URL", f"sqlite:///{tmp_path}/store.db")

        async def link() -> None:
            settings = load_settings()
            store = Store(settings)
            for name in ("ann", "bob"):
                login, tokens = await obtain(settings, httpx.AsyncHTTPTransport())
                await store.accounts.keep(json.dumps([name, None, None]), login, tokens)
            await store.close()

        anyio.run(link)
        yield sandbox


def test_the_operator_lists_accounts_and_removes_one(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accounts", "--json"]) == 0
    output = capsys.readouterr().out
    found = json.loads(output)["accounts"]
    assert [one["caller"] for one in found] == ["ann", "bob"]
    assert not any(token in output for token in sandbox.state.access_tokens)
    assert main(["accounts", "remove", found[0]["id"]]) == 0
    assert "revoked" in capsys.readouterr().out
    assert [grant.revoked for grant, _ in sandbox.state.access_tokens.values()] == [True, False]
    assert main(["accounts"]) == 0
    assert "ann" not in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["x", "unknown"])
def test_an_id_that_is_not_exactly_one_account_removes_nothing(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    assert main(["accounts", "remove", wrong]) == 2
    assert "accounts list" in capsys.readouterr().err
    assert not any(grant.revoked for grant, _ in sandbox.state.access_tokens.values())


def test_a_part_of_an_id_that_is_too_short_removes_nothing(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["accounts", "--json"])
    first, second = (one["id"] for one in json.loads(capsys.readouterr().out)["accounts"])
    assert main(["accounts", "remove", first]) == 0
    for part in ("", second[:3]):
        assert main(["accounts", "remove", part]) == 2
