"""The tools `accept_finding` and `withdraw_acceptance`: what a call would hide or show again, and the call itself."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.report import Narrowing
from gitbook_integrations_api.rules import RULES
from gitbook_integrations_mcp.audit.runner import AuditRun, AuditRunner, ReportKey
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.calls.response import read_response
from gitbook_integrations_mcp.errors import ArgumentsError
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.gitbook.user import Owner, UserResolver
from gitbook_integrations_mcp.pipeline.receipt import name_undo
from gitbook_integrations_mcp.spelling import suggest
from gitbook_integrations_mcp.store.acceptances import KeptAcceptance
from gitbook_integrations_mcp.store.store import Store
from gitbook_integrations_mcp.text import clean_text
from gitbook_integrations_mcp.times import find_day, read_age

Effect = Sequence[tuple[str, str]]

FIND_IDS = "Call audit_installations with section: findings for the IDs."
"""The advice of errors, for models. The command line has its own."""

_MOST_NAMED = 10
"""Maximum number of open findings that the question about a rule names."""

_READER = ENDPOINTS["list_organization_installations"]


class AcceptanceTools:
    """Accepts findings and withdraws acceptances, for callers whose token can audit the organization."""

    def __init__(self, gitbook: GitBook, runner: AuditRunner, users: UserResolver, store: Store) -> None:
        self._gitbook = gitbook
        self._runner = runner
        self._users = users
        self._store = store

    async def describe_acceptance(self, call: Call) -> Effect:
        """Return what an acceptance would hide.

        Raises:
            ArgumentsError: the rule is unknown, the latest report does not have the finding, the reason is blank, or
                the date has passed.
            CallError: the token cannot read the organization's installations, or the store fails.
        """
        organization, finding = await self._check_access(call)
        if not clean_text(call.arguments["reason"], 250):
            raise ArgumentsError("reason: it has no visible text. Say why the risk is acceptable. Nothing was changed.")
        until = self._read_until(call.arguments)
        effect = await self._describe_hidden(call, organization, finding)
        if until is None:
            effect.append(("Last day", "none: it stays accepted until it is withdrawn"))
        elif until != call.arguments["until"]:
            effect.append(("Last day", until))
        for earlier in await self._store.acceptances.list_active(organization, finding):
            effect.append(("Replaces", _describe(earlier)))
        return effect

    async def accept(self, call: Call) -> Output:
        """Accept the finding of a confirmed call; for its errors, see `describe_acceptance`."""
        await self.describe_acceptance(call)
        organization, finding = call.arguments["organizationId"], call.arguments["finding"]
        reason = clean_text(call.arguments["reason"], 250)
        until = self._read_until(call.arguments)
        undo = await self._name_acceptance(call) or name_undo(
            call.caller, "withdraw_acceptance", organizationId=organization, finding=finding
        )
        await self._store.acceptances.accept(organization, finding, reason, until, await self._name_caller(call))
        message = f"Accepted{f' until {until}' if until else ''}. The next audit shows it."
        return Output({"status": "accepted", "message": message, "finding": finding, "until": until, "undo": undo})

    async def describe_withdrawal(self, call: Call) -> Effect:
        """Return what a withdrawal would end.

        Raises:
            ArgumentsError: the finding is not accepted in the store.
            CallError: the token cannot read the organization's installations, or the store fails.
        """
        organization, finding = await self._check_access(call)
        active = await self._store.acceptances.list_active(organization)
        if not (found := [one for one in active if one.finding == finding]):
            valid = [one.finding for one in active]
            raise ArgumentsError(
                f"finding: {clean_text(finding, 100)} has no acceptance for the organization {organization} in the "
                f"store of this server.{suggest(finding, valid)} Accepted there: {', '.join(valid[:20]) or 'none'}. "
                "Entries of the file audit.accepted are removed by the operator."
            )
        user = await self._users.resolve(call.caller.credentials)
        latest = await self._runner.find_any(user.key, organization)
        return [*_name_organization(latest), *(("Accepted", _describe(one)) for one in found)]

    async def withdraw(self, call: Call) -> Output:
        """Withdraw the acceptance of a confirmed call; for its errors, see `describe_withdrawal`."""
        await self.describe_withdrawal(call)
        organization, finding = call.arguments["organizationId"], call.arguments["finding"]
        undo = await self._name_acceptance(call) or "Nothing was changed: the acceptance had expired."
        await self._store.acceptances.withdraw(organization, finding, await self._name_caller(call))
        message = "Withdrawn. The next audit reports it as open, unless the file audit.accepted accepts it, too."
        return Output({"status": "withdrawn", "message": message, "finding": finding, "undo": undo})

    async def _check_access(self, call: Call) -> tuple[str, str]:
        """Return organization and finding of a call whose token can audit the organization.

        An acceptance changes the audits of everyone in the organization, and so nobody else may add one.
        """
        organization = call.arguments["organizationId"]
        request = _READER.build_request({"organizationId": organization, "limit": 1})
        response = await self._gitbook.send(request, call.caller.credentials.select(_READER))
        read_response(_READER, call.caller.credentials.scrub_response(response))
        return organization, call.arguments["finding"]

    async def _describe_hidden(self, call: Call, organization: str, finding: str) -> list[tuple[str, str]]:
        """Return the organization and what the finding, or those of the rule, are in the user's latest report."""
        name = finding.partition(":")[0]
        if (rule := RULES.get(name)) is None:
            raise ArgumentsError(
                f"finding: unknown rule {clean_text(name, 100)}.{suggest(name, RULES)} Valid are the IDs of "
                f"findings, and for all findings of a rule: {', '.join(RULES)}. {FIND_IDS}"
            )
        user = await self._users.resolve(call.caller.credentials)
        whole = await self._runner.find_latest(ReportKey(user.key, organization, Narrowing()))
        latest = whole or await self._runner.find_any(user.key, organization)
        known, where = latest.report.findings if latest else (), _name_organization(latest)
        if finding == name:
            found = [one.summary for one in known if one.rule == name and one.accepted is None]
            hidden = "all of later audits"
            if latest:
                bound = "" if latest.report.coverage.complete else "at least "
                about = "the whole" if whole else "a part of the"
                hidden = f"{bound}{len(found)} open in your latest audit of {about} organization, and all later ones"
            named = [("Open finding", summary) for summary in found[:_MOST_NAMED]]
            if len(found) > _MOST_NAMED:
                named.append(("Further open findings", str(len(found) - _MOST_NAMED)))
            return [*where, ("Rule", rule.title), ("Severity", rule.severity), ("Findings of the rule", hidden), *named]
        if run := await self._runner.find_finding(user.key, organization, finding):
            [one] = [one for one in run.report.findings if one.id == finding]
            return [*where, ("Finding", one.summary), ("Severity", one.severity)]
        suggestion = suggest(finding, [one.id for one in known])
        raise ArgumentsError(
            f"finding: your latest audit of this organization does not have {clean_text(finding, 100)}."
            f"{suggestion} {FIND_IDS}"
        )

    async def _name_acceptance(self, call: Call) -> dict[str, str] | str | None:
        """Return the call that restores the acceptance that the call ends, or None if no valid one exists."""
        organization, finding = call.arguments["organizationId"], call.arguments["finding"]
        for one in await self._store.acceptances.list_active(organization, finding):
            if one.until is None or one.until >= self._find_today().isoformat():
                again = {"organizationId": organization, "finding": finding, "reason": one.reason}
                return name_undo(call.caller, "accept_finding", **again, **({"until": one.until} if one.until else {}))
        return None

    def _find_today(self) -> date:
        return find_day(self._store.database.clock())

    def _read_until(self, arguments: Mapping[str, Any]) -> str | None:
        text: str | None = arguments.get("until")
        if text is None:
            return None
        today = self._find_today()
        try:
            age = read_age(text)
            day = date.fromisoformat(text) if age is None else today + timedelta(seconds=age)
        except (ValueError, OverflowError):
            raise ArgumentsError("until: this is neither a date like 2027-06-30 nor a span like 30d or 4w.") from None
        if day < today:
            raise ArgumentsError(f"until: {text} has passed; today is {today.isoformat()} (UTC).")
        return day.isoformat()

    async def _name_caller(self, call: Call) -> str | None:
        """Return who makes a call: the authenticated caller, and the GitBook user."""
        owner: Owner = await self._users.resolve(call.caller.credentials)
        names = [name for name in (call.caller.principal, owner.name) if name]
        return clean_text(" as GitBook user ".join(names), 200) or None


def _name_organization(latest: AuditRun | None) -> Effect:
    """Return the title of the organization, if the user's latest report has it: it is not worth a request."""
    title = latest and latest.report.organization.title
    return [("Organization", title)] if title else []


def _describe(acceptance: KeptAcceptance) -> str:
    by = f" by {acceptance.accepted_by}" if acceptance.accepted_by else ""
    until = f" until {acceptance.until}" if acceptance.until else ""
    return f"{find_day(acceptance.time)}{by}{until}: {acceptance.reason}"
