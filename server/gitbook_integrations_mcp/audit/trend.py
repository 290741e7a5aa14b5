"""The open findings over time. Each report continues the trend of earlier ones, so that no other report is needed."""

from collections.abc import Sequence

from gitbook_integrations_api.report import Report, TrendPoint

MAX_POINTS = 60
"""Maximum number of audits in a trend. The oldest ones are forgotten."""


def continue_trend(report: Report, earlier: Sequence[Report]) -> Report:
    """Return a report with the trend of `earlier` reports on the same part of the same organization, and its own."""
    like = [each for each in earlier if each.organization.id == report.organization.id]
    points = {point.time: point for each in like for point in (*each.trend, _describe(each))}
    points[report.generatedAt] = _describe(report)
    last_of_day = {time[:10]: point for time, point in sorted(points.items())}
    return report.model_copy(update={"trend": tuple(last_of_day.values())[-MAX_POINTS:]})


def _describe(report: Report) -> TrendPoint:
    return TrendPoint(time=report.generatedAt, findings=report.figures.findings, complete=report.coverage.complete)
