"""The command `audit`: audits an organization, for people and for scheduled jobs."""

import contextlib
import io
import json
import os
import re
import secrets
import sys
import webbrowser
from argparse import Namespace
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import anyio
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.checks import MOMENT
from gitbook_integrations_api.choices import SEVERITIES, ExportFormat, Severity, TableName
from gitbook_integrations_api.report import Finding, Narrowing, Report
from gitbook_integrations_api.rules import RULES
from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.audit.acceptance_tools import FIND_IDS
from gitbook_integrations_mcp.audit.auditor import Auditor
from gitbook_integrations_mcp.audit.collector import Progress
from gitbook_integrations_mcp.audit.comparison import read_baseline
from gitbook_integrations_mcp.audit.exported_files import ExportedFiles, name_file
from gitbook_integrations_mcp.audit.problems import describe_verdict
from gitbook_integrations_mcp.audit.render.documents import render_document
from gitbook_integrations_mcp.audit.render.markdown import render_brief
from gitbook_integrations_mcp.audit.render.tables import render_csv
from gitbook_integrations_mcp.audit.runner import AuditRun, AuditRunner, ReportKey
from gitbook_integrations_mcp.calls.response import read_response
from gitbook_integrations_mcp.cli import call
from gitbook_integrations_mcp.cli.assistant_file import write_beside
from gitbook_integrations_mcp.cli.audit_report import (
    Commands,
    print_finding,
    print_report,
    print_report_table,
    print_rule,
)
from gitbook_integrations_mcp.cli.console import print_warning, use_utf8
from gitbook_integrations_mcp.cli.flags import format_flags
from gitbook_integrations_mcp.cli.notification import NotificationError, notify, read_target
from gitbook_integrations_mcp.config.json_text import JsonError, parse_json
from gitbook_integrations_mcp.config.settings import Settings
from gitbook_integrations_mcp.errors import (
    CallError,
    CredentialError,
    ErrorCode,
    RefusedError,
    SettingsError,
    StatusError,
    StoreError,
    UsageError,
)
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.credentials import Credentials
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from gitbook_integrations_mcp.gitbook.user import UserResolver
from gitbook_integrations_mcp.process import FAILURE, SUCCESS
from gitbook_integrations_mcp.spelling import format_id, suggest, suggest_id
from gitbook_integrations_mcp.store.location import locate_store
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text, format_count

_MOST_NAMED = 10
"""Maximum number of organizations that an error names."""

_FIND_IDS = f"`{NAME} audit --details` shows the IDs of your findings."

_NEW_STORE = (
    "Here, as by default with --sandbox, the store is in memory, and so each command starts with a new one, without "
    "earlier audits. Accept a rule, or set store.url to keep the store."
)

NEW_FINDINGS, INCOMPLETE = 3, 4
"""Exit codes of --fail-on, beside the common ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """The options of the command. `fail_on` is the lowest severity of new findings that makes it fail.

    `baseline` is a file, or the moment of a kept report: `last`, an age or a date. `flags` select the same settings in
    the commands that the report suggests.
    """

    organization: str | None
    narrowing: Narrowing
    format: Literal["table"] | ExportFormat
    table: TableName | None
    output: Path | None
    baseline: Path | str | None
    fail_on: Severity | None
    open: bool = False
    notify: SecretStr | None = None
    details: bool = False
    flags: Sequence[str] = ()


def run(settings: Settings, arguments: Namespace) -> int:
    """Run the command, or its action `accept`, `withdraw` or `explain`, and return the exit code.

    For its errors, see `run_audit`, `cli.call` and `explain`.
    """
    _, _, action = arguments.command.partition(" ")
    if action == "explain":
        return explain(settings, arguments)
    return (
        _change_acceptance(settings, arguments) if action else run_audit(settings, _read_options(settings, arguments))
    )


def run_audit(settings: Settings, options: AuditOptions) -> int:
    """Run an audit, write the report, and return the exit code.

    Raises:
        SettingsError: the organization or a token is missing, or a file cannot be used.
        CallError: GitBook failed or could not be reached.
    """
    before = _read_baseline(options.baseline) if isinstance(options.baseline, Path) else options.baseline
    try:
        run = anyio.run(_audit, settings, options, before)
    except StoreError:
        raise
    except CredentialError as error:
        if error.code is not ErrorCode.MISSING_TOKEN:
            raise SettingsError(str(error), error.code) from None
        raise SettingsError(
            "An audit requires a personal access token. Create one at https://app.gitbook.com/account/developer, and "
            f"set GITBOOK_TOKEN. `{NAME} audit --sandbox` needs none.",
            error.code,
        ) from None
    except RefusedError as error:
        raise SettingsError(str(error), error.code) from None
    report = run.report
    _write(report, options, settings)
    _append_summary(report)
    if options.open:
        _open_page(run, options, settings)
    failing = _list_failing(report, options)
    code = _choose_exit_code(report, options, failing)
    if failing and not options.baseline:
        found = f"{format_count(len(failing), 'open finding')} of severity {options.fail_on} or above"
        print(f"Exit status {code}: {found}. Without --baseline, every open finding counts.", file=sys.stderr)
    if options.notify:
        try:
            anyio.run(notify, options.notify, report)
        except NotificationError as error:
            print_warning(str(error))
            code = code or FAILURE
    return code


def _append_summary(report: Report) -> None:
    """Append the main results to the summary of a job in GitHub Actions."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{render_brief(report)}\n\n")
        except OSError as error:
            print_warning(f"The job summary could not be written: {error.strerror}.")


def _open_page(run: AuditRun, options: AuditOptions, settings: Settings) -> None:
    """Open the page in a browser: the file that was written, or else a private one."""
    if options.format == "html" and options.output:
        path = options.output.absolute()
    else:
        name = name_file(run.id or f"rep_{secrets.token_hex(8)}", "html")
        try:
            path = ExportedFiles(settings).write(name, partial(render_document, run.report, "html"))
        except OSError as error:
            raise SettingsError(f"Cannot write the page: {error.strerror}.") from None
    print(f"Page: {path}", file=sys.stderr)
    if not webbrowser.open(path.as_uri()):
        print_warning("No browser could be opened.")


def _read_options(settings: Settings, arguments: Namespace) -> AuditOptions:
    given = {name: text for name in Narrowing.model_fields if (text := getattr(arguments, name)) is not None}
    narrowing = {name: [one.strip() for one in text.split(",")] for name, text in given.items()}
    for name, names in narrowing.items():
        if "" in names:
            raise UsageError(f"--{name}: a name is empty. Nothing was audited.")
    return AuditOptions(
        organization=arguments.organization,
        narrowing=Narrowing.model_validate(narrowing),
        format=arguments.format,
        table=arguments.table,
        output=arguments.output,
        baseline=_read_when(arguments.baseline),
        fail_on=arguments.fail_on,
        open=arguments.open,
        notify=read_target(arguments.notify) if arguments.notify is not None else None,
        details=arguments.details,
        flags=format_flags(settings, getattr(arguments, "config", None), "audit"),
    )


def _read_when(text: str | None) -> Path | str | None:
    return text if text is None or re.fullmatch(MOMENT, text) else Path(text)


def _read_baseline(path: Path) -> Report:
    try:
        return read_baseline(parse_json(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise SettingsError(f"Cannot read {path}: {error.strerror}.", ErrorCode.INVALID_BASELINE) from None
    except JsonError as error:
        raise SettingsError(f"{path} {error}.", ErrorCode.INVALID_BASELINE) from None
    except ValueError:
        raise SettingsError(f"{path} is not valid UTF-8.", ErrorCode.INVALID_BASELINE) from None
    except CallError as error:
        raise SettingsError(f"{path}: {error}", error.code) from None


async def _audit(settings: Settings, options: AuditOptions, baseline: Report | str | None) -> AuditRun:
    async with _open_audits(settings, options.organization) as audits:
        owner = await audits.users.resolve(audits.credentials)
        key = ReportKey(owner.key, audits.organization, options.narrowing)
        if isinstance(baseline, str):
            baseline = await audits.runner.find_baseline(key, baseline)
        async with _show_progress() as progress:
            run = await audits.runner.run(key, audits.credentials, progress, baseline)
    if run.note:
        print_warning(run.note)
    return run


@dataclass(frozen=True, slots=True)
class _Audits:
    runner: AuditRunner
    users: UserResolver
    credentials: Credentials
    organization: str
    keeps: bool
    """Whether the store outlives this command."""


@asynccontextmanager
async def _open_audits(settings: Settings, organization: str | None) -> AsyncIterator[_Audits]:
    """Open GitBook and the store, and close them afterwards.

    Raises:
        SettingsError: no organization is named, and the token can read none or several.
        CallError: the organizations are needed and cannot be read.
    """
    gitbook, credentials, default = open_gitbook(settings)
    store = Store(settings)
    try:
        organization = organization or default or await _find_organization(gitbook, credentials)
        runner = AuditRunner(Auditor(gitbook, settings), store)
        keeps = not store.location.is_memory
        yield _Audits(runner, UserResolver(gitbook), credentials, organization, keeps)
    except StatusError as error:
        if error.status != 404 or organization is None:
            raise
        known = await _suggest_organization(organization, gitbook, credentials)
        text = f"The token can read no organization {clean_text(organization, 100)}: GitBook answered with 404.{known}"
        raise SettingsError(text, error.code) from None
    finally:
        await gitbook.close()
        await store.close()


async def _find_organization(gitbook: GitBook, credentials: Credentials) -> str:
    """Return the ID of the organization if the token can read exactly one.

    Raises:
        SettingsError: the token can read none or several.
        CallError: there is no token, or GitBook failed.
    """
    titles = await _list_organizations(gitbook, credentials)
    if len(titles) == 1:
        return next(iter(titles))
    if not titles:
        raise SettingsError("The token can read no organization.")
    lines = [f"- {format_id(identifier, title)}" for identifier, title in titles.items()]
    text = "The token can read several organizations. Add the ID of one, or set GITBOOK_ORGANIZATION:"
    raise SettingsError("\n".join([text, *lines]))


async def _list_organizations(gitbook: GitBook, credentials: Credentials) -> dict[str, str]:
    """Return the titles of the organizations that the token can read, by ID.

    Raises:
        CallError: there is no token, or GitBook failed.
    """
    reader = ENDPOINTS["list_organizations_for_authenticated_user"]
    response = await gitbook.send(reader.build_request({"limit": 1000}), credentials.select(reader))
    organizations = read_response(reader, credentials.scrub_response(response))["items"]
    return {one["id"]: clean_text(str(one.get("title") or one["id"]), 100) for one in organizations if "id" in one}


def _change_acceptance(settings: Settings, arguments: Namespace) -> int:
    """Call the tool, with the same checks and the same question as in an assistant."""
    accepting = arguments.command == "audit accept"
    organization = arguments.organization or settings.gitbook.organization
    if organization is None and not settings.server.sandbox:
        organization = anyio.run(_name_organization, settings)
    names = {"finding": arguments.finding, "organizationId": organization}
    if accepting:
        names |= {"reason": arguments.reason, "until": arguments.until}
    given = json.dumps({name: text for name, text in names.items() if text is not None})
    tool = "accept_finding" if accepting else "withdraw_acceptance"
    try:
        return call.run(settings, Namespace(tool=tool, arguments=[given], json=arguments.json))
    except CallError as error:
        if FIND_IDS not in str(error):
            raise
        advice = _NEW_STORE if locate_store(settings).is_memory else _FIND_IDS
        raise UsageError(str(error).replace(FIND_IDS, advice)) from None


async def _name_organization(settings: Settings) -> str:
    async with _open_audits(settings, None) as audits:
        return audits.organization


def explain(settings: Settings, arguments: Namespace) -> int:
    """Print what a rule means, or a finding of the latest kept report, with its evidence and what to do.

    Raises:
        UsageError: no rule and no finding of the latest report has this ID.
        StoreError: the store fails.
    """
    rule = RULES.get(arguments.finding.partition(":")[0])
    if rule is None:
        meant = suggest(arguments.finding, RULES) or f" {_FIND_IDS}"
        raise UsageError(f"{clean_text(arguments.finding, 100)}: no rule or finding has this ID.{meant}")
    if arguments.finding == rule.id:
        print_rule(rule, as_json=arguments.json)
        return SUCCESS
    run = anyio.run(_find_finding, settings, arguments.organization, arguments.finding)
    if run is None:
        raise UsageError(
            f"Your latest audit does not have {clean_text(arguments.finding, 100)}. Audit again, or explain the rule "
            f"{rule.id}."
        )
    finding = next(one for one in run.report.findings if one.id == arguments.finding)
    flags = format_flags(settings, getattr(arguments, "config", None), "audit")
    commands = Commands(flags, arguments.organization, settings.server.sandbox)
    print_finding(finding, run.report, commands, as_json=arguments.json)
    return SUCCESS


async def _find_finding(settings: Settings, organization: str | None, finding: str) -> AuditRun | None:
    async with _open_audits(settings, organization) as audits:
        owner = await audits.users.resolve(audits.credentials)
        if audits.keeps:
            return await audits.runner.find_finding(owner.key, audits.organization, finding)
        key = ReportKey(owner.key, audits.organization, Narrowing())
        async with _show_progress() as progress:
            run = await audits.runner.run(key, audits.credentials, progress, None)
        return run if any(one.id == finding for one in run.report.findings) else None


async def _suggest_organization(given: str, gitbook: GitBook, credentials: Credentials) -> str:
    """Return a sentence with the organizations that were probably meant, or else all that the token can read."""
    try:
        titles = await _list_organizations(gitbook, credentials)
    except CallError:
        return ""
    known = ", ".join(format_id(identifier, title) for identifier, title in [*titles.items()][:_MOST_NAMED])
    return suggest_id(given, titles) or (f" It can read: {known}." if known else "")


@asynccontextmanager
async def _show_progress() -> AsyncIterator[Progress]:
    """Show a progress bar on standard error if it is a terminal. Standard output is only for the report."""
    columns = (
        TextColumn("Audit"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[source]}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None, source="")

        async def show(done: float, total: float | None, source: str | None) -> None:
            bar.update(task, completed=done, total=total, source=source or "")

        yield show


def _write(report: Report, options: AuditOptions, settings: Settings) -> None:
    try:
        with contextlib.ExitStack() as stack:
            text = io.StringIO()
            if options.output:
                stack.enter_context(contextlib.redirect_stdout(text))
            _print(report, options, settings)
        if options.output:
            _replace(options.output, text.getvalue().encode(errors="replace"))
            verdict = " · ".join(text for _, text in describe_verdict(report))
            print(f"{verdict}\nReport: {options.output}", file=sys.stderr)
    except OSError as error:
        if options.output is None or isinstance(error, BrokenPipeError):
            raise  # `main` reports it
        raise SettingsError(f"Cannot write {options.output}: {error.strerror}.") from None


def _replace(path: Path, content: bytes) -> None:
    """Write a report, which is private, and keep the last one until the new one is complete."""
    with contextlib.suppress(FileNotFoundError):
        path.stat()  # fails if it is a link to itself
    target = path.resolve()  # a link stays one
    if target.exists() and not target.is_file():
        path.write_bytes(content)  # a pipe or a device
        return
    new = write_beside(target, content)
    try:
        new.replace(target)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _print(report: Report, options: AuditOptions, settings: Settings) -> None:
    if options.format != "table" and not options.output:
        use_utf8()
    if options.format == "csv" and options.table:
        print(render_csv(report, options.table), end="")
    elif options.format != "table":
        print(render_document(report, options.format), end="")
    elif options.table:
        print_report_table(report, options.table)
    else:
        commands = Commands(options.flags, options.organization, settings.server.sandbox)
        print_report(report, commands, details=options.details)


def _list_failing(report: Report, options: AuditOptions) -> list[Finding]:
    """Return the findings that make the command fail.

    Only a baseline that was asked for makes other findings known ones.
    """
    if options.fail_on is None:
        return []
    severe = SEVERITIES[: SEVERITIES.index(options.fail_on) + 1]
    new = report.comparison.newly_open if report.comparison and options.baseline else None
    return [
        finding
        for finding in report.findings
        if finding.accepted is None and finding.severity in severe and (new is None or finding.id in new)
    ]


def _choose_exit_code(report: Report, options: AuditOptions, failing: Sequence[Finding]) -> int:
    """Return the exit code. Findings take precedence over an incomplete audit."""
    if failing:
        return NEW_FINDINGS
    return SUCCESS if options.fail_on is None or report.coverage.complete else INCOMPLETE
