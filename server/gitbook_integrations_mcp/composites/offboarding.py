"""The tool `uninstall_everywhere`: makes the plan that removes an integration from an organization."""

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.plan import Plan, Step
from gitbook_integrations_mcp.calls.response import find_id, get_path
from gitbook_integrations_mcp.confirmation.facts import (
    LOSSES,
    describe_losses,
    format_name,
    limit_facts,
    name_all,
)
from gitbook_integrations_mcp.errors import AnswerError, ArgumentsError
from gitbook_integrations_mcp.pipeline.snapshot import SnapshotReader
from gitbook_integrations_mcp.spelling import suggest_id
from gitbook_integrations_mcp.store.pending import Fact
from gitbook_integrations_mcp.text import clean_text

_UNINSTALL = "uninstall_integration"

_SCRIPTS = "Sites can still load a script of it: audit_installations with section: scripts shows that."


class OffboardingPlanner:
    """Finds all installations of an integration, and reads what an undo restores."""

    def __init__(self, snapshots: SnapshotReader) -> None:
        self._snapshots = snapshots

    async def plan(self, call: Call) -> Plan:
        """Return the calls that uninstall each installation.

        Raises:
            ArgumentsError: it is not installed, but an integration with a similar name is.
            CallError: the installations or their places could not be read completely.
        """
        name, organization = call.arguments["integrationName"], call.arguments["organizationId"]
        where = {"organizationId": organization}
        listed = await self._snapshots.read_list(call, "list_organization_installations", where)
        titles: dict[str, str] = {}
        matching: dict[str, None] = {}
        for item in listed:
            installed = get_path(item, "integration.name")
            if not isinstance(installed, str) or not installed:
                raise AnswerError("GitBook listed an installation without its integration. Nothing was sent.")
            titles[installed] = str(get_path(item, "integration.title") or installed)
            if installed == name:
                matching[find_id(item["installation"])] = None
        absence = f"{clean_text(name, 100)} is not installed in organization {clean_text(organization, 100)}."
        if not matching and (likely := suggest_id(name, titles)):
            raise ArgumentsError(f"integrationName: {absence}{likely} Nothing was sent.")
        steps: list[Step] = []
        facts: list[Fact] = []
        losses: list[Fact] = []
        scrub_json = call.caller.credentials.scrub_json  # before anything is cut
        for identifier in matching:
            arguments = {"integrationName": name, "installationId": identifier}
            before = await self._snapshots.read_target(call, _UNINSTALL, arguments)
            if get_path(before, "target.organization") != organization:
                raise AnswerError("GitBook listed an installation of another organization. Nothing was sent.")
            steps.append(Step(ENDPOINTS[_UNINSTALL], arguments, before=before))
            facts.append(Fact("Installation", ", ".join(format_name(one) for one in scrub_json([name, identifier]))))
            one = call.derive(ENDPOINTS[_UNINSTALL], arguments)
            for level in LEVELS:
                places = scrub_json(before[f"{level}s"])
                named = name_all([place.get(level) for place in places])
                future = "; all, also future ones, are selected" if before.get(f"{level}_selection") == "all" else ""
                facts.append(Fact(f"Affected {level}s", f"{named}{future}"))
                losses += describe_losses(one, places)
        return Plan(
            tuple(steps),
            (*facts, *limit_facts(losses, LOSSES)),
            unchanged=f"Nothing to do: {absence} {_SCRIPTS} Nothing was changed.",
            organization=organization,
        )
