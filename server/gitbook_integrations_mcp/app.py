"""Creates the server: composition only, with the settings as input.

Modules import at their top whatever they need. Only these imports are inside functions, because they would slow down
the start of a server on stdio that does not need them (by this share of its CPU time):

- httpx, aiohttp and httpx-aiohttp (9 %): `gitbook.http`, on the first request to GitBook, or, on stdio, soon after the
  start
- truststore: `gitbook.tls`, where OpenSSL does not find the operating system's certificates
- starlette's applications, PyJWT and httpx for HTTP (7 %): `transports.serving`, for servers over HTTP
- cryptography (8 MiB of memory): `features.state_seal` and `store.sealing`, for the first state or value to encrypt
- SQLAlchemy and its drivers (as much as the MCP SDK): `store.store`, for the first confirmation, change or audit
- the audit (4 %): `audit.AuditTools`, on the first audit
- Jinja2 and the pages made with it (2 %): `features.apps` and `confirmation.page`, for the first page
- authlib, keyring, sqlite3 and http.server: `gitbook.oauth`, `store.logins` and `net.redirect`, for a login
- the pages where callers link accounts: `accounts`, for servers with `http.credentials: login`
- the GitBook sandbox (3 %): `gitbook.opening`, for servers that use it
- ruamel.yaml and what reads folders (3 %): `publishing.tools`, on the first call for a folder
- rich (2 %): `cli.console`, for tables
- the settings, the modules of subcommands and, with them, the MCP SDK (most of the start): `cli`, for the command that
  runs
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_mcp.audit import AuditTools
from gitbook_integrations_mcp.auth.callers import Callers
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.composites.change_list import ChangeLister
from gitbook_integrations_mcp.composites.configuration_copy import CopyPlanner
from gitbook_integrations_mcp.composites.events import EventInspector
from gitbook_integrations_mcp.composites.offboarding import OffboardingPlanner
from gitbook_integrations_mcp.composites.places import PlacesPlanner
from gitbook_integrations_mcp.composites.undo import UndoPlanner
from gitbook_integrations_mcp.composites.undo_check import UndoCheck
from gitbook_integrations_mcp.composites.versions import PublishedVersions, keep_version
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.config.validation import check_accounts, offers_folders
from gitbook_integrations_mcp.confirmation.page import ConfirmationPage
from gitbook_integrations_mcp.confirmation.preview import Previewer
from gitbook_integrations_mcp.confirmation.results import Confirm
from gitbook_integrations_mcp.confirmation.service import ConfirmationService
from gitbook_integrations_mcp.confirmation.step_up import StepUp
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.features.apps import list_extensions
from gitbook_integrations_mcp.features.completion import Completer
from gitbook_integrations_mcp.features.login_watch import LoginWatch
from gitbook_integrations_mcp.features.prompts import Prompts, list_prompts
from gitbook_integrations_mcp.features.resources import Resources, has_resources, list_templates
from gitbook_integrations_mcp.features.server import IntegrationsServer
from gitbook_integrations_mcp.features.subscriptions import Subscriptions
from gitbook_integrations_mcp.features.tools import Tools, describe_tools
from gitbook_integrations_mcp.gitbook.accounts import Accounts
from gitbook_integrations_mcp.gitbook.http import GitBookResponse, HTTPTransport
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from gitbook_integrations_mcp.pipeline.budget import Budget
from gitbook_integrations_mcp.pipeline.change_log import ChangeLog
from gitbook_integrations_mcp.pipeline.development_mode import DevelopmentModes
from gitbook_integrations_mcp.pipeline.execution import Executor
from gitbook_integrations_mcp.pipeline.pipeline import AsksForScopes, Pipeline
from gitbook_integrations_mcp.pipeline.plan_run import PlanRunner
from gitbook_integrations_mcp.pipeline.policy_check import PolicyCheck
from gitbook_integrations_mcp.pipeline.snapshot import SnapshotReader
from gitbook_integrations_mcp.pipeline.suggestion import Suggester
from gitbook_integrations_mcp.publishing.tools import FolderTools
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
    policy = Policy(settings.tools, settings.confirmation, folders=offers_folders(settings))
    gitbook, credentials, organization = open_gitbook(settings, http_transport)
    store = Store(settings, run=run, clock=clock)
    # On stdio nothing serves the public URL, although a shared settings file may contain one.
    page = ConfirmationPage(store, None if on_stdio else settings.http.public_url)
    audits = AuditTools(gitbook, settings, store, clock)
    targets = TargetReader(gitbook)
    policy_check = PolicyCheck(settings.policy.rules, gitbook, targets, organization)
    folders = FolderTools(settings.publishing, organization)
    versions = PublishedVersions(store, targets)
    development = DevelopmentModes(store, gitbook, credentials, policy, settings.development)
    deletions = [name for name, one in ENDPOINTS.items() if one.method == "DELETE" and one.undo]
    undos = dict.fromkeys(deletions, policy_check.describe_undo)
    previewer = Previewer(targets, {**audits.effects, **development.effects, **versions.effects, **undos})
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
    subscriptions = Subscriptions(announces_tools=session is not None)
    two_step = settings.confirmation.fallback == "two-step"

    async def note_change(call: EndpointCall, response: GitBookResponse | None, change: str) -> None:
        await keep_version(store, call, response, change)
        await subscriptions.announce(call)

    log = ChangeLog(store, organization)
    executor = Executor(gitbook, targets, log, note_change, development)
    snapshots = SnapshotReader(gitbook, targets)
    undo_check = UndoCheck(store, targets, snapshots, policy_check)
    planners = {
        "set_installation_places": PlacesPlanner(snapshots).plan,
        "copy_configuration": CopyPlanner(snapshots, targets).plan,
        "uninstall_everywhere": OffboardingPlanner(snapshots).plan,
        "undo_change": UndoPlanner(store, undo_check, snapshots).plan,
        "rollback_integration": versions.plan_rollback,
        "publish_integration_folder": folders.plan,
    }
    pipeline = Pipeline(
        confirm or ConfirmationService(settings.confirmation, previewer, store, page).confirm,
        executor,
        targets,
        {
            **audits.handlers,
            "check_integration_folder": folders.check,
            "check_policy": policy_check.explain,
            "inspect_integration_events": EventInspector(gitbook, development, clock).run,
            "list_changes": ChangeLister(store, undo_check).run,
            "list_integration_versions": versions.show,
        },
        PlanRunner(executor, log, snapshots, previewer, planners),
        policy_check,
        development,
        callers.identify,
        budget=Budget(settings.limits.result_tokens),
        organization=organization,
        two_step=two_step,
        reveal=settings.tools.reveal_secrets,
        private_tunnels=settings.tools.allow_private_tunnels,
        suggester=Suggester(gitbook, organization),
        step_up=step_up,
    )
    most = policy.with_folders() if on_stdio else policy
    tools = Tools(describe_tools(most, organization, two_step=two_step), pipeline, callers, subscriptions)
    watch = LoginWatch(session, subscriptions) if session else None
    server = IntegrationsServer(
        settings.confirmation, gitbook, store, page, subscriptions, development, tools.find_schema, watch
    )
    server.extensions |= list_extensions(policy)
    if accounts:
        server.middleware.append(callers.load_account)
    server.account_page = account_page
    tools.register(server)
    if has_resources(policy):
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
