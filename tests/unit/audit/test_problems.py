"""A report begins with a verdict, and with the open findings by rule, each with a command that can be pasted."""

import shlex

import pytest

from gitbook_integrations_api.report import Acceptance, Comparison, Narrowing, Remedy
from gitbook_integrations_mcp.audit.problems import describe_verdict, format_command, format_day, group_findings
from tests.support.sandbox_audit import audit


def test_the_verdict_counts_open_and_new_findings_and_says_whether_the_audit_is_complete() -> None:
    report = audit()
    new = tuple(finding.id for finding in report.findings[:3])
    baseline = f"{report.generatedAt[:4]}-10-25T00:00:00Z"
    changes = Comparison(baseline=baseline, baselineComplete=True, newFindings=new)
    figures = report.figures.model_copy(update={"findings": {"high": 9, "medium": 0, "low": 2}})
    compared = report.model_copy(update={"comparison": changes, "figures": figures})
    since = "new since the audit of 25 Oct"
    assert [text for _, text in describe_verdict(compared)] == ["9 high", "2 low", f"3 {since}", "complete"]
    changes = Comparison(baseline=baseline, baselineComplete=True, reopened=new)
    reopened = compared.model_copy(update={"comparison": changes})
    assert [text for _, text in describe_verdict(reopened)][2:4] == [f"none {since}", "3 reopened"]
    accepted = compared.model_copy(update={"figures": figures.model_copy(update={"accepted": 4})})
    assert [text for _, text in describe_verdict(accepted)][2] == "4 accepted"
    partly = report.rules[0].model_copy(update={"outcome": "partly"})
    off = report.rules[1].model_copy(update={"outcome": "off"})
    for rules, said in (((partly, off, *report.rules[2:]), "1 rule not fully checked"), ((off,), "complete")):
        checked = compared.model_copy(update={"rules": rules})
        assert [text for _, text in describe_verdict(checked)][-1] == said
    none = figures.model_copy(update={"findings": {"high": 0, "medium": 0, "low": 0}})
    coverage = report.coverage.model_copy(update={"complete": False})
    clean = report.model_copy(update={"figures": none, "coverage": coverage})
    assert [text for _, text in describe_verdict(clean)] == ["no open findings", "INCOMPLETE"]


def test_the_verdict_on_a_part_of_an_organization_says_so() -> None:
    narrowed = audit().model_copy(update={"narrowing": Narrowing(integrations=("slack", "github"), sites=("site_1",))})
    assert [text for _, text in describe_verdict(narrowed)][-1] == "limited to 2 integrations and 1 site"


def test_problems_are_the_open_findings_by_rule_the_most_severe_first() -> None:
    report = audit()
    first = report.findings[0].model_copy(update={"accepted": Acceptance(reason="known", date="2026-01-01")})
    problems = group_findings(report.model_copy(update={"findings": (first, *report.findings[1:])}))
    grouped = [finding.id for problem in problems for finding in problem.findings]
    assert sorted(grouped) == sorted(finding.id for finding in report.findings[1:])
    severities = [problem.severity for problem in problems]
    assert severities == sorted(severities, key=["high", "medium", "low"].index)
    assert all(finding.rule == problem.rule.id for problem in problems for finding in problem.findings)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"integrationName": "slack"}, ["integrationName=slack"]),
        ({"a": "$(touch x)'; `y` & z"}, ["a=$(touch x)'; `y` & z"]),
        ({"a": "x", "spaces": ["s"]}, ['{"a": "x", "spaces": ["s"]}']),
    ],
)
def test_a_command_runs_nothing_but_the_call(arguments: dict[str, object], words: list[str]) -> None:
    command = format_command(Remedy(tool="uninstall_integration", arguments=arguments, advice=""))
    assert shlex.split(command) == ["gitbook-integrations-mcp", "call", "uninstall_integration", *words]


@pytest.mark.parametrize(
    ("moment", "day"), [("2026-10-05T01:02:03Z", "5 Oct"), ("2025-10-25T00:00:00Z", "25 Oct 2025"), ("?", "?")]
)
def test_days_have_a_year_only_if_it_is_another_one(moment: str, day: str) -> None:
    assert format_day(moment, "2026-11-26T00:00:00Z") == day


@pytest.mark.parametrize("moment", ["2026-11-26T01:02:03Z", "2026-11-26T02:32:03+01:30"])
def test_a_moment_of_the_same_day_has_its_time(moment: str) -> None:
    assert format_day(moment, "2026-11-26T09:00:00Z") == "26 Nov, 01:02 UTC"
