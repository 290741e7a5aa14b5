"""A report counts the open findings of earlier audits, without reading them again."""

from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.audit.trend import MAX_POINTS, continue_trend
from tests.support.sandbox_audit import audit


def date(report: Report, moment: str) -> Report:
    return report.model_copy(update={"generatedAt": moment})


def test_a_trend_has_the_last_audit_of_each_day() -> None:
    report = audit()
    first = continue_trend(date(report, "2026-10-01T08:00:00Z"), [])
    second = continue_trend(date(report, "2026-10-02T08:00:00Z"), [first])
    third = continue_trend(date(report, "2026-10-02T09:00:00Z"), [first, second])
    assert [point.time for point in third.trend] == ["2026-10-01T08:00:00Z", "2026-10-02T09:00:00Z"]
    assert all(point.findings == report.figures.findings for point in third.trend)


def test_a_trend_has_a_limit_and_nothing_of_other_organizations() -> None:
    report = audit()
    organization = report.organization.model_copy(update={"id": "other"})
    other = date(report.model_copy(update={"organization": organization}), "2026-09-01T00:00:00Z")
    assert len(continue_trend(report, [other]).trend) == 1
    latest = date(report, "2020-01-01T00:00:00Z")
    for number in range(MAX_POINTS + 3):
        month, day = divmod(number, 28)
        latest = continue_trend(date(report, f"2026-{month + 1:02}-{day + 1:02}T00:00:00Z"), [latest])
    assert len(latest.trend) == MAX_POINTS
