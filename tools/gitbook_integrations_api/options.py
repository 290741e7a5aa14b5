"""Arguments of this server's own, beside GitBook's: how much of a list comes back, and the proof of a second step."""

from typing import Annotated, Literal

from pydantic import Field

from gitbook_integrations_api.endpoint import Endpoint, Input, Tool
from gitbook_integrations_api.schema import ABSENT

CONFIRMATION_ARGUMENT = "confirmationId"
"""Argument that the second of two deliberate steps carries."""

MOST_ITEMS = 500
"""Items that all pages together may have where nothing else is asked for."""


class Options(Input):
    """All of them; a tool takes some. None has the name of a parameter of GitBook's.

    Those of lists are in every list's schema and are described once, in the server's instructions.
    """

    detail: Literal["summary", "full"] = ABSENT
    fetchAll: bool = False
    maxItems: Annotated[int, Field(ge=1, le=5000, json_schema_extra=lambda schema: schema.pop("minimum"))] = ABSENT
    confirmationId: Annotated[str, Field(description="From this tool's answer")] = ABSENT


def name_options(tool: Tool) -> tuple[str, ...]:
    """Return which options a tool takes, whatever the settings: a list tells how much, and one with pages how many."""
    if not isinstance(tool, Endpoint) or not tool.is_list:
        return ()
    return ("detail", "fetchAll", "maxItems") if tool.is_paged else ("detail",)
