"""Where values of arguments come from: which tool lists them, and where in its items they are.

People choose them from what GitBook has (completion); the descriptions in `parameters` tell a model the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Source:
    """Lists the values of an argument.

    `value` leads to the value within an item of what `tool` lists (dots lead into nested objects), `labels` to the
    words by which people know it. Arguments that are chosen already narrow the list: where the tool has no argument of
    that name, by `filters` (argument of the tool → chosen argument) and `narrows` (chosen argument → place in an item).
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
"""Sources by the name of the argument."""

INSTALLED = Source(tool="list_organization_installations", value="integration.name", labels=("integration.title",))
"""Names of the integrations that are installed in an organization."""

OWN = Source(
    tool="list_organization_integrations", value="name", labels=("title",), filters={"owner": "organizationId"}
)
"""Names of the integrations that an organization owns."""
