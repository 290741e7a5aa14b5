"""The report as one self-contained HTML file without external requests, also shown by hosts of MCP Apps.

The template fills in title, styles, scripts and data; `report.js` builds the page from the data in the browser. Values
are escaped by Jinja2. `tojson` escapes `<`, `>`, `&` and `'`, so that no text of a report can end its script element.
"""

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.digest import csp_hash


def render_page(report: Report) -> str:
    """Return the page of a report."""
    title = f"Installation audit of {report.organization.title or report.organization.id}"
    return _render(title, report.model_dump(mode="json"), "report.js")


def render_app() -> str:
    """Return the page without a report. It receives one from its host (MCP Apps)."""
    return _render("Installation audit", None, "report.js", "host.js")


def _render(title: str, report: dict[str, Any] | None, *scripts: str) -> str:
    return _load_template().render(
        title=title, report=report, style=_read_asset("report.css"), scripts=[_read_asset(name) for name in scripts]
    )


@cache
def _load_template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    environment.globals["csp_hash"] = csp_hash
    return environment.from_string(_read("report.html.jinja"))


@cache
def _read_asset(name: str) -> Markup:
    """Return a style sheet or script of this package. Its text is trusted and must not be escaped."""
    return Markup(_read(name))  # noqa: S704


def _read(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")
