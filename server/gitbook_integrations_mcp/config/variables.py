"""Names of environment variables: this program's own, and those of GitBook's command line."""

from collections.abc import Mapping

PREFIX = "GITBOOK_MCP_"

CLI_VARIABLES: Mapping[str, tuple[str, str]] = {
    "GITBOOK_TOKEN": ("gitbook", "token"),
    "GITBOOK_INTEGRATION_TOKEN": ("gitbook", "integration_token"),
    "GITBOOK_ENDPOINT": ("gitbook", "endpoint"),
    "GITBOOK_OAUTH_ENDPOINT": ("gitbook", "oauth_endpoint"),
    "GITBOOK_ORGANIZATION": ("gitbook", "organization"),
}
"""Variables without the prefix, with their settings: the names in GitBook's own CLI, and more in their style."""


def is_own_variable(name: str) -> bool:
    """Whether an environment variable belongs to this program, or to GitBook's command line."""
    return name.upper().startswith((PREFIX, *CLI_VARIABLES))
