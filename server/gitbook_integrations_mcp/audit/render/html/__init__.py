"""The report as a page: one file that asks nobody for anything, to keep, to send, and to show beside a chat."""

import json
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.digest import csp_hash


@cache
def _read(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")


def render_page(report: Report) -> str:
    """Return the page of a report."""
    # Only "<" could end the element that holds the data; everything else stays JSON.
    data = json.dumps(report.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    title = f"Installation audit of {report.organization.title or report.organization.id}"
    return _fill(title, f'<script type="application/json" id="data">{data}</script>')


def render_app() -> str:
    """Return the page without a report: it gets one from the host that shows it (MCP Apps)."""
    return _fill("Installation audit", host=_read("host.js"))


def _fill(title: str, data: str = "", host: str = "") -> str:
    style, script = _read("report.css"), _read("report.js")
    return Template(_read("report.html")).substitute(
        title=escape(title),
        style=style,
        style_source=csp_hash(style),
        script=script,
        script_sources=" ".join(csp_hash(text) for text in (script, host) if text),
        data=data,
        host=f"<script>{host}</script>" if host else "",
    )
