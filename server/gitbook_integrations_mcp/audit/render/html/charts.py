"""The trend of the open findings as a drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

from gitbook_integrations_api.choices import SEVERITIES, Severity
from gitbook_integrations_api.report import Report, TrendPoint

WIDTH, HEIGHT = 320, 56
"""Size of the drawing in pixels."""


@dataclass(frozen=True, slots=True)
class Line:
    """The findings of one severity over time, as the points of an SVG polyline."""

    severity: Severity
    points: str


@dataclass(frozen=True, slots=True)
class Trend:
    """The lines, and the audits that they connect."""

    lines: Sequence[Line]
    points: Sequence[TrendPoint]


def draw_trend(report: Report) -> Trend | None:
    """Return the trend, or None if there is only one audit."""
    points = report.trend
    if len(points) < 2:
        return None
    most = max(1, *(number for point in points for number in point.findings.values()))
    step = (WIDTH - 8) / (len(points) - 1)

    def draw(severity: Severity) -> str:
        return " ".join(
            f"{4 + number * step:.1f},{HEIGHT - 4 - (HEIGHT - 8) * point.findings.get(severity, 0) / most:.1f}"
            for number, point in enumerate(points)
        )

    return Trend([Line(severity, draw(severity)) for severity in SEVERITIES], points)
