"""Reads content security policies: whether they limit from where a page may load scripts."""

import re
from collections.abc import Mapping
from typing import Any

_DIRECTIVE = re.compile(
    r"[a-z]+-src(?:-elem|-attr)?|base-uri|block-all-mixed-content|form-action|frame-ancestors|navigate-to|plugin-types"
    r"|referrer|report-to|report-uri|require-sri-for|require-trusted-types-for|sandbox|trusted-types"
    r"|upgrade-insecure-requests"
)
_ANY_HOST = re.compile(r"(?:https?|wss?):|(?:(?:https?|wss?)://)?\*(?:\.[^.:/]+)?(?::(?:\*|[0-9]+))?(?:/.*)?")
"""Sources that allow any host, or all hosts of a top-level domain; ws and wss match http and https, too."""
_TRUSTED = re.compile(r"'(?:(?:nonce|sha256|sha384|sha512)-[a-z0-9+/_-]+={0,2}|strict-dynamic)'")
"""Sources with which browsers ignore 'unsafe-inline'."""
_LIMITS = (
    ("script-src-elem", "script-src", "default-src"),
    ("script-src-attr", "script-src", "default-src"),
    ("script-src", "default-src"),
)
"""The directives that limit script elements, event handlers in attributes, and scripts made of text.

Of each, browsers use the first that the policy has.
"""


def parse_policy(policy: str) -> dict[str, tuple[str, ...]]:
    """Return the sources of each directive, in lower case. Of a repeated directive, browsers use the first.

    Integrations write policies over several lines, with or without a semicolon between two directives. No source has a
    comma in it, but authors write commas between sources.
    """
    directives: dict[str, list[str]] = {}
    for part in policy.lower().split(";"):
        sources: list[str] = []  # what stands before any directive belongs to none
        for token in part.replace(",", " ").split():
            if _DIRECTIVE.fullmatch(token):
                sources = []
                directives.setdefault(token, sources)
            else:
                sources.append(token)
    return {name: tuple(sources) for name, sources in directives.items()}


def _parse_header(policy: str) -> dict[str, tuple[str, ...]]:
    """Return the same as browsers read it: without a semicolon before it, a directive is a source of the last one."""
    directives: dict[str, tuple[str, ...]] = {}
    for part in policy.lower().replace(",", " ").split(";"):
        name, *sources = part.split() or [""]
        directives.setdefault(name, tuple(sources))
    return directives


def join_policy(policy: Mapping[str, Any]) -> str:
    """Return a policy by directive as a header. A semicolon among the sources of one begins no other directive."""
    return "; ".join(f"{directive} {str(sources).replace(';', ' ')}" for directive, sources in policy.items())


def find_weaknesses(policy: str) -> tuple[str, ...]:
    """Return what makes a policy useless against foreign scripts, or nothing if it limits them.

    It must limit them as authors mean it, and as browsers read it.
    """
    weaknesses = [*_find_weaknesses(parse_policy(policy)), *_find_weaknesses(_parse_header(policy))]
    if policy.endswith("…"):
        weaknesses.append("its end was cut")
    return tuple(dict.fromkeys(weaknesses))


def _find_weaknesses(directives: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    weaknesses: list[str] = []
    for names in _LIMITS:
        name = next((name for name in names if name in directives), None)
        if name is None:
            return ("no script-src or default-src",)
        weaknesses += (f"{name} {source}" for source in _find_weak_sources(directives[name]))
    return tuple(weaknesses)


def _find_weak_sources(sources: tuple[str, ...]) -> list[str]:
    weak = [source for source in sources if source == "'unsafe-eval'"]
    if "'strict-dynamic'" not in sources:
        weak += [source for source in sources if _ANY_HOST.fullmatch(source) or source == "data:"]
    if not any(map(_TRUSTED.fullmatch, sources)):
        weak += [source for source in sources if source == "'unsafe-inline'"]
    return weak
