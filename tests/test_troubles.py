"""Every error text has a row in the table that the README shows, and every row is a text that can be provoked."""

import ast
import contextlib
import importlib
import io
import json
import pkgutil
import re
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import ResourceTemplateReference

import gitbook_integrations
import gitbook_integrations_mcp
from gitbook_integrations.catalog import ENDPOINTS
from gitbook_integrations.endpoint import SegmentError
from gitbook_integrations_mcp.command.cli import main
from gitbook_integrations_mcp.configuration.sections import HttpSection, OAuthSection
from gitbook_integrations_mcp.configuration.settings import SettingsError, load_settings
from gitbook_integrations_mcp.confirmation import verdict
from gitbook_integrations_mcp.confirmation.verdict import UNCONFIRMED, Consent
from gitbook_integrations_mcp.errors import CallError, RefusedError, UpstreamError
from gitbook_integrations_mcp.pipeline.call import Call
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN, create_sandbox
from gitbook_integrations_mcp.server import create_server
from gitbook_integrations_mcp.transport.issuer import Issuer, IssuerError

from .auditing import Watched
from .auditing import connect as front
from .conversation import Conversation
from .human import Clock, GitBookSpy, Human, create_gated_server, meet
from .loopback import listen, open_listener
from .troubles import ROWS, Trouble
from .upstream import Upstream, connect, read_text

SOURCES = [
    path
    for package in (gitbook_integrations, gitbook_integrations_mcp)
    for path in sorted(Path(package.__file__ or "").parent.rglob("*.py"))
    if "sandbox" not in path.parts
]
COMPOSERS = {"access.py", "answer.py", "doorkeeper.py", "exchange.py"}
OURS = {"ValueError", "TypeError", "OSError", "AssertionError", "RuntimeError", "KeyError"}
"""Kinds that no user reads: the program answers them itself, or they are defects of a declaration."""


def read_text_of(node: ast.expr, constants: Mapping[str, ast.expr]) -> str | None:
    """Return the text that an expression makes, with `…` for what is not known before it runs."""
    match node:
        case ast.Constant(value=str(text)):
            return re.sub(r"%[sd]", "…", text)
        case ast.Constant(value=bytes(octets)):
            return octets.decode()
        case ast.JoinedStr(values=parts):
            return "".join(read_text_of(part, {}) or "…" for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (read_text_of(left, {}) or "…") + (read_text_of(right, {}) or "…")
        case ast.Name(id=name) if name in constants:
            return read_text_of(constants[name], {})
        case _:
            return None


def find_texts() -> Iterator[tuple[str, str]]:
    """Yield where something that went wrong is told, and the text."""
    for path in SOURCES:
        module = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value
            for node in module.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(module):
            for said in [*_find_said(node), *(_find_composed(node) if path.name in COMPOSERS else [])]:
                text = read_text_of(said, constants)
                if text and " " in text.strip("… :.\n"):
                    yield f"{path.name}:{said.lineno}", text


def _find_said(node: ast.AST) -> list[ast.expr]:
    """Return what is said where an error is made, and where something is told without one."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=said) if name.endswith("Error") and name not in OURS:
            return said
        case ast.Call(func=ast.Name(id="Finding"), args=[_, ast.Constant(value="failed" | "warning"), said, *_]):
            return [said]
        case ast.FunctionDef(name="explain" | "_explain"):
            return [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value]
        case ast.Call(func=ast.Name(id="_tell"), args=[ast.Constant(value=int(status)), _, said]) if status >= 400:
            return [said]
        case ast.Call(func=ast.Name(id="JSONResponse"), args=[ast.Dict(values=[said]), *_]):
            return [said]
        case ast.Call(func=ast.Attribute(attr="Data"), args=[said]):
            return [said]
        case ast.Call(func=ast.Attribute(value=ast.Name(id="logger" | "_logger"), attr="error" | "warning")):
            return node.args[:1]
        case ast.Call(func=ast.Name(id="print"), keywords=[ast.keyword(value=ast.Attribute(attr="stderr"))]):
            return node.args
        case _:
            return []


def _find_composed(node: ast.AST) -> list[ast.expr]:
    """Return what errors are put together from, in modules that do that before they make one."""
    match node:
        case ast.Assign(value=ast.Tuple(elts=said)) | ast.Return(value=ast.Tuple(elts=said)):
            return said[:1]
        case ast.Assign(targets=[ast.Name(id="what" | "text")], value=value):
            return [value]
        case _:
            return []


def list_kinds(base: type[CallError]) -> Iterator[type[CallError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from list_kinds(kind)


def test_every_text_in_the_source_has_a_row() -> None:
    texts = list(find_texts())
    assert len(texts) > 90, "the source is not read as it should be"
    assert [(where, text) for where, text in texts if not any(row.covers(text) for row in ROWS)] == []


def test_every_kind_of_error_has_a_row() -> None:
    for module in pkgutil.walk_packages(gitbook_integrations_mcp.__path__, "gitbook_integrations_mcp."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    kinds = {kind.__name__ for kind in list_kinds(CallError)} - {RefusedError.__name__, UpstreamError.__name__}
    assert kinds <= {row.kind for row in ROWS}


def test_every_way_to_end_without_a_yes_has_a_row() -> None:
    assert {row.kind for row in ROWS} >= UNCONFIRMED
    for status, words in verdict._WORDS.items():
        assert any(row.kind == status and row.covers(words) for row in ROWS), status


async def call(tool: str, upstream: Any = None, flags: dict[str, Any] | None = None, **arguments: Any) -> str:
    async with connect(upstream or Upstream(), **(flags or {})) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error, result
    return read_text(result)


async def ask(human: Human | None, **confirmation: Any) -> str:
    """Call a tool that waits for a yes, and return what becomes of it."""
    clock = Clock()
    if human and human.before:
        human.before = lambda: setattr(clock, "now", clock.now + 1e6)
    async with meet(create_gated_server(GitBookSpy(), clock, **confirmation), human, "legacy") as client:
        return read_text(await client.call_tool("unpublish_integration", {"integrationName": "style-linter"}))


def answer(status: int, body: Any = None, **headers: str) -> Upstream:
    message = {"error": {"code": status, "message": "So it is"}}
    upstream = Upstream(
        headers={"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    )
    upstream.answer(body if body is not None else message, status)
    return upstream


def raw(body: bytes) -> Upstream:
    return Upstream(body=body)


GET = "get_integration_by_name"
NAME: dict[str, Any] = {"integrationName": "slack"}
MASK = "[masked]"
DEV: dict[str, Any] = {**NAME, "tunnelUrl": "https://tunnel.example"}
PLACE: dict[str, Any] = {"integrationName": "slack", "installationId": "i1"}

Provocation = Callable[[], Awaitable[str]]
CALLS: dict[str, Provocation] = {
    "The arguments do not fit …; nothing was sent.": lambda: call(GET),
    "hold text that is not valid Unicode, a number that is not finite, or too many levels of nesting": lambda: call(
        GET, integrationName="\ud800"
    ),
    'must not be "." or "..", which would change the path': lambda: call(GET, integrationName=".."),
    "must be an absolute http or https URL": lambda: call(
        "set_integration_development_mode", **NAME, tunnelUrl="nowhere"
    ),
    "There is no tool of that name": lambda: call("get_weather"),
    "is switched off on this server": lambda: call(
        "unpublish_integration", flags={"tools": {"read_only": True}}, **NAME
    ),
    "GitBook has none there": lambda: call(
        "update_integration_installation", answer(200, {}), **PLACE, configuration={"key": MASK}
    ),
    "first reads what it changes, and that failed": lambda: call(
        "update_integration_installation", answer(500), **PLACE, configuration={"key": MASK}
    ),
    "needs …, and … Nothing was sent.": lambda: call(
        "queue_integration_task", flags={"gitbook": {"integration_token": None}}, **NAME, task={"kind": "x"}
    ),
    "The journal cannot be written": lambda: call(
        "set_integration_development_mode", flags={"journal": {"path": "/proc/none/journal"}}, **DEV
    ),
    "GitBook answered … with 401": lambda: call(GET, answer(401), **NAME),
    "GitBook answered … with 403": lambda: call(GET, answer(403), **NAME),
    "GitBook answered … with 404": lambda: call(GET, answer(404), **NAME),
    "GitBook answered … with 409": lambda: call(GET, answer(409), **NAME),
    "GitBook answered … with 412": lambda: call(GET, answer(412), **NAME),
    "GitBook answered … with 422": lambda: call(GET, answer(422), **NAME),
    "GitBook answered … with 429": lambda: call(GET, answer(429), **NAME),
    "GitBook answered … with 5…": lambda: call(GET, answer(503), **NAME),
    "Whether it took effect is not known": lambda: call("set_integration_development_mode", answer(500), **DEV),
    "with a redirect (…), which is not followed": lambda: call(GET, answer(302), **NAME),
    "a web page instead of JSON": lambda: call(GET, raw(b"<html>"), **NAME),
    "text that is not valid JSON, perhaps cut off": lambda: call(GET, raw(b'{"na'), **NAME),
    "an empty answer": lambda: call(GET, raw(b""), **NAME),
    "with JSON that is not": lambda: call(GET, raw(b"[]"), **NAME),
    "more than … MB, which is not read": lambda: call(
        GET, raw(b" " * 200), {"limits": {"attempts": 1, "body_bytes": 100}}, **NAME
    ),
    "an answer compressed in a way that was not asked for": lambda: call(
        GET, answer(200, {}, content_encoding="br"), **NAME
    ),
    "an answer whose compression is broken": lambda: call(GET, answer(200, {}, content_encoding="gzip"), **NAME),
}

GITBOOK = {"gitbook": {"token": USER_TOKEN, "organization": ORGANIZATION_ID}}


def audit(**arguments: Any) -> Awaitable[str]:
    return call("audit_installations", create_sandbox(), GITBOOK, **arguments)


CALLS |= {
    "GitBook answered … with 400": lambda: call(GET, answer(400), **NAME),
    "GitBook answered … with … (status …)": CALLS["an empty answer"],
    "holds what stands for a value that was not shown": CALLS["GitBook has none there"],
    "is not valid Base64 (padded, without line breaks)": lambda: call("publish_integration", **NAME, icon="x"),
    "There is no earlier audit of this to compare with": lambda: audit(baseline="last"),
    "The last audit was not compared with any": lambda: audit(section="changes"),
    "is no page of this section": lambda: audit(section="findings", page="nowhere"),
}


async def build(value: str) -> str:
    """Return why a value is not made a part of an address; JSON lets one of them get so far only in a defect."""
    with pytest.raises(SegmentError) as caught:
        ENDPOINTS["get_integration_installation_by_id"].build_request({**PLACE, "installationId": value})
    return str(caught.value)


class BrokenGate:
    async def confirm(self, call: Call) -> Consent:
        """Fail as nothing should."""
        raise RuntimeError(call.tool.name)


async def crash() -> str:
    async with connect(Upstream(), gate=BrokenGate()) as client:
        return read_text(await client.call_tool("unpublish_integration", NAME))


async def audit_with_sites(*sites: str, following: Any = None) -> str:
    """Return what an audit says it could not read, of a GitBook that lists these sites."""
    body = {"items": [{"id": site, "title": site} if site else {} for site in sites], "next": following}
    watched = Watched(fault=lambda place, _: (200, json.dumps(body).encode()) if "/sites?" in place else None)
    async with front(watched) as client:
        return read_text(await client.call_tool("audit_installations", {"section": "coverage"}))


async def audit_against_another() -> str:
    async with front(create_sandbox()) as client:
        result = await client.call_tool("audit_installations", {"section": "report", "integrations": ["slack"]})
        assert result.structured_content
        again = {"refresh": True, "baseline": result.structured_content["report"]}
        return read_text(await client.call_tool("audit_installations", again))


async def miss_redis() -> str:
    name = "gitbook_integrations_mcp.confirmation.redis_store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "redis.asyncio", None)
        patch.delitem(sys.modules, name, raising=False)
        with pytest.raises(SettingsError) as caught:
            importlib.import_module(name)
    return str(caught.value)


async def fetch_keys_from_gitbook() -> str:
    with open_listener() as (listener, address):
        issuer = Issuer(OAuthSection(issuer=address, jwks_url=f"{address}/v1/user"), Clock())
        async with listen(create_sandbox(), HttpSection(), listener):
            with pytest.raises(IssuerError) as caught:
                await issuer.fetch_keys()
    return str(caught.value)


async def knock_in_vain() -> str:
    """Call where nobody takes a connection, and where no more of them fit into the queue."""
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        gitbook = {"token": "t0", "endpoint": f"http://127.0.0.1:{deaf.getsockname()[1]}"}
        limits = {"attempts": 1, "connect_seconds": 0.2}
        async with Client(create_server(load_settings({"gitbook": gitbook, "limits": limits}))) as client:
            return read_text(await client.call_tool("get_authenticated_user", {}))


CALLS |= {
    "Redis needs a package that is not installed": miss_redis,
    "does not answer with a key set (JWKS)": fetch_keys_from_gitbook,
    "no connection within …": knock_in_vain,
    "must not be empty": lambda: build(""),
    "must not contain slashes, backslashes or control characters": lambda: build("a/b"),
    "is not valid Unicode text": lambda: build("\ud800"),
    "failed inside this server": crash,
    "GitBook says that the list goes on, but not where": lambda: audit_with_sites(following={"page": 7}),
    "GitBook's list does not end": lambda: audit_with_sites(following={"page": "again"}),
    "of its items are malformed": lambda: audit_with_sites(""),
    "GitBook gave an ID that cannot be asked for": lambda: audit_with_sites(".."),
    "The earlier report is on another organization or another part of it": audit_against_another,
    "GitBook has several there": lambda: call(
        "update_integration_installation",
        answer(200, {"configuration": {"tokens": ["gb_api_one", "gb_api_two"]}}),
        **PLACE,
        configuration={"tokens": [MASK]},
    ),
}


async def fail(ask: Callable[[Client], Awaitable[Any]], **flags: Any) -> str:
    """Return how a request that calls no tool is refused."""
    async with connect(Upstream(), **flags) as client:
        with pytest.raises(MCPError) as caught:
            await ask(client)
    return str(caught.value)


REQUESTS: dict[str, Provocation] = {
    "There is no resource at that address.": lambda: fail(lambda client: client.read_resource("gitbook://nowhere")),
    "There is no such cursor.": lambda: fail(lambda client: client.list_resources(cursor="nowhere")),
    "There is no prompt of that name.": lambda: fail(lambda client: client.get_prompt("nothing")),
    "The arguments do not fit …:": lambda: fail(lambda client: client.get_prompt("audit_organization", {"a": "b"})),
    "that are switched off on this server": lambda: fail(
        lambda client: client.get_prompt("audit_organization"), tools={"exclude": "audit_installations"}
    ),
    "There is no such template": lambda: fail(
        lambda client: client.complete(ResourceTemplateReference(uri="gitbook://{nowhere}"), {"name": "n", "value": ""})
    ),
}

QUESTIONS: dict[str, Provocation] = {
    "A human declined.": lambda: ask(Human(action="decline")),
    "The question was closed without an answer.": lambda: ask(Human(action="cancel")),
    "The form came back without its box ticked": lambda: ask(Human(confirm=False)),
    "The name that was typed is not the one that was asked for.": lambda: ask(Human(name="another")),
    "is not the form that was asked for": lambda: ask(Human(content={"confirm": "perhaps"})),
    "The question is spent or too old.": lambda: ask(Human(before=lambda: None)),
    "The client cannot ask for one, and the operator of this server allows no other way": lambda: ask(
        None, fallback="refuse"
    ),
    "this waits for a human's yes. Give them the url": lambda: ask(None),
    "Show the human the preview and ask.": lambda: ask(None, fallback="two-step"),
}

REDIS = {"GITBOOK_MCP_CONFIRMATION__STORE": "redis://localhost", "GITBOOK_MCP_CONFIRMATION__KEYS": "k" * 32}
CALLERS = {"GITBOOK_MCP_HTTP__TOKENS": json.dumps([{"name": "ann", "sha256": "0" * 64}])}
EXAMPLE = str(Path(__file__).parents[1] / "config.example.json")
HTTP = "serve --transport streamable-http"

SHELL: dict[str, tuple[str, dict[str, str]]] = {
    "contains characters that cannot be part of a token": ("tools", {"GITBOOK_TOKEN": "tökén"}),
    "keys needs one, or no replica could open what another sealed": (
        "tools",
        {"GITBOOK_MCP_CONFIRMATION__STORE": "redis://localhost"},
    ),
    "must differ from each other": ("tools", {"GITBOOK_MCP_CONFIRMATION__KEYS": f"{'k' * 32},{'k' * 32}"}),
    "must be an https URL (http only on loopback)": ("tools", {"GITBOOK_MCP_OAUTH__ISSUER": "http://id.example"}),
    "must not carry a query or a fragment": ("tools", {"GITBOOK_MCP_OAUTH__ISSUER": "https://id.example/?a=1"}),
    "access tokens are issued for an address, and clients are told it": (
        HTTP,
        {"GITBOOK_MCP_OAUTH__ISSUER": "https://id.example"},
    ),
    "an SSE client's stream lives in one process": ("serve --transport sse --workers 2", REDIS),
    "each would have an embedded GitBook of its own": (f"{HTTP} --workers 2 --sandbox", REDIS),
    "the page on which people confirm needs an address": (f"{HTTP} --host 0.0.0.0", CALLERS),
    "http.host …, http.port …: …": (
        f"{HTTP} --host 192.0.2.1",
        {**CALLERS, "GITBOOK_MCP_CONFIRMATION__FALLBACK": "refuse"},
    ),
    "the arguments must be one JSON object": ("call list_sites -", {}),
    "GitBook could not be reached at …: …": (
        "call get_authenticated_user",
        {"GITBOOK_ENDPOINT": "http://127.0.0.1:1", "GITBOOK_TOKEN": "t0", "GITBOOK_MCP_LIMITS__ATTEMPTS": "1"},
    ),
    "The file of accepted findings (audit.accepted) is not valid JSON": (
        "audit --sandbox",
        {"GITBOOK_MCP_AUDIT__ACCEPTED": __file__},
    ),
    "The file of accepted findings (audit.accepted) must be a list": (
        "audit --sandbox",
        {"GITBOOK_MCP_AUDIT__ACCEPTED": EXAMPLE},
    ),
    "the URL has a part that Redis's client cannot use": (
        HTTP,
        {**REDIS, "GITBOOK_MCP_CONFIRMATION__STORE": "redis://localhost?socket_timeout=soon"},
    ),
    "The earlier report is no audit report": (f"audit --sandbox --baseline {EXAMPLE}", {}),
    "no such variable": ("tools", {"GITBOOK_MCP_TOOLS__READONLY": "true"}),
    "holds JSON that cannot be parsed": ("tools", {"GITBOOK_MCP_TOOLS": "{"}),
    "no such …": ("tools --toolsets sitez", {}),
    "no such tool": ("call lits_sites", {}),
    "not key=value": ("call list_sites published", {}),
    "the arguments are not valid JSON": ("call list_sites {", {}),
    "The settings file … cannot be read: …": ("tools --config /nowhere.json", {}),
    "contains a space or a line break: only a part of it is the token": ("tools", {"GITBOOK_TOKEN": "one two"}),
    "must not carry a user, a password, a query or a fragment": (
        "tools",
        {"GITBOOK_ENDPOINT": "https://ann:secret@api.gitbook.com"},
    ),
    "must be an address without a path": ("tools", {"GITBOOK_MCP_HTTP__PUBLIC_URL": "https://example.com/path"}),
    "must be memory, or an absolute redis or rediss URL": ("tools", {"GITBOOK_MCP_CONFIRMATION__STORE": "disk"}),
    "must have at least … characters each": ("tools", {"GITBOOK_MCP_CONFIRMATION__KEYS": "short"}),
    "needs oauth.issuer; without it, nobody is asked for an access token": (
        "tools",
        {"GITBOOK_MCP_OAUTH__SCOPES": "read"},
    ),
    "stdio serves one client alone": ("serve --transport stdio,sse", {}),
    "can be reached by others, so callers must show who they are": (
        "serve --transport streamable-http --host 0.0.0.0",
        {},
    ),
    "what a human is asked by one worker must be known to all": ("serve --transport streamable-http --workers 2", {}),
    "Which organization? Give its ID, or set GITBOOK_ORGANIZATION.": ("audit", {"GITBOOK_TOKEN": "t0"}),
    "The file of accepted findings (audit.accepted) cannot be read": (
        "audit --sandbox",
        {"GITBOOK_MCP_AUDIT__ACCEPTED": "/nowhere.json"},
    ),
    "… cannot be read: …": ("audit --sandbox --baseline /nowhere.json", {}),
}


LINES = {
    "The line is not JSON in UTF-8.": b"\xff\n",
    "The line is not a JSON-RPC 2.0 message.": b"{}\n",
    "Batches are not part of MCP.": b"[]\n",
}


def test_a_line_that_is_no_message_is_answered_as_the_table_has_it() -> None:
    with Conversation("--sandbox") as talk:
        for text, line in LINES.items():
            talk.send(line)
            assert Trouble("", (text,), "").covers(talk.receive()["error"]["message"])


@pytest.mark.parametrize("text", [*CALLS, *REQUESTS, *QUESTIONS])
async def test_a_call_says_what_the_table_has(text: str) -> None:
    assert Trouble("", (text,), "").covers(await (CALLS | REQUESTS | QUESTIONS)[text]())


async def test_a_defect_is_in_the_log_without_what_the_call_was_about(caplog: pytest.LogCaptureFixture) -> None:
    await crash()
    assert "unpublish_integration raised RuntimeError\n" in caplog.text
    assert NAME["integrationName"] not in caplog.text


@pytest.mark.parametrize("text", SHELL)
def test_the_command_says_what_the_table_has(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words, variables = SHELL[text]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("sys.stdin", io.StringIO("[]"))
    assert main(words.split()) != 0
    assert Trouble("", (text,), "").covers(capsys.readouterr().err)


ELSEWHERE = {
    "confirmation.store: …": ("test_pending.py", '"confirmation.store: " in caplog.text'),
    "… was not changed: …. Add this by hand:": ("test_connections.py", "was not changed"),
    "… cannot be written": ("test_doctor.py", 'assert "cannot be written" in checks["journal"]["message"]'),
    "… s from GitBook's": ("test_doctor.py", "s from GitBook's"),
    "… of … requests left": ("test_doctor.py", "requests left"),
    "is not the one asked for. To approve, type exactly …": ("test_page.py", "is not the one asked for. To approve"),
    "Redis …": ("test_doctor.py", "Redis cannot be reached"),
    "The request did not arrive in time.": ("test_patience.py", "did not arrive in time"),
    "More than … connections (http.connections): clients are turned away": (
        "test_patience.py",
        "More than 2 connections (http.connections): clients are turned away",
    ),
    "the outcome of … is not in the journal: …": ("test_journal.py", "is not in the journal: "),
    "… publishes no key for …": ("test_oauth.py", "publishes no key for ES256"),
    "The access token is refused": ("test_oauth.py", "another audience than"),
    "The authorization server does not answer": ("test_oauth.py", "does not answer"),
    "GitBook's limit for this token is used up.": ("test_audit_faults.py", "limit for this token is used up"),
    "The target kept changing while the question was put.": ("test_gate.py", "target_changed"),
    "This server does not answer to that Host": ("test_web.py", "its operator can add it to http.allowed_hosts"),
    "This session watches …, which is all it may.": ("test_subscriptions.py", "which is all it may"),
    "Too many clients watch resources of this server.": ("test_subscriptions.py", "Too many clients"),
    "an answer that is not valid HTTP": ("test_faults.py", "not valid HTTP"),
    "an answer whose compression is cut off": ("test_faults.py", "compression is cut off"),
    "cannot be reached (…)": ("test_oauth.py", '"cannot be reached" in gone'),
    "describes another issuer than oauth.issuer": ("test_oauth.py", "describes another issuer"),
    "must hold a JSON object of sections": ("test_settings.py", "must hold a JSON object"),
    "names no https address of keys (jwks_uri)": ("test_oauth.py", "names no https address"),
    "no secure connection": ("test_client.py", "does not trust the certificate"),
    "other calls with this token are under way or wait": ("test_limiter.py", "Make fewer at a time"),
    "publishes no metadata of an authorization server": ("test_oauth.py", "publishes no metadata"),
    "the name does not resolve": ("test_client.py", "does not resolve"),
    "waits for a human on this server; only a call of that tool can ask one": (
        "test_resources.py",
        "waits for a human on this server",
    ),
}
"""Texts whose cause is a broken socket, a Redis, an issuer or a crowd: which test has one, and what it looks for."""


def test_every_row_is_provoked_here_or_where_its_cause_is_tried() -> None:
    texts = {text for row in ROWS for text in row.texts}
    here = {*CALLS, *REQUESTS, *QUESTIONS, *SHELL, *LINES, "… raised …"}
    assert here | {*ELSEWHERE} <= texts
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")}
    del sources[Path(__file__).name]
    for text, (name, words) in ELSEWHERE.items():
        assert words in sources[name], text
    rest = texts - here - {*ELSEWHERE}
    quoted = {text for text in rest if any(_strip(text) in source for source in sources.values())}
    assert rest == quoted


def _strip(text: str) -> str:
    """Return the longest part of a text that is always the same."""
    return max(text.split("…"), key=len).strip(" .:;")
