"""An upstream that records what it is sent and answers what it is told, and a way to call a server in front of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs

import httpx
from mcp import Client
from mcp_types import INVALID_PARAMS, CallToolResult, TextContent
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.types import Receive, Scope, Send

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.auth.callers import Caller
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.confirmation.preview import Previewer
from gitbook_integrations_mcp.confirmation.results import Approval, Confirm
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.pipeline.budget import Budget
from gitbook_integrations_mcp.pipeline.change_log import ChangeLog
from gitbook_integrations_mcp.pipeline.development_mode import DevelopmentModes
from gitbook_integrations_mcp.pipeline.execution import Executor
from gitbook_integrations_mcp.pipeline.pipeline import Pipeline
from gitbook_integrations_mcp.pipeline.plan_run import PlanRunner
from gitbook_integrations_mcp.pipeline.policy_check import PolicyCheck
from gitbook_integrations_mcp.pipeline.snapshot import SnapshotReader
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.pending import Preview
from gitbook_integrations_mcp.store.store import Store

Era = Literal["legacy", "2026-07-28"]
ERAS: tuple[Era, ...] = ("legacy", "2026-07-28")
NOT_FOUND = {"legacy": -32002, "2026-07-28": INVALID_PARAMS}
"""Codes of the JSON-RPC error about a resource that does not exist, by protocol version."""
ONCE = {"attempts": 1}
"""An upstream that answers every request alike is not worth asking again."""
TOKENS = {"token": "user-token-0123456789", "integration_token": "integration-token-0123456789"}


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived: the path as raw bytes, before anybody decoded it."""

    method: str
    raw_path: bytes
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any


@dataclass
class Upstream:
    """An ASGI app that answers every request alike."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    requests: list[Recorded] = field(default_factory=list)

    def answer(self, data: Any, status: int = 200) -> None:
        """Answer with `data` as JSON from now on."""
        self.status, self.body = status, b"" if data is None else json.dumps(data).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the request and answer it."""
        message = await receive()
        body = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
        self.requests.append(
            Recorded(scope["method"], scope["raw_path"], query, headers, json.loads(body) if body else None)
        )
        raw = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": self.body})


UNASKED = {"widening": "off"}
"""Settings of confirmation with which only deletions and secrets need approval."""


async def approve(call: Call) -> Approval:
    """Approve every call, for tests of what comes after the confirmation."""
    return Approval("form", Preview(call.tool.title, "", ""))


def create_pipeline(upstream: Any) -> tuple[Pipeline, Caller]:
    """Return a pipeline in front of `upstream`, an ASGI app, that approves every call, and a caller."""
    options = load_settings({"gitbook": TOKENS, "limits": ONCE})
    return front(GitBook(options.gitbook.endpoint, options.limits, httpx.ASGITransport(app=upstream)))


def front(gitbook: GitBook, store: Store | None = None) -> tuple[Pipeline, Caller]:
    """Return a pipeline in front of `gitbook` that approves every call, and a caller."""
    options = load_settings({"gitbook": TOKENS, "confirmation": UNASKED})
    credentials, policy = Credentials.from_settings(options.gitbook), Policy(options.tools, options.confirmation)
    caller, targets, store = Caller("", credentials, policy), TargetReader(gitbook), store or Store(options)
    log, check = ChangeLog(store, None), PolicyCheck((), gitbook, targets, None)
    development = DevelopmentModes(store, gitbook, credentials, policy, options.development)

    async def ignore(call: Call, response: GitBookResponse | None, change: str) -> None:
        """Do nothing after a change."""

    executor = Executor(gitbook, targets, log, ignore, development)
    plans = PlanRunner(executor, log, SnapshotReader(gitbook, targets), Previewer(targets, {}), {})
    budget = Budget(options.limits.result_tokens)
    pipeline = Pipeline(approve, executor, targets, {}, plans, check, development, lambda _: caller, budget=budget)
    return pipeline, caller


def connect(upstream: Any, era: Era = "2026-07-28", confirm: Confirm = approve, **flags: Mapping[str, Any]) -> Client:
    """Return a client of a server whose GitBook is `upstream`, an ASGI app.

    Calls that give power are not asked about, because reading what they are about would be a request of its own.
    """
    gitbook = {**TOKENS, **flags.pop("gitbook", {})}
    confirmation = {**UNASKED, **flags.pop("confirmation", {})}
    settings = load_settings({"gitbook": gitbook, "limits": ONCE, "confirmation": confirmation, **flags})
    server = create_server(settings, http_transport=httpx.ASGITransport(app=upstream), confirm=confirm)
    return Client(server, mode=era)


async def read_changes(url: str) -> list[Change]:
    """Return all changes in the store at `url`, the oldest first."""
    store = Store(load_settings({"store": {"url": url}}))
    found = await store.changes.search(None)
    await store.close()
    return found[::-1]


async def read_capabilities(client: Client) -> dict[str, Any]:
    """Return what the server says it can do, as it says it in the client's era."""
    if client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return client.server_capabilities.model_dump(by_alias=True, exclude_none=True)
    capabilities: dict[str, Any] = (await client.session.send_discover(client.protocol_version))["capabilities"]
    return capabilities


async def read_instructions(client: Client) -> str:
    """Return the server's instructions, as it gives them in the client's era."""
    if client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return client.instructions or ""
    instructions: str = (await client.session.send_discover(client.protocol_version))["instructions"]
    return instructions


def read_code(result: CallToolResult) -> str:
    """Return the code of a result that is an error."""
    assert result.is_error
    assert result.structured_content is not None
    code: str = result.structured_content["code"]
    return code


def read_text(result: CallToolResult) -> str:
    """Return the one text that a result holds."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text
