"""The front over the real process: saved answers come first, and the server continues as if they were its own."""

import json
import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.front import FOLDER, find_file
from gitbook_integrations_mcp.sandbox import OWN_INTEGRATION
from gitbook_integrations_mcp.transports.saved_answers import prepare_answers
from tests.support.fake_gitbook import ERAS, Era
from tests.support.process import TIMEOUT
from tests.support.stdio_client import Conversation

MARK = "markOfTheSavedAnswer"
WORDS = ("--sandbox",)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the answers of the server that these tests start."""
    cache = tmp_path_factory.mktemp("prepared")
    file = find_file(WORDS, {**os.environ, "XDG_CACHE_HOME": str(cache)})
    assert file
    anyio.run(prepare_answers, create_server(load_settings({"server": {"sandbox": True}})), file)
    return cache


@pytest.fixture
def cache(prepared: Path, tmp_path: Path) -> Path:
    """A copy of that folder for one test."""
    return shutil.copytree(prepared, tmp_path / "cache", copy_function=shutil.copy2)


def start(cache: Path, **options: Any) -> Conversation:
    return Conversation(*WORDS, env={"XDG_CACHE_HOME": str(cache)}, **options)


def find_answers(cache: Path) -> Path:
    (file,) = (cache / FOLDER).iterdir()
    return file


def read_answers(cache: Path) -> dict[str, str]:
    content = json.loads(find_answers(cache).read_bytes())
    return {key: content["texts"][place] for key, place in content["answers"].items()}


def mark(cache: Path) -> None:
    """Add a mark to the saved lists of tools, so that they differ from those of the server."""
    content = json.loads(find_answers(cache).read_bytes())
    for key, place in content["answers"].items():
        text = content["texts"][place]
        if json.loads(key)[1] == "tools/list" and MARK not in text:
            content["texts"][place] = f'{{"{MARK}":true,{text[1:]}'
    find_answers(cache).write_text(json.dumps(content))


def is_marked(answer: dict[str, Any]) -> bool:
    return MARK in json.dumps(answer)


HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'


@pytest.mark.parametrize("era", ERAS)
def test_saved_answers_are_given_while_the_server_starts_and_then_corrected(cache: Path, era: Era) -> None:
    right = read_answers(cache)
    mark(cache)
    with start(cache) as talk:
        talk.greet(era)
        listed = talk.ask("tools/list")
        first = talk.await_answer(listed)
        if era == "legacy":
            assert talk.receive()["method"] == "notifications/tools/list_changed"
        talk.await_answer(talk.call("list_sites"))
        again = talk.await_answer(talk.ask("tools/list"))
    assert is_marked(first)
    assert not is_marked(again)
    assert len(again["result"]["tools"]) == len(first["result"]["tools"])
    corrected = read_answers(cache)
    assert corrected.keys() == right.keys()
    assert [key for key in right if corrected[key] == right[key] and json.loads(key)[1] == "tools/list"] == [
        json.dumps(["2025-11-25" if era == "legacy" else era, "tools/list", []])
    ]


@pytest.mark.parametrize("era", ERAS)
def test_prepared_answers_are_those_of_the_server_for_any_client(cache: Path, era: Era) -> None:
    before = find_answers(cache).stat()
    capabilities = {"elicitation": {}, "roots": {"listChanged": True}, "sampling": {}}
    with start(cache) as talk:
        talk.greet(era, capabilities)
        lists = [talk.ask(method) for method in ("tools/list", "prompts/list", "resources/templates/list")]
        assert all("result" in talk.await_answer(name) for name in lists)
        called = talk.call("list_sites")
        assert talk.receive()["id"] == called  # the server repeats nothing, and corrects nothing
    after = find_answers(cache).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_the_first_start_saves_what_the_next_one_answers(tmp_path: Path) -> None:
    answers: list[list[dict[str, Any]]] = []
    for _ in range(2):
        with start(tmp_path) as talk:
            talk.ask("initialize", HELLO)
            first = talk.receive()
            talk.send(INITIALIZED)
            talk.ask("tools/list")
            answers.append([first, talk.receive()])
        assert len(read_answers(tmp_path)) == 2
        assert find_answers(tmp_path).stat().st_mode & 0o777 == 0o600
    assert answers[0] == answers[1]


def test_a_question_during_the_start_is_asked_by_the_server(cache: Path) -> None:
    with start(cache) as talk:
        talk.greet("legacy", {"elicitation": {}})
        talk.await_answer(talk.ask("tools/list"))
        called = talk.call("unpublish_integration", integrationName=OWN_INTEGRATION)
        question = talk.receive()
        assert question["method"] == "elicitation/create"
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}}
        talk.send(json.dumps(answer).encode() + b"\n")
        assert talk.await_answer(called)["result"]["structuredContent"]["code"] == "confirmation_declined"


def test_everything_in_one_write_is_answered_once(cache: Path) -> None:
    with start(cache) as talk:
        hello, first = talk.encode("initialize", HELLO)
        lines = [talk.encode("tools/list"), talk.encode("tools/call", {"name": "list_sites"}), talk.encode("ping")]
        talk.send(hello + INITIALIZED + b"".join(line for line, _ in lines) + b"hello\n")
        talk.hang_up()
        received = talk.receive_rest()
        assert talk.process.wait(timeout=TIMEOUT) == 0
        assert talk.stderr == ""
    assert [one["id"] for one in received[:2]] == [first, lines[0][1]]
    assert sorted(str(one["id"]) for one in received) == sorted([first, "None", *(name for _, name in lines)])


def test_a_call_that_is_cancelled_during_the_start_gets_no_answer(cache: Path) -> None:
    with start(cache) as talk:
        talk.greet("legacy")
        cancelled = talk.ask("resources/list")
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": cancelled}}
        talk.send(json.dumps(note).encode() + b"\n")
        called = talk.call("list_sites")
        answers: list[dict[str, Any]] = []
        while not answers or answers[-1]["id"] != called:
            answers.append(talk.receive())
    assert "result" in answers[-1]
    assert len(answers) <= 2


@pytest.mark.parametrize("moment", ["at once", "while the server starts"])
def test_a_client_that_only_lists_gets_its_answers_and_leaves_nothing_behind(cache: Path, moment: str) -> None:
    with start(cache) as talk:
        talk.greet("legacy")
        if moment != "at once":
            assert not wait_for_end(talk, seconds=0.2)
        listed = talk.ask("tools/list")
        talk.hang_up()
        (answer,) = talk.receive_rest()
        assert answer["id"] == listed
        assert talk.process.wait(timeout=TIMEOUT) == 0
        assert talk.stderr == ""


def wait_for_end(talk: Conversation, seconds: float) -> bool:
    try:
        talk.process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["at once", "while the server starts"])
def test_a_signal_before_the_server_is_ready_ends_it_quietly(cache: Path, signum: signal.Signals, moment: str) -> None:
    with start(cache) as talk:
        talk.await_answer(talk.ask("initialize", HELLO))
        if moment != "at once":
            assert not wait_for_end(talk, seconds=0.2)
        talk.process.send_signal(signum)
        assert talk.process.wait(timeout=TIMEOUT) in {-signum, 130 if signum == signal.SIGINT else -signum}
        assert "Traceback" not in talk.stderr


def test_starts_at_the_same_time_agree(tmp_path: Path) -> None:
    def list_tools(_: int) -> Any:
        with start(tmp_path) as talk:
            return talk.greet("legacy").await_answer(talk.ask("tools/list"))["result"]

    with ThreadPoolExecutor() as pool:
        first, *others = pool.map(list_tools, range(6))
    assert all(other == first for other in others)
    assert len(read_answers(tmp_path)) == 2


def test_a_start_without_a_cache_folder_answers_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with start(tmp_path / "file") as talk:
        talk.greet("legacy")
        assert talk.await_answer(talk.ask("tools/list"))["result"]["tools"]
        assert talk.stderr == ""


def test_nothing_is_saved_if_the_settings_say_so(tmp_path: Path) -> None:
    variables = {"XDG_CACHE_HOME": str(tmp_path), "GITBOOK_MCP_SERVER__SAVE_ANSWERS": "false"}
    with Conversation(*WORDS, env=variables) as talk:
        talk.greet("legacy").await_answer(talk.ask("tools/list"))
    assert list(tmp_path.iterdir()) == []
