"""Standard input and output, over the real process: what is broken, what is large, and how it ends."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION
from gitbook_integrations_mcp.sandbox.application import RATE_LIMIT
from gitbook_integrations_mcp.transports.stdio_streams import LINE_BYTES
from tests.benchmarks.subject import environment, upstream
from tests.support.fake_gitbook import ERAS, Era
from tests.support.gated_calls import PUBLICATION
from tests.support.process import COMMAND, TIMEOUT
from tests.support.stdio_client import Conversation, Plumbing

SECRET = "planted-secret-0123456789"

PARSE_ERROR, INVALID_REQUEST, INVALID_PARAMS, UNSUPPORTED_PROTOCOL_VERSION = -32700, -32600, -32602, -32022

BAD_LINES: dict[str, tuple[bytes, tuple[int, Any] | None]] = {
    "nothing": (b"", None),
    "a carriage return": (b"\r", None),
    "white space": (b" \t ", None),
    "no JSON": (b"hello " + SECRET.encode(), (PARSE_ERROR, None)),
    "JSON that breaks off": (b'{"jsonrpc":"2.0","id":1,"method":"' + SECRET.encode(), (PARSE_ERROR, None)),
    "two messages": (b'{"jsonrpc":"2.0","method":"a"}{"jsonrpc":"2.0","method":"b"}', (PARSE_ERROR, None)),
    "invalid UTF-8": (b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}', (PARSE_ERROR, 1)),
    "half a character": (rb'{"jsonrpc":"2.0","id":1,"method":"\ud800"}', (INVALID_PARAMS, 1)),
    "UTF-16": ('{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16-le"), (PARSE_ERROR, None)),
    "zero bytes": (b"\0\0\0", (PARSE_ERROR, None)),
    "a zero byte within": (b'{"jsonrpc":"2.0","id":1,\0"method":"ping"}', (PARSE_ERROR, 1)),
    "a thousand levels": (b"[" * 1000 + b"]" * 1000, (INVALID_PARAMS, None)),
    "a deep argument": (
        b'{"jsonrpc":"2.0","id":1,"method":"a","params":' + b'{"a":' * 1000 + b"1" + b"}" * 1001,
        (INVALID_PARAMS, 1),
    ),
    "an argument of 200 levels": (
        b'{"jsonrpc":"2.0","method":"a","params":' + b'{"a":' * 200 + b"1" + b"}" * 200 + b',"id":"one"}',
        (INVALID_PARAMS, "one"),
    ),
    "half a character in an argument": (
        rb'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"search":"\ud83d"}}}',
        (INVALID_PARAMS, 1),
    ),
    "a huge number": (
        b'{"jsonrpc":"2.0","id":1.0,"method":"a","params":{"a":' + b"9" * 5000 + b"}}",
        (INVALID_PARAMS, 1),
    ),
    "a comma too many": (b'{"jsonrpc":"2.0","id":1,"method":"ping",}', (PARSE_ERROR, 1)),
    "a raw tab": (b'{"jsonrpc":"2.0","id":1,"method":"pi\tng"}', (PARSE_ERROR, 1)),
    "half a character in the ID": (rb'{"jsonrpc":"2.0","id":"\ud83d","method":"ping"}', (INVALID_PARAMS, None)),
    "an ID that is not its own": (rb'{"jsonrpc":"2.0","method":"\ud83d","params":{"id":1}}', (INVALID_PARAMS, None)),
    "half a character and an ID of 19 digits": (
        rb'{"jsonrpc":"2.0","id":1234567890123456789.0,"method":"\ud83d"}',
        (INVALID_PARAMS, 1234567890123456789),
    ),
    "two IDs": (rb'{"jsonrpc":"2.0","id":1,"id":2,"method":"\ud83d"}', (INVALID_PARAMS, None)),
    "a number": (b"1", (INVALID_REQUEST, None)),
    "a text": (b'"ping"', (INVALID_REQUEST, None)),
    "null": (b"null", (INVALID_REQUEST, None)),
    "an empty batch": (b"[]", (INVALID_REQUEST, None)),
    "a batch": (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', (INVALID_REQUEST, None)),
    "an empty object": (b"{}", (INVALID_REQUEST, None)),
    "no version": (b'{"id":7,"method":"ping"}', (INVALID_REQUEST, 7)),
    "another version": (b'{"jsonrpc":"1.0","id":"seven","method":"ping"}', (INVALID_REQUEST, "seven")),
    "a method that is no text": (b'{"jsonrpc":"2.0","id":7,"method":5}', (INVALID_REQUEST, 7)),
    "no method": (b'{"jsonrpc":"2.0","id":7}', (INVALID_REQUEST, 7)),
    "parameters that are a list": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":[1]}', (INVALID_REQUEST, 7)),
    "an ID that is none": (b'{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}', (INVALID_REQUEST, None)),
    "an ID that is a fraction": (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', (INVALID_REQUEST, None)),
    "an ID that is true": (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', (INVALID_REQUEST, None)),
    # The ID of a broken answer is one of the server's own; the client's request of that number is another.
    "an answer that is broken": (b'{"jsonrpc":"2.0","id":7,"error":"no"}', (INVALID_REQUEST, None)),
    "an answer to nothing": (b'{"jsonrpc":"2.0","id":7,"result":{}}', None),
    "a notification that does not exist": (b'{"jsonrpc":"2.0","method":"nothing"}', None),
    "a cancellation of nothing": (
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[7]}}',
        None,
    ),
    "a line of 20 MB": (b'{"jsonrpc":"2.0","id":1,"method":"' + b"a" * 20_000_000 + b'"}', (INVALID_REQUEST, 1)),
    "a line of 20 MB with its ID at the end": (
        b'{"jsonrpc":"2.0","method":"' + b"a" * 20_000_000 + b'","id":1}',
        (INVALID_REQUEST, None),
    ),
}

UNUSABLE: list[Any] = [None, 1.5, {}, [], True]
"""Values that clients send in metadata that they do not use."""


@pytest.fixture(scope="module", params=ERAS)
def talk(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """A conversation that everything of this module is said in, one after the other: nothing ends it."""
    with Conversation("--sandbox", "--log-level", "debug") as conversation:
        yield conversation.greet(request.param)
        assert SECRET not in conversation.stderr
        assert "Traceback" not in conversation.stderr


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_answered_as_json_rpc_says_and_the_next_request_works(talk: Conversation, name: str) -> None:
    line, expected = BAD_LINES[name]
    talk.send(line + b"\n")
    works = talk.call("get_integration_by_name", integrationName="slack")
    answers = [talk.receive() for _ in range(2 if expected else 1)]
    if expected:
        answer = next(answer for answer in answers if "error" in answer)
        assert (answer["error"]["code"], answer["id"]) == expected
        assert answer.keys() == {"jsonrpc", "id", "error"}
        assert answer["error"]["data"] == {"code": "invalid_message"}
        assert len(json.dumps(answer)) < 300
    (answer,) = [answer for answer in answers if answer["id"] == works]
    assert answer["result"]["structuredContent"]["name"] == "slack"


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("written", [b"4711", b"4711.0"])
def test_a_byte_order_mark_and_a_whole_number_with_a_point_do_no_harm(
    talk: Conversation, before: bytes, written: bytes
) -> None:
    line, name = talk.encode("tools/call", {"name": "list_sites", "arguments": {}})
    talk.send(
        before
        + line.replace(b'"id":' + json.dumps(name).encode(), b'"id":' + written, 1).replace(
            b'"id": ' + json.dumps(name).encode(), b'"id": ' + written, 1
        )
    )
    answer = talk.receive()
    assert (answer["id"], "result" in answer) == (4711, True)


@pytest.mark.parametrize("value", UNUSABLE, ids=repr)
def test_a_call_works_in_spite_of_an_unusable_progress_token(talk: Conversation, value: Any) -> None:
    line, name = talk.encode("tools/call", {"name": "list_sites", "arguments": {}})
    request = json.loads(line)
    request["params"].setdefault("_meta", {})["progressToken"] = value
    talk.send(json.dumps(request).encode() + b"\n")
    answer = talk.receive()
    assert (answer["id"], len(answer["result"]["structuredContent"]["items"])) == (name, 5)


@pytest.mark.parametrize("meta", UNUSABLE, ids=repr)
def test_metadata_that_is_no_object_fails_a_call_only_if_it_must_hold_the_version(
    talk: Conversation, meta: Any
) -> None:
    line, name = talk.encode("tools/call", {"name": "list_sites", "arguments": {}})
    request = json.loads(line)
    needed = "_meta" in request["params"]
    request["params"]["_meta"] = meta
    talk.send(json.dumps(request).encode() + b"\n")
    answer = talk.receive()
    assert answer["id"] == name
    if needed:
        assert answer["error"]["code"] == INVALID_PARAMS
        assert "io.modelcontextprotocol/protocolVersion" in answer["error"]["message"]
    else:
        assert len(answer["result"]["structuredContent"]["items"]) == 5


def test_a_connection_with_a_handshake_refuses_requests_in_a_later_protocol() -> None:
    prefix = "io.modelcontextprotocol/"
    meta = {f"{prefix}protocolVersion": "2026-07-28", f"{prefix}clientCapabilities": {}}
    with Conversation("--sandbox") as talk:
        talk.greet("legacy")
        refused = talk.ask("tools/call", {"name": "list_sites", "arguments": {}, "_meta": meta})
        error = talk.await_answer(refused)["error"]
        assert (error["code"], error["data"]) == (INVALID_REQUEST, {"code": "invalid_message"})
        assert_a_call_works(talk)


def test_a_connection_without_a_handshake_refuses_one() -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    with Conversation("--sandbox") as talk:
        talk.greet("2026-07-28")
        assert talk.await_answer(talk.ask("initialize", hello))["error"]["code"] == UNSUPPORTED_PROTOCOL_VERSION
        assert_a_call_works(talk)


def test_a_notification_before_the_handshake_does_no_harm() -> None:
    with Conversation("--sandbox") as talk:
        talk.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        talk.greet("legacy")
        assert_a_call_works(talk)


def assert_a_call_works(talk: Conversation) -> None:
    works = talk.call("get_integration_by_name", integrationName="slack")
    assert talk.await_answer(works)["result"]["structuredContent"]["name"] == "slack"


def test_two_requests_of_one_id_are_both_answered(talk: Conversation) -> None:
    line, name = talk.encode("tools/call", {"name": "list_sites", "arguments": {}})
    talk.send(line * 2)
    assert [talk.receive()["id"] for _ in range(2)] == [name, name]


def test_lines_may_end_like_on_windows_and_come_in_pieces(talk: Conversation) -> None:
    line, name = talk.encode("tools/call", {"name": "list_sites", "arguments": {}})
    for byte in line[:-1] + b"\r\n":
        talk.send(bytes([byte]))
    assert talk.receive()["id"] == name


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_of_an_overlong_line_no_more_than_the_limit_is_held(talk: Conversation) -> None:
    before = read_peak(talk)
    for _ in range(64):
        talk.send(SECRET.encode() * (4 * 1024 * 1024 // len(SECRET)))
    talk.send(b"\n")
    error = talk.receive()["error"]
    assert (error["code"], error["data"]) == (INVALID_REQUEST, {"code": "invalid_message"})
    assert f"{LINE_BYTES} bytes" in error["message"]
    assert read_peak(talk) - before < 2 * LINE_BYTES


def test_a_large_message_is_read_and_its_content_not_repeated(talk: Conversation) -> None:
    name = talk.call("get_integration_by_name", integrationName="a" * (LINE_BYTES - 1000))
    result = talk.await_answer(name)["result"]
    assert result["isError"]
    assert len(json.dumps(result)) < 2000


MESSAGE = b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"list_sites","arguments":{"limit":2}}}'


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A message with some bytes replaced by others."""
    message = bytearray(MESSAGE)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(message)))
        message[start : start + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
    return bytes(message)


@pytest.fixture
def tally() -> Counter[str]:
    """Return an empty count, for all cases of a test together."""
    return Counter()


@given(garbage=st.lists(st.binary(max_size=200) | mutated(), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_between_any_bytes_requests_are_answered(talk: Conversation, tally: Counter[str], garbage: list[bytes]) -> None:
    talk.send(b"".join(line + b"\n" for line in garbage))
    name = talk.call("get_integration_by_name", integrationName="slack")
    tally["calls"] += 1
    tally["lines"] += sum(len(line.split(b"\n")) for line in garbage)
    while (answer := talk.receive())["id"] != name:
        tally["answers"] += 1  # some of them to what was sent before, as what takes longer is answered later
        assert "result" in answer or "error" in answer
    if tally["calls"] + tally["lines"] > RATE_LIMIT and answer["result"].get("isError"):
        assert answer["result"]["structuredContent"]["code"] == "rate_limited"
    else:
        assert answer["result"]["structuredContent"]["name"] == "slack"
    assert tally["answers"] <= tally["lines"]


def read_peak(talk: Conversation) -> int:
    """Return the most memory, in bytes, that the server ever had."""
    status = Path(f"/proc/{talk.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


@pytest.mark.parametrize("plumbing", ["pipe", "socket"])
def test_a_client_that_does_not_read_gets_everything_once_it_does(plumbing: Plumbing) -> None:
    with Conversation("--sandbox", plumbing=plumbing) as talk:
        talk.greet("legacy")
        names = [talk.ask("tools/list") for _ in range(60)]
        names.append(talk.call("list_sites"))
        whole = {talk.receive()["id"] for _ in names}
        assert whole == set(names)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("plumbing", ["pipe", "socket"])
def test_running_calls_are_answered_when_the_client_says_no_more(era: Era, plumbing: Plumbing) -> None:
    with upstream(latency_ms=700) as endpoint, Conversation(plumbing=plumbing, env=environment(endpoint)) as talk:
        talk.greet(era)
        names = [talk.call("get_integration_by_name", integrationName=f"slack-{number}") for number in range(5)]
        talk.hang_up()
        answers = talk.receive_rest()
        assert talk.process.wait(timeout=TIMEOUT) == 0
        assert talk.stderr == ""
    assert {answer["id"] for answer in answers} == set(names)
    assert all(answer["result"]["structuredContent"]["name"] == "slack" for answer in answers)


def test_a_cancelled_call_holds_up_nothing() -> None:
    with upstream(latency_ms=60_000) as endpoint, Conversation(env=environment(endpoint)) as talk:
        talk.greet("legacy")
        name = talk.call("list_integrations")
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": name}}
        talk.send(json.dumps(cancelled).encode() + b"\n")
        talk.hang_up()
        assert talk.receive_rest() == []
        assert talk.process.wait(timeout=TIMEOUT) == 0


def test_who_listens_for_changes_holds_up_nothing() -> None:
    with Conversation("--sandbox") as talk:
        talk.greet("2026-07-28")
        talk.ask("subscriptions/listen", {"notifications": {}})
        assert talk.receive()["method"] == "notifications/subscriptions/acknowledged"
        talk.hang_up()
        assert len(talk.receive_rest()) == 1
        assert talk.process.wait(timeout=TIMEOUT) == 0


@pytest.mark.parametrize(
    ("tool", "more"),
    [
        ("unpublish_integration", {}),
        ("publish_integration", PUBLICATION),
        ("set_integration_development_mode", {"tunnelUrl": "https://tunnel.example"}),
        ("install_integration", {"organization": ORGANIZATION_ID}),
    ],
)
def test_a_question_that_nobody_can_answer_any_more_is_a_no(tool: str, more: dict[str, Any]) -> None:
    with Conversation("--sandbox") as talk:
        talk.greet("legacy", {"elicitation": {}})
        name = talk.call(tool, integrationName=OWN_INTEGRATION, **more)
        assert talk.receive()["method"] == "elicitation/create"
        talk.hang_up()
        (answer,) = talk.receive_rest()
        assert answer["id"] == name
        assert answer["result"]["structuredContent"]["code"] == "confirmation_cancelled"
        assert talk.process.wait(timeout=TIMEOUT) == 0


@pytest.mark.parametrize(
    "result", [rb'{"action":"accept","content":{"confirm":"\ud83d"}}', b"null", b'{"action":"a",}']
)
def test_a_broken_answer_to_a_question_is_a_no_at_once(result: bytes) -> None:
    with Conversation("--sandbox") as talk:
        talk.greet("legacy", {"elicitation": {}})
        name = talk.call("unpublish_integration", integrationName=OWN_INTEGRATION)
        question = talk.receive()
        assert question["method"] == "elicitation/create"
        talk.send(b'{"jsonrpc":"2.0","id":' + json.dumps(question["id"]).encode() + b',"result":' + result + b"}\n")
        answer = talk.await_answer(name)
        assert answer["result"]["structuredContent"]["code"] == "confirmation_cancelled"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (b'"id":%s.0,"result":{"action":"decline"}', "confirmation_declined"),
        (b'"id":"%s","result":{"action":"decline"}', "confirmation_declined"),
        (b'"id":"%s","result":null', "confirmation_cancelled"),
        (
            b'"id":%s,"result":{"action":"accept","content":{"a":"' + b"a" * LINE_BYTES + b'"}}',
            "confirmation_cancelled",
        ),
    ],
    ids=["a point", "a text", "a text and null", "too long"],
)
def test_an_answer_to_a_question_is_found_however_its_id_is_written(response: bytes, code: str) -> None:
    with Conversation("--sandbox") as talk:
        talk.greet("legacy", {"elicitation": {}})
        name = talk.call("unpublish_integration", integrationName=OWN_INTEGRATION)
        question = talk.receive()
        assert question["method"] == "elicitation/create"
        talk.send(b'{"jsonrpc":"2.0",' + response % str(question["id"]).encode() + b"}\n")
        assert talk.await_answer(name)["result"]["structuredContent"]["code"] == code


def test_a_cancellation_is_found_however_its_id_is_written() -> None:
    with Conversation("--sandbox") as talk:
        talk.greet("legacy", {"elicitation": {}})
        line, _ = talk.encode("tools/call", {"name": "unpublish_integration", "arguments": {}})
        call = json.loads(line) | {"id": 7}
        call["params"]["arguments"] = {"integrationName": OWN_INTEGRATION}
        talk.send(json.dumps(call).encode() + b"\n")
        assert talk.receive()["method"] == "elicitation/create"
        talk.send(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7.0}}\n')
        assert talk.receive()["method"] == "notifications/cancelled"  # of the question


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("era", ERAS)
def test_a_signal_ends_it_at_once_and_cleanly(era: Era, signum: signal.Signals) -> None:
    with upstream(latency_ms=60_000) as endpoint, Conversation(env=environment(endpoint)) as talk:
        talk.greet(era)
        name = talk.call("list_integrations")
        talk.await_answer(talk.ask("tools/list"))
        talk.process.send_signal(signum)
        (answer,) = talk.receive_rest()
        assert answer["id"] == name
        assert "error" in answer
        assert talk.process.wait(timeout=TIMEOUT) == -signum
        assert talk.stderr == ""


def test_a_signal_ends_it_though_nobody_reads() -> None:
    with Conversation("--sandbox") as talk:
        talk.greet("legacy")
        for _ in range(60):
            talk.ask("tools/list")
        talk.process.send_signal(signal.SIGTERM)
        assert talk.process.wait(timeout=TIMEOUT) == -signal.SIGTERM


def test_it_ends_quietly_when_nobody_reads_any_more() -> None:
    with Conversation("--sandbox") as talk:
        talk.greet("legacy")
        talk.stop_reading()
        talk.ask("tools/list")
        assert talk.process.wait(timeout=TIMEOUT) == 0
        assert talk.stderr == ""


def test_files_serve_as_well_as_pipes(tmp_path: Path) -> None:
    with Conversation("--sandbox") as talk:
        calls = [talk.encode("tools/call", {"name": "list_sites", "arguments": {}}) for _ in range(3)]
        hello = json.dumps(
            {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            }
        )
    (tmp_path / "in").write_bytes(
        b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":'
        + hello.encode()
        + b"}\n"
        + b"".join(line for line, _ in calls).rstrip()
    )
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target:
        subprocess.run([*COMMAND, "--sandbox"], stdin=source, stdout=target, check=True, timeout=TIMEOUT)
    answers = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert {answer["id"] for answer in answers} == {0, *(name for _, name in calls)}
    assert all("result" in answer for answer in answers)


def test_ctrl_c_ends_it_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    with tempfile.TemporaryFile() as said:
        words = [*COMMAND, "--sandbox"]
        with subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, stderr=said) as process:
            os.close(theirs)
            os.write(ours, b"nonsense\n")
            assert process.stdout
            assert json.loads(process.stdout.readline())["error"]["code"] == PARSE_ERROR
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=TIMEOUT) == -signal.SIGINT
        os.close(ours)
        said.seek(0)
        assert "install ASSISTANT" in said.read().decode()


def test_nothing_but_the_protocol_reaches_the_client() -> None:
    program = """
import os, subprocess, sys, anyio
from gitbook_integrations_mcp.transports.stdio import open_stdio
async def main():
    async with open_stdio() as (connection, outgoing):
        print("a stray print")
        os.write(1, b"a stray write\\n")
        subprocess.run(["sh", "-c", "cat; echo a child"])
        await outgoing.send(await connection.receive())
        print("a last print")
anyio.run(main)
os.write(1, b"after that, standard output is as before\\n")
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], input=MESSAGE + b"\n", capture_output=True, check=True, timeout=TIMEOUT
    )
    first, last = ended.stdout.splitlines()
    assert json.loads(first) == json.loads(MESSAGE)
    assert last == b"after that, standard output is as before"
    assert set(ended.stderr.splitlines()) == {b"a stray print", b"a stray write", b"a child", b"a last print"}


def test_a_client_that_never_reads_standard_error_is_answered() -> None:
    unread, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x" * 4096)  # until it is full
    os.set_blocking(theirs, True)
    try:
        with Conversation("--sandbox", "--log-level", "debug", stderr=theirs) as talk:
            talk.greet("legacy")
            for _ in range(20):
                assert not talk.await_answer(talk.call("list_sites"))["result"].get("isError")
    finally:
        os.close(unread)
        os.close(theirs)
