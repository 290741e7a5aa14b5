"""Reads content security policies: whether they limit from where a page may load scripts."""

import re

_DIRECTIVE = re.compile(
    r"[a-z]+-src(?:-elem|-attr)?|base-uri|block-all-mixed-content|form-action|frame-ancestors|navigate-to|plugin-types"
    r"|referrer|report-to|report-uri|require-sri-for|require-trusted-types-for|sandbox|trusted-types"
    r"|upgrade-insecure-requests"
)
_ANY_HOST = re.compile(r"(?:https?|wss?):|(?:(?:https?|wss?)://)?\*(?:\.[^.:/]+)?(?::(?:\*|[0-9]+))?(?:/.*)?")
"""Sources that allow any host, or all hosts of a top-level domain; ws and wss match http and https, too."""
_TRUSTED = re.compile(r"'(?:nonce-|sha(?:256|384|512)-|strict-dynamic')")
"""Sources with which browsers ignore 'unsafe-inline'."""


def parse_policy(policy: str) -> dict[str, tuple[str, ...]]:
    """Return the sources of each directive, in lower case. Of a repeated directive, browsers use the first.

    Integrations write policies over several lines, with or without a semicolon between two directives.
    """
    directives: dict[str, list[str]] = {}
    for part in policy.lower().split(";"):
        sources: list[str] = []  # what stands before any directive belongs to none
        for token in part.split():
            if _DIRECTIVE.fullmatch(token):
                sources = []
                directives.setdefault(token, sources)
            else:
                sources.append(token)
    return {name: tuple(sources) for name, sources in directives.items()}


def find_weaknesses(policy: str) -> tuple[str, ...]:
    """Return what makes a policy useless against foreign scripts, or nothing if it limits them."""
    directives = parse_policy(policy)
    names: list[str] = [name for name in ("script-src", "script-src-elem") if name in directives]
    names = names or [name for name in ("default-src",) if name in directives]
    if not names:
        return ("no script-src or default-src",)
    return tuple(f"{name} {source}" for name in names for source in _find_weak_sources(directives[name]))


def _find_weak_sources(sources: tuple[str, ...]) -> list[str]:
    weak = [source for source in sources if source == "'unsafe-eval'"]
    if "'strict-dynamic'" not in sources:
        weak += [source for source in sources if _ANY_HOST.fullmatch(source) or source == "data:"]
    if not any(map(_TRUSTED.match, sources)):
        weak += [source for source in sources if source == "'unsafe-inline'"]
    return weak
