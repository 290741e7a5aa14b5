"""The tool `set_installation_places`: makes the plan that brings an installation to exactly these spaces and sites."""

from collections.abc import Mapping
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.sources import PLACE_ARGUMENTS, PLACE_LISTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.plan import Plan, Step
from gitbook_integrations_mcp.calls.response import find_id, get_path
from gitbook_integrations_mcp.confirmation.facts import format_name, name_all
from gitbook_integrations_mcp.errors import AnswerError, ArgumentsError
from gitbook_integrations_mcp.pipeline.snapshot import SnapshotReader
from gitbook_integrations_mcp.spelling import suggest_id
from gitbook_integrations_mcp.store.pending import Fact
from gitbook_integrations_mcp.text import clean_text

_UPDATE = "update_integration_installation"
_MAX_NAMED = 10


class PlacesPlanner:
    """Compares the places of an installation with those that it should have."""

    def __init__(self, snapshots: SnapshotReader) -> None:
        self._snapshots = snapshots

    async def plan(self, call: Call) -> Plan:
        """Return the calls that add and remove places. Places are added first, so that a failure loses nothing.

        Raises:
            ArgumentsError: no level is given, or a place does not exist in the organization.
            CallError: the installation, its places or those of the organization could not be read completely.
        """
        own = {name: call.arguments[name] for name in ("integrationName", "installationId")}
        wanted = {level: call.arguments[f"{level}s"] for level in PLACE_ARGUMENTS if f"{level}s" in call.arguments}
        if not wanted:
            raise ArgumentsError(f"{call.tool.name}: give spaces, sites or both. Nothing was sent.")
        installation = await self._snapshots.read_target(call, _UPDATE, own)
        organization = get_path(installation, "target.organization")
        if not isinstance(organization, str):
            raise AnswerError("GitBook did not say in which organization the installation is. Nothing was sent.")
        scrub_json = call.caller.credentials.scrub_json  # before anything is cut
        facts = [Fact("Installation", ", ".join(format_name(one) for one in scrub_json([*own.values()])))]
        selections = [f"{level}_selection" for level in wanted]
        selected = {name: "selected" for name in selections if installation.get(name) == "all"}
        adding: list[Step] = []
        removing: list[Step] = []
        notes: list[str] = []
        for level, identifiers in wanted.items():
            listed = await self._snapshots.read_list(call, f"list_integration_installation_{level}s", own)
            present = {str(find_id(one.get(level))): one for one in listed}
            places = await self._snapshots.read_places(call, level, organization)
            self._check_places(level, [one for one in identifiers if one not in present], places)
            new = [one for one in dict.fromkeys(identifiers) if one not in present]
            old = [one for one in present if one not in identifiers]
            names = {one: places.get(one) or scrub_json(present[one].get(level)) for one in (*present, *new)}
            enabling, argument = ENDPOINTS[f"install_integration_on_{level}"], PLACE_ARGUMENTS[level]
            adding += [Step(enabling, {**own, argument: one}) for one in new]
            removing += [
                Step(ENDPOINTS[f"uninstall_integration_from_{level}"], {**own, f"{level}Id": one}, before=present[one])
                for one in old
            ]
            if new:
                notes.append(
                    f"The added {level}s have no settings of their own yet. If the integration has settings for "
                    f"{level}s, copy_configuration or update_integration_{level}_installation sets them."
                )
            kept = [names[one] for one in present if one in identifiers]
            facts += [
                Fact(f"{level.capitalize()}s {what}", name_all(which))
                for what, which in (
                    ("added", [names[one] for one in new]),
                    ("removed", [names[one] for one in old]),
                    ("kept", kept),
                )
            ]
        if selected:
            levels = [name.removesuffix("_selection") for name in selected]
            facts.append(Fact("No longer all", " and ".join(f"{level}s" for level in levels)))
        steps = [Step(ENDPOINTS[_UPDATE], {**own, **selected}, before=installation)] if selected else []
        return Plan(
            (*steps, *adding, *removing),
            tuple(facts),
            unchanged="Nothing to do: the installation is on exactly these places. Nothing was changed.",
            organization=organization,
            report={"notes": notes} if notes else {},
        )

    def _check_places(self, level: Level, new: list[str], places: Mapping[str, Any]) -> None:
        """Check that the new places exist.

        Raises:
            ArgumentsError: one of them does not.
        """
        if unknown := [one for one in new if one not in places]:
            titles = {one: str(place.get("title") or one) for one, place in places.items()}
            lines = [f"- {clean_text(one, 60)}.{suggest_id(one, titles)}" for one in unknown[:_MAX_NAMED]]
            everywhere = f" For all, {_UPDATE} has {level}_selection: all." if "all" in unknown else ""
            raise ArgumentsError(
                f"{level}s: the organization has none with these IDs. Nothing was sent. {PLACE_LISTS[level]} returns "
                f"the IDs.{everywhere}\n" + "\n".join(lines)
            )
