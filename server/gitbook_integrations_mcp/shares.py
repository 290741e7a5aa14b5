"""Shares of a bounded pool: one caller who fills it cannot shut the others out."""

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import TypeVar

Key = TypeVar("Key")


def choose_eviction(owners: Mapping[Key, Hashable], caller: Hashable) -> Key | None:
    """Return which entry of a full pool gives way to a new one of `caller`, or None if `caller` has the most already.

    `owners` maps entries to their owners, oldest first. The oldest entry of the owner with the most entries gives way;
    an owner is never reduced below what `caller` would then have.
    """
    counts = Counter(owners.values())
    if not counts:
        return None
    largest, most = max(counts.items(), key=lambda item: item[1])
    if counts[caller] + 1 >= most:
        return None
    return next(key for key, owner in owners.items() if owner == largest)
