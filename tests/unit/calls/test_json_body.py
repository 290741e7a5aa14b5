"""JSON that strict parsers refuse is read all the same, as far as it is JSON."""

import json
from typing import Any

import pytest

from gitbook_integrations_mcp.calls.json_body import DEPTH, read_json


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'{"a": [1, "x", null]}', {"a": [1, "x", None]}),
        (rb'{"title": "half \ud83d"}', {"title": "half �"}),
        (rb'{"title": "\ude00 half"}', {"title": "� half"}),
        (rb'{"half \ud83d": 1, "whole": "\ud83d\ude00"}', {"half �": 1, "whole": "😀"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": "\xff"}', {"a": "�"}),
        (b'{"a": ' + b"9" * 5000 + b"}", {"a": "9" * 5000}),
    ],
)
def test_bodies_are_read(body: bytes, value: Any) -> None:
    read = read_json(body)
    assert read == value
    json.dumps(read, ensure_ascii=False).encode()


def test_deep_values_are_cut_with_a_note() -> None:
    read = read_json(b'{"a":' * 300 + b"1" + b"}" * 300)
    depth = 0
    while isinstance(read, dict):
        read, depth = read["a"], depth + 1
    assert (depth, read) == (DEPTH, "[cut: nested too deeply]")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"a": 1', b"<html>", b'{"a": NaN}', b"Infinity", b"[1,]", b"[" * 100_000, b'{"a": 1} x'],
)
def test_other_texts_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the parser says
        read_json(body)
