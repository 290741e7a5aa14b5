"""The MCP server: what clients see of the table, and the way of their calls into the pipeline."""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    ServerCapabilities,
)
from pydantic import SecretStr

from gitbook_integrations.instructions import INSTRUCTIONS
from gitbook_integrations_mcp import __version__
from gitbook_integrations_mcp.audit import create_handler
from gitbook_integrations_mcp.caller import Callers
from gitbook_integrations_mcp.configuration.settings import Settings
from gitbook_integrations_mcp.confirmation.gate import HumanGate
from gitbook_integrations_mcp.confirmation.page import ConfirmationPage
from gitbook_integrations_mcp.confirmation.pending import PendingQuestions, QuestionsInMemory
from gitbook_integrations_mcp.confirmation.preview import Previewer
from gitbook_integrations_mcp.confirmation.verdict import Gate
from gitbook_integrations_mcp.features.completion import Completer
from gitbook_integrations_mcp.features.prompts import Prompts, list_prompts
from gitbook_integrations_mcp.features.resources import Resources, list_templates
from gitbook_integrations_mcp.features.subscriptions import Subscriptions
from gitbook_integrations_mcp.features.tool import describe_tools
from gitbook_integrations_mcp.features.views import list_extensions
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.exchange import Transport
from gitbook_integrations_mcp.gitbook.trace import trace_on_demand
from gitbook_integrations_mcp.pipeline.budget import Budget
from gitbook_integrations_mcp.pipeline.journal import Journal
from gitbook_integrations_mcp.pipeline.masks import Masks
from gitbook_integrations_mcp.pipeline.pipeline import Pipeline
from gitbook_integrations_mcp.pipeline.sender import Sender
from gitbook_integrations_mcp.policy import Policy

NAME = "gitbook-integrations-mcp"
TITLE = "GitBook Integrations"
WEBSITE = "https://gitbook.com/docs/developers/integrations"


def open_gitbook(settings: Settings, transport: Transport | None = None) -> tuple[GitBook, Credentials, str | None]:
    """Return the GitBook to talk to, the tokens to do so, and the default organization."""
    ours = settings.gitbook
    if not settings.server.sandbox:
        return GitBook(ours.endpoint, settings.limits, transport), Credentials.from_settings(ours), ours.organization
    from httpx import ASGITransport

    from gitbook_integrations_mcp.sandbox import INTEGRATION_TOKEN, ORGANIZATION_ID, USER_TOKEN, open_sandbox

    gitbook = GitBook(ours.endpoint, settings.limits, transport or ASGITransport(app=open_sandbox(settings.server)))
    return gitbook, Credentials(SecretStr(USER_TOKEN), SecretStr(INTEGRATION_TOKEN)), ORGANIZATION_ID


def open_questions(settings: Settings, clock: Callable[[], float]) -> PendingQuestions:
    """Return the store of the questions that wait for a human.

    Raises:
        SettingsError: the store cannot be used.
    """
    store, ttl = settings.confirmation.store, settings.confirmation.ttl
    # A server on stdio is its client's alone, though a settings file that is shared may name a store.
    if store == "memory" or "stdio" in settings.server.transport:
        return QuestionsInMemory(ttl, clock)
    from gitbook_integrations_mcp.confirmation.redis_store import QuestionsInRedis

    return QuestionsInRedis(store, ttl)


class IntegrationsServer(Server[None]):
    """The SDK's server, with what a transport of ours needs beside it."""

    page: ConfirmationPage
    gitbook: GitBook
    subscriptions: Subscriptions

    def get_capabilities(self, *args: Any, **kwargs: Any) -> ServerCapabilities:
        """Return what is offered. The SDK takes whoever serves subscriptions to tell of changed lists; none changes."""
        capabilities = super().get_capabilities(*args, **kwargs)
        for listed in (capabilities.tools, capabilities.prompts, capabilities.resources):
            if listed:
                listed.list_changed = False
        return capabilities


def create_server(
    settings: Settings,
    *,
    transport: Transport | None = None,
    gate: Gate | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> IntegrationsServer:
    """Return the MCP server that `settings` describe, ready for any transport of the SDK.

    `transport` is an httpx transport that replaces the network. `gate` and `clock` (seconds) are for tests.

    Raises:
        SettingsError: the settings name tools or toolsets that do not exist, or a store that cannot be used.
    """
    policy = Policy(settings.tools, settings.confirmation)
    gitbook, credentials, organization = open_gitbook(settings, transport)
    questions = open_questions(settings, clock)
    # On stdio nobody serves the public address, though a shared settings file may name one.
    public_url = None if "stdio" in settings.server.transport else settings.http.public_url
    page = ConfirmationPage(questions, public_url)
    two_step = settings.confirmation.fallback == "two-step"
    previewer = Previewer(gitbook)
    journal = Journal(settings.journal.path) if settings.journal.path else None
    subscriptions = Subscriptions()
    pipeline = Pipeline(
        gate or HumanGate(settings.confirmation, previewer, questions, page),
        Sender(gitbook, previewer, journal, subscriptions),
        {"audit_installations": create_handler(gitbook, settings, clock)},
        Masks(previewer),
        budget=Budget(settings.limits.result_tokens),
        organization=organization,
        two_step=two_step,
        reveal=settings.tools.reveal_secrets,
    )
    tools = describe_tools(policy, organization, two_step=two_step)
    callers = Callers(
        policy,
        credentials,
        per_request=settings.http.credentials == "per-request",
        has_sessions=settings.http.has_sessions,
    )

    async def list_tools(
        context: ServerRequestContext[Any, Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        offered = callers.identify(context).policy.tools
        return ListToolsResult(tools=[tools[name] for name in offered])

    async def call_tool(
        context: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        return await pipeline.run(params, context, callers.identify(context))

    def find_schema(name: str) -> dict[str, Any] | None:
        # Without this, the SDK lists all tools on every call over HTTP to see which headers a schema asks for.
        return tools[name].input_schema if name in tools else None

    connections = 0

    @asynccontextmanager
    async def live(_server: Server[Any]) -> AsyncIterator[None]:
        # Some transports enter this once for each connection, and all connections share what is closed here.
        nonlocal connections
        connections += 1
        try:
            yield
        finally:
            connections -= 1
            if connections == 0:
                with anyio.CancelScope(shield=True):
                    await gitbook.close()
                    await page.close()
                    await questions.close()

    server = IntegrationsServer(
        NAME,
        version=__version__,
        title=TITLE,
        instructions=INSTRUCTIONS,
        website_url=WEBSITE,
        lifespan=live,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=find_schema,
    )
    server.page, server.gitbook, server.subscriptions = page, gitbook, subscriptions
    server.extensions |= list_extensions(policy)
    if list_templates(policy):
        # Of several processes, the one that makes a change is seldom the one whose client watches.
        alone = "stdio" in settings.server.transport or settings.http.has_sessions
        Resources(pipeline, callers, subscriptions, organization).register(server, watched=alone)
    if list_prompts(policy):
        Prompts(callers, organization).register(server)
    if list_templates(policy) or list_prompts(policy):
        Completer(pipeline, callers, organization).register(server)
    # The seal outlives the question in it, so that the gate, and not a protocol error, tells the model it is too late.
    keys = [key.get_secret_value() for key in settings.confirmation.keys]
    security = RequestStateSecurity(keys=keys or [secrets.token_hex()], ttl=2 * settings.confirmation.ttl + 60)
    server.middleware[0] = trace_on_demand(server.middleware[0])  # the SDK's tracing, always the first
    server.middleware.append(RequestStateBoundary(security, default_audience=NAME))
    return server
