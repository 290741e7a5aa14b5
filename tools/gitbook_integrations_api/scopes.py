"""The scopes that an integration can have, in words, and those that give it power over an organization."""

from collections.abc import Mapping
from types import MappingProxyType

GIT_SYNC = "space:git:sync"
INJECT_SCRIPT = "site:script:inject"
SIGN_IN = "site:visitor:auth"

SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "space:content:read": "read the content of spaces",
        "space:content:write": "change the content of spaces",
        "space:metadata:read": "read the titles and settings of spaces",
        "space:metadata:write": "change the titles and settings of spaces",
        GIT_SYNC: "replace the content of spaces from a Git repository, and copy it there",
        "page:feedback:read": "read the feedback of readers",
        "site:metadata:read": "read the titles and settings of sites",
        "site:views:read": "see which pages readers open",
        INJECT_SCRIPT: "run scripts in the pages of sites",
        "site:script:cookies": "set cookies on sites",
        SIGN_IN: "sign visitors in, and so decide who reads a site",
        "site:visitor:claims": "read what is known about signed-in visitors",
        "site:adaptive:read": "read the rules that adapt content to visitors",
        "site:adaptive:write": "change the rules that adapt content to visitors",
        "conversations:ingest": "add conversations",
        "openapi:read": "read API descriptions",
        "openapi:write": "change API descriptions",
    }
)
"""By scope, what an integration with it may do: a predicate after "may"."""

VISITOR_POWERS: Mapping[str, str] = MappingProxyType(
    {INJECT_SCRIPT: "runs a script in the pages of sites", SIGN_IN: "decides who may read sites"}
)
"""Scopes that act on the readers of a site, and what an integration with one does."""


def writes(scope: str) -> bool:
    """Whether an integration with this scope changes content, metadata or settings."""
    return scope.endswith(":write") or scope == GIT_SYNC


def is_powerful(scope: str) -> bool:
    """Whether a human decides about an integration with this scope. An unknown scope counts as powerful."""
    return writes(scope) or scope in VISITOR_POWERS or scope == "site:script:cookies" or scope not in SCOPES
