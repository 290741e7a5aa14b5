"""How long a result may be, and how it is made to fit: lists lose whole items, objects lose the ends of their texts."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic_core import to_json

from gitbook_integrations_mcp.calls.view import View, mark_cut
from gitbook_integrations_mcp.tokens import estimate_answer

_STEPS = ((10**9, None), (8000, None), (2000, None), (500, None), (100, None), (100, 100), (40, 10))
"""Characters of a text, and entries of a list or object, that are tried one after the other."""

_FIELD = 1000
"""Bytes of a field that stays whole when nothing else helps."""

_ENVELOPE = 300
"""Tokens kept free for what is beside the content: cursor, count, a note."""

REST = "the operator sets limits.result_tokens"


class Budget:
    """At most about so many tokens for the result of one call."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def holds(self, value: Any) -> bool:
        """Whether `value` fits."""
        return self.measure(value) + _ENVELOPE <= self.tokens

    def measure(self, value: Any) -> float:
        """Return about how many tokens `value` costs."""
        return estimate_answer(to_json(value))

    def count_fitting(self, items: Iterable[Any], used: float) -> int:
        """Return how many of `items`, from the first, fit beside what is `used`, in tokens."""
        count = 0
        for item in items:
            used += self.measure(item)
            if used + _ENVELOPE > self.tokens:
                break
            count += 1
        return count

    def fit(self, thing: Mapping[str, Any], view: View) -> dict[str, Any]:
        """Return an object as `view` shows it; where that is too long, cut, and with a note that says so."""
        shown: dict[str, Any] = view.show(thing)
        if self.holds(shown):
            return shown
        note = f"Cut to fit into {self.tokens:,} tokens; what is cut is marked."
        return {**self.squeeze(thing, view), "note": note}

    def squeeze(self, thing: Mapping[str, Any], view: View) -> dict[str, Any]:
        """Return an object as `view` shows it, with its longest parts cut so that it fits, each cut with a marker."""
        for characters, entries in _STEPS:
            shorter = replace(view, characters=min(characters, view.characters or characters), rest=REST)
            squeezed: dict[str, Any] = shorter.show(thing)
            if entries is not None:
                squeezed = _drop(squeezed, entries)
            if self.holds(squeezed):
                return squeezed
        return self._keep_short_fields(view.show(thing))

    def _keep_short_fields(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in shown.items():
            size = len(to_json(value))
            kept[key[:_FIELD]] = value if size <= _FIELD else mark_cut(size, REST)
            if not self.holds(kept):
                kept.popitem()
                break
        return kept


UNLIMITED = Budget(10**9)
"""For what no model reads."""


def _drop(value: Any, entries: int) -> Any:
    """Return `value` with no more than so many entries in each list and object of it."""
    more = len(value) - entries if isinstance(value, dict | list) else 0
    if isinstance(value, list):
        kept = [_drop(item, entries) for item in value[:entries]]
        return [*kept, mark_cut(more, REST, "entries")] if more > 0 else kept
    if isinstance(value, dict):
        fields = {key: _drop(child, entries) for key, child in list(value.items())[:entries]}
        return {**fields, "…": mark_cut(more, REST, "fields")} if more > 0 else fields
    return value
