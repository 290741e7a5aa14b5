"""Creates the server: composition only, with the settings as input.

Modules import at their top whatever they need. Only these imports are inside functions, because they would slow down
the start of a server on stdio that does not need them (by this share of its CPU time):

- httpx, aiohttp and httpx-aiohttp (9 %): `gitbook.http`, on the first request to GitBook
- truststore: `gitbook.tls`, where OpenSSL does not find the operating system's certificates
- starlette's applications, PyJWT and httpx for HTTP (7 %): `transports.serving`, for servers over HTTP
- SQLAlchemy and its drivers (as much as the MCP SDK): `store.store`, for the first confirmation, change or audit
- the audit (4 %): `audit.AuditTools`, on the first audit
- Jinja2 and the pages made with it (2 %): `features.apps` and `confirmation.page`, for the first page
- the GitBook sandbox (3 %): `gitbook.opening`, for servers that use it
- rich (2 %): `cli.console`, for tables
- the settings, the modules of subcommands and, with them, the MCP SDK (most of the start): `cli`, for the command that
  runs
"""

import time
from collections.abc import Callable

from gitbook_integrations_mcp.audit import AuditTools
from gitbook_integrations_mcp.auth.callers import Callers
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.confirmation.page import ConfirmationPage
from gitbook_integrations_mcp.confirmation.preview import Previewer
from gitbook_integrations_mcp.confirmation.results import Confirm
from gitbook_integrations_mcp.confirmation.service import ConfirmationService
from gitbook_integrations_mcp.features.apps import list_extensions
from gitbook_integrations_mcp.features.completion import Completer
from gitbook_integrations_mcp.features.prompts import Prompts, list_prompts
from gitbook_integrations_mcp.features.resources import Resources, list_templates
from gitbook_integrations_mcp.features.server import IntegrationsServer
from gitbook_integrations_mcp.features.subscriptions import Subscriptions
from gitbook_integrations_mcp.features.tools import Tools, describe_tools
from gitbook_integrations_mcp.gitbook.http import GitBookResponse, HTTPTransport
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from gitbook_integrations_mcp.pipeline.budget import Budget
from gitbook_integrations_mcp.pipeline.change_list import ChangeLister
from gitbook_integrations_mcp.pipeline.change_log import ChangeLog
from gitbook_integrations_mcp.pipeline.execution import Executor
from gitbook_integrations_mcp.pipeline.pipeline import Pipeline
from gitbook_integrations_mcp.pipeline.publication import keep_publication
from gitbook_integrations_mcp.pipeline.suggestion import Suggester
from gitbook_integrations_mcp.pipeline.undo import UndoPlanner
from gitbook_integrations_mcp.store.store import Store


def create_server(
    settings: Settings,
    *,
    http_transport: HTTPTransport | None = None,
    confirm: Confirm | None = None,
    clock: Callable[[], float] = time.time,
    run: str | None = None,
) -> IntegrationsServer:
    """Return the MCP server for `settings`; any transport of the SDK can run it.

    For tests, `http_transport` replaces the network, `confirm` the human, and `clock` (in seconds since 1970) the time.
    `run` identifies this run of the server; its workers get the same.

    Raises:
        SettingsError: the settings name an unknown tool or toolset, or a store that cannot be used.
    """
    on_stdio = "stdio" in settings.server.transport
    policy = Policy(settings.tools, settings.confirmation)
    gitbook, credentials, organization = open_gitbook(settings, http_transport)
    store = Store(settings, run=run, clock=clock)
    # On stdio nothing serves the public URL, although a shared settings file may contain one.
    page = ConfirmationPage(store, None if on_stdio else settings.http.public_url)
    audits = AuditTools(gitbook, settings, store, clock)
    previewer = Previewer(gitbook, audits.effects)
    subscriptions = Subscriptions()
    two_step = settings.confirmation.fallback == "two-step"

    async def note_change(call: EndpointCall, response: GitBookResponse | None) -> None:
        await keep_publication(store, call, response)
        await subscriptions.announce(call)

    pipeline = Pipeline(
        confirm or ConfirmationService(settings.confirmation, previewer, store, page).confirm,
        Executor(gitbook, previewer, ChangeLog(store, organization), note_change),
        previewer,
        {**audits.handlers, "list_changes": ChangeLister(store).run},
        {"undo_change": UndoPlanner(store, previewer).plan},
        budget=Budget(settings.limits.result_tokens),
        organization=organization,
        two_step=two_step,
        reveal=settings.tools.reveal_secrets,
        private_tunnels=settings.tools.allow_private_tunnels,
        suggester=Suggester(gitbook, organization),
    )
    callers = Callers(
        policy,
        credentials,
        per_request=settings.http.credentials == "per-request",
        has_sessions=settings.http.has_sessions,
    )
    tools = Tools(describe_tools(policy, organization, two_step=two_step), pipeline, callers)
    server = IntegrationsServer(settings.confirmation, gitbook, store, page, subscriptions, tools.find_schema)
    server.extensions |= list_extensions(policy)
    tools.register(server)
    if list_templates(policy):
        # With several processes, a change is rarely made by the process that the subscribed client is connected to.
        watched = on_stdio or settings.http.has_sessions
        Resources(pipeline, callers, subscriptions, organization).register(server, watched=watched)
    if list_prompts(policy):
        Prompts(callers, organization).register(server)
    if list_templates(policy) or list_prompts(policy):
        Completer(pipeline, callers, organization).register(server)
    return server
