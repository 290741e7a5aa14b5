"""Closed lists of values that arguments of tools and flags of the command line share.

This module imports only `typing`, because the command line reads it before it knows which command runs.
"""

from typing import Literal, get_args

Outcome = Literal["unknown", "done", "incomplete", "failed", "not sent"]
"""The outcome of a change."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

ExportFormat = Literal["html", "markdown", "csv", "sarif", "json"]
"""The format of an audit's report."""
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)

Severity = Literal["high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The most severe first."""

TableName = Literal["installations", "places", "scripts", "findings"]
"""The tables of an audit's report."""
TABLE_NAMES: tuple[TableName, ...] = get_args(TableName)

Level = Literal["space", "site"]
"""The kinds of place on which integrations are enabled."""
LEVELS: tuple[Level, ...] = get_args(Level)
