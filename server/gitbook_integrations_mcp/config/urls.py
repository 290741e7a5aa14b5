"""Checks of hosts and URLs: loopback and encrypted connections."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether a host is reachable only from this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_wildcard(host: str) -> bool:
    """Whether a host stands for all addresses of this machine."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return host == ""


def leads_inward(url: str, source: str) -> bool:
    """Whether `url` leads to this machine although `source`, which names it, is elsewhere."""
    inner, outer = (urlsplit(one).hostname or "" for one in (url, source))
    return is_loopback(inner) and not is_loopback(outer)


def is_private(url: str) -> bool:
    """Whether nobody can read data on its way to an absolute URL: https, or http on loopback."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))
