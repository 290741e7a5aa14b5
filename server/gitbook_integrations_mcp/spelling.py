"""Names that somebody misspelt."""

import difflib
from collections.abc import Iterable


def find_nearest(name: str, valid: Iterable[str], most: int = 1, likeness: float = 0.6) -> list[str]:
    """Return up to `most` of the valid names that are like `name`, the nearest first; `likeness` is from 0 to 1."""
    return difflib.get_close_matches(name, list(valid), n=most, cutoff=likeness)


def suggest(name: str, valid: Iterable[str], likeness: float = 0.6) -> str:
    """Return a sentence that names the valid name nearest to `name`, or nothing where none is near."""
    nearest = find_nearest(name, valid, likeness=likeness)
    return f" Did you mean {nearest[0]}?" if nearest else ""
