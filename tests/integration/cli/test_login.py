"""The commands `login`, `logout` and `whoami`, against the sandbox's authorization server on loopback."""

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.process import INTERRUPTED
from gitbook_integrations_mcp.sandbox import Sandbox
from gitbook_integrations_mcp.sandbox.authorization import SCOPES
from gitbook_integrations_mcp.store.location import find_login_path
from tests.support.consent import decide
from tests.support.loopback import open_client
from tests.support.process import COMMAND, SOON, TIMEOUT
from tests.support.sandbox_server import serve_in_thread

Decide = Callable[..., None]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gitbook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox on loopback, which this process is configured for without a token; nobody is logged in."""
    for name in list(os.environ):
        if name.startswith("GITBOOK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with serve_in_thread() as (sandbox, address):
        monkeypatch.setenv("GITBOOK_ENDPOINT", address)
        yield sandbox


@pytest.fixture
def browse(monkeypatch: pytest.MonkeyPatch) -> Iterator[Decide]:
    """Open the authorization page as the user's browser does; the user decides as the test sets."""
    decision: dict[str, Any] = {}
    first: list[str] = []
    threads: list[threading.Thread] = []

    async def visit(address: str) -> None:
        async with open_client() as browser:
            location = await decide(browser, address, **decision)
            for before in first:
                assert (await browser.get(f"{location.partition('?')[0]}{before}")).status_code == 400
            assert (await browser.get(location)).status_code == 200

    def open_page(address: str) -> bool:
        thread = threading.Thread(target=lambda: asyncio.run(visit(address)))
        thread.start()
        threads.append(thread)
        return True

    def set_decision(*before: str, **changes: Any) -> None:
        first.extend(before)
        decision.update(changes)

    monkeypatch.setattr(webbrowser, "open", open_page)
    yield set_decision
    for thread in threads:
        thread.join()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_words(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_words


def read_identity(run: Run, *words: str) -> dict[str, Any]:
    code, out, _ = run("whoami", "--json", *words)
    assert code == 0
    identity: dict[str, Any] = json.loads(out)
    return identity


def read_code(out: str) -> str:
    code: str = json.loads(out)["error"]["code"]
    return code


def test_a_login_asks_for_the_scopes_of_the_offered_tools_and_is_kept_for_its_owner_only(
    gitbook: Sandbox, browse: Decide, run: Run
) -> None:
    code, out, err = run("login", "--tools", "list_sites,get_authenticated_user,list_integrations", "--json")
    assert code == 0
    assert "2 scopes: site:read, user:read" in err.splitlines()[0]
    assert json.loads(out)["notGranted"] == []
    path = find_login_path()
    assert path.stat().st_mode & 0o077 == 0
    identity = read_identity(run)
    assert identity["scopes"] == ["site:read", "user:read"]
    assert identity["user"] == gitbook.state.user.name
    assert identity["place"] == "file"
    assert "list_spaces_in_organization_by_id" in identity["missing"]
    assert "access" not in json.dumps(identity)


def test_a_trial_with_the_sandbox_leaves_nothing(gitbook: Sandbox, browse: Decide, run: Run) -> None:
    assert run("login", "--read-only")[0] == 0
    before = read_identity(run)
    code, out, err = run("login", "--sandbox", "--tools", "list_sites")
    assert code == 0
    assert out.startswith("Logged in")
    assert err.splitlines()[0] == "This login asks for 1 scope: site:read"
    assert "nothing of it is left" in err
    assert read_identity(run) == before


def test_read_only_asks_for_no_scope_that_writes(gitbook: Sandbox, browse: Decide, run: Run) -> None:
    assert run("login", "--read-only")[0] == 0
    scopes = read_identity(run)["scopes"]
    assert {scope.rpartition(":")[2] for scope in scopes} == {"read"}


def test_scopes_can_be_added_later(gitbook: Sandbox, browse: Decide, run: Run) -> None:
    run("login", "--tools", "list_sites,get_authenticated_user")
    missing = read_identity(run)["command"]
    assert "--add" in missing
    assert run("login", "--add", "list_spaces_in_organization_by_id")[0] == 0
    assert read_identity(run)["scopes"] == ["site:read", "space:read", "user:read"]
    assert run("login", "--add", "no_tool")[0] == 2


def test_whoami_names_the_organizations(gitbook: Sandbox, browse: Decide, run: Run) -> None:
    run("login")
    titles = [each.title for each in gitbook.state.organizations.values() if each.member]
    assert read_identity(run)["organizations"] == titles
    assert run("whoami")[1].startswith(f"user: {gitbook.state.user.name}\n")


def test_a_response_with_a_foreign_state_does_not_end_the_login(gitbook: Sandbox, browse: Decide, run: Run) -> None:
    browse("?code=x&state=other", "", "/deeper?code=x", approve=True)
    assert run("login")[0] == 0


def test_a_narrowed_consent_is_reported(gitbook: Sandbox, browse: Decide, run: Run) -> None:
    browse(without={"integration:delete"})
    code, out, _ = run("login")
    assert code == 0
    assert "Not granted: integration:delete" in out
    assert "unpublish_integration" in read_identity(run)["missing"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--seconds", "0.01"], "login_declined"),
        ([], "login_declined"),
    ],
    ids=["closed", "declined"],
)
def test_an_earlier_login_still_works_after_one_that_failed(
    gitbook: Sandbox,
    browse: Decide,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    expected: str,
) -> None:
    run("login")
    before = read_identity(run)
    if words:
        monkeypatch.setattr(webbrowser, "open", lambda _: False)
    browse(approve=False)
    code, out, _ = run("login", "--json", *words)
    assert code == 1
    assert read_code(out) == expected
    assert read_identity(run) == before


def test_a_new_login_revokes_the_earlier_one(gitbook: Sandbox, browse: Decide, run: Run) -> None:
    run("login")
    run("login")
    assert [grant.revoked for grant, _ in gitbook.state.access_tokens.values()] == [True, False]


def test_logout_revokes_and_forgets(gitbook: Sandbox, browse: Decide, run: Run) -> None:
    run("login")
    code, out, _ = run("logout", "--json")
    assert (code, json.loads(out)) == (0, {"loggedOut": True, "revoked": True})
    assert all(grant.revoked for grant, _ in gitbook.state.access_tokens.values())
    code, out, _ = run("whoami", "--json")
    assert (code, read_code(out)) == (1, "login_expired")
    assert json.loads(run("logout", "--json")[1]) == {"loggedOut": False, "revoked": False}
    for token in gitbook.state.access_tokens:
        assert token.encode() not in find_login_path().read_bytes()


def test_a_closed_registration_says_how_to_set_a_client_id(gitbook: Sandbox, run: Run) -> None:
    gitbook.authorization.accepts_registration = False
    code, out, _ = run("login", "--json")
    error = json.loads(out)["error"]
    assert (code, error["code"]) == (1, "login_failed")
    assert "gitbook.client_id" in error["message"]


def test_a_port_that_is_taken_is_reported(gitbook: Sandbox, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = run("login", "--redirect-port", str(taken.getsockname()[1]))
    assert code == 2
    assert "--redirect-port" in err


def test_without_encryption_nothing_is_sent(run: Run, gitbook: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBOOK_ENDPOINT", "http://gitbook.internal")
    code, out, _ = run("login", "--json")
    assert (code, read_code(out)) == (1, "login_failed")


def test_an_authorization_server_that_cannot_be_reached_is_reported_with_a_remedy(
    gitbook: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITBOOK_ENDPOINT", "http://127.0.0.1:9")
    code, _, err = run("login")
    assert code == 1
    assert err.endswith("could not be reached. Check the network and HTTPS_PROXY.\n")


def paste(run: Run, monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str]) -> tuple[int, str, str]:
    """Log in without a browser: the human copies the printed address, approves, and pastes what `change` makes."""

    async def approve(address: str) -> str:
        async with open_client() as browser:
            return await decide(browser, address)

    def answer(address: str) -> None:
        with open(theirs, "w", encoding="utf-8") as pipe:  # noqa: PTH123
            pipe.write(change(asyncio.run(approve(address))))

    original = print
    threads: list[threading.Thread] = []

    def record(*texts: object, **options: Any) -> None:
        original(*texts, **options)
        for address in (str(text).splitlines()[1] for text in texts if "\nhttp" in str(text)):
            threads.append(threading.Thread(target=answer, args=(address,)))
            threads[-1].start()

    ours, theirs = os.pipe()
    monkeypatch.setattr("builtins.print", record)
    with open(ours, encoding="utf-8") as pipe, pytest.MonkeyPatch.context() as patch:  # noqa: PTH123
        patch.setattr("sys.stdin", pipe)
        result = run("login", "--no-browser", "--json")
    for thread in threads:
        thread.join()
    return result


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda address: f"  {address}\n", None),
        (lambda address: address.replace("state=", "state=x"), "login_mismatch"),
        (lambda address: address.replace("iss=http", "iss=https"), "login_mismatch"),
        (lambda address: address.partition("&iss=")[0], "login_mismatch"),
        (lambda address: address.replace("code=", "kode="), "login_mismatch"),
        (lambda address: address.replace("code=", "code=x"), "login_failed"),
        (lambda _: "\n", "login_declined"),
        (lambda _: "http://[", "login_mismatch"),
    ],
    ids=["whole", "state", "issuer", "no issuer", "no code", "other code", "empty", "no address"],
)
def test_without_a_browser_the_redirected_address_is_pasted(
    gitbook: Sandbox,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[str], str],
    expected: str | None,
) -> None:
    code, out, _ = paste(run, monkeypatch, change)
    if expected is None:
        assert code == 0
        assert read_identity(run)["scopes"] == sorted(SCOPES)
    else:
        assert code == 1
        assert read_code(out) == expected
        assert not find_login_path().exists()


def test_a_login_without_an_input_says_that_it_ended(gitbook: Sandbox, run: Run) -> None:
    with Path(os.devnull).open(encoding="utf-8") as empty, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", empty)
        code, _, err = run("login", "--no-browser")
    assert code == 1
    assert "Standard input ended" in err


@pytest.mark.parametrize(("seconds", "expected"), [("1", 1), ("600", INTERRUPTED)], ids=["time", "interrupt"])
def test_a_login_on_a_terminal_ends_after_its_time_or_with_an_interrupt(
    gitbook: Sandbox, seconds: str, expected: int
) -> None:
    ours, theirs = pty.openpty()
    command = [*COMMAND, "login", "--no-browser", "--seconds", seconds]
    with subprocess.Popen(command, stdin=theirs, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"paste it here" not in process.stderr.readline():
            pass
        if expected == INTERRUPTED:
            process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(TIMEOUT) == expected
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("words", [(), ("--no-browser",)], ids=["browser", "pasted"])
def test_an_interrupt_ends_a_login_without_a_terminal_at_once(gitbook: Sandbox, words: tuple[str, ...]) -> None:
    command = [*COMMAND, "login", "--seconds", "600", *words]
    environment = {**os.environ, "BROWSER": "true"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith(b"http"):
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(SOON) == INTERRUPTED
        assert b"Traceback" not in process.stderr.read()


def test_a_login_without_a_terminal_ends_after_its_time(gitbook: Sandbox) -> None:
    command = [*COMMAND, "login", "--no-browser", "--seconds", "0.1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.wait(SOON) == 1


def test_doctor_checks_the_login(gitbook: Sandbox, browse: Decide, run: Run) -> None:
    def examine() -> dict[str, Any]:
        checks = json.loads(run("doctor", "--json")[1])["checks"]
        found: dict[str, Any] = next(check for check in checks if check["check"] == "login")
        return found

    assert examine()["status"] == "skipped"
    run("login", "--tools", "list_sites,get_authenticated_user")
    checked = examine()
    assert checked["status"] == "warning"
    assert "login --add" in checked["fix"]
    run("login")
    assert examine()["status"] == "ok"
    for grant, _ in gitbook.state.access_tokens.values():
        grant.revoked = True
    assert examine()["code"] == "login_expired"


def test_the_table_of_tools_shows_the_credential_of_each(
    gitbook: Sandbox, browse: Decide, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("login", "--tools", "list_sites")
    monkeypatch.setenv("GITBOOK_TOKEN", "personal")
    rows = {row["tool"]: row for row in json.loads(run("tools", "--json")[1])["tools"]}
    assert rows["list_sites"]["scopes"] == ["site:read"]
    assert {
        name: rows[name]["credential"] for name in ("list_sites", "list_integrations", "queue_integration_task")
    } == {
        "list_sites": "login",
        "list_integrations": "token",
        "queue_integration_task": None,
    }
