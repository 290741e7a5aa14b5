"""Checks of hosts and URLs: loopback, addresses on the internet, and encrypted connections."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

_INNER_DOMAINS = (".internal", ".local", ".localhost")
"""Domains that the internet never has."""
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_EMBEDDING = tuple(map(IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
"""IPv6 networks in which the last 32 bits are an IPv4 address."""
_LOCALLY_TRANSLATED = IPv6Network("64:ff9b:1::/48")

Address = IPv4Address | IPv6Address


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


def needs_encryption(url: str) -> bool:
    """Whether an absolute URL is http although its host can be on the internet. No name is looked up."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return False
    host = (parts.hostname or "").removesuffix(".")
    try:
        address = read_address(host)
    except ValueError:
        return True
    if address is not None:
        return is_public(address)
    # Some other characters stand for dots in a name.
    return not (host.isascii() and ("." not in host or host.endswith(_INNER_DOMAINS)))


def read_address(host: str) -> Address | None:
    """Return the address that `host` spells in any of the forms that clients read, or None if it is a name.

    Raises:
        ValueError: it can only be an address, but is none.
    """
    if ":" in host:
        return IPv6Address(host)
    parts = host.split(".")
    if not _NUMBER.fullmatch(parts[-1]):
        return None
    if len(parts) > 4:
        raise ValueError(host)
    *bytes_, rest = [_read_number(part) for part in parts]
    if any(byte > 255 for byte in bytes_) or rest >= 256 ** (4 - len(bytes_)):
        raise ValueError(host)
    return IPv4Address(sum(byte << 8 * (3 - index) for index, byte in enumerate(bytes_)) + rest)


def _read_number(text: str) -> int:
    """Return a number in hexadecimal, octal or decimal notation."""
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if len(text) > 1 and text.startswith("0") else 10)


def is_public(address: Address) -> bool:
    """Whether an address, or the IPv4 address that it embeds, is on the internet."""
    if isinstance(address, IPv6Address):
        teredo = address.teredo
        embedded = (address.ipv4_mapped, address.sixtofour, teredo[1] if teredo else None)
        if address in _LOCALLY_TRANSLATED:
            return False
        if any(address in network for network in _EMBEDDING):
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        for inner in embedded:
            if inner is not None:
                return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast
