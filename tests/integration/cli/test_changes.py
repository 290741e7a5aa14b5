"""The command `changes` on a real file."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from gitbook_integrations_api.choices import OUTCOMES, Outcome
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import create_sandbox
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.store import Store
from tests.support.elicitation_client import Clock
from tests.support.process import COMMAND, TIMEOUT

HOUR = 3600


def write(url: str, *outcomes: str, **values: Any) -> list[str]:
    """Write changes with these outcomes, each an hour after the one before, the last one now, and return their IDs."""
    now = time.time()
    moments = [now - HOUR * age for age in reversed(range(len(outcomes)))]

    async def fill() -> list[str]:
        ids = []
        for moment, outcome in zip(moments, outcomes, strict=True):
            store = Store(load_settings({"store": {"url": url}}), clock=Clock(moment))
            given = {"owner": "o", "operation": "o", "arguments": {"a": "ü"}, "tool": "a_tool", **values}
            change = Change(id=store.changes.create_id(), time=moment, outcome=outcome, **given)
            await store.changes.begin(change)
            await store.close()
            ids.append(change.id)
        return ids

    return anyio.run(fill)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store, in the settings."""
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("GITBOOK_MCP_STORE__URL", url)
    return url


def show(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Return the IDs that the command prints as JSON."""
    assert main(["changes", "--json", *words]) == 0
    return [one["id"] for one in json.loads(capsys.readouterr().out)]


def test_changes_of_all_callers_are_shown_newest_first(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    [first] = write(url, "done", owner="somebody else")
    ids = write(url, "done", "failed")
    shown = show(capsys)
    assert shown in ([ids[1], first, ids[0]], [first, ids[1], ids[0]])
    assert main(["changes"]) == 0
    table = capsys.readouterr().out
    assert all(one in table for one in (first, *ids))
    assert "3 changes" in table


def test_each_filter_selects(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    old, _, new = write(url, "done", "failed", "unknown", organization="acme")
    [other] = write(url, "done", tool="list_sites", organization="elsewhere")
    assert show(capsys, "--since", "1h") in ([new, other], [other, new])
    assert show(capsys, "--until", "1h", "--outcome", "done") == [old]
    assert show(capsys, "--tool", "list_sites") == [other]
    assert show(capsys, "--organization", "acme", "--limit", "1") == [new]
    assert show(capsys, "--organization", "nowhere") == []
    [unknown] = write(url, "done")  # of any organization: to leave it out could hide a change
    assert show(capsys, "--organization", "nowhere") == [unknown]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_changes_are_filtered_by_each_outcome(url: str, capsys: pytest.CaptureFixture[str], outcome: Outcome) -> None:
    ids = dict(zip(OUTCOMES, write(url, *OUTCOMES), strict=True))
    assert show(capsys, "--outcome", outcome) == [ids[outcome]]


@pytest.mark.parametrize("words", [("--limit", "0"), ("--since", "soon"), ("--outcome", "perhaps")])
def test_words_that_cannot_be_understood_are_an_error(words: tuple[str, ...], url: str) -> None:
    assert main(["changes", *words]) == 2


def test_a_store_that_cannot_be_used_is_an_error_and_no_empty_list(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store.db").mkdir()
    assert main(["changes", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "store_unavailable"


@pytest.fixture
def follower(url: str) -> Iterator[subprocess.Popen[str]]:
    """The command that follows the store."""
    words = [*COMMAND, "changes", "--follow", "--json", "--limit", "1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        yield process
        process.kill()


@pytest.mark.slow
def test_following_prints_each_change_and_again_its_outcome_as_json_lines(
    url: str, request: pytest.FixtureRequest
) -> None:
    _, shown = write(url, "done", "failed")
    process: subprocess.Popen[str] = request.getfixturevalue("follower")
    assert process.stdout is not None

    def receive() -> tuple[str, str]:
        line = json.loads(process.stdout.readline())  # type: ignore[union-attr]
        return line["id"], line["outcome"]

    assert receive() == (shown, "failed")
    [new] = write(url, "unknown")
    assert receive() == (new, "unknown")

    async def complete() -> None:
        store = Store(load_settings({"store": {"url": url}}))
        await store.changes.complete(new, {"outcome": "done"})
        await store.close()

    anyio.run(complete)
    assert receive() == (new, "done")
    if sys.platform != "win32":
        process.send_signal(2)
        assert process.wait() == 130


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
@pytest.mark.parametrize(("typed", "outcomes"), [(b"yes\n", ["done", "done"]), (b"y\n", ["done"])])
def test_call_undoes_a_change_on_a_terminal_if_its_user_approves(
    typed: bytes, outcomes: list[str], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import pty

    # Each command has a new sandbox. So the change must leave it as it was, and only a pending one is sent then.
    pending = next(one for one in create_sandbox().state.installations.values() if one.integration == "harbor-auth")
    words = ["call", "--sandbox", "update_integration_installation", "integrationName=harbor-auth"]
    assert main([*words, f"installationId={pending.id}", "site_selection=all"]) == 0
    capsys.readouterr()
    [change_id] = show(capsys)
    ours, theirs = pty.openpty()
    undo = [*COMMAND, "call", "--sandbox", "--json", "undo_change", f"changeId={change_id}"]
    process = subprocess.Popen(undo, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    shown = b""
    with open(ours, "r+b", buffering=0, closefd=True) as terminal, process:  # noqa: PTH123
        while b"Type yes to approve" not in shown:
            shown += terminal.read(1024)
        terminal.write(typed)
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["status"] == ("done" if len(outcomes) == 2 else "not_sent")
        assert process.wait(timeout=TIMEOUT) == 2 - len(outcomes)
    assert change_id.encode() in shown
    assert main(["changes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["outcome"] for one in listed] == outcomes
    assert listed[0].get("undoes") == (change_id if len(outcomes) == 2 else None)
