"""The command `audit`: formats, files, comparison, and exit codes for scheduled jobs."""

import asyncio
import csv
import errno
import io
import json
import os
import pty
import re
import stat
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import Any, get_args

import pytest

from gitbook_integrations_api.choices import SEVERITIES, TableName
from gitbook_integrations_api.report import Acceptance, Narrowing, Report
from gitbook_integrations_api.rules import RULES
from gitbook_integrations_mcp.audit.problems import MOST_FIRST
from gitbook_integrations_mcp.audit.render.tables import TABLES, render_csv
from gitbook_integrations_mcp.cli.audit import AuditOptions, run_audit
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import ErrorCode, SettingsError
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN
from tests.support.audit_fixtures import Watched, audit, fail
from tests.support.grown_sandbox import create_grown_sandbox
from tests.support.loopback import listen, open_listener

COMMAND = [sys.executable, "-m", "gitbook_integrations_mcp", "audit"]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["audit", "--sandbox", *words])
    out, err = capsys.readouterr()
    return code, out, err


def write_baseline(capsys: pytest.CaptureFixture[str], path: Path, **changes: Any) -> dict[str, Any]:
    """Write the report on the sandbox with `changes` to its top level. Return it without them."""
    report: dict[str, Any] = json.loads(run(capsys, "--format", "json")[1])
    path.write_text(json.dumps(report | changes))
    return report


def name_variables(address: str) -> dict[str, str]:
    """Return the variables that point the command at a GitBook at `address`."""
    return {"GITBOOK_ENDPOINT": address, "GITBOOK_TOKEN": USER_TOKEN, "GITBOOK_ORGANIZATION": ORGANIZATION_ID}


async def run_against(watched: Watched, *words: str) -> tuple[int, str, str]:
    """Run the command in a subprocess against a GitBook on a socket."""
    with open_listener() as (listener, address):
        environment = {**os.environ, **name_variables(address)}
        async with listen(watched, HttpSection(), listener):
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*COMMAND, *words, env=environment, stdout=pipe, stderr=pipe)
            out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def test_all_formats_have_the_same_content(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--format", "json")
    assert (code, err) == (0, "")
    report = Report.model_validate_json(out)
    assert json.loads(out) == report.model_dump(mode="json")
    table = run(capsys, "--details")[1]
    markdown = run(capsys, "--format", "markdown")[1]
    rows = list(csv.DictReader(run(capsys, "--format", "csv")[1].splitlines()))
    assert [row["id"] for row in rows] == [finding.id for finding in report.findings]
    for finding in report.findings:
        assert finding.id in table
        assert finding.id in markdown
    for installed in report.installations:
        assert installed.integration.name in table
        assert installed.id in markdown


def test_the_terminal_shows_the_verdict_first_and_the_next_steps_last(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys)[1].splitlines()
    assert lines[1] == "5 high · 7 medium · 10 low · complete"
    headings = [line.split()[0] for line in lines if line.startswith(("HIGH", "MEDIUM", "LOW"))]
    assert headings == sorted(headings, key=["HIGH", "MEDIUM", "LOW"].index)
    assert any(line.startswith("  gitbook-integrations-mcp call uninstall_integration ") for line in lines)
    assert sum(line.startswith("  Fix: ") for line in lines) == MOST_FIRST
    commands = [line.split() for line in lines[lines.index("Next:") :] if line.startswith("    ")]
    assert [words[1:4] for words in commands[:3]] == [
        ["audit", "explain", report_first(lines)],
        ["audit", "--details", "--sandbox"],
        ["audit", "--open", "--sandbox"],
    ]
    for words in commands[:2]:
        assert main(words[1:]) == 0


def report_first(lines: list[str]) -> str:
    """Return the ID of the first finding that a report lists."""
    return next(line.split()[0] for line in lines if re.match(r"  [a-z-]+:[0-9a-f]{10} ", line))


def test_a_job_of_github_gets_a_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "summary"
    path.write_text("# Before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    assert run(capsys, "--json")[0] == 0
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Before\n## Installation audit of Aurora Robotics")
    assert "**5 high · 7 medium · 10 low · complete**" in text
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    code, _, err = run(capsys, "--json")
    assert (code, "job summary" in err) == (0, True)


def test_sarif_goes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "audit.sarif"
    code, out, err = run(capsys, "--format", "sarif", "--output", str(path))
    assert (code, out) == (0, "")
    assert err.splitlines() == ["5 high · 7 medium · 10 low · complete", f"Report: {path}"]
    sarif = json.loads(path.read_text(encoding="utf-8"))
    assert sarif["version"] == "2.1.0"
    for rule in sarif["runs"][0]["tool"]["driver"]["rules"]:
        assert rule["helpUri"].endswith(f"/reference/rules/#{rule['id']}")


@pytest.mark.parametrize("written", [True, False])
def test_open_shows_the_page_in_a_browser(
    written: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = tmp_path / "shown"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {shown}\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.setattr(webbrowser, "_tryorder", None)  # read BROWSER again
    output = tmp_path / "audit.html"
    code, _, err = run(capsys, "--open", *(("--format", "html", "--output", str(output)) if written else ()))
    assert code == 0
    path = Path(shown.read_text().strip().removeprefix("file://"))
    assert "Do first" in path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) in err
    assert (path == output) is written


def test_a_message_that_cannot_be_sent_fails_and_the_url_stays_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--json", "--notify", "slack:https://127.0.0.1:9/hidden")
    assert code == 1
    assert Report.model_validate_json(out).coverage.complete
    assert "not notified" in err
    assert "hidden" not in err
    code, out, err = run(capsys, "--notify", "slack:http://127.0.0.1:9/hidden")
    assert (code, out) == (2, "")
    assert "hidden" not in err


@pytest.mark.parametrize("table", get_args(TableName))
def test_csv_has_every_row_of_the_chosen_table(table: TableName, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_the_csv_of_findings_says_where_whose_since_when_and_who_accepted_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report.model_validate_json(run(capsys, "--format", "json")[1])
    accepted = Acceptance(reason="known", date="2026-11-01", expires="2027-06-30", by="Ada")
    findings = tuple(each.model_copy(update={"accepted": accepted}) for each in report.findings)
    rows = list(csv.DictReader(render_csv(report.model_copy(update={"findings": findings}), "findings").splitlines()))
    for row, finding in zip(rows, findings, strict=True):
        assert row["rule"] == finding.rule
        assert row["place_id"] == (finding.place.id if finding.place else report.organization.id)
        assert row["owner"] == (finding.owner.title if finding.owner else "")
        assert (row["first_seen"], row["since"]) == (report.generatedAt, report.generatedAt)
        assert (row["accepted_by"], row["accepted_until"]) == ("Ada", "2027-06-30")
    assert {row["level"] for row in rows} == {"organization", "space", "site"}


def test_help_lists_all_tables_and_severities(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["audit", "--help"])
    choices = [set(found.split(",")) for found in re.findall(r"{([a-z,]+)}", capsys.readouterr().out)]
    assert set(TABLES) == set(get_args(TableName))
    assert set(TABLES) in choices
    assert set(SEVERITIES) in choices


@pytest.mark.parametrize("first", "=+-@＝＋－＠")
async def test_no_csv_cell_is_a_formula(first: str) -> None:
    watched = Watched()
    for integration in watched.sandbox.state.integrations.values():
        integration.manifest["title"] = f"{first}HYPERLINK(0)"
    for space in watched.sandbox.state.spaces.values():
        space.title = f"{first}HYPERLINK(1)"
    text = render_csv(await audit(watched), "findings")
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row if "HYPERLINK" in cell]
    assert f"'{first}HYPERLINK(1)" in cells
    assert all(cell.startswith(("'", "“")) for cell in cells)  # what a finding says quotes the title


def test_output_writes_the_report_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("table", "markdown", "csv"):
        path = tmp_path / form
        code, out, _ = run(capsys, "--format", form, "--output", str(path))
        assert (code, out) == (0, "")
        assert ("same-kind:" if form != "table" else "HIGH ") in path.read_text()


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.md", "markdown"), ("a.json", "json"), ("a.csv", "csv"), ("a.HTML", "html"), ("a.sarif", "sarif")],
)
def test_the_ending_of_the_file_decides_the_format_if_no_other_is_given(
    name: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inferred, given, other = tmp_path / name, tmp_path / "given", tmp_path / f"other-{name}"
    assert run(capsys, "--output", str(inferred))[0] == 0
    assert run(capsys, "--format", form, "--output", str(given))[0] == 0
    assert run(capsys, "--format", "table", "--output", str(other))[0] == 0
    assert inferred.read_text(encoding="utf-8")[:40] == given.read_text(encoding="utf-8")[:40]
    assert "HIGH " in other.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--output", "/nowhere/report"), "Cannot write /nowhere/report"),
        (("--baseline", "/nowhere/report"), "Cannot read /nowhere/report"),
        (("--baseline", __file__), "is not valid JSON"),
    ],
)
def test_unusable_files_exit_with_2(words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert expected in err


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (("--integrations", "slak"), "slack"),
        (("--integrations", "Heatlens"), "heatlens"),
        (("--spaces", "Internal Handbook"), "“Internal Handbook”"),
        (("--sites", "Help Center"), "site_qLN1io"),
        (("Aurora Robotics",), ORGANIZATION_ID),
        (("aurora-robotis",), "404"),
        ((ORGANIZATION_ID.lower(),), ORGANIZATION_ID),
        (("",), "empty"),
        (("--integrations", ""), "--integrations"),
        (("--spaces", "N6ZTMLYKX0TopDqhvWoq,"), "--spaces"),
        (("--sites", " "), "--sites"),
    ],
)
def test_unknown_names_exit_with_2_and_write_nothing(
    words: tuple[str, ...], fact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report"
    path.write_text("earlier")
    code, out, err = run(capsys, *words, "--output", str(path), "--fail-on", "high")
    assert (code, out) == (2, "")
    assert fact in err
    assert path.read_text() == "earlier"


@pytest.mark.parametrize("form", ["json", "html", "markdown"])
def test_a_table_cannot_be_chosen_for_formats_with_all_tables(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--format", form, "--table", "scripts")
    assert code == 2
    assert f"{form} has all tables" in (out if form == "json" else err)


def test_an_invalid_baseline_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text('{"version": 3}')
    code, _, err = run(capsys, "--baseline", str(path))
    assert code == 2
    assert "version 1" in err


def test_the_comparison_with_the_last_audit_makes_no_finding_a_known_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", f"sqlite:///{tmp_path}/store.db")
    for compared in (False, True):
        code, out, _ = run(capsys, "--format", "json", "--fail-on", "high")
        assert code == 3
        assert (json.loads(out)["comparison"] is not None) is compared
    assert run(capsys, "--baseline", "last", "--fail-on", "high")[0] == 0


@pytest.mark.parametrize(("severity", "number"), [("high", 5), ("medium", 12), ("low", 22)])
def test_without_a_baseline_every_open_finding_of_the_severity_exits_with_3(
    severity: str, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "--fail-on", severity)
    assert code == 3
    assert f"Exit status 3: {number} open findings of severity {severity} or above. Without --baseline," in err


def test_with_a_baseline_only_new_findings_exit_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    report = write_baseline(capsys, path)
    words = ("--baseline", str(path), "--fail-on")
    assert run(capsys, *words, "low")[0] == 0
    write_baseline(capsys, path, findings=[each for each in report["findings"] if each["rule"] != "same-kind"])
    code, out, _ = run(capsys, *words, "low")
    assert code == 3
    assert "0 added, 0 removed, 0 changed; 2 new findings, 0 fixed" in out
    assert run(capsys, *words, "medium")[0] == 0


def test_a_report_to_a_link_to_itself_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link = tmp_path / "link.txt"
    link.symlink_to(link)
    code, out, err = run(capsys, "--output", str(link))
    assert (code, out) == (2, "")
    assert f"Cannot write {link}" in err
    assert link.is_symlink()


def test_a_report_replaces_the_last_one_only_when_it_is_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, link = tmp_path / "report.json", tmp_path / "link.json"
    link.symlink_to(path)
    assert run(capsys, "--format", "json", "--output", str(link))[0] == 0
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    last = path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    code, out, err = run(capsys, "--format", "html", "--output", str(path))
    assert (code, out) == (2, "")
    assert "No space left" in err
    assert path.read_bytes() == last
    assert sorted(tmp_path.iterdir()) == [link, path]


def test_accepted_findings_do_not_fail_until_they_expire(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, accepted = tmp_path / "config.json", tmp_path / "accepted.json"
    config.write_text(
        json.dumps({"audit": {"accepted": str(accepted), "disabled_rules": ["secrets-in-configuration"]}})
    )
    words = ("--config", str(config), "--fail-on", "high")
    reason = {"reason": "known", "date": "2026-01-01"}
    rules = ["unverified-write", "unverified-script", "foreign-unlisted", "script-not-installed:ac477a73c5"]
    accepted.write_text(json.dumps([{"finding": rule, **reason} for rule in rules]))
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "ACCEPTED  4" in out
    assert "known" in out
    baseline = tmp_path / "baseline.json"
    run(capsys, *words, "--format", "json", "--output", str(baseline))
    assert run(capsys, *words, "--baseline", str(baseline))[0] == 0
    accepted.write_text(json.dumps([{"finding": rule, **reason, "expires": "2026-01-02"} for rule in rules]))
    code, out, _ = run(capsys, *words)
    assert code == 3
    assert "ACCEPTED" not in out
    code, out, _ = run(capsys, *words, "--baseline", str(baseline))
    assert code == 3
    assert "0 new findings, 4 reopened" in out


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "is not valid JSON"),
        ("[" * 5000 + "]" * 5000, "is nested too deeply"),
        ('[{"finding": "same-kind", "reason": "x", "date": "2026-01-01", "reason": "y"}]', 'key "reason" twice'),
        ('[{"finding": "same-kin", "reason": "x", "date": "2026-01-01"}]', "Did you mean same-kind?"),
        ('[{"finding": "same-kind", "reason": "", "date": "2026-01-01"}]', "reason"),
        ('[{"finding": "same-kind", "reason": "x", "date": "yesterday"}]', "date"),
        ('[{"finding": "same-kind", "reason": "x", "date": "2026-01-01", "until": "2027-01-01"}]', "until"),
    ],
)
def test_an_invalid_file_of_accepted_findings_exits_with_2(
    content: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "accepted.json"
    path.write_text(content)
    monkeypatch.setenv("GITBOOK_MCP_AUDIT__ACCEPTED", str(path))
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert expected in err


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, ErrorCode.INVALID_BASELINE),
        ("{", ErrorCode.INVALID_BASELINE),
        ("[" * 5000 + "]" * 5000, ErrorCode.INVALID_BASELINE),
        ('{"version": 1, "version": 2}', ErrorCode.INVALID_BASELINE),
        ('{"version": 2}', ErrorCode.INVALID_BASELINE),
        ("[{}]", ErrorCode.INVALID_ACCEPTED_FINDINGS),
    ],
)
def test_errors_keep_their_codes(content: str | None, code: ErrorCode, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)
    is_baseline = code is ErrorCode.INVALID_BASELINE
    settings = load_settings({"server": {"sandbox": True}, "audit": {} if is_baseline else {"accepted": str(path)}})
    options = AuditOptions(
        organization=None,
        narrowing=Narrowing(),
        format="json",
        table=None,
        output=None,
        baseline=path if is_baseline else None,
        fail_on=None,
    )
    with pytest.raises(SettingsError) as caught:
        run_audit(settings, options)
    assert caught.value.code is code


@pytest.mark.slow
async def test_an_incomplete_audit_without_new_findings_exits_with_4(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    code, _, _ = await run_against(Watched(), "--format", "json", "--output", str(path))
    assert code == 0
    broken = Watched(fault=fail("site_qLN1io/integration-scripts", 403))
    code, out, _ = await run_against(broken, "--baseline", str(path), "--fail-on", "high")
    assert code == 4
    assert "INCOMPLETE" in out
    assert "scripts of site_qLN1io" in out
    assert "0 fixed" in out


def test_without_a_token_the_error_names_what_an_audit_requires_and_no_login(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GITBOOK_TOKEN", raising=False)
    assert main(["audit"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "GITBOOK_TOKEN" in err
    assert "login" not in err


@pytest.mark.slow
async def test_an_unreadable_organization_exits_with_1_and_the_reason() -> None:
    code, out, err = await run_against(Watched(fault=fail("/orgs", 403)))
    assert (code, out) == (1, "")
    assert "with 403" in err


@pytest.mark.slow
async def test_a_terminal_shows_a_progress_bar() -> None:
    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm", "COLUMNS": "100"}
    with open_listener() as (listener, address):
        environment = {**os.environ, **name_variables(address), **terminal}
        slow = create_grown_sandbox(latency=0.1)
        async with listen(slow, HttpSection(), listener):
            words = [*COMMAND, "--format", "json"]
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*words, env=environment, stdout=pipe, stderr=theirs)
            os.close(theirs)
            out, _ = await process.communicate()
    shown = b""
    while b"/19" not in shown:
        shown += os.read(ours, 4096)
    os.close(ours)
    assert process.returncode == 0
    assert Report.model_validate_json(out).coverage.complete


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Use a store in a file, and return its URL."""
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", url)
    return url


@pytest.mark.usefixtures("kept")
def test_reports_are_kept_as_baselines(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--baseline", "last", "--json")
    assert code == 2
    assert json.loads(out)["error"]["code"] == "invalid_baseline"
    first = json.loads(run(capsys, "--json")[1])
    code, out, _ = run(capsys, "--baseline", "last", "--fail-on", "low", "--json")
    comparison = json.loads(out)["comparison"]
    assert (code, comparison["baseline"], comparison["removed"]) == (0, first["generatedAt"], [])
    today = first["generatedAt"][:10]
    assert f"Since {first['generatedAt'][:10]}" in run(capsys, "--baseline", today)[1]
    code, _, err = run(capsys, "--baseline", "4w")
    assert code == 2
    assert today in err


def test_a_report_that_cannot_be_kept_is_printed_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", f"sqlite:///{tmp_path}")  # a folder
    code, out, err = run(capsys, "--json")
    assert code == 0
    assert Report.model_validate_json(out).coverage.complete
    assert "not kept" in err
    code, out, _ = run(capsys, "--baseline", "last", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (1, "store_unavailable")


@pytest.mark.usefixtures("kept")
def test_explain_tells_what_a_rule_or_a_finding_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "explain", "same-kind"]) == 0
    assert RULES["same-kind"].advice[:20] in capsys.readouterr().out
    assert main(["audit", "explain", "nope"]) == 2
    assert "`gitbook-integrations-mcp audit --details` shows the IDs" in capsys.readouterr().err
    assert main(["audit", "explain", "same-kin"]) == 2
    assert "Did you mean same-kind?" in capsys.readouterr().err
    report = json.loads(run(capsys, "--json")[1])
    finding = report["findings"][0]
    words = ["audit", "explain", finding["id"], "--sandbox"]
    assert main([*words, "--json"]) == 0
    explained = json.loads(capsys.readouterr().out)
    assert explained["evidence"] == finding["evidence"]
    assert explained["tool"] == finding["remedy"]["tool"]
    assert explained["generatedAt"] == report["generatedAt"]
    assert main(words) == 0
    assert finding["summary"][:30] in capsys.readouterr().out
    assert main(["audit", "explain", "same-kind:0000000000", "--sandbox"]) == 2


@pytest.mark.parametrize("finding", ["same-kind:0000000000", "nope"])
@pytest.mark.parametrize("keeps", [True, False])
def test_an_unknown_finding_to_accept_is_an_error_with_advice_for_the_command(
    keeps: bool, finding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if keeps:
        monkeypatch.setenv("GITBOOK_MCP_STORE__URL", f"sqlite:///{tmp_path}/store.db")
    assert main(["audit", "accept", finding, "--reason", "known", "--sandbox"]) == 2
    err = capsys.readouterr().err
    assert "audit_installations" not in err
    assert ("audit --details" in err) is keeps
    assert ("each command starts with a new one" in err) is not keeps


@pytest.mark.usefixtures("kept")
def test_accepting_needs_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "accept", "same-kind", "--reason", "known", "--sandbox", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "confirmation_unavailable"
    assert main(["audit", "withdraw", "same-kind", "--sandbox", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "invalid_arguments"
    assert "ACCEPTED" not in run(capsys)[1]


@pytest.mark.slow
def test_a_human_at_a_terminal_accepts_and_withdraws(kept: str, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**os.environ, "GITBOOK_MCP_STORE__URL": kept}

    def answer(text: str, *words: str) -> int:
        ours, theirs = pty.openpty()
        command = [*COMMAND, *words, "--sandbox"]
        process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        shown = b""
        while b"Type yes" not in shown:
            shown += os.read(ours, 4096)
        assert b"same-kind" in shown
        os.write(ours, f"{text}\n".encode())
        process.communicate(timeout=60)
        os.close(ours)
        return process.returncode

    accept = ("accept", "same-kind", "--reason", "known", "--until", "2999-01-01")
    assert answer("no", *accept) == 1
    assert "ACCEPTED" not in run(capsys)[1]
    assert answer("yes", *accept) == 0
    assert "ACCEPTED" in run(capsys)[1]
    assert answer("yes", "withdraw", "same-kind") == 0
    assert "ACCEPTED" not in run(capsys)[1]
