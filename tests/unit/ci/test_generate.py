"""What is generated in this repository is what the code generates now."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import generate
from tests.support.process import TIMEOUT
from tests.support.repository import ROOT


@pytest.fixture(scope="module")
def outdated() -> Mapping[str, str]:
    return generate.find_outdated()


@pytest.mark.parametrize("path", generate.FILES)
def test_a_generated_file_is_up_to_date(path: str, outdated: Mapping[str, str]) -> None:
    assert path not in outdated, "run python .ci/generate.py and review the difference"


def test_settings_of_this_machine_do_not_reach_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBOOK_MCP_TOOLS__READ_ONLY", "true")
    monkeypatch.setenv("GITBOOK_ORGANIZATION", "acme")
    assert generate.find_outdated().keys() <= generate.FILES.keys()
    with generate.ignore_settings():
        assert '"acme"' not in generate.render_settings()


def test_a_check_names_what_is_out_of_date_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "made.txt"
    path.write_text("old")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "FILES", {"made.txt": lambda: "new"})
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 1
    assert "made.txt" in capsys.readouterr().err
    assert path.read_text() == "old"
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    assert path.read_text() == "new"
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 0


@pytest.mark.slow
def test_the_command_finds_nothing_out_of_date() -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / ".ci" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert ended.returncode == 0, ended.stderr
