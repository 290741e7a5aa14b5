"""The caller's own tokens are removed from everything that GitBook sends, before anything is cut."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from gitbook_integrations_mcp.gitbook.credentials import REDACTED, Credentials
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from tests.support.fake_gitbook import TOKENS, Upstream, connect, read_code, read_text

TOKEN = TOKENS["token"]
BEGINNING = TOKEN[:5]
ODD = 'a/b"c\\d+e=f:0123456789'


@pytest.mark.parametrize(
    "form",
    [
        ODD,
        json.dumps(ODD)[1:-1],
        json.dumps(ODD)[1:-1].replace("/", "\\/"),
        quote(ODD, safe=""),
    ],
)
def test_a_token_is_recognized_as_it_is_and_as_json_and_urls_write_it(form: str) -> None:
    credentials = Credentials(None, SecretStr(ODD))
    assert credentials.scrub(f"<{form}>") == f"<{REDACTED}>"
    response = GitBookResponse(200, {}, f"<{form}>".encode())
    assert credentials.scrub_response(response).body == f"<{REDACTED}>".encode()


@pytest.mark.parametrize("before", ["", "x", "xx", "xxx", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_no_more_than_the_edges_of_a_token_remain_in_base64(before: str, encode: Any) -> None:
    text = encode(f"{before}{ODD}~".encode()).decode()
    scrubbed = Credentials(SecretStr(ODD), None).scrub(text)
    kept = scrubbed.replace(REDACTED, "")
    assert REDACTED in scrubbed
    assert len(kept) <= len(base64.b64encode(before.encode())) + 8


def test_other_text_stays() -> None:
    credentials = Credentials(SecretStr("short"), SecretStr(TOKEN))
    data = {"a": ["c2hvcnQ=", TOKEN[:-1]]}
    assert credentials.scrub_json(data) is data
    response = GitBookResponse(200, {}, json.dumps(data).encode())
    assert credentials.scrub_response(response) is response


@pytest.mark.parametrize(
    ("tool", "instead"),
    [
        ("list_integration_installations", "With a user token, use list_organization_installations."),
        ("queue_integration_task", "Nothing was sent."),
    ],
)
async def test_what_requires_an_integration_token_names_the_tool_for_a_users_token(tool: str, instead: str) -> None:
    upstream, arguments = Upstream(), {"integrationName": "acme", **({"task": {}} if "task" in tool else {})}
    async with connect(upstream, gitbook={"integration_token": None}) as client:
        result = await client.call_tool(tool, arguments)
    assert read_code(result) == "missing_token"
    assert read_text(result).endswith(instead)
    assert upstream.requests == []


def lead_to(edge: int) -> str:
    """Return a text with the token, of which only the last character would be cut off at `edge`."""
    return ("x, " * edge)[: edge - len(TOKEN) + 1] + TOKEN + "y" * 200


@pytest.mark.parametrize("edge", [299, 300])
async def test_a_token_at_the_edge_of_a_cut_error_is_removed(edge: int) -> None:
    upstream = Upstream(400)
    upstream.answer({"error": {"code": 400, "message": lead_to(edge)}}, 400)
    async with connect(upstream) as client:
        one = await client.call_tool("get_integration_by_name", {"integrationName": "x"})
        page = await client.call_tool("list_integrations", {"fetchAll": True})
    assert BEGINNING not in read_text(one)
    assert BEGINNING not in read_text(page)


async def test_a_token_at_the_edge_of_a_cut_summary_is_removed() -> None:
    upstream = Upstream()
    upstream.answer({"items": [{"name": "x", "title": lead_to(300)}]})
    async with connect(upstream) as client:
        result = await client.call_tool("list_integrations", {})
    assert "[cut: " in read_text(result)
    assert BEGINNING not in read_text(result)


async def test_a_token_at_the_edge_of_a_shortened_object_is_removed() -> None:
    upstream = Upstream()
    upstream.answer({"name": "x", **{f"text{number}": lead_to(100) + "z" * 50_000 for number in range(40)}})
    async with connect(upstream, limits={"result_tokens": 5000, "attempts": 1}) as client:
        result = await client.call_tool("get_integration_by_name", {"integrationName": "x"})
    assert "[cut: " in read_text(result)
    assert BEGINNING not in read_text(result)


async def test_a_token_in_an_audit_is_removed_before_titles_are_cut() -> None:
    upstream = Upstream()
    upstream.answer({"items": [{"id": "o", "name": "x", "title": lead_to(200), "visibility": "public"}]})
    async with connect(upstream) as client:
        result = await client.call_tool("audit_installations", {"organizationId": "o"})
    assert "x, x" in read_text(result)
    assert BEGINNING not in read_text(result)


@pytest.mark.parametrize("edge", [290, 300])
async def test_a_token_in_escapes_is_removed_before_texts_are_cut(edge: int) -> None:
    escaped = "".join(f"\\u{ord(character):04x}" for character in TOKEN)
    upstream = Upstream()

    def answer(body: dict[str, Any], status: int) -> None:
        upstream.answer(body, status)
        upstream.body = json.dumps(body).replace(TOKEN, escaped).encode()

    async with connect(upstream) as client:
        answer({"error": {"code": 400, "message": lead_to(edge)}}, 400)
        failed = await client.call_tool("get_integration_by_name", {"integrationName": "x"})
        answer({"items": [{"name": "x", "title": lead_to(edge)}]}, 200)
        listed = await client.call_tool("list_integrations", {})
    assert "x, x" in read_text(failed) + read_text(listed)
    assert BEGINNING not in read_text(failed) + read_text(listed)
