"""Checks whether a URL leads to the internet, from its text alone: no name is looked up."""

import ipaddress
import re
from urllib.parse import urlsplit

_PRIVATE_NAMES = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa")
"""Domains that exist only on a machine or in a network."""
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_EMBEDDING = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
"""IPv6 networks in which the last 32 bits are an IPv4 address."""
_LOCALLY_TRANSLATED = ipaddress.IPv6Network("64:ff9b:1::/48")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def find_private_host(url: str) -> str | None:
    """Return why the host of an absolute URL is not on the internet, as a predicate, or None."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    try:
        address = _read_address(host)
    except ValueError:
        return "has a host that is neither a name nor an IP address"
    if address is None:
        if "." not in host or any(host == name or host.endswith(f".{name}") for name in _PRIVATE_NAMES):
            return "has a host that exists only on one machine or in one network"
        return None
    return None if _is_public(address) else "has an address that is not on the internet"


def _read_address(host: str) -> Address | None:
    """Return the address that `host` spells in any of the forms that clients read, or None if it is a name.

    Raises:
        ValueError: it can only be an address, but is none.
    """
    if ":" in host:
        return ipaddress.IPv6Address(host)
    parts = host.split(".")
    if not _NUMBER.fullmatch(parts[-1]):
        return None
    if len(parts) > 4:
        raise ValueError(host)
    *bytes_, rest = [_read_number(part) for part in parts]
    if any(byte > 255 for byte in bytes_) or rest >= 256 ** (4 - len(bytes_)):
        raise ValueError(host)
    return ipaddress.IPv4Address(sum(byte << 8 * (3 - index) for index, byte in enumerate(bytes_)) + rest)


def _read_number(text: str) -> int:
    """Return a number in hexadecimal, octal or decimal notation."""
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if len(text) > 1 and text.startswith("0") else 10)


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        teredo = address.teredo
        embedded = (address.ipv4_mapped, address.sixtofour, teredo[1] if teredo else None)
        if address in _LOCALLY_TRANSLATED:
            return False
        if any(address in network for network in _EMBEDDING):
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        for inner in embedded:
            if inner is not None:
                return _is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast
