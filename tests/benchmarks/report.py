"""The results as one Markdown table, under a line that says where they were taken."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median, quantiles

from tests.benchmarks.measure import Metric, Results
from tests.benchmarks.subject import Subject

PACKAGES = ("mcp", "pydantic", "httpx", "rich", "sniffio")
"""What the numbers depend on; the last two for the baseline's sake, see `BARE` of the command."""

FORMATS = {
    "s": "{:,.2f} s",
    "ms": "{:,.2f} ms",
    "MiB": "{:,.1f} MiB",
    "tokens": "{:,.0f}",
    "calls/s": "{:,.0f}",
    "×": "{:,.2f}×",
    "": "{:,.0f}",
}
NONE = "–"


def render(results: Results, subjects: Sequence[Subject], runs: int, metrics: Sequence[Metric]) -> str:
    """Return the report. The first subject is the product, the second the baseline; more of them are peers."""
    names = [subject.name for subject in subjects]
    header = ["metric", *names[:2], "ratio", "target", *names[2:]]
    lines = [_place(runs), "", *start_table(header)]
    for metric in metrics:
        ratios = results.ratios(metric, names[0], names[1])
        ratio = median(ratios) if ratios else None
        values = [_value(results, metric, name) for name in names]
        target = _target(metric, ratio, median(results.values[metric, names[0]]))
        shown = NONE if ratio is None else f"{ratio:.2f}×"
        lines.append(write_row([metric.title, *values[:2], shown, target, *values[2:]]))
    return "\n".join([*lines, *_explain_gaps(results)])


def _explain_gaps(results: Results) -> list[str]:
    """Return why cells are empty, each reason once."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for (what, name), why in results.gaps.items():
        reasons.setdefault((what, _shorten(why)), []).append(name)
    gaps = [f"- {what}, {', '.join(names)}: {why}." for (what, why), names in reasons.items()]
    return ["", f"{NONE} was not, or could not be, measured:", "", *gaps] if gaps else []


def _shorten(reason: str) -> str:
    """Return the first line of a reason, and no more of it than tells what it is."""
    line = reason.strip().partition("\n")[0]
    return line if len(line) <= 160 else f"{line[:159]}…"


def start_table(header: Sequence[str]) -> list[str]:
    return [write_row(header), write_row([":---", *["---:"] * (len(header) - 1)])]


def write_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _value(results: Results, metric: Metric, subject: str) -> str:
    values = results.values.get((metric, subject))
    if not values:
        return NONE
    text = FORMATS[metric.unit].format(median(values))
    if metric.unit != "ms" or len(values) < 3:
        return text
    low, _, high = quantiles(values, n=4)
    return f"{text} ± {(high - low) / 2:.2f}"


def _target(metric: Metric, ratio: float | None, value: float) -> str:
    if metric.most_ratio is not None and ratio is not None:
        return f"≤ {metric.most_ratio:.2f}× {'✓' if ratio <= metric.most_ratio else '✗'}"
    if metric.least_ratio is not None and ratio is not None:
        return f"≥ {metric.least_ratio:.2f}× {'✓' if ratio >= metric.least_ratio else '✗'}"
    if metric.most is not None:
        return f"≤ {metric.most:,} {'✓' if value <= metric.most else '✗'}"
    return ""


def _place(runs: int) -> str:
    packages = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, Python {platform.python_version()}, {packages}, {_cpu_model()} × "
        f"{os.cpu_count()}. Medians of {runs} interleaved runs ± half the interquartile range; a ratio is the median "
        "of the ratios of neighbouring measurements."
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
