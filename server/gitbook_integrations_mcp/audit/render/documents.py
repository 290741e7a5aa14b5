"""A whole report as a document, in any of the formats that can be exported."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gitbook_integrations_api.choices import ExportFormat
from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.audit.render.markdown import render_report
from gitbook_integrations_mcp.audit.render.sarif import render_sarif
from gitbook_integrations_mcp.audit.render.tables import render_csv

MIME_TYPES: Mapping[ExportFormat, str] = MappingProxyType(
    {
        "html": "text/html",
        "markdown": "text/markdown",
        "csv": "text/csv",
        "sarif": "application/sarif+json",
        "json": "application/json",
    }
)


def render_document(report: Report, form: ExportFormat) -> str:
    """Return a report in a format; as CSV, its findings."""
    return _RENDERERS[form](report)


def _render_html(report: Report) -> str:
    from gitbook_integrations_mcp.audit.render.html import render_page  # imports Jinja2

    return render_page(report)


_RENDERERS: Mapping[ExportFormat, Callable[[Report], str]] = {
    "html": _render_html,
    "markdown": render_report,
    "csv": lambda report: render_csv(report, "findings"),
    "sarif": render_sarif,
    "json": lambda report: report.model_dump_json(indent=2) + "\n",
}
