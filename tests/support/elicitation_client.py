"""A client with a human, and a GitBook that records the changes it receives."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitRequestParams, ElicitRequestURLParams, ElicitResult
from starlette.types import ASGIApp, Receive, Scope, Send

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import Sandbox, create_sandbox
from tests.support.fake_gitbook import Era

Reaction = Callable[[ElicitRequestParams], Awaitable[ElicitResult]]


@dataclass
class GitBookSpy:
    """The sandbox, with a record of the requests that change data."""

    sandbox: Sandbox = field(default_factory=create_sandbox)
    mutations: list[tuple[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the request, then serve it."""
        if scope["type"] == "http" and scope["method"] != "GET":
            self.mutations.append((scope["method"], scope["path"]))
        await self.sandbox(scope, receive, send)


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self.now


@dataclass
class Human:
    """Answers elicitation requests as the test sets; by default with a complete approval."""

    action: str = "accept"
    confirm: Any = True
    name: str | None = None
    content: dict[str, Any] | None = None
    before: Callable[[], None] | None = None
    """Runs while the request is on the screen."""
    requests: list[ElicitRequestParams] = field(default_factory=list)

    async def answer(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Read the request and answer it."""
        self.requests.append(params)
        if self.before:
            self.before()
        if self.action != "accept" or isinstance(params, ElicitRequestURLParams):
            return ElicitResult.model_validate({"action": self.action})
        if self.content is not None:
            return ElicitResult(action="accept", content=self.content)
        content: dict[str, Any] = {"confirm": self.confirm}
        if "name" in params.requested_schema["properties"]:
            content["name"] = self.name if self.name is not None else _read_name(params)
        return ElicitResult(action="accept", content=content)

    @property
    def texts(self) -> list[str]:
        """The messages of the requests."""
        return [request.message for request in self.requests]


def _read_name(params: ElicitRequestFormParams) -> str:
    """Return the name that the form asks the human to type."""
    description: str = params.requested_schema["properties"]["name"]["description"]
    return description.removeprefix("Type ").removesuffix(" to confirm")


def create_gated_server(
    spy: ASGIApp, clock: Clock | None = None, *, url: str = "memory", run: str | None = None, **confirmation: Any
) -> Any:
    """Return a server in front of a GitBook, with the sandbox's tokens, a store and these confirmation settings."""
    settings = load_settings({"server": {"sandbox": True}, "store": {"url": url}, "confirmation": confirmation})
    return create_server(settings, http_transport=httpx.ASGITransport(app=spy), clock=clock or Clock(), run=run)


def meet(server: Any, human: Human | None, era: Era) -> Client:
    """Return a client of `server`, with a human or without elicitation."""
    return Client(server, mode=era, elicitation_callback=human.answer if human else None)


def read_status(result: CallToolResult) -> str:
    """Return the status of a call, or the code if it was not sent."""
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return find_outcome(result.structured_content)


def find_outcome(content: Mapping[str, Any]) -> str:
    """Return the status in a call's structured content, or the code if the call was not sent."""
    outcome = content["code"] if content["status"] == "not_sent" else content["status"]
    assert isinstance(outcome, str)
    return outcome
