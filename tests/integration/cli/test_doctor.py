"""`doctor`: every verdict against a GitBook, or something else, that gives it reason."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.cli import doctor
from gitbook_integrations_mcp.cli.assistants import ASSISTANTS
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.cli.private_files import find_settings_file
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.store.location import find_login_path
from tests.support.stores import KEYS

TOKEN = "user-token-0123456789"
INTEGRATION_TOKEN = "integration-token-0123456789"
USER = {"id": "u1", "displayName": "Ada"}


class Answer:
    """What an upstream answers: the same to everything, or something else to `/v1/user` with a token of these tests."""

    def __init__(self, status: int = 200, body: Any = None, user: "Answer | None" = None, **headers: str) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.user = user
        self.headers = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }


Start = Callable[[Answer], str]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start an upstream on loopback and return its URL."""
    servers: list[ThreadingHTTPServer] = []

    def start_one(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers["Authorization"].endswith("-token-0123456789")
                chosen = answer.user if answer.user and self.path == "/v1/user" and given else answer
                self.send_response_only(chosen.status)
                for name, value in {**chosen.headers, "Content-Length": str(len(chosen.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(chosen.body)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start_one
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _only_these_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    for name in list(os.environ):
        if name.startswith("GITBOOK"):
            monkeypatch.delenv(name)


@pytest.fixture
def examine(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, dict[str, str]]]]:
    """Run `doctor` against an upstream; return its exit code and its checks by name."""

    def run(answer: Answer, *words: str, **variables: str) -> tuple[int, dict[str, dict[str, str]]]:
        variables = {"GITBOOK_ENDPOINT": start(answer), "GITBOOK_TOKEN": TOKEN, **variables}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        code = main(["doctor", "--json", *words])
        output = capsys.readouterr()
        assert TOKEN not in output.out + output.err
        assert INTEGRATION_TOKEN not in output.out + output.err
        return code, {check["check"]: check for check in json.loads(output.out)["checks"]}

    return run


Examine = Callable[..., tuple[int, dict[str, dict[str, str]]]]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200, b"<html>sign in</html>", Content_Type="text/html"), ErrorCode.INVALID_RESPONSE),
        (Answer(404, b"<html>nothing</html>", Content_Type="text/html"), ErrorCode.NOT_FOUND),
        (Answer(302, b"", Location="https://elsewhere.example/"), ErrorCode.INVALID_RESPONSE),
        (Answer(500, {"error": {"code": 500, "message": "sorry"}}), ErrorCode.GITBOOK_FAILED),
        (Answer(429, {"error": {"code": 429, "message": "slow"}}), ErrorCode.RATE_LIMITED),
        (Answer(200, []), ErrorCode.INVALID_RESPONSE),
        (Answer(200, {"status": "up"}), ErrorCode.INVALID_RESPONSE),
    ],
    ids=["captive portal", "another host", "redirect", "fault", "limited", "another shape", "another API"],
)
def test_what_is_not_gitbooks_verdict_on_the_token_is_not_blamed_on_the_token(
    answer: Answer, expected: ErrorCode, examine: Examine
) -> None:
    code, checks = examine(answer)
    assert code == 1
    assert checks["token"]["status"] == "failed"
    assert checks["token"]["code"] == expected
    assert "new token" not in checks["token"]["fix"]


def test_a_token_that_is_refused_everywhere_is_to_be_replaced(examine: Examine) -> None:
    code, checks = examine(Answer(401, {"error": {"code": 401, "message": "no"}}))
    assert code == 1
    assert checks["token"] == {
        "check": "token",
        "status": "failed",
        "message": "rejected by GitBook (401)",
        "fix": "Set GITBOOK_TOKEN to a new token.",
        "code": ErrorCode.TOKEN_REJECTED,
    }


def test_a_token_with_which_alone_gitbook_fails_may_be_wrong(examine: Examine) -> None:
    failure, rejection = Answer(500, {"error": {"code": 500}}), Answer(401, {"error": {"code": 401}})
    code, checks = examine(Answer(401, rejection.body, user=failure))
    assert (code, checks["token"]["code"]) == (1, ErrorCode.GITBOOK_FAILED)
    assert "GITBOOK_TOKEN" in checks["token"]["fix"]


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        ("o1", "ok", ""),
        ("acme", "failed", "Set GITBOOK_ORGANIZATION to o1 (“Acme, Inc.”)."),
        ("Acme, Inc.", "failed", "Set GITBOOK_ORGANIZATION to o1 (“Acme, Inc.”)."),
        ("o3", "warning", "o1 (“Acme, Inc.”) or o2"),
    ],
)
def test_a_default_organization_that_is_no_id_is_told_with_the_id(
    given: str, status: str, says: str, examine: Examine
) -> None:
    organizations = {"items": [{"id": "o1", "title": "Acme, Inc.", "hostname": "acme"}, {"id": "o2"}]}
    code, checks = examine(Answer(200, organizations, user=Answer(200, USER)), GITBOOK_ORGANIZATION=given)
    assert code == int(status == "failed")
    assert checks["organization"]["status"] == status
    assert says in checks["organization"]["fix"]
    if status == "failed":
        assert checks["organization"]["code"] == ErrorCode.NOT_FOUND


def test_organizations_that_cannot_be_listed_are_a_warning(examine: Examine) -> None:
    answer = Answer(503, {"error": {"code": 503}}, user=Answer(200, USER))
    code, checks = examine(answer, GITBOOK_ORGANIZATION="acme")
    assert (code, checks["organization"]["status"]) == (0, "warning")


@pytest.mark.parametrize("status", [200, 404])
def test_a_token_that_gitbook_echoes_is_not_shown(status: int, examine: Examine) -> None:
    echo = {"error": {"code": status, "message": f"no {TOKEN}"}, "id": "u1", "displayName": f"I am {TOKEN}"}
    _, checks = examine(Answer(status, echo))  # which looks for it in all output
    assert checks["token"]["status"] == ("ok" if status == 200 else "failed")


def test_a_token_of_an_integration_is_told_from_a_users(examine: Examine) -> None:
    refusal = Answer(403, {"error": {"code": 403, "message": "no"}})
    code, checks = examine(Answer(200, {"items": []}, user=refusal), GITBOOK_INTEGRATION_TOKEN=INTEGRATION_TOKEN)
    assert code == 0
    assert (checks["token"]["status"], checks["integration token"]["status"]) == ("warning", "ok")
    assert "belongs to an integration or an installation" in checks["token"]["message"]
    assert "GITBOOK_INTEGRATION_TOKEN" in checks["token"]["fix"]


def test_a_users_token_in_the_integrations_place_is_told(examine: Examine) -> None:
    code, checks = examine(Answer(200, USER), GITBOOK_INTEGRATION_TOKEN=INTEGRATION_TOKEN)
    assert code == 0
    assert checks["token"]["message"] == "valid, belongs to Ada"
    assert (checks["token"]["status"], checks["integration token"]["status"]) == ("ok", "warning")
    assert "belongs to a user (Ada)" in checks["integration token"]["message"]


@pytest.mark.parametrize(("seconds", "status"), [(0, "ok"), (-600, "warning"), (600, "warning")])
def test_a_clock_that_is_wrong_is_told(seconds: int, status: str, examine: Examine) -> None:
    _, checks = examine(Answer(200, USER, Date=formatdate(time.time() + seconds, usegmt=True)))
    assert checks["clock"]["status"] == status
    assert " s)" in checks["clock"]["message"]


@pytest.mark.parametrize("date", ["yesterday", ""])
def test_a_date_that_cannot_be_read_is_not_judged(date: str, examine: Examine) -> None:
    _, checks = examine(Answer(200, USER, Date=date))
    assert checks["clock"]["status"] == "skipped"


@pytest.mark.parametrize(
    ("limit", "remaining", "status"),
    [("100", "50", "ok"), ("100", "3", "warning"), ("many", "3", "skipped"), ("", "", "skipped")],
)
def test_the_headroom_of_the_rate_limit_is_told(limit: str, remaining: str, status: str, examine: Examine) -> None:
    _, checks = examine(Answer(200, USER, X_RateLimit_Limit=limit, X_RateLimit_Remaining=remaining))
    assert checks["rate limit"]["status"] == status
    if status != "skipped":
        assert checks["rate limit"]["message"] == f"{remaining} of {limit} requests left for GET /user"


def test_without_a_token_a_refusal_shows_that_gitbook_is_there(examine: Examine) -> None:
    code, checks = examine(Answer(401, {"error": {"code": 401, "message": "no"}}), GITBOOK_TOKEN="")
    assert code == 0
    assert (checks["token"]["status"], checks["network"]["status"]) == ("warning", "ok")


def test_a_token_that_is_a_reference_without_its_value_is_not_sent(examine: Examine) -> None:
    variables = {"GITBOOK_TOKEN": "${env:GITBOOK_TOKEN}", "GITBOOK_INTEGRATION_TOKEN": "$X"}
    _, checks = examine(Answer(401, {"error": {"code": 401, "message": "no"}}), **variables)
    for name in ("token", "integration token"):
        assert checks[name]["status"] == "warning"
        assert "reference" in checks[name]["message"]
        assert "GITBOOK_" in checks[name]["fix"]
    assert checks["network"]["status"] == "ok"


def test_without_a_token_something_else_than_gitbook_is_told(examine: Examine) -> None:
    code, checks = examine(Answer(200, b"<html></html>", Content_Type="text/html"), GITBOOK_TOKEN="")
    assert code == 1
    assert (checks["network"]["status"], checks["network"]["code"]) == ("failed", ErrorCode.INVALID_RESPONSE)


@pytest.mark.parametrize(
    ("words", "variables", "says"),
    [
        (["--toolsets", "site"], {}, "Did you mean sites?"),
        ([], {"GITBOOK_MCP_TOOLS__READONLY": "1"}, "Did you mean GITBOOK_MCP_TOOLS__READ_ONLY?"),
        ([], {"GITBOOK_TOKEN": "two words"}, "contains a space"),
        ([], {"GITBOOK_MCP_SERVER__TRANSPORT": "stdio,sse"}, "stdio cannot be combined"),
    ],
    ids=["toolset", "variable", "value", "transports"],
)
def test_settings_with_which_the_server_would_not_start_are_a_failed_check(
    words: list[str], variables: dict[str, str], says: str, examine: Examine
) -> None:
    code, checks = examine(Answer(200, USER), *words, **variables)
    assert code == 1
    assert checks["settings"]["status"] == "failed"
    assert checks["settings"]["code"] == ErrorCode.INVALID_SETTINGS
    assert says in checks["settings"]["message"]


def test_files_and_folders_in_settings_that_cannot_be_used_are_found(tmp_path: Path, examine: Examine) -> None:
    broken = tmp_path / "accepted.json"
    broken.write_text('[{"finding": "same-kind:1"}]')
    variables = {"GITBOOK_MCP_AUDIT__ACCEPTED": str(broken), "GITBOOK_MCP_PUBLISHING__ROOTS": str(tmp_path / "gone")}
    code, checks = examine(Answer(200, USER), **variables)
    assert code == 1
    assert checks["accepted findings"]["code"] == ErrorCode.INVALID_ACCEPTED_FINDINGS
    assert checks["publishing.roots"]["status"] == "warning"
    assert str(tmp_path / "gone") in checks["publishing.roots"]["message"]
    broken.write_text("[]")
    _, checks = examine(Answer(200, USER), **{**variables, "GITBOOK_MCP_PUBLISHING__ROOTS": str(tmp_path)})
    assert not {"accepted findings", "publishing.roots"} & checks.keys()


def test_a_placeholder_that_nobody_replaced_by_the_token_is_a_warning(
    examine: Examine, capsys: pytest.CaptureFixture[str]
) -> None:
    for status in ("ok", "warning"):  # the first entry is made without a token
        assert main(["install", "claude-desktop"]) == 0
        capsys.readouterr()
        _, checks = examine(Answer(200, USER))
        assert checks["Claude Desktop"]["status"] == status
    assert "GITBOOK_TOKEN" in checks["Claude Desktop"]["fix"]


def test_other_peoples_text_does_not_steer_the_terminal(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITBOOK_ENDPOINT", start(Answer(200, {"id": "u1", "displayName": "\x1b[31mEve\x07\u202e"})))
    monkeypatch.setenv("GITBOOK_TOKEN", TOKEN)
    main(["doctor"])
    assert not set(capsys.readouterr().out) & set("\x1b\x07\u202e")


@pytest.mark.parametrize(
    ("url", "status", "message"),
    [
        ("memory", "ok", "memory"),
        ("sqlite:///{folder}/store.db", "ok", "{folder}/store.db"),
        ("sqlite:////dev/null/store.db", "failed", "/dev/null/store.db cannot be opened"),
        (
            "postgresql://user:hidden@127.0.0.1:1/gitbook",
            "failed",
            "postgresql://127.0.0.1:1/gitbook cannot be reached",
        ),
    ],
)
def test_the_store_is_used_and_a_failure_is_reported_without_a_password(
    url: str, status: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    sections = {"store": {"url": url.format(folder=tmp_path)}, "confirmation": {"keys": KEYS}}
    config.write_text(json.dumps(sections), encoding="utf-8")
    words = ["doctor", "--sandbox", "--transport", "streamable-http", "--json", "--config", str(config)]
    assert main(words) == (status != "ok")
    output = capsys.readouterr()
    checks = {check["check"]: check for check in json.loads(output.out)["checks"]}
    assert checks["store"]["status"] == status
    assert checks["store"]["message"].startswith(message.format(folder=tmp_path))
    assert "hidden" not in output.out + output.err


def test_a_store_whose_disk_is_full_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examine: Examine) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=10_000))
    code, checks = examine(Answer(200, USER), GITBOOK_MCP_STORE__URL=f"sqlite:///{tmp_path}/store.db")
    assert code == 1
    assert checks["store"]["code"] == ErrorCode.STORE_UNAVAILABLE
    assert "store.db" in checks["store"]["message"]


def test_entries_of_assistants_are_checked(examine: Examine) -> None:
    path = ASSISTANTS["cursor"].path
    path.parent.mkdir(parents=True)
    for command, mode, token, fixes in (
        (sys.executable, 0o600, TOKEN, []),
        (sys.executable, 0o644, "${env:GITBOOK_TOKEN}", []),
        (sys.executable, 0o644, TOKEN, ["chmod 600"]),
        ("/gone/gitbook-integrations-mcp", 0o600, TOKEN, ["install"]),
    ):
        entry = {"command": command, "args": ["-m", "gitbook_integrations_mcp"], "env": {"GITBOOK_TOKEN": token}}
        path.write_text(json.dumps({"mcpServers": {"gitbook": entry}}))
        path.chmod(mode)
        _, checks = examine(Answer(200, USER))
        assert (checks["Cursor"]["status"] == "warning") is bool(fixes)
        assert all(fix in checks["Cursor"]["fix"] for fix in fixes)
    path.write_text("{oops")
    assert examine(Answer(200, USER))[1]["Cursor"]["status"] == "warning"


def test_a_settings_file_with_a_token_that_others_can_read_is_a_warning(tmp_path: Path, examine: Examine) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"gitbook": {"token": TOKEN}}))
    for mode, warns in ((0o600, False), (0o644, True)):
        config.chmod(mode)
        _, checks = examine(Answer(200, USER), "--config", str(config), GITBOOK_TOKEN="")
        assert ("settings file" in checks) is warns


@pytest.mark.parametrize(
    ("content", "warns"),
    [
        ({"store": {"keys": KEYS}}, True),
        ({"confirmation": {"keys": ",".join(KEYS)}}, True),
        ({"store": {"url": "postgresql://user:hidden@host/gitbook"}}, True),
        ({"profiles": {"one": 1, "two": {"gitbook": {"token": TOKEN}}}}, True),
        ({"store": {"url": "postgresql://user@host/gitbook"}}, False),
        ({"store": {"url": "sqlite:////tmp/store.db"}}, False),
        ({"gitbook": {"token": "${GITBOOK_TOKEN}"}}, False),
        ({"profiles": None}, False),
    ],
)
def test_a_settings_file_with_any_secret_that_others_can_read_is_found(
    content: dict[str, Any], warns: bool, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(content))
    assert (find_settings_file(config) is not None) is warns


def test_a_key_or_a_login_that_others_can_read_is_a_warning(
    tmp_path: Path, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    login = find_login_path()
    login.parent.mkdir(parents=True)
    for mode, warns in ((0o600, False), (0o644, True)):
        for file in (tmp_path / "store.key", login):
            file.touch()
            file.chmod(mode)
        _, checks = examine(Answer(200, USER), GITBOOK_MCP_STORE__URL=f"sqlite:///{tmp_path}/store.db")
        for name in ("key of the store", "file of the login"):
            assert (name in checks) is warns
            assert not warns or "chmod 600" in checks[name]["fix"]


def test_the_last_line_is_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--sandbox"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 problems, 0 warnings"


def test_a_user_without_a_home_directory_can_run_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    assert main(["doctor", "--sandbox"]) == 0
    assert main(["install", "cursor"]) == 1
    assert "Could not edit mcp.json: it is in the home directory, and this user has none. Pass --file." in (
        capsys.readouterr().err
    )


def test_an_endpoint_without_encryption_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBOOK_ENDPOINT", "http://gitbook.internal")
    finding = doctor._check_scheme(load_settings())
    assert finding is not None
    assert (finding.status, finding.message) == ("warning", "the endpoint is plain http")


def test_a_self_test_that_fails_is_told(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = load_settings({"gitbook": {"endpoint": start(Answer(500)), "token": TOKEN}, "limits": {"attempts": 1}})
    monkeypatch.setattr(doctor, "create_server", lambda _: create_server(broken))
    assert main(["doctor", "--sandbox"]) == 1
    assert "self-test: a call to the built-in sandbox failed" in capsys.readouterr().out
