"""What the benchmark says of what it could not measure; its figures are no matter of a test."""

from collections.abc import Sequence

import pytest

from tests.benchmarks.measure import CPU_SMALL, START_UNSAVED, THROUGHPUT, Metric, Results
from tests.benchmarks.report import render
from tests.benchmarks.subject import Subject

US, BARE, PEER = (Subject(name, ()) for name in ("product", "baseline", "peer"))


def table(results: Results, metrics: Sequence[Metric]) -> list[str]:
    return render(results, [US, BARE, PEER], 1, metrics).splitlines()[2:]


def test_what_nobody_else_can_do_is_a_dash_with_its_reason() -> None:
    results = Results()
    results.add(Metric("audit", "s", most=2), US, 1.5)
    for name in (BARE, PEER):
        results.gaps["audit", name.name] = "it has no tool that audits\nand more that nobody reads"
    assert table(results, [Metric("audit", "s", most=2)])[2:] == [
        "| audit | 1.50 s | – | – | ≤ 2 ✓ | – |",
        "",
        "– was not, or could not be, measured:",
        "",
        "- audit, baseline, peer: it has no tool that audits.",
    ]


@pytest.mark.parametrize(
    ("metric", "ours", "theirs", "expected"),
    [
        (START_UNSAVED, 100.0, 100.0, "| 1.00× | ≤ 1.10× ✓ |"),
        (START_UNSAVED, 120.0, 100.0, "| 1.20× | ≤ 1.10× ✗ |"),
        (CPU_SMALL, 1.0, 2.0, "| 0.50× | ≤ 0.55× ✓ |"),
        (THROUGHPUT, 300.0, 200.0, "| 1.50× | ≥ 3.00× ✗ |"),
    ],
)
def test_a_ratio_is_to_the_bare_server_and_held_against_its_target(
    metric: Metric, ours: float, theirs: float, expected: str
) -> None:
    results = Results()
    for subject, value in ((US, ours), (BARE, theirs), (PEER, 1.0)):
        results.add(metric, subject, value)
    assert expected in table(results, [metric])[2]
