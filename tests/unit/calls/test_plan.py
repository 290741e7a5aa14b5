"""The digest of a plan: an approval is spent only on targets that are as they were."""

from typing import Any

import pytest

from gitbook_integrations_mcp.calls.plan import digest_target


@pytest.mark.parametrize("level", ["spaces", "sites"])
@pytest.mark.parametrize(
    "places", [[{level: "b"} for level in ("space", "site")], ["a", "b"], [7], [None], [["a"]], [{"id": "a"}, "a"]]
)
def test_every_change_of_the_places_is_another_target(level: str, places: list[Any]) -> None:
    digests = {digest_target({level: found}) for found in ([], ["a"], places)}
    assert len(digests) == 3
