"""Suggestions for misspelt names, and for titles that stand where an ID is due."""

import difflib
from collections.abc import Iterable, Mapping

from gitbook_integrations_mcp.text import clean_text, quote

MOST_MEANT = 3
"""Number of IDs or names of tools in a suggestion."""

_APP = "app.gitbook.com/"
_LIKENESS = 0.6
_TYPING_ERROR = 0.8
"""Likeness of an ID or title with a typing error to the right one. Names of different integrations are less alike."""
_LONGEST = 100
_MOST_VALUES = 20
_SHORTEST_PART = 3
"""Characters of a part of a title that say which title is meant."""
_PARTICLES = frozenset({"by", "id", "name", "in", "on", "from", "with", "for", "the", "all"})


def find_nearest(name: str, valid: Iterable[str], most: int = 1, likeness: float = _LIKENESS) -> list[str]:
    """Return up to `most` valid names similar to `name` in any case, the nearest first; `likeness` is from 0 to 1."""
    folded = {one.casefold(): one for one in valid}
    return [folded[one] for one in difflib.get_close_matches(name.casefold(), folded, n=most, cutoff=likeness)]


def find_alike(name: str, valid: Iterable[str]) -> list[str]:
    """Return up to `MOST_MEANT` names of tools that have the words or the letters of `name`, the nearest first."""
    name = name[:_LONGEST]  # the comparison of letters takes long for a long text
    words, scores = _split(name), dict[str, tuple[float, float]]()
    for one in valid:
        common, letters = len(words & _split(one)), difflib.SequenceMatcher(None, one, name).ratio()
        scores[one] = max(common / max(1, len(words)), letters), common / len(words | _split(one))
    nearest = sorted(scores, key=lambda one: scores[one], reverse=True)
    return [one for one in nearest if scores[one][0] >= _LIKENESS][:MOST_MEANT]


def _split(name: str) -> set[str]:
    """Return the words of a tool's name that say what it does."""
    return {*name.lower().split("_")} - _PARTICLES


def suggest(name: str, valid: Iterable[str], likeness: float = _LIKENESS) -> str:
    """Return a sentence that suggests the valid name nearest to `name`, or "" if none is similar."""
    nearest = find_nearest(name, valid, likeness=likeness)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def find_meant(given: str, titles: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the IDs that `given` is another name of: a title, a URL, or the ID in another case. `titles` are by ID."""
    folded = _fold(given)
    names = {folded, *folded.split("/")} if "://" in folded or folded.startswith(_APP) else {folded}
    return [one for one, named in titles.items() if not names.isdisjoint({one.casefold(), *map(_fold, named)})]


def find_partly_meant(given: str, titles: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the IDs that `given` is another name of, or else those of the titles of which it is a part."""
    if (meant := find_meant(given, titles)) or len(folded := _fold(given)) < _SHORTEST_PART:
        return meant
    return [identifier for identifier, named in titles.items() if any(folded in _fold(title) for title in named)]


def find_mistyped(given: str, titles: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the IDs that `given` is another name of or a part of, or else those that it is with a typing error."""
    if meant := find_partly_meant(given, titles):
        return meant
    folded = _fold(given[:_LONGEST])
    names = {identifier: [identifier.casefold(), *map(_fold, named)] for identifier, named in titles.items()}
    near = find_nearest(folded, [name for named in names.values() for name in named], MOST_MEANT, _TYPING_ERROR)
    return [identifier for identifier, named in names.items() if not {*near}.isdisjoint(named)]


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


def suggest_id(given: str, titles: Mapping[str, str]) -> str:
    """Return a sentence with the IDs that `given` probably stands for, or ""."""
    meant = find_partly_meant(given, {identifier: [title] for identifier, title in titles.items()})
    if not meant:
        near = find_nearest(given[:_LONGEST], [*titles, *titles.values()], most=MOST_MEANT)
        meant = [*dict.fromkeys(one for name in near for one, title in titles.items() if name in {one, title})]
    return name_meant(meant[:MOST_MEANT], titles)


def describe_unknown(thing: str, argument: str, given: str, values: Iterable[str]) -> str:
    """Return a sentence about a filter that matches no `thing`, with the value that was meant, or else all `values`."""
    present = sorted({clean_text(one, _LONGEST) for one in values})
    occurring = f" These occur: {', '.join(present[:_MOST_VALUES])}." if present else ""
    suggestion = suggest_id(given, {one: one for one in present}) or occurring
    return f"No {thing} that was read has this {argument}.{suggestion}"


def name_meant(identifiers: Iterable[str], titles: Mapping[str, str]) -> str:
    """Return a sentence with these IDs and their titles, or "" without any."""
    described = [format_id(identifier, titles[identifier]) for identifier in identifiers]
    return f" Did you mean {' or '.join(described)}?" if described else ""


def format_id(identifier: str, title: str) -> str:
    """Return an ID with its title, if it has another one."""
    return identifier if title == identifier else f"{identifier} ({quote(title)})"
