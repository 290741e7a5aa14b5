"""Each flag stands once in a table, and a command takes those that mean something for it."""

import pytest

from gitbook_integrations_mcp.cli.flags import CONFIG, FLAGS, PROFILE, Flag, format_flags, read_flags
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.cli.parser import parse
from gitbook_integrations_mcp.config.settings import Settings, load_settings
from gitbook_integrations_mcp.errors import UsageError

COMMANDS = {
    "serve": [],
    "install": ["cursor"],
    "doctor": [],
    "audit": [],
    "audit accept": ["same-kind", "--reason", "known"],
    "audit withdraw": ["same-kind"],
    "audit explain": ["same-kind"],
    "tools": [],
    "call": ["list_sites"],
    "publish": [],
    "check": [],
    "new": ["bot"],
    "changes": [],
    "config": [],
    "completion": ["bash"],
    "store": [],
    "token": ["ann"],
    "sandbox": [],
}
"""Commands, each with the positionals that it needs."""

VALUES = {
    "--roots": "/a,/b",
    "--transport": "sse",
    "--host": "::1",
    "--port": "1234",
    "--workers": "2",
    "--log-level": "debug",
}

each_flag = pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)


def spell(flag: Flag) -> list[str]:
    """Return the flag with a value other than the default."""
    return [flag.name] if "action" in flag.options else [flag.name, VALUES.get(flag.name, "a,b")]


@pytest.mark.parametrize("command", COMMANDS)
@each_flag
def test_a_flag_is_taken_before_and_after_the_commands_it_belongs_to_and_by_no_other(command: str, flag: Flag) -> None:
    for words in (
        [*spell(flag), command, *COMMANDS[command]],
        [command, *COMMANDS[command], *spell(flag)],
        [command, *spell(flag), *COMMANDS[command]],
    ):
        if command in flag.commands:
            assert getattr(parse(words), flag.attribute) is not None
        else:
            with pytest.raises(UsageError, match=f"{flag.name} is not an option of the command {command}"):
                parse(words)


@each_flag
def test_without_a_command_the_flags_of_serve_are_taken(flag: Flag) -> None:
    arguments = parse(spell(flag))
    assert arguments.command == "serve"
    assert getattr(arguments, flag.attribute) is not None
    assert "serve" in flag.commands


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_flags_that_are_taken(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    told = capsys.readouterr().out.split()
    for flag in FLAGS:
        assert (flag.name in told) == (command in flag.commands)


def test_each_flag_is_a_setting() -> None:
    for flag in FLAGS:
        if flag.setting:
            section, key = flag.setting
            assert key in type(getattr(Settings.model_construct(), section)).model_fields
        else:
            assert flag.name in {CONFIG, PROFILE}


@each_flag
def test_a_written_flag_leads_to_the_same_setting(flag: Flag) -> None:
    words = spell(flag)
    arguments = parse(words)
    settings = load_settings(read_flags(arguments))
    command = "serve"
    written = format_flags(settings, None, command)
    assert load_settings(read_flags(parse(written))) == settings
    assert written == ([] if flag.setting is None else words)


def test_what_an_assistant_is_given_has_no_flag_of_http(capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings({"server": {"transport": "sse"}, "http": {"port": 1234, "workers": 2}})
    assert format_flags(settings, None, "install") == []
    assert main(["install", "cursor", "--print", "--log-level", "debug"]) == 0
    assert '"--log-level"' in capsys.readouterr().out
