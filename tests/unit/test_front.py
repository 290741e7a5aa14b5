"""The front: which requests it recognizes, which saved answers it trusts, and that nothing is lost at the hand-over."""

import json
import os
import random
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter

from gitbook_integrations_mcp import front
from gitbook_integrations_mcp.config.settings import iterate_settings, name_variable
from gitbook_integrations_mcp.front import SECRET_VARIABLES, AnswerFile, Front, Opening, find_file
from gitbook_integrations_mcp.transports.saved_answers import NOTIFICATIONS, SavedAnswers
from gitbook_integrations_mcp.transports.stdio import Connection, Outgoing
from gitbook_integrations_mcp.transports.stdio_streams import StdinReader, StdoutWriter
from tests.support.process import TIMEOUT

META = "io.modelcontextprotocol/"
CLIENT = {"name": "client", "version": "1"}
KEYS = ["jsonrpc", "id", "method", "params", "_meta", "capabilities", "clientInfo", "protocolVersion"]


def encode(method: str, request: Any = None, params: Any = None) -> bytes:
    message = {"jsonrpc": "2.0", "id": request, "method": method, "params": params}
    return json.dumps({key: value for key, value in message.items() if value is not None}).encode()


def hello(version: Any = "2025-11-25", capabilities: Any = None, client: Any = CLIENT, **more: Any) -> bytes:
    params = {"protocolVersion": version, "capabilities": capabilities or {}, "clientInfo": client, **more}
    return encode("initialize", 0, params)


def modern(method: str, version: str = "2026-07-28", client: Any = None) -> bytes:
    meta: dict[str, Any] = {f"{META}protocolVersion": version, f"{META}clientCapabilities": {}}
    if client:
        meta[f"{META}clientInfo"] = client
    return encode(method, 1, {"_meta": meta})


def join(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


GREETING = [hello(), encode("notifications/initialized")]

# What is recognized


def read_last(*lines: bytes) -> tuple[Any, str] | None:
    opening = Opening()
    *before, last = lines
    assert all(opening.read(line) for line in before)
    return opening.read(last)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([hello()], [hello(capabilities={"elicitation": {"form": {}}}, client={"name": "a", "version": "2"})]),
        ([*GREETING, encode("tools/list", 1)], [*GREETING, encode("tools/list", "two", {})]),
        ([modern("tools/list")], [modern("tools/list", client=CLIENT)]),
        ([modern("tools/list")], [modern("server/discover"), modern("tools/list")]),
    ],
)
def test_requests_that_differ_only_in_id_and_client_have_one_answer(one: list[bytes], other: list[bytes]) -> None:
    first, second = read_last(*one), read_last(*other)
    assert first
    assert second
    assert first[1] == second[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([hello()], [hello("2025-06-18")]),
        ([*GREETING, encode("ping", 1)], [hello(capabilities={"roots": {}}), GREETING[1], encode("ping", 1)]),
        ([*GREETING, encode("tools/list", 1)], [hello("2025-06-18"), GREETING[1], encode("tools/list", 1)]),
        ([*GREETING, encode("tools/list", 1)], [*GREETING, encode("prompts/list", 1)]),
        ([*GREETING, encode("tools/list", 1)], [modern("tools/list")]),
    ],
)
def test_requests_that_differ_in_anything_else_have_different_answers(one: list[bytes], other: list[bytes]) -> None:
    first, second = read_last(*one), read_last(*other)
    assert first
    assert second
    assert first[1] != second[1]


@pytest.mark.parametrize(
    "lines",
    [
        [b""],
        [b"\r"],
        [b"hello"],
        [b"\xef\xbb\xbf" + hello()],
        [b"[" + hello() + b"]"],
        [b"[" * 1000],
        [b'{"a":' * 1000],
        [b"\xff"],
        [hello().replace(b'"2.0"', b'"1.0"')],
        [hello(client={"name": "\ud83d", "version": "1"})],
        [hello(client={"name": "a"})],
        [hello(client="a")],
        [hello(capabilities={"roots": True})],
        [hello(version=1)],
        [hello(_meta={})],
        [hello().replace(b'"capabilities": {}', b'"capabilities": {"a": {"b": NaN}}')],
        [hello(capabilities={"experimental": {"a": "x" * 70_000}})],
        [hello(), hello()],
        [hello(), encode("tools/list", 1)],
        [encode("notifications/initialized")],
        [encode("tools/list", 1)],
        [*GREETING, encode("notifications/cancelled", None, {"requestId": 0})],
        [*GREETING, encode("tools/call", 1, {"name": "list_sites"})],
        [*GREETING, encode("resources/list", 1)],
        [*GREETING, encode("tools/list")],
        [*GREETING, encode("tools/list", 1.5)],
        [*GREETING, encode("tools/list", True)],
        [*GREETING, encode("tools/list", "é")],
        [*GREETING, encode("tools/list", 2**60)],
        [*GREETING, encode("tools/list", 1, [1])],
        [*GREETING, encode("tools/list", 1, {"cursor": "a"})],
        [*GREETING, encode("tools/list", 1, {"_meta": {"progressToken": 1}})],
        [b'{"jsonrpc":"2.0","id":1,"method":[]}'],
        [modern("tools/list").replace(b'"_meta": {', b'"cursor": "a", "_meta": {')],
        [modern("tools/list").replace(b'"_meta": {', b'"_meta": {"progressToken": 1, ')],
        [modern("tools/list").replace(b'"2026-07-28"', b"{}")],
        [*GREETING, encode("tools/list", 1)[:-1] + b',"more":1}'],
        [*GREETING, modern("tools/list")],
        [modern("tools/list"), hello()],
        [modern("tools/list"), modern("tools/list", "2027-01-01")],
        [modern("tools/list"), encode("tools/list", 2)],
        [modern("tools/list", client="a")],
        [encode("tools/list", 1, {"_meta": {f"{META}protocolVersion": "2026-07-28"}})],
    ],
)
def test_everything_unusual_is_left_to_the_server(lines: list[bytes]) -> None:
    assert read_last(*lines) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([*CLIENT, "2.0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner),
    max_leaves=10,
)


@given(st.data())
def test_a_request_that_is_recognized_is_one_that_the_server_accepts(data: st.DataObject) -> None:
    message = json.loads(data.draw(st.sampled_from([hello(), modern("tools/list", client=CLIENT)])))
    params = message["params"]
    place = data.draw(st.sampled_from([message, params, *(one for one in params.values() if isinstance(one, dict))]))
    place[data.draw(st.sampled_from([*place, "more"]))] = data.draw(JSON)
    line = json.dumps(message, ensure_ascii=False).encode(errors="surrogatepass")
    if Opening().read(line):
        assert isinstance(jsonrpc_message_adapter.validate_json(line, by_name=False), JSONRPCRequest)


# Kinds of start


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "GITBOOK_TOKEN": "planted-secret", "HOME": str(tmp_path)}


def test_no_secret_distinguishes_starts_or_is_saved(environ: dict[str, str]) -> None:
    secret = {
        name_variable(section, key)
        for section, key, field in iterate_settings()
        if "Secret" in repr(field.annotation) or key == "tokens"
    }
    assert secret == SECRET_VARIABLES
    usual = find_file(["serve"], environ)
    planted = find_file(["serve"], environ | dict.fromkeys([*secret, "GITBOOK_INTEGRATION_TOKEN"], "planted-secret"))
    assert usual
    assert planted
    assert usual.path == planted.path
    planted.save({})
    assert "planted-secret" not in Path(planted.path).read_text()


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["--sandbox"], {}),
        (["serve"], {}),
        ([], {"GITBOOK_ORGANIZATION": "a"}),
        ([], {"GITBOOK_ENDPOINT": "https://example.com"}),
        ([], {"gitbook_mcp_tools__read_only": "true"}),
        ([], {"GITBOOK_MCP_TOOLS": '{"read_only": true}'}),
    ],
)
def test_arguments_and_settings_distinguish_starts(
    environ: dict[str, str], words: list[str], variables: dict[str, str]
) -> None:
    usual, other = find_file([], environ), find_file(words, environ | variables)
    assert usual
    assert other
    usual.save({"key": "{}"})
    assert other.load() == {}
    assert usual.path != other.path


@pytest.mark.parametrize("given", ["--config=FILE", "--config FILE", "variable", "home"])
def test_an_edited_settings_file_makes_another_start(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "settings.json"
    named = {"variable": str(file), "home": "~/settings.json"}
    words = given.replace("FILE", str(file)).split() if given not in named else []
    variables = environ | ({"GITBOOK_MCP_CONFIG": named[given]} if given in named else {})
    kinds = []
    for content in (None, "{}", '{"tools": {}}'):
        if content:
            file.write_text(content)
        found = find_file(words, variables)
        assert found
        kinds.append(found.path)
    assert len(set(kinds)) == 3


def test_an_upgrade_makes_another_start(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "site-packages"
    (packages / "mcp-2.3.0.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
    before = find_file([], environ)
    (packages / "__pycache__").mkdir()  # as Python makes one on the first start
    same = find_file([], environ)
    (packages / "mcp-2.3.0.dist-info").rename(packages / "mcp-2.3.1.dist-info")
    after = find_file([], environ)
    assert before
    assert same
    assert after
    assert before.path == same.path != after.path


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["audit"], {}),
        (["call", "list_sites"], {}),
        ([], {"GITBOOK_MCP_GITBOOK": '{"token": "a"}'}),
        ([], {"XDG_CACHE_HOME": "relative"}),
    ],
)
def test_other_commands_and_unusual_settings_have_no_saved_answers(
    environ: dict[str, str], words: list[str], variables: dict[str, str]
) -> None:
    assert find_file(words, environ | variables) is None


# The file


@pytest.fixture
def file(tmp_path: Path) -> AnswerFile:
    return AnswerFile(str(tmp_path / "cache"), "kind")


def write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def replace_by_link(path: Path) -> None:
    path.rename(path.with_suffix(".other"))
    path.symlink_to(path.with_suffix(".other"))


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def give_away(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    os.chown(path, 12345, 12345)


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        write(""),
        write("{"),
        write("[]"),
        write("[" * 100_000),
        write('{"kind": "kind"}'),
        write('{"kind": "kind", "texts": [], "answers": {"key": 0}}'),
        write('{"kind": "kind", "texts": [1], "answers": {"key": 0}}'),
        write('{"kind": "kind", "texts": ["{}"], "answers": {"key": "0"}}'),
        write('{"kind": "kind", "texts": ["{}"], "answers": ["key"]}'),
        write('{"kind": "other", "texts": ["{}"], "answers": {"key": 0}}'),
        lambda path: path.write_bytes(b"\xff"),
        lambda path: path.write_text(path.read_text() + " " * 9_000_000),
        lambda path: path.chmod(0o620),
        lambda path: path.chmod(0o602),
        replace_by_link,
        replace_by_pipe,
        give_away,
    ],
)
def test_a_file_that_cannot_be_trusted_is_ignored_and_replaced(
    file: AnswerFile, damage: Callable[[Path], object]
) -> None:
    file.save({"key": "{}"})
    assert file.load() == {"key": "{}"}
    assert Path(file.path).stat().st_mode & 0o777 == 0o600
    damage(Path(file.path))
    assert file.load() == {}
    file.save({"key": "{}"})
    assert file.load() == {"key": "{}"}


def test_only_the_latest_files_are_kept(tmp_path: Path) -> None:
    files = [AnswerFile(str(tmp_path), f"kind {number}") for number in range(40)]
    for number, one in enumerate(files):
        one.save({})
        os.utime(one.path, (number, number))
    files[-1].save({"key": "{}"})
    assert len(list(tmp_path.iterdir())) == 32
    assert files[-1].load() == {"key": "{}"}


def test_little_is_imported_before_the_first_answer() -> None:
    program = "import sys; from gitbook_integrations_mcp import front; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=TIMEOUT)
    heavy = {"typing", "threading", "pathlib", "dataclasses", "logging", "hashlib", "argparse", "asyncio", "pydantic"}
    assert not heavy & set(ended.stdout.split())


# Reading and writing


@contextmanager
def open_front(file: AnswerFile, answers: dict[str, str]) -> Iterator[tuple[Front, socket.socket]]:
    """Yield a front and the socket of its client."""
    file.save(answers)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Front(file, theirs.fileno(), theirs.fileno()), ours


def answer_all(lines: list[bytes]) -> dict[str, str]:
    opening = Opening()
    found = [opening.read(line) for line in lines]
    return {one[1]: json.dumps({"key": one[1]}) for one in found if one and one[0] is not None}


def test_a_client_that_leaves_after_its_answers_ends_it(file: AnswerFile) -> None:
    lines = [*GREETING, encode("tools/list", 1)]
    with open_front(file, answer_all(lines)) as (answering, client):
        client.sendall(join(lines))
        client.shutdown(socket.SHUT_WR)
        answering.answer()
        assert answering.is_finished
        assert [json.loads(line)["id"] for line in client.recv(10_000).splitlines()] == [0, 1]


@pytest.mark.parametrize("rest", [b"hello", encode("ping", 2)])
def test_a_client_that_leaves_in_the_middle_of_a_line_is_left_to_the_server(file: AnswerFile, rest: bytes) -> None:
    with open_front(file, answer_all([hello()])) as (answering, client):
        client.sendall(join([hello()]) + rest)
        client.shutdown(socket.SHUT_WR)
        answering.answer()
        assert not answering.is_finished
        assert answering.received == join([hello()]) + rest


def test_a_client_that_does_not_read_does_not_delay_the_server(file: AnswerFile) -> None:
    lines = [*GREETING, *[encode("tools/list", number) for number in range(1, 60)]]
    with open_front(file, dict.fromkeys(answer_all(lines), json.dumps("x" * 50_000))) as (answering, client):
        client.sendall(join(lines))
        answering.answer(0.01)
        answering.start()
        answering.stop()
        assert answering.unsent
        assert answering.answered == 60


def test_a_line_without_an_answer_ends_the_answers(file: AnswerFile) -> None:
    lines = [*GREETING, encode("tools/call", 1, {}), encode("tools/list", 2)]
    with open_front(file, answer_all([*GREETING, encode("tools/list", 2)])) as (answering, client):
        client.sendall(join(lines))
        answering.answer()
        assert answering.answered == 1
        assert answering.received == join(lines)


@pytest.mark.slow
def test_a_thread_that_is_stopped_at_any_moment_has_lost_and_repeated_nothing(file: AnswerFile) -> None:
    lines = [*GREETING, *[encode("tools/list", number) for number in range(1, 400)]]
    answers, data = answer_all(lines), join(lines)
    for seed in range(200):
        chance = random.Random(seed)  # noqa: S311
        with open_front(file, answers) as (answering, client):
            answering.start()
            client.sendall(data[: chance.randrange(len(data))])
            received = client.recv(1) if chance.random() < 0.5 and answering.answered else b""
            answering.stop()
            client.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    received += client.recv(1 << 20)
            assert data.startswith(answering.received)
            ids = [json.loads(line)["id"] for line in (received + answering.unsent).splitlines()]
            assert ids == list(range(answering.answered))
            complete = [
                json.loads(line) for line in answering.received[: answering.received.rfind(b"\n") + 1].splitlines()
            ]
            assert answering.answered == sum("id" in one for one in complete)


# The hand-over

JUNK = [b"", b"hello", b"\xff", b"[]", encode("notifications/cancelled", None, {"requestId": "none"})]
JUNK_ERRORS = {b"hello", b"\xff", b"[]"}
CASES = 5000


def create_lines(chance: random.Random) -> list[bytes]:
    """Return what a client sends: the opening, calls and junk."""
    methods = ["tools/list", "prompts/list", "resources/templates/list", "ping", "tools/call", "resources/list"]
    numbers = iter(range(1, 100))
    if chance.random() < 0.3:
        lines = []
        for _ in range(chance.randrange(1, 8)):
            line = json.loads(modern(chance.choice([*methods, "server/discover"])))
            lines.append(json.dumps(line | {"id": next(numbers)}).encode())
    else:
        lines = [*GREETING] if chance.random() < 0.9 else [hello()]
        lines += [encode(chance.choice(methods), next(numbers), {}) for _ in range(chance.randrange(8))]
    for _ in range(chance.randrange(3)):
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(JUNK))
    return lines


def write_result(method: str) -> str:
    return json.dumps({"method": method}, separators=(",", ":"))


def find_end(lines: list[bytes]) -> int:
    """Return how many lines belong to the opening."""
    opening = Opening()
    return next((place for place, line in enumerate(lines) if opening.read(line) is None), len(lines))


async def serve(connection: Connection, outgoing: Any, chance: random.Random) -> None:
    """Answer every request in place of the SDK's server, in any order, but the handshake at once."""

    async def answer(message: JSONRPCRequest) -> None:
        for _ in range(0 if message.method == "initialize" else chance.randrange(5)):
            await anyio.lowlevel.checkpoint()
        response: JSONRPCResponse | JSONRPCError
        if message.method == "ping":
            response = JSONRPCError(jsonrpc="2.0", id=message.id, error=ERROR)
        else:
            response = JSONRPCResponse(jsonrpc="2.0", id=message.id, result={"method": message.method})
        await outgoing.send(SessionMessage(response))

    async with anyio.create_task_group() as group:
        with suppress(anyio.EndOfStream):
            while True:
                message = (await connection.receive()).message
                if isinstance(message, JSONRPCRequest) and message.method == "initialize":
                    await answer(message)
                elif isinstance(message, JSONRPCRequest):
                    group.start_soon(answer, message)


ERROR = ErrorData(code=-32603, message="no")


async def hand_over(file: AnswerFile, stale: Counter[str], lines: list[bytes], chance: random.Random) -> list[Any]:
    """Send lines to a front, and, from a random moment on, to the connection that continues; return what comes."""
    data = join(lines)
    begun = Front(file)
    moment = place = chance.choice([0, len(data), chance.randrange(len(data) + 1)])
    start = 0
    while start < moment:
        end = min(moment, start + chance.randrange(1, 200))
        begun.feed(data[start:end])
        start = end
    written = bytes(begun.unsent[: chance.randrange(len(begun.unsent) + 1)])
    del begun.unsent[: len(written)]
    begun.stop()
    reading, theirs = os.pipe()
    ours, writing = os.pipe()
    os.write(theirs, data[place:])
    os.close(theirs)
    outgoing = Outgoing()
    connection = Connection(StdinReader(reading), outgoing, SavedAnswers.continue_from(begun))
    connection.resume(bytes(begun.received), bytes(begun.unsent))
    with StdoutWriter(writing) as writer:
        async with anyio.create_task_group() as group:
            group.start_soon(connection.write, writer)
            async with outgoing:
                await serve(connection, outgoing, chance)
    for descriptor in (reading, writing):
        os.close(descriptor)
    with os.fdopen(ours, "rb") as received:
        text = written + received.read()
    stale["answered"] += begun.answered
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
async def test_whenever_the_server_takes_over_each_request_has_exactly_one_answer(file: AnswerFile) -> None:
    tally: Counter[str] = Counter()
    for seed in range(CASES):
        chance = random.Random(seed)  # noqa: S311
        lines = create_lines(chance)
        requests = {one["id"]: one for one in map(parse, lines) if one and "method" in one and "id" in one}
        saved = {}
        for key in answer_all(lines):
            if chance.random() < 0.8:
                right = write_result(json.loads(key)[1])
                saved[key] = right if chance.random() < 0.8 else '{"stale":1}'
        file.save(saved)
        received = await hand_over(file, tally, lines, chance)
        answers = [one for one in received if "method" not in one and one["id"] is not None]
        assert Counter(one["id"] for one in answers) == Counter([*requests]), seed
        errors = [one for one in received if "id" in one and one["id"] is None]
        assert len(errors) == sum(line in JUNK_ERRORS for line in lines), seed
        notes = Counter(one["method"] for one in received if "method" in one)
        expected: Counter[str] = Counter()
        for one in answers:
            method = requests[one["id"]]["method"]
            if "error" in one:
                assert method == "ping", seed
            elif one["result"] == {"stale": 1}:
                tally["stale"] += 1
                if method in NOTIFICATIONS and lines_are_legacy(lines):
                    expected[json.loads(NOTIFICATIONS[method])["method"]] += 1
            else:
                assert one["result"] == {"method": method}, seed
        assert set(notes) == set(expected), seed
        if requests and 0 in requests:
            assert answers[0]["id"] == 0, seed
        asked = set(answer_all(lines[: find_end(lines)]))
        assert {key: text for key, text in file.load().items() if key in asked} == {
            key: write_result(json.loads(key)[1]) for key in asked if json.loads(key)[1] != "ping"
        }, seed
    assert tally["answered"] > CASES / 3
    assert tally["stale"] > CASES / 20


def parse(line: bytes) -> Any:
    with suppress(ValueError):
        found = json.loads(line)
        return found if isinstance(found, dict) else None


def lines_are_legacy(lines: list[bytes]) -> bool:
    return hello() in lines


def test_a_start_on_files_has_no_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["command"])
    with subprocess.Popen(
        [sys.executable, "-c", "from gitbook_integrations_mcp import front; front.begin(); print(front.take_over())"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.read().strip() == b"None"
    assert front.take_over() is None
