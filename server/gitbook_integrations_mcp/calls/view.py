"""What a model is shown of an answer: no credentials, no hidden characters, and no more text than it needs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_api.options import Options
from gitbook_integrations_mcp.calls.masking import MASK, MaskingScope, holds_no_scope
from gitbook_integrations_mcp.calls.related import find_item_reader
from gitbook_integrations_mcp.text import hides_nothing, strip_unseen

_LISTED = 300
"""Characters shown of a text in a summary; no name and no description of GitBook's is as long."""

_ENCODED = re.compile(r"data:[^,]{0,200},|[A-Za-z0-9+/_=-]{256}")
"""What no model reads: data URLs and Base64."""

_ENCODED_SHOWN = 40
_MARKER = re.compile(r"\[cut: ([0-9]{1,12}) more (?:characters|entries|fields); [^\[\]]*\]\Z")
_MARKER_ROOM = 100
"""A text this little too long is shown whole, as its marker would be no shorter."""


@dataclass(frozen=True, slots=True)
class View:
    """A way of showing JSON: at most so many characters of a text (None: all of them), and where the rest is.

    With `reveal`, credentials are shown.
    """

    characters: int | None = None
    rest: str = ""
    reveal: bool = False

    def show(self, value: Any) -> Any:
        """Return `value` as it is shown; keys stay as many and in order."""
        if self.characters is None:
            json = to_json(value).decode()
            if hides_nothing(json) and (self.reveal or holds_no_scope(json)):
                return value  # as most answers are, and a look at their JSON costs a tenth of going through them
        return self._show(value, MaskingScope.SCHEMA if self.reveal else MaskingScope.OPEN)

    def _show(self, value: Any, secrecy: MaskingScope) -> Any:
        if isinstance(value, str):
            if secrecy is not MaskingScope.OPEN and secrecy.hides(value):
                return MASK
            return self._cut(strip_unseen(value))
        if isinstance(value, dict):
            return {
                name: self._show(value[key], secrecy.descend(key, value)) for name, key in show_names(value).items()
            }
        if isinstance(value, list):
            return [self._show(item, secrecy) for item in value]
        return MASK if secrecy.hides(value) else value

    def _cut(self, text: str) -> str:
        if self.characters is None or len(text) <= _ENCODED_SHOWN + _MARKER_ROOM:
            return text
        kept = min(self.characters, _ENCODED_SHOWN if _ENCODED.match(text) else self.characters)
        if len(text) <= kept + _MARKER_ROOM:
            return text
        return text[:kept] + mark_cut(len(text) - kept, self.rest)


def mark_cut(number: int, rest: str, what: str = "characters") -> str:
    """Return what is put in the place of what is not shown."""
    return f"[cut: {number} more {what}; {rest}]"


def show_names(thing: Iterable[str]) -> dict[str, str]:
    """Return the keys of an object by what each is shown as: as many, in order, no two alike."""
    shown: dict[str, str] = {}
    for key in thing:
        name = strip_unseen(key)
        while name in shown:
            name += "'"
        shown[name] = key
    return shown


def stands_for(shown: str, text: str) -> bool:
    """Whether `shown` is what some view, without masks, shows of `text`."""
    whole = strip_unseen(text)
    if shown == whole:
        return True
    marker = _MARKER.search(shown)
    return marker is not None and (
        whole.startswith(shown[: marker.start()]) and len(whole) == marker.start() + int(marker[1])
    )


def holds_mark(text: str) -> bool:
    """Whether `text` ends with the marker of a cut."""
    return _MARKER.search(text) is not None


def choose_view(endpoint: Endpoint, options: Options, *, reveal: bool) -> View:
    """Return how the answer to a call is shown: whole, unless it is a list of summaries."""
    if not endpoint.is_list or options.detail == "full":
        return View(reveal=reveal)
    reader = find_item_reader(endpoint)
    return View(_LISTED, reader.name if reader else "detail: full", reveal)
