"""Creates the server: composition only, with the settings as input.

Modules import at their top whatever they need. Only these imports are inside functions, because they would slow down
the start of a server on stdio that does not need them (by this share of its CPU time):

- httpx, aiohttp, httpx-aiohttp and truststore (19 %): `gitbook.http`, on the first request to GitBook
- starlette's applications, PyJWT and httpx for HTTP (7 %): `transports.serving`, for servers over HTTP
- SQLAlchemy and its drivers (as much as the MCP SDK): `store.store`, for the first confirmation, change or audit
- the audit (4 %): `audit.AuditTools`, on the first audit
- Jinja2 and the pages made with it (2 %): `features.apps` and `confirmation.page`, for the first page
- authlib, keyring, sqlite3 and http.server: `gitbook.oauth`, `store.logins` and `net.redirect`, for a login
- the pages where callers link accounts: `accounts`, for servers with `http.credentials: login`
- the GitBook sandbox (3 %): `gitbook.opening`, for servers that use it
- rich (2 %): `cli.console`, for tables
- the settings, the modules of subcommands and, with them, the MCP SDK (most of the start): `cli`, for the command that
  runs
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gitbook_integrations_mcp.audit import AuditTools
from gitbook_integrations_mcp.audit.own_changes import OwnChanges
from gitbook_integrations_mcp.auth.callers import Callers
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.config.validation import check_accounts
from gitbook_integrations_mcp.confirmation.page import ConfirmationPage
from gitbook_integrations_mcp.confirmation.preview import Previewer
from gitbook_integrations_mcp.confirmation.results import Confirm
from gitbook_integrations_mcp.confirmation.service import ConfirmationService
from gitbook_integrations_mcp.confirmation.step_up import StepUp
from gitbook_integrations_mcp.features.apps import list_extensions
from gitbook_integrations_mcp.features.completion import Completer
from gitbook_integrations_mcp.features.login_watch import LoginWatch
from gitbook_integrations_mcp.features.prompts import Prompts, list_prompts
from gitbook_integrations_mcp.features.resources import Resources, list_templates
from gitbook_integrations_mcp.features.server import IntegrationsServer
from gitbook_integrations_mcp.features.subscriptions import Subscriptions
from gitbook_integrations_mcp.features.tools import Tools, describe_tools
from gitbook_integrations_mcp.gitbook.accounts import Accounts
from gitbook_integrations_mcp.gitbook.http import GitBookResponse, HTTPTransport
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from gitbook_integrations_mcp.pipeline.budget import Budget
from gitbook_integrations_mcp.pipeline.change_list import ChangeLister
from gitbook_integrations_mcp.pipeline.change_log import ChangeLog
from gitbook_integrations_mcp.pipeline.execution import Executor
from gitbook_integrations_mcp.pipeline.pipeline import AsksForScopes, Pipeline
from gitbook_integrations_mcp.pipeline.publication import keep_publication
from gitbook_integrations_mcp.pipeline.suggestion import Suggester
from gitbook_integrations_mcp.pipeline.undo import UndoPlanner
from gitbook_integrations_mcp.store.store import Store

if TYPE_CHECKING:
    from gitbook_integrations_mcp.accounts.page import AccountPage


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
    changes = OwnChanges(clock)
    audits = AuditTools(gitbook, settings, store, clock, changes)
    previewer = Previewer(gitbook, audits.effects)
    # With several processes, a change is rarely made by the process that the subscribed client is connected to.
    watched = on_stdio or settings.http.has_sessions
    per_request = settings.http.credentials == "per-request"
    session = credentials.session if watched and (on_stdio or settings.http.credentials == "operator") else None
    accounts: Accounts | None = None
    step_up: AsksForScopes | None = StepUp(settings, session, http_transport) if session and on_stdio else None
    account_page: AccountPage | None = None
    if settings.http.credentials == "login" and not on_stdio:
        check_accounts(settings)
        accounts, step_up, account_page = _create_accounts(settings, policy, store, http_transport, clock)
    callers = Callers(
        policy,
        credentials,
        per_request=per_request,
        has_sessions=settings.http.has_sessions,
        accounts=accounts,
    )
    subscriptions = Subscriptions()
    subscriptions.announces_tools = session is not None
    two_step = settings.confirmation.fallback == "two-step"

    async def note_change(call: EndpointCall, response: GitBookResponse | None) -> None:
        changes.record(call)
        await keep_publication(store, call, response)
        await subscriptions.announce(call)

    pipeline = Pipeline(
        confirm or ConfirmationService(settings.confirmation, previewer, store, page).confirm,
        Executor(gitbook, previewer, ChangeLog(store), note_change),
        previewer,
        {**audits.handlers, "list_changes": ChangeLister(store).run},
        {"undo_change": UndoPlanner(store, previewer).plan},
        budget=Budget(settings.limits.result_tokens),
        organization=organization,
        two_step=two_step,
        reveal=settings.tools.reveal_secrets,
        private_tunnels=settings.tools.allow_private_tunnels,
        suggester=Suggester(gitbook, organization),
        step_up=step_up,
        identify=callers.identify,
    )
    tools = Tools(describe_tools(policy, organization, two_step=two_step), pipeline, callers, subscriptions)
    watch = LoginWatch(session, subscriptions) if session else None
    server = IntegrationsServer(settings.confirmation, gitbook, store, page, subscriptions, tools.find_schema, watch)
    server.extensions |= list_extensions(policy)
    server.middleware.append(callers.load_account)
    server.account_page = account_page
    tools.register(server)
    if list_templates(policy):
        Resources(pipeline, callers, subscriptions, organization).register(server, watched=watched)
    if list_prompts(policy):
        Prompts(callers, organization).register(server)
    if list_templates(policy) or list_prompts(policy):
        Completer(pipeline, callers, organization).register(server)
    return server


def _create_accounts(
    settings: Settings, policy: Policy, store: Store, transport: HTTPTransport | None, clock: Callable[[], float]
) -> "tuple[Accounts, AsksForScopes, AccountPage]":
    """Return the accounts of callers, what asks for them, and the page where they are linked."""
    from gitbook_integrations_mcp.accounts.links import AccountLinks
    from gitbook_integrations_mcp.accounts.page import AccountPage
    from gitbook_integrations_mcp.gitbook.login import collect_scopes

    assert settings.http.public_url
    accounts = Accounts(store, settings.gitbook.endpoint, transport, clock)
    scopes = collect_scopes(policy.tools.values())
    links = AccountLinks(store, accounts, scopes, settings.http.public_url)
    return accounts, links, AccountPage(settings, store, transport)
