"""Checks whether a URL leads to the internet, from its text alone: no name is looked up."""

from urllib.parse import urlsplit

from gitbook_integrations_mcp.config.urls import is_public, read_address

_PRIVATE_NAMES = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa")
"""Domains that exist only on a machine or in a network."""


def find_private_host(url: str) -> str | None:
    """Return why the host of an absolute URL is not on the internet, as a predicate, or None."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    try:
        address = read_address(host)
    except ValueError:
        return "has a host that is neither a name nor an IP address"
    if address is None:
        if "." not in host or any(host == name or host.endswith(f".{name}") for name in _PRIVATE_NAMES):
            return "has a host that exists only on one machine or in one network"
        return None
    return None if is_public(address) else "has an address that is not on the internet"
