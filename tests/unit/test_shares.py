"""A full pool makes room for callers who have less than the others, and for nobody else."""

import pytest

from gitbook_integrations_mcp.shares import choose_eviction


@pytest.mark.parametrize(
    ("owners", "caller", "evicted"),
    [
        ({}, "ann", None),
        ({1: "bob", 2: "bob", 3: "bob"}, "ann", 1),
        ({1: "ann", 2: "bob", 3: "bob", 4: "bob"}, "ann", 2),
        ({1: "ann", 2: "bob", 3: "bob"}, "ann", None),  # they would only change places
        ({1: "bob", 2: "bob", 3: "bob"}, "bob", None),
        ({1: "ann", 2: "bob"}, "eve", None),
    ],
)
def test_who_gives_way(owners: dict[int, str], caller: str, evicted: int | None) -> None:
    assert choose_eviction(owners, caller) == evicted
