"""The table: every endpoint that is a tool, by toolset, and what of the API's family is deliberately none."""

from types import MappingProxyType

from gitbook_integrations import (
    development,
    installations,
    marketplace,
    organizations,
    publishing,
    sites,
    spaces,
)
from gitbook_integrations.endpoint import Endpoint

TOOLSETS: MappingProxyType[str, tuple[Endpoint, ...]] = MappingProxyType(
    {
        module.__name__.rpartition(".")[2]: module.ENDPOINTS
        for module in (organizations, marketplace, installations, spaces, sites, development, publishing)
    }
)
"""Endpoints by toolset, in the order in which tools are listed: what finds IDs first, what is gravest last."""

ENDPOINTS: MappingProxyType[str, Endpoint] = MappingProxyType(
    {endpoint.name: endpoint for endpoints in TOOLSETS.values() for endpoint in endpoints}
)
"""Endpoints by the name of their tool, in the same order."""

TOOLSET_OF: MappingProxyType[str, str] = MappingProxyType(
    {endpoint.name: toolset for toolset, endpoints in TOOLSETS.items() for endpoint in endpoints}
)
"""Toolset by the name of the tool."""

NOT_EXPOSED: MappingProxyType[str, str] = MappingProxyType(
    {
        "renderIntegrationUIWithGet": "answers the same as renderIntegrationUIWithPost, but carries the whole request, "
        "props and state included, in the URL, where proxies and logs keep it.",
    }
)
"""operationIds of the integrations family without a tool, each with the reason."""
