"""The command `audit`: an audit on the command line, for people and for scheduled jobs."""

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio

from gitbook_integrations_api.report import Narrowing, Report
from gitbook_integrations_api.rules import SEVERITIES, Severity
from gitbook_integrations_mcp.audit.auditor import Auditor
from gitbook_integrations_mcp.audit.collector import Progress
from gitbook_integrations_mcp.audit.comparison import compare, read_baseline
from gitbook_integrations_mcp.audit.render.markdown import (
    format_changes,
    format_coverage,
    format_figures,
    render_report,
)
from gitbook_integrations_mcp.audit.render.tables import TABLES, TableName, render_csv
from gitbook_integrations_mcp.audit.sections import summarize
from gitbook_integrations_mcp.cli.console import print_table
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import CallError, RefusedError, SettingsError
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from gitbook_integrations_mcp.text import clean_text

DONE, FAILED, FOUND, INCOMPLETE = 0, 1, 3, 4
"""Exit codes; 2 is a wrong usage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """What is asked of the command. `fail_on` is the least severity of a new finding that fails it."""

    organization: str | None
    narrowing: Narrowing
    format: Literal["table", "markdown", "json", "csv", "html"]
    table: TableName | None
    output: Path | None
    baseline: Path | None
    fail_on: Severity | None


def run(settings: Settings, options: AuditOptions) -> int:
    """Make an audit, write it, and return the exit code.

    Raises:
        SettingsError: the organization or a token is not told, or a file cannot be used.
    """
    before = _read_baseline(options.baseline) if options.baseline else None
    try:
        report = anyio.run(_audit, settings, options)
        if before is not None:
            report = report.model_copy(update={"comparison": compare(before, report)})
    except RefusedError as error:
        raise SettingsError(str(error)) from None
    except CallError as error:
        print("\n".join(clean_text(line, 2000) for line in str(error).splitlines()), file=sys.stderr)
        return FAILED
    _write(report, options)
    return _choose_exit_code(report, options.fail_on)


def _read_baseline(path: Path) -> Report:
    try:
        return read_baseline(json.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise SettingsError(f"{path} is not valid JSON.") from None
    except CallError as error:
        raise SettingsError(f"{path}: {error}") from None


async def _audit(settings: Settings, options: AuditOptions) -> Report:
    gitbook, credentials, default = open_gitbook(settings)
    organization = options.organization or default
    if organization is None:
        raise SettingsError(
            "Which organization? Give its ID, or set GITBOOK_ORGANIZATION. "
            "`gitbook-integrations-mcp call list_organizations_for_authenticated_user` lists them."
        )
    try:
        async with _show_progress() as progress:
            return await Auditor(gitbook, settings).audit(organization, options.narrowing, credentials, progress)
    finally:
        await gitbook.close()


@asynccontextmanager
async def _show_progress() -> AsyncIterator[Progress]:
    """Show a bar on standard error where a person watches it; the result alone goes to standard output."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("Audit"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[what]}", markup=False))
    with Bar(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None, what="")

        async def show(done: float, total: float | None, what: str | None) -> None:
            bar.update(task, completed=done, total=total, what=what or "")

        yield show


def _write(report: Report, options: AuditOptions) -> None:
    try:
        with contextlib.ExitStack() as stack:
            if options.output:
                file = stack.enter_context(options.output.open("w", encoding="utf-8", newline=""))
                stack.enter_context(contextlib.redirect_stdout(file))
            _print(report, options)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise SettingsError(f"{options.output} cannot be written: {error.strerror}.") from None


def _print(report: Report, options: AuditOptions) -> None:
    match options.format:
        case "json":
            print(report.model_dump_json(indent=2))
        case "markdown":
            print(render_report(report), end="")
        case "html":
            from gitbook_integrations_mcp.audit.render.html import render_page

            print(render_page(report), end="")
        case "csv":
            print(render_csv(report, options.table or "findings"), end="")
        case "table":
            _print_tables(report, [options.table] if options.table else ("installations", "scripts", "findings"))


def _print_tables(report: Report, names: Sequence[TableName]) -> None:
    summary = summarize(report)
    print(f"{report.organization.title or report.organization.id}: {format_figures(summary['figures'])}")
    for name in names:
        print()
        print_table(list(TABLES[name](report)), footer=_count_findings(report) if name == "findings" else "")
    print()
    print("\n".join([*format_coverage(summary["coverage"]), *format_changes(summary.get("changes"))]))


def _count_findings(report: Report) -> str:
    figures = report.figures
    counts = [*(f"{figures.findings[severity]} {severity}" for severity in SEVERITIES), f"{figures.accepted} accepted"]
    return f"Findings: {', '.join(counts)}"


def _choose_exit_code(report: Report, fail_on: Severity | None) -> int:
    """Return the exit code. A new finding outweighs that there may be more; without either, all is well."""
    if fail_on is None:
        return DONE
    grave = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    new = None if report.comparison is None else report.comparison.newFindings
    for finding in report.findings:
        if finding.accepted is None and finding.severity in grave and (new is None or finding.id in new):
            return FOUND
    return DONE if report.coverage.complete else INCOMPLETE
