"""Arguments that this server adds to GitBook's: how much of a list is returned, when something ends, a confirmation."""

from typing import Annotated, Literal

from pydantic import Field

from gitbook_integrations_api.endpoint import Endpoint, Input, Tool
from gitbook_integrations_api.schema import ABSENT

CONFIRMATION_ARGUMENT = "confirmationId"
"""Argument of the second call in a two-step confirmation."""

MOST_ITEMS = 500
"""Default maximum number of items that `fetchAll` returns."""


DURATION = r"^[1-9][0-9]{0,4}[smhd]$"
"""A duration: a number of seconds, minutes, hours or days."""


DEFAULT_DURATION = "2h"
"""Duration of development mode if neither a call nor the operator sets one."""


class Options(Input):
    """All options; each tool takes some of them. GitBook has no parameter with one of these names."""

    detail: Annotated[Literal["summary", "full"], Field(description="full: all fields")] = ABSENT
    fetchAll: Annotated[bool, Field(description="Return all pages")] = False
    maxItems: Annotated[int, Field(ge=1, le=5000, description=f"With fetchAll; default {MOST_ITEMS}")] = ABSENT
    duration: Annotated[
        str,
        Field(
            alias="for",
            pattern=DURATION,
            description=f"30m, 1d; default {DEFAULT_DURATION} or the operator's",
        ),
    ] = ABSENT
    confirmationId: Annotated[str, Field(description="After approval: ID from the first result")] = ABSENT


def name_options(tool: Tool) -> tuple[str, ...]:
    """Return the options that a tool takes under any settings.

    These are `detail` for lists, three for lists with pages, and `for` where the server ends what a call begins.
    """
    if not isinstance(tool, Endpoint) or not tool.is_list:
        return ("for",) if isinstance(tool, Endpoint) and tool.ended_by else ()
    return ("detail", "fetchAll", "maxItems") if tool.is_paged else ("detail",)
