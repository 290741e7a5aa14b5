"""Text for humans and models."""

import pytest

from gitbook_integrations_mcp.text import format_count


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 findings"), (1, "1 finding"), (2, "2 findings"), (12345, "12,345 findings")]
)
def test_a_number_has_its_noun_in_the_singular_or_the_plural(number: int, text: str) -> None:
    assert format_count(number, "finding") == text
