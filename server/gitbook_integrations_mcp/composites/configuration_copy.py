"""The tool `copy_configuration`: makes the plan that copies settings from one installation or place to another.

The values go from GitBook to GitBook. The model does not see them, the human sees no credential among them, and a
record has them only encrypted.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_mcp.calls.arguments import join_names
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.masking import MaskingScope, find_secrets
from gitbook_integrations_mcp.calls.plan import Plan, Step
from gitbook_integrations_mcp.calls.secret_detection import list_public_settings
from gitbook_integrations_mcp.confirmation.facts import format_name, name_keys
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.errors import ArgumentsError, ErrorCode, StatusError
from gitbook_integrations_mcp.gitbook.json_body import contains_repaired
from gitbook_integrations_mcp.pipeline.configuration import check_configuration
from gitbook_integrations_mcp.pipeline.plan_run import prepare_step
from gitbook_integrations_mcp.pipeline.snapshot import SnapshotReader
from gitbook_integrations_mcp.store.pending import Fact


class CopyPlanner:
    """Reads both configurations, and merges the chosen settings into the target's."""

    def __init__(self, snapshots: SnapshotReader, targets: TargetReader) -> None:
        self._snapshots = snapshots
        self._targets = targets

    async def plan(self, call: Call) -> Plan:
        """Return the update of the target.

        Raises:
            ArgumentsError: a place is ambiguous, the source lacks a setting, or the target's schema does not allow it.
            CallError: a configuration or the schema could not be read.
        """
        source, target = call.arguments["source"], call.arguments["target"]
        tools = {name: _find_update(name, call.arguments[name]) for name in ("source", "target")}
        read = await self._read(call, "source", tools["source"])
        before = await self._read(call, "target", tools["target"])
        values, current = (one.get("configuration") or {} for one in (read, before))
        keys = list(dict.fromkeys(call.arguments.get("keys", values)))
        _check_keys(keys, values)
        # Whether a credential is the same stays hidden: otherwise, copying a guess would show whether it is right.
        changed = [
            key
            for key in keys
            if key not in current
            or current[key] != values[key]
            or any(_find_hidden(read, values, (key,)))
            or any(_find_hidden(before, current, (key,)))
        ]
        scrub_json = call.caller.credentials.scrub_json  # before anything is cut
        facts = (
            Fact("From", _name_place(scrub_json(source), scrub_json(read))),
            Fact("To", _name_place(scrub_json(target), scrub_json(before))),
            *await self._describe_crossing(call, tools, {"source": read, "target": before}),
            Fact("Settings added", name_keys(scrub_json([key for key in changed if key not in current]))),
            Fact("Settings replaced", name_keys(scrub_json([key for key in changed if key in current]))),
            Fact("Settings kept", name_keys(scrub_json([key for key in current if key not in changed]))),
        )
        reason = "the target already has these settings" if values else "the source has no settings"
        unchanged = f"Nothing to do: {reason}. Nothing was changed."
        if not changed:
            return Plan((), facts, unchanged=unchanged)
        configuration = {**current, **{key: values[key] for key in changed}}
        kept = [key for key in current if key not in changed]
        hidden = {*_find_hidden(read, values, changed), *_find_hidden(before, current, kept)}
        _check_hidden(hidden.difference(_find_hidden(before, configuration, configuration)))
        _check_public(changed, read, target)
        step = Step(ENDPOINTS[tools["target"]], {**target, "configuration": configuration}, before=before)
        await check_configuration(prepare_step(call, step), before, self._targets, kept)
        return Plan((step,), facts)

    async def _describe_crossing(
        self, call: Call, tools: Mapping[str, str], read: Mapping[str, Mapping[str, Any]]
    ) -> list[Fact]:
        """Return the organization that the settings leave, if that of the target is another one.

        Raises:
            MismatchError: GitBook answered with another object.
        """
        if call.arguments["source"]["installationId"] == call.arguments["target"]["installationId"]:
            return []
        calls = {name: call.derive(ENDPOINTS[tool], call.arguments[name]) for name, tool in tools.items()}
        left, entered = [(await self._targets.read_organization(calls[name], read[name]))[0] for name in calls]
        crosses = left is not None and left != entered
        return [Fact("Leaves organization", format_name(call.caller.credentials.scrub_json(left)))] if crosses else []

    async def _read(self, call: Call, name: str, tool: str) -> Mapping[str, Any]:
        """Return what the argument `name` means.

        Raises:
            CallError: it could not be read.
        """
        try:
            return await self._snapshots.read_target(call, tool, call.arguments[name])
        except StatusError as error:
            raise StatusError(error.status, f"{name}: {error}") from None


def _find_update(name: str, place: Mapping[str, Any]) -> str:
    """Return the tool that updates an installation or place.

    Raises:
        ArgumentsError: it is both a space and a site.
    """
    levels = [level for level in LEVELS if f"{level}Id" in place]
    if len(levels) > 1:
        raise ArgumentsError(f"{name} has spaceId and siteId. Give one of them, or none. Nothing was sent.")
    return f"update_integration_{levels[0]}_installation" if levels else "update_integration_installation"


def _check_keys(keys: list[str], values: Mapping[str, Any]) -> None:
    """Check that settings exist in the source and were read exactly.

    Raises:
        ArgumentsError: one does not, or was not.
    """
    if missing := [key for key in keys if key not in values]:
        named = ", ".join(join_names((key,)) for key in missing)
        present = ", ".join(join_names((key,)) for key in values) or "no settings"
        raise ArgumentsError(
            f"keys: the source has no {named}. It has {present}. Nothing was sent.",
            ErrorCode.INVALID_CONFIGURATION,
        )
    if damaged := [key for key in keys if contains_repaired({key: values[key]})]:
        raise ArgumentsError(
            f"keys: {', '.join(join_names((key,)) for key in damaged)} could not be read exactly, so a copy would be "
            "damaged. Nothing was sent.",
            ErrorCode.INVALID_CONFIGURATION,
        )


def _find_hidden(
    place: Mapping[str, Any], configuration: Mapping[str, Any], keys: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Yield the credentials in these settings of a configuration, each as the key of a setting and the path in it."""
    scope = MaskingScope.OPEN.enter("configuration", {**place, "configuration": configuration})
    for key in keys:
        for path in find_secrets(configuration[key], scope=scope.enter(key, configuration)):
            yield key, path


def _check_hidden(shown: Collection[tuple[str, str]]) -> None:
    """Check that no credential is shown after the copy, because the name beside it is no longer there.

    Raises:
        ArgumentsError: one of `shown` is.
    """
    if shown:
        named = ", ".join(sorted({join_names((key,)) for key, _ in shown}))
        raise ArgumentsError(
            f"keys: {named} contains a credential that only the name beside it identifies. Without this name, results "
            "would show the credential. Nothing was sent. Copy both or neither.",
            ErrorCode.INVALID_CONFIGURATION,
        )


def _check_public(keys: Iterable[str], source: Mapping[str, Any], target: Mapping[str, Any]) -> None:
    """Check that no credential becomes a setting that every reader of a site can see.

    Raises:
        ArgumentsError: one would.
    """
    public = list_public_settings(target["integrationName"]) if "siteId" in target else ()
    chosen = [key for key in keys if key in public]
    for key, _ in _find_hidden(source, source["configuration"] if chosen else {}, chosen):
        raise ArgumentsError(
            f"keys: {join_names((key,))} is a credential in the source. In the target it is public, because the "
            "script in the site's pages contains it. Nothing was sent.",
            ErrorCode.INVALID_CONFIGURATION,
        )


def _name_place(arguments: Mapping[str, Any], read: Mapping[str, Any]) -> str:
    """Return an installation, and the space or site on which it is, by ID and title."""
    named = [format_name(arguments["integrationName"]), f"installation {format_name(arguments['installationId'])}"]
    named += [f"{level} {format_name(read[level])}" for level in LEVELS if level in read]
    return ", ".join(named)
