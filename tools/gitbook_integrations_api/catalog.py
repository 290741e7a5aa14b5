"""The table of all tools by toolset, and the operations of the API that have no tool."""

from types import MappingProxyType

from gitbook_integrations_api.endpoint import Endpoint, Tool
from gitbook_integrations_api.endpoints import (
    audit,
    changes,
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
        for module in (
            organizations,
            marketplace,
            installations,
            spaces,
            sites,
            audit,
            changes,
            development,
            publishing,
        )
    }
)
"""Tools by toolset, in the order of tools/list: tools that find IDs come first, the most dangerous ones last."""

TOOLS: MappingProxyType[str, Tool] = MappingProxyType(
    {tool.name: tool for tools in TOOLSETS.values() for tool in tools}
)
"""All tools by name, in the same order."""

ENDPOINTS: MappingProxyType[str, Endpoint] = MappingProxyType(
    {name: tool for name, tool in TOOLS.items() if isinstance(tool, Endpoint)}
)
"""The tools that call exactly one operation of GitBook's API."""

TOOLSET_OF: MappingProxyType[str, str] = MappingProxyType(
    {tool.name: toolset for toolset, tools in TOOLSETS.items() for tool in tools}
)
"""Toolset of each tool, by the tool's name."""

NOT_EXPOSED: MappingProxyType[str, str] = MappingProxyType(
    {
        "renderIntegrationUIWithGet": "returns the same as renderIntegrationUIWithPost, but sends the whole request, "
        "including props and state, in the URL, which proxies and servers log.",
    }
)
"""The operations of the integrations API without a tool: the reason by operationId."""
