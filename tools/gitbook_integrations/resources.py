"""What can be attached to a conversation or watched: reads of the table under addresses of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from gitbook_integrations.catalog import ENDPOINTS
from gitbook_integrations.endpoint import Endpoint, Risk

SCHEME = "gitbook-integrations"

_OPTIONAL = ("page", "detail")
"""Arguments that an address may carry as its query, where the endpoint has them."""

_READABLE = frozenset(endpoint.path for endpoint in ENDPOINTS.values() if endpoint.risk is Risk.READ)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What the endpoint behind `tool` answers, at an address that is its path.

    `shows` are paths of the API below which a write changes what it shows, besides its own.
    """

    name: str
    title: str
    description: str
    tool: str
    shows: tuple[str, ...] = ()

    @cached_property
    def endpoint(self) -> Endpoint:
        """The read that it is."""
        return ENDPOINTS[self.tool]

    @cached_property
    def uri_template(self) -> str:
        """The template of its address (RFC 6570), whose variables are the endpoint's arguments."""
        query = ",".join(name for name in _OPTIONAL if name in self.endpoint.input.model_fields)
        return f"{SCHEME}:/{self.endpoint.path}" + (f"{{?{query}}}" if query else "")

    def is_touched(self, arguments: Mapping[str, Any], write: Endpoint, written: str) -> bool:
        """Whether a `write` to the path `written` may have changed what is read with these `arguments`.

        A write changes what can be read at its path; with it, what lies below it and what it lies in.
        """
        if write.risk is Risk.READ or write.path not in _READABLE:
            return False
        paths = (self.endpoint.build_request(arguments).path, *self.shows)
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
                description="What is installed in an organization: each installation with its integration. Where "
                "next.page is given, there is more at ?page=.",
                tool="list_organization_installations",
                shows=("/integrations",),
            ),
            Resource(
                name="integration",
                title="An integration",
                description="Everything about one integration: version, scopes, blocks, configuration schema, owner.",
                tool="get_integration_by_name",
            ),
            Resource(
                name="installation",
                title="An installation",
                description="One installation of an integration: status, selection, external IDs, configuration.",
                tool="get_integration_installation_by_id",
            ),
            Resource(
                name="installation_spaces",
                title="An installation's spaces",
                description="The spaces of one installation. Where next.page is given, there is more at ?page=.",
                tool="list_integration_installation_spaces",
            ),
            Resource(
                name="installation_sites",
                title="An installation's sites",
                description="The sites of one installation. Where next.page is given, there is more at ?page=.",
                tool="list_integration_installation_sites",
            ),
        )
    }
)
"""Resources by name, in the order in which their templates are listed."""
