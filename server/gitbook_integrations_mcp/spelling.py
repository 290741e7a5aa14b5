"""Names that somebody misspelt."""

import difflib
from collections.abc import Iterable


def suggest(name: str, valid: Iterable[str]) -> str:
    """Return a sentence that names the valid name nearest to `name`, or nothing where none is near."""
    nearest = difflib.get_close_matches(name, list(valid), n=1)
    return f" Did you mean {nearest[0]}?" if nearest else ""
