"""Previews: the effect of a call that needs confirmation, read from GitBook.

The table of endpoints determines what is read: besides the target, a deletion affects the lists below its path, and an
integration is read for its title. A new endpoint needs no code here. A composite tool that changes something describes
its effect itself.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import anyio

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.endpoint import Endpoint, Risk, Widening
from gitbook_integrations_api.sources import PLACE_ARGUMENTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Describe
from gitbook_integrations_mcp.calls.plan import PlannedCall
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.confirmation.facts import (
    LOSSES,
    describe_call,
    describe_context,
    describe_effect,
    describe_loss,
    describe_losses,
    describe_removal,
    describe_settings,
    describe_target,
    find_link,
    format_name,
    limit_facts,
    name_requester,
    scrub_facts,
    write_title,
)
from gitbook_integrations_mcp.confirmation.plan_preview import PlanPreviewer
from gitbook_integrations_mcp.confirmation.preconditions import check_places, check_rights, check_target
from gitbook_integrations_mcp.confirmation.publication_facts import describe_publication
from gitbook_integrations_mcp.confirmation.setting_facts import describe_changes, describe_payload
from gitbook_integrations_mcp.confirmation.targets import (
    INTEGRATION,
    MismatchError,
    TargetReader,
    creates,
    digest_state,
    find_context,
)
from gitbook_integrations_mcp.confirmation.widening import (
    describe_all_places,
    describe_events,
    describe_place,
    describe_scopes,
    describe_trust,
    list_enabled,
)
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.errors import CallError, StatusError, TargetError
from gitbook_integrations_mcp.store.pending import Fact, Preview

Response = Mapping[str, Any] | CallError
"""An object or list, or why it could not be read."""


@dataclass(frozen=True, slots=True)
class _Responses:
    """The target of a call, and its context by the endpoints that read it."""

    reader: Endpoint | None
    """The endpoint that reads the target, if there is one."""
    target: Response
    context: Mapping[Endpoint, Response]

    @property
    def known(self) -> Mapping[str, Any] | None:
        """The target, or None if it could not be read."""
        return None if isinstance(self.target, CallError) or self.reader is None else self.target

    @property
    def integration(self) -> Response | None:
        """The integration that the call is about."""
        reader = ENDPOINTS[INTEGRATION]
        return self.target if self.reader is reader else self.context.get(reader)

    def scrub(self, scrub_json: Callable[[Any], Any]) -> "_Responses":
        """Return the responses without tokens."""

        def clean(response: Response) -> Any:
            return response if isinstance(response, CallError) else scrub_json(response)

        return replace(
            self, target=clean(self.target), context={reader: clean(one) for reader, one in self.context.items()}
        )


class Previewer:
    """Reads previews with the credentials of the call.

    By tool name, `effects` describe calls of composite tools, and what GitBook does not show of calls of endpoints.
    """

    def __init__(self, targets: TargetReader, effects: Mapping[str, Describe]) -> None:
        self._targets = targets
        self._effects = effects
        self._plans = PlanPreviewer(targets, self._effects, self.preview)

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
            return await self._plans.preview(call)
        describe = self._effects.get(call.tool.name)
        if describe and not isinstance(call.tool, Endpoint):
            return await _preview_effect(call, describe), None
        known_here = tuple(describe_effect(await describe(call))) if describe else ()
        responses = await self._read(call)
        preview = await self._preview_responses(call, responses, known_here)
        return preview, _add_places(responses) if _deletes(call) else responses.known

    async def _read(self, call: Call) -> _Responses:
        """Read the target and the context of a call.

        Raises:
            StatusError: the target does not exist, or GitBook failed.
            TargetError: nothing could be read.
            CallError: GitBook could not be reached, or answered with another object.
        """
        tool = call.tool
        target_reader = find_target(tool)
        target: Response = {}
        if target_reader is not None:
            target = await self._targets.try_to_read_target(call, target_reader)
        readers = [reader for reader in find_context(tool) if reader is not target_reader]
        if target_reader is not None and target == {} and creates(tool, target_reader):
            readers = [reader for reader in readers if not reader.is_list]  # what does not exist yet affects nothing
        context: dict[Endpoint, Response] = {reader: {} for reader in readers}  # in their order

        async def read(reader: Endpoint) -> None:
            try:
                context[reader] = await self._targets.read(call, reader)
            except CallError as error:
                context[reader] = error  # the preview says so

        async with anyio.create_task_group() as group:
            for reader in readers:
                group.start_soon(read, reader)
        for response in context.values():
            if isinstance(response, MismatchError):
                raise response
        if isinstance(target, StatusError) and all(isinstance(one, CallError) for one in context.values()):
            raise TargetError(
                f"{tool.name} needs human confirmation, but nothing of its target could be read, so nobody was asked "
                f"and nothing was sent. {target}"
            )
        return _Responses(target_reader, target, context)

    async def _preview_responses(self, call: Call, responses: _Responses, known_here: tuple[Fact, ...]) -> Preview:
        """Return the preview that the responses give; `known_here` are facts that GitBook does not show."""
        scrub = call.caller.credentials.scrub
        scrub_json = call.caller.credentials.scrub_json  # before anything is cut
        shown, shown_call = responses.scrub(scrub_json), replace(call, arguments=scrub_json(call.arguments))
        organization, organizations = scrub_json(await self._targets.read_organization(call, responses.known))
        check_rights(call, shown.integration, organization)
        levels = list_enabled(call, responses.known)
        check_target(call, levels, shown.integration)
        places = scrub_json(await self._targets.read_places(call, levels, organization))
        check_places(call, places)
        lists = list(_describe_lists(shown_call, shown, organizations))
        power = list(_describe_power(shown_call, shown, organization, places))
        affected = [
            *lists,
            *_describe_loss(shown_call, shown),
            *_describe_losses(shown_call, shown),
            *describe_removal(shown_call, shown.integration),
            *power,
        ]
        details = [
            *describe_call(shown_call),
            *describe_target(shown.reader, shown.target, organization),
            *_describe_objects(shown),
            *(() if call.tool.widens is Widening.CODE else describe_settings(shown_call)),
            *known_here,
        ]
        state = [
            responses.known,
            # A deletion takes what is below its target with it. For other calls, only what is shown of lists counts.
            *(
                None if isinstance(response, CallError) else response
                for reader, response in responses.context.items()
                if _deletes(call) or not reader.is_list
            ),
            *([one.label, one.value] if isinstance(one, Fact) else one for one in [*lists, *power]),
        ]
        return Preview(
            title=scrub(write_title(shown_call, shown.integration, shown.target, organization, places)),
            consequence=scrub(_describe_consequence(call)),
            state=digest_state(state),
            facts=scrub_facts(affected, scrub),
            details=scrub_facts(details, scrub),
            notes=tuple(scrub(one) for one in [*affected, *details] if isinstance(one, str)),
            typed=call.arguments.get("integrationName") if call.tool.irreversible else None,
            verb=call.tool.verb,
            requester=scrub(name_requester(call.context.session)),
            link=find_link(shown.target, shown.integration),
        )


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
        facts=scrub_facts(facts, credentials.scrub),
        verb=call.tool.verb,
        requester=credentials.scrub(name_requester(call.context.session)),
    )


def _deletes(call: Call) -> bool:
    return isinstance(call.tool, Endpoint) and call.tool.method == "DELETE"


def _describe_consequence(call: Call) -> str:
    tool = call.tool
    consequence = call.caller.policy.keep_offered(tool.consequence)
    text = consequence or f"This call would {tool.title[0].lower()}{tool.title[1:]}."
    replaces = isinstance(tool, Endpoint) and tool.configures is not None and "configuration" in call.arguments
    return f"{text} Its other settings are deleted." if replaces else text


def _describe_objects(responses: _Responses) -> Iterator[Fact | str]:
    for reader, response in responses.context.items():
        if not reader.is_list:
            yield from describe_context(reader, response)


def _describe_lists(
    call: Call, responses: _Responses, organizations: Iterable[Mapping[str, Any]]
) -> Iterator[Fact | str]:
    """Yield what is in the lists of the context. Events without `all` are only those of the integration's owner."""
    owner = get_path(responses.integration, "owner")
    titled = [*organizations, *([owner] if isinstance(owner, Mapping) else [])]
    owned_only = call.tool.widens is Widening.EVENTS and not call.arguments.get("all")
    for reader, response in responses.context.items():
        if reader.is_list:
            owned = _keep_owner(response, get_path(owner, "id")) if owned_only else response
            yield from describe_context(reader, owned, titled)


def _keep_owner(installations: Response, owner: Any) -> Response:
    """Return a list of installations without those in other organizations than `owner`."""
    if isinstance(installations, CallError) or owner is None:
        return installations
    items = installations["items"]
    return {**installations, "items": [one for one in items if get_path(one, "target.organization") == owner]}


def _describe_power(
    call: Call,
    responses: _Responses,
    organization: Mapping[str, Any] | str | None,
    places: Mapping[Level, Mapping[str, Any] | None],
) -> Iterator[Fact]:
    """Yield what a call gives an integration."""
    arguments = call.arguments
    integration = responses.integration if isinstance(responses.integration, Mapping) else None
    match call.tool.widens:
        case Widening.CODE:
            readable = integration is not None
            yield from describe_publication(arguments, integration or {}, organization, readable=readable)
        case Widening.EVENTS:
            yield from describe_events(arguments, integration or {}, call.options.duration)
        case Widening.ACCESS if not places:
            yield Fact("Gets access to", f"organization {format_name(organization)}")
        case Widening.ACCESS:
            for level, page in places.items():
                identifier = str(arguments[PLACE_ARGUMENTS[level]])
                yield describe_place(level, identifier, None if page is None else page["items"])
        case Widening.SELECTION:
            for level, page in places.items():
                yield describe_all_places(level, page)
    if isinstance(call.tool, Endpoint):
        yield from _describe_body(call.tool, arguments, integration, responses.known)


def _describe_body(
    tool: Endpoint,
    arguments: Mapping[str, Any],
    integration: Mapping[str, Any] | None,
    target: Mapping[str, Any] | None,
) -> Iterator[Fact]:
    """Yield what a call sends to an integration, and what the integration may do with it."""
    if tool.configures:
        yield from describe_changes(arguments, target)
    if tool.configures or tool.widens is Widening.ACCESS:
        yield from describe_trust(integration)
    elif tool.risk is Risk.SECRET:
        yield describe_scopes(integration)
    elif tool.widens is None:
        for name, value in arguments.items():
            if name in tool.body_names and isinstance(value, Mapping):
                yield from describe_payload(name, value)


def _describe_loss(call: Call, responses: _Responses) -> Iterable[Fact]:
    """Return what a call removes, or of an update that changes nothing, that it does not."""
    before = responses.known
    losses = list(describe_loss(call, _add_places(responses) or responses.target))
    configures = isinstance(call.tool, Endpoint) and call.tool.configures is not None
    if configures and not losses and before is not None and not any(describe_changes(call.arguments, before)):
        return [Fact("Changes", "none: every setting keeps its value")]
    return losses


def _describe_losses(call: Call, responses: _Responses) -> list[Fact]:
    """Return what a call that deletes an integration or installation removes below it."""
    losses: list[Fact] = []
    for reader, response in responses.context.items():
        if _deletes(call) and reader.is_list and not isinstance(response, CallError):
            losses += describe_losses(call, response["items"])
    return limit_facts(losses, LOSSES)


def _add_places(responses: _Responses) -> Mapping[str, Any] | None:
    """Return a target that is deleted together with the places below it, if all were read: an undo restores them."""
    target = responses.known
    below = {
        reader.path.rpartition("/")[2]: one["items"]
        for reader, one in responses.context.items()
        if reader.is_list and not isinstance(one, CallError) and one.get("next") is None
    }
    return {**target, **below} if target is not None and below else target
