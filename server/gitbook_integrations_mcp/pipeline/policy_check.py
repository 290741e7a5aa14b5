"""The policy stage: refuses what the operator's policy denies, before anybody is asked; the tool `check_policy`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import to_jsonable_python

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.endpoint import Endpoint, PolicyAction
from gitbook_integrations_api.sources import PLACE_LISTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.calls.plan import PlannedCall, isolate_step
from gitbook_integrations_mcp.calls.policy_rules import (
    Case,
    Decision,
    JudgedIntegration,
    JudgedPlace,
    classify_policy,
    judge,
    list_conditions,
    read_judged,
    read_public,
)
from gitbook_integrations_mcp.calls.response import find_id, get_path, read_cursor, read_response
from gitbook_integrations_mcp.config.models import PolicyRule
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.errors import (
    AnswerError,
    ArgumentsError,
    CallError,
    PolicyError,
    StatusError,
    TargetError,
)
from gitbook_integrations_mcp.gitbook.client import GitBook
from gitbook_integrations_mcp.text import clean_text

_ORGANIZATIONS = "list_organizations_for_authenticated_user"
_MAX_PAGES = 100
_NO_POLICY = "The operator has set no policy, so nothing is denied."
_NOT_OF_INTEGRATION = frozenset({"integrations", "places", "tunnel_hosts"})
"""Conditions that need no facts of the integration besides its name."""


class PolicyCheck:
    """Judges calls by `rules`. A fact is read from GitBook only if a rule needs it."""

    def __init__(
        self, rules: Sequence[PolicyRule], gitbook: GitBook, targets: TargetReader, organization: str | None
    ) -> None:
        """`organization` is that of a space or site in `check_policy`, unless the call names another one."""
        self._rules = rules
        self._gitbook = gitbook
        self._targets = targets
        self._organization = organization

    def create_reader(self) -> "FactReader":
        """Return what reads the facts for one or several checks of a caller, each once."""
        return FactReader(self._rules, self._gitbook, self._targets)

    async def check(self, call: Call, reader: "FactReader | None" = None) -> None:
        """Check a call, or every call of a plan.

        Raises:
            PolicyError: a rule denies it.
            StatusError: it is about an integration that does not exist.
        """
        if not self._rules:
            return
        reader = reader or self.create_reader()
        if isinstance(call, PlannedCall):
            created = next((step.arguments["organization"] for step in call.plan.steps if _installs(step.tool)), None)
            for number, step in enumerate(call.plan.steps, start=1):
                await self._check_one(isolate_step(call, step), reader, created, f"call {number} of the plan")
        else:
            await self._check_one(call, reader)

    async def _check_one(
        self, call: Call, reader: "FactReader", organization: str | None = None, position: str = ""
    ) -> None:
        if denial := await self._find_denial(call, reader, organization, position):
            raise PolicyError(f"{denial} Nothing was sent. Only the operator can change the policy.")

    async def _find_denial(
        self, call: Call, reader: "FactReader", organization: str | None = None, position: str = ""
    ) -> str | None:
        """Return sentences about the rule that denies a call, or None."""
        if not isinstance(call.tool, Endpoint) or call.tool.policy_action is None:
            return None
        for case in await reader.build_cases(call, call.tool.policy_action, organization):
            decision = judge(self._rules, case)
            if decision.is_denied:
                place = case.place and case.place.id and f"{case.place.level} {clean_text(case.place.id, 100)}"
                which = ", ".join(one for one in (place, position) if one)
                return f"{call.tool.name}{which and f' ({which})'} is denied. {decision.explanation}"
        return None

    async def describe_undo(self, call: Call) -> list[tuple[str, str]]:
        """Return that a rule denies a call which would undo a deletion, for each deletion of a plan, or nothing."""
        if not self._rules:
            return []
        deletions = [call]
        if isinstance(call, PlannedCall):
            deletions = [isolate_step(call, one) for one in call.plan.steps if one.tool.method == "DELETE"]
        reader = self.create_reader()
        denials = [await self._find_denial_of_undo(one, reader) for one in deletions]
        return [("Undo", denial) for denial in dict.fromkeys(denials) if denial]

    async def _find_denial_of_undo(self, call: Call, reader: "FactReader") -> str | None:
        undo = call.tool.undo if isinstance(call.tool, Endpoint) else None
        for step in undo.steps if undo else ():
            tool = ENDPOINTS[step.tool]
            if tool.policy_action is None:
                continue
            organization, places = await reader.read_places(call, step.each, tool.policy_action)
            for place in places:
                found = {
                    name: get_path({"arguments": call.arguments, "each": place}, one) for name, one in step.arguments
                }
                given = {name: find_id(value) for name, value in found.items() if value is not None}
                try:
                    denial = await self._find_denial(call.derive(tool, given), reader, organization)
                except CallError:
                    return None  # the preview says what could not be read
                if denial:
                    return denial
        return None

    async def explain(self, call: Call) -> Output:
        """Return the decision about an action that the arguments describe, or all rules.

        The decision is never "allowed" if something that the arguments name may not exist.

        Raises:
            ArgumentsError: an argument does not belong to the action, or one is hidden.
            StatusError: something that the arguments name does not exist.
            TargetError: the answer would be that it is allowed, but it is unknown whether all of it exists.
        """
        arguments = call.arguments
        if not self._rules or "integrationName" not in arguments:
            if self._rules and (about := sorted(arguments.keys() - {"organizationId"})):
                raise ArgumentsError(
                    f"integrationName: add it for a decision, or leave out {', '.join(about)} for a list of all rules."
                )
            message = "The first match decides." if self._rules else _NO_POLICY
            return Output({"rules": [_show_rule(rule) for rule in self._rules], "message": message})
        action: PolicyAction = arguments.get("action") or ("tunnel" if "tunnelHost" in arguments else "install")
        organization = arguments.get("organizationId", self._organization)
        _check_question(action, arguments, organization)
        reader = self.create_reader()
        unread = await reader.check_existence(call, action, organization)
        cases = await reader.build_cases(call, action, organization)
        decided = [(case, judge(self._rules, case)) for case in cases]
        case, decision = next((one for one in decided if one[1].is_denied), decided[0])
        if unread and not decision.is_denied:
            raise TargetError(
                f"check_policy gives no decision, because {' and '.join(unread)} could not be read: what the arguments "
                f"name may not exist. Call {unread[0]} for the reason."
            )
        facts = {**to_jsonable_python(case.integration), "place": to_jsonable_python(case.place)}
        content: dict[str, Any] = {
            "decision": decision.effect,
            "message": self._explain(case, decision),
            "rule": None if decision.rule is None else _show_rule(decision.rule),
            "unknown": list(decision.unknown),
            "facts": {name: value for name, value in facts.items() if value is not None},
        }
        return Output(content)

    def _explain(self, case: Case, decision: Decision) -> str:
        """Return why a case is decided so. An installation that is allowed can be denied on some spaces or sites."""
        if case.action != "install" or case.place is not None or decision.is_denied:
            return decision.explanation
        elsewhere = [judge(self._rules, replace(case, place=JudgedPlace(level))) for level in PLACE_LISTS]
        texts = dict.fromkeys(one.explanation for one in elsewhere if one.is_denied)
        more = [f"On some spaces or sites: {text} Give spaceId or siteId for the decision about one." for text in texts]
        return " ".join([decision.explanation, *more])


class FactReader:
    """Reads the facts for checks of one caller, each once. A fact that cannot be read is unknown."""

    def __init__(self, rules: Sequence[PolicyRule], gitbook: GitBook, targets: TargetReader) -> None:
        self._rules = rules
        self._gitbook = gitbook
        self._targets = targets
        self._integrations: dict[str, Mapping[str, Any] | None] = {}
        self._lists: dict[tuple[str, str | None], _Listed] = {}
        self._installations: dict[str, Mapping[str, Any] | None] = {}

    async def check_existence(self, call: Call, action: PolicyAction, organization: str | None) -> list[str]:
        """Check that everything that a call of `check_policy` names exists. Return the tools that could not be read.

        Raises:
            StatusError: something does not exist.
        """
        unread = []
        if action != "publish" and await self._find_integration(call, exists=True) is None:  # new names are published
            unread.append("get_integration_by_name")
        named = {f"{level}Id": tool for level, tool in PLACE_LISTS.items() if f"{level}Id" in call.arguments}
        hidden = [
            tool for argument, tool in named.items() if not await self._exists(call, argument, tool, organization)
        ]
        # A list of its spaces or sites shows that an organization exists.
        if "organizationId" in call.arguments and len(hidden) == len(named):
            hidden += [] if await self._exists(call, "organizationId", _ORGANIZATIONS) else [_ORGANIZATIONS]
        return unread + hidden

    async def _exists(self, call: Call, argument: str, tool: str, organization: str | None = None) -> bool:
        """Return whether a list has the ID that an argument names, or false if the list was not read completely.

        Raises:
            StatusError: the list does not have it.
        """
        listed = await self._list(call, tool, organization)
        if listed.find(call.arguments[argument]) is not None:
            return True
        if listed.complete:
            raise StatusError(
                404,
                f"{argument}: {tool} lists nothing with this ID, so check_policy gives no decision. Check that it "
                "exists and that the token has access to it.",
            )
        return False

    async def build_cases(self, call: Call, action: PolicyAction, organization: str | None) -> list[Case]:
        """Return what is to be judged of a call: several cases if it selects both all spaces and all sites.

        `organization` is that of a space or site, if the call's installation does not exist yet.
        """
        needed = list_conditions(self._rules, action)
        arguments = call.arguments
        if action == "publish":
            publishes = isinstance(call.tool, Endpoint)
            integration = await (self._read_manifest(call, needed) if publishes else self._read(call, action, needed))
            return [Case(action, replace(integration, verified=False))]  # GitBook has not verified the new version
        if action == "widen":
            levels = [
                level
                for level in PLACE_LISTS
                if not isinstance(call.tool, Endpoint) or arguments.get(f"{level}_selection") == "all"
            ]
            integration = (
                await self._read(call, action, needed) if levels else JudgedIntegration(arguments["integrationName"])
            )
            return [Case(action, integration, JudgedPlace(level)) for level in levels]
        integration = await self._read(call, action, needed)
        if action == "tunnel":
            url = arguments.get("tunnelUrl")
            host = arguments.get("tunnelHost", "") if url is None else urlsplit(url).hostname
            return [Case(action, integration, tunnel_host=host or "")]
        places = [
            JudgedPlace(level, place, await self._read_public(call, level, place, organization, needed))
            for level in PLACE_LISTS
            for name in (level, f"{level}Id")
            if isinstance(place := arguments.get(name), str)
        ]
        return [Case(action, integration, place) for place in places] or [Case(action, integration)]

    async def read_places(
        self, call: Call, each: str | None, action: PolicyAction
    ) -> tuple[str | None, Sequence[Mapping[str, Any] | None]]:
        """Return the organization of a call's installation, and what it has below (`each`: `spaces` or `sites`).

        Without `each`, that is one thing without a place. Where no rule is about places, there is nothing to judge.
        """
        if each is None:
            return None, [None]
        if "places" not in list_conditions(self._rules, action):
            return None, []
        taken = {name: call.arguments[name] for name in ("integrationName", "installationId")}
        listed = await self._read_list(call, f"list_integration_installation_{each}", taken)
        return await self._read_organization(call), listed.items

    async def _read_organization(self, call: Call) -> Any:
        """Return the organization of a call's installation, or None if it could not be read."""
        identifier = call.arguments["installationId"]
        if identifier not in self._installations:
            taken = {"integrationName": call.arguments["integrationName"], "installationId": identifier}
            self._installations[identifier] = await self._send(call, "get_integration_installation_by_id", taken)
        return get_path(self._installations[identifier], "target.organization")

    async def _read(self, call: Call, action: PolicyAction, needed: frozenset[str]) -> JudgedIntegration:
        name = call.arguments["integrationName"]
        if not needed - _NOT_OF_INTEGRATION:
            return JudgedIntegration(name)
        return read_judged(name, await self._find_integration(call, exists=action != "publish"))

    async def _find_integration(self, call: Call, *, exists: bool) -> Mapping[str, Any] | None:
        """Return the integration that a call names, or None if it could not be read.

        Raises:
            StatusError: it does not exist, although `exists` says that the call needs it.
        """
        name = call.arguments["integrationName"]
        if name not in self._integrations:
            try:
                self._integrations[name] = await self._targets.read_integration(call, exists=exists)
            except CallError as error:
                if isinstance(error, StatusError) and error.status == 404:
                    raise
                self._integrations[name] = None
        return self._integrations[name]

    async def _read_manifest(self, call: Call, needed: frozenset[str]) -> JudgedIntegration:
        """Return the integration that a call publishes."""
        arguments = call.arguments
        return JudgedIntegration(
            name=arguments["integrationName"],
            owner=await self._find_owner(call) if "owners" in needed else None,
            visibility=arguments.get("visibility"),
            scopes=tuple(arguments["scopes"]),
            target=arguments.get("target", "all"),
            content_security_policy=classify_policy(arguments.get("contentSecurityPolicy")),
        )

    async def _find_owner(self, call: Call) -> str | None:
        """Return the ID of the organization that a call publishes for, which can also be named by its subdomain."""
        given = call.arguments["organization"]
        for one in (await self._list(call, _ORGANIZATIONS)).items:
            if given in (one.get("id"), one.get("hostname")) and isinstance(identifier := one.get("id"), str):
                return identifier
        return None

    async def _read_public(
        self, call: Call, level: Level, place: str, organization: str | None, needed: frozenset[str]
    ) -> bool | None:
        if "places" not in needed:
            return None
        if isinstance(call.tool, Endpoint) and "installationId" in call.arguments:
            organization = await self._read_organization(call)
        if not isinstance(organization, str):
            return None
        listed = await self._list(call, PLACE_LISTS[level], organization)
        return read_public((listed.find(place) or {}).get("visibility"))

    async def _list(self, call: Call, name: str, organization: str | None = None) -> "_Listed":
        """Return a list, of an organization if one is given, as far as it can be read."""
        if (key := (name, organization)) not in self._lists:
            self._lists[key] = await self._read_list(
                call, name, {"organizationId": organization} if organization else {}
            )
        return self._lists[key]

    async def _read_list(self, call: Call, name: str, arguments: Mapping[str, Any]) -> "_Listed":
        items: list[Mapping[str, Any]] = []
        page: dict[str, Any] = {}
        for _ in range(_MAX_PAGES):
            content = await self._send(call, name, {**arguments, "limit": 1000, **page})
            if content is None:
                break
            items += content.get("items", [])
            try:
                following = read_cursor(content)
            except AnswerError:
                break
            if following is None:
                return _Listed(items, complete=True)
            if page == {"page": following}:
                break
            page = {"page": following}
        return _Listed(items, complete=False)

    async def _send(self, call: Call, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return what an endpoint reads, or None. Without approval, nothing is read that only an approved call may."""
        endpoint = ENDPOINTS[name]
        if call.caller.policy.may_need_confirmation(endpoint):
            return None
        try:
            request = endpoint.build_request(arguments)
            return read_response(endpoint, await self._gitbook.send(request, call.caller.credentials.select(endpoint)))
        except (CallError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class _Listed:
    """The items of a list. `complete` is false if the rest of it could not be read."""

    items: Sequence[Mapping[str, Any]]
    complete: bool

    def find(self, identifier: str) -> Mapping[str, Any] | None:
        return next((one for one in self.items if one.get("id") == identifier), None)


def _check_question(action: PolicyAction, arguments: Mapping[str, Any], organization: str | None) -> None:
    """Refuse arguments that do not decide about the action: an answer would look as if they did.

    Raises:
        ArgumentsError: an argument does not belong to the action, or one is hidden.
    """
    places = [f"{level}Id" for level in PLACE_LISTS if f"{level}Id" in arguments]
    if places and action != "install":
        raise ArgumentsError(f"{places[0]}: leave it out. Only action install is about one space or site.")
    if places and organization is None:
        raise ArgumentsError(f"{places[0]}: add organizationId, the organization of the space or site.")
    if "tunnelHost" in arguments and action != "tunnel":
        raise ArgumentsError("tunnelHost: leave it out. Only action tunnel is about a host.")
    if "tunnelHost" not in arguments and action == "tunnel":
        raise ArgumentsError("action: add tunnelHost, because rules about tunnels decide by the host.")


def _installs(tool: Endpoint) -> bool:
    return tool.policy_action == "install" and "organization" in tool.input.model_fields


def _show_rule(rule: PolicyRule) -> dict[str, Any]:
    shown: dict[str, Any] = rule.model_dump(mode="json", exclude_none=True)
    return shown
