"""What a call answers, and what does the work of a call that is not one request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from gitbook_integrations_mcp.calls.call import Call


@dataclass(frozen=True, slots=True)
class Output:
    """Structured content and, where there is something better to read than its JSON, the same in words."""

    content: dict[str, Any]
    text: str | None = None


Handler = Callable[[Call], Awaitable[Output]]
"""Runs a composite tool; raises a `CallError` where it cannot."""
