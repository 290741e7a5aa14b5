"""Credentials are masked in results, other people's text hides nothing, and what is written back unchanged stays."""

import copy
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.options import Options
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.calls.masking import MASK, find_secrets, mask_secrets
from gitbook_integrations_mcp.calls.view import View, choose_view, is_shown_form
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.pipeline.masked_values import is_written_back
from gitbook_integrations_mcp.sandbox import INTEGRATION_TOKEN, OWN_INTEGRATION, USER_TOKEN
from gitbook_integrations_mcp.sandbox.state import Installation
from tests.support.elicitation_client import GitBookSpy, Human, meet, read_status
from tests.support.fake_gitbook import ERAS, TOKENS, UNASKED, Era, Upstream, connect, read_code, read_text
from tests.support.samples import make_arguments

each_era = pytest.mark.parametrize("era", ERAS)

SECRETS: dict[str, Any] = {
    "api_key": "k-0123456789",
    "webhook_url": "https://hooks.example/services/T0/B0/XYZ",
    "nested": {"client": {"clientSecret": "s-0123456789"}, "credentials": {"user": "u-0123456789", "pin": 1234}},
    "proxy": "https://user:p-0123456789@proxy.example",
    "headers": [{"name": "Authorization", "value": "a-0123456789"}, {"name": "Accept", "value": "text/plain"}],
    "accounts": [{"id": "one", "token": "t1-0123456789"}, {"id": "two", "token": "t2-0123456789"}],
    "tokens": ["x1-0123456789", "x2-0123456789"],
}
PLACE = {"integrationName": "x", "installationId": "i"}
PLAIN = {"channel": "#docs", "digest": True, "interval": 5, "empty": {"api_key": "", "token": None}, "note": "a\tb\nc"}


def create(spy: Any, **sections: Any) -> Any:
    sections["confirmation"] = {**UNASKED, **sections.get("confirmation", {})}
    settings = load_settings({"server": {"sandbox": True}, **sections})
    return create_server(settings, http_transport=httpx.ASGITransport(app=spy))


def set_up(spy: GitBookSpy, configuration: dict[str, Any]) -> tuple[Installation, dict[str, str]]:
    """Give an installation of an integration without a schema this configuration; return it and its arguments."""
    spy.sandbox.state.integrations[OWN_INTEGRATION].manifest.pop("configurations", None)
    installation = spy.sandbox.state.get_installations(integration=OWN_INTEGRATION)[0]
    installation.configuration = copy.deepcopy(configuration)
    return installation, {"integrationName": OWN_INTEGRATION, "installationId": installation.id}


async def read(client: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await client.call_tool("get_integration_installation_by_id", arguments)
    assert not result.is_error, read_text(result)
    configuration: dict[str, Any] = json.loads(read_text(result))["configuration"]
    return configuration


async def write(client: Any, arguments: dict[str, Any], configuration: Any, **more: Any) -> Any:
    arguments = {**arguments, "configuration": configuration, **more}
    return await client.call_tool("update_integration_installation", arguments)


# What is shown


@each_era
async def test_credentials_are_masked_and_the_rest_is_shown(era: Era) -> None:
    spy = GitBookSpy()
    _, arguments = set_up(spy, SECRETS | PLAIN)
    async with meet(create(spy), None, era) as client:
        shown = await read(client, arguments)
    assert "0123456789" not in json.dumps(shown)
    assert "XYZ" not in json.dumps(shown)
    assert {name: shown[name] for name in PLAIN} == PLAIN
    assert shown["nested"]["credentials"] == {"user": MASK, "pin": MASK}
    assert shown["headers"] == [{"name": "Authorization", "value": MASK}, {"name": "Accept", "value": "text/plain"}]
    assert shown["accounts"] == [{"id": "one", "token": MASK}, {"id": "two", "token": MASK}]


async def test_an_operator_can_reveal_credentials() -> None:
    spy = GitBookSpy()
    _, arguments = set_up(spy, SECRETS)
    async with meet(create(spy, tools={"reveal_secrets": True}), None, "2026-07-28") as client:
        assert await read(client, arguments) == SECRETS


def test_a_credential_in_settings_is_named_by_its_path() -> None:
    settings = {
        "api_key": "abc",
        "channel": "#general",
        "accounts": [{"note": "plain"}, {"note": "Bearer abc123", "deep": {"pin": 5, "password": 5}}],
        "headers": [{"name": "Authorization", "value": "abc"}, {"name": "Accept", "value": "text/html"}],
        "secrets": {"anything": {"at": "all"}},
        "token": None,
        "webhooks": True,
    }
    found = ["api_key", "accounts.1.note", "accounts.1.deep.pin", "headers.0.value", "secrets.anything.at"]
    assert list(find_secrets(settings)) == found
    assert list(find_secrets({"a.api_key": "k", "a": {"api_key": "k"}})) == ['"a.api_key"', "a.api_key"]


SHOWN = {
    "authorization_endpoint": "https://idp.example/authorize",
    "access_token_endpoint": "https://idp.example/token",
    "oauth_credentials": {"expires_at": "2026-11-25T18:00:00Z", "requested_scopes": ["chat:write"], "count": 5},
    "project_key": "default",
    "key": "acme/docs:main",
    "webhookId": "w-0123456789",
    "token": 5,
    "max_tokens": "4000",
    "pairs": [{"label": "Sort", "value": "asc"}, {"title": "Password", "text": "Change it yearly."}],
}
"""What a diagnosis needs, and no credential."""

MASKED: dict[str, Any] = {
    "credentials": {"user": "u", "ids": [{"x": "y"}], "by_id": {"a": "b"}, "pin": 1234},
    "pin": 1234,
    "to\u200bken": "x",
    "pairs": [
        *({naming: "api key", "value": "x"} for naming in ("name", "key", "label", "field", "Name")),
        *({naming: "api key", "value": "x"} for naming in ("header", "id", "property", "title", "type", "VARIABLE")),
        *({"name": "api key", value: "x"} for value in ("default", "data", "val", "VALUE")),
        {"Name": "Authorization", "Value": "x"},
        {"key": "pin", "value": 1234},
        {"name": "mine", "key": "Authorization", "value": "x"},
    ],
    "tokens": [{"name": "last id", "value": "x"}],
    "secrets": {"expires_at": "x", "number": 5},
    "hook": "https://hooks.slack.com/services/T000/B000/XXXX",
}


def mask_names(value: Any) -> Any:
    """Return `value` with every value masked but those that name others."""
    if isinstance(value, dict):
        return {key.replace("\u200b", ""): mask_names(child) for key, child in value.items()}
    return [mask_names(one) for one in value] if isinstance(value, list) else MASK


def test_what_a_diagnosis_needs_is_shown() -> None:
    assert View().show({"configuration": SHOWN}) == {"configuration": SHOWN}


def test_credentials_are_masked_by_the_words_of_the_key_and_by_shape() -> None:
    shown = View().show({"configuration": MASKED})["configuration"]
    for pair in shown["pairs"]:
        assert list(pair.values())[-1] == MASK
    assert {**shown, "pairs": MASK} == {**mask_names(MASKED), "pairs": MASK}


async def test_schemas_of_settings_are_not_masked() -> None:
    described = {"account": {"properties": {"api_key": {"type": "string"}, "secrets": {"type": "string"}}}}
    upstream = Upstream()
    upstream.answer({"name": "x", "configurations": described, "urls": {"token": "https://x.example"}})
    async with connect(upstream) as client:
        result = await client.call_tool("get_integration_by_name", {"integrationName": "x"})
    assert result.structured_content["configurations"] == described
    assert result.structured_content["urls"] == {"token": "https://x.example"}


async def test_credentials_in_event_payloads_are_masked() -> None:
    payload = {
        "type": "fetch",
        "request": {"headers": {"Authorization": "a-0123456789", "x-api-key": "k-0123456789", "accept": "*/*"}},
        "previous": {"configuration": {"secret": "s-0123456789"}},
        "secrets": {"ANY": "v-0123456789"},
    }
    upstream = Upstream()
    upstream.answer({"event": {"id": "e", "payload": payload}})
    async with connect(upstream) as client:
        result = await client.call_tool("get_integration_event", {"integrationName": "x", "eventId": "e"})
    assert "0123456789" not in read_text(result)
    assert result.structured_content["event"]["payload"]["request"]["headers"]["accept"] == "*/*"


async def test_credentials_in_a_rendered_ui_are_masked_and_no_mask_is_sent_back() -> None:
    upstream = Upstream()
    field = {"type": "textinput", "state": "api_key", "initialValue": "e-0123456789"}
    upstream.answer(
        {
            "type": "element",
            "element": {"type": "configuration", "children": [{"type": "input", "label": "Key", "element": field}]},
            "state": {"api_key": "s-0123456789", "page": "one"},
            "props": {"authToken": "p-0123456789"},
            "returnValue": {"access_token": "r-0123456789"},
        }
    )
    arguments = {"integrationName": "a", "componentId": "c", "props": {}, "context": {"type": "document"}}
    async with connect(upstream) as client:
        result = await client.call_tool("render_integration_ui_with_post", arguments)
        sent = len(upstream.requests)
        state = (result.structured_content or {})["state"]
        again = await client.call_tool("render_integration_ui_with_post", {**arguments, "state": state})
    assert state == {"api_key": MASK, "page": "one"}
    assert "0123456789" not in read_text(result)
    assert read_text(result).count(MASK) == 4
    assert read_code(again) == "invalid_placeholder"
    assert len(upstream.requests) == sent


async def test_a_requested_token_is_not_masked() -> None:
    token = "A" * 400
    upstream = Upstream()
    upstream.answer({"token": token})
    async with connect(upstream) as client:
        arguments = {"integrationName": "x", "installationId": "i"}
        result = await client.call_tool("create_integration_installation_token", arguments)
    assert (result.structured_content or {})["token"] == token


HIDDEN = "a\u202eb\u2066c\U000e0041d\u200be\x07f\ufe0fg\r\nh\ti\x1bj"


@each_era
@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "as it is"])
@pytest.mark.parametrize("detail", ["summary", "full"])
async def test_characters_that_hide_or_reorder_text_are_removed_from_every_string(
    detail: str, ascii_only: bool, era: Era
) -> None:
    upstream = Upstream(
        body=json.dumps({"items": [{"title": HIDDEN, HIDDEN: [{"deep": HIDDEN}]}]}, ensure_ascii=ascii_only).encode()
    )
    async with connect(upstream, era) as client:
        result = await client.call_tool("list_integrations", {"detail": detail})
    (item,) = result.structured_content["items"]
    assert item["title"] == "abcdefg\nh\tij"
    if detail == "full":
        assert item["abcdefg\nh\tij"] == [{"deep": "abcdefg\nh\tij"}]
    assert not {"\u202e", "\u2066", "\U000e0041", "\u200b", "\x07", "\x1b", "\r"} & set(read_text(result))


async def test_long_text_in_a_summary_is_cut_with_the_tool_that_reads_the_rest() -> None:
    upstream = Upstream()
    upstream.answer(
        {"items": [{"name": "x", "title": "long text " * 100, "visibility": "data:image/png;base64,QUJD" * 20}]}
    )
    async with connect(upstream) as client:
        (item,) = (await client.call_tool("list_integrations", {})).structured_content["items"]
        (whole,) = (await client.call_tool("list_integrations", {"detail": "full"})).structured_content["items"]
    assert item["title"] == ("long text " * 30) + "[cut: 700 more characters; get_integration_by_name]"
    assert item["visibility"].endswith("[cut: 480 more characters; get_integration_by_name]")
    assert whole["title"] == "long text " * 100


def test_a_marker_names_the_tool_that_reads_the_item() -> None:
    ways = {name: choose_view(tool, Options(), reveal=False).rest for name, tool in ENDPOINTS.items() if tool.is_list}
    assert ways["list_integration_events"] == "get_integration_event"
    assert ways["list_integration_installation_sites"] == "get_integration_site_installation"
    assert ways["list_sites"] == "detail: full"
    assert all(way in ENDPOINTS or way == "detail: full" for way in ways.values())


# What comes back


@each_era
async def test_an_object_written_back_as_it_was_read_stays_the_same(era: Era) -> None:
    spy = GitBookSpy()
    installation, arguments = set_up(spy, SECRETS | PLAIN)
    async with meet(create(spy), None, era) as client:
        shown = await read(client, arguments)
        result = await write(client, arguments, shown)
    assert not result.is_error, read_text(result)
    assert installation.configuration == SECRETS | PLAIN
    assert "0123456789" not in read_text(result)


@pytest.mark.parametrize(
    "same",
    [
        lambda _, shown: {"configuration": shown},
        lambda installation, _: {"externalIds": [*installation.external_ids]},
        lambda installation, _: {"space_selection": installation.selection["space"]},
    ],
)
async def test_an_update_that_changes_nothing_is_not_sent_and_nobody_is_asked(same: Any) -> None:
    spy, human = GitBookSpy(), Human()
    installation, arguments = set_up(spy, SECRETS | PLAIN)
    async with meet(create(spy, confirmation={"widening": "ask"}), human, "2026-07-28") as client:
        values = same(installation, await read(client, arguments))
        result = await client.call_tool("update_integration_installation", {**arguments, **values})
    assert read_status(result) == "unchanged"
    assert (human.requests, spy.mutations) == ([], [])


@each_era
async def test_a_change_beside_masks_keeps_the_masked_values(era: Era) -> None:
    spy = GitBookSpy()
    installation, arguments = set_up(spy, SECRETS | PLAIN)
    async with meet(create(spy), None, era) as client:
        shown = await read(client, arguments)
        shown["channel"] = "#news"
        shown["nested"]["client"]["clientSecret"] = "new"
        shown["accounts"].reverse()
        del shown["headers"][1]
        assert not (await write(client, arguments, shown)).is_error
    expected: dict[str, Any] = copy.deepcopy(SECRETS | PLAIN)
    expected["channel"] = "#news"
    expected["nested"]["client"]["clientSecret"] = "new"
    expected["accounts"].reverse()
    del expected["headers"][1]
    assert installation.configuration == expected


REFUSED: dict[str, Any] = {
    "a key that is not there": {"apiKey": MASK},
    "a place that shows its value": {"channel": MASK},
    "within other text": {"api_key": f"Bearer {MASK}"},
    "a list that lost an item": {"tokens": [MASK]},
    "a list that grew": {"tokens": [MASK, MASK, "new"]},
    "an item that was changed": {"accounts": [{"id": "three", "token": MASK}]},
    "the object around it": {"nested": MASK},
    "deeper than before": {"api_key": {"value": MASK}},
    "a cut that fits nothing": {"channel": "#doc[cut: 7 more characters; detail: full]"},
}


@pytest.mark.parametrize("case", list(REFUSED))
async def test_an_ambiguous_placeholder_is_rejected(case: str) -> None:
    spy = GitBookSpy()
    installation, arguments = set_up(spy, SECRETS | PLAIN)
    async with meet(create(spy), None, "2026-07-28") as client:
        result = await write(client, arguments, REFUSED[case])
    assert result.is_error
    assert f"configuration.{next(iter(REFUSED[case]))}" in read_text(result)
    assert "Nothing was sent" in read_text(result)
    assert "0123456789" not in read_text(result)
    assert installation.configuration == SECRETS | PLAIN
    assert spy.mutations == []


LEFT_OUT: dict[str, list[str]] = {
    "api_key": ["api_key"],
    "nested.client.clientSecret": ["nested", "client", "clientSecret"],
    "nested": ["nested"],
    "accounts": ["accounts"],
}


@pytest.mark.parametrize("path", list(LEFT_OUT))
async def test_an_omitted_credential_is_rejected_unless_it_is_null(path: str) -> None:
    spy = GitBookSpy()
    installation, arguments = set_up(spy, SECRETS | PLAIN)
    *way, last = LEFT_OUT[path]
    async with meet(create(spy), None, "2026-07-28") as client:
        shown = await read(client, arguments)
        place: Any = shown
        for key in way:
            place = place[key]
        del place[last]
        result = await write(client, arguments, shown)
        assert result.is_error
        assert (result.structured_content or {})["code"] == "credential_omitted"
        assert f"configuration.{path} is missing" in read_text(result)
        assert spy.mutations == []
        place[last] = None
        assert not (await write(client, arguments, shown)).is_error
    expected: Any = installation.configuration
    for key in LEFT_OUT[path]:
        expected = expected[key]
    assert expected is None


async def test_other_values_may_be_omitted() -> None:
    spy = GitBookSpy()
    installation, arguments = set_up(spy, SECRETS | PLAIN)
    async with meet(create(spy), None, "2026-07-28") as client:
        shown = await read(client, arguments)
        del shown["channel"], shown["empty"]
        assert not (await write(client, arguments, shown)).is_error
    assert "channel" not in installation.configuration


async def test_a_text_sent_back_with_a_marker_keeps_its_end() -> None:
    spy = GitBookSpy()
    text = "word " * 4000
    installation, arguments = set_up(spy, {"text": text, "api_key": "k"})
    async with meet(create(spy, limits={"result_tokens": 1000}), None, "2026-07-28") as client:
        shown = await read(client, arguments)
        assert "[cut: " in shown["text"]
        assert not (await write(client, arguments, shown)).is_error
    assert installation.configuration == {"text": text, "api_key": "k"}


@pytest.mark.parametrize("name", ["queue_integration_task", "publish_integration", "render_integration_ui_with_post"])
async def test_a_mask_for_a_value_that_cannot_be_read_is_rejected(name: str) -> None:
    upstream = Upstream(body=b'{"title": "x"}')
    part = {
        "queue_integration_task": "task",
        "publish_integration": "secrets",
        "render_integration_ui_with_post": "props",
    }
    arguments = make_arguments(ENDPOINTS[name], optional=False) | {part[name]: {"KEY": MASK}}
    async with connect(upstream) as client:
        result = await client.call_tool(name, arguments)
    assert result.is_error
    assert (result.structured_content or {})["code"] == "invalid_placeholder"
    assert f"{part[name]}.KEY contains a placeholder that matches no current value" in read_text(result)
    assert "Nothing was sent." in read_text(result)
    assert all(request.method == "GET" for request in upstream.requests)


WRITTEN: dict[str, tuple[Any, Any, Any]] = {
    "numbers and truths": ({"a": 5, "b": True, "c": 1, "d": [1, 2]}, {"a": 6, "b": 1, "c": True, "d": [2, 3]}, ...),
    "what differs only in what is not shown": ({"list": ["a\u202eb", "ab"]}, {"list": ["ab", "x"]}, ...),
    "a pair under another name": (
        {"header": {"name": "Authorization", "value": "s"}},
        {"header": {"name": "X-Api-Key", "value": MASK}},
        {"header": {"name": "X-Api-Key", "value": "s"}},
    ),
    "what is nowhere": ({}, {"a": {"b": [{"c": None}]}}, ...),
    "a name with hidden characters": (
        {"a\u202eb": {"token": "t"}},
        {"ab": {"token": MASK}, "c": 1},
        {"a\u202eb": {"token": "t"}, "c": 1},
    ),
    "a name as GitBook has it": ({"a\u202eb": {"x": 1}}, {"a\u202eb": {"x": 2}}, ...),
    "lists in lists": (
        {"tokens": [["a", "b"], ["c"]]},
        {"tokens": [[MASK], [MASK, MASK]]},
        {"tokens": [["c"], ["a", "b"]]},
    ),
}
"""What GitBook has, what is sent, and what is written: as it was sent, where it says no other."""


@pytest.mark.parametrize("case", list(WRITTEN))
async def test_placeholders_are_replaced_by_the_current_values(case: str) -> None:
    current, sent, written = WRITTEN[case]
    upstream = Upstream()
    upstream.answer({"configuration": current, "externalIds": []})
    async with connect(upstream) as client:
        result = await write(client, PLACE, sent)
    assert not result.is_error, read_text(result)
    assert [request.method for request in upstream.requests] == ["GET", "GET", "PATCH"]
    assert upstream.requests[-1].body == {"configuration": sent if written is ... else written}


UNCERTAIN: dict[str, tuple[Any, Any, str]] = {
    "none": ({}, {"list": [{"a": MASK}]}, "list.0.a|none"),
    "a mask within text": ({"token": "t"}, {"token": f"Bearer {MASK}"}, "token|none"),
    "our own token within text": ({"note": f"use {TOKENS['token']}"}, {"note": "use [redacted]"}, "note|none"),
    "our own token as a name": ({TOKENS["token"]: 5}, {"[redacted]": 5}, "[redacted]|none"),
    "several texts": ({"tokens": ["a", "b"]}, {"tokens": ["x", MASK, MASK]}, "tokens.1|several"),
    "several objects": ({"all": [{"token": "a"}, {"token": "b"}]}, {"all": [{"token": MASK}]}, "all.0|several"),
    "several lists": ({"tokens": [["a"], ["b"]]}, {"tokens": [[MASK]]}, "tokens.0|several"),
}


@pytest.mark.parametrize("case", list(UNCERTAIN))
async def test_the_reason_why_a_placeholder_cannot_be_restored_is_reported(case: str) -> None:
    current, sent, told = UNCERTAIN[case]
    upstream = Upstream()
    upstream.answer({"configuration": current})
    async with connect(upstream) as client:
        result = await write(client, PLACE, sent)
    path, number = told.split("|")
    matches = {"none": "no current value", "several": "several current values"}[number]
    assert (result.structured_content or {})["code"] == "invalid_placeholder"
    assert read_text(result).startswith(f"configuration.{path} contains a placeholder that matches {matches}. ")
    assert "Nothing was sent." in read_text(result)
    assert [request.method for request in upstream.requests] == ["GET"]


async def test_an_omitted_credential_is_named_with_everything_else_that_the_update_deletes() -> None:
    upstream = Upstream()
    upstream.answer({"configuration": {"api_key": "k", "digest": True, "token": "t", "kept": 1}})
    async with connect(upstream) as client:
        text = read_text(await write(client, PLACE, {"kept": 2}))
    assert text.startswith("configuration.api_key is missing. ")
    assert text.endswith(" Also missing: configuration.token, configuration.digest.")


@pytest.mark.parametrize("key", ["ab", "a\u202eb"], ids=["as it is shown", "as it is"])
async def test_a_credential_below_a_name_with_hidden_characters_is_not_lost(key: str) -> None:
    upstream = Upstream()
    upstream.answer({"configuration": {"a\u202eb": {"token": "t"}}})
    async with connect(upstream) as client:
        result = await write(client, PLACE, {key: {}})
    assert (result.structured_content or {})["code"] == "credential_omitted"
    assert read_text(result).startswith("configuration.ab.token is missing. ")
    assert "Nothing was sent." in read_text(result)
    assert [request.method for request in upstream.requests] == ["GET"]


async def test_in_fields_that_are_never_masked_a_mask_is_plain_text() -> None:
    upstream = Upstream()
    there = [f"about {MASK}\u202e", f"about {MASK}"]
    upstream.answer({"externalIds": there, "configuration": {}})
    for sent in ([f"new {MASK}"], [f"about {MASK}"]):
        async with connect(upstream) as client:
            result = await client.call_tool("update_integration_installation", {**PLACE, "externalIds": sent})
        assert not result.is_error, read_text(result)
        assert upstream.requests[-1].body == {"externalIds": sent}


async def test_a_target_without_read_access_is_written_only_without_masks() -> None:
    upstream = Upstream(403, b'{"error":{"code":403,"message":"no"}}')
    async with connect(upstream) as client:
        refused = await write(client, PLACE, {"token": MASK})
        assert [request.method for request in upstream.requests] == ["GET"]
        await write(client, PLACE, {"token": "new"})
    assert "The token cannot read the current values. Nothing was sent." in read_text(refused)
    assert upstream.requests[-1].body == {"configuration": {"token": "new"}}


async def test_a_target_that_cannot_be_read_at_the_moment_is_not_written() -> None:
    upstream = Upstream(503)
    async with connect(upstream) as client:
        result = await write(client, PLACE, {"a": "b"})
    assert "nothing was changed" in read_text(result)
    assert {request.method for request in upstream.requests} == {"GET"}


async def test_json_of_the_greatest_depth_is_read_and_written() -> None:
    deep: dict[str, Any] = {"token": "t"}
    for _ in range(90):
        deep = {"a": deep}
    spy = GitBookSpy()
    installation, arguments = set_up(spy, deep)
    async with meet(create(spy), None, "2026-07-28") as client:
        assert not (await write(client, arguments, await read(client, arguments))).is_error
    assert installation.configuration == deep


async def test_confirmations_and_the_store_do_not_contain_a_restored_secret(tmp_path: Path) -> None:
    spy = GitBookSpy()
    installation, arguments = set_up(spy, SECRETS)
    sections = {
        "store": {"url": f"sqlite:///{tmp_path}/store.db"},
        "confirmation": {"extra_tools": ["update_integration_installation"]},
    }
    human = Human()
    for era in ERAS:
        async with meet(create(spy, **sections), human, era) as client:
            shown = await read(client, arguments)
            shown["channel"] = era
            result = await write(client, arguments, shown, externalIds=["a"])
            assert not result.is_error, read_text(result)
        assert installation.configuration == SECRETS | {"channel": era}
        assert "0123456789" not in read_text(result)
    assert "0123456789" not in "".join(human.texts)
    assert b"0123456789" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


async def test_a_secret_that_changes_during_confirmation_needs_a_new_one_and_is_kept() -> None:
    spy = GitBookSpy()
    installation, arguments = set_up(spy, {"api_key": "old", "channel": "#a"})

    def rotate() -> None:
        installation.configuration = {"api_key": "new", "channel": "#a"}

    for era in ERAS:
        installation.configuration = {"api_key": "old", "channel": "#a"}
        human = Human(before=rotate)
        sections = {"confirmation": {"extra_tools": ["update_integration_installation"]}}
        async with meet(create(spy, **sections), human, era) as client:
            await write(client, arguments, {"api_key": MASK, "channel": "#b"})
        assert len(human.requests) == 2
        assert installation.configuration == {"api_key": "new", "channel": "#b"}


def test_endpoints_that_write_what_another_reads_are_known() -> None:
    assert {name for name, endpoint in ENDPOINTS.items() if is_written_back(endpoint)} == {
        "update_integration_installation",
        "update_integration_space_installation",
        "update_integration_site_installation",
        "publish_integration",
    }


# For any configuration

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["\u200d", "⚙️", "a\u202eb", MASK, "[cut: 3 more characters; x]", "Bearer abc123", "x" * 500, "A" * 300]
    ),
)
keys = st.one_of(
    texts,
    st.sampled_from(
        [
            "token",
            "secrets",
            "headers",
            "configuration",
            "value",
            "name",
            "key",
            "plain",
            "pin",
            "expires_at",
            "to\u200bken",
        ]
    ),
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(keys, values, max_size=5), st.booleans())
def test_any_configuration_written_back_as_it_was_read_stays_the_same(
    configuration: dict[str, Any], reveal: bool
) -> None:
    spy = GitBookSpy()

    async def check() -> None:
        installation, arguments = set_up(spy, configuration)
        before = json.dumps(installation.configuration)
        async with meet(create(spy, tools={"reveal_secrets": reveal}), None, "2026-07-28") as client:
            shown = await read(client, arguments)
            result = await write(client, arguments, shown)
            if result.is_error:  # a token of this server's own is shown nowhere; so it is refused instead of lost
                assert any(token in before for token in (USER_TOKEN, INTEGRATION_TOKEN)), read_text(result)
        assert json.dumps(installation.configuration) == before

    anyio.run(check)


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["eyJaaaaaaaa-", "eyJ", "://a:", "sk-", "[cut: 1 more characters; ", "[cut: 1", "[masked]"]
)
async def test_masking_takes_linear_time_for_any_text(piece: str) -> None:
    upstream, text = Upstream(), piece * (1_000_000 // len(piece))
    upstream.answer({"id": "i", "configuration": {"note": text}})
    async with connect(upstream) as client:
        started = time.process_time()
        await read(client, {"integrationName": "x", "installationId": "i"})
        await write(client, {"integrationName": "x", "installationId": "i"}, {"note": text, "other": f"{text}."})
        assert time.process_time() - started < 30  # quadratic time would be minutes


@given(st.text(), st.integers(1, 400), st.booleans())
def test_a_shown_text_is_recognized(text: str, characters: int, encoded: bool) -> None:
    text = text * 20 if not encoded else "QUJD" * len(text)
    assert is_shown_form(View(characters, "somewhere").show(text), text)
    assert not is_shown_form(View(characters, "somewhere").show(text + "x"), text)


@given(values, st.booleans(), st.none() | st.integers(1, 400))
def test_the_json_of_a_value_is_that_of_what_is_shown(value: Any, reveal: bool, characters: int | None) -> None:
    shown, written = View(characters, "somewhere", reveal).show_json(value)
    assert json.loads(written) == json.loads(to_json(shown))
    assert shown == View(characters, "somewhere", reveal).show(value)


@given(values, st.booleans())
def test_the_fast_check_never_shows_more_than_the_full_walk(value: Any, reveal: bool) -> None:
    view = View(reveal=reveal)
    beside = "\u200b"  # with which nobody would be content with a quick look
    assert view.show(value) == view.show([value, beside])[0]


# Records


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("api_key", "x"),
        ("apiKey", "x"),
        ("accessToken", "x"),
        ("client_secret", "x"),
        ("PASSWORD", "x"),
        ("webhook_url", "https://hooks.example/T0/B0"),
        ("note", "sk_live_0123456789abcdef"),
        ("note", "xoxb-0123456789-abcdef"),
        ("note", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig"),
        ("note", "postgres://user:pw@db.example/x"),
        ("note", "Bearer abc123"),
    ],
)
def test_possible_secrets_are_masked(key: str, value: str) -> None:
    assert mask_secrets({"a": [{key: value}]}) == {"a": [{key: MASK}]}
    assert mask_secrets({key: [value]}) == {key: [MASK]}


def test_values_below_a_secret_key_and_beside_a_secret_name_are_masked() -> None:
    assert mask_secrets({"credentials": {"user": "x", "deep": [{"pin": 5}]}}) == {
        "credentials": {"user": MASK, "deep": [{"pin": MASK}]}
    }
    assert mask_secrets([{"label": "api key", "value": "x"}]) == [{"label": "api key", "value": MASK}]


def test_values_needed_for_decisions_are_not_masked() -> None:
    plain = {"channel": "#docs", "enabled": True, "count": 3, "externalIds": ["team:1"], "url": "https://x.example/a"}
    plain |= {"key": "acme/docs", "webhookId": "w", "authorization_endpoint": "https://x.example/a"}
    assert mask_secrets(plain) == plain


def test_long_text_is_replaced_by_its_digest() -> None:
    digest = hashlib.sha256(b"x" * 2001).hexdigest()
    assert mask_secrets({"summary": "x" * 2001}) == {"summary": f"[2001 characters, sha256 {digest}]"}
    assert mask_secrets({"summary": "x" * 2000}) == {"summary": "x" * 2000}
    assert mask_secrets("\ud800" * 2001).startswith("[2001 characters, sha256 ")


def test_a_script_of_any_length_is_replaced_by_its_digest() -> None:
    digest = hashlib.sha256(b"export default {}").hexdigest()
    assert mask_secrets({"script": "export default {}"}) == {"script": f"[17 characters, sha256 {digest}]"}


@given(st.text(min_size=1), st.dictionaries(st.text(), st.text(min_size=4)))
def test_no_value_of_an_integrations_secrets_survives(key: str, secrets: dict[str, str]) -> None:
    masked = mask_secrets({"secrets": {"nested": secrets, key: [*secrets.values(), 5]}})
    assert set(json.dumps(masked["secrets"][key])) <= set(json.dumps([MASK, MASK]))
