"""The beginning of a report: a verdict, and the open findings grouped by rule with a command for each."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gitbook_integrations_api.choices import SEVERITIES, Severity
from gitbook_integrations_api.report import Finding, Remedy, Report, RuleOutcome
from gitbook_integrations_mcp import NAME, WEBSITE
from gitbook_integrations_mcp.text import clean_text, format_count

MOST_FIRST = 5
"""Maximum number of problems that a page, a terminal and a summary show first."""

MOST_NAMED = 5
"""Maximum number of integrations that a problem names."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The open findings of one rule with one severity; `new` are the IDs of those that an earlier report lacks."""

    rule: RuleOutcome
    severity: Severity
    findings: Sequence[Finding]
    new: frozenset[str]

    @property
    def subjects(self) -> str:
        """The integrations of the findings with their owners, as text: `heatlens (Heatlens Inc.)`."""
        named: dict[str, str] = {}
        for finding in self.findings:
            if (name := finding.subject.integration or finding.subject.script) and name not in named:
                owner = finding.owner and finding.owner.name
                named[name] = f"{name} ({owner})" if owner else name
        more = len(named) - MOST_NAMED
        return ", ".join([*list(named.values())[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])])

    @property
    def advice(self) -> str:
        """Advice to read before the fix."""
        return self.findings[0].remedy.advice


def group_findings(report: Report) -> list[Problem]:
    """Return the open findings by severity and rule: the most severe first, then in the order of the report."""
    groups: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in report.findings:
        if finding.accepted is None:
            groups.setdefault((finding.severity, finding.rule), []).append(finding)
    rules = {rule.id: rule for rule in report.rules}
    new = frozenset(report.comparison.newFindings if report.comparison else ())
    problems = [
        Problem(rules[rule], severity, findings, new & {finding.id for finding in findings})
        for (severity, rule), findings in groups.items()
    ]
    return sorted(problems, key=lambda problem: SEVERITIES.index(problem.severity))


def describe_verdict(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the parts of the verdict, each with a severity, `new`, `good` or `bad`: 9 high · 3 new · complete."""
    figures, changes = report.figures, report.comparison
    bound = "at least " if "findings" in figures.atLeast else ""
    open_findings = [(severity, figures.findings[severity]) for severity in SEVERITIES if figures.findings[severity]]
    yield from ((severity, f"{bound}{number:,} {severity}") for severity, number in open_findings)
    if not open_findings:
        yield "good", "no open findings"
    if figures.accepted:
        yield "good", f"{figures.accepted:,} accepted"
    if changes:
        since = f"since the audit of {format_day(changes.baseline, report.generatedAt)}"
        if changes.newFindings:
            yield "new", f"{len(changes.newFindings):,} new {since}"
        else:
            yield "good", f"none new {since}"
        if changes.reopened:
            yield "new", f"{len(changes.reopened):,} reopened"
    unchecked = sum(rule.outcome in {"partly", "unchecked"} for rule in report.rules)
    if not report.coverage.complete:
        yield "bad", "INCOMPLETE"
    elif unchecked:
        yield "bad", f"{format_count(unchecked, 'rule')} not fully checked"
    else:
        yield "good", "complete"
    if narrowing := report.narrowing.model_dump(exclude_none=True):
        yield (
            "bad",
            f"limited to {' and '.join(format_count(len(names), what[:-1]) for what, names in narrowing.items())}",
        )


def format_day(moment: str, now: str) -> str:
    """Return the day of a moment (ISO 8601) in words, with its year if it is not that of `now`.

    A moment of the same day has its time, too, because its day does not tell it from `now`.
    """
    try:
        day = datetime.fromisoformat(moment)
        day = day.astimezone(UTC) if day.tzinfo else day
    except (ValueError, OverflowError):
        return clean_text(moment, 30)
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[day.month - 1]
    if day.date().isoformat() == now[:10]:
        return f"{day.day} {month}, {day:%H:%M} UTC"
    return f"{day.day} {month}" if now.startswith(f"{day.year:04d}-") else f"{day.day} {month} {day.year}"


def format_command(remedy: Remedy) -> str:
    """Return the remedy as a command for a shell. Running it asks for approval, if the tool needs one."""
    return f"{NAME} {format_call(remedy)}"


def format_call(remedy: Remedy) -> str:
    """Return the remedy as the words of a command."""
    arguments = remedy.arguments
    if all(isinstance(value, str) for value in arguments.values()):
        words = [f"{name}={value}" for name, value in arguments.items()]
    else:
        words = [json.dumps(arguments)]
    return shlex.join(["call", remedy.tool, *words])


def link_rule(rule: str) -> str:
    """Return the URL of the documentation of a rule."""
    return f"{WEBSITE}reference/rules/#{rule}"
