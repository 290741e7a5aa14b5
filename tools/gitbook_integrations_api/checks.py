"""Checks of arguments beyond GitBook's schema, which the server makes before it sends a call.

GitBook accepts values that do not work later, or that do harm. A field of an input is marked with its check.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Check(StrEnum):
    """A check of an argument. The server has one function for each."""

    NAME = "name"
    """A name that GitBook's command line accepts."""
    SCRIPT = "script"
    """One complete, bundled script with a default export: no path, source, HTML, Markdown or import of a module."""
    RUNTIME = "runtime"
    """The runtime that the argument `script` needs. The server sends it if the call leaves it out."""
    SCOPES = "scopes"
    """No scope that only GitBook's own integrations may request."""
    ICON = "icon"
    """A PNG in Base64, as small as GitBook's command line requires for icons."""
    PREVIEW_IMAGES = "preview-images"
    """PNGs in Base64, as small as GitBook's command line requires for preview images."""
    IDS = "ids"
    """Objects of which each has an ID of its own."""
    CONFIGURATIONS = "configurations"
    """Levels that GitBook has, each of which requires only properties that it has."""
    LINKS = "links"
    """Links with absolute URLs."""
    SECRETS = "secrets"
    """Values without references that only GitBook's command line replaces."""
    TUNNEL = "tunnel"
    """A URL that leads to the internet."""
    MOMENT = "moment"
    """A text has one of the forms of `MOMENT`. An object is not checked."""


MOMENT = r"last|\d{1,4}[hdw]|\d{4}-\d{2}-\d{2}"
"""The latest audit, an age, or a date."""


INTERNAL_SCOPES = ("site:script:inject", "site:script:cookies")
"""Scopes that only GitBook's own integrations may request."""

REPLACED_VALUES: Mapping[str, str] = MappingProxyType(
    {
        "space:views": "site:views:read",
        "space:views:read": "site:views:read",
        "space:visitor:auth": "site:visitor:auth",
        "space:script:inject": "site:script:inject",
        "space:script:cookies": "site:script:cookies",
        "space:script:published": "site:script:inject",
        "authenticated-access": "visitor-auth",
    }
)
"""Scopes and categories that GitBook no longer has, with the one that took their place."""
