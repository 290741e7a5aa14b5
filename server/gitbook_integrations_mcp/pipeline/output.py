"""What a call answers."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Output:
    """Structured content and, where there is something better to read than its JSON, the same in words."""

    content: dict[str, Any]
    text: str | None = None
