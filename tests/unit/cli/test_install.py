"""Assistants are given a configuration that starts this very server, and lose nothing of what they had."""

import errno
import json
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_mcp.cli import answers
from gitbook_integrations_mcp.cli.answers import save_answers
from gitbook_integrations_mcp.cli.assistant_file import TomlDocument, read_document
from gitbook_integrations_mcp.cli.assistants import ASSISTANTS, Assistant
from gitbook_integrations_mcp.cli.assistants import ENTRY as NAME
from gitbook_integrations_mcp.cli.install import OLD_NAME, format_entry
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.front import FOLDER
from tests.support.process import COMMAND

TOKEN = "user-token-0123456789"
INTEGRATION_TOKEN = "integration-token-0123456789"

each_assistant = pytest.mark.parametrize("name", ASSISTANTS)

OTHERS: Mapping[str, str] = {
    "json": '{\n\t"theme": "dark",\n\t"SERVERS": {"other": {"command": "x", "env": {"KEY": "their-secret"}}}\n}',
    "toml": '# mine\nmodel = "o5"  # best\n\n[SERVERS.other]\ncommand = "x"\n\n[profile]\nname = "me"\n',
}
"""What files held before, with another server and its secret."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, and no settings in the environment."""
    gitbook = ("GITBOOK_TOKEN", "GITBOOK_INTEGRATION_TOKEN", "GITBOOK_ENDPOINT", "GITBOOK_ORGANIZATION")
    for variable in (*gitbook, "GITBOOK_MCP_STORE__URL"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    # The answers of the server are saved only where a test is about them, as that takes time.
    monkeypatch.setattr(answers, "save_answers", lambda *_: None)
    for variable in ("APPDATA", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "config"))
    return tmp_path


def read(assistant: Assistant, path: Path | None = None) -> dict[str, Any]:
    """Return what an assistant's file holds, as the assistant reads it."""
    text = (path or assistant.path).read_text(encoding="utf-8")
    content: dict[str, Any] = tomllib.loads(text) if assistant.format == "toml" else json.loads(text)
    return content


def write(assistant: Assistant, text: str) -> None:
    assistant.path.parent.mkdir(parents=True, exist_ok=True)
    assistant.path.write_text(text, encoding="utf-8")


@pytest.mark.slow
@each_assistant
async def test_an_assistant_starts_the_server_that_was_installed(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assistant = ASSISTANTS[name]
    assert main(["install", name, "--sandbox", "--read-only", "--toolsets", "sites"]) == 0
    entry = read(assistant)[assistant.servers][NAME]
    server = StdioServerParameters(command=entry["command"], args=entry["args"])
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} >= {"list_site_integration_scripts"}
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
    assert "env" not in entry
    assert str(home) not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("inherited", [True, False])
async def test_even_the_first_start_after_an_installation_has_saved_answers(
    inherited: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "save_answers", save_answers)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("GITBOOK_TOKEN", TOKEN)
    monkeypatch.setenv("GITBOOK_ORGANIZATION", "an-organization")
    monkeypatch.setenv("GITBOOK_MCP_TOOLS__READ_ONLY", "true")
    await anyio.to_thread.run_sync(main, ["install", "claude-code"])
    entry = read(ASSISTANTS["claude-code"])["mcpServers"][NAME]
    files = sorted((home / "cache" / FOLDER).iterdir())
    assert len(files) == 2
    for file in files:
        text = file.read_text()
        assert TOKEN not in text
        file.write_text(text.replace('\\"name\\":\\"list_sites\\"', '\\"name\\":\\"saved_tool\\"'))
    base = {name: value for name, value in os.environ.items() if inherited or not name.startswith("GITBOOK")}
    server = StdioServerParameters(
        command=COMMAND[0],
        args=[*COMMAND[1:], *entry["args"]],
        env={**base, **entry["env"], "GITBOOK_TOKEN": TOKEN},
    )
    async with Client(server) as client:
        assert "saved_tool" in {tool.name for tool in (await client.list_tools()).tools}
    assert sorted((home / "cache" / FOLDER).iterdir()) == files


@each_assistant
def test_what_a_file_held_stays_and_a_copy_is_kept(name: str) -> None:
    assistant = ASSISTANTS[name]
    before = OTHERS[assistant.format].replace("SERVERS", assistant.servers)
    write(assistant, before)
    assistant.path.chmod(0o600)
    assert main(["install", name]) == 0
    content = read(assistant)
    assert content[assistant.servers]["other"]["command"] == "x"
    assert {"theme": "dark"}.items() <= content.items() or content["profile"] == {"name": "me"}
    (backup,) = assistant.path.parent.glob("*.bak")
    assert backup.read_text(encoding="utf-8") == before
    assert stat.S_IMODE(assistant.path.stat().st_mode) == 0o600
    after = assistant.path.read_text(encoding="utf-8")
    assert ("\n\t" in after) if assistant.format == "json" else ("# mine" in after and "# best" in after)


@each_assistant
def test_installing_twice_changes_nothing_more(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assistant = ASSISTANTS[name]
    assert main(["install", name]) == 0
    once = assistant.path.read_bytes()
    assert main(["install", name]) == 0
    assert "No change" in capsys.readouterr().out
    assert assistant.path.read_bytes() == once
    assert list(assistant.path.parent.glob("*.bak")) == []


@each_assistant
def test_a_token_that_a_human_put_there_stays_and_flags_are_renewed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assistant = ASSISTANTS[name]
    assert main(["install", name]) == 0
    content = read(assistant)
    if assistant.format == "toml":
        assistant.path.write_text(
            f'{assistant.path.read_text()}\n[{assistant.servers}.{NAME}.env]\nGITBOOK_TOKEN="{TOKEN}"'
        )
    else:
        content[assistant.servers][NAME].setdefault("env", {})["GITBOOK_TOKEN"] = TOKEN
        assistant.path.write_text(json.dumps(content))
    assert main(["install", name, "--read-only"]) == 0
    entry = read(assistant)[assistant.servers][NAME]
    assert entry["env"]["GITBOOK_TOKEN"] == TOKEN
    assert entry["args"][-1] == "--read-only"
    assert TOKEN not in capsys.readouterr().out


@each_assistant
def test_without_a_token_the_entry_has_none_and_login_is_suggested_but_a_reference_stays(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assistant = ASSISTANTS[name]
    assert main(["install", name]) == 0
    assert "GITBOOK_TOKEN" not in assistant.path.read_text(encoding="utf-8")
    assert "gitbook-integrations-mcp login" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setenv("GITBOOK_TOKEN", TOKEN)
        assert main(["install", name]) == 0
    before = assistant.path.read_text(encoding="utf-8")
    assert "GITBOOK_TOKEN" in before
    assert main(["install", name]) == 0
    assert assistant.path.read_text(encoding="utf-8") == before


@each_assistant
def test_no_token_is_written_but_where_it_comes_from(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITBOOK_TOKEN", TOKEN)
    monkeypatch.setenv("GITBOOK_INTEGRATION_TOKEN", INTEGRATION_TOKEN)
    monkeypatch.setenv("GITBOOK_ORGANIZATION", "o1")
    assistant = ASSISTANTS[name]
    assert main(["install", name]) == 0
    told = capsys.readouterr().out
    text = assistant.path.read_text(encoding="utf-8")
    for secret in (TOKEN, INTEGRATION_TOKEN):
        assert secret not in text + told
    entry = read(assistant)[assistant.servers][NAME]
    expected = {"GITBOOK_ORGANIZATION", "GITBOOK_TOKEN", "GITBOOK_INTEGRATION_TOKEN"}
    assert {*entry["env"], *entry.get("env_vars", ())} == expected
    assert "GITBOOK_TOKEN and GITBOOK_INTEGRATION_TOKEN" in told
    if assistant.prompts:
        asked = {one["id"] for one in read(assistant)["inputs"] if one["password"]}
        assert asked == {"GITBOOK_TOKEN", "GITBOOK_INTEGRATION_TOKEN"}


@each_assistant
def test_a_dry_run_and_printing_write_nothing(name: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--dry-run", "--print"):
        assert main(["install", name, flag]) == 0
        assert NAME in capsys.readouterr().out
    assert not ASSISTANTS[name].path.exists()
    assert main(["install", name, "--print", "--file", str(home / "x")]) == 0
    assert not (home / "x").exists()


def test_a_server_that_could_not_start_is_not_installed(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("--toolsets", "site"), ("--tools", "list_site"), ("--exclude-tools", "list_site")):
        assert main(["install", "cursor", *words]) == 2
        assert "Did you mean" in capsys.readouterr().err
    assert not ASSISTANTS["cursor"].path.exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vscode", '{\n  /* mine \n  "servers": {}\n}'),
        ("cursor", '{"mcpServers": {"gitbook": {"command": "npx", "args": ["another-server"]}}}'),
        ("cursor", '{"mcpServers": {}, "mcpServers": {"other": {}}}'),
        ("cursor", '{"number": 1e400}'),
        ("cursor", '{"number": NaN}'),
        ("cursor", '{"a":' * 1200 + "1" + "}" * 1200),
        ("codex", "a = " + "[" * 5000 + "]" * 5000),
        ("codex", "a = 1\na = 2"),
        ("cursor", '{"mcpServers": []}'),
        ("cursor", '{"mcpServers": {"gitbook": "x"}}'),
        ("cursor", "[]"),
        ("codex", "model = "),
        ("codex", "mcp_servers = 5"),
    ],
)
def test_what_cannot_be_merged_without_loss_is_left_alone(
    name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assistant = ASSISTANTS[name]
    write(assistant, text)
    assert main(["install", name]) == 1
    assert assistant.path.read_text(encoding="utf-8") == text
    told = capsys.readouterr().err
    assert "Could not edit" in told
    assert "yourself" in told
    assert NAME in told


def test_the_reason_for_not_editing_a_file_names_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    for text, expected in (
        ('{"mcpServers": {},\n "mcpServers": {}}', 'it has the key "mcpServers" twice (line 2)'),
        ('{\n"a": oops}', "it is not valid JSON (line 2, column 6)"),
        ('{\n// 1e400\n"a": 1e400}', "it has a number that is out of range (line 3)"),
        ('{\n"a": NaN}', "it has NaN, which is not a number in JSON (line 2)"),
        ("[]", "it is not an object"),
        ('{"mcpServers": []}', "it has something else as mcpServers"),
    ):
        write(ASSISTANTS["cursor"], text)
        assert main(["install", "cursor"]) == 1
        assert expected in capsys.readouterr().err
    ASSISTANTS["cursor"].path.write_bytes("{}".encode("utf-16"))
    assert main(["install", "cursor"]) == 1
    assert "it is not UTF-8" in capsys.readouterr().err
    write(ASSISTANTS["codex"], "a = 1\n\nb = ")
    assert main(["install", "codex"]) == 1
    assert "it is not valid TOML (line 3)" in capsys.readouterr().err
    write(ASSISTANTS["codex"], "a = 1\nb = 0x")
    assert main(["install", "codex"]) == 1
    assert "it is not valid TOML (line 2)" in capsys.readouterr().err


def test_comments_trailing_commas_numbers_and_escapes_stay(home: Path) -> None:
    path = home / "mcp.json"
    before = (
        '\ufeff{\r\n    // "mcpServers": {}\r\n    "n": [1.10, 1E5, 12345678901234567890.5],\r\n'
        '    "half": "\\ud83d",\r\n'
        '    "mcpServers": {\r\n        "other": {"command": "x"}, // mine\r\n    },\r\n}\r\n'
    )
    path.write_bytes(before.encode())
    assert main(["install", "cursor", "--sandbox", "--file", str(path)]) == 0
    after = path.read_bytes().decode()
    assert after.count("\r\n") == after.count("\n")
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert [line for line in after.splitlines() if line not in added] == before.splitlines()
    assert added[0] == f'        "{NAME}": {{'
    assert main(["uninstall", "cursor", "--file", str(path)]) == 0
    assert path.read_bytes().decode().replace(",", "") == before.replace(",", "")


def test_a_codex_file_keeps_its_line_ends_and_its_mark(home: Path) -> None:
    path = home / "config.toml"
    path.write_bytes('\ufeff# mine\r\nmodel = "o5"\r\n'.encode())
    assert main(["install", "codex", "--sandbox", "--file", str(path)]) == 0
    after = path.read_bytes().decode()
    assert after.startswith('\ufeff# mine\r\nmodel = "o5"\r\n')
    assert after.count("\r\n") == after.count("\n")
    assert NAME in tomllib.loads(after.removeprefix("\ufeff"))["mcp_servers"]


@pytest.mark.parametrize(
    "servers",
    [
        'mcp_servers.other.command = "x"\n',
        'mcp_servers.other = {command = "x"}\n',
        'mcp_servers = {other = {command = "x"}}\n',
        'mcp_servers.other.command = "x"\nmcp_servers.gitbook.command = "gitbook-integrations-mcp"\n',
        '[mcp_servers]\nother.command = "x"\n[profile]\n',
    ],
)
def test_keys_that_follow_servers_without_a_header_stay_where_they_are(servers: str) -> None:
    assistant = ASSISTANTS["codex"]
    write(assistant, f'{servers}approval_policy = "never"\nsandbox_mode = "read-only"\n')
    before = read(assistant)
    assert main(["install", "codex", "--sandbox"]) == 0
    after = read(assistant)
    assert "--sandbox" in after["mcp_servers"].pop(NAME)["args"]
    before["mcp_servers"].pop(NAME, None)
    assert after == before
    assert main(["uninstall", "codex"]) == 0
    assert read(assistant) == before


CODEX = """\
# mine
model = "o5"

[mcp_servers.gitbook-integrations]
command = "gitbook-integrations-mcp"

[mcp_servers.gitbook-integrations.env]
HTTPS_PROXY = "http://proxy.example"

# the profile
[profile]
name = "me"
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_comment_above_the_next_header_stays_with_a_renamed_and_a_removed_entry(home: Path, newline: str) -> None:
    path = home / "config.toml"
    before = CODEX.replace("\n", newline)
    path.write_bytes(before.encode())
    assert main(["install", "codex", "--sandbox", "--file", str(path)]) == 0
    after = path.read_bytes().decode()
    _, ours, end = before.partition(f"{newline}# the profile")
    assert after.endswith(f'HTTPS_PROXY = "http://proxy.example"{newline}{ours}{end}')
    assert [*tomllib.loads(after)["mcp_servers"]] == [NAME]
    assert main(["uninstall", "codex", "--file", str(path)]) == 0
    start = before.partition(f"{newline}[mcp_servers")[0]
    assert path.read_bytes().decode() == f"{start}{ours}{end}"


def test_what_looks_like_a_header_in_a_text_is_no_entry(home: Path) -> None:
    path = home / "config.toml"
    text = f'[mcp_servers]\n\n[notes]\ntext = """\n[mcp_servers.{NAME}]\n"""\n'
    path.write_text(f'{text}\n[mcp_servers.{NAME}]\ncommand = "gitbook-integrations-mcp"\n', encoding="utf-8")
    assert main(["uninstall", "codex", "--file", str(path)]) == 0
    assert tomllib.loads(path.read_text(encoding="utf-8")) == tomllib.loads(text)


def test_a_file_that_would_read_differently_is_left_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assistant = ASSISTANTS["codex"]
    text = 'model = "o5"\n'
    write(assistant, text)
    monkeypatch.setattr(TomlDocument, "set", lambda self, *_: setattr(self, "content", {"model": "another"}))
    assert main(["install", "codex"]) == 1
    assert assistant.path.read_text(encoding="utf-8") == text
    assert "without loss" in capsys.readouterr().err


@pytest.mark.parametrize("key", [NAME, OLD_NAME])
@each_assistant
def test_members_that_people_added_to_the_entry_stay(name: str, key: str) -> None:
    assistant = ASSISTANTS[name]
    own = {"disabled": True, "timeout": 60, "excludeTools": ["list_sites"], "autoApprove": {"list_sites": True}}
    document = read_document(assistant, "")
    document.set((assistant.servers, key), {"command": "gitbook-integrations-mcp", "url": "https://x.example", **own})
    write(assistant, document.text)
    assert main(["install", name, "--read-only"]) == 0
    entry = read(assistant)[assistant.servers][NAME]
    assert {member: entry.get(member) for member in own} == own
    assert entry["args"][-1] == "--read-only"
    assert "url" not in entry


def test_comments_in_a_codex_file_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = ASSISTANTS["codex"]
    monkeypatch.setenv("GITBOOK_TOKEN", TOKEN)
    monkeypatch.setenv("GITBOOK_ORGANIZATION", "an-organization")
    below = "\n# another one\n[mcp_servers.other]\ncommand = 'x'  # theirs\n"
    table = "# ours\n[mcp_servers.gitbook]\ncommand = 'gitbook-integrations-mcp'\n# slow\nstartup_timeout_sec = 30\n"
    for rest in (
        "",
        "\n[mcp_servers.gitbook.env]\nGITBOOK_TOKEN = 'a-token'\n",
        "\n[mcp_servers.gitbook.more]\na = 1\n",
    ):
        write(assistant, table + rest + below)
        assert main(["install", "codex"]) == 0
        text = assistant.path.read_text()
        assert text.startswith("# ours\n[mcp_servers.gitbook]\ncommand = ")
        assert "\n# slow\nstartup_timeout_sec = 30\n" in text
        assert text.endswith(below)
        entry = read(assistant)["mcp_servers"][NAME]
        assert entry["env"]["GITBOOK_ORGANIZATION"] == "an-organization"
        assert entry["env_vars"] == ["GITBOOK_TOKEN"]


def test_an_entry_of_an_older_release_is_renamed_or_replaced() -> None:
    assistant = ASSISTANTS["cursor"]
    old = {"command": "/old/gitbook-integrations-mcp", "env": {"GITBOOK_TOKEN": TOKEN}, "url": "https://x.example"}
    for entries, names in (
        ({"a": {}, OLD_NAME: old, "b": {}}, ["a", NAME, "b"]),
        ({OLD_NAME: old, NAME: {"command": "gitbook-integrations-mcp"}}, [NAME]),
        ({NAME: old}, [NAME]),
        ({NAME: {"command": "docker", "args": ["run", "gitbook-integrations-mcp:1"], "env": old["env"]}}, [NAME]),
    ):
        write(assistant, json.dumps({"mcpServers": entries}))
        assert main(["install", "cursor"]) == 0
        servers = read(assistant)["mcpServers"]
        assert list(servers) == names
        assert set(servers[NAME]) == {"command", "args", "env"}
        assert servers[NAME]["env"] == {"GITBOOK_TOKEN": TOKEN}


@pytest.mark.parametrize(
    "words",
    [
        "/home/me/.local/bin/gitbook-integrations-mcp",
        "C:\\Tools\\gitbook-integrations-mcp.exe --sandbox",
        "uvx gitbook-integrations-mcp@latest",
        "uvx --from git+https://github.com/x/y@1 gitbook-integrations-mcp",
        "pipx run gitbook-integrations-mcp==1.0",
        "python -m gitbook_integrations_mcp",
        "docker run -i ghcr.io/someone/gitbook-integrations-mcp:1.0",
        "docker run -i localhost:5000/gitbook-integrations-mcp@sha256:0a",
        "python /home/me/.venv/bin/gitbook-integrations-mcp",
    ],
)
def test_an_entry_that_starts_this_program_is_its_own(words: str) -> None:
    command, *arguments = words.split(" ")
    write(ASSISTANTS["cursor"], json.dumps({"mcpServers": {NAME: {"command": command, "args": arguments}}}))
    assert main(["uninstall", "cursor"]) == 0
    assert read(ASSISTANTS["cursor"])["mcpServers"] == {}


def test_another_name_leaves_the_entry_of_an_older_release_with_its_token() -> None:
    old = {"command": "gitbook-integrations-mcp", "env": {"GITBOOK_ORGANIZATION": "a", "GITBOOK_TOKEN": TOKEN}}
    acme = {"command": "gitbook-integrations-mcp", "env": {"GITBOOK_ORGANIZATION": "b"}}
    for entries in ({OLD_NAME: old, "acme": acme}, {OLD_NAME: old}):
        write(ASSISTANTS["cursor"], json.dumps({"mcpServers": entries}))
        assert main(["install", "cursor", "--name", "acme"]) == 0
        servers = read(ASSISTANTS["cursor"])["mcpServers"]
        assert servers[OLD_NAME] == old
        assert "GITBOOK_TOKEN" not in servers["acme"].get("env", {})


OTHER_ENTRIES: list[dict[str, Any]] = [
    {"url": "https://mcp.gitbook.example", "headers": {"Authorization": "Bearer x"}},
    {"type": "http", "url": "https://gitbook-integrations-mcp.example/mcp"},
    {"serverUrl": "https://mcp.gitbook.example"},
    {"command": "npx", "args": ["mcp-remote", "https://mcp.gitbook.example"]},
    {"command": "npx", "args": ["server-filesystem", "/home/me/src/gitbook-integrations-mcp"]},
    {"command": "/home/me/gitbook-integrations-mcp/node_modules/.bin/other", "args": []},
    {},
]


@pytest.mark.parametrize("entry", OTHER_ENTRIES)
@pytest.mark.parametrize("old", [False, True])
def test_the_entry_of_another_server_stays_and_this_one_gets_another_name(
    entry: dict[str, Any], old: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assistant = ASSISTANTS["cursor"]
    earlier = {OLD_NAME: {"command": "gitbook-integrations-mcp"}} if old else {}
    text = json.dumps({"mcpServers": {NAME: entry, **earlier}})
    write(assistant, text)
    assert main(["install", "cursor"]) == 1
    told = capsys.readouterr().err
    assert f"another server with the name {NAME}" in told
    assert "--name" in told
    assert assistant.path.read_text() == text
    assert main(["install", "cursor", "--sandbox", "--name", "my_gitbook-2"]) == 0
    servers = read(assistant)["mcpServers"]
    assert list(servers) == [NAME, *earlier, "my_gitbook-2"]
    assert servers[NAME] == entry
    assert main(["install", "cursor", "--sandbox", "--name", "my_gitbook-2", "--dry-run"]) == 0
    assert "No change" in capsys.readouterr().out
    assert main(["uninstall", "cursor"]) == 0
    assert old or "No change" in capsys.readouterr().out
    assert main(["uninstall", "cursor", "--name", "my_gitbook-2"]) == 0
    assert read(assistant)["mcpServers"] == {NAME: entry}


def test_a_dry_run_shows_an_entry_with_another_name_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    own = {"command": "gitbook-integrations-mcp", "env": {"GITBOOK_TOKEN": TOKEN}}
    write(ASSISTANTS["cursor"], json.dumps({"mcpServers": {"mine": own}}, indent=2))
    assert main(["install", "cursor", "--name", "mine", "--read-only", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert '"--read-only"' in shown
    assert TOKEN not in shown


@pytest.mark.parametrize("name", ["", "a b", "gitbook-integrations", "x.y", "é"])
def test_a_name_that_an_assistant_could_not_use_is_an_error(name: str) -> None:
    assert main(["install", "cursor", "--name", name]) == 2
    assert not ASSISTANTS["cursor"].path.exists()


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o600])
def test_a_token_in_an_assistants_file_that_others_can_read_is_a_warning(
    mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ASSISTANTS["cursor"].path
    for token in (TOKEN, "${env:GITBOOK_TOKEN}"):
        own = {"command": "gitbook-integrations-mcp", "env": {"GITBOOK_TOKEN": token}}
        write(ASSISTANTS["cursor"], json.dumps({"mcpServers": {NAME: own}}))
        path.chmod(mode)
        for words in (["--dry-run"], [], []):  # the second one changes nothing more
            assert main(["install", "cursor", *words]) == 0
            told = capsys.readouterr().err
            assert ("chmod 600" in told) is (token == TOKEN and mode != 0o600)
            assert TOKEN not in told
        assert stat.S_IMODE(path.stat().st_mode) == mode  # the file is the assistant's


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
def test_a_settings_file_with_a_token_is_made_private(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = home / "settings.json"
    config.write_text(json.dumps({"gitbook": {"token": TOKEN}}))
    config.chmod(0o644)
    words = ["install", "cursor", "--config", str(config)]
    assert main([*words, "--dry-run"]) == 0
    assert "chmod 600" in capsys.readouterr().err
    assert stat.S_IMODE(config.stat().st_mode) == 0o644
    monkeypatch.setenv("GITBOOK_TOKEN", TOKEN)
    config.write_text("{}")
    assert main(words) == 0
    assert stat.S_IMODE(config.stat().st_mode) == 0o644  # the token is not from this file
    monkeypatch.delenv("GITBOOK_TOKEN")
    config.write_text(json.dumps({"gitbook": {"token": TOKEN}}))
    capsys.readouterr()
    assert main(words) == 0
    assert str(config.name) in capsys.readouterr().out
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    config.chmod(0o644)
    monkeypatch.setattr(Path, "chmod", deny)
    assert main(words) == 0
    assert "chmod 600" in capsys.readouterr().err


def deny(*_: Any) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


@each_assistant
def test_an_entry_is_renamed_and_removed_in_every_assistant(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assistant = ASSISTANTS[name]
    before = OTHERS[assistant.format].replace("SERVERS", assistant.servers)
    write(assistant, before)
    assert main(["install", name]) == 0
    text = assistant.path.read_text(encoding="utf-8")
    write(assistant, text.replace(f'"{NAME}"', f'"{OLD_NAME}"').replace(f".{NAME}", f".{OLD_NAME}"))
    assert main(["install", name]) == 0
    assert set(read(assistant)[assistant.servers]) == {"other", NAME}
    assert main(["uninstall", name, "--dry-run"]) == 0
    assert set(read(assistant)[assistant.servers]) == {"other", NAME}
    capsys.readouterr()
    assert main(["uninstall", name]) == 0
    assert set(read(assistant)[assistant.servers]) == {"other"}
    assert "Backup" in capsys.readouterr().out
    assert main(["uninstall", name]) == 0
    assert "No change" in capsys.readouterr().out


@pytest.mark.parametrize("prefix", [f"mcp__{NAME}__", f"mcp_{NAME}_", NAME])
def test_no_full_name_of_a_tool_is_too_long_for_an_assistant(prefix: str) -> None:
    """Some models' APIs take 64 characters, and one assistant drops tools above 60."""
    assert max(len(prefix + tool) for tool in TOOLS) <= 60


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", "sqlite:///store.db")
    monkeypatch.setenv("GITBOOK_MCP_AUDIT", '{"accepted": "accepted.json", "disabled_rules": ["same-kind"]}')
    (tmp_path / "accepted.json").write_text("[]")
    assert main(["install", "cursor", "--sandbox"]) == 0
    assert read(ASSISTANTS["cursor"])["mcpServers"][NAME]["env"] == {
        "GITBOOK_MCP_STORE__URL": f"sqlite:///{tmp_path}/store.db",
        "GITBOOK_MCP_AUDIT__ACCEPTED": str(tmp_path / "accepted.json"),
        "GITBOOK_MCP_AUDIT__DISABLED_RULES": "same-kind",
    }


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_a_failure_leaves_the_file_and_nothing_beside_it(
    failing: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "folder" / "mcp.json"
    path.parent.mkdir()
    path.write_text("{}")

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        replace = Path.replace
        monkeypatch.setattr(Path, "replace", lambda new, old: fail() if old == path else replace(new, old))
    assert main(["install", "cursor", "--file", str(path)]) == 1
    assert "No space left" in capsys.readouterr().err
    assert [(one.name, one.read_text()) for one in path.parent.iterdir()] == [("mcp.json", "{}")]


def test_a_file_that_changes_meanwhile_is_not_overwritten(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "mcp.json"
    path.write_text("{}")
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (path.write_text('{"new": 1}'), fsync(file)))
    assert main(["install", "cursor", "--file", str(path)]) == 1
    assert "changed meanwhile" in capsys.readouterr().err
    assert path.read_text() == '{"new": 1}'


def test_a_backup_and_a_new_file_are_private(home: Path) -> None:
    path = home / "mcp.json"
    assert main(["install", "cursor", "--file", str(path)]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert main(["install", "cursor", "--read-only", "--file", str(path)]) == 0
    (backup,) = home.glob("*.bak")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_a_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(home / "mcp.json")
    assert main(["install", "cursor", "--file", str(home / "mcp.json")]) == 1
    assert "not a regular file" in capsys.readouterr().err


def test_a_link_to_itself_is_an_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "mcp.json").symlink_to(home / "mcp.json")
    assert main(["install", "cursor", "--file", str(home / "mcp.json")]) == 1
    assert "Could not edit" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="another variable names the home directory")
def test_a_tilde_that_the_shell_left_is_the_home_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home / "me"))
    assert main(["install", "cursor", "--sandbox", "--file=~/mcp.json"]) == 0
    assert (home / "me" / "mcp.json").exists()
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    capsys.readouterr()
    assert main(["install", "cursor", "--sandbox", "--file=~/mcp.json"]) == 2
    assert "is in the home directory, and this user has none" in capsys.readouterr().err
    assert main(["tools", "--roots", "~/folder"]) == 2
    assert "publishing.roots: ~/folder: must be the absolute path" in capsys.readouterr().err
    assert not (home / "~").exists()


@each_assistant
def test_a_dry_run_shows_the_changes_without_secrets(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assistant = ASSISTANTS[name]
    before = OTHERS[assistant.format].replace("SERVERS", assistant.servers)
    write(assistant, before)
    assert main(["install", name]) == 0
    text = assistant.path.read_text(encoding="utf-8")
    reference = (assistant.reference or "<your personal access token>").format(name="GITBOOK_TOKEN")
    if assistant.format == "json":
        write(assistant, text.replace(reference, TOKEN).replace("{", "{ // their-secret\n", 1))
    else:
        write(assistant, f'{text}\n[{assistant.servers}.{NAME}.env]\nGITBOOK_TOKEN="{TOKEN}"\n')
    before = assistant.path.read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["install", name, "--read-only", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "--read-only" in "".join(line for line in shown.splitlines() if line.startswith("+"))
    assert TOKEN not in shown
    assert "their-secret" not in shown
    assert assistant.path.read_text(encoding="utf-8") == before
    assert main(["uninstall", name, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if line.startswith("-") and NAME in line]
    assert TOKEN not in shown
    assert "their-secret" not in shown


def test_a_token_that_is_there_is_not_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"command": "gitbook-integrations-mcp", "env": {"GITBOOK_TOKEN": TOKEN}}
    write(ASSISTANTS["claude-desktop"], json.dumps({"mcpServers": {NAME: entry}}))
    assert main(["install", "claude-desktop"]) == 0
    assert "Put GITBOOK_TOKEN" not in capsys.readouterr().out


def test_vs_code_reads_servers_only_in_mcp_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "vscode", "--file", str(home / "x.code-workspace")]) == 1
    assert "mcp.json" in capsys.readouterr().err
    assert list(home.iterdir()) == []


def test_a_projects_file_may_be_a_link_and_stays_one(home: Path) -> None:
    real, link = home / "real.json", home / "link.json"
    real.write_text("{}")
    link.symlink_to(real)
    assert main(["install", "cursor", "--sandbox", "--file", str(link)]) == 0
    assert link.is_symlink()
    assert NAME in json.loads(real.read_text())["mcpServers"]


def test_configurations_start_the_server_that_was_examined(tmp_path: Path) -> None:
    config = tmp_path / "settings.json"
    tools = {"toolsets": "sites,spaces", "exclude": "list_sites", "read_only": True}
    settings = load_settings({"tools": tools})
    flags = ["--config", str(config), "--toolsets", "sites,spaces", "--exclude-tools", "list_sites", "--read-only"]
    for assistant in ASSISTANTS.values():
        text = format_entry(assistant, settings, config)
        content = tomllib.loads(text) if assistant.format == "toml" else json.loads(text)
        entry = content[assistant.servers][NAME]
        assert Path(entry["command"]).is_absolute()
        assert entry["args"][-len(flags) :] == flags


def test_a_settings_file_that_the_environment_names_is_carried_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "settings.json"
    config.write_text("{}")
    monkeypatch.setenv("GITBOOK_MCP_CONFIG", str(config))
    assert all(f"{config}" in format_entry(one, load_settings()) for one in ASSISTANTS.values())


def test_safeguards_that_the_environment_sets_are_carried_over_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {
        "GITBOOK_MCP_CONFIRMATION__FALLBACK": "refuse",
        "GITBOOK_MCP_CONFIRMATION__EXTRA_TOOLS": "queue_integration_task",
        "GITBOOK_MCP_STORE__URL": f"sqlite:///{tmp_path}/store.db",
    }
    key = "k" * 40
    for name, value in {**kept, "GITBOOK_MCP_CONFIRMATION__KEYS": key}.items():
        monkeypatch.setenv(name, value)
    assert main(["install", "cursor", "--sandbox"]) == 0
    assert read(ASSISTANTS["cursor"])["mcpServers"][NAME]["env"] == kept
    assert key not in ASSISTANTS["cursor"].path.read_text()


POLICY = [{"name": "no-tunnels", "effect": "deny", "reason": "not here", "actions": ["tunnel"]}]


def test_an_entry_has_every_setting_of_the_environment_without_a_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {
        "GITBOOK_MCP_GITBOOK__CLIENT_ID": "a-client",
        "GITBOOK_MCP_GITBOOK__CLI_ENVIRONMENT": "staging",
        "GITBOOK_MCP_SERVER__SAVE_ANSWERS": "false",
        "GITBOOK_MCP_POLICY__RULES": json.dumps(POLICY),
        "GITBOOK_MCP_DEVELOPMENT__MAX_DURATION": "12h",
    }
    flags = {"GITBOOK_MCP_TOOLS__READ_ONLY": "true", "GITBOOK_MCP_HTTP__PORT": "9000"}
    for name, value in {**kept, **flags, "GITBOOK_MCP_LIMITS__ATTEMPTS": "4"}.items():
        monkeypatch.setenv(name, value)
    config = tmp_path / "settings.json"
    config.write_text('{"limits": {"concurrency": 2}}')
    assert main(["install", "cursor", "--config", str(config)]) == 0
    entry = read(ASSISTANTS["cursor"])["mcpServers"][NAME]
    assert entry["env"] == kept
    assert "--read-only" in entry["args"]
    for name in flags:
        monkeypatch.delenv(name)
    rules = load_settings().policy.rules
    monkeypatch.setenv("GITBOOK_MCP_POLICY__RULES", entry["env"]["GITBOOK_MCP_POLICY__RULES"])
    assert load_settings().policy.rules == rules


@pytest.mark.parametrize(
    ("url", "carried"),
    [
        ("PostgreSQL://u:hidden-password@127.0.0.1:1/db", None),
        (" postgres://u:hidden-password@127.0.0.1:1/db", None),
        ("sqlite:///~/s.db", "sqlite:///{}/s.db"),
        (" sqlite:///s.db", "sqlite:///{}/s.db"),
        (" memory", "memory"),
    ],
)
def test_the_store_is_carried_over_unless_its_url_can_contain_a_password(
    url: str, carried: str | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", url)
    assert main(["install", "cursor"]) == 0
    assert "hidden-password" not in ASSISTANTS["cursor"].path.read_text(encoding="utf-8")
    env = read(ASSISTANTS["cursor"])["mcpServers"][NAME].get("env", {})
    assert env.get("GITBOOK_MCP_STORE__URL") == (carried.format(home) if carried else None)


def test_a_configuration_for_the_sandbox_asks_for_no_token() -> None:
    settings = load_settings({"server": {"sandbox": True}, "gitbook": {"token": TOKEN}})
    text = "".join(format_entry(one, settings) for one in ASSISTANTS.values())
    assert "--sandbox" in text
    assert "GITBOOK" not in text
