"""The result of a call, and the types of the functions that run composite tools and describe their effect."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitbook_integrations_mcp.calls.call import Call


@dataclass(frozen=True, slots=True)
class Document:
    """A file that a result links to. `render` returns its text; reading its resource calls it."""

    uri: str
    name: str
    title: str
    mime_type: str
    render: Callable[[], str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Output:
    """Structured content, and a text to show instead of its JSON, if there is a better one.

    `whole` says how to get the content if it is too long for a result. `document` is linked, not contained.
    """

    content: dict[str, Any]
    text: str | None = None
    whole: str = ""
    document: Document | None = None


Handler = Callable[[Call], Awaitable[Output]]
"""Runs a call of a composite tool. Raises `CallError` if the call fails."""

Describe = Callable[[Call], Awaitable[Sequence[tuple[str, str]]]]
"""Returns labelled texts about what a call of a composite tool would do, for its preview.

An approval holds while they stay the same. Raises `CallError` if the call cannot run.
"""
