"""The command line, run as people and clients run it."""

import contextlib
import fcntl
import io
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp import __version__
from gitbook_integrations_mcp.cli.console import print_error, print_table
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.cli.tools import estimate_cost
from gitbook_integrations_mcp.errors import ErrorCode, UsageError
from gitbook_integrations_mcp.features.tools import describe_tool
from gitbook_integrations_mcp.sandbox import OWN_INTEGRATION, USER_TOKEN
from tests.support.elicitation_client import Human, read_status
from tests.support.fake_gitbook import ERAS, Era
from tests.support.process import COMMAND, SOON, TIMEOUT, until
from tests.support.samples import OFFERED
from tests.support.tokens import count_tokens


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GITBOOK"):
            monkeypatch.delenv(name)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code and what it wrote to standard output and error."""
    code = main(words)
    output = capsys.readouterr()
    return code, output.out, output.err


def call(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Run a tool on the sandbox and return its structured result."""
    code, out, err = run(capsys, "call", "--sandbox", "--json", *words)
    assert code == 0, err
    return json.loads(out)


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
async def test_the_command_alone_serves_mcp_over_stdio(era: Era) -> None:
    server = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "--sandbox"])
    async with Client(server, mode=era) as client:
        assert client.protocol_version == ("2025-11-25" if era == "legacy" else era)
        assert [tool.name for tool in (await client.list_tools()).tools] == list(OFFERED)
        result = await client.call_tool("list_sites", {})
    assert result.structured_content is not None
    assert len(result.structured_content["items"]) == 5


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("action", "status", "left"), [("accept", "done", 8), ("decline", "confirmation_declined", 9)])
async def test_the_gate_asks_over_stdio(era: Era, action: str, status: str, left: int) -> None:
    server = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "--sandbox"])
    human = Human(action=action)
    async with Client(server, mode=era, elicitation_callback=human.answer) as client:
        listed = await client.call_tool("list_organization_installations", {"search": "mermaid"})
        assert listed.structured_content is not None
        (item,) = listed.structured_content["items"]
        arguments = {"integrationName": item["integration"]["name"], "installationId": item["installation"]["id"]}
        assert read_status(await client.call_tool("uninstall_integration", arguments)) == status
        after = await client.call_tool("list_organization_installations", {})
    assert after.structured_content is not None
    assert len(after.structured_content["items"]) == left
    assert "Affected spaces: 20" in human.texts[0]


@pytest.mark.slow
def test_standard_output_carries_nothing_but_the_protocol() -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    ended = subprocess.run(
        [*COMMAND, "serve", "--log-level", "debug"],
        input=json.dumps(hello) + "\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT,
    )
    (line,) = ended.stdout.splitlines()
    answer = json.loads(line)
    assert answer["result"]["serverInfo"]["name"] == "gitbook-integrations-mcp"
    assert answer["result"]["serverInfo"]["version"] == __version__
    assert "Lists return the IDs" in answer["result"]["instructions"]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["warning", "debug"])
def test_ctrl_c_ends_serving_at_once_and_the_log_holds_no_secret(level: str) -> None:
    secret = "planted-secret-0123456789"
    call = {"name": "publish_integration", "arguments": {"integrationName": "x", "secrets": {"KEY": secret}}}
    lines = [
        f'{{"broken": "{secret}"',
        json.dumps({"jsonrpc": "2.0", "method": 5, "params": call}),
        json.dumps({"jsonrpc": "2.0", "id": 1, "result": call}),
        json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"nothing": call}}),
    ]
    words = [*COMMAND, "--sandbox", "--log-level", level]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write("\n".join(lines) + "\n")
        process.stdin.flush()
        assert [json.loads(process.stdout.readline())["id"] for _ in range(3)] == [None, None, 2]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=TIMEOUT) == -signal.SIGINT
        logged = process.stderr.read()
    assert "Traceback" not in logged
    assert secret not in logged


@pytest.mark.slow
def test_a_server_that_lists_its_tools_has_not_imported_what_calls_need() -> None:
    program = """
import sys, anyio
from mcp import Client
from gitbook_integrations_mcp.cli import main
from gitbook_integrations_mcp.transports import serving
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
async def main():
    async with Client(create_server(load_settings())) as client:
        await client.list_tools()
anyio.run(main)
names = ("httpx", "aiohttp", "rich", "truststore", "sqlalchemy", "alembic", "jinja2")
names += ("ruamel.yaml", "sqlite3", "authlib", "keyring", "http.server", "gitbook_integrations_mcp.sandbox")
print([name for name in names if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=TIMEOUT)
    assert ended.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_version_is_told_without_loading_the_server() -> None:
    ended = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True, timeout=TIMEOUT)
    assert ended.stdout == f"gitbook-integrations-mcp {__version__}\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--toolsets", "site", "tools"), "site: unknown toolset. Did you mean sites?"),
        (("tools", "--exclude-tools", "list_site"), "list_site: unknown tool. Did you mean list_sites?"),
        (("tools", "--config", "/does/not/exist"), "cannot be read"),
    ],
)
def test_wrong_settings_are_told_and_exit_with_2(
    words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert expected in err


def test_flags_count_before_and_after_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("--read-only", "tools", "--json"), ("tools", "--json", "--read-only")):
        tools = json.loads(run(capsys, *words)[1])["tools"]
        assert {tool["risk"] for tool in tools} == {"read"}


@pytest.mark.parametrize(
    ("words", "warns"), [(("call", "--json", "list_sites", "organizationId=a"), True), (("tools",), False)]
)
def test_a_token_that_is_a_reference_without_its_value_is_a_warning(
    words: tuple[str, ...], warns: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITBOOK_TOKEN", "${GITBOOK_TOKEN}")
    _, out, err = run(capsys, *words)
    assert ("gitbook.token counts as not set" in err) is warns
    assert (ErrorCode.MISSING_TOKEN in out) is warns
    assert not warns or "${" not in out + err


@pytest.mark.slow
async def test_a_server_whose_token_is_a_reference_warns_and_lists_its_tools(tmp_path: Path) -> None:
    server = StdioServerParameters(
        command=COMMAND[0],
        args=COMMAND[1:],
        env={**os.environ, "GITBOOK_TOKEN": "${env:GITBOOK_TOKEN}", "GITBOOK_MCP_SERVER__SAVE_ANSWERS": "false"},
    )
    with (tmp_path / "log").open("w+") as log:
        async with Client(stdio_client(server, errlog=log)) as client:
            assert len((await client.list_tools()).tools) == len(OFFERED)
        log.seek(0)
        assert "gitbook.token counts as not set" in log.read()


def test_the_table_of_tools_shows_what_each_is_and_costs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "tools")
    assert code == 0
    for name, tool in OFFERED.items():
        (line,) = [line for line in out.splitlines() if line.startswith(f"{name} ")]
        assert str(tool.risk) in line
        assert not isinstance(tool, Endpoint) or tool.path in line
    assert f"{len(OFFERED)} tools" in out


def test_the_estimate_of_tokens_is_near_the_truth() -> None:
    estimated = counted = 0
    for declared in TOOLS.values():
        tool = describe_tool(declared).model_dump(by_alias=True, exclude_none=True)
        visible = {key: tool[key] for key in ("name", "description", "inputSchema")}
        truth = count_tokens(visible)
        estimated += estimate_cost(tool)
        counted += truth
        assert abs(estimate_cost(tool) - truth) <= 0.25 * truth, declared.name
    assert abs(estimated - counted) <= 0.1 * counted


def test_arguments_are_pairs_or_json_or_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = call(capsys, "list_sites", "published=true", "type=premium,ultimate", "limit=2")
    assert len(expected["items"]) == 2
    text = '{"published": true, "type": ["premium", "ultimate"], "limit": 2}'
    assert call(capsys, "list_sites", text) == expected
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert call(capsys, "list_sites", "-") == expected
    assert call(capsys, "list_sites", "published=true", "type=premium", "type=ultimate", "limit=2") == expected


def test_flags_may_stand_between_a_tool_and_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "call", "list_sites", "limit=2", "--sandbox", "published=true", "--json")
    assert code == 0, err
    assert len(json.loads(out)["items"]) == 2
    for words in (("call", "list_sites", "--nonsense"), ("tools", "more"), ("--read", "tools")):
        code, out, err = run(capsys, *words)
        assert (code, out) == (2, "")
        assert f"{words[-1] if words[0] != '--read' else '--read'}: un" in err


def test_text_stays_text_though_it_looks_like_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "list_integrations", "search=123")["items"] == []


def test_a_list_is_printed_as_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "call", "--sandbox", "list_organization_installations", "limit=3")
    assert code == 0
    assert "installation.id" in out
    assert "Release Notes Bot" in out
    assert "add page=" in out
    assert "\x1b" not in out


def test_nothing_is_cut_for_a_shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBOOK_MCP_LIMITS__RESULT_TOKENS", "1000")
    listed = call(capsys, "list_spaces_in_organization_by_id", "fetchAll=true", "detail=full")
    assert len(json.dumps(listed)) > 10_000
    assert listed["complete"] is True
    assert "note" not in listed


def test_what_ends_before_the_end_says_so_below_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "call", "--sandbox", "list_sites", "fetchAll=true", "maxItems=2")
    assert code == 0
    assert "2 items\nThere is more: add page=" in out
    assert "maxItems (2)" in out


def test_an_object_is_printed_whole_with_what_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    events = call(capsys, "list_integration_events", f"integrationName={OWN_INTEGRATION}")["items"]
    failed = next(event["id"] for event in events if event["status"] == "failed")
    words = ("get_integration_event", f"integrationName={OWN_INTEGRATION}", f"eventId={failed}")
    (log,) = call(capsys, *words)["trace"]["logs"]
    _, out, _ = run(capsys, "call", "--sandbox", *words)
    assert "event:\n" in out
    assert "  status: failed" in out
    assert log["message"] in out
    _, out, _ = run(capsys, "call", "--sandbox", "get_integration_by_name", "integrationName=slack")
    for scope in call(capsys, "get_integration_by_name", "integrationName=slack")["scopes"]:
        assert scope in out


def show_on_terminal(*words: str) -> list[str]:
    """Return the lines that a terminal of 80 columns shows."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb"}
    with subprocess.Popen([*COMMAND, *words], stdin=subprocess.DEVNULL, stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal tells that the program has closed it
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    assert process.returncode == 0
    return shown.decode().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "audit --sandbox --details",
        "audit --sandbox",
        "audit explain same-kind --sandbox",
        "doctor --sandbox",
        "tools",
        "call audit_installations --help",
        "call audit_installations --sandbox",
        f"call get_integration_by_name integrationName={OWN_INTEGRATION} --sandbox",
        f"events {OWN_INTEGRATION} --sandbox",
        "--help",
        "audit --help",
    ],
)
def test_a_terminal_of_80_columns_breaks_no_word(words: str) -> None:
    for line in show_on_terminal(*words.split()):
        words_of_line = line.split()
        is_copied = max(map(len, words_of_line), default=0) > 60 or words_of_line[:1] == ["gitbook-integrations-mcp"]
        assert len(line) <= 80 or is_copied, line


@pytest.mark.slow
def test_a_narrow_terminal_gets_fewer_columns_and_whole_ids() -> None:
    lines = show_on_terminal("call", "--sandbox", "list_organization_installations")
    assert max(map(len, lines)) <= 80
    (line,) = [line for line in lines if "release-notes-bot" in line]
    assert len(line.split()[0]) == 20
    told = " ".join(lines).partition("the terminal is too narrow: ")[2]
    assert told.split() == ["installation.space_selection,", "installation.site_selection"]


def test_an_error_of_the_tool_goes_to_standard_error_and_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "call", "--sandbox", "get_integration_by_name", "integrationName=nothing")
    assert (code, out) == (1, "")
    assert "with 404" in err


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("adit", "--json"), 2, ErrorCode.INVALID_USAGE),
        (("audit", "--format", "json", "--table", "scripts"), 2, ErrorCode.INVALID_USAGE),
        (("audit", "--json"), 2, ErrorCode.MISSING_TOKEN),
        (("tools", "--json", "--toolsets", "site"), 2, ErrorCode.INVALID_SETTINGS),
        (("tools", "--json", "--transport", "sse"), 2, ErrorCode.INVALID_USAGE),
        (("token", "--json"), 2, ErrorCode.INVALID_USAGE),
        (("changes", "--json", "--since", "yesterday"), 2, ErrorCode.INVALID_USAGE),
        (("token", "", "--json"), 2, ErrorCode.INVALID_USAGE),
        (("token", " ", "--json"), 2, ErrorCode.INVALID_USAGE),
        (("call", "--json", "list_site"), 2, ErrorCode.UNKNOWN_TOOL),
        (("call", "--json", "list_sites", "published"), 2, ErrorCode.INVALID_USAGE),
        (("call", "--json", "--sandbox", "list_sites", "limit=many"), 1, ErrorCode.INVALID_ARGUMENTS),
        (("call", "--json", "--sandbox", "get_integration_by_name", "integrationName=no"), 1, ErrorCode.NOT_FOUND),
        (("call", "--json", "list_sites", "organizationId=a"), 1, ErrorCode.MISSING_TOKEN),
        (("call", "--json", "--read-only", "queue_integration_task"), 1, ErrorCode.TOOL_DISABLED),
    ],
)
def test_where_a_result_would_be_json_an_error_is_too(
    words: tuple[str, ...], status: int, code: ErrorCode, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code, out, err = run(capsys, *words)
    assert (exit_code, err) == (status, "")
    error = json.loads(out)["error"]
    assert set(error) == {"code", "message"}
    assert error["code"] == code
    assert error["message"]


def test_arguments_on_standard_input_can_begin_with_a_byte_order_mark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('\ufeff{"limit": 1}'))
    code, _, err = run(capsys, "call", "--sandbox", "list_integrations", "-")
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("words", "command", "nearest"),
    [
        (("adit",), "", "audit"),
        (("install", "claude"), " install", "claude-code"),
        (("audit", "--format", "htm"), " audit", "html"),
        (("audit", "--fail-on=hihg"), " audit", "high"),
        (("audit", "--formt", "html"), " audit", "--format"),
        (("--log-level", "warn", "tools"), "", "warning"),
        (("--versoin",), "", "--version"),
    ],
)
def test_a_typing_error_gets_two_lines_with_the_nearest_name(
    words: tuple[str, ...], command: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    what, help_hint = err.splitlines()
    assert f"Did you mean {nearest}?" in what
    assert help_hint == f"Try `gitbook-integrations-mcp{command} --help`."


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("schedule",), "Missing: SYSTEM. Valid: github, cron, systemd."),
        (("serve", "--port", "eighty"), "--port eighty: must be a number."),
        (("--wrong",), "--wrong: unknown option."),
        (("audit", "explain", "x-y-z", "--sandbox"), "x-y-z: no rule or finding has this ID."),
    ],
)
def test_an_error_of_usage_names_what_is_wrong_and_only_a_near_name(
    words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert expected in err
    assert "Did you mean" not in err


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["call", "--help"],
        ["audit", "--sandbox"],
        ["call", "--sandbox", "list_integrations", "search=é"],
        ["install", "cursor", "--file", "é.json", "--dry-run"],
        ["token", "é"],
    ],
)
def test_an_ascii_locale_ends_no_command(words: list[str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [*COMMAND, *words], env={**os.environ, **ASCII}, cwd=tmp_path, capture_output=True, check=False, timeout=TIMEOUT
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["json", "csv", "html", "markdown"])
def test_formats_for_machines_are_utf8_whatever_the_locale(format_: str) -> None:
    words = [*COMMAND, "audit", "--sandbox", "--format", format_]
    environment = {**os.environ, **ASCII}
    ended = subprocess.run(words, env=environment, capture_output=True, check=True, timeout=TIMEOUT)
    assert not ended.stdout.decode().isascii()
    assert b"\r" not in ended.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the shell is another")
@pytest.mark.parametrize(
    ("command", "streams", "code"),
    [
        *(("tools", streams, 0) for streams in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-")),
        ("adit", "2>&-", 2),
        ("adit", "<&- >&- 2>&-", 2),
        ("call --sandbox list_sites", "<&- >&- 2>&-", 0),
        ("doctor --sandbox", "<&- >&- 2>&-", 0),
        ("audit --sandbox", "<&- >&-", 0),
        ("audit --sandbox", "2>&-", 0),
    ],
)
def test_closed_standard_streams_end_no_command(command: str, streams: str, code: int) -> None:
    words = ["sh", "-c", f'exec "$@" {command} {streams}', "sh", *COMMAND]
    ended = subprocess.run(words, capture_output=True, check=False, timeout=TIMEOUT)
    assert ended.returncode == code
    assert b"Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the shell is another")
@pytest.mark.parametrize("stream", ["<&-", ">&-"])
def test_a_server_without_standard_input_or_output_says_so(stream: str) -> None:
    words = ["sh", "-c", f'exec "$@" --sandbox {stream}', "sh", *COMMAND]
    ended = subprocess.run(words, capture_output=True, check=False, timeout=TIMEOUT)
    (line,) = ended.stderr.decode().splitlines()
    assert ended.returncode == 2
    assert "is closed" in line


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("words", [("tools", "--json"), ("audit", "--sandbox"), ("audit", "--sandbox", "--json")])
def test_a_full_disk_below_standard_output_is_an_error_in_one_line(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, check=False, timeout=TIMEOUT)
    (line,) = ended.stderr.decode().splitlines()
    assert ended.returncode == 1
    assert "Cannot write to standard output: No space left" in line


@pytest.mark.slow
def test_the_help_of_each_tool_shows_its_description_and_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    for name, declared in TOOLS.items():
        code, out, err = run(capsys, "call", name, "--help")
        assert (code, err) == (0, "")
        tool = describe_tool(declared)
        assert tool.description
        assert tool.description.splitlines()[0] in out
        for argument, schema in tool.input_schema["properties"].items():
            (line,) = [line for line in out.splitlines() if line.startswith(f"  {argument} ")]
            assert ("required" in line) is (argument in tool.input_schema.get("required", ()))
            assert str(schema.get("default") or "").lower() in line.lower()
    code, out, err = run(capsys, "call", "list_site", "-h")
    assert (code, out) == (2, "")
    assert "Did you mean list_sites?" in err


@pytest.mark.parametrize(
    "words",
    [
        ("call", "--json", "list_sites", "--help"),
        ("call", "list_sites", "--help", "--json"),
        ("call", "list_sites", "limit=1", "--help"),
        ("--log-level", "debug", "call", "list_sites", "--sandbox", "-h"),
    ],
)
def test_the_help_of_a_tool_is_shown_among_options_and_arguments(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert out.startswith("usage: gitbook-integrations-mcp call list_sites ")


def test_help_is_printed_where_only_ascii_can_be() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for command in ("call", "audit"):
        ended = subprocess.run(
            [*COMMAND, command, "--help"], env=environment, capture_output=True, check=False, timeout=60
        )
        assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("list_site",), "Did you mean list_sites?"),
        (("list_sites", "published"), "not key=value"),
        (("list_sites", "{oops"), "not valid JSON"),
    ],
)
def test_a_wrong_usage_is_told_and_exits_with_2(
    words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "call", "--sandbox", *words)
    assert (code, out) == (2, "")
    assert expected in err


def test_without_a_terminal_a_gated_call_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal's question is nobody else's, so the store of a server that reads the same file is not asked."""
    config = tmp_path / "config.json"
    confirmation = {"keys": ["a key that nobody shares at a terminal"]}
    config.write_text(json.dumps({"confirmation": confirmation, "server": {"transport": ["streamable-http"]}}))
    words = (
        "call",
        "--sandbox",
        "--config",
        str(config),
        "--json",
        "unpublish_integration",
        f"integrationName={OWN_INTEGRATION}",
    )
    code, out, err = run(capsys, *words)
    assert code == 1
    assert json.loads(out)["code"] == "confirmation_unavailable"
    assert "in a terminal" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "status", "code"),
    [
        (OWN_INTEGRATION, "done", 0),
        ("something else", "confirmation_invalid", 1),
        ("\x04", "confirmation_cancelled", 1),
    ],
)
def test_on_a_terminal_a_gated_call_asks(typed: str, status: str, code: int) -> None:
    words = ["call", "--sandbox", "--json", "unpublish_integration", f"integrationName={OWN_INTEGRATION}"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*COMMAND, *words], stdin=theirs, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    shown = b""
    with open(ours, "r+b", buffering=0, closefd=True) as terminal, process:  # noqa: PTH123
        while b"to confirm: " not in shown:
            shown += terminal.read(1024)
        terminal.write(typed.encode() if typed == "\x04" else typed.encode() + b"\n")
        assert process.stdout is not None
        answer = json.loads(process.stdout.read())
        assert process.wait(timeout=TIMEOUT) == code
    assert answer.get("code", answer["status"]) == status
    assert "“Release Notes Bot”".encode() in shown


@pytest.mark.slow
def test_an_interrupt_ends_the_question_on_a_terminal_and_the_program() -> None:
    words = ["call", "--sandbox", "unpublish_integration", f"integrationName={OWN_INTEGRATION}"]
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, *words], stdin=theirs, stderr=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        shown = b""
        while b"to confirm: " not in shown:
            shown += os.read(ours, 1024)
        try:
            with pytest.raises(subprocess.TimeoutExpired):  # it waits for an answer
                process.wait(timeout=1)
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(OSError):  # how Linux reports that the other side of a terminal is closed
                while select.select([ours], [], [], TIMEOUT)[0] and (chunk := os.read(ours, 1024)):
                    shown += chunk  # unread, a long message would stop the program
            assert process.wait(timeout=TIMEOUT) == 130, shown.decode()
        finally:
            process.kill()
            os.close(ours)


@pytest.mark.slow
def test_an_interrupt_ends_the_reading_of_arguments() -> None:
    command = [*COMMAND, "call", "--sandbox", "list_sites", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        pipe = process.stdin
        assert pipe is not None
        try:
            pipe.write(b"{")
            anyio.run(until, lambda: fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)) == bytes(4))  # it was read
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=SOON) == 130
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_an_input_that_is_not_utf8_is_an_error_of_the_arguments(errors: str) -> None:
    done = subprocess.run(
        [*COMMAND, "call", "--sandbox", "list_sites", "-"],
        input=b'{"search": "\xff"}',
        env={**os.environ, "PYTHONIOENCODING": f"utf-8:{errors}"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"gitbook-integrations-mcp: The arguments of list_sites")


def test_third_party_text_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from gitbook_integrations_mcp.cli.console import print_result

    print_result({"items": [{"id": "1", "title": "\x1b[31m[red]evil[/red]\u202e\x07"}]})
    out = capsys.readouterr().out
    assert "[red]evil[/red]" in out
    assert not set(out) & set("\x1b\x07\u202e")


def test_doctor_finds_the_sandbox_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "doctor", "--sandbox", "--json")
    report = json.loads(out)
    assert code == 0
    assert {check["status"] for check in report["checks"] if check["check"] != "assistants"} == {"ok"}


def test_doctor_without_a_network_fails_with_the_fix(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITBOOK_ENDPOINT", "http://does-not-exist.internal")
    monkeypatch.setenv("GITBOOK_TOKEN", "secret-token-0123456789")
    code, out, err = run(capsys, "doctor")
    assert code == 1
    assert "✗ token: GitBook could not be reached" in out
    assert "! encryption: the endpoint is plain http" in out
    assert "secret-token" not in out + err


@pytest.mark.slow
def test_a_console_that_cannot_show_a_character_gets_another() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    words = [*COMMAND, "doctor", "--sandbox"]
    ended = subprocess.run(words, env=environment, capture_output=True, check=True, timeout=TIMEOUT)
    assert ended.stdout.startswith(b"+ Python: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [(("--host", "203.0.113.1"), "Cannot listen on 203.0.113.1"), (("--port", "70000"), "less than or equal to 65535")],
)
def test_a_sandbox_that_cannot_be_served_says_so(words: tuple[str, ...], expected: str) -> None:
    ended = subprocess.run([*COMMAND, "sandbox", *words], capture_output=True, text=True, check=False, timeout=TIMEOUT)
    assert ended.returncode == 2
    assert expected in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_told_with_the_flag_for_another(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = run(capsys, "serve", "--sandbox", "--transport", "http", "--port", str(port))
    assert (code, out) == (2, "")
    assert f"http.port {port}: Address already in use." in err
    assert "--port" in err


@pytest.mark.parametrize(
    "words", [("--port", "8000"), ("serve", "--host", "::1"), ("--transport", "stdio", "serve", "--workers", "2")]
)
def test_a_flag_of_http_without_http_is_an_error(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--sandbox", *words)
    assert (code, out) == (2, "")
    assert err.endswith("is only for HTTP. Add --transport http.\n")


@pytest.mark.parametrize("words", [(), ("--port", "9000", "--host", "::1")])
def test_a_shell_can_read_the_environment_of_the_sandbox(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "sandbox", "--print-env", *words)
    assert code == 0
    shown = subprocess.run(["/bin/sh", "-c", f"{out}env"], env={}, capture_output=True, text=True, check=True).stdout
    variables = dict(line.split("=", 1) for line in shown.splitlines())
    assert variables["GITBOOK_ENDPOINT"] == ("http://[::1]:9000" if words else "http://127.0.0.1:8787")
    assert variables["GITBOOK_TOKEN"] == USER_TOKEN
    assert {"GITBOOK_INTEGRATION_TOKEN", "GITBOOK_ORGANIZATION"} <= variables.keys()


def test_powershell_gets_an_address_with_brackets_in_one_pair_of_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "sandbox", "--print-env", "powershell", "--host", "::1")
    assert "$env:GITBOOK_ENDPOINT = 'http://[::1]:8787'" in out.splitlines()


def test_a_row_of_a_piped_table_is_one_line_whatever_its_width(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"a": "x" * 1500, "b": "y"}])
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    "text", ["Retry, or ask the operator to check store.url.", "No right. Tell the user whom to ask."]
)
def test_a_person_at_the_terminal_gets_no_advice_for_models(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_error(UsageError(text), as_json=False)
    shown = capsys.readouterr().err
    assert "operator" not in shown
    assert "the user" not in shown


@pytest.mark.parametrize(
    "words",
    [
        ("changes", "--profile", ""),
        ("new", "nx", "--organization", ""),
        ("schedule", "cron", ""),
        ("changes", "--tool", "uninstal_integration"),
        ("changes", "--tool", "\udcff"),
        ("changes", "--limit", "99999999999999999999"),
        ("login", "--seconds", "-1"),
        ("login", "--seconds", "nan"),
        ("login", "--redirect-port", "99999"),
        ("login", "--redirect-port", "-1"),
        ("config", "show", "nosuch.json"),
        ("config", "schema", "x.json"),
        ("store", "forget", ""),
    ],
)
def test_a_value_that_cannot_be_meant_is_an_error_of_usage(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, *words)[:2] == (2, "")


def test_powershell_gets_the_environment_of_the_sandbox_in_its_own_form(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "sandbox", "--print-env", "powershell")
    assert code == 0
    assert f"$env:GITBOOK_TOKEN = '{USER_TOKEN}'" in out.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("help", "usage: gitbook-integrations-mcp [COMMAND]"),
        ("help audit accept", "audit accept ID --reason TEXT [OPTION ...]"),
        ("version", __version__),
    ],
)
def test_help_and_version_are_also_words(words: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 0
    assert expected in capsys.readouterr().out


def test_the_environment_of_a_port_that_is_not_chosen_yet_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "sandbox", "--print-env", "--port", "0")
    assert (code, out) == (2, "")
    assert "--port 0" in err


@pytest.mark.slow
def test_the_sandbox_is_served_on_a_port() -> None:
    with subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        told = dict(process.stdout.readline().strip().split("=", 1) for _ in range(4))
        ended = subprocess.run(
            [*COMMAND, "doctor", "--json"],
            env={**os.environ, **told},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        process.terminate()
    checks = {check["check"]: check["status"] for check in json.loads(ended.stdout)["checks"]}
    assert ended.returncode == 0, checks
    assert checks["token"] == checks["integration token"] == "ok"
