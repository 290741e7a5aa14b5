"""The command `schedule` prints files that run as they are, and that contain no secret."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from gitbook_integrations_mcp.cli.main import main

ROOT = Path(__file__).parents[3]
BASH = shutil.which("bash") or "bash"
SECRET = "gb_api_hidden"


def schedule(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["schedule", *words]) == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBOOK_TOKEN", SECRET)
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"https://hooks.slack.example/{SECRET}")
    monkeypatch.setenv("GITBOOK_ORGANIZATION", "org1")
    monkeypatch.setenv("GITBOOK_MCP_AUDIT__SEVERITY", '{"same-kind": "high"}')


@pytest.mark.parametrize("system", ["github", "cron", "systemd"])
def test_a_file_has_the_settings_in_force_and_no_secret(system: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = schedule(capsys, system, "--notify", "--fail-on", "medium")
    assert SECRET not in text
    for fact in ("org1", "GITBOOK_MCP_AUDIT__SEVERITY", "same-kind", "--fail-on medium", "--notify slack"):
        assert fact in text


@pytest.mark.parametrize("system", ["github", "cron", "systemd"])
def test_a_file_has_the_policy_and_the_limits_wherever_they_are_set(
    system: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [{"name": "no-tunnels", "effect": "deny", "reason": "not here"}]
    config = tmp_path / "settings.json"
    config.write_text(json.dumps({"policy": {"rules": rules}}))
    monkeypatch.setenv("GITBOOK_MCP_LIMITS__ATTEMPTS", "2")
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", f"sqlite:///{tmp_path}/s.db")
    text = schedule(capsys, system, "org2", "--config", str(config))
    assert "GITBOOK_MCP_LIMITS__ATTEMPTS" in text
    assert "org1" not in text
    assert ("no-tunnels" if system == "github" else f"--config {config}") in text
    assert (f"sqlite:///{tmp_path}/s.db" in text) == (system != "github")


def test_the_workflow_is_valid_and_evaluates_only_its_own_expressions(capsys: pytest.CaptureFixture[str]) -> None:
    text = schedule(capsys, "github", "${{ github.token }}\nx: y")
    workflow = yaml.safe_load(text)
    environment = workflow["jobs"]["audit"]["env"]
    assert environment["GITBOOK_TOKEN"] == "${{ secrets.GITBOOK_TOKEN }}"
    assert environment["GITBOOK_ORGANIZATION"] == "$ {{ github.token }}\nx: y"
    assert "${{ github.token" not in text
    (run,) = [step["run"] for step in workflow["jobs"]["audit"]["steps"] if "audit --format" in step.get("run", "")]
    assert subprocess.run([BASH, "-n"], input=run, text=True, check=False).returncode == 0


def test_the_line_for_cron_is_one_line_that_a_shell_reads(capsys: pytest.CaptureFixture[str]) -> None:
    text = schedule(capsys, "cron", "100% $(touch x)\n* * * * * evil")
    (line,) = [line for line in text.splitlines() if not line.startswith("#")]
    assert re.match(r"\d+ \d+ \* \* 1 ", line)
    assert re.findall(r"(?<!\\)%", line) == []
    command = line.split(" ", 5)[5].replace("\\%", "%")
    assert "GITBOOK_ORGANIZATION=100% $(touch x) * * * * * evil" in shlex.split(command)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = re.split(r"^# --- (.+) ---$", schedule(capsys, "systemd"), flags=re.MULTILINE)[1:]
    for name, content in zip(parts[::2], parts[1::2], strict=True):
        (tmp_path / name).write_text(content)
    units = [str(tmp_path / name) for name in parts[::2]]
    checked = subprocess.run(
        [str(shutil.which("systemd-analyze")), "verify", "--user", *units], check=False, capture_output=True
    )
    assert b"gitbook-audit" not in checked.stderr


def test_without_an_organization_nothing_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITBOOK_ORGANIZATION")
    assert main(["schedule", "cron"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_the_action_fails_only_on_new_findings_and_links_its_reports(tmp_path: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    step = action["runs"]["steps"][-1]
    command = tmp_path / "bin" / "gitbook-integrations-mcp"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gitbook_integrations_mcp "$@"\n')
    command.chmod(0o700)
    output, summary = tmp_path / "output", tmp_path / "summary"
    environment = {
        **os.environ,
        **dict.fromkeys(step["env"], ""),
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITBOOK_MCP_SERVER__SANDBOX": "true",
        "FAIL_ON": "high",
    }

    def run() -> int:
        return subprocess.run([BASH, "-e", "-c", step["run"]], env=environment, check=False).returncode

    assert run() == 0
    written = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert "Do first" in Path(written["page"]).read_text(encoding="utf-8")
    assert json.loads(Path(written["sarif"]).read_text(encoding="utf-8"))["version"] == "2.1.0"
    assert summary.read_text(encoding="utf-8").startswith("## Installation audit of")
    assert run() == 0
    store = tmp_path / "gitbook-audit" / "store.db"
    assert store.exists()


def test_no_step_of_the_action_contains_an_input_as_code() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    for step in action["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
    assert set(action["outputs"]) == {"page", "sarif"}
