"""The table: every tool, by toolset, and what of the API's family is deliberately none."""

from types import MappingProxyType

from gitbook_integrations_api.endpoint import Endpoint, Tool
from gitbook_integrations_api.endpoints import (
    audit,
    development,
    installations,
    marketplace,
    organizations,
    publishing,
    sites,
    spaces,
)

TOOLSETS: MappingProxyType[str, tuple[Tool, ...]] = MappingProxyType(
    {
        module.__name__.rpartition(".")[2]: module.TOOLS
        for module in (organizations, marketplace, installations, spaces, sites, audit, development, publishing)
    }
)
"""Tools by toolset, in the order in which tools are listed: what finds IDs first, what is gravest last."""

TOOLS: MappingProxyType[str, Tool] = MappingProxyType(
    {tool.name: tool for tools in TOOLSETS.values() for tool in tools}
)
"""All tools by name, in the same order."""

ENDPOINTS: MappingProxyType[str, Endpoint] = MappingProxyType(
    {name: tool for name, tool in TOOLS.items() if isinstance(tool, Endpoint)}
)
"""Those that are one operation of GitBook's API each."""

TOOLSET_OF: MappingProxyType[str, str] = MappingProxyType(
    {tool.name: toolset for toolset, tools in TOOLSETS.items() for tool in tools}
)
"""Toolset by the name of the tool."""

NOT_EXPOSED: MappingProxyType[str, str] = MappingProxyType(
    {
        "renderIntegrationUIWithGet": "answers the same as renderIntegrationUIWithPost, but carries the whole request, "
        "props and state included, in the URL, where proxies and logs keep it.",
    }
)
"""operationIds of the integrations family without a tool, each with the reason."""
