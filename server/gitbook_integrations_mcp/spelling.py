"""Suggestions for misspelt names."""

import difflib
from collections.abc import Iterable


def find_nearest(name: str, valid: Iterable[str], most: int = 1, likeness: float = 0.6) -> list[str]:
    """Return up to `most` valid names similar to `name`, the nearest first; `likeness` is from 0 to 1."""
    return difflib.get_close_matches(name, list(valid), n=most, cutoff=likeness)


def suggest(name: str, valid: Iterable[str], likeness: float = 0.6) -> str:
    """Return a sentence that suggests the valid name nearest to `name`, or "" if none is similar."""
    nearest = find_nearest(name, valid, likeness=likeness)
    return f" Did you mean {nearest[0]}?" if nearest else ""
