"""The command `events` on the built-in sandbox."""

import json
import subprocess
from argparse import Namespace

import httpx
import pytest
from mcp import Client

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.cli.events import read_new
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import OWN_INTEGRATION, create_sandbox
from tests.support.process import COMMAND, TIMEOUT


def test_groups_are_printed_with_the_logs_of_a_sample(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", OWN_INTEGRATION, "--sandbox", "--status", "failed"]) == 0
    printed = capsys.readouterr().out
    assert "4 events, 4 failed" in printed
    assert "answered 410 Gone" in printed


def test_groups_are_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", OWN_INTEGRATION, "--sandbox", "--type", "task", "--until", "1h", "--json"]) == 0
    assert [one["type"] for one in json.loads(capsys.readouterr().out)["groups"]] == ["task", "task"]


@pytest.mark.parametrize("words", [["--since", "yesterday"], ["--follow"]])
def test_an_error_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "no-integration" if words == ["--follow"] else OWN_INTEGRATION, "--sandbox", *words]) == 1
    assert capsys.readouterr().err.startswith("gitbook-integrations-mcp: ")


@pytest.mark.slow
def test_new_events_are_followed_until_interrupted() -> None:
    words = [*COMMAND, "events", OWN_INTEGRATION, "--sandbox", "--follow", "--status", "failed"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(2)
        assert process.wait(TIMEOUT) == 130
    assert "failed  space_content_updated" in lines[0]
    assert lines[3].strip().startswith("error: POST")


@pytest.mark.slow
def test_following_ends_quietly_when_the_reader_of_the_output_has_gone() -> None:
    words = [*COMMAND, "events", OWN_INTEGRATION, "--sandbox", "--follow"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(TIMEOUT) == 1


async def test_a_burst_of_events_is_followed_over_several_pages() -> None:
    now = 1_800_000_000.0
    sandbox = create_sandbox(clock=lambda: now)
    arguments = Namespace(name=OWN_INTEGRATION, status=None, type="burst")
    settings = load_settings({"server": {"sandbox": True}})
    printed: set[str] = set()
    async with Client(create_server(settings, http_transport=httpx.ASGITransport(app=sandbox))) as client:
        assert await read_new(client, arguments, printed, begins=True) == []
        made = [sandbox.state.record(OWN_INTEGRATION, None, "burst", now - 50 + number, {}).id for number in range(50)]
        assert [one["id"] for one in await read_new(client, arguments, printed, begins=False)] == made
        assert await read_new(client, arguments, printed, begins=False) == []
