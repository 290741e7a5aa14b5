"""The cost of the jobs as one Markdown table."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from tests.benchmarks.report import start_table, write_row
from tests.evaluations.job import Job
from tests.evaluations.runner import Cost


class Column(NamedTuple):
    """The costs on one server: tokens of its list of tools, and the cost of each job by name; None if impossible."""

    listed: int
    costs: Mapping[str, Cost | None]


def render(jobs: Sequence[Job], columns: Mapping[str, Column]) -> str:
    """Return the table of all servers. The sums are over the jobs that all can do."""
    header = ["job", *(f"{name}: {what}" for name in columns for what in ("calls", "tokens"))]
    rows = [(job.name, [_show(column.costs[job.name]) for column in columns.values()]) for job in jobs]
    shared = [job.name for job in jobs if all(column.costs[job.name] for column in columns.values())]
    rows.append((f"the {len(shared)} that all can do", [_show(_add(each.costs, shared)) for each in columns.values()]))
    rows.append(("reading the list of tools", [("", f"{column.listed:,}") for column in columns.values()]))
    return "\n".join([*start_table(header), *(write_row([name, *chain(*cells)]) for name, cells in rows)])


def _add(costs: Mapping[str, Cost | None], names: Sequence[str]) -> Cost:
    paid = [cost for name in names if (cost := costs[name])]
    return Cost(sum(cost.calls for cost in paid), sum(cost.tokens for cost in paid))


def _show(cost: Cost | None) -> tuple[str, str]:
    return (str(cost.calls), f"{cost.tokens:,}") if cost else ("–", "–")
