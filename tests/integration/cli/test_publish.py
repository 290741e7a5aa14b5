"""The commands for folders: a new integration, its check, and its publication."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.support.integration_folder import write_folder

OWNER = ("--organization", ORGANIZATION_ID)


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def read(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code, out, _ = run(capsys, *words, "--json")
    return code, json.loads(out)


@pytest.mark.parametrize("name", ["bot", "my-bot", "a", "an-integration-with-a-very-long-name-indeed"])
def test_a_new_integration_passes_the_check_and_can_be_published(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "new", name, *OWNER)[0] == 0
    code, checked = read(capsys, "check", name)
    assert (code, checked["ok"], checked["problems"], checked["notes"]) == (0, True, [], [])
    code, shown = read(capsys, "publish", name, "--dry-run", "--sandbox")
    assert (code, shown["status"], shown["integration"]) == (0, "dry_run", name)


@pytest.mark.parametrize("words", [("a_b", *OWNER), ("../bot", *OWNER), ("bot",), ("full", *OWNER)])
def test_a_new_integration_needs_a_name_an_owner_and_an_empty_folder(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "full")
    before = sorted(tmp_path.rglob("*"))
    assert run(capsys, "new", *words)[0] == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_check_lists_each_problem_with_file_and_line_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path, title="x", scopes=["no"])
    code, out, _ = run(capsys, "check")
    assert code == 1
    assert [line.split(": ")[0] for line in out.splitlines()[:2]] == [
        "gitbook-manifest.yaml:3",
        "gitbook-manifest.yaml:9",
    ]
    code, answer = read(capsys, "publish", "--sandbox")
    assert (code, answer["error"]["code"]) == (1, "invalid_folder")


@pytest.mark.parametrize("command", ["check", "publish"])
def test_a_problem_is_told_to_the_person_who_can_solve_it(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path, script="src/index.ts", files={"src/index.ts": ""}, secrets={"A": "${{ env.A }}"})
    code, out, err = run(capsys, command, *(["--sandbox"] if command == "publish" else []))
    assert code == 1
    assert "operator" not in out + err
    assert "or set it and add it to publishing.secrets" in out + err


@pytest.mark.parametrize("command", ["check", "publish"])
def test_files_in_further_folders_are_read_only_if_a_flag_allows_them(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "bot", icon="../assets/icon.png")
    write_folder(tmp_path)
    words = [command, "bot", *(["--dry-run", "--sandbox"] if command == "publish" else [])]
    assert run(capsys, *words)[0] == 1
    assert run(capsys, *words, "--roots", str(tmp_path))[0] == 0


@pytest.mark.parametrize("name", ["My Bot", "Foo_bar", "ä"])
def test_a_name_that_is_refused_comes_with_the_right_form(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "new", name, *OWNER)
    assert code == 2
    assert err.endswith("NAME must consist of letters and digits, with single hyphens between them.\n")


@pytest.mark.parametrize("command", ["check", "publish"])
def test_a_folder_without_a_manifest_is_an_error(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = read(capsys, command, "nothing-here")
    assert (code, answer["error"]["code"]) == (2, "invalid_usage")


def test_a_publication_needs_approval_on_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path)
    code, answer = read(capsys, "publish", "--sandbox")
    assert (code, answer["code"]) == (1, "confirmation_unavailable")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize(("reply", "code"), [("yes", 0), ("no", 1)])
def test_an_answer_on_the_terminal_decides(
    reply: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import pty

    write_folder(tmp_path)
    leader, follower = pty.openpty()
    os.write(leader, f"{reply}\n".encode())
    with os.fdopen(follower, "r+b", buffering=0) as raw, open(raw.fileno(), closefd=False) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        assert run(capsys, "publish", "--sandbox")[0] == code
    os.close(leader)


@pytest.mark.parametrize(("title", "status"), [("Bot", "ok"), ("x", "failed")])
def test_the_doctor_checks_the_integration_in_its_folder(
    title: str, status: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path, title=title)
    _, report = read(capsys, "doctor", "--sandbox")
    [found] = [one for one in report["checks"] if one["check"] == "integration folder"]
    assert found["status"] == status


@pytest.mark.skipif(os.name == "nt", reason="the current folder cannot be deleted")
@pytest.mark.parametrize("command", ["publish", "check"])
def test_a_current_folder_that_is_gone_has_no_manifest(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    code, _, err = run(capsys, command)
    assert code == 2
    assert "This folder has no gitbook-manifest.yaml" in err
