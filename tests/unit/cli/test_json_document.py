"""Edits of JSON as text: the value is right, and everything else stays as it was."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbook_integrations_mcp.cli.json_document import JsonDocument
from gitbook_integrations_mcp.config.json_text import JsonError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(min_size=1, max_size=3), VALUES, max_size=4)


@given(OBJECTS, VALUES, st.sampled_from([None, 2, "\t"]), st.data())
def test_edits_have_the_effect_of_those_on_the_value(
    content: dict[str, Any], value: Any, indent: int | str | None, data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from([*content, "new key"]))
    document = JsonDocument(json.dumps(content, indent=indent))
    document.set((key,), value)
    assert document.content == {**content, key: value}
    document.rename((key,), "other key")
    assert document.content["other key"] == value
    document.remove(("other key",))
    assert document.content == {name: one for name, one in content.items() if name != key}
    document.set(("list",), [])
    document.append(("list",), value)
    document.append(("list",), value)
    assert document.content["list"] == [value, value]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '{\n  "a": {\n    "b": 1\n  }\n}\n'),
        ("{}", '{\n  "a": {\n    "b": 1\n  }\n}'),
        ('{"x": 1}', '{"x": 1,\n  "a": {\n    "b": 1\n  }\n}'),
        ('{\n\t"x": 1\n}', '{\n\t"x": 1,\n\t"a": {\n\t\t"b": 1\n\t}\n}'),
        ('{\n  "x": 1, // one, two\n}', '{\n  "x": 1, // one, two\n  "a": {\n    "b": 1\n  }\n}'),
        ('{\n  "x": 1 /*,*/\n}', '{\n  "x": 1, /*,*/\n  "a": {\n    "b": 1\n  }\n}'),
        ('{\n  "a": { /* "b": 2 */ }\n}', '{\n  "a": { /* "b": 2 */\n    "b": 1\n  }\n}'),
        ('{"a": {"b": 2, "c": 1.10}}', '{"a": {"b": 1, "c": 1.10}}'),
    ],
)
def test_a_new_member_follows_the_layout_of_the_file(text: str, expected: str) -> None:
    document = JsonDocument(text)
    document.set(("a", "b"), 1)
    assert document.text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', "{}"),
        ('{"a": 1,}', "{}"),
        ('{"a": 1, "b": 2}', '{ "b": 2}'),
        ('{\n  "b": 2, // two\n  "a": 1 // one\n}', '{\n  "b": 2 // two // one\n}'),
        ('{"b": "a,", "a": [1], "c": 3}', '{"b": "a,", "c": 3}'),
    ],
)
def test_a_member_is_removed_with_its_comma(text: str, expected: str) -> None:
    document = JsonDocument(text)
    document.remove(("a",))
    assert document.text == expected


def test_half_characters_are_written_as_escapes() -> None:
    document = JsonDocument("{}")
    document.set(("é",), ["\ud83d"])
    assert '"é"' in document.text
    assert "\\ud83d" in document.text.encode().decode()


@pytest.mark.parametrize("text", ["[]", "1", "{,}x", "{/*}", '{"a": 1, "a": 2}', '{"a" 1}', "{]"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(JsonError):
        JsonDocument(text)


def test_masking_keeps_keys_and_blanks_comments() -> None:
    document = JsonDocument('{"a": {"a": "secret", "b": ["x", "y"]}, // secret\n "c": "z"}')
    places: list[tuple[tuple[str, ...], str]] = []

    def is_hidden(path: tuple[str, ...], value: str) -> bool:
        places.append((path, value))
        return value == "secret"

    shown = document.mask(is_hidden, "?")
    assert json.loads(shown) == {"a": {"a": "?", "b": ["x", "y"]}, "c": "z"}
    assert "secret" not in shown
    assert places == [(("a", "a"), "secret"), (("a", "b", ""), "x"), (("a", "b", ""), "y"), (("c",), "z")]
