"""What can be attached to a conversation or watched: reads of the table under addresses of their own."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from gitbook_integrations_api.catalog import ENDPOINTS, TOOLS
from gitbook_integrations_api.endpoint import Endpoint, Risk, Tool
from gitbook_integrations_api.options import name_options

SCHEME = "gitbook-integrations"

_OPTIONAL = ("page", "detail")
"""Arguments that an address may carry as its query, where the tool has them."""

_READABLE = frozenset(endpoint.path for endpoint in ENDPOINTS.values() if endpoint.risk is Risk.READ)


@dataclass(frozen=True, kw_only=True, eq=False)
class Resource:
    """What a tool that reads answers, at an address of its own: the path of its endpoint, or `path` where it has none.

    `fixed` are arguments that are always the same. `shows` are paths of the API below which a write changes what it
    shows, besides its own.
    """

    name: str
    title: str
    description: str
    tool: Tool
    path: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    shows: tuple[str, ...] = ()

    @cached_property
    def path_template(self) -> str:
        """The template of its address without a query, whose variables are arguments of the tool (RFC 6570)."""
        return f"{SCHEME}:/{self.tool.path if isinstance(self.tool, Endpoint) else self.path}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The variables of its path, in order."""
        return tuple(re.findall(r"{(\w+)}", self.path_template))

    @cached_property
    def uri_template(self) -> str:
        """The template of its address with what it may carry as a query."""
        known = {*self.tool.input.model_fields, *name_options(self.tool)} if not self.path else set()
        query = ",".join(name for name in _OPTIONAL if name in known)
        return self.path_template + (f"{{?{query}}}" if query else "")

    def is_touched(self, arguments: Mapping[str, Any], write: Endpoint, written: str) -> bool:
        """Whether a `write` to the path `written` may have changed what is read with these `arguments`.

        A write changes what can be read at its path; with it, what lies below it and what it lies in.
        """
        if not isinstance(self.tool, Endpoint) or write.risk is Risk.READ or write.path not in _READABLE:
            return False
        paths = (self.tool.build_request(arguments).path, *self.shows)
        return any(_lies_in(written, path) or _lies_in(path, written) for path in paths)


def _lies_in(inner: str, outer: str) -> bool:
    return f"{inner}/".startswith(f"{outer}/")


RESOURCES: Mapping[str, Resource] = MappingProxyType(
    {
        resource.name: resource
        for resource in (
            Resource(
                name="inventory",
                title="An organization's inventory",
                description="What is installed in an organization: each installation with its integration, in short; "
                "?detail=full for all of each. Where next.page is given, there is more at ?page=.",
                tool=TOOLS["list_organization_installations"],
                shows=("/integrations",),
            ),
            Resource(
                name="integration",
                title="An integration",
                description="Everything about one integration: version, scopes, blocks, configuration schema, owner.",
                tool=TOOLS["get_integration_by_name"],
            ),
            Resource(
                name="installation",
                title="An installation",
                description="One installation of an integration: status, selection, external IDs, configuration.",
                tool=TOOLS["get_integration_installation_by_id"],
            ),
            Resource(
                name="installation_spaces",
                title="An installation's spaces",
                description="The spaces of one installation. Where next.page is given, there is more at ?page=.",
                tool=TOOLS["list_integration_installation_spaces"],
            ),
            Resource(
                name="installation_sites",
                title="An installation's sites",
                description="The sites of one installation. Where next.page is given, there is more at ?page=.",
                tool=TOOLS["list_integration_installation_sites"],
            ),
            Resource(
                name="report",
                title="An organization's last audit",
                description="The report of the last audit of an organization while fresh, else of one made now.",
                tool=TOOLS["audit_installations"],
                path="/orgs/{organizationId}/report",
                fixed={"section": "report"},
            ),
        )
    }
)
"""Resources by name, in the order in which their templates are listed."""
