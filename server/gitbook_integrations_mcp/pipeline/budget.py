"""The token budget of a result. Lists that are too long lose whole items, objects the ends of their texts."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic_core import to_json

from gitbook_integrations_mcp.calls.view import View, format_marker
from gitbook_integrations_mcp.tokens import estimate_result

_STEPS = ((10**9, None), (8000, None), (2000, None), (500, None), (100, None), (100, 100), (40, 10))
"""Limits that are tried in order: characters of a text, and entries of a list or object."""

_SHORT_FIELD = 1000
"""Longest field, in bytes, that stays whole when even the last limits do not suffice."""

_ENVELOPE = 300
"""Tokens reserved for cursor, count and note."""

REST = "the operator sets limits.result_tokens"


class Budget:
    """The approximate maximum number of tokens in the result of one call."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def holds(self, value: Any) -> bool:
        """Whether `value` fits."""
        return self.measure(value) + _ENVELOPE <= self.tokens

    def measure(self, value: Any) -> float:
        """Return about how many tokens `value` costs."""
        return estimate_result(to_json(value))

    def count_fitting(self, costs: Iterable[float], used: float) -> int:
        """Return how many items, from the first on, fit in addition to `used` tokens; `costs` are their tokens."""
        count = 0
        for cost in costs:
            used += cost
            if used + _ENVELOPE > self.tokens:
                break
            count += 1
        return count

    def fit(self, content: Mapping[str, Any], view: View) -> dict[str, Any]:
        """Return an object as `view` shows it. If that is too long, it is cut and gets a note that says so."""
        shown: dict[str, Any] = view.show(content)
        if self.holds(shown):
            return shown
        note = f"Cut to fit into {self.tokens:,} tokens; [cut: …] marks each place."
        return {**self.shorten(content, view), "note": note}

    def shorten(self, content: Mapping[str, Any], view: View) -> dict[str, Any]:
        """Return an object as `view` shows it, its longest parts cut so that it fits; a marker replaces each part."""
        for characters, entries in _STEPS:
            shorter = replace(view, characters=min(characters, view.characters or characters), rest=REST)
            shortened: dict[str, Any] = shorter.show(content)
            if entries is not None:
                shortened = _limit_entries(shortened, entries)
            if self.holds(shortened):
                return shortened
        return self._keep_short_fields(view.show(content))

    def _keep_short_fields(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in shown.items():
            size = len(to_json(value))
            kept[key[:_SHORT_FIELD]] = value if size <= _SHORT_FIELD else format_marker(size, REST)
            if not self.holds(kept):
                kept.popitem()
                break
        return kept


UNLIMITED = Budget(10**9)
"""For results that no model reads."""


def _limit_entries(value: Any, entries: int) -> Any:
    """Return `value` with at most `entries` entries in each list and object."""
    more = len(value) - entries if isinstance(value, dict | list) else 0
    if isinstance(value, list):
        kept = [_limit_entries(item, entries) for item in value[:entries]]
        return [*kept, format_marker(more, REST, "entries")] if more > 0 else kept
    if isinstance(value, dict):
        fields = {key: _limit_entries(child, entries) for key, child in list(value.items())[:entries]}
        return {**fields, "…": format_marker(more, REST, "fields")} if more > 0 else fields
    return value
