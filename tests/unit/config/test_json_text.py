"""JSON that people write is read strictly, and an error names the problem and its line."""

import pytest

from gitbook_integrations_mcp.config.json_text import JsonError, parse_json


def test_equal_keys_in_different_objects_and_text_like_keys_are_valid() -> None:
    text = '{"a": [{"b": 1}, {"b": "b\\": {\\"a"}], "b": {"a": {}}, "c": [[], {}]}'
    assert parse_json(text) == {"a": [{"b": 1}, {"b": 'b": {"a'}], "b": {"a": {}}, "c": [[], {}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1,\n"a": 2}', 'the key "a" twice (line 2)'),
        ('{"a": 1, "\\u0061": 2}', 'the key "a" twice (line 1)'),
        ('[{"b": {"x": [],\n\n"x": []}}]', 'the key "x" twice (line 3)'),
        ('{"a": oops}', "not valid JSON (line 1, column 7)"),
        ('{"a": "NaN",\n"b": NaN}', "has NaN, which is not a number in JSON (line 2)"),
        ('{"NaN": [true, null,\n1.5e3,\n-Infinity, NaN]}', "has -Infinity, which is not a number in JSON (line 3)"),
        ('{"a": "1e400", "1e400":\n\n1e400}', "out of range (line 3)"),
        ("[1e400,\n1e400]", "out of range (line 1)"),
        (f'{{"a":\n{"1" * 5000}}}', "too many digits (line 2)"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested too deeply"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_the_reason(text: str, expected: str) -> None:
    with pytest.raises(JsonError) as caught:
        parse_json(text)
    assert expected in str(caught.value)
