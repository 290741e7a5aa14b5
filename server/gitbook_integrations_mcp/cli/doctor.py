"""The command `doctor`: checks settings, tokens and the connection. Each check is a line, each failure has a fix."""

import shutil
import sys
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio
from mcp import Client
from pydantic import SecretStr

from gitbook_integrations_api.catalog import ENDPOINTS, TOOLS
from gitbook_integrations_api.endpoint import Request
from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.audit.accepted_findings import AcceptanceError, AcceptanceFile
from gitbook_integrations_mcp.auth.issuer import Issuer, IssuerError
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.response import read_response
from gitbook_integrations_mcp.cli.assistant_file import read_document, read_file
from gitbook_integrations_mcp.cli.assistants import ASSISTANTS
from gitbook_integrations_mcp.cli.console import print_json, print_lines
from gitbook_integrations_mcp.cli.install import find_entry, find_placeholder, format_path, holds_token
from gitbook_integrations_mcp.cli.launcher import show_commands
from gitbook_integrations_mcp.cli.private_files import find_settings_file, is_exposed, suggest_private
from gitbook_integrations_mcp.cli.whoami import identify
from gitbook_integrations_mcp.config.models import OAuthSection
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.config.urls import is_loopback
from gitbook_integrations_mcp.config.validation import check_accounts, check_exposure, check_keys, check_workers
from gitbook_integrations_mcp.errors import CallError, ErrorCode, SettingsError, StatusError, StoreError, UpstreamError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.http import GitBookResponse
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from gitbook_integrations_mcp.pipeline.development_mode import describe_mode
from gitbook_integrations_mcp.process import FAILURE, SUCCESS
from gitbook_integrations_mcp.publishing.files import MANIFEST, FolderError, Roots
from gitbook_integrations_mcp.spelling import find_meant, format_id
from gitbook_integrations_mcp.store.location import find_login_path, locate_store
from gitbook_integrations_mcp.store.logins import Login
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text, format_count

Status = Literal["ok", "failed", "skipped", "warning"]
_MARKS: Mapping[Status, str] = {"ok": "✓", "failed": "✗", "skipped": "–", "warning": "!"}
_STYLES: Mapping[Status, str] = {"ok": "green", "failed": "bold red", "skipped": "dim", "warning": "yellow"}
_PLAIN_MARKS: Mapping[Status, str] = {"ok": "+", "failed": "x", "skipped": "-", "warning": "!"}

_USER = Request("GET", "/user")
_LISTING = Request("GET", "/integrations", (("limit", "1"),))
"""A request that every kind of token may send."""

_REJECTED: Mapping[int, ErrorCode] = {401: ErrorCode.TOKEN_REJECTED, 403: ErrorCode.FORBIDDEN}

_STORE_BYTES = 1_000_000
"""Free space that a store needs: more than a report."""

_SKEW = 60
"""Seconds by which this machine's clock may differ before waits for the rate limit become wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check, how to fix it, and the code of the error if it failed."""

    check: str
    status: Status
    message: str
    fix: str = ""
    code: ErrorCode | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A response of GitBook, and the request that it is for."""

    request: Request
    response: GitBookResponse


def run(settings: Settings, arguments: Namespace) -> int:
    """Run all checks, print them, and return the exit code."""
    findings = anyio.run(_collect, settings)
    findings += [*_check_folder(settings), *_check_named_files(settings)]
    findings += [*_check_files(arguments.config, settings), *_check_assistants()]
    scrub = Credentials.from_settings(settings.gitbook).scrub
    findings = [replace(one, message=scrub(one.message), fix=scrub(one.fix)) for one in findings]
    return _report(findings, as_json=arguments.json)


def report_settings(error: SettingsError, *, as_json: bool) -> int:
    """Report settings that cannot be used; nothing else can be checked. Returns the exit code."""
    return _report([_fail("settings", str(error), "", error.code)], as_json=as_json)


def _fail(check: str, message: str, fix: str, code: ErrorCode) -> Finding:
    return Finding(check, "failed", message, fix, code)


def _report(findings: list[Finding], *, as_json: bool) -> int:
    if as_json:
        print_json({"checks": [asdict(finding) for finding in findings]})
    else:
        marks = _choose_marks()
        arrow = "→" if marks is _MARKS else "->"
        for finding in findings:
            text = f" {finding.check}: {show_commands(finding.message)}"
            print_lines([[(marks[finding.status], _STYLES[finding.status]), (text, "")]])
            if finding.fix:
                print_lines([[(f"  {arrow} {show_commands(finding.fix)}", "")]])
        failed, warnings = (sum(finding.status == status for finding in findings) for status in ("failed", "warning"))
        print(f"\n{format_count(failed, 'problem')}, {format_count(warnings, 'warning')}")
    return FAILURE if any(finding.status == "failed" for finding in findings) else SUCCESS


def _choose_marks() -> Mapping[Status, str]:
    """Return marks that the console can show. As question marks, all outcomes would look the same."""
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
    yield _describe_confirmation(settings)
    yield await _check_store(Store(settings))
    async for one in _check_development_modes(settings):
        yield one
    if settings.oauth.issuer:
        yield await _check_issuer(settings.oauth)
    if (insecure := _check_scheme(settings)) is not None:
        yield insecure
    # Without retries, which could hide a problem.
    once = settings.limits.model_copy(update={"attempts": 1})
    gitbook, credentials, organization = open_gitbook(settings.model_copy(update={"limits": once}))
    if settings.gitbook.cli_file:
        place = f"GitBook's command line ({settings.gitbook.cli_file}, environment {settings.gitbook.cli_environment})"
        yield Finding("source of the token", "ok", place)
    if settings.gitbook.cli_problem:
        yield Finding("source of the token", "warning", settings.gitbook.cli_problem, "Set GITBOOK_TOKEN instead.")
    try:
        sample: Sample | None = None
        login = credentials.session.login if credentials.session else None
        if credentials.session is not None:
            yield await _check_login(settings, login)
        for name, variable, token in (
            ("token", "GITBOOK_TOKEN", credentials.general),
            ("integration token", "GITBOOK_INTEGRATION_TOKEN", credentials.integration),
        ):
            if token is None:
                yield _describe_missing_token(settings, name, variable, login)
                continue
            finding, received = await _check_token(gitbook, name, variable, token)
            sample = received or sample
            yield finding
            if name == "token" and finding.status == "ok" and organization:
                yield await _check_organization(gitbook, token, organization)
        if sample is None:
            finding, sample = await _check_network(gitbook)
            yield finding
        if sample is not None:
            yield _check_clock(sample.response)
            yield _check_rate_limit(sample)
    finally:
        await gitbook.close()
    yield await _check_sandbox(settings)


def _describe_missing_token(settings: Settings, name: str, variable: str, login: Login | None) -> Finding:
    if name.replace(" ", "_") in settings.gitbook.unset_references:
        message = "not set: its value is a reference that was not replaced"
        return Finding(name, "warning", message, f"Set {variable} where the assistant or this shell starts.")
    status: Status = "skipped" if name != "token" or login else "warning"
    return Finding(name, status, "not set", f"Set {variable} to {_describe_needed_token(name)}.")


async def _check_login(settings: Settings, login: Login | None) -> Finding:
    """Return whether the login works, and which tools lack a scope."""
    if login is None:
        fix = f"Run `{NAME} login`, or set a token. Audits, and calls that uninstall something, need a token."
        return Finding("login", "skipped", "not logged in", "" if settings.gitbook.token else fix)
    try:
        identity = await identify(settings)
    except CallError as error:
        return _fail("login", str(error), f"Run `{NAME} login`.", error.code)
    who = clean_text(identity.login.name or "an unknown user", 80)
    place = "the system's keyring" if login.place == "keyring" else "a file that only you can read"
    message = f"{who}, {format_count(len(identity.login.scopes), 'scope')}, in {place}"
    if identity.command:
        tools = format_count(len(identity.missing), "tool")
        missing = f"{message}; {tools} without a scope: {', '.join(identity.missing)}"
        return Finding("login", "warning", missing, f"Run `{identity.command}` to add them.")
    return Finding("login", "ok", message)


def _describe_needed_token(name: str) -> str:
    if name == "token":
        return "a personal access token; create one at https://app.gitbook.com/account/developer"
    return "the integration's token if you develop an integration"


def _check_settings(settings: Settings) -> Finding:
    try:
        Policy(settings.tools, settings.confirmation)
        if "stdio" not in settings.server.transport:
            check_exposure(settings)
            check_keys(settings)
            check_workers(settings)
            check_accounts(settings)
    except SettingsError as error:
        return _fail("settings", str(error), "", error.code)
    place = "the built-in sandbox" if settings.server.sandbox else f"GitBook at {settings.gitbook.endpoint}"
    return Finding("settings", "ok", f"valid, for {place}")


def _check_named_files(settings: Settings) -> Iterator[Finding]:
    """Yield the problems of files and folders that settings name, which calls would meet later."""
    try:
        AcceptanceFile(settings.audit.accepted).read()
    except AcceptanceError as error:
        yield _fail("accepted findings", str(error), "", error.code)
    for root in settings.publishing.roots:
        if not Path(root).is_dir():
            fix = "Create it, or correct the setting."
            yield Finding("publishing.roots", "warning", f"{root} is not a folder", fix)


def _describe_confirmation(settings: Settings) -> Finding:
    """Return how destructive calls are confirmed."""
    if settings.tools.read_only:
        return Finding("confirmation", "ok", "not needed: the server is read-only")
    place = {"browser": "in a browser", "two-step": "by a second call"}.get(settings.confirmation.fallback)
    asks = "destructive calls ask for approval"
    if settings.confirmation.ask == "form":
        otherwise = f"or {place} if it has no forms" if place else "and are rejected if it has no forms"
        return Finding("confirmation", "ok", f"{asks} in the client, {otherwise}")
    return Finding("confirmation", "ok", f"{asks} {place}" if place else "destructive calls are rejected")


def _check_assistants() -> Iterator[Finding]:
    """Yield whether the assistants that have this server's entry can start it, and who can read their tokens."""
    registered = False
    for assistant in ASSISTANTS.values():
        try:
            text = read_file(assistant.path)
            entry = find_entry(read_document(assistant, text or ""), assistant)
        except (OSError, RuntimeError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            yield Finding(assistant.title, "warning", f"its configuration cannot be read: {reason}")
            continue
        if entry is None:
            continue
        registered = True
        command = entry.get("command")
        if isinstance(command, str) and shutil.which(command) is None:
            fix = f"Run `{NAME} install` for {assistant.title} again."
            yield Finding(assistant.title, "warning", "registered, but its command does not exist", fix)
        elif variable := find_placeholder(entry):
            message = f"registered in {format_path(assistant)}, but with an example instead of a token"
            yield Finding(assistant.title, "warning", message, f"Put your token into that file, as {variable}.")
        else:
            yield Finding(assistant.title, "ok", f"registered in {format_path(assistant)}")
        if holds_token(entry):
            yield from _check_privacy(assistant.title, assistant.path)
    if not registered:
        fix = f"Run `{NAME} install ASSISTANT` with one of {', '.join(ASSISTANTS)}."
        yield Finding("assistants", "skipped", "none is configured to start this server", fix)


def _check_privacy(check: str, path: Path) -> Iterator[Finding]:
    """Yield a warning if other users can read a file that holds secrets."""
    if is_exposed(path):
        yield Finding(
            check, "warning", f"other users can read {path}, which can contain secrets", suggest_private(path)
        )


def _check_files(config: Path | None, settings: Settings) -> Iterator[Finding]:
    """Yield a warning for each file of this program that holds secrets and that other users can read."""
    if path := find_settings_file(config):
        yield from _check_privacy("settings file", path)
    with suppress(StoreError):  # without a home directory, the program created no file in it
        for check, kept in (
            ("file of the login", find_login_path()),
            ("key of the store", locate_store(settings).key_path),
        ):
            if kept is not None and kept.exists():
                yield from _check_privacy(check, kept)


def _check_folder(settings: Settings) -> Iterator[Finding]:
    """Yield whether the integration in the current folder can be published, if there is one."""
    if not Path(MANIFEST).is_file():
        return
    from gitbook_integrations_mcp.publishing.folder import Order, read_folder

    try:
        folder = read_folder(settings.publishing, Roots([Path.cwd()]), Order(str(Path.cwd())))
    except FolderError as error:
        yield _fail("integration folder", str(error), "", error.code)
        return
    if folder.problems:
        message = f"{format_count(len(folder.problems), 'problem')}, first {folder.problems[0]}"
        yield _fail("integration folder", message, f"`{NAME} check` lists all of them.", ErrorCode.INVALID_FOLDER)
    else:
        yield Finding("integration folder", "ok", f"{folder.arguments['integrationName']} can be published")


async def _check_store(store: Store) -> Finding:
    """Return whether the store can be used."""
    place = "the store"
    try:
        if store.location.is_memory:
            return Finding("store", "ok", "memory; a restart empties it")
        place = str(store.location)
        async with store.database.write():  # which takes no space before a row is written
            path = store.location.path
            is_full = path is not None and shutil.disk_usage(path.parent).free < _STORE_BYTES
    except StoreError as error:
        fix = "Check store.url. Until then, changes and calls that require confirmation fail."
        return _fail("store", f"{place} {error.reason}", fix, error.code)
    finally:
        await store.close()
    if is_full:
        fix = "Free some space. Until then, changes and calls that require confirmation fail."
        return _fail("store", f"{place} has almost no space left on its disk", fix, ErrorCode.STORE_UNAVAILABLE)
    return Finding("store", "ok", place)


async def _check_development_modes(settings: Settings) -> AsyncIterator[Finding]:
    """Yield a warning for each integration whose development mode is on, as far as the store has it."""
    store = Store(settings)
    if not store.may_contain("development_modes"):
        return
    try:
        found = await store.development_modes.list()
    except StoreError:
        return  # reported already
    finally:
        await store.close()
    for one in found:
        known = describe_mode(one)
        message = f"{one.integration}: on until {known['until']}; its events go to {clean_text(one.tunnel, 80)}"
        fix = "A running server with this store and token disables it at the end; disable_integration_development_mode "
        yield Finding("development mode", "warning", message, f"{fix}does so now.")


async def _check_issuer(settings: OAuthSection) -> Finding:
    """Return whether access tokens can be verified."""
    try:
        keys = {key.key_id for key in await Issuer(settings).fetch_keys()}
    except IssuerError as error:
        fix = "Check oauth.issuer. Until its keys can be fetched, callers with its tokens are rejected."
        return _fail("issuer", str(error), fix, ErrorCode.TEMPORARILY_UNAVAILABLE)
    if not keys:
        kinds = ", ".join(settings.algorithms)
        fix = "Add its signature algorithm to oauth.algorithms."
        return _fail("issuer", f"{settings.issuer} publishes no key for {kinds}", fix, ErrorCode.INVALID_SETTINGS)
    return Finding("issuer", "ok", f"{settings.issuer} publishes {len(keys)} key{'s' * (len(keys) > 1)}")


def _check_scheme(settings: Settings) -> Finding | None:
    parts = urlsplit(settings.gitbook.endpoint)
    if settings.server.sandbox or parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return None
    fix = "Use https: over http, others on the network can read the tokens."
    return Finding("encryption", "warning", "the endpoint is plain http", fix)


async def _check_token(gitbook: GitBook, name: str, variable: str, token: SecretStr) -> tuple[Finding, Sample | None]:
    """Return whether a token is valid and who owns it, from requests that only some kinds of token may send."""
    sample: Sample | None = None
    try:
        response = await gitbook.send(_USER, token)
        sample = Sample(_USER, response)
        if response.status not in _REJECTED:
            return _describe_user(name, read_response(ENDPOINTS["get_authenticated_user"], response)), sample
        # An invalid token is rejected everywhere; a valid one of another kind may list the marketplace.
        response = await gitbook.send(_LISTING, token)
        sample = Sample(_LISTING, response)
        if code := _REJECTED.get(response.status):
            message = f"rejected by GitBook ({response.status})"
            return _fail(name, message, f"Set {variable} to a new token.", code), sample
        read_response(ENDPOINTS["list_integrations"], response)
    except StatusError as error:
        if error.status != 500:
            return _fail(name, str(error), "", error.code), sample
        fix = "See GitBook's status page."
        if await _rejects_other_tokens(gitbook):
            fix = f"GitBook does not fail with another token, so this one may be wrong. Set {variable} to a new token."
        return _fail(name, "GitBook failed (500)", fix, error.code), sample
    except UpstreamError as error:
        return _fail(name, str(error), "", error.code), sample
    message = "valid, belongs to an integration or an installation"
    if name == "token":
        fix = "Tools that need a user fail. Put this token into GITBOOK_INTEGRATION_TOKEN."
        return Finding(name, "warning", message, fix), sample
    return Finding(name, "ok", message), sample


async def _rejects_other_tokens(gitbook: GitBook) -> bool:
    """Return whether GitBook regularly rejects a token that is certainly invalid."""
    try:
        return (await gitbook.send(_USER, SecretStr("none"))).status in _REJECTED
    except UpstreamError:
        return False


def _describe_user(name: str, user: Mapping[str, Any]) -> Finding:
    called = next((clean_text(str(user[key]), 80) for key in ("displayName", "email", "id") if user.get(key)), "")
    if not called:
        fix = "Check GITBOOK_ENDPOINT: it is not GitBook's API."
        return _fail(name, "the response does not describe a user", fix, ErrorCode.INVALID_RESPONSE)
    if name == "token":
        return Finding(name, "ok", f"valid, belongs to {called}")
    fix = "Endpoints that accept only an integration's token reject it. Put a user's token into GITBOOK_TOKEN."
    return Finding(name, "warning", f"valid, but belongs to a user ({called})", fix)


async def _check_organization(gitbook: GitBook, token: SecretStr, organization: str) -> Finding:
    """Return whether the default organization is the ID of one that the token's owner belongs to."""
    reader = ENDPOINTS["list_organizations_for_authenticated_user"]
    try:
        page = read_response(reader, await gitbook.send(reader.build_request({"limit": 1000}), token))
    except UpstreamError as error:
        return Finding("organization", "warning", f"cannot be checked: {error}")
    titles = {
        str(one["id"]): [clean_text(str(one[key]), 80) for key in ("title", "hostname") if one.get(key)]
        for one in page["items"]
        if "id" in one
    }
    if organization in titles:
        return Finding("organization", "ok", next(iter(titles[organization]), organization))
    shown = {identifier: next(iter(named), identifier) for identifier, named in titles.items()}
    if meant := find_meant(organization, titles):
        message = f"{clean_text(organization, 80)} is not an ID"
        fix = f"Set GITBOOK_ORGANIZATION to {' or '.join(format_id(one, shown[one]) for one in meant)}."
        return _fail("organization", message, fix, ErrorCode.NOT_FOUND)
    known = format_count(len(titles), "organization")
    message = f"the token's owner is in {known}, but not in {clean_text(organization, 80)}"
    examples = " or ".join(format_id(one, title) for one, title in list(shown.items())[:3])
    fix = f"Set GITBOOK_ORGANIZATION to the ID of one of them{f', for example {examples}' if examples else ''}."
    return Finding("organization", "warning", message, fix)


async def _check_network(gitbook: GitBook) -> tuple[Finding, Sample | None]:
    """Return whether GitBook can be reached. Without a token, it responds with a rejection."""
    sample: Sample | None = None
    try:
        response = await gitbook.send(_LISTING, SecretStr("none"))
        sample = Sample(_LISTING, response)
        if response.status not in _REJECTED:
            read_response(ENDPOINTS["list_integrations"], response)
    except UpstreamError as error:
        return _fail("network", str(error), "", error.code), sample
    return Finding("network", "ok", f"GitBook responds ({response.status})"), sample


def _check_clock(response: GitBookResponse) -> Finding:
    try:
        theirs = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except ValueError:
        return Finding("clock", "skipped", "GitBook sent an invalid date, or none")
    skew = time.time() - theirs
    if abs(skew) <= _SKEW:
        return Finding("clock", "ok", f"in sync with GitBook ({abs(skew):.0f} s)")
    return Finding("clock", "warning", f"not in sync with GitBook ({skew:+.0f} s)", "Synchronize this machine's clock.")


def _check_rate_limit(sample: Sample) -> Finding:
    """Return how many requests are left for one endpoint; others can have other limits."""
    limit, remaining = (sample.response.headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining"))
    if not (limit.isdecimal() and remaining.isdecimal()):
        return Finding("rate limit", "skipped", "GitBook sent no rate limit")
    message = f"{remaining} of {limit} requests left for {sample.request.method} {sample.request.path}"
    if int(remaining) * 10 < int(limit):
        fix = "Another program uses the same token. Give this server a token of its own."
        return Finding("rate limit", "warning", message, fix)
    return Finding("rate limit", "ok", message)


async def _check_sandbox(settings: Settings) -> Finding:
    """Make one call through an MCP client, the server and the built-in sandbox."""
    server = settings.server.model_copy(update={"sandbox": True})
    tools = settings.tools.model_copy(update={"toolsets": None, "include": None, "exclude": ()})
    async with Client(create_server(settings.model_copy(update={"server": server, "tools": tools}))) as client:
        listed = await client.list_tools()
        result = await client.call_tool("list_organization_installations", {})
    if result.is_error or not result.structured_content:
        message = "a call to the built-in sandbox failed"
        return _fail("self-test", message, "This is a defect. Please report it.", ErrorCode.INTERNAL_ERROR)
    items: list[Any] = result.structured_content["items"]
    message = f"{len(listed.tools)} of {len(TOOLS)} tools, {len(items)} installations in the sandbox"
    return Finding("self-test", "ok", message)
