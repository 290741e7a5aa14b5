"""A report on the terminal: the verdict, the findings by rule with commands, changes, inventory, and next steps."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from gitbook_integrations_api.report import Finding, Report
from gitbook_integrations_api.rules import SEVERITIES
from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.audit.problems import Problem, describe_verdict, format_command, group_findings
from gitbook_integrations_mcp.audit.render.markdown import format_changes, format_coverage, format_figures
from gitbook_integrations_mcp.audit.render.tables import TABLES, TableName
from gitbook_integrations_mcp.audit.sections import summarize
from gitbook_integrations_mcp.cli.console import Line, print_lines, print_table

MOST_LISTED = 10
"""Maximum number of findings of a rule that are listed."""

_STYLES: Mapping[str, str] = MappingProxyType(
    {"high": "bold red", "medium": "yellow", "low": "blue", "new": "bold red", "good": "green", "bad": "bold red"}
)


def print_report(report: Report) -> None:
    """Print a whole report."""
    summary = summarize(report)
    verdict: Line = [("", "")]
    for kind, text in describe_verdict(report):
        verdict += [(" · " if len(verdict) > 1 else "", "dim"), (text, _STYLES[kind])]
    print_lines(
        [
            [
                (report.organization.title or report.organization.id, "bold"),
                (f": {format_figures(summary['figures'])}", ""),
            ],
            verdict,
        ]
    )
    problems = group_findings(report)
    for problem in problems:
        print_lines([[], *_describe_problem(problem)])
    if accepted := [finding for finding in report.findings if finding.accepted]:
        print_lines([[], [("ACCEPTED", "green"), (f"  {len(accepted)}", "")], *_list_accepted(accepted)])
    print_lines(
        [[], [(_count_findings(report), "")], *([(line, "")] for line in format_changes(summary.get("changes")))]
    )
    for name in ("installations", "scripts"):
        print()
        print_report_table(report, name)
    print_lines([[], *([(line, "")] for line in format_coverage(summary["coverage"]))])
    if problems:
        first = problems[0].findings[0].id
        print_lines([[], [("Next:", "bold")], *([(f"  {NAME} {words}", "cyan")] for words in _list_next(first))])


def print_report_table(report: Report, name: TableName) -> None:
    """Print one table of a report."""
    footer = _count_findings(report) if name == "findings" else ""
    print_table(list(TABLES[name](report)), footer=footer, styles={"access": "yellow"})


def _describe_problem(problem: Problem) -> Iterator[Line]:
    style, new = _STYLES[problem.severity], f"  {len(problem.new)} new" if problem.new else ""
    title = f"  {problem.rule.title} ({len(problem.findings)})"
    yield [(problem.severity.upper(), style), (title, "bold"), (new, _STYLES["new"])]
    if problem.subjects:
        yield [(f"  {problem.subjects}", "")]
    yield [(f"  {problem.rule.why}", "dim")]
    for finding in problem.findings[:MOST_LISTED]:
        yield [
            (f"  {finding.id}", "cyan"),
            (f"  {finding.summary}", ""),
            ("  new" * (finding.id in problem.new), "red"),
        ]
    if (more := len(problem.findings) - MOST_LISTED) > 0:
        yield [(f"  and {more:,} more: --table findings", "")]
    yield [(f"  Fix: {problem.advice}", "")]
    yield [(f"  {format_command(problem.findings[0].remedy)}", "cyan")]


def _list_accepted(findings: list[Finding]) -> Iterator[Line]:
    for finding in findings:
        assert finding.accepted
        yield [(f"  {finding.id}", "cyan"), (f"  {finding.summary}: {finding.accepted.reason}", "")]


def _count_findings(report: Report) -> str:
    figures = report.figures
    counts = [*(f"{figures.findings[severity]} {severity}" for severity in SEVERITIES), f"{figures.accepted} accepted"]
    return f"Findings: {', '.join(counts)}"


def _list_next(finding: str) -> Iterator[str]:
    yield f"audit explain {finding}"
    yield f'audit accept {finding} --reason "…"'
    yield "audit --open"
