"""The report as one self-contained HTML file without external requests, also shown by hosts of MCP Apps.

Jinja2 renders the whole page, so that it can be read, printed and forwarded without JavaScript; `report.js` adds
filters, sorting and buttons. Values are escaped by Jinja2. `tojson` escapes `<`, `>`, `&` and `'`, so that no text of a
report can end its script element.
"""

from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from gitbook_integrations_api.report import Change, Report
from gitbook_integrations_mcp.audit.problems import (
    MOST_FIRST,
    describe_verdict,
    format_command,
    format_day,
    group_findings,
    link_rule,
)
from gitbook_integrations_mcp.audit.render.html.charts import draw_trend
from gitbook_integrations_mcp.audit.render.html.matrices import build_place_matrix, build_scope_matrix
from gitbook_integrations_mcp.audit.render.tables import render_csv
from gitbook_integrations_mcp.digest import csp_hash
from gitbook_integrations_mcp.text import format_count

MANY_ROWS = 500
"""From this number of rows on, a browser lays out those of a list only when they come into view."""


def render_page(report: Report) -> str:
    """Return the page of a report."""
    return (
        _get_environment()
        .get_template("report.html.jinja")
        .render(
            title=f"Installation audit of {report.organization.name}",
            report=report,
            data=report.model_dump(mode="json"),
            csv=render_csv(report, "findings"),
            verdict=list(describe_verdict(report)),
            problems=group_findings(report),
            accepted=[finding for finding in report.findings if finding.accepted],
            scopes=build_scope_matrix(report),
            places=build_place_matrix(report),
            all_changes=_list_changes(report),
            trend=draw_trend(report),
            scripts=["report.js"],
        )
    )


def _list_changes(report: Report) -> list[tuple[str, list[str]]]:
    """Return what changed since the earlier report, as text under headings."""
    if (changes := report.comparison) is None:
        return []
    new, reopened = set(changes.newFindings), set(changes.reopened)
    return [
        ("New findings", [finding.summary for finding in report.findings if finding.id in new]),
        ("Reopened", [finding.summary for finding in report.findings if finding.id in reopened]),
        ("Fixed", [finding.summary for finding in changes.fixed]),
        ("Added", [_describe_change(change) for change in changes.added]),
        ("Removed", [_describe_change(change) for change in changes.removed]),
        ("Changed", [_describe_change(change) for change in changes.changed]),
        ("Could not be compared", list(changes.undecided)),
    ]


def _describe_change(change: Change) -> str:
    difference = f": {change.field} {change.before} → {change.after}" if change.field else ""
    return f"{change.kind} {change.title}{difference}"


def render_app() -> str:
    """Return the page without a report. It receives one from its host (MCP Apps)."""
    return (
        _get_environment()
        .get_template("page.html.jinja")
        .render(title="Installation audit", scripts=["report.js", "host.js"])
    )


@cache
def _get_environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    environment.globals |= {
        "csp_hash": csp_hash,
        "read_asset": _read_asset,
        "format_command": format_command,
        "link_rule": link_rule,
        "format_day": format_day,
        "format_count": format_count,
        "most_first": MOST_FIRST,
        "many_rows": MANY_ROWS,
    }
    return environment


@cache
def _read_asset(name: str) -> Markup:
    """Return a style sheet or script of this package. Its text is trusted and must not be escaped."""
    return Markup(_read(name))  # noqa: S704


def _read(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")
