"""The tool `uninstall_everywhere`: makes the plan that removes an integration from an organization."""

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.plan import Plan, Step
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.confirmation.facts import (
    MAX_LISTED,
    describe_integration,
    describe_loss,
    format_name,
    name_all,
    name_losses,
)
from gitbook_integrations_mcp.errors import AnswerError
from gitbook_integrations_mcp.pipeline.snapshot import SnapshotReader
from gitbook_integrations_mcp.spelling import suggest
from gitbook_integrations_mcp.store.pending import Fact
from gitbook_integrations_mcp.text import clean_text

_UNINSTALL = "uninstall_integration"


class OffboardingPlanner:
    """Finds all installations of an integration, and reads what an undo restores."""

    def __init__(self, snapshots: SnapshotReader) -> None:
        self._snapshots = snapshots

    async def plan(self, call: Call) -> Plan:
        """Return the calls that uninstall each installation.

        Raises:
            CallError: the installations or their places could not be read completely.
        """
        name, organization = call.arguments["integrationName"], call.arguments["organizationId"]
        where = {"organizationId": organization}
        listed = await self._snapshots.read_list(call, "list_organization_installations", where)
        names = {str(get_path(one, "integration.name")) for one in listed}
        matching = [one for one in listed if get_path(one, "integration.name") == name]
        found = [get_path(one, "installation.id") for one in matching]
        steps: list[Step] = []
        facts: list[Fact] = []
        losses: list[Fact] = []
        scrub_json = call.caller.credentials.scrub_json  # before anything is cut
        if matching:
            facts += describe_integration(scrub_json(matching[0]["integration"]))
        for identifier in found:
            if not isinstance(identifier, str):
                raise AnswerError("GitBook listed an installation without an ID. Nothing was sent.")
            arguments = {"integrationName": name, "installationId": identifier}
            before = await self._snapshots.read_target(call, _UNINSTALL, arguments)
            steps.append(Step(ENDPOINTS[_UNINSTALL], arguments, before=before))
            facts.append(Fact("Installation", ", ".join(format_name(one) for one in scrub_json([name, identifier]))))
            one = Call(
                tool=ENDPOINTS[_UNINSTALL],
                arguments=arguments,
                caller=call.caller,
                params=call.params,
                context=call.context,
            )
            for level in ("space", "site"):
                places = scrub_json(before[f"{level}s"])
                facts.append(Fact(f"Affected {level}s", name_all([place.get(level) for place in places])))
                losses += [loss for place in places for loss in name_losses(describe_loss(one, place), place)]
        if len(losses) > MAX_LISTED:
            losses[MAX_LISTED:] = [Fact("Further losses on spaces and sites", str(len(losses) - MAX_LISTED))]
        return Plan(
            tuple(steps),
            (*facts, *losses),
            unchanged=f"Nothing to do: {clean_text(name, 100)} is not installed in this organization."
            f"{suggest(name, names)} Nothing was changed.",
            organization=organization,
        )
