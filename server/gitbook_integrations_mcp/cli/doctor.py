"""`doctor`: does it work, and if not, what is to be done. Every check is a line; every failure comes with its fix."""

import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio
from mcp import Client
from pydantic import SecretStr

from gitbook_integrations_api.catalog import ENDPOINTS, TOOLS
from gitbook_integrations_api.endpoint import Request
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.response import read_response
from gitbook_integrations_mcp.cli.console import print_json
from gitbook_integrations_mcp.cli.install import describe_connections
from gitbook_integrations_mcp.config.models import OAuthSection
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.config.urls import is_loopback
from gitbook_integrations_mcp.confirmation.memory_store import MemoryConfirmationStore
from gitbook_integrations_mcp.confirmation.opening import open_confirmation_store
from gitbook_integrations_mcp.confirmation.store import ConfirmationStore
from gitbook_integrations_mcp.errors import SettingsError, StoreError, UpstreamError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from gitbook_integrations_mcp.text import clean_text

Status = Literal["ok", "failed", "skipped", "warning"]
_MARKS: Mapping[Status, str] = {"ok": "✓", "failed": "✗", "skipped": "–", "warning": "!"}
_PLAIN_MARKS: Mapping[Status, str] = {"ok": "+", "failed": "x", "skipped": "-", "warning": "!"}

_LISTING = Request("GET", "/integrations", (("limit", "1"),))
"""What any kind of token may ask."""

_REFUSED = frozenset({401, 403})

_SKEW = 60
"""Seconds by which this machine's clock may differ before rate-limit waits go wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check, and what to do about it."""

    check: str
    status: Status
    message: str
    fix: str = ""


def examine(settings: Settings, config: Path | None, *, as_json: bool) -> int:
    """Run all checks, print them with ready client configurations, and return 1 where one failed, else 0."""
    return _report(anyio.run(_collect, settings), describe_connections(settings, config), as_json=as_json)


def report_settings(error: SettingsError, *, as_json: bool) -> int:
    """Report settings that cannot be used, with which nothing else can be checked. Returns 1."""
    return _report([Finding("settings", "failed", str(error))], {}, as_json=as_json)


def _report(findings: list[Finding], connections: Mapping[str, str], *, as_json: bool) -> int:
    if as_json:
        print_json({"checks": [asdict(finding) for finding in findings], "connections": connections})
    else:
        marks = _choose_marks()
        for finding in findings:
            print(f"{marks[finding.status]} {finding.check}: {finding.message}")
            if finding.fix:
                print(f"  {'→' if marks is _MARKS else '->'} {finding.fix}")
        for client, text in connections.items():
            print(f"\n{client}\n{text}")
    return 1 if any(finding.status == "failed" for finding in findings) else 0


def _choose_marks() -> Mapping[Status, str]:
    """Return marks that the console can show; replaced by question marks, all outcomes would look alike."""
    try:
        "".join(_MARKS.values()).encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return _PLAIN_MARKS
    return _MARKS


async def _collect(settings: Settings) -> list[Finding]:
    return [finding async for finding in _check(settings)]


async def _check(settings: Settings) -> AsyncIterator[Finding]:
    yield Finding("Python", "ok", sys.version.split()[0])
    yield _check_settings(settings)
    yield _check_safety(settings)
    yield _check_journal(settings.journal.path)
    questions = open_confirmation_store(settings, time.monotonic)
    if not isinstance(questions, MemoryConfirmationStore):
        yield await _check_store(questions)
    if settings.oauth.issuer:
        yield await _check_issuer(settings.oauth)
    if (insecure := _check_scheme(settings)) is not None:
        yield insecure
    # What a repetition would hide is what is looked for.
    once = settings.limits.model_copy(update={"attempts": 1})
    gitbook, credentials, _ = open_gitbook(settings.model_copy(update={"limits": once}))
    try:
        reply: GitBookResponse | None = None
        for name, variable, token in (
            ("token", "GITBOOK_TOKEN", credentials.general),
            ("integration token", "GITBOOK_INTEGRATION_TOKEN", credentials.integration),
        ):
            if token is None:
                yield Finding(
                    name,
                    "skipped" if name != "token" else "warning",
                    "not set",
                    f"Set {variable} to {_describe_need(name)}.",
                )
                continue
            finding, answered = await _check_token(gitbook, name, variable, token)
            reply = answered or reply
            yield finding
        if reply is None:
            finding, reply = await _check_reachability(gitbook)
            yield finding
        if reply is not None:
            yield _check_clock(reply)
            yield _check_headroom(reply)
    finally:
        await gitbook.close()
    yield await _check_sandbox(settings)


def _describe_need(name: str) -> str:
    if name == "token":
        return "a personal access token; GitBook issues one at https://app.gitbook.com/account/developer"
    return "the integration's token, if you work on an integration of your own"


def _check_settings(settings: Settings) -> Finding:
    try:
        Policy(settings.tools, settings.confirmation)
        if "stdio" not in settings.server.transport:
            from gitbook_integrations_mcp.config.validation import check_exposure

            check_exposure(settings)
    except SettingsError as error:
        return Finding("settings", "failed", str(error))
    return Finding("settings", "ok", "sandbox" if settings.server.sandbox else settings.gitbook.endpoint)


def _check_safety(settings: Settings) -> Finding:
    """Tell what guards what is destructive."""
    if settings.tools.read_only:
        return Finding("safety", "ok", "read-only: nothing can be changed")
    way = f"a form of the client, else {settings.confirmation.fallback}"
    asked = way if settings.confirmation.ask == "form" else f"always {settings.confirmation.fallback}"
    return Finding("safety", "ok", f"what destroys something asks by {asked}")


def _check_journal(path: Path | None) -> Finding:
    if path is None:
        return Finding("journal", "skipped", "none is kept", "Set journal.path to have every write recorded.")
    place = path if path.exists() else path.parent
    if not os.access(place, os.W_OK):
        return Finding("journal", "failed", f"{path} cannot be written", "Until it can, nothing is changed.")
    return Finding("journal", "ok", str(path))


async def _check_store(questions: ConfirmationStore) -> Finding:
    """Find out whether anything that waits for a human's yes could run."""
    try:
        await questions.get("")
    except StoreError as error:
        return Finding("store", "failed", f"Redis {error.reason}", "Until it does, nothing runs that waits for a yes.")
    finally:
        await questions.close()
    return Finding("store", "ok", "Redis keeps what waits for a yes")


async def _check_issuer(settings: OAuthSection) -> Finding:
    """Find out whether access tokens could be verified."""
    from gitbook_integrations_mcp.auth.issuer import Issuer, IssuerError

    try:
        keys = {key.key_id for key in await Issuer(settings).fetch_keys()}
    except IssuerError as error:
        return Finding("issuer", "failed", str(error), "Until its keys can be fetched, its tokens let nobody in.")
    if not keys:
        kinds = ", ".join(settings.algorithms)
        fix = "Add the kind of signature it makes to oauth.algorithms."
        return Finding("issuer", "failed", f"{settings.issuer} publishes no key for {kinds}", fix)
    return Finding("issuer", "ok", f"{settings.issuer} publishes {len(keys)} key{'s' * (len(keys) > 1)}")


def _check_scheme(settings: Settings) -> Finding | None:
    parts = urlsplit(settings.gitbook.endpoint)
    if settings.server.sandbox or parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return None
    return Finding("encryption", "warning", "the endpoint is plain http", "Use https: tokens travel in the clear.")


async def _check_token(
    gitbook: GitBook, name: str, variable: str, token: SecretStr
) -> tuple[Finding, GitBookResponse | None]:
    """Find out whose a token is and of which kind, by asking what only some kinds may ask."""
    reply: GitBookResponse | None = None
    try:
        reply = await gitbook.send(Request("GET", "/user"), token)
        if reply.status not in _REFUSED:
            return _describe_user(name, read_response(ENDPOINTS["get_authenticated_user"], reply)), reply
        # An invalid token is refused everywhere; a valid one of another kind may list the marketplace.
        reply = await gitbook.send(_LISTING, token)
        if reply.status in _REFUSED:
            return Finding(
                name, "failed", f"refused by GitBook ({reply.status})", f"Set {variable} to a new one."
            ), reply
        read_response(ENDPOINTS["list_integrations"], reply)
    except UpstreamError as error:
        return Finding(name, "failed", str(error)), reply
    kind = "an integration's or an installation's"
    if name == "token":
        fix = "Tools that need a user will not work; put it into GITBOOK_INTEGRATION_TOKEN."
        return Finding(name, "warning", kind, fix), reply
    return Finding(name, "ok", kind), reply


def _describe_user(name: str, user: Mapping[str, Any]) -> Finding:
    called = next((clean_text(str(user[key]), 80) for key in ("displayName", "email", "id") if user.get(key)), "")
    if not called:
        fix = "Check GITBOOK_ENDPOINT: what answers there is not GitBook's API."
        return Finding(name, "failed", "the answer describes no user", fix)
    if name == "token":
        return Finding(name, "ok", f"a user's ({called})")
    fix = "Endpoints that accept only an integration's token will refuse it; a user's belongs into GITBOOK_TOKEN."
    return Finding(name, "warning", f"a user's ({called})", fix)


async def _check_reachability(gitbook: GitBook) -> tuple[Finding, GitBookResponse | None]:
    """Find out whether GitBook answers at all, where there is no token to ask with: a refusal is an answer, too."""
    reply: GitBookResponse | None = None
    try:
        reply = await gitbook.send(_LISTING, SecretStr("none"))
        if reply.status not in _REFUSED:
            read_response(ENDPOINTS["list_integrations"], reply)
    except UpstreamError as error:
        return Finding("network", "failed", str(error)), reply
    return Finding("network", "ok", f"GitBook answers ({reply.status})"), reply


def _check_clock(reply: GitBookResponse) -> Finding:
    try:
        theirs = parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
    except ValueError:
        return Finding("clock", "skipped", "GitBook told no time")
    skew = time.time() - theirs
    if abs(skew) <= _SKEW:
        return Finding("clock", "ok", f"{abs(skew):.0f} s from GitBook's")
    return Finding("clock", "warning", f"{skew:+.0f} s from GitBook's", "Synchronize this machine's clock.")


def _check_headroom(reply: GitBookResponse) -> Finding:
    limit, remaining = (reply.headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining"))
    if not (limit.isdecimal() and remaining.isdecimal()):
        return Finding("rate limit", "skipped", "GitBook told none")
    if int(remaining) * 10 < int(limit):
        fix = "Another program uses the same token; give this server one of its own."
        return Finding("rate limit", "warning", f"{remaining} of {limit} requests left", fix)
    return Finding("rate limit", "ok", f"{remaining} of {limit} requests left")


async def _check_sandbox(settings: Settings) -> Finding:
    """Run one call the whole way, through an MCP client and the embedded GitBook."""
    server = settings.server.model_copy(update={"sandbox": True})
    tools = settings.tools.model_copy(update={"toolsets": None, "include": None, "exclude": ()})
    async with Client(create_server(settings.model_copy(update={"server": server, "tools": tools}))) as client:
        listed = await client.list_tools()
        result = await client.call_tool("list_organization_installations", {})
    if result.is_error or not result.structured_content:
        return Finding("self-test", "failed", "a call to the embedded GitBook failed", "This is a defect; report it.")
    items: list[Any] = result.structured_content["items"]
    message = f"{len(listed.tools)} of {len(TOOLS)} tools, {len(items)} installations in the embedded GitBook"
    return Finding("self-test", "ok", message)
