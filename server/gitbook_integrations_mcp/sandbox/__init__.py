"""An embedded GitBook: stateful, in memory, without network, with an organization of believable size.

It serves the same table of endpoints as the tools, validates requests by the same models and shares nothing else with
the server: to a client it is GitBook. `application` turns HTTP into calls, `operations` says what each call does to the
`state`, `objects` shows the state as GitBook does, `seed` is what there is at the start.
"""

from gitbook_integrations_mcp.sandbox.application import RATE_LIMIT, Sandbox, create_sandbox
from gitbook_integrations_mcp.sandbox.credentials import INTEGRATION_TOKEN, USER_TOKEN
from gitbook_integrations_mcp.sandbox.serving import serve_sandbox
from gitbook_integrations_mcp.sandbox.templates import ORGANIZATION_ID, OWN_INTEGRATION

__all__ = [
    "INTEGRATION_TOKEN",
    "ORGANIZATION_ID",
    "OWN_INTEGRATION",
    "RATE_LIMIT",
    "USER_TOKEN",
    "Sandbox",
    "create_sandbox",
    "serve_sandbox",
]
