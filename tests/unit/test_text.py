"""Text for humans and models."""

import pytest

from gitbook_integrations_mcp.text import clean_text, escape_unseen, extend_path, format_count


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 findings"), (1, "1 finding"), (2, "2 findings"), (12345, "12,345 findings")]
)
def test_a_number_has_its_noun_in_the_singular_or_the_plural(number: int, text: str) -> None:
    assert format_count(number, "finding") == text


def test_marks_that_are_stacked_cannot_cover_the_lines_around_them() -> None:
    for mark in "\u0336\u0489\u0e47\u0651":
        assert clean_text(f"a{mark * 60}b", 80) == f"a{mark * 4}b"
        assert escape_unseen(f"a{mark * 5}b") == f"a{mark * 4}\\u{ord(mark):04x}b"
    for text in ("Tie\u0302\u0301ng Vie\u0323\u0302t", "בְּרֵאשִׁ֖ית", "บาร์โค้ดที่นี่"):
        assert (clean_text(text, 80), escape_unseen(text)) == (text, text)


def test_each_path_is_of_one_place_only() -> None:
    paths = [("a", "b"), ("a.b",), ("a", 0), ("a", "0"), ("a.0",), ("a", ""), ("a",), ('"a', 'b"')]
    shown = []
    for names in paths:
        path = ""
        for name in names:
            path = extend_path(path, name)
        shown.append(path)
    assert len(set(shown)) == len(paths)
    assert shown[:3] == ["a.b", '"a.b"', "a.0"]
