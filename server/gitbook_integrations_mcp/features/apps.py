"""Pages that hosts show with a tool's result (MCP Apps, the extension io.modelcontextprotocol/ui).

A tool names its page (`Tool.view`). Clients with the extension read the page as a resource; others show the tool's
text. The host passes the data to the page; this server never does.
"""

from mcp_types import ReadResourceResult, TextResourceContents

from gitbook_integrations_mcp.auth.policy import Policy

EXTENSION = "io.modelcontextprotocol/ui"
MIME_TYPE = "text/html;profile=mcp-app"
"""The same as in the SDK's `mcp.server.apps`, which is slow to import; a test compares them."""


def list_extensions(policy: Policy) -> dict[str, dict[str, list[str]]]:
    """Return the extension with its settings, if any offered tool has a page."""
    return {EXTENSION: {"mimeTypes": [MIME_TYPE]}} if any(tool.view for tool in policy.tools.values()) else {}


def read_view(uri: str, policy: Policy) -> ReadResourceResult | None:
    """Return the page at `uri`, or None if no offered tool has it."""
    if not any(tool.view == uri for tool in policy.tools.values()):
        return None
    from gitbook_integrations_mcp.audit.render.html import render_app

    page = TextResourceContents(
        uri=uri,
        mime_type=MIME_TYPE,
        text=render_app(),
        _meta={"ui": {"csp": {"connectDomains": [], "resourceDomains": []}, "prefersBorder": False}},
    )
    return ReadResourceResult(contents=[page])
