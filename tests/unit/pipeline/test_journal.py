"""Every write leaves one line, there before it is sent, without secrets, with what would undo it."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.calls.masking import MASK, mask_secrets
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.pipeline import journal
from gitbook_integrations_mcp.pipeline.journal import read_journal
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from tests.support.elicitation_client import GitBookSpy, Human, meet, read_status
from tests.support.fake_gitbook import ERAS, Era, read_text
from tests.support.gated_calls import find_target
from tests.support.process import TIMEOUT

each_era = pytest.mark.parametrize("era", ERAS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def create(spy: Any, path: Path, **confirmation: Any) -> Any:
    """Return a server with a journal at `path`."""
    flags: dict[str, dict[str, Any]] = {
        "server": {"sandbox": True},
        "journal": {"path": str(path)},
        "confirmation": confirmation,
    }
    return create_server(load_settings(flags), http_transport=httpx.ASGITransport(app=spy))


@each_era
async def test_a_confirmed_deletion_is_recorded_with_its_target_and_undo(era: Era, path: Path) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    async with meet(create(spy, path), Human(), era) as client:
        assert read_status(await client.call_tool(target.name, target.arguments)) == "done"
    (record,) = read_journal(path)
    assert record["tool"] == "uninstall_integration"
    assert record["operation"] == "uninstallIntegration"
    assert record["arguments"] == target.arguments
    assert record["confirmation"] == "form"
    assert (record["outcome"], record["status"]) == ("done", 205)
    assert record["requestId"].startswith("sandbox-")
    assert record["before"]["id"] == installation.id
    assert record["undo"] == {
        "tool": "install_integration",
        "arguments": {"integrationName": OWN_INTEGRATION, "organization": ORGANIZATION_ID},
        "complete": False,  # its configuration is lost
    }
    assert len(record["digest"]) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_reads_and_declined_calls_are_not_recorded(path: Path) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    async with meet(create(spy, path), Human(action="decline"), "2026-07-28") as client:
        await client.call_tool("list_sites", {})
        await client.call_tool(target.name, target.arguments)
    assert not path.exists()


async def test_an_update_is_recorded_with_the_values_it_replaced_but_no_secret(path: Path) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    spy.sandbox.state.integrations[OWN_INTEGRATION].manifest.pop("configurations")
    installation.configuration = {"channel": "very-secret-old", "api_key": "very-secret-before", "digest": True}
    arguments = {
        **target.arguments,
        "configuration": {"channel": "very-secret-new", "api_key": "very-secret-after", "digest": False},
        "space_selection": "all",
    }
    async with meet(create(spy, path), None, "2026-07-28") as client:
        await client.call_tool("update_integration_installation", arguments)
    (record,) = read_journal(path)
    assert "very-secret" not in path.read_text(encoding="utf-8")
    assert record["confirmation"] is None
    assert record["arguments"]["configuration"] == {"channel": MASK, "api_key": MASK, "digest": False}
    assert record["undo"]["arguments"] == {
        **target.arguments,
        "configuration": {"channel": MASK, "api_key": MASK, "digest": True},
        "space_selection": "selected",
    }
    assert record["undo"]["complete"] is False


async def test_an_installation_can_be_undone_from_its_record(path: Path) -> None:
    spy = GitBookSpy()
    installed = {one.integration for one in spy.sandbox.state.installations.values()}
    name = next(
        one.name
        for one in spy.sandbox.state.integrations.values()
        if one.name not in installed and one.manifest["visibility"] == "public"
    )
    async with meet(create(spy, path), Human(), "2026-07-28") as client:
        await client.call_tool("install_integration", {"integrationName": name, "organization": ORGANIZATION_ID})
        (record,) = read_journal(path)
        undo = record["undo"]
        assert read_status(await client.call_tool(undo["tool"], undo["arguments"])) == "done"


async def test_an_error_of_the_api_is_recorded_as_failed(path: Path) -> None:
    arguments = {"integrationName": OWN_INTEGRATION, "organization": "nowhere"}
    async with meet(create(GitBookSpy(), path), None, "2026-07-28") as client:
        await client.call_tool("install_integration", arguments)
    (record,) = read_journal(path)
    assert (record["outcome"], record["status"], record["undo"]) == ("failed", 404, None)


class Gateway(GitBookSpy):
    """A gateway that passes writes on, and answers them with a status of its own."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET":
            await super().__call__(scope, receive, send)
            return

        async def drop(message: Any) -> None:
            """Lose the answer."""

        await super().__call__(scope, receive, drop)
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("status", [302, 408, 500, 502, 503, 504])
async def test_after_an_error_of_a_gateway_the_outcome_is_unknown_and_the_undo_stays(status: int, path: Path) -> None:
    spy = Gateway(status)
    target = find_target(spy, "uninstall_integration")
    installation = spy.sandbox.state.installations[target.arguments["installationId"]]
    arguments = {**target.arguments, "externalIds": ["new"]}
    before = list(installation.external_ids)
    async with meet(create(spy, path), None, "2026-07-28") as client:
        result = await client.call_tool("update_integration_installation", arguments)
    assert "It is unknown whether the call took effect" in read_text(result)
    (record,) = read_journal(path)
    assert (record["outcome"], record["status"]) == ("unknown", status)
    assert record["undo"]["arguments"]["externalIds"] == before
    assert installation.external_ids == ["new"]


class Breaking(GitBookSpy):
    """A GitBook that dies while it handles a write, after looking at what the journal holds by then."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.seen: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] != "GET":
            self.seen = list(read_journal(self.path))
            raise ConnectionError
        await super().__call__(scope, receive, send)


@pytest.mark.slow
async def test_a_record_is_written_before_the_call_and_its_outcome_is_unknown_without_a_response(path: Path) -> None:
    spy = Breaking(path)
    target = find_target(spy, "uninstall_integration_from_space")
    async with meet(create(spy, path), Human(), "2026-07-28") as client:
        result = await client.call_tool(target.name, target.arguments)
    assert result.is_error
    assert (result.structured_content or {})["code"] == "no_response"
    assert "It is unknown whether the call took effect" in read_text(result)
    assert [record["outcome"] for record in spy.seen] == ["unknown"]
    (record,) = read_journal(path)
    assert (record["outcome"], record["status"]) == ("unknown", None)
    assert record["undo"]["tool"] == "install_integration_on_space"


@pytest.mark.parametrize("place", ["/dev/full", "missing directory"])
async def test_a_journal_that_cannot_be_written_stops_the_call(place: str, tmp_path: Path) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    path = Path(place) if place == "/dev/full" else tmp_path / "missing" / "journal.jsonl"
    async with meet(create(spy, path), Human(), "2026-07-28") as client:
        result = await client.call_tool(target.name, target.arguments)
    assert result.is_error
    assert (result.structured_content or {})["code"] == "journal_unavailable"
    assert "was not sent" in read_text(result)
    assert spy.mutations == []


async def test_lines_of_simultaneous_writes_stay_whole(path: Path) -> None:
    spy = GitBookSpy()
    async with (
        meet(create(spy, path), None, "2026-07-28") as client,
        anyio.create_task_group() as group,
    ):
        for number in range(20):
            arguments = {"integrationName": OWN_INTEGRATION, "task": {"number": number}}
            group.start_soon(client.call_tool, "queue_integration_task", arguments)
    records = list(read_journal(path))
    assert len({record["digest"] for record in records}) == 20
    assert {record["arguments"]["task"]["number"] for record in records} == {MASK}
    assert {record["outcome"] for record in records} == {"done"}


def test_the_command_shows_the_journal(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["queue_integration_task", f"integrationName={OWN_INTEGRATION}", 'task={"a": 1}']
    os.environ["GITBOOK_MCP_JOURNAL__PATH"] = str(path)
    try:
        assert main(["call", "--sandbox", *words]) == 0
        with path.open("a", encoding="utf-8") as lines:
            lines.write('{"torn')
        capsys.readouterr()
        assert main(["journal"]) == 0
        shown = capsys.readouterr().out
        assert main(["journal", "--json"]) == 0
        records = json.loads(capsys.readouterr().out)
    finally:
        del os.environ["GITBOOK_MCP_JOURNAL__PATH"]
    assert "queue_integration_task" in shown
    assert "2 calls" in shown
    assert [record["outcome"] for record in records] == ["done", "line 2 cannot be read"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "journal.path"),
        (["/does/not/exist"], 1, "/does/not/exist does not exist"),
        (["/"], 1, "/: Is a directory"),
    ],
)
def test_an_unreadable_journal_is_reported(
    words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["journal", *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err


async def test_an_incomplete_line_does_not_affect_the_next_one(path: Path) -> None:
    path.write_text('{"torn', encoding="utf-8")
    async with meet(create(GitBookSpy(), path), None, "2026-07-28") as client:
        await client.call_tool("queue_integration_task", {"integrationName": OWN_INTEGRATION, "task": {}})
    records = list(read_journal(path))
    assert [record["outcome"] for record in records] == ["line 1 cannot be read", "done"]


OTHERS = '{"somebody": "else"}\n' * 200


class Rotating(GitBookSpy):
    """A GitBook that rotates the journal before it responds."""

    def __init__(self, rotate: Callable[[], Any]) -> None:
        super().__init__()
        self.rotate = rotate

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] != "GET":
            self.rotate()
        await super().__call__(scope, receive, send)


@pytest.mark.parametrize("rotation", ["rename", "rename only", "truncate", "truncate and write", "truncate and fill"])
async def test_an_outcome_is_never_written_over_other_lines(
    rotation: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def rotate() -> None:
        if rotation.startswith("rename"):
            path.rename(path.with_suffix(".old"))
        else:
            path.with_suffix(".old").write_bytes(path.read_bytes())
        if not rotation.endswith("only"):
            others = {"truncate": "", "truncate and write": OTHERS[:21]}.get(rotation, OTHERS)
            path.write_text(others, encoding="utf-8")  # this truncates, and keeps device and inode

    async with meet(create(Rotating(rotate), path), None, "2026-07-28") as client:
        await client.call_tool("queue_integration_task", {"integrationName": OWN_INTEGRATION, "task": {}})
    *others, record = read_journal(path)
    assert all(other == {"somebody": "else"} for other in others)
    assert len(others) == {"rename only": 0, "truncate": 0, "truncate and write": 1}.get(rotation, 200)
    assert (record["tool"], record["outcome"]) == ("queue_integration_task", "done")
    (begun,) = read_journal(path.with_suffix(".old"))
    assert begun["outcome"] == "unknown"
    assert begun["digest"] == record["digest"]
    assert b"\0" not in path.read_bytes()
    assert "the journal was rotated during queue_integration_task" in caplog.text


async def test_lines_stay_whole_where_files_are_text_unless_opened_as_binary(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary, text, real_open, real_write = 1 << 30, set[int](), os.open, os.write

    def open_file(name: Any, flags: int, mode: int = 0o777) -> int:
        descriptor = real_open(name, flags & ~binary, mode)
        text.discard(descriptor)
        if not flags & binary:
            text.add(descriptor)
        return descriptor

    def write(descriptor: int, data: bytes) -> int:
        real_write(descriptor, data.replace(b"\n", b"\r\n") if descriptor in text else data)
        return len(data)

    monkeypatch.setattr(journal, "_BINARY", binary)
    monkeypatch.setattr(os, "open", open_file)
    monkeypatch.setattr(os, "write", write)
    async with meet(create(GitBookSpy(), path), None, "2026-07-28") as client:
        for _ in range(2):
            await client.call_tool("queue_integration_task", {"integrationName": OWN_INTEGRATION, "task": {}})
    assert [record["outcome"] for record in read_journal(path)] == ["done", "done"]
    assert b"\r" not in path.read_bytes()


async def test_credentials_in_external_ids_and_addresses_are_masked_by_shape(path: Path) -> None:
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    hook = "https://hooks.slack.com/services/T000/B000/XXXX"
    tunnel = "https://tunnel.example/x?token=abcdef0123"
    async with meet(create(spy, path), Human(), "2026-07-28") as client:
        arguments = {**target.arguments, "externalIds": [hook, "team:1"]}
        await client.call_tool("update_integration_installation", arguments)
        arguments = {"integrationName": OWN_INTEGRATION, "tunnelUrl": tunnel, "all": False}
        await client.call_tool("set_integration_development_mode", arguments)
    updated, tunnelled = read_journal(path)
    assert updated["arguments"]["externalIds"] == [MASK, "team:1"]
    assert tunnelled["arguments"]["tunnelUrl"] == MASK
    assert "XXXX" not in path.read_text(encoding="utf-8")
    assert "abcdef0123" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("api_key", "x"),
        ("apiKey", "x"),
        ("accessToken", "x"),
        ("client_secret", "x"),
        ("PASSWORD", "x"),
        ("webhook_url", "https://hooks.example/T0/B0"),
        ("note", "sk_live_0123456789abcdef"),
        ("note", "xoxb-0123456789-abcdef"),
        ("note", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig"),
        ("note", "postgres://user:pw@db.example/x"),
        ("note", "Bearer abc123"),
    ],
)
def test_possible_secrets_are_masked(key: str, value: str) -> None:
    assert mask_secrets({"a": [{key: value}]}) == {"a": [{key: MASK}]}
    assert mask_secrets({key: [value]}) == {key: [MASK]}


def test_values_below_a_secret_key_and_beside_a_secret_name_are_masked() -> None:
    assert mask_secrets({"credentials": {"user": "x", "deep": [{"pin": 5}]}}) == {
        "credentials": {"user": MASK, "deep": [{"pin": MASK}]}
    }
    assert mask_secrets([{"label": "api key", "value": "x"}]) == [{"label": "api key", "value": MASK}]


def test_values_needed_for_decisions_are_not_masked() -> None:
    plain = {"channel": "#docs", "enabled": True, "count": 3, "externalIds": ["team:1"], "url": "https://x.example/a"}
    plain |= {"key": "acme/docs", "webhookId": "w", "authorization_endpoint": "https://x.example/a"}
    assert mask_secrets(plain) == plain


def test_long_text_is_replaced_by_its_digest() -> None:
    digest = hashlib.sha256(b"x" * 2001).hexdigest()
    assert mask_secrets({"script": "x" * 2001}) == {"script": f"[2001 characters, sha256 {digest}]"}
    assert mask_secrets({"script": "x" * 2000}) == {"script": "x" * 2000}
    assert mask_secrets("\ud800" * 2001).startswith("[2001 characters, sha256 ")


@given(st.text(min_size=1), st.dictionaries(st.text(), st.text(min_size=4)))
def test_no_value_of_an_integrations_secrets_survives(key: str, secrets: dict[str, str]) -> None:
    masked = mask_secrets({"secrets": {"nested": secrets, key: [*secrets.values(), 5]}})
    assert set(json.dumps(masked["secrets"][key])) <= set(json.dumps([MASK, MASK]))


@pytest.mark.slow
def test_several_processes_append_to_one_journal_without_losing_or_mixing_anything(path: Path) -> None:
    program = """
import sys, anyio
from mcp import Client
from gitbook_integrations_mcp.sandbox import OWN_INTEGRATION
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings

async def main(path, name):
    settings = load_settings({"server": {"sandbox": True}, "journal": {"path": path}})
    async with Client(create_server(settings)) as client:
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(100):
            tunnel = f"https://tunnel.example/{name}/{number}/{'x' * 150}"
            arguments = {"integrationName": OWN_INTEGRATION, "tunnelUrl": tunnel, "all": False}
            result = await client.call_tool("set_integration_development_mode", arguments)
            assert not result.is_error, result

anyio.run(main, *sys.argv[1:])
"""
    names = ["ann", "bob", "cid"]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", program, str(path), name],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for name in names
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            process.communicate(timeout=TIMEOUT)
            assert process.returncode == 0
    records = list(read_journal(path))
    tunnels = [record["arguments"]["tunnelUrl"].split("/")[3:5] for record in records]
    assert sorted(tunnels) == sorted([name, str(number)] for name in names for number in range(100))
    assert {record["outcome"] for record in records} == {"done"}
