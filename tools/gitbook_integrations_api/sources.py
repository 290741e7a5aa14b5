"""Sources of argument values: the tool that lists the values, and their place in its items.

Completion offers these values to people. For models, the descriptions in `parameters` name the same tools.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gitbook_integrations_api.choices import Level


@dataclass(frozen=True, kw_only=True)
class Source:
    """The source of an argument's values.

    `value` is the path to the value in an item that `tool` lists (dots lead into nested objects). `labels` are paths to
    texts by which people recognise the value. Arguments that are already chosen narrow the list: as arguments of `tool`
    with the same name, by `filters` (argument of `tool` → chosen argument), and by `narrows` (chosen argument → path in
    an item).
    """

    tool: str
    value: str
    labels: tuple[str, ...]
    filters: Mapping[str, str] = field(default_factory=dict)
    narrows: Mapping[str, str] = field(default_factory=dict)


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "organizationId": Source(
            tool="list_organizations_for_authenticated_user", value="id", labels=("title", "hostname")
        ),
        "integrationName": Source(tool="list_organization_integrations", value="name", labels=("title",)),
        "installationId": Source(
            tool="list_organization_installations",
            value="installation.id",
            labels=("integration.name", "integration.title"),
            narrows={"integrationName": "integration.name"},
        ),
        "spaceId": Source(tool="list_spaces_in_organization_by_id", value="id", labels=("title",)),
        "siteId": Source(tool="list_sites", value="id", labels=("title",)),
    }
)
"""Sources by argument name."""

INSTALLED = Source(tool="list_organization_installations", value="integration.name", labels=("integration.title",))
"""Names of the integrations that are installed in the organization."""

OWN = Source(
    tool="list_organization_integrations", value="name", labels=("title",), filters={"owner": "organizationId"}
)
"""Names of the integrations that the organization owns."""

PLACE_LISTS: Mapping[Level, str] = {"space": SOURCES["spaceId"].tool, "site": SOURCES["siteId"].tool}
"""The tools that list the spaces and sites of an organization."""

PLACE_ARGUMENTS: Mapping[Level, str] = {"space": "space", "site": "siteId"}
"""The arguments that name a space or site on which an integration is enabled."""
