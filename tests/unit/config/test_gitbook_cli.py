"""The token of GitBook's own command line: used where no other is configured, and sent nowhere else."""

import json
from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.settings import load_settings

TOKEN = "gb_api_of_the_command_line"
HERE = "https://api.gitbook.com"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the command line, in an empty folder for configuration."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    (tmp_path / "gitbook-nodejs").mkdir()
    return tmp_path / "gitbook-nodejs" / "config.json"


def write(file: Path, content: Any) -> bytes:
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file.read_bytes()


def read(**sections: Any) -> tuple[str | None, str]:
    """Return the token and the endpoint that the server would use."""
    gitbook = load_settings(sections).gitbook
    return gitbook.token.get_secret_value() if gitbook.token else None, gitbook.endpoint


DEFAULT = {"envs": {"default": {"endpoint": HERE, "token": TOKEN}, "staging": {"endpoint": "https://s.example"}}}


@pytest.mark.parametrize(
    ("content", "sections", "expected"),
    [
        (DEFAULT, {}, (TOKEN, HERE)),
        ({"endpoint": HERE, "token": TOKEN}, {}, (TOKEN, HERE)),
        ({"envs": {"default": {"token": TOKEN}}}, {}, (TOKEN, HERE)),
        (DEFAULT, {"gitbook": {"endpoint": HERE}}, (TOKEN, HERE)),
        (
            {"envs": {"dev": {"endpoint": "https://dev.example", "token": TOKEN}}},
            {"gitbook": {"cli_environment": "dev"}},
            (TOKEN, "https://dev.example"),
        ),
        (DEFAULT, {"gitbook": {"token": "configured-token"}}, ("configured-token", HERE)),
        (DEFAULT, {"gitbook": {"integration_token": "configured-token"}}, (None, HERE)),
        (DEFAULT, {"gitbook": {"cli_environment": None}}, (None, HERE)),
        (DEFAULT, {"gitbook": {"cli_environment": "staging"}}, (None, HERE)),
        (DEFAULT, {"gitbook": {"cli_environment": "unknown"}}, (None, HERE)),
        (DEFAULT, {"gitbook": {"endpoint": "https://other.example"}}, (None, "https://other.example")),
        (DEFAULT, {"server": {"sandbox": True}}, (None, HERE)),
        (DEFAULT, {"http": {"credentials": "per-request"}}, (None, HERE)),
        ({"envs": {"default": {"endpoint": "file:///etc", "token": TOKEN}}}, {}, (None, HERE)),
        ({"envs": {"default": {"oauth": {"accessToken": TOKEN}}}}, {}, (None, HERE)),
        ({"envs": {"default": {"token": "two words"}}}, {}, (None, HERE)),
        ({"envs": {"default": {"token": 7}}}, {}, (None, HERE)),
        ({"envs": []}, {}, (None, HERE)),
        ([], {}, (None, HERE)),
        (b"{", {}, (None, HERE)),
        (b"\xff", {}, (None, HERE)),
        (b"[" * 100_000, {}, (None, HERE)),
    ],
)
def test_its_token_is_used_only_where_none_is_configured_and_only_for_its_endpoint(
    content: Any, sections: dict[str, Any], expected: tuple[str | None, str], file: Path
) -> None:
    before = write(file, content)
    assert read(**sections) == expected
    assert file.read_bytes() == before


def test_without_a_file_there_is_no_token(file: Path) -> None:
    assert read() == (None, HERE)
    file.mkdir()
    assert read() == (None, HERE)


@pytest.mark.parametrize("configured", [False, True])
def test_doctor_reports_that_a_token_is_from_there(
    configured: bool, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unreachable = "http://127.0.0.1:1"
    write(file, {"envs": {"default": {"endpoint": unreachable, "token": TOKEN}}})
    if configured:
        monkeypatch.setenv("GITBOOK_TOKEN", "configured-token")
        monkeypatch.setenv("GITBOOK_ENDPOINT", unreachable)
    main(["doctor"])
    printed = capsys.readouterr().out
    assert (f"source of the token: GitBook's command line ({file}, environment default)" in printed) is not configured
    assert TOKEN not in printed


@pytest.mark.parametrize("command", ["doctor", "call list_sites"])
@pytest.mark.parametrize(
    ("endpoint", "reason"), [("http://gitbook.example", "https"), ("https://name:hidden@gitbook.example", "a password")]
)
def test_a_login_whose_endpoint_is_refused_is_reported(
    endpoint: str,
    reason: str,
    command: str,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITBOOK_ENDPOINT", "http://127.0.0.1:1")
    write(file, {"envs": {"default": {"endpoint": endpoint, "token": TOKEN}}})
    main(command.split())
    printed = "".join(capsys.readouterr())
    assert f"({file}) is not used: its endpoint" in printed
    assert reason in printed
    assert TOKEN not in printed
    assert "hidden" not in printed
    monkeypatch.setenv("GITBOOK_TOKEN", "configured-token")
    main(command.split())
    assert "is not used" not in "".join(capsys.readouterr())
