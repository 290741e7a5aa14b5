"""JSON that strict parsers refuse is read all the same, as far as it is JSON."""

import json
from typing import Any

import pytest

from gitbook_integrations_mcp.gitbook.json_body import DEPTH, find_repaired, read_json
from tests.support.audit_fixtures import Watched, audit
from tests.support.fake_gitbook import Upstream, connect, read_code, read_text

HALF = rb"half \ud83d"


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


@pytest.mark.parametrize("levels", [DEPTH + 5, 196, 300])
def test_deep_values_are_cut_with_a_note(levels: int) -> None:
    read = read_json(b'{"a":' * levels + b"1" + b"}" * levels)
    depth = 0
    while isinstance(read, dict):
        read, depth = read["a"], depth + 1
    assert (depth, read) == (DEPTH, "[cut: nested too deeply]")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": 1',
        b"<html>",
        b'{"a": NaN}',
        b"Infinity",
        b"[1,]",
        b"1,2",
        b"1],[2",
        b"]",
        b"],[",
        b"[" * 100_000,
        b'{"a": 1} x',
    ],
)
def test_other_texts_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the parser says
        read_json(body)


def test_only_changed_text_counts_as_repaired() -> None:
    current = read_json(b'{"a": "\xef\xbf\xbd", "b": "half \\ud83d", "c": [{"k \\ud83d": 1}], "d": "x"}')
    assert find_repaired({"b": "x", "a": "\ufffd", "d": "x"}, current) is None
    assert find_repaired({"x": ["half \ufffd"]}, current) == "x.0"
    assert find_repaired({"c": [{"k \ufffd": 1}]}, current) == "c.0.k \ufffd"
    assert find_repaired({"k.l": "half \ufffd"}, current) == '"k.l"'
    assert find_repaired({"a": "half \ufffd"}, None) is None


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (HALF, "half \ufffd"),
        (rb"\ude00", "\ufffd"),
        (b"a\xff", "a\ufffd"),
        (rb"whole \ud83d\ude00", "whole \U0001f600"),
    ],
)
async def test_one_bad_title_does_not_hide_a_list(body: bytes, shown: str) -> None:
    upstream = Upstream(body=b'{"items":[{"name":"a","title":"' + body + b'"},{"name":"b","title":"B"}]}')
    async with connect(upstream) as client:
        result = await client.call_tool("list_integrations", {})
    assert [item["title"] for item in (result.structured_content or {})["items"]] == [shown, "B"]


async def test_one_bad_title_does_not_hide_an_audit() -> None:
    watched = Watched()
    watched.sandbox.state.integrations["slack"].manifest["title"] = "PLANTED"
    expected = await audit(watched)

    async def poison(scope: Any, receive: Any, send: Any) -> None:
        async def send_poisoned(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0] != b"content-length"]
                message = message | {"headers": kept}
            elif "body" in message:
                message = message | {"body": message["body"].replace(b"PLANTED", HALF)}
            await send(message)

        await watched(scope, receive, send_poisoned)

    report = await audit(poison)
    assert report.coverage.complete
    assert report.figures == expected.figures
    assert "half \ufffd" in {each.integration.title for each in report.installations}


async def test_the_message_of_an_error_is_quoted_all_the_same() -> None:
    upstream = Upstream(status=400, body=b'{"error":{"message":"' + HALF + b'"}}')
    async with connect(upstream) as client:
        result = await client.call_tool("list_integrations", {})
    assert read_code(result) == "gitbook_rejected"
    assert '"half \ufffd"' in read_text(result)


@pytest.mark.parametrize("body", [b'{"items": [', b"{'items': []}", b"[" * 100_000])
async def test_what_is_no_json_is_called_invalid_or_truncated(body: bytes) -> None:
    async with connect(Upstream(body=body)) as client:
        result = await client.call_tool("list_integrations", {})
    assert read_code(result) == "invalid_response"
    assert "invalid or truncated JSON" in read_text(result)


@pytest.mark.parametrize(
    "configuration", [{"channel": "half \ufffd", "other": 2}, {"channel": ["half \ufffd"]}, {"half \ufffd": 1}]
)
async def test_a_repaired_value_is_never_written_back(configuration: dict[str, Any]) -> None:
    upstream = Upstream(body=b'{"configuration": {"channel": "' + HALF + b'", "' + HALF + b'": 1}}')
    arguments = {"integrationName": "acme", "installationId": "i", "configuration": configuration}
    async with connect(upstream) as client:
        result = await client.call_tool("update_integration_installation", arguments)
        assert read_code(result) == "invalid_placeholder"
        assert "configuration." in read_text(result)
        assert {request.method for request in upstream.requests} == {"GET"}
        mended = await client.call_tool(
            "update_integration_installation", arguments | {"configuration": {"channel": "x"}}
        )
    assert not mended.is_error, read_text(mended)
    assert upstream.requests[-1].body == {"configuration": {"channel": "x"}}


@pytest.mark.parametrize("detail", ["summary", "full"])
async def test_a_number_out_of_range_is_null(detail: str) -> None:
    upstream = Upstream(body=b'{"items": [{"name": "slack", "version": 1e400}, {"name": "b", "version": -1e400}]}')
    async with connect(upstream) as client:
        result = await client.call_tool("list_integrations", {"detail": detail})
    texts = [json.loads(one.text, parse_constant=pytest.fail) for one in result.content if one.type == "text"]
    assert [item["version"] for item in texts[0]["items"]] == [None, None]
    written = json.loads(result.model_dump_json(by_alias=True), parse_constant=pytest.fail)
    assert texts[0] == written["structuredContent"]
