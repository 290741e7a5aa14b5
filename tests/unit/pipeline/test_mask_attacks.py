"""Nobody can find out, or lose, a credential by what they send in its place."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from gitbook_integrations_mcp.calls.masking import MASK
from tests.support.elicitation_client import GitBookSpy, Human, create_gated_server, meet
from tests.support.fake_gitbook import Era, Upstream, connect, read_code, read_text
from tests.support.gated_calls import each_era

PLACE = {"integrationName": "x", "installationId": "i"}
KEY = "Zx9-q_T7w.Kp04"


async def update(current: dict[str, Any], sent: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return the result of an update of a configuration, and the bodies that reached GitBook."""
    upstream = Upstream()
    upstream.answer({"configuration": current})
    async with connect(upstream) as client:
        result = await client.call_tool("update_integration_installation", {**PLACE, "configuration": sent})
    return result, [request.body for request in upstream.requests if request.method == "PATCH"]


@pytest.mark.parametrize(
    "guess", ["Zx[cut: 12 more characters; x]", "Zx[cut: 11 more characters; x]", KEY, "Aa[cut: 12 more characters; x]"]
)
@pytest.mark.parametrize("shape", ["field", "list", "object in a list"])
async def test_right_and_wrong_guesses_of_a_credential_look_alike(guess: str, shape: str) -> None:
    def build(value: str) -> dict[str, Any]:
        match shape:
            case "field":
                return {"api_key": value}
            case "list":
                return {"tokens": [value, "other-0123456789"]}
            case _:
                return {"accounts": [{"id": "a", "token": value}]}

    sent = build(guess) | {"zzz": MASK}  # the second placeholder makes the call fail in any case
    right, _ = await update(build(KEY), sent)
    wrong, _ = await update(build("Q" * len(KEY)), sent)
    assert right.is_error
    assert read_text(right) == read_text(wrong)


@pytest.mark.parametrize("guess", [KEY, "Q" * len(KEY)])
async def test_a_right_guess_is_sent_like_a_wrong_one(guess: str) -> None:
    result, sent = await update({"api_key": KEY}, {"api_key": guess})
    assert not result.is_error, read_text(result)
    assert sent == [{"configuration": {"api_key": guess}}]


@pytest.mark.parametrize(
    "sent",
    [
        {"accounts": []},
        {"accounts": [{"id": "a", "token": MASK}]},
        {"accounts": [{"id": "a"}, {"id": "b", "token": MASK}]},
        {"accounts": "none"},
        {"accounts": {}},
        {},
    ],
)
async def test_credentials_below_lists_are_not_dropped(sent: dict[str, Any]) -> None:
    current = {"accounts": [{"id": "a", "token": "t1-0123456789"}, {"id": "b", "token": "t2-0123456789"}]}
    result, sent_bodies = await update(current, sent)
    assert read_code(result) == "credential_omitted"
    assert sent_bodies == []


async def test_masks_do_not_tell_whether_hidden_credentials_are_equal() -> None:
    sent = {"tokens": [MASK, "new-0123456789"]}
    equal, _ = await update({"tokens": [KEY, KEY]}, sent)
    other, _ = await update({"tokens": [KEY, "other-0123456789"]}, sent)
    assert read_code(equal) == "invalid_placeholder"
    assert read_text(equal) == read_text(other)


ACCOUNTS = [{"id": "a", "auth": {"token": "t1-0123456789"}}, {"id": "b", "auth": {"token": "t2-0123456789"}}]
PAIRS = [{"name": "Authorization", "value": "s-0123456789"}, {"name": "Accept", "value": "text/plain"}]


@pytest.mark.parametrize(
    ("current", "sent"),
    [
        (ACCOUNTS, [{"id": "b", "auth": {"token": MASK}}, {"id": "b", "auth": {"token": MASK}}]),
        (ACCOUNTS, [{"id": "a", "auth": {}}, {"id": "b", "auth": {"token": MASK}}]),
        (ACCOUNTS, [{"id": "a", "auth": "none"}, {"id": "b", "auth": {"token": MASK}}]),
        (PAIRS, [{"name": "Accept", "value": "text/html"}]),
        (PAIRS, [{"name": "Accept", "value": "text/html"}, {"name": "Accept", "value": "text/plain"}]),
        (["https://user:p@one.example", "https://two.example"], ["https://two.example"]),
        ([["https://user:p@one.example"]], [[]]),
    ],
)
async def test_an_item_stands_for_one_item_with_a_credential(current: Any, sent: Any) -> None:
    result, sent_bodies = await update({"list": current}, {"list": sent})
    assert read_code(result) == "credential_omitted"
    assert sent_bodies == []


@pytest.mark.parametrize(
    ("current", "sent"),
    [
        (ACCOUNTS, [{"id": "c", "auth": {"token": "n1"}}, {"id": "a", "auth": {"token": "n2"}}]),
        (ACCOUNTS, [{"id": "a", "auth": {"token": None}}, {"id": "b", "auth": None}]),
        (ACCOUNTS, [None, None]),
        (PAIRS, [{"name": "Accept", "value": "text/html"}, {"name": "X-Api-Key", "value": "new"}]),
        (["https://user:p@one.example"], ["https://user:new@one.example", "https://two.example"]),
    ],
)
async def test_a_credential_in_a_list_is_replaced_by_another_or_by_null(current: Any, sent: Any) -> None:
    result, sent_bodies = await update({"list": current}, {"list": sent})
    assert not result.is_error, read_text(result)
    assert sent_bodies == [{"configuration": {"list": sent}}]


@pytest.mark.parametrize("sent", [{}, [], {"value": "new"}, ["new"]])
async def test_a_credential_is_not_replaced_by_an_object(sent: Any) -> None:
    result, sent_bodies = await update({"api_key": KEY}, {"api_key": sent})
    assert read_code(result) == "credential_omitted"
    assert sent_bodies == []


@pytest.mark.parametrize("sent", ["none", [], 5])
async def test_an_object_with_credentials_is_not_replaced(sent: Any) -> None:
    result, sent_bodies = await update({"client": {"secret": "s-0123456789"}}, {"client": sent})
    assert read_code(result) == "credential_omitted"
    assert sent_bodies == []


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ({"accounts": None}, {"accounts": None}),
        (
            {"accounts": [{"id": "b", "token": MASK}, {"id": "a", "token": MASK}]},
            {"accounts": [{"id": "b", "token": "t2-0123456789"}, {"id": "a", "token": "t1-0123456789"}]},
        ),
        (
            {"accounts": [{"id": "a", "token": None}, {"id": "b", "token": MASK}]},
            {"accounts": [{"id": "a", "token": None}, {"id": "b", "token": "t2-0123456789"}]},
        ),
    ],
)
async def test_null_and_masks_say_what_is_meant(sent: dict[str, Any], written: dict[str, Any]) -> None:
    current = {"accounts": [{"id": "a", "token": "t1-0123456789"}, {"id": "b", "token": "t2-0123456789"}]}
    result, sent_bodies = await update(current, sent)
    assert not result.is_error, read_text(result)
    assert sent_bodies == [{"configuration": written}]


@pytest.mark.parametrize(
    "sent",
    [
        {"header": {"name": "X-Team", "value": MASK}},
        {"header": {"value": MASK}},
        {"header": {"name": "Authorization", "Name": "X", "value": MASK}, "headers": [{"name": "X", "value": MASK}]},
    ],
)
async def test_a_credential_is_not_kept_under_a_name_with_which_results_would_show_it(sent: dict[str, Any]) -> None:
    current = {"header": {"name": "Authorization", "value": KEY}, "headers": [{"name": "Cookie", "value": KEY}]}
    kept = {"headers": [{"name": "Cookie", "value": MASK}]}
    result, sent_bodies = await update(current, kept | sent)
    assert read_code(result) == "invalid_placeholder"
    assert sent_bodies == []
    renamed = {"header": {"name": "X-Api-Key", "value": MASK}}
    _, sent_bodies = await update(current, kept | renamed)
    assert sent_bodies == [{"configuration": {**current, "header": {"name": "X-Api-Key", "value": KEY}}}]


async def test_public_settings_of_a_site_are_replaced_like_any_value() -> None:
    upstream = Upstream()
    upstream.answer({"integration": "posthog", "site": "s", "configuration": {"projectApiKey": KEY, "note": "a"}})
    arguments = {
        **PLACE,
        "integrationName": "posthog",
        "siteId": "s",
        "configuration": {"projectApiKey": "phc_new", "note": "a"},
    }
    async with connect(upstream) as client:
        result = await client.call_tool("update_integration_site_installation", arguments)
        masked = {**arguments, "configuration": {"projectApiKey": MASK}}
        refused = await client.call_tool("update_integration_site_installation", masked)
    assert not result.is_error, read_text(result)
    assert read_code(refused) == "invalid_placeholder"
    sent = [request.body for request in upstream.requests if request.method == "PATCH"]
    assert sent == [{"configuration": {"projectApiKey": "phc_new", "note": "a"}}]


# An error of GitBook that repeats what was sent


@dataclass
class Echoing(GitBookSpy):
    """A GitBook whose errors repeat the body of the request behind `padding` characters."""

    padding: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] == "GET":
            await super().__call__(scope, receive, send)
            return
        body = (await receive())["body"].decode()
        text = json.dumps({"error": {"code": 422, "message": f"{'-' * self.padding}{body} is invalid"}})
        await send({"type": "http.response.start", "status": 422, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})


SECRET = 'Zx9-q_T7w.Kp04"\\é'


@each_era
@pytest.mark.parametrize("padding", range(180, 300, 8))
async def test_no_error_repeats_a_credential_that_the_model_was_not_shown_not_even_where_it_is_cut(
    era: Era, padding: int
) -> None:
    spy = Echoing(padding=padding)
    installation = next(one for one in spy.sandbox.state.installations.values() if one.integration == "chatterbox")
    installation.configuration = {"workspace": "aurora", "access_token": SECRET}
    place = {"integrationName": "chatterbox", "installationId": installation.id}
    changed = {"workspace": "other", "access_token": MASK}
    async with meet(create_gated_server(spy), Human(), era) as client:
        updated = await client.call_tool("update_integration_installation", {**place, "configuration": changed})
        copied = await client.call_tool("copy_configuration", {"source": place, "target": place})
    for result in (updated, copied):
        assert read_code(result) == "gitbook_rejected"
        assert SECRET[:4] not in read_text(result)
        assert padding > 240 or MASK in read_text(result)


@pytest.mark.parametrize(
    ("credential", "echoed"),
    [
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "sk_live_4eC39HqLyjWDa…"),
        ("https://hooks.slack.com/services/T0/B0/XXXX", "https%3A//hooks.slack.com/services/T0/B0/XXXX"),
    ],
)
async def test_no_error_repeats_a_part_or_another_form_of_a_hidden_credential(credential: str, echoed: str) -> None:
    message = f"configuration.note: {echoed} is not valid"

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        upstream = Upstream()
        if scope["method"] == "GET":
            upstream.answer({"configuration": {"note": credential}})
        else:
            upstream.answer({"error": {"code": 422, "message": message}}, 422)
        await upstream(scope, receive, send)

    async with connect(answer) as client:
        sent = {"note": MASK, "other": "x"}
        result = await client.call_tool("update_integration_installation", {**PLACE, "configuration": sent})
    assert read_code(result) == "gitbook_rejected"
    assert f'"configuration.note: {MASK} is not valid"' in read_text(result)
