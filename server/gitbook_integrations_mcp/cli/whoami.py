"""The command `whoami`: shows the login with GitBook, and the tools that it does not serve."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import CredentialKind
from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.response import read_response
from gitbook_integrations_mcp.cli.console import print_json
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import ErrorCode, SessionError
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from gitbook_integrations_mcp.gitbook.session import LOG_IN
from gitbook_integrations_mcp.process import SUCCESS
from gitbook_integrations_mcp.store.logins import Login
from gitbook_integrations_mcp.text import clean_text
from gitbook_integrations_mcp.times import write_time

_LISTING = ENDPOINTS["list_organizations_for_authenticated_user"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A login that works: its organizations, when its access token expires, and the tools that lack a scope."""

    login: Login
    organizations: list[str]
    expires: float | None
    missing: Mapping[str, list[str]]

    @property
    def command(self) -> str | None:
        """The command that adds what is missing."""
        return f"{NAME} login --add {','.join(self.missing)}" if self.missing else None


def run(settings: Settings, arguments: Namespace) -> int:
    """Print the login, and return the exit code.

    Raises:
        SessionError: there is no login, or it has ended.
        CallError: GitBook or the authorization server does not answer.
    """
    identity = anyio.run(identify, settings)
    facts = describe(identity)
    if arguments.json:
        print_json(facts)
        return SUCCESS
    for name, value in facts.items():
        if value not in (None, [], {}):
            shown = ", ".join(value) if isinstance(value, list | dict) else value
            print(f"{name}: {clean_text(str(shown), 2000)}")
    return SUCCESS


async def identify(settings: Settings) -> Identity:
    """Return the login, after a check that it works.

    Raises:
        SessionError: there is no login, or it has ended.
        CallError: GitBook or the authorization server does not answer.
    """
    gitbook, credentials, _ = open_gitbook(settings)
    session = credentials.session
    login = session.login if session else None
    if session is None or login is None:
        raise SessionError(f"There is no login with GitBook. {LOG_IN}", ErrorCode.LOGIN_EXPIRED)
    try:
        await session.fetch_token()
        organizations: list[str] = []
        if login.scopes.issuperset(_LISTING.scopes):
            response = await gitbook.send(_LISTING.build_request({}), session.token)
            items = read_response(_LISTING, response)["items"]
            organizations = [clean_text(str(item.get("title") or item.get("id")), 100) for item in items]
    finally:
        await gitbook.close()
    tools = Policy(settings.tools, settings.confirmation).tools
    login = session.login or login
    missing = {
        name: sorted({*tool.scopes} - login.scopes)
        for name, tool in tools.items()
        if CredentialKind.OAUTH in tool.credentials and not login.scopes.issuperset(tool.scopes)
    }
    return Identity(login, organizations, session.expires, missing)


def describe(identity: Identity) -> dict[str, Any]:
    """Return the facts about a login by name; none is a secret."""
    return {
        **describe_login(identity.login),
        "expires": None if identity.expires is None else write_time(identity.expires),
        "organizations": identity.organizations,
        "missing": dict(identity.missing),
        "command": identity.command,
    }


def describe_login(login: Login) -> dict[str, Any]:
    """Return the facts about a login that are kept with it."""
    return {
        "user": login.name or login.user,
        "endpoint": login.endpoint,
        "scopes": sorted(login.scopes),
        "place": login.place,
    }
