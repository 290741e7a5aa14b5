"""Which calls undo a call, as its endpoint declares it, with the values that they need. Pure functions."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_api.endpoint import UndoStep
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.response import find_id, get_path, read_list
from gitbook_integrations_mcp.gitbook.json_body import contains_repaired
from gitbook_integrations_mcp.text import clean_text

SETTINGS: Mapping[str, type] = {
    "configuration": dict,
    "externalIds": list,
    "space_selection": str,
    "site_selection": str,
}
"""Parts of an installation that a change replaces and an undo restores, with the types of their values."""

_MAX_NAMED = 10

GONE: Mapping[str, Any] = {"exists": False}
"""The state of a target that does not exist."""


def list_undo(
    call: EndpointCall, before: Mapping[str, Any] | None, result: Any
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the calls that undo a call, in order, and sentences about what they do not restore.

    There are none if nothing undoes it, or if a value that they need is unknown. `before` is the target before the
    call, and `result` GitBook's response.
    """
    undo = call.tool.undo
    steps: list[dict[str, Any]] = []
    lost = dict.fromkeys([undo.lost] if undo and undo.lost else [])
    sources = {"arguments": call.arguments, "before": before, "result": result}
    for step in undo.steps if undo else ():
        places = [None] if step.each is None else get_path(before, step.each)
        if not isinstance(places, list):
            lost[f"The {step.each} are not restored, because not all of them could be read before the change."] = None
            continue
        for place in places:
            arguments, unknown = _fill_arguments(call, step, {**sources, "each": place})
            created = {name: source.removeprefix("created.") for name, source in step.arguments if _is_created(source)}
            endpoint = ENDPOINTS[step.tool]
            required = {name for name, info in endpoint.input.model_fields.items() if info.is_required()}
            if required - arguments.keys() - created.keys():
                return [], []
            lost |= {
                f"{name} is not restored by {step.tool}, because its value before the change could not be read "
                "exactly.": None
                for name in unknown
            }
            if endpoint.method != "PATCH" or endpoint.body_names & arguments.keys():
                steps.append({"tool": step.tool, "arguments": arguments, "created": created})
    return steps, [*lost, *_list_kept(call, before, result), *_describe_paused(call, before)] if steps else []


def omit_values(steps: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return recorded steps without the values that the store does not keep, and a sentence for each of these."""
    rest: list[dict[str, Any]] = []
    omitted: dict[str, None] = {}
    for one in steps:
        endpoint, masked = ENDPOINTS[one["tool"]], one.get("masked", ())
        omitted |= {
            f"{name} is not restored by {endpoint.name}, because the store does not keep its values "
            "(store.keep_values, store.keys).": None
            for name in masked
        }
        arguments = {name: value for name, value in one["arguments"].items() if name not in masked}
        if endpoint.method != "PATCH" or endpoint.body_names & arguments.keys():
            rest.append({**one, "arguments": arguments})
    return rest, [*omitted]


def _list_kept(call: EndpointCall, before: Mapping[str, Any] | None, result: Any) -> Iterator[str]:
    """Yield a sentence for each effect of an update that stays when its settings are restored."""
    if call.tool.method != "PATCH" or before is None:
        return
    for level in LEVELS:
        name = f"{level}_selection"
        if call.arguments.get(name) == "all" and before.get(name) not in {"all", None}:
            yield (
                f"The integration stays on the {level}s that the selection all added, except those that a call of the "
                "undo removes. set_installation_places removes them."
            )
    old, new = before.get("status"), get_path(result, "status")
    if old and new and old != new:
        access = " While it is active, it can use its scopes; to end that, uninstall it." if new == "active" else ""
        yield f"Its status changed from {old} to {new}. Only GitBook sets the status.{access}"


def _describe_paused(call: EndpointCall, before: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a sentence if what a deletion removes is paused: what is installed again is not."""
    if call.tool.method != "DELETE" or before is None:
        return
    places = [*read_list(before.get("spaces")), *read_list(before.get("sites"))]
    items = [before, *(one for one in places if isinstance(one, Mapping))]
    paused = [_name_place(item) for item in items if item.get("status") == "paused"]
    if paused:
        more = f" and {len(paused) - _MAX_NAMED} more" if len(paused) > _MAX_NAMED else ""
        named = f"{', '.join(paused[:_MAX_NAMED])}{more}"
        yield f"It was paused: {named}. The undo can make it active. Only GitBook can pause it."


def _name_place(item: Mapping[str, Any]) -> str:
    """Return the kind and the ID of a space or site, or of the installation that has them."""
    level = next((level for level in LEVELS if level in item), "installation")
    return clean_text(f"{level} {find_id(item.get(level, item))}", 60)


def describe_state(target: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a change leaves behind of a target, to compare it with later."""
    return {"exists": True, **{name: target[name] for name in SETTINGS if target.get(name) is not None}}


def compare_states(left: Mapping[str, Any], current: Mapping[str, Any]) -> str | None:
    """Return a sentence about how the settings of a target differ from those that a change left behind, or None."""
    names = [name for name in SETTINGS if name in left and current.get(name) != left[name]]
    return f"{', '.join(names)}: not as the change left it." if names else None


def _fill_arguments(call: EndpointCall, step: UndoStep, sources: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the known arguments of a step, and the names of the values that cannot be restored."""
    arguments: dict[str, Any] = {}
    unknown: list[str] = []
    reverts = call.tool.name == step.tool  # an update by an update; other calls create what they change
    for name, source in step.arguments:
        if _is_created(source) or (reverts and source.startswith("before.") and name not in call.arguments):
            continue
        value = _find_value(sources, source)
        if contains_repaired(value) or not isinstance(value, SETTINGS.get(name, object)):
            unknown.append(name)
        elif value or reverts:  # what is created anew is empty
            arguments[name] = value
    return arguments, unknown


def _is_created(source: str) -> bool:
    return source.startswith("created.")


def _find_value(sources: Mapping[str, Any], path: str) -> Any:
    value = get_path(sources, path)
    return find_id(value) if path.startswith("each.") and path != "each.configuration" else value
