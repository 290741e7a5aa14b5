"""Previews of plans: the facts of a plan, and the effect of its calls together.

The preview of the only call of a plan is part of the plan's own. Of several calls, the preview has what is lost, what
changes, and what gets access, each fact once.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.endpoint import Endpoint, Widening
from gitbook_integrations_api.sources import PLACE_ARGUMENTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Describe
from gitbook_integrations_mcp.calls.plan import PlannedCall, Step, isolate_step
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.confirmation.facts import (
    clean_foreign,
    describe_effect,
    describe_integration,
    describe_loss,
    describe_removal,
    find_link,
    format_name,
    limit_facts,
    name_losses,
    name_requester,
    scrub_facts,
    write_title,
)
from gitbook_integrations_mcp.confirmation.preconditions import check_target
from gitbook_integrations_mcp.confirmation.publication_facts import describe_publication
from gitbook_integrations_mcp.confirmation.setting_facts import describe_changes
from gitbook_integrations_mcp.confirmation.targets import TargetReader, digest_state
from gitbook_integrations_mcp.confirmation.widening import (
    describe_all_places,
    describe_events,
    describe_places,
    describe_trust,
    list_enabled,
)
from gitbook_integrations_mcp.errors import CallError, StatusError
from gitbook_integrations_mcp.store.pending import Fact, Preview

PreviewCall = Callable[[Call], Awaitable[tuple[Preview, Mapping[str, Any] | None]]]
"""Returns the preview of a call that is no plan, and its target."""


class PlanPreviewer:
    """Reads previews of plans with the credentials of the call."""

    def __init__(self, targets: TargetReader, effects: Mapping[str, Describe], preview_call: PreviewCall) -> None:
        self._targets = targets
        self._effects = effects
        self._preview_call = preview_call

    async def preview(self, call: PlannedCall) -> tuple[Preview, Mapping[str, Any] | None]:
        """Return the preview of a plan: its own facts, and the state of every target that its calls name.

        If one deletion is the whole plan, its target is returned, too.

        Raises:
            StatusError: a target does not exist, the token may not make a call, or GitBook failed.
            TargetError: nothing of the target could be read, so nobody could judge the call.
            AnswerError: GitBook answered with another object than the one that a call names.
            CallError: GitBook could not be reached.
        """
        first, *others = call.plan.steps
        own = first.tool.method == "DELETE" or first.tool.widens in {Widening.CODE, Widening.ACCESS}
        # The preview of another call would show the values that it restores.
        if own and not others and first.before is None:
            return await self._preview_only_call(call, first)
        return await self._preview_calls(call), None

    async def _preview_only_call(self, call: PlannedCall, step: Step) -> tuple[Preview, Mapping[str, Any] | None]:
        """Return the preview of the only call of a plan, with the facts of the plan before its own."""
        scrub = call.caller.credentials.scrub
        preview, target = await self._preview_call(isolate_step(call, step))
        organization = await self._read_organization(call)
        merged = replace(
            preview,
            title=_write_title(call, await self._read_integration(call, step), organization),
            consequence=f"{scrub(call.tool.consequence)} {preview.consequence}",
            state=digest_state([call.plan.digest, preview.state]),
            facts=scrub_facts(call.plan.facts, scrub) + preview.facts,
            verb=call.tool.verb,
        )
        return merged, target if step.tool.method == "DELETE" else None

    async def _preview_calls(self, call: PlannedCall) -> Preview:
        """Return the preview of several calls, or of one that restores values."""
        scrub = call.caller.credentials.scrub
        integration = await self._read_integration(call, call.plan.steps[0])
        power = [*await self._describe_power(call, integration), *_describe_removal(call, integration)]
        known_here = limit_facts(await self._describe_deletions(call), "Effects of removals")
        states, losses = await self._read_targets(call)
        listed = limit_facts(power + losses, "Losses and changes")
        details = scrub_facts(describe_integration(integration) if integration else (), scrub)
        organization = await self._read_organization(call)
        where = (Fact("Organization", scrub(format_name(organization))),) if organization else ()
        shown = [[one.label, one.value] for one in [*power, *details]]
        return Preview(
            title=_write_title(call, integration, organization),
            consequence=scrub(call.caller.policy.keep_offered(call.tool.consequence)),
            state=digest_state([call.plan.digest, states, shown]),
            facts=scrub_facts([*call.plan.facts, *known_here, *listed], scrub),
            details=where + details,
            verb=call.tool.verb,
            requester=scrub(name_requester(call.context.session)),
            link=find_link(integration),
        )

    async def _read_targets(self, call: PlannedCall) -> tuple[list[Mapping[str, Any] | None], list[Fact]]:
        """Return the state of the target of each call, and what the calls remove and change there.

        Raises:
            StatusError: a target does not exist and no earlier call of the plan creates it, or GitBook failed.
            CallError: GitBook could not be reached, or answered with another object.
        """
        scrub_json = call.caller.credentials.scrub_json  # before anything is cut
        states: list[Mapping[str, Any] | None] = []
        losses: list[Fact] = []
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
                    if error.status != 404 or step is call.plan.steps[0]:
                        raise  # no earlier call of the plan creates it
            target = read[path]
            known = None if isinstance(target, CallError) else target
            states.append(known)
            readable = target if isinstance(target, CallError) else scrub_json(target)
            shown_call = replace(one, arguments=scrub_json(one.arguments))
            changes = describe_changes(shown_call.arguments, scrub_json(known)) if step.tool.configures else ()
            losses += name_losses([*describe_loss(shown_call, readable), *changes], readable, shown_call.arguments)
        return states, losses

    async def _describe_power(self, call: PlannedCall, first: Mapping[str, Any] | None) -> list[Fact]:
        """Return to what the plan gives each integration access, and what the integration may do.

        `first` is the integration of the first call.
        """
        facts: list[Fact] = []
        widening = [step for step in call.plan.steps if _widens(call, step)]
        integrations = {call.plan.steps[0].arguments.get("integrationName"): first}
        described = set()
        for step in widening:
            name = step.arguments["integrationName"]
            if name not in integrations:
                integrations[name] = await self._read_integration(call, step)
            integration = integrations[name]
            if step.tool.widens is Widening.ACCESS:
                check_target(call, list_enabled(isolate_step(call, step), None), integration)
            if name not in described:
                described.add(name)
                shown = call.caller.credentials.scrub_json(step.arguments)
                facts.append(Fact("Integration that gets access", clean_foreign(shown["integrationName"], 100)))
                facts += _describe_integration(step.tool, shown, integration)
        return facts + await self._describe_places(call, widening)

    async def _describe_places(self, call: PlannedCall, widening: Iterable[Step]) -> list[Fact]:
        """Return the spaces and sites on which the calls enable an integration."""
        scrub_json = call.caller.credentials.scrub_json
        chosen: dict[Level, list[str]] = {}
        everywhere: list[Level] = []
        for step in widening:
            for level in list_enabled(isolate_step(call, step), None):
                if step.tool.widens is Widening.SELECTION:
                    everywhere.append(level)  # an undo also restores a selection that has no effect
                else:
                    shown = scrub_json(step.arguments)
                    chosen.setdefault(level, []).append(str(shown[PLACE_ARGUMENTS[level]]))
        levels = dict.fromkeys([*chosen, *everywhere])
        pages = scrub_json(await self._targets.read_places(call, levels, call.plan.organization))
        return [
            describe_all_places(level, page)
            if level in everywhere
            else describe_places(level, chosen[level], None if page is None else page["items"])
            for level, page in pages.items()
        ]

    async def _describe_deletions(self, call: PlannedCall) -> list[Fact]:
        """Return what GitBook does not show of the deletions of a plan."""
        deletions = [self._effects.get(one.tool.name) for one in call.plan.steps if one.tool.method == "DELETE"]
        effects = [await describe(call) for describe in dict.fromkeys(deletions) if describe]
        return [fact for effect in effects for fact in describe_effect(effect)]

    async def _read_integration(self, call: PlannedCall, step: Step) -> Mapping[str, Any] | None:
        """Return the integration of a call of a plan, or None if it cannot be read."""
        read = await self._targets.read_integration(isolate_step(call, step))
        scrubbed: Mapping[str, Any] | None = call.caller.credentials.scrub_json(read)
        return scrubbed

    async def _read_organization(self, call: PlannedCall) -> Mapping[str, Any] | str | None:
        """Return the organization that a plan is about, or None if it cannot be read."""
        first, named = call.plan.steps[0], call.plan.organization
        target = {"target": {"organization": named}} if named else first.before
        found, _ = await self._targets.read_organization(isolate_step(call, first), target)
        scrubbed: Mapping[str, Any] | str | None = call.caller.credentials.scrub_json(found)
        return scrubbed


def _write_title(
    call: PlannedCall, integration: Mapping[str, Any] | None, organization: Mapping[str, Any] | str | None
) -> str:
    """Return the title of a plan, with its organization and integration if it names them."""
    first = isolate_step(call, call.plan.steps[0])
    named = replace(first, tool=call.tool, arguments=call.caller.credentials.scrub_json(first.arguments))
    return write_title(named, integration, {}, organization, {})


def _widens(call: PlannedCall, step: Step) -> bool:
    """Whether a call of a plan gives an integration power. A selection does only if it becomes all places."""
    if step.tool.widens is Widening.SELECTION:
        return bool(list_enabled(isolate_step(call, step), None))
    return step.tool.widens is not None


def _describe_integration(
    tool: Endpoint, arguments: Mapping[str, Any], integration: Mapping[str, Any] | None
) -> Iterator[Fact]:
    """Yield what a call of a plan lets an integration do."""
    match tool.widens:
        case Widening.CODE:
            yield from describe_publication(arguments, integration or {}, readable=integration is not None)
        case Widening.EVENTS:
            yield from describe_events(arguments, integration or {})
        case _:
            yield from describe_trust(integration)


def _describe_removal(call: PlannedCall, integration: Mapping[str, Any] | None) -> Iterable[Fact]:
    """Return what readers lose with what a plan removes, each fact once. A plan removes only one integration."""
    removing = [isolate_step(call, step) for step in call.plan.steps if step.tool.method == "DELETE"]
    if removing and integration is None:
        return [Fact("What readers lose", "unknown, because the integration could not be read")]
    return dict.fromkeys(fact for one in removing for fact in describe_removal(one, integration))
