"""The command `audit`: forms, files, comparison, and exit codes that scheduled jobs can rely on."""

import asyncio
import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from gitbook_integrations_api.report import Report
from gitbook_integrations_api.rules import SEVERITIES
from gitbook_integrations_mcp.audit.tables import TABLES, TableName, write_csv
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN
from tests.support.audit_fixtures import Watched, audit, fail
from tests.support.loopback import listen, open_listener

COMMAND = [sys.executable, "-m", "gitbook_integrations_mcp", "audit"]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["audit", "--sandbox", *words])
    out, err = capsys.readouterr()
    return code, out, err


def write_baseline(capsys: pytest.CaptureFixture[str], path: Path, **changes: Any) -> dict[str, Any]:
    """Write the sandbox's report, with `changes` to its top level, and return it as it was."""
    report: dict[str, Any] = json.loads(run(capsys, "--format", "json")[1])
    path.write_text(json.dumps(report | changes))
    return report


async def run_against(watched: Watched, *words: str) -> tuple[int, str, str]:
    """Run the command in a process of its own against a GitBook on a socket."""
    with open_listener() as (listener, address):
        environment = {
            **os.environ,
            "GITBOOK_ENDPOINT": address,
            "GITBOOK_TOKEN": USER_TOKEN,
            "GITBOOK_ORGANIZATION": ORGANIZATION_ID,
        }
        async with listen(watched, HttpSection(), listener):
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*COMMAND, *words, env=environment, stdout=pipe, stderr=pipe)
            out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def test_json_is_a_report_and_says_the_same_as_the_other_forms(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--format", "json")
    assert (code, err) == (0, "")
    report = Report.model_validate_json(out)
    assert json.loads(out) == report.model_dump(mode="json")
    table = run(capsys)[1]
    markdown = run(capsys, "--format", "markdown")[1]
    rows = list(csv.DictReader(run(capsys, "--format", "csv")[1].splitlines()))
    assert [row["id"] for row in rows] == [finding.id for finding in report.findings]
    for finding in report.findings:
        assert finding.id in table
        assert finding.id in markdown
    for installed in report.installations:
        assert installed.integration.name in table
        assert installed.id in markdown


@pytest.mark.parametrize("table", get_args(TableName))
def test_csv_has_every_row_of_the_table_that_is_asked_for(table: TableName, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report.model_validate_json(run(capsys, "--format", "json")[1])
    rows = list(csv.DictReader(run(capsys, "--format", "csv", "--table", table)[1].splitlines()))
    figures = report.figures
    assert (
        len(rows)
        == {
            "installations": figures.installations,
            "places": figures.spaceInstallations + figures.siteInstallations,
            "scripts": figures.scripts,
            "findings": len(report.findings),
        }[table]
    )


def test_the_command_line_offers_the_tables_and_severities_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["audit", "--help"])
    choices = [set(found.split(",")) for found in re.findall(r"{([a-z,]+)}", capsys.readouterr().out)]
    assert set(TABLES) == set(get_args(TableName))
    assert set(TABLES) in choices
    assert set(SEVERITIES) in choices


@pytest.mark.parametrize("first", "=+-@＝＋－＠")
async def test_no_cell_of_a_spreadsheet_is_a_formula(first: str) -> None:
    watched = Watched()
    for integration in watched.sandbox.state.integrations.values():
        integration.manifest["title"] = f"{first}HYPERLINK(0)"
    text = write_csv(await audit(watched), "findings")
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row if "HYPERLINK" in cell]
    assert cells
    assert all(cell.startswith(f"'{first}") for cell in cells)


def test_a_file_gets_what_standard_output_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("table", "markdown", "csv"):
        path = tmp_path / form
        code, out, _ = run(capsys, "--format", form, "--output", str(path))
        assert (code, out) == (0, "")
        assert "same-kind:" in path.read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--output", "/nowhere/report"), "/nowhere/report cannot be written"),
        (("--baseline", "/nowhere/report"), "/nowhere/report cannot be read"),
        (("--baseline", __file__), "is not valid JSON"),
        (("--sandbox-size", "1,2"), "server.sandbox_size"),
        (("--sandbox-size", "1,1,1,99"), "there is room for 2 installations only"),
    ],
)
def test_files_and_sizes_that_cannot_be_are_told_and_exit_with_2(
    words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert expected in err


@pytest.mark.parametrize("form", ["json", "html", "markdown"])
def test_a_table_is_not_chosen_where_all_are_written(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(capsys, "--format", form, "--table", "scripts")
    assert f"--format {form} has all tables" in capsys.readouterr().err


def test_something_that_is_no_report_is_no_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text('{"version": 2}')
    code, _, err = run(capsys, "--baseline", str(path))
    assert code == 2
    assert "no audit report of version 1" in err


@pytest.mark.parametrize("severity", SEVERITIES)
def test_without_a_baseline_every_open_finding_of_the_severity_fails(
    severity: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "--fail-on", severity)[0] == 3


def test_with_a_baseline_only_what_is_new_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    report = write_baseline(capsys, path)
    words = ("--baseline", str(path), "--fail-on")
    assert run(capsys, *words, "low")[0] == 0
    write_baseline(capsys, path, findings=[each for each in report["findings"] if each["rule"] != "same-kind"])
    code, out, _ = run(capsys, *words, "low")
    assert code == 3
    assert "0 added, 0 removed, 0 changed; 1 new findings, 0 mended" in out
    assert run(capsys, *words, "medium")[0] == 0


def test_what_is_accepted_fails_nothing_until_it_expires(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, accepted = tmp_path / "config.json", tmp_path / "accepted.json"
    config.write_text(
        json.dumps({"audit": {"accepted": str(accepted), "disabled_rules": ["secrets-in-configuration"]}})
    )
    words = ("--config", str(config), "--fail-on", "high")
    reason = {"reason": "known", "date": "2026-01-01"}
    rules = ["unverified-write", "foreign-unlisted", "script-not-installed:ac477a73c5"]
    accepted.write_text(json.dumps([{"finding": rule, **reason} for rule in rules]))
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "4 accepted" in out
    assert "known" in out
    accepted.write_text(json.dumps([{"finding": rule, **reason, "expires": "2026-01-02"} for rule in rules]))
    code, out, _ = run(capsys, *words)
    assert code == 3
    assert "0 accepted" in out


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "is not valid JSON"),
        ('[{"finding": "same-kin", "reason": "x", "date": "2026-01-01"}]', "Did you mean same-kind?"),
        ('[{"finding": "same-kind", "reason": "", "date": "2026-01-01"}]', "reason"),
        ('[{"finding": "same-kind", "reason": "x", "date": "yesterday"}]', "date"),
        ('[{"finding": "same-kind", "reason": "x", "date": "2026-01-01", "until": "2027-01-01"}]', "until"),
    ],
)
def test_a_wrong_file_of_accepted_findings_is_refused(
    content: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "accepted.json"
    path.write_text(content)
    monkeypatch.setenv("GITBOOK_MCP_AUDIT__ACCEPTED", str(path))
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert expected in err


async def test_an_incomplete_audit_fails_even_though_nothing_is_new(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    code, _, _ = await run_against(Watched(), "--format", "json", "--output", str(path))
    assert code == 0
    broken = Watched(fault=fail("site_qLN1io/integration-scripts", 403))
    code, out, _ = await run_against(broken, "--baseline", str(path), "--fail-on", "high")
    assert code == 4
    assert "INCOMPLETE" in out
    assert "scripts of site_qLN1io" in out
    assert "0 mended" in out


async def test_an_organization_that_cannot_be_read_exits_with_1_and_says_why() -> None:
    code, out, err = await run_against(Watched(fault=fail("/orgs", 403)))
    assert (code, out) == (1, "")
    assert "with 403" in err


@pytest.mark.slow
def test_a_bar_shows_progress_where_a_person_watches() -> None:
    ours, theirs = pty.openpty()
    words = [*COMMAND, "--sandbox", "--format", "json"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "GITBOOK_MCP_SERVER__SANDBOX_LATENCY": "0.1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        assert process.stdout is not None
        out = process.stdout.read()
        shown = b""
        while b"/19" not in shown:
            shown += os.read(ours, 4096)
    os.close(ours)
    assert process.returncode == 0
    assert Report.model_validate_json(out).coverage.complete
