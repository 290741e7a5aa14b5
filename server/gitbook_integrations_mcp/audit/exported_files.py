"""Exported reports: their addresses as resources, and private files of them on the user's machine."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from gitbook_integrations_api.choices import ExportFormat
from gitbook_integrations_api.resources import RESOURCES
from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.store.location import locate_store

MAX_FILES = 50
"""Maximum number of files that are kept. The oldest ones are deleted."""

_SUFFIXES: dict[ExportFormat, str] = {"html": "html", "markdown": "md", "csv": "csv", "sarif": "sarif", "json": "json"}


def write_report_uri(organization: str, report_id: str, form: ExportFormat) -> str:
    """Return the address of a kept report as a resource."""
    values = {"organizationId": organization, "reportId": report_id, "format": form}
    template = RESOURCES["exported_report"].path_template
    return template.format(**{name: quote(value, safe="") for name, value in values.items()})


def name_file(report_id: str, form: ExportFormat) -> str:
    """Return the name of the file of a kept report."""
    return f"audit-{report_id}.{_SUFFIXES[form]}"


class ExportedFiles:
    """Files in the folder of the store, or in a temporary folder if the store is no file. Only the user can read them.

    A report never changes, so neither does its file.
    """

    def __init__(self, settings: Settings) -> None:
        path = locate_store(settings).path
        self._folder = path.parent / "reports" if path else None

    def write(self, name: str, render: Callable[[], str]) -> Path:
        """Write what `render` returns to a file if it does not exist yet, and return its path.

        Raises:
            OSError: it cannot be written.
        """
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=f"{NAME}-"))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / name
        if path.exists():
            return path
        text = render()
        number, unfinished = tempfile.mkstemp(dir=self._folder)  # which only the user can read
        try:
            with os.fdopen(number, "w", encoding="utf-8", errors="replace", newline="\n") as file:
                file.write(text)
            Path(unfinished).replace(path)
        except OSError:
            Path(unfinished).unlink(missing_ok=True)
            raise
        with suppress(OSError):  # another process deletes old files, too
            files = sorted(self._folder.glob("audit-rep_*"), key=lambda each: each.stat().st_mtime, reverse=True)
            for old in files[MAX_FILES:]:
                old.unlink(missing_ok=True)
        return path
