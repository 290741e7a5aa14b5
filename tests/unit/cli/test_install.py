"""Assistants are given a configuration that starts this very server, and lose nothing of what they had."""

import json
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from gitbook_integrations_mcp.cli.assistants import ASSISTANTS, Assistant
from gitbook_integrations_mcp.cli.install import NAME, format_entries
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.settings import load_settings

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
    for variable in ("GITBOOK_TOKEN", "GITBOOK_INTEGRATION_TOKEN", "GITBOOK_ENDPOINT", "GITBOOK_ORGANIZATION"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
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
        content[assistant.servers][NAME]["env"]["GITBOOK_TOKEN"] = TOKEN
        assistant.path.write_text(json.dumps(content))
    assert main(["install", name, "--read-only"]) == 0
    entry = read(assistant)[assistant.servers][NAME]
    assert entry["env"]["GITBOOK_TOKEN"] == TOKEN
    assert entry["args"][-1] == "--read-only"
    assert TOKEN not in capsys.readouterr().out


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
    assert set(entry["env"] if "env" in entry else entry["env_vars"]) == expected
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
        ("vscode", '{\n  // mine\n  "servers": {}\n}'),
        ("cursor", '{"mcpServers": []}'),
        ("cursor", '{"mcpServers": {"gitbook-integrations": "x"}}'),
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
    for assistant, text in zip(ASSISTANTS.values(), format_entries(settings, config).values(), strict=True):
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
    assert all(f"{config}" in text for text in format_entries(load_settings()).values())


def test_safeguards_that_the_environment_sets_are_carried_over_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {
        "GITBOOK_MCP_CONFIRMATION__FALLBACK": "refuse",
        "GITBOOK_MCP_CONFIRMATION__EXTRA_TOOLS": "queue_integration_task",
        "GITBOOK_MCP_JOURNAL__PATH": str(tmp_path / "journal.jsonl"),
    }
    key = "k" * 40
    for name, value in {**kept, "GITBOOK_MCP_CONFIRMATION__KEYS": key}.items():
        monkeypatch.setenv(name, value)
    assert main(["install", "cursor", "--sandbox"]) == 0
    assert read(ASSISTANTS["cursor"])["mcpServers"][NAME]["env"] == kept
    assert key not in ASSISTANTS["cursor"].path.read_text()


def test_a_configuration_for_the_sandbox_asks_for_no_token() -> None:
    settings = load_settings({"server": {"sandbox": True}, "gitbook": {"token": TOKEN}})
    text = str(format_entries(settings))
    assert "--sandbox" in text
    assert "GITBOOK" not in text
