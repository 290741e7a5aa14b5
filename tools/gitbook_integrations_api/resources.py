"""Resources that clients can attach to a conversation or watch. Each shows the result of a tool that reads."""

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
"""Arguments that a URI can have in its query, if the tool has them."""

_READABLE = frozenset(endpoint.path for endpoint in ENDPOINTS.values() if endpoint.risk is Risk.READ)


@dataclass(frozen=True, kw_only=True, eq=False)
class Resource:
    """The result of a tool that reads, under a URI: the path of the tool's endpoint, or `path` if it has no endpoint.

    `fixed` are arguments with constant values. `shows` are further API paths: a write below one of them changes the
    resource. A `document` is a file in a format of its own, not the tool's result.
    """

    name: str
    title: str
    description: str
    tool: Tool
    path: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    shows: tuple[str, ...] = ()
    document: bool = False

    @cached_property
    def path_template(self) -> str:
        """The URI template without query (RFC 6570). Its variables are arguments of the tool."""
        return f"{SCHEME}:/{self.tool.path if isinstance(self.tool, Endpoint) else self.path}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the variables in the path, in order."""
        return tuple(re.findall(r"{(\w+)}", self.path_template))

    @cached_property
    def uri_template(self) -> str:
        """The URI template with its query."""
        known = {*self.tool.input.model_fields, *name_options(self.tool)} if not self.path else set()
        query = ",".join(name for name in _OPTIONAL if name in known)
        return self.path_template + (f"{{?{query}}}" if query else "")

    def is_touched(self, arguments: Mapping[str, Any], write: Endpoint, written: str) -> bool:
        """Whether a `write` to the path `written` may have changed the resource with these `arguments`.

        A write changes the resource at its path, those below that path, and those that contain it.
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
                description="All installations in an organization, each with its integration, as summaries. "
                "?detail=full shows all fields. If there is a next.page, read on with ?page=.",
                tool=TOOLS["list_organization_installations"],
                shows=("/integrations",),
            ),
            Resource(
                name="integration",
                title="An integration",
                description="All details of one integration: version, scopes, blocks, configuration schema, owner.",
                tool=TOOLS["get_integration_by_name"],
            ),
            Resource(
                name="installation",
                title="An installation",
                description="One installation: status, space and site selection, external IDs, configuration.",
                tool=TOOLS["get_integration_installation_by_id"],
            ),
            Resource(
                name="installation_spaces",
                title="An installation's spaces",
                description="The spaces of one installation. If there is a next.page, read on with ?page=.",
                tool=TOOLS["list_integration_installation_spaces"],
            ),
            Resource(
                name="installation_sites",
                title="An installation's sites",
                description="The sites of one installation. If there is a next.page, read on with ?page=.",
                tool=TOOLS["list_integration_installation_sites"],
            ),
            Resource(
                name="report",
                title="An organization's latest audit",
                description="The full report of the latest audit if it is recent, or of a new audit.",
                tool=TOOLS["audit_installations"],
                path="/orgs/{organizationId}/report",
                fixed={"section": "report"},
            ),
            Resource(
                name="policy",
                title="The operator's policy",
                description="The rules that deny or allow installations, publications and tunnels, in order.",
                tool=TOOLS["check_policy"],
                path="/policy",
            ),
            Resource(
                name="exported_report",
                title="An exported audit report",
                description="A report that export_report has linked: html, markdown, csv, sarif or json.",
                tool=TOOLS["export_report"],
                path="/orgs/{organizationId}/reports/{reportId}/{format}",
                document=True,
            ),
        )
    }
)
"""Resources by name, in the order of resources/templates/list."""
