"""Where settings come from, which wins, what is refused, and that no secret shows."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.config.models import RESERVED_PATHS
from gitbook_integrations_mcp.config.settings import (
    Settings,
    iterate_settings,
    load_settings,
    locate_settings_file,
    name_variable,
)
from gitbook_integrations_mcp.config.types import PATTERNS
from gitbook_integrations_mcp.confirmation.page import PATH
from gitbook_integrations_mcp.errors import SettingsError
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.net.timeouts import HEALTH_PATHS
from gitbook_integrations_mcp.store.location import locate_store

EXAMPLE = Path(__file__).parents[3] / "config.example.json"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GITBOOK"):
            monkeypatch.delenv(name)


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write(tmp_path / "config.json", {"server": {"log_level": "debug"}, "tools": {"exclude": ["list_sites"]}})
    assert load_settings(config=config).server.log_level == "debug"
    monkeypatch.setenv("GITBOOK_MCP_SERVER__LOG_LEVEL", "info")
    assert load_settings(config=config).server.log_level == "info"
    settings = load_settings({"server": {"log_level": "error"}}, config)
    assert settings.server.log_level == "error"
    assert settings.tools.exclude == ("list_sites",)


def test_relative_paths_in_the_file_are_relative_to_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    content = {
        "audit": {"accepted": "accepted.json"},
        "store": {"url": "sqlite:///store.db"},
        "profiles": {"other": {"audit": {"accepted": "../other.json"}, "store": {"url": "sqlite:///~/store.db"}}},
    }
    (tmp_path / "conf" / "settings.json").write_text(json.dumps(content))
    for path in (Path("conf", "settings.json"), tmp_path / "conf" / "settings.json"):
        settings = load_settings(config=path)
        assert settings.audit.accepted == path.parent / "accepted.json"
        assert locate_store(settings).path == tmp_path / "conf" / "store.db"
    monkeypatch.setenv("GITBOOK_MCP_CONFIG", "conf/settings.json")
    monkeypatch.setenv("GITBOOK_MCP_PROFILE", "other")
    settings = load_settings()
    assert settings.audit.accepted == Path("conf", "..", "other.json")
    assert locate_store(settings).path == Path.home() / "store.db"
    monkeypatch.setenv("GITBOOK_MCP_AUDIT__ACCEPTED", "accepted.json")
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", f"sqlite:///{tmp_path}/store.db")
    settings = load_settings()
    assert settings.audit.accepted == Path("accepted.json")
    assert locate_store(settings).path == tmp_path / "store.db"


def test_a_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write(tmp_path / "config.json", {"gitbook": {"organization": "acme"}})
    monkeypatch.setenv("GITBOOK_MCP_CONFIG", str(config))
    assert load_settings().gitbook.organization == "acme"


def test_a_tilde_that_no_shell_replaced_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write(tmp_path / "config.json", {"audit": {"accepted": "~/accepted.json"}})
    monkeypatch.setenv("GITBOOK_MCP_CONFIG", "~/config.json")
    assert load_settings().audit.accepted == tmp_path / "accepted.json"
    assert locate_settings_file() == tmp_path / "config.json"


def test_the_variables_of_gitbooks_own_cli_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBOOK_TOKEN", "  gb_user \n")
    monkeypatch.setenv("GITBOOK_INTEGRATION_TOKEN", "gb_integration")
    monkeypatch.setenv("GITBOOK_ENDPOINT", "https://api.example/v1/")
    monkeypatch.setenv("GITBOOK_ORGANIZATION", "acme")
    gitbook = load_settings().gitbook
    assert gitbook.token is not None
    assert gitbook.token.get_secret_value() == "gb_user"
    assert gitbook.integration_token is not None
    assert (gitbook.endpoint, gitbook.organization) == ("https://api.example", "acme")
    monkeypatch.setenv("GITBOOK_MCP_GITBOOK__ORGANIZATION", "more-specific")
    assert load_settings().gitbook.organization == "more-specific"


def test_every_setting_can_be_set_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = {
        "endpoint": "https://e.example",
        "oauth_endpoint": "https://oauth.example",
        "result_tokens": "7000",
        "log_level": "info",
        "sandbox": "true",
        "save_answers": "false",
        "read_only": "true",
        "stateless": "true",
        "reveal_secrets": "true",
        "allow_private_tunnels": "true",
        "ask": "fallback",
        "fallback": "refuse",
        "widening": "off",
        "transport": "sse,streamable-http",
        "host": "::1",
        "streamable_path": "/a",
        "sse_path": "/b",
        "message_path": "/c",
        "tokens": json.dumps([{"name": "ann", "sha256": "0" * 64}]),
        "credentials": "per-request",
        "public_url": "https://mcp.example",
        "url": "memory",
        "keep_values": "false",
        "keys": "0" * 32,
        "issuer": "https://login.example",
        "jwks_url": "https://login.example/jwks",
        "algorithms": "ES384",
        "disabled_rules": "same-kind",
        "roots": "/a",
        "build": "true",
        "severity": '{"same-kind": "high"}',
        "rules": '[{"name": "none", "effect": "deny", "reason": "Trial"}]',
        "default_duration": "1h",
        "max_duration": "2d",
    }
    for section, key, field in iterate_settings():
        text = examples.get(key, "7" if "float" in str(field.annotation) or "int" in str(field.annotation) else "a")
        monkeypatch.setenv(name_variable(section, key), text)
    settings = load_settings()
    defaults = Settings.model_construct()
    for section, key, _ in iterate_settings():
        assert getattr(getattr(settings, section), key) != getattr(getattr(defaults, section), key), (section, key)


def test_an_empty_variable_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBOOK_TOKEN", "")
    monkeypatch.setenv("GITBOOK_MCP_GITBOOK__ENDPOINT", "")
    assert load_settings().gitbook == Settings.model_construct().gitbook


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("GITBOOK_MCP_TOOLS__READONLY", "true", "Did you mean GITBOOK_MCP_TOOLS__READ_ONLY?"),
        ("GITBOOK_MCP_TOOLS__READ_ONLY", "maybe", "tools.read_only: must be true or false ("),
        ("GITBOOK_MCP_TOOLS", "{geheim", "GITBOOK_MCP_TOOLS contains invalid JSON."),
        ("GITBOOK_MCP_HTTP__TOKENS", "geheim", "GITBOOK_MCP_HTTP__TOKENS contains invalid JSON."),
        ("gitbook_mcp_audit__severity", "geheim", "GITBOOK_MCP_AUDIT__SEVERITY contains invalid JSON."),
        ("GITBOOK_MCP_CONFIG", "/does/not/exist.json", "cannot be read"),
        ("GITBOOK_ENDPOINT", "ftp://x.example", "absolute http or https URL"),
        ("GITBOOK_ENDPOINT", "https://user:pw@x.example", "must not contain a user"),
        ("GITBOOK_TOKEN", "one two", "contains a space or a line break"),
        ("GITBOOK_TOKEN", "Bearer one", "starts with the word Bearer"),
        ("GITBOOK_TOKEN", "bearer ${GITBOOK_TOKEN}", "starts with the word Bearer"),
        ("GITBOOK_TOKEN", '"gb_geheim"', "is in quotes"),
        ("GITBOOK_TOKEN", "'gb_geheim'", "is in quotes"),
        ("GITBOOK_TOKEN", '"gb_geheim', "is in quotes"),
        ("GITBOOK_TOKEN", "GITBOOK_TOKEN=gb_geheim", "a variable's name"),
        ("GITBOOK_INTEGRATION_TOKEN", "export GITBOOK_INTEGRATION_TOKEN=geheim", "a variable's name"),
        ("GITBOOK_TOKEN", "gb$geheim", "not allowed in a token"),
        ("GITBOOK_TOKEN", "gb{geheim}", "not allowed in a token"),
        ("GITBOOK_TOKEN", "gb=geheim", "not allowed in a token"),
        ("GITBOOK_MCP_GITBOOK__TOKEN", "gb,geheim", "not allowed in a token"),
        ("GITBOOK_TOKEN", "se\ncret", "contains a space or a line break"),
        ("GITBOOK_TOKEN", "geheim·nis", "not allowed in a token"),
        ("GITBOOK_TOKEN", "   ", "is empty"),
        ("GITBOOK_MCP_PUBLISHING__ROOTS", "integrations", "must be the absolute path"),
        ("GITBOOK_MCP_PUBLISHING__ROOTS", "/", "must be the absolute path"),
        ("GITBOOK_MCP_PUBLISHING__SECRETS", "API_KEY,GITBOOK_TOKEN", "none of this server's own"),
        ("GITBOOK_MCP_PUBLISHING__SECRETS", "gitbook_mcp_store__keys", "none of this server's own"),
        ("GITBOOK_MCP_PUBLISHING__SECRETS", "A-B", "must be the name"),
        ("GITBOOK_MCP_STORE__URL", "disk", "store.url: must be memory, the URL of a SQLite file"),
        ("GITBOOK_MCP_STORE__URL", "sqlite://store.db", "store.url: must be memory"),
        ("GITBOOK_MCP_STORE__URL", "sqlite:///store.db?mode=ro", "store.url: must be memory"),
        ("GITBOOK_MCP_STORE__URL", "postgresql://:geheim/nis@host:x/db", "store.url: must be memory"),
        ("GITBOOK_MCP_STORE__URL", "postgresql://user:x@geheim@host/db", "store.url: must be memory"),
        ("GITBOOK_MCP_STORE__URL", "postgresql://user:1/x@geheim@host/db", "store.url: must be memory"),
        ("GITBOOK_MCP_STORE__URL", "postgresql://user:1/x?x@geheim@host/db", "store.url: must be memory"),
        ("GITBOOK_MCP_STORE__URL", "postgresql://host:5432/db?password=x@geheim", "store.url: must be memory"),
        ("GITBOOK_MCP_STORE__URL", "postgresql://host", "store.url: must be memory"),
        ("GITBOOK_MCP_CONFIRMATION__KEYS", "geheimnis", "confirmation.keys: must have at least 32 characters each"),
        ("GITBOOK_MCP_CONFIRMATION__KEYS", f"{'k' * 32}, {'k' * 32}", "confirmation.keys: must differ"),
        ("GITBOOK_MCP_CONFIRMATION__KEYS", "${GEHEIM_GITBOOK_MCP_CONFIRMATION__KEYS}", "keys: is a reference"),
        ("GITBOOK_MCP_STORE__KEYS", f"{'k' * 32}, $(openssl rand -hex 32 | tr -d '\\n')", "keys: is a reference"),
        ("GITBOOK_MCP_STORE__KEYS", "$(cat $(dirname /etc/geheim/secrets)/keys)", "keys: is a reference"),
        ("GITBOOK_MCP_STORE__KEYS", "<the output of openssl rand -hex 32>", "keys: is a reference"),
    ],
)
def test_a_wrong_variable_is_refused_in_words_without_its_value(
    variable: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert expected in str(caught.value)
    assert "se\ncret" not in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_text_in_place_of_a_list_of_a_rule_is_refused_in_words() -> None:
    with pytest.raises(SettingsError, match="must be a list"):
        load_settings({"policy": {"rules": [{"reason": "r", "name": "n", "content_security_policy": "none"}]}})


def test_an_invalid_item_of_a_list_is_one_problem() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"server": {"transport": ["htp"]}})
    (line,) = str(caught.value).splitlines()
    assert line.startswith("server.transport: htp: unknown transport.")
    assert "Valid: stdio, streamable-http (short: http), sse" in line
    with pytest.raises(SettingsError, match=r"server\.transport: must have at least 1 item"):
        load_settings({"server": {"transport": []}})
    with pytest.raises(SettingsError, match=r"http\.tokens\.0\.sha256: is required"):
        load_settings({"http": {"tokens": [{"name": "ann"}]}})


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("http", "port", "x", "http.port: must be a whole number ("),
        ("http", "port", "1.5", "http.port: must be a whole number ("),
        ("limits", "read_seconds", "x", "limits.read_seconds: must be a number ("),
        ("server", "transport", "[]", "server.transport: must have at least 1 item ("),
        ("audit", "disabled_rules", "nosuch", "audit.disabled_rules.0: nosuch: unknown rule ("),
        ("audit", "severity", '{"nosuch": "low"}', "audit.severity.nosuch: nosuch: unknown rule ("),
    ],
)
def test_a_problem_with_a_value_is_in_plain_words(
    section: str, key: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"GITBOOK_MCP_{section}__{key}".upper(), value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(expected)


REFERENCES = (
    "$GITBOOK_TOKEN",
    "${GITBOOK_TOKEN}",
    "${GITBOOK_TOKEN:-}",
    "${env:GITBOOK_TOKEN}",
    "${input:GITBOOK_TOKEN}",
    "${{ secrets.GITBOOK_TOKEN }}",
    "{{GITBOOK_TOKEN}}",
    "{env:GITBOOK_TOKEN}",
    "$env:GITBOOK_TOKEN",
    "$(cat token)",
    "$(cat $(pwd)/token)",
    "%GITBOOK_TOKEN%",
    "<your-token>",
    " <your personal access token>\n",
)


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_without_its_value_counts_as_not_set(
    reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().gitbook.unset_references == ()
    from_flags = load_settings({"gitbook": {"token": reference}}).gitbook
    assert (from_flags.token, from_flags.unset_references) == (None, ("token",))
    config = write(tmp_path / "config.json", {"gitbook": {"token": "gb_x", "integration_token": reference}})
    from_file = load_settings(config=config).gitbook
    assert (from_file.integration_token, from_file.unset_references) == (None, ("integration_token",))
    monkeypatch.setenv("GITBOOK_TOKEN", reference)
    settings = load_settings(config=config)
    assert (settings.gitbook.token, settings.gitbook.integration_token) == (None, None)
    assert settings.gitbook.unset_references == ("token", "integration_token")


@pytest.mark.parametrize("text", [*REFERENCES, '"gb_x"', "Bearer gb_x", "GITBOOK_TOKEN=gb_x", "gb x", "gb{x}", "é"])
def test_a_header_that_cannot_be_a_token_counts_as_missing(text: str) -> None:
    headers = {"x-gitbook-token": text, "x-gitbook-integration-token": "gb_x"}
    credentials = Credentials.from_headers(headers)
    assert credentials.general is None
    assert credentials.integration is not None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"tool": {}}, "tool: unknown setting. Did you mean tools?"),
        ({"TOOLS": {"read_only": True}}, "TOOLS: unknown setting. Did you mean tools?"),
        ({"TOOLS": {"read_only": False}, "tools": {"read_only": True}}, "TOOLS: unknown setting. Did you mean tools?"),
        ({"tools": {"READ_ONLY": True}}, "tools.READ_ONLY: unknown setting. Did you mean read_only?"),
        ({"_file": {"tools": {}}}, "_file: unknown setting."),
        ({"Profiles": {"audit": {}}}, "Profiles: unknown setting."),
        ({"tools": {"readonly": True}}, "tools.readonly: unknown setting. Did you mean read_only?"),
        ([], "must contain a JSON object"),
        ({"http": {"tokens": [{"nam": "ann"}]}}, "http.tokens.0.nam: unknown setting. Did you mean name?"),
        ({"policy": {"rule": []}}, "policy.rule: unknown setting. Did you mean rules?"),
    ],
)
def test_a_wrong_file_is_refused_in_words(content: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=expected.replace("?", r"\?")):
        load_settings(config=write(tmp_path / "config.json", content))


def test_a_section_of_a_profile_in_other_case_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = {"audit": {"Tools": {"read_only": True}}}
    config = write(tmp_path / "config.json", {"tools": {"exclude": ["list_sites"]}, "profiles": profiles})
    monkeypatch.setenv("GITBOOK_MCP_PROFILE", "audit")
    with pytest.raises(SettingsError, match=r"Tools: unknown setting. Did you mean tools\?"):
        load_settings(config=config)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"integration": ["slack"]}, "integration: unknown setting. Did you mean integrations?"),
        ({"scope": ["*"]}, "scope: unknown setting. Did you mean scopes?"),
        ({"effect": "forbid"}, "effect: "),
        ({"reason": ""}, "reason: must have at least 1 character"),
        ({"name": "Not A Name"}, "name: "),
        ({"verified": "maybe"}, "verified: "),
        ({"integrations": []}, "integrations: must have at least 1 item"),
        ({"integrations": ["https://gitbook.com/slack"]}, "integrations.0: "),
        ({"scopes": ["space:content:wirte"]}, "matches no scope of GitBook. Did you mean space:content:write?"),
        ({"places": ["nonpublic-spaces"]}, "unknown place. Did you mean non-public-spaces?"),
        ({"places": ["space:"]}, "unknown place."),
        ({"tunnel_hosts": ["https://t.example"]}, "tunnel_hosts.0: "),
        ({"actions": ["instal"]}, "actions.0: "),
    ],
)
def test_a_wrong_rule_of_the_policy_stops_the_start(changed: dict[str, Any], expected: str) -> None:
    rule = {"name": "one", "effect": "deny", "reason": "Because.", **changed}
    with pytest.raises(SettingsError) as caught:
        load_settings({"policy": {"rules": [rule]}})
    assert str(caught.value).startswith("policy.rules.0.")
    assert expected in str(caught.value)


def _list_patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict) and "pattern" in schema:
        yield schema["pattern"]
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _list_patterns(part)


def test_every_pattern_of_a_setting_is_described_in_words() -> None:
    assert set(_list_patterns(Settings.model_json_schema())) == {*PATTERNS}


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("development", "max_duration", "2 hours"),
        ("gitbook", "organization", "https://app.gitbook.com/o/abc"),
        ("gitbook", "client_id", "a client"),
        ("http", "tokens", [{"name": "ann", "sha256": "geheim"}]),
        ("oauth", "scopes", ['a"b']),
        ("policy", "rules", [{"name": "Not A Name", "effect": "deny", "reason": "Because."}]),
    ],
)
def test_a_text_of_another_form_is_refused_in_words_and_without_its_pattern(section: str, key: str, value: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({section: {key: value}})
    assert str(caught.value).startswith(f"{section}.{key}")
    assert any(f": must be {words} (set by" in str(caught.value) for words in PATTERNS.values())
    assert not any(pattern in str(caught.value) for pattern in PATTERNS)
    assert "geheim" not in str(caught.value)


def test_two_callers_cannot_have_one_token() -> None:
    own, other = "0" * 64, "1" * 64
    rotated = [{"name": "ann", "sha256": own}, {"name": "ann", "sha256": other}, {"name": "ann", "sha256": own}]
    assert len(load_settings({"http": {"tokens": rotated}}).http.tokens) == 3
    with pytest.raises(SettingsError) as caught:
        load_settings({"http": {"tokens": [*rotated, {"name": "bob", "sha256": other}]}})
    assert str(caught.value).startswith("http.tokens: ann and bob ")
    assert other not in str(caught.value)


def test_two_rules_of_the_policy_cannot_have_one_name() -> None:
    rule = {"name": "one", "effect": "deny", "reason": "Because."}
    with pytest.raises(SettingsError, match="policy: one: two rules have this name"):
        load_settings({"policy": {"rules": [rule, rule]}})


def test_a_file_that_is_not_json_is_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{\n"tools": oops}')
    with pytest.raises(SettingsError, match=r"not valid JSON \(line 2"):
        load_settings(config=path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"tools": {"read_only": true},\n"tools": {"exclude": []}}', 'key "tools" twice (line 2)'),
        ('{"tools": {"read_only": true, "read_only": false}}', 'key "read_only" twice'),
        ('{"http": {"tokens": [{"name": "a", "name": "b"}]}}', 'key "name" twice'),
        ('{"confirmation": {"ask": "form", "ask": "fallback"}}', 'key "ask" twice'),
        ('{"tools":' * 5000 + "1" + "}" * 5000, "nested too deeply"),
    ],
)
def test_a_file_with_a_key_twice_or_nested_too_deeply_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(config=path)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("TOOLS", '{"read_only": true, "read_only": false}', 'key "read_only" twice'),
        ("HTTP__TOKENS", '[{"name": "a", "name": "b"}]', 'key "name" twice'),
        ("AUDIT__SEVERITY", '{"same-kind": "high", "same-kind": "low"}', 'key "same-kind" twice'),
        ("TOOLS", '{"a":' * 5000 + "1" + "}" * 5000, "nested too deeply"),
        ("HTTP__TOKENS", "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("TOOLS__EXCLUDE", "[" * 5000 + "]" * 5000, "nested too deeply"),
    ],
)
def test_json_in_a_variable_is_as_strict_as_a_file(
    variable: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"GITBOOK_MCP_{variable}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"GITBOOK_MCP_{variable}" in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="variables have no upper and lower case there")
def test_a_variable_in_two_spellings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBOOK_MCP_TOOLS__READ_ONLY", "true")
    monkeypatch.setenv("gitbook_mcp_tools__read_only", "false")
    with pytest.raises(SettingsError, match="GITBOOK_MCP_TOOLS__READ_ONLY is set twice"):
        load_settings()


def test_settings_cannot_be_changed_and_do_not_show_a_token() -> None:
    confirmation = {"keys": ["very-secret" * 3]}
    store = {"url": "postgresql://user:very-secret@host/gitbook", "keys": ["very-secret" * 3]}
    settings = load_settings({"gitbook": {"token": "very-secret"}, "confirmation": confirmation, "store": store})
    with pytest.raises(ValueError, match="frozen"):
        settings.tools = settings.tools  # type: ignore[misc]
    assert "very-secret" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_the_example_file_holds_every_setting_with_its_default() -> None:
    content = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    assert load_settings(config=EXAMPLE) == load_settings()
    assert {(section, key) for section, keys in content.items() for key in keys} == {
        (section, key) for section, key, _ in iterate_settings()
    }


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        ({"toolsets": ["site"]}, "site: unknown toolset. Did you mean sites?"),
        ({"include": ["list_site"]}, "list_site: unknown tool. Did you mean list_sites?"),
        ({"exclude": ["unpublish"]}, "unpublish: unknown tool."),
    ],
)
def test_a_toolset_or_tool_that_does_not_exist_is_refused(tools: dict[str, Any], expected: str) -> None:
    settings = load_settings({"tools": tools})
    with pytest.raises(SettingsError) as caught:
        Policy(settings.tools, settings.confirmation)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http", ("streamable-http",)),
        ("http,streamable-http", ("streamable-http",)),
        (["sse", "http"], ("sse", "streamable-http")),
        ("stdio", ("stdio",)),
    ],
)
def test_http_is_short_for_streamable_http(value: Any, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({"server": {"transport": value}}).server.transport == expected
    if isinstance(value, str):
        monkeypatch.setenv("GITBOOK_MCP_SERVER__TRANSPORT", value)
        assert load_settings().server.transport == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[::1]", "::1"),
        ("LOCALHOST", "localhost"),
        (" 127.0.0.1 ", "127.0.0.1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::", "::"),
        ("mcp_1.example", "mcp_1.example"),
    ],
)
def test_an_address_to_listen_on_is_understood(value: str, expected: str) -> None:
    assert load_settings({"http": {"host": value}}).http.host == expected


@pytest.mark.parametrize("value", ["http://127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "[::1", "a b", "", "*"])
def test_what_is_no_address_to_listen_on_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"http\.host: must be an IP address or a host name"):
        load_settings({"http": {"host": value}})


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "https://mcp.example.com",
        "mcp.example.com/",
        "*.example.com",
        "mcp.example.com:*",
        "::1",
        "[::1",
        "[1.2.3.4]",
        "a b",
        "user@mcp.example.com",
        "mcp.example.com:80:80",
        "mcp.example.com:443",
        "[::1]:80",
        "mcp.example.com:99999",
        "mcp..example.com",
        "b\u00fccher.example",
    ],
)
def test_an_allowed_host_that_can_never_match_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"http\.allowed_hosts: .*for example mcp\.example\.com") as caught:
        load_settings({"http": {"allowed_hosts": ["fine.example", value]}})
    assert value in str(caught.value)


def test_allowed_hosts_are_kept_as_a_host_header_has_them() -> None:
    hosts = " MCP.Example.com, mcp.example.com:8443, [2001:DB8:0::1], [::1]:8080, 192.0.2.2"
    expected = ("mcp.example.com", "mcp.example.com:8443", "[2001:db8::1]", "[::1]:8080", "192.0.2.2")
    assert load_settings({"http": {"allowed_hosts": hosts}}).http.allowed_hosts == expected


@pytest.mark.parametrize("value", ["[2001:db8::1]:8000", " [2001:db8::1]:8000,", '["[2001:db8::1]:8000"]'])
def test_a_variable_can_begin_with_an_ipv6_address(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBOOK_MCP_HTTP__ALLOWED_HOSTS", value)
    assert load_settings().http.allowed_hosts == ("[2001:db8::1]:8000",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://mcp.example.com:443/", "https://mcp.example.com"),
        ("http://mcp.internal:80", "http://mcp.internal"),
        ("http://mcp.internal:443", "http://mcp.internal:443"),
        ("HTTPS://MCP.example.com:8443", "https://mcp.example.com:8443"),
        (" https://mcp.example.com: ", "https://mcp.example.com"),
        ("https://[2001:DB8:0::1]:8000", "https://[2001:db8::1]:8000"),
        ("https://[2001:db8::443]", "https://[2001:db8::443]"),
    ],
)
def test_a_public_url_is_spelled_as_clients_send_its_host(value: str, expected: str) -> None:
    assert load_settings({"http": {"public_url": value}}).http.public_url == expected


@pytest.mark.parametrize(
    "value",
    [
        "mcp.example.com",
        "https://user:geheim@mcp.example.com",
        "https://*.example.com",
        "https://m\u00fccke.example",
        "https://:8000",
        "https://mcp example.com",
        "https://a,b",
        "https://[::1",
        "https://[1.2.3.4]",
        "https://mcp.example.com:99999",
        "https://mcp.example.com:0",
        "https://mcp..example.com",
        "https://mcp.example.com/mcp",
        "https://mcp.example.com?a",
        "https://mcp.example.com#a",
    ],
)
def test_a_public_url_that_no_client_sends_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^http\.public_url: must be an http or https URL") as caught:
        load_settings({"http": {"public_url": value}})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "http",
    [
        {"streamable_path": "/mcp?x=1"},
        {"streamable_path": "/mcp#x"},
        {"streamable_path": "mcp"},
        {"streamable_path": "/{mcp}"},
        {"streamable_path": "//mcp"},
        {"streamable_path": "/a/../mcp"},
        {"sse_path": "/mcp"},
        {"sse_path": "/mcp/"},
        {"message_path": "/mcp"},
        {"message_path": "/"},
        {"streamable_path": "/health"},
        {"sse_path": "/ready"},
        {"streamable_path": "/confirm"},
        {"message_path": "/confirm/x/"},
    ],
)
def test_a_path_that_cannot_be_served_is_refused(http: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=rf"http.*{next(iter(http))}") as caught:
        load_settings({"http": http})
    assert len(str(caught.value).splitlines()) == 1


def test_reserved_paths_are_those_that_are_served() -> None:
    assert {PATH.rstrip("/"), *HEALTH_PATHS} < set(RESERVED_PATHS)
