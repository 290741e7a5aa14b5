"""The GitBook sandbox: a simulation of GitBook's API with sample data, stateful, in memory and without network.

It serves the endpoints of the same table as the tools, and validates requests with the same models. It shares nothing
else with the server, which uses it like GitBook. `application` turns HTTP requests into calls, `operations` lists the
functions that run them on the `state`, `objects` turns the state into GitBook's JSON, and `seed` creates the state.
"""

from gitbook_integrations_mcp.sandbox.application import RATE_LIMIT, Sandbox, create_sandbox
from gitbook_integrations_mcp.sandbox.credentials import INTEGRATION_TOKEN, USER_TOKEN
from gitbook_integrations_mcp.sandbox.serving import describe_environment, serve_in_background, serve_sandbox
from gitbook_integrations_mcp.sandbox.templates import ORGANIZATION_ID, OWN_INTEGRATION

__all__ = [
    "INTEGRATION_TOKEN",
    "ORGANIZATION_ID",
    "OWN_INTEGRATION",
    "RATE_LIMIT",
    "USER_TOKEN",
    "Sandbox",
    "create_sandbox",
    "describe_environment",
    "serve_in_background",
    "serve_sandbox",
]
