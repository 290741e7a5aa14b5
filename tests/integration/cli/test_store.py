"""The command `store` on a real file."""

import json
import os
import pty
import signal
import subprocess
from pathlib import Path

import anyio
import pytest
from sqlalchemy import insert

from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.process import INTERRUPTED
from gitbook_integrations_mcp.store.schema import acceptances
from gitbook_integrations_mcp.store.store import Store
from tests.support.process import COMMAND, SOON


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with one accepted finding of the organization acme."""
    file = tmp_path / "store.db"
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", f"sqlite:///{file}")

    async def fill() -> None:
        store = Store(load_settings())
        async with store.database.write() as connection:
            row = {"id": "a1", "time": 0.0, "organization": "acme", "finding": "f", "reason": "known"}
            await connection.execute(insert(acceptances).values(**row))
        await store.close()

    anyio.run(fill)
    return file


@pytest.mark.parametrize("words", [("store",), ("store", "show")])
def test_show_names_the_place_and_counts_rows(
    words: tuple[str, ...], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["place"] == str(file)
    assert {table["table"]: table["rows"] for table in shown["tables"]}["acceptances"] == 1
    assert main(words) == 0
    assert str(file) in capsys.readouterr().out


@pytest.mark.parametrize("action", ["show", "prune", "export"])
def test_a_store_that_cannot_be_used_is_named_with_its_place(
    action: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", "sqlite:////dev/null/store.db")
    assert main(["store", action, "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == ErrorCode.STORE_UNAVAILABLE
    assert "/dev/null/store.db" in error["message"]


def test_export_prints_json_lines(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "export"]) == 0
    [row] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["table"], row["time"], row["reason"]) == ("acceptances", "1970-01-01T00:00:00Z", "known")


def test_forget_asks_and_without_a_terminal_needs_yes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "forget", "acme"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert main(["store", "forget", "acme", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["deleted"]["acceptances"] == 1
    assert main(["store", "export"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("typed", "code"), [(b"acme\n", 0), (b"other\n", 1), (b"\x04", 1), (None, INTERRUPTED)])
def test_forget_on_a_terminal_deletes_only_after_the_id(typed: bytes | None, code: int, file: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, "store", "forget", "acme"], stdin=theirs, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        shown = b""
        while b"to confirm: " not in shown:
            shown += os.read(process.stderr.fileno(), 1024)
        os.write(ours, typed) if typed else process.send_signal(signal.SIGINT)
        assert process.wait(SOON) == code
    os.close(ours)
    os.close(theirs)


def test_forget_fails_if_nothing_is_kept_about_an_organization(file: Path) -> None:
    assert main(["store", "forget", "nosuch", "--yes"]) == 1
    assert main(["store", "forget", "\udcff", "--yes"]) == 1


def test_a_store_that_cannot_be_used_is_an_error_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", f"sqlite:///{tmp_path}")  # a folder
    assert main(["store", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "store_unavailable"


@pytest.mark.parametrize("command", [("store", "show"), ("accounts", "list")])
def test_options_count_before_and_after_the_action(
    command: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"store": {"url": f"sqlite:///{tmp_path}/of-the-file.db"}}), encoding="utf-8")
    name, action = command
    option = ("--config", str(config))
    outputs = set()
    for words in ((*option, name, action), (name, *option, action), (name, action, *option)):
        assert main(words) == 0
        outputs.add(capsys.readouterr().out)
    assert len(outputs) == 1
