"""The command that starts this program, for people and for other programs."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.cli import launcher


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder on the PATH with uvx and pipx, and a package from an index."""
    for name in ("uvx", "pipx"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)
    set_origin(monkeypatch, None)
    return tmp_path


def set_origin(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    monkeypatch.setattr(launcher, "distribution", lambda _: SimpleNamespace(read_text=lambda _: text))


@pytest.mark.parametrize(
    ("prefix", "runner", "words", "typed"),
    [
        ("/home/ann/.cache/uv/archive-v0/6Q8", "uvx", [], "uvx"),
        ("/home/ann/.cache/uv/environments-v2/6Q8", "uvx", [], "uvx"),
        ("/home/ann/.local/share/pipx/.cache/6Q8", "pipx", ["run"], "pipx run"),
        ("/home/ann/.cache/pipx/6Q8", "pipx", ["run"], "pipx run"),
    ],
)
def test_a_program_in_a_cache_is_started_through_the_cache(
    programs: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, runner: str, words: list[str], typed: str
) -> None:
    monkeypatch.setattr(sys, "prefix", prefix)
    assert launcher.find_command() == [str(programs / runner), *words, NAME]
    assert launcher.name_command() == f"{typed} {NAME}"
    assert launcher.show_commands(f"Run `{NAME} login`.") == f"Run `{typed} {NAME} login`."


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ({"url": "file:///tmp/a.whl", "archive_info": {}}, "file:///tmp/a.whl"),
        (
            {"url": "https://git.example/a", "vcs_info": {"vcs": "git", "commit_id": "c0"}},
            "git+https://git.example/a@c0",
        ),
    ],
)
def test_a_source_that_is_no_index_is_named(
    programs: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object], expected: str
) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/ann/.cache/uv/archive-v0/6Q8")
    set_origin(monkeypatch, json.dumps(origin))
    assert launcher.find_command() == [str(programs / "uvx"), "--from", expected, NAME]


def test_uv_names_its_own_folder(
    programs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("uv")
    (folder / "uvx").touch(0o755)
    monkeypatch.setenv("UV", str(folder / "uv"))
    monkeypatch.setattr(sys, "prefix", "/home/ann/.cache/uv/archive-v0/6Q8")
    assert launcher.find_command() == [str(folder / "uvx"), NAME]
    assert programs != folder


def test_a_cache_without_its_runner_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(sys, "prefix", "/home/ann/.cache/uv/archive-v0/6Q8")
    assert Path(launcher.find_command()[0]).is_absolute()


@pytest.mark.parametrize("typed", [f".venv/bin/{NAME}", f"/opt/mcp/bin/{NAME}"])
def test_a_program_off_the_path_is_named_as_it_was_typed(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", [typed, "audit"])
    assert launcher.name_command() == typed


def test_a_program_on_the_path_is_named_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / NAME).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / NAME)])
    assert launcher.name_command() == NAME


@pytest.mark.parametrize(
    "prefix", ["/home/ann/.local/share/pipx/venvs/it", "/home/ann/.local/share/uv/tools/it", sys.prefix]
)
def test_an_installed_program_is_started_by_its_path(
    programs: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setattr(sys, "prefix", prefix)
    assert str(programs) not in launcher.find_command()[0]
