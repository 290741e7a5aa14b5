"""The command `config` shows what is in force and from where, and the file that it writes can be used."""

import json
import os
import re
from pathlib import Path

import jsonschema
import pytest

from gitbook_integrations_mcp.cli.config import describe_schema
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.cli.private_files import is_exposed
from gitbook_integrations_mcp.config.settings import PROFILE_VARIABLE, load_settings

PROFILES = {
    "tools": {"read_only": True, "exclude": ["queue_integration_task"]},
    "profiles": {"aurora": {"gitbook": {"organization": "org_aurora"}, "tools": {"read_only": False}}},
}


@pytest.fixture(autouse=True)
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROFILE_VARIABLE, "")  # so that it is removed afterwards
    for variable in ("GITBOOK_TOKEN", "GITBOOK_ORGANIZATION"):
        monkeypatch.delenv(variable, raising=False)


def show(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, object]]:
    assert main(["config", *words, "--json"]) == 0
    return {row["setting"]: row for row in json.loads(capsys.readouterr().out)}


def test_each_setting_is_shown_with_its_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"limits": {"attempts": 2}}), encoding="utf-8")
    monkeypatch.setenv("GITBOOK_ORGANIZATION", "org_aurora")
    rows = show(capsys, "--read-only", "--config", str(tmp_path / "settings.json"))
    sources = {name: row["source"] for name, row in rows.items()}
    assert sources["tools.read_only"] == "flag"
    assert sources["gitbook.organization"] == "GITBOOK_ORGANIZATION"
    assert sources["limits.attempts"] == "file"
    assert sources["limits.concurrency"] == "default"


def test_without_any_setting_the_command_names_the_option_that_shows_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in [name for name in os.environ if name.startswith("GITBOOK")]:
        monkeypatch.delenv(variable)
    assert main(["config"]) == 0
    assert "config --all" in capsys.readouterr().out


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GITBOOK_TOKEN", "gb_api_hidden")
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", "postgresql://ann:hidden@database/store")
    monkeypatch.setenv("GITBOOK_MCP_STORE__KEYS", f'["{"5e" * 32}"]')
    rows = show(capsys)
    assert rows["gitbook.token"]["value"] == rows["store.url"]["value"] == "(set)"
    assert "hidden" not in str(rows)
    assert "5e5e" not in str(rows)


def test_a_written_file_is_valid_and_is_never_overwritten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["config", "init"]) == 0
    written = re.findall("^Written: ([^,]+),", capsys.readouterr().out, re.MULTILINE)
    assert sorted(written) == sorted(path.name for path in tmp_path.iterdir())
    file = tmp_path / "gitbook-mcp.json"
    assert not is_exposed(file)
    schema = json.loads((tmp_path / "gitbook-mcp.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(file.read_text(encoding="utf-8")), schema)
    assert load_settings(config=file).tools.read_only
    before = file.read_bytes()
    assert main(["config", "init"]) == 2
    assert file.read_bytes() == before


def test_written_files_are_named_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "z.json"
    assert main(["config", "init", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"files": [str(file), str(tmp_path / "z.schema.json")]}


def test_a_schema_that_exists_is_not_overwritten_and_a_folder_is_no_file(tmp_path: Path) -> None:
    schema = tmp_path / "z.schema.json"
    schema.write_text("mine")
    assert main(["config", "init", str(tmp_path / "z.json")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == [schema.name]
    assert schema.read_text() == "mine"
    assert main(["config", "init", "."]) == 2


def test_the_schema_refuses_what_the_program_refuses() -> None:
    schema = describe_schema()
    jsonschema.validate(PROFILES, schema)
    invalid: tuple[dict[str, object], ...] = (
        {"tool": {}},
        {"tools": {"read_onli": True}},
        {"profiles": {"a": {"profiles": {}}}},
    )
    for wrong in invalid:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_a_profile_replaces_keys_of_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(PROFILES), encoding="utf-8")
    assert load_settings(config=file).tools.read_only
    monkeypatch.setenv(PROFILE_VARIABLE, "aurora")
    settings = load_settings(config=file)
    assert (settings.gitbook.organization, settings.tools.read_only) == ("org_aurora", False)
    assert settings.tools.exclude == ("queue_integration_task",)


@pytest.mark.parametrize("content", [{}, PROFILES, {"profiles": []}, {"profiles": {"aurora": 1}}])
def test_an_unknown_profile_stops_the_start(
    content: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    assert main(["tools", "--config", str(file), "--profile", "aurore", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "invalid_settings"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_can_complete_commands_options_and_tools(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("uninstall", "read-only", "audit_installations"):
        assert word in script
