"""A report on the terminal: the verdict, the findings by rule with commands, changes, inventory, and next steps."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from gitbook_integrations_api.choices import SEVERITIES, TableName
from gitbook_integrations_api.report import Finding, Report
from gitbook_integrations_api.rules import Rule
from gitbook_integrations_mcp.audit.explanation import explain_finding
from gitbook_integrations_mcp.audit.problems import (
    MOST_FIRST,
    Problem,
    describe_verdict,
    format_call,
    format_day,
    group_findings,
    link_rule,
)
from gitbook_integrations_mcp.audit.render.markdown import format_changes, format_coverage, format_figures
from gitbook_integrations_mcp.audit.render.tables import TABLES
from gitbook_integrations_mcp.audit.sections import summarize
from gitbook_integrations_mcp.cli.console import COMMAND, Line, print_fields, print_json, print_lines, print_table
from gitbook_integrations_mcp.cli.launcher import name_command

MOST_LISTED = 10
"""Maximum number of findings of a rule that are listed."""

_STYLES: Mapping[str, str] = MappingProxyType(
    {"high": "bold red", "medium": "yellow", "low": "blue", "new": "bold red", "good": "green", "bad": "bold red"}
)


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands for the same organization: `flags` select its settings, and `organization` its ID if that is needed."""

    flags: Sequence[str]
    organization: str | None
    is_sandbox: bool

    def format(self, words: str) -> str:
        """Return a command with the flags."""
        return " ".join([name_command(), words, *([shlex.join(self.flags)] if self.flags else [])])

    def list_next(self, finding: str) -> Iterator[tuple[str, str]]:
        """Yield the next steps, each with its command."""
        audit = f"audit {shlex.quote(self.organization)}" if self.organization else "audit"
        chosen = f" --organization {shlex.quote(self.organization)}" if self.organization else ""
        yield "Why a finding matters, and its evidence:", self.format(f"audit explain {finding}{chosen}")
        yield "All findings with their fixes, and the scripts on sites:", self.format(f"{audit} --details")
        yield "The report as a page in the browser:", self.format(f"{audit} --open")
        if self.is_sandbox:
            yield "Connect your own organization:", f"{name_command()} doctor"
        else:
            yield "Accept a risk:", self.format(f'audit accept {finding} --reason "…"{chosen}')


def print_report(report: Report, commands: Commands, *, details: bool) -> None:
    """Print a whole report. Without `details`, only the first problems are printed with their findings and fixes."""
    summary = summarize(report)
    verdict: Line = [("", "")]
    for kind, text in describe_verdict(report):
        verdict += [(" · " if len(verdict) > 1 else "", "dim"), (text, _STYLES[kind])]
    title = report.organization.name
    print_lines([[(title, "bold"), (f": {format_figures(summary['figures'])}", "")], verdict])
    print_lines([(line, "")] for line in format_changes(summary.get("changes")))
    problems = group_findings(report)
    first = len(problems) if details else MOST_FIRST
    for problem in problems[:first]:
        print_lines([[], *_describe_problem(problem, commands)])
    if others := problems[first:]:
        print_lines([[], *(line for problem in others for line in _summarize_problem(problem))])
    if accepted := [finding for finding in report.findings if finding.accepted]:
        print_lines([[], [("ACCEPTED", "green"), (f"  {len(accepted)}", "")], *_list_accepted(accepted)])
    tables: tuple[TableName, ...] = ("installations", "scripts") if details else ("installations",)
    for name in tables:
        print()
        print_report_table(report, name)
    is_plain = report.coverage.complete
    if coverage := [*format_coverage(summary["coverage"])][is_plain:]:  # the verdict says that nothing is missing
        print_lines([[], *([(line, "")] for line in coverage)])
    if problems:
        print_lines([[], [("Next:", "bold")]])
        for text, command in commands.list_next(problems[0].findings[0].id):
            print_lines([[(f"  {text}", "")], [(f"    {command}", COMMAND)]])


def print_report_table(report: Report, name: TableName) -> None:
    """Print one table of a report."""
    notes = [_count_findings(report)] if name == "findings" else []
    print_table(list(TABLES[name](report)), notes, styles={"access": "yellow"})


def _describe_problem(problem: Problem, commands: Commands) -> Iterator[Line]:
    yield from _summarize_problem(problem)
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
    yield [(f"  {commands.format(format_call(problem.findings[0].remedy))}", COMMAND)]


def _summarize_problem(problem: Problem) -> Iterator[Line]:
    new = f"  {len(problem.new)} new" if problem.new else ""
    title = f"  {problem.rule.title} ({len(problem.findings)})"
    yield [(problem.severity.upper(), _STYLES[problem.severity]), (title, "bold"), (new, _STYLES["new"])]
    if problem.subjects:
        yield [(f"  {problem.subjects}", "")]


def _list_accepted(findings: list[Finding]) -> Iterator[Line]:
    for finding in findings:
        assert finding.accepted
        yield [(f"  {finding.id}", "cyan"), (f"  {finding.summary}: {finding.accepted.reason}", "")]


def _count_findings(report: Report) -> str:
    figures = report.figures
    counts = [*(f"{figures.findings[severity]} {severity}" for severity in SEVERITIES), f"{figures.accepted} accepted"]
    return f"Findings: {', '.join(counts)}"


def print_rule(rule: Rule, *, as_json: bool) -> None:
    """Print what a rule means and how its findings are fixed."""
    facts = {
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity,
        "meaning": rule.meaning,
        "why": rule.why,
        "tool": rule.remedy,
        "advice": rule.advice,
    }
    if as_json:
        print_json(facts)
        return
    print_lines([[(f"{rule.severity.upper()}  {rule.title}", "bold")], []])
    print_fields({"Meaning": rule.meaning, "Why": rule.why, "Fix": rule.advice, "More": link_rule(rule.id)})


def print_finding(finding: Finding, report: Report, commands: Commands, *, as_json: bool) -> None:
    """Print a finding with its evidence and what to do."""
    explained = explain_finding(finding, report)
    if as_json:
        facts = {**explained, **explained["remedy"], "generatedAt": report.generatedAt}
        print_json({name: value for name, value in facts.items() if name != "remedy"})
        return
    print_lines([[(f"{finding.severity.upper()}  {finding.summary}", "bold")], []])
    accepted = finding.accepted
    print_fields(
        {
            "Rule": explained["title"],
            "Meaning": explained["meaning"],
            "Why": explained["why"],
            "Evidence": [*finding.evidence],
            "Place": finding.place and finding.place.title,
            "Owner": finding.owner and finding.owner.title,
            "First seen": finding.firstSeen and format_day(finding.firstSeen, report.generatedAt),
            "Accepted": accepted and accepted.reason,
            "Fix": finding.remedy.advice,
        }
    )
    print_lines([[(f"  {commands.format(format_call(finding.remedy))}", COMMAND)]])
    print_fields({"More": link_rule(finding.rule)})
