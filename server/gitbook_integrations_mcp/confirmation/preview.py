"""Previews: the effect of a call that needs confirmation, read from GitBook.

The table of endpoints determines what is read: besides the target, a deletion affects the lists below its path, and an
integration is read for its title. A new endpoint needs no code here. A composite tool that changes something describes
its effect itself.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import anyio

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.endpoint import Endpoint, Risk, SegmentError, Widening
from gitbook_integrations_api.sources import PLACE_ARGUMENTS, PLACE_LISTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Describe
from gitbook_integrations_mcp.calls.plan import PlannedCall, Step, isolate_step
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.confirmation.facts import (
    MAX_LISTED,
    clean_foreign,
    describe_call,
    describe_context,
    describe_effect,
    describe_integration,
    describe_loss,
    describe_removal,
    describe_settings,
    describe_target,
    find_link,
    format_name,
    name_losses,
    name_requester,
    write_title,
)
from gitbook_integrations_mcp.confirmation.targets import MismatchError, TargetReader, creates, find_context
from gitbook_integrations_mcp.confirmation.widening import (
    describe_all_places,
    describe_changes,
    describe_events,
    describe_payload,
    describe_place,
    describe_places,
    describe_publication,
    describe_scopes,
    describe_trust,
    list_widened,
)
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.errors import ArgumentsError, CallError, StatusError, TargetError
from gitbook_integrations_mcp.store.pending import Fact, Preview

_INTEGRATION = "get_integration_by_name"
_VOLATILE = frozenset({"urls", "previewImages", "permissions"})


class Previewer:
    """Reads previews with the credentials of the call.

    By tool name, `effects` describe calls of composite tools, and what GitBook does not show of calls of endpoints.
    """

    def __init__(self, targets: TargetReader, effects: Mapping[str, Describe] | None = None) -> None:
        self._targets = targets
        self._effects = effects or {}

    async def preview(self, call: Call) -> tuple[Preview, Mapping[str, Any] | None]:
        """Return the preview of a call, and the target as `TargetReader.read_target` returns it.

        The target is not part of the preview: a store keeps the preview, and the target's configuration can contain
        secrets of third parties.

        Raises:
            StatusError: the target does not exist, the token may not make the call, or GitBook failed.
            TargetError: nothing of the target could be read, so nobody could judge the call.
            AnswerError: GitBook answered with another object than the one that the call names.
            CallError: GitBook could not be reached.
        """
        if isinstance(call, PlannedCall):
            return await self._preview_plan(call)
        describe = self._effects.get(call.tool.name)
        if describe and not isinstance(call.tool, Endpoint):
            return await _preview_effect(call, describe), None
        known_here = describe_effect(await describe(call)) if describe else ()
        tool, arguments = call.tool, call.arguments
        target_reader = find_target(tool)
        target: Mapping[str, Any] | CallError = {}
        if target_reader is not None:
            target = await self._targets.try_to_read_target(call, target_reader)
        known = None if isinstance(target, CallError) or target_reader is None else target
        readers = [reader for reader in find_context(tool) if reader is not target_reader]
        if target_reader is not None and target == {} and creates(tool, target_reader):
            readers = [reader for reader in readers if not reader.is_list]  # what does not exist yet affects nothing
        responses: dict[str, Mapping[str, Any] | CallError] = {}

        async def read(reader: Endpoint) -> None:
            try:
                responses[reader.name] = await self._targets.read(call, reader)
            except CallError as error:
                responses[reader.name] = error  # the preview says so

        async with anyio.create_task_group() as group:
            for reader in readers:
                group.start_soon(read, reader)
        for response in responses.values():
            if isinstance(response, MismatchError):
                raise response
        if isinstance(target, StatusError) and all(isinstance(one, CallError) for one in responses.values()):
            raise TargetError(
                f"{tool.name} needs human confirmation, but nothing of its target could be read, so nobody was asked "
                f"and nothing was sent. {target}"
            )
        scrub = call.caller.credentials.scrub
        scrub_json = call.caller.credentials.scrub_json  # before anything is cut
        shown = target if isinstance(target, CallError) else scrub_json(target)
        shown_call = replace(call, arguments=scrub_json(arguments))
        organization, organizations = scrub_json(await self._targets.read_organization(call, known))
        contexts = {name: one if isinstance(one, CallError) else scrub_json(one) for name, one in responses.items()}
        integration = _find_integration(target_reader, shown, contexts)
        _check_rights(call, integration, organization)
        levels = _list_levels(call, known)
        _check_target(levels, integration)
        places = scrub_json(await self._read_places(call, levels, organization))
        before = shown if known is not None and isinstance(shown, Mapping) else None
        power = list(_describe_power(shown_call, integration, before, organization, places))
        if tool.widens is Widening.EVENTS and not arguments.get("all"):
            contexts = {name: _keep_owner(one, integration) for name, one in contexts.items()}
        owner = get_path(integration, "owner")
        titled = [*organizations, *([owner] if isinstance(owner, Mapping) else [])]
        listed = [
            one
            for reader in readers
            if reader.is_list
            for one in describe_context(reader, contexts[reader.name], titled)
        ]
        deletes = isinstance(tool, Endpoint) and tool.method == "DELETE"
        # A deletion takes what is below its target with it. For other calls, only what is shown of lists counts.
        read_states = [responses[reader.name] for reader in readers if deletes or not reader.is_list]
        affected = [
            *listed,
            *_describe_loss(shown_call, shown, before),
            *_describe_removal(shown_call, integration),
            *power,
        ]
        details = [
            *describe_call(shown_call),
            *describe_target(target_reader, shown, organization),
            *(
                one
                for reader in readers
                if not reader.is_list
                for one in describe_context(reader, contexts[reader.name])
            ),
            *(() if tool.widens is Widening.CODE else describe_settings(shown_call)),
            *known_here,
        ]
        preview = Preview(
            title=scrub(write_title(shown_call, integration, shown, organization, places)),
            consequence=scrub(_describe_consequence(call)),
            state=_digest(
                [
                    known,
                    *(None if isinstance(one, CallError) else one for one in read_states),
                    *([one.label, one.value] if isinstance(one, Fact) else one for one in [*listed, *power]),
                ]
            ),
            facts=_scrub_facts(affected, scrub),
            details=_scrub_facts(details, scrub),
            notes=tuple(scrub(one) for one in [*affected, *details] if isinstance(one, str)),
            typed=arguments.get("integrationName") if tool.irreversible else None,
            verb=tool.verb,
            requester=scrub(name_requester(call.context.session)),
            link=find_link(shown, integration),
        )
        return preview, _add_places(known, responses) if deletes else known

    async def _read_places(
        self, call: Call, levels: Iterable[Level], organization: Mapping[str, Any] | str | None
    ) -> dict[Level, Mapping[str, Any] | None]:
        """Return the spaces or sites of an organization by level; None if they cannot be read."""
        identifier = organization.get("id") if isinstance(organization, Mapping) else organization
        read: dict[Level, Mapping[str, Any] | None] = {}
        for level in levels:
            try:
                one = replace(call, arguments={"organizationId": str(identifier)})
                read[level] = await self._targets.read(one, ENDPOINTS[PLACE_LISTS[level]]) if identifier else None
            except MismatchError:
                raise
            except (CallError, SegmentError):
                read[level] = None
        return read

    async def _preview_plan(self, call: PlannedCall) -> tuple[Preview, Mapping[str, Any] | None]:
        """Return the preview of a plan: its own facts, and the state of every target that its calls name.

        If one deletion is the whole plan, its own preview is part of it, and its target is returned. The preview of
        another call would show the values that it restores.
        """
        scrub = call.caller.credentials.scrub
        facts = tuple(Fact(one.label, scrub(one.value)) for one in call.plan.facts)
        first, *others = call.plan.steps
        own = first.tool.method == "DELETE" or first.tool.widens in {Widening.CODE, Widening.ACCESS}
        if own and not others and first.before is None:
            shown, deleted = await self.preview(isolate_step(call, first))
            state = _digest([call.plan.digest, shown.state])
            consequence = f"{scrub(call.tool.consequence)} {shown.consequence}"
            organization = await self._read_planned_organization(call)
            title = _write_plan_title(call, await self._read_planned_integration(call, first), organization)
            shown = replace(shown, title=title, consequence=consequence, state=state, verb=call.tool.verb)
            return replace(shown, facts=facts + shown.facts), deleted if first.tool.method == "DELETE" else None
        scrub_json = call.caller.credentials.scrub_json  # before anything is cut
        states: list[Any] = [call.plan.digest]
        integration = await self._read_planned_integration(call, first)
        losses: list[Fact] = [
            *await self._describe_planned_power(call, integration),
            *_describe_planned_removal(call, integration),
        ]
        states.append([[one.label, one.value] for one in losses])
        read: dict[str, Mapping[str, Any] | CallError] = {}
        for step in call.plan.steps:
            reader = find_target(step.tool)
            if reader is None or not reader.path_names <= step.arguments.keys():
                continue  # an earlier call of the plan creates it
            one = isolate_step(call, step)
            path = reader.build_request({name: step.arguments[name] for name in reader.path_names}).path
            if step.before is not None:
                read[path] = step.before
            elif path not in read:
                read[path] = {}
                try:
                    read[path] = await self._targets.try_to_read_target(one, reader)
                except StatusError as error:
                    if error.status != 404 or step is first:
                        raise  # no earlier call of the plan creates it
            target = read[path]
            known = None if isinstance(target, CallError) else target
            states.append(known)
            readable = target if isinstance(target, CallError) else scrub_json(target)
            shown_call = replace(one, arguments=scrub_json(one.arguments))
            changes = describe_changes(shown_call.arguments, scrub_json(known)) if step.tool.configures else ()
            losses += name_losses([*describe_loss(shown_call, readable), *changes], readable, shown_call.arguments)
        if len(losses) > MAX_LISTED:
            hidden = Fact("Losses and changes, not shown", f"{len(losses) - MAX_LISTED:,} of {len(losses):,}")
            losses = [hidden, *losses[:MAX_LISTED]]
        facts += tuple(Fact(scrub(fact.label), scrub(fact.value)) for fact in losses)
        details = _scrub_facts(describe_integration(integration) if integration else (), scrub)
        states.append([[one.label, one.value] for one in details])
        organization = await self._read_planned_organization(call)
        where = (Fact("Organization", scrub(format_name(organization))),) if organization else ()
        return Preview(
            title=_write_plan_title(call, integration, organization),
            consequence=scrub(call.tool.consequence),
            state=_digest(states),
            facts=facts,
            details=where + details,
            verb=call.tool.verb,
            requester=scrub(name_requester(call.context.session)),
            link=find_link(integration),
        ), None

    async def _read_planned_integration(self, call: PlannedCall, step: Step) -> Mapping[str, Any] | None:
        """Return the integration of a call of a plan, or None if it cannot be read."""
        read = await self._targets.read_integration(isolate_step(call, step))
        scrubbed: Mapping[str, Any] | None = call.caller.credentials.scrub_json(read)
        return scrubbed

    async def _read_planned_organization(self, call: PlannedCall) -> Mapping[str, Any] | str | None:
        """Return the organization that a plan is about, or None if it cannot be read."""
        first, named = call.plan.steps[0], call.plan.organization
        target = {"target": {"organization": named}} if named else first.before
        found, _ = await self._targets.read_organization(isolate_step(call, first), target)
        scrubbed: Mapping[str, Any] | str | None = call.caller.credentials.scrub_json(found)
        return scrubbed

    async def _describe_planned_power(self, call: PlannedCall, first: Mapping[str, Any] | None) -> list[Fact]:
        """Return to what the plan gives each integration access, and what the integration may do.

        `first` is the integration of the first call.
        """
        facts: list[Fact] = []
        named: dict[str, Mapping[str, Any] | None] = {}
        first_name = call.plan.steps[0].arguments.get("integrationName")
        chosen: dict[Level, list[str]] = {}
        everywhere: set[Level] = set()
        scrub_json = call.caller.credentials.scrub_json
        for step in call.plan.steps:
            arguments = scrub_json(step.arguments)
            name = arguments.get("integrationName")
            widens = step.tool.widens
            if widens is Widening.SELECTION and not list_widened(arguments, None):
                widens = None
            if widens is None or not isinstance(name, str):
                continue
            one = isolate_step(call, step)
            is_named = name in named
            if not is_named:
                own = step.arguments["integrationName"] == first_name
                named[name] = first if own else await self._read_planned_integration(call, step)
            integration = named[name]
            levels = _list_levels(one, None)
            if widens is Widening.SELECTION:
                everywhere.update(levels)  # an undo also restores a selection that has no effect
            else:
                _check_target(levels, integration)
                for level in levels:
                    chosen.setdefault(level, []).append(str(arguments[PLACE_ARGUMENTS[level]]))
            if is_named:
                continue
            facts.append(Fact("Integration that gets access", clean_foreign(name, 100)))
            if widens is Widening.CODE:
                live = integration or {}
                facts += describe_publication(arguments, live, readable=integration is not None)
            elif widens is Widening.EVENTS:
                facts += describe_events(arguments, integration or {})
            else:
                facts += describe_trust(integration)
        pages = scrub_json(await self._read_places(call, [*chosen.keys(), *everywhere], call.plan.organization))
        for level, page in pages.items():
            if level in everywhere:
                facts.append(_describe_all(level, page))
            else:
                facts.append(describe_places(level, chosen[level], None if page is None else page["items"]))
        return facts


def _write_plan_title(
    call: PlannedCall, integration: Mapping[str, Any] | None, organization: Mapping[str, Any] | str | None
) -> str:
    """Return the title of a plan, with its organization and integration if it names them."""
    first = isolate_step(call, call.plan.steps[0])
    named = replace(first, tool=call.tool, arguments=call.caller.credentials.scrub_json(first.arguments))
    return write_title(named, integration, {}, organization, {})


async def _preview_effect(call: Call, describe: Describe) -> Preview:
    """Return the preview of a call whose handler describes its effect."""
    effect = await describe(call)
    credentials = call.caller.credentials
    shown = replace(call, arguments=credentials.scrub_json(call.arguments))
    facts = [*describe_call(shown), *describe_effect([(label, credentials.scrub(text)) for label, text in effect])]
    return Preview(
        title=credentials.scrub(write_title(shown, None, {}, None, {})),
        consequence=call.tool.consequence,
        state=digest_json([[label, text] for label, text in effect]),
        facts=tuple(Fact(one.label, credentials.scrub(one.value)) for one in facts),
        verb=call.tool.verb,
        requester=credentials.scrub(name_requester(call.context.session)),
    )


def _list_levels(call: Call, target: Mapping[str, Any] | None) -> list[Level]:
    """Return the levels on which a call enables an integration."""
    match call.tool.widens:
        case Widening.ACCESS:
            return [level for level, name in PLACE_ARGUMENTS.items() if name in call.arguments]
        case Widening.SELECTION:
            return list_widened(call.arguments, target)
        case _:
            return []


def _find_integration(
    reader: Endpoint | None,
    target: Mapping[str, Any] | CallError,
    contexts: Mapping[str, Mapping[str, Any] | CallError],
) -> Mapping[str, Any] | CallError | None:
    """Return the integration that a call is about, among what was read."""
    return target if reader is not None and reader.name == _INTEGRATION else contexts.get(_INTEGRATION)


def _describe_consequence(call: Call) -> str:
    tool = call.tool
    text = tool.consequence or f"This call would {tool.title[0].lower()}{tool.title[1:]}."
    replaces = isinstance(tool, Endpoint) and tool.configures is not None and "configuration" in call.arguments
    return f"{text} Its other settings are deleted." if replaces else text


def _check_rights(
    call: Call,
    integration: Mapping[str, Any] | CallError | None,
    organization: Mapping[str, Any] | str | None,
) -> None:
    """Check that the token has the right to make a call, so that nobody is asked in vain.

    Only what was read with the credential that sends the call says what that credential may do.

    Raises:
        StatusError: GitBook says of the integration or of the organization that the token may not do this.
    """
    tool, credentials = call.tool, call.caller.credentials
    target = find_target(tool)
    if not isinstance(tool, Endpoint) or target is None or target.name != _INTEGRATION:
        return
    if tool.widens is Widening.ACCESS:
        reader, act = ENDPOINTS["list_organizations_for_authenticated_user"], "install integrations on"
        right, owner = get_path(organization, "permissions.installIntegration"), organization
    elif tool.method == "DELETE" or tool.widens is not None:
        reader, act = target, "manage the integrations of"
        right, owner = get_path(integration, "permissions.admin"), get_path(integration, "owner")
    else:
        return
    if right is False and credentials.choose(tool) == credentials.choose(reader):
        raise StatusError(
            403,
            f"The token may not {act} {format_name(owner or 'its owner')}, so GitBook would refuse {tool.name}. Nobody "
            "was asked and nothing was sent. Tell the user to ask an administrator of that organization.",
        )


def _check_target(levels: Iterable[Level], integration: Mapping[str, Any] | CallError | None) -> None:
    """Check that an integration can be enabled on these levels, so that nobody is asked in vain.

    Raises:
        ArgumentsError: the integration has another target.
    """
    target = get_path(integration, "target")
    for level in levels if target in ("space", "site", "organization") else ():
        if level != target:
            fits = (
                f"install_integration_on_{target} enables it on a {target}"
                if target in PLACE_ARGUMENTS
                else "install_integration enables it in the whole organization"
            )
            raise ArgumentsError(
                f"{format_name(integration)} cannot be enabled on a {level}, because its target is {target}. Nobody "
                f"was asked and nothing was sent. {fits}."
            )


def _keep_owner(
    response: Mapping[str, Any] | CallError, integration: Mapping[str, Any] | CallError | None
) -> Mapping[str, Any] | CallError:
    """Return a list of installations without those in other organizations than the integration's owner."""
    owner = get_path(integration, "owner.id")
    if isinstance(response, CallError) or "items" not in response or owner is None:
        return response
    return {**response, "items": [one for one in response["items"] if get_path(one, "target.organization") == owner]}


def _describe_power(
    call: Call,
    integration: Mapping[str, Any] | CallError | None,
    target: Mapping[str, Any] | None,
    organization: Mapping[str, Any] | str | None,
    places: Mapping[Level, Mapping[str, Any] | None],
) -> Iterator[Fact]:
    """Yield what a call gives an integration."""
    arguments = call.arguments
    match call.tool.widens:
        case Widening.CODE:
            readable = not isinstance(integration, CallError) and integration is not None
            live = integration if isinstance(integration, Mapping) else {}
            yield from describe_publication(arguments, live, organization, readable=readable)
        case Widening.EVENTS:
            known = integration if isinstance(integration, Mapping) else {}
            yield from describe_events(arguments, known, call.options.duration)
        case Widening.ACCESS if not places:
            yield Fact("Gets access to", f"organization {format_name(organization)}")
        case Widening.ACCESS:
            for level, page in places.items():
                identifier = str(arguments[PLACE_ARGUMENTS[level]])
                yield describe_place(level, identifier, None if page is None else page["items"])
        case Widening.SELECTION:
            for level, page in places.items():
                yield _describe_all(level, page)
    if isinstance(call.tool, Endpoint):
        yield from _describe_body(call.tool, arguments, integration, target)


def _describe_loss(
    call: Call, target: Mapping[str, Any] | CallError, before: Mapping[str, Any] | None
) -> Iterable[Fact]:
    """Return what a call removes, or of an update that changes nothing, that it does not."""
    losses = list(describe_loss(call, target))
    configures = isinstance(call.tool, Endpoint) and call.tool.configures is not None
    if configures and not losses and before is not None and not any(describe_changes(call.arguments, before)):
        return [Fact("Changes", "none: every setting keeps its value")]
    return losses


def _describe_all(level: Level, page: Mapping[str, Any] | None) -> Fact:
    if page is None:
        return describe_all_places(level, None)
    return describe_all_places(level, page["items"], more=page.get("next") is not None)


def _describe_body(
    tool: Endpoint,
    arguments: Mapping[str, Any],
    integration: Mapping[str, Any] | CallError | None,
    target: Mapping[str, Any] | None,
) -> Iterator[Fact]:
    """Yield what a call sends to an integration, and what the integration may do with it."""
    if tool.configures:
        yield from describe_changes(arguments, target)
    if tool.configures or tool.widens is Widening.ACCESS:
        yield from describe_trust(integration if isinstance(integration, Mapping) else None)
    elif tool.risk is Risk.SECRET:
        yield describe_scopes(integration if isinstance(integration, Mapping) else None)
    elif tool.widens is None:
        for name, value in arguments.items():
            if name in tool.body_names and isinstance(value, Mapping):
                yield from describe_payload(name, value)


def _describe_removal(call: Call, integration: Any) -> Iterator[Fact]:
    tool = call.tool
    if isinstance(tool, Endpoint) and tool.method == "DELETE" and tool.name not in _ENDING:
        place = next((level for level in ("space", "site") if f"{level}Id" in call.arguments), None)
        yield from describe_removal(integration if isinstance(integration, Mapping) else {}, place)


def _describe_planned_removal(call: PlannedCall, integration: Mapping[str, Any] | None) -> Iterable[Fact]:
    """Return what readers lose with what a plan removes, each fact once. A plan removes only one integration."""
    removing = [isolate_step(call, step) for step in call.plan.steps if step.tool.method == "DELETE"]
    if removing and integration is None:
        return [Fact("What readers lose", "unknown, because the integration could not be read")]
    return dict.fromkeys(fact for one in removing for fact in _describe_removal(one, integration))


_ENDING = frozenset(one.ended_by for one in ENDPOINTS.values() if one.ended_by)
"""Tools that end a mode, and remove nothing."""


def _scrub_facts(described: Iterable[Fact | str], scrub: Callable[[str], str]) -> tuple[Fact, ...]:
    return tuple(Fact(scrub(one.label), scrub(one.value)) for one in described if isinstance(one, Fact))


def _add_places(target: Mapping[str, Any] | None, lists: Mapping[str, Mapping[str, Any] | CallError]) -> Any:
    """Return a target that is deleted together with the places below it, if all were read: an undo restores them."""
    below = {
        reader.path.rpartition("/")[2]: one["items"]
        for name, one in lists.items()
        if not isinstance(one, CallError) and (reader := ENDPOINTS[name]).is_list and one.get("next") is None
    }
    return {**target, **below} if target is not None and below else target


def _digest(state: Any) -> str:
    """Return a digest of responses without the fields that differ from one response to the next."""

    def prune(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                key: child if key == "configuration" else prune(child)
                for key, child in value.items()
                if key not in _VOLATILE
            }
        return [prune(child) for child in value] if isinstance(value, list) else value

    return digest_json(prune(state))
