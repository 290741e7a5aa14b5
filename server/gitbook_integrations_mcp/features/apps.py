"""Pages that hosts show beside a tool's answer (MCP Apps, the extension io.modelcontextprotocol/ui).

A tool names its page (`Tool.view`); clients that know the extension read it as a resource, all others read the tool's
text as ever. A page gets its data from the host, never from here.
"""

from mcp_types import ReadResourceResult, TextResourceContents

from gitbook_integrations_mcp.auth.policy import Policy

EXTENSION = "io.modelcontextprotocol/ui"
MIME_TYPE = "text/html;profile=mcp-app"
"""As in the SDK's `mcp.server.apps`, whose import is too dear for the start of a server; a test compares."""


def list_extensions(policy: Policy) -> dict[str, dict[str, list[str]]]:
    """Return the extension with its settings, where a tool on offer has a page."""
    return {EXTENSION: {"mimeTypes": [MIME_TYPE]}} if any(tool.view for tool in policy.tools.values()) else {}


def read_view(uri: str, policy: Policy) -> ReadResourceResult | None:
    """Return the page at `uri`, or None where no tool on offer has it."""
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
