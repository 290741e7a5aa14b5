"""Evaluates the operator's policy: which rule decides about an installation, a publication or a tunnel. Pure functions.

Enforcement, the tool `check_policy` and the audit use the same function. Every doubt counts against the call:

- A fact that is unknown makes a rule that denies match, and keeps a rule that allows from matching.
- Of several scopes, one is enough for a rule that denies; a rule that allows must name all of them. The same is true of
  a selection of all spaces or sites.
- Rules that deny ignore upper and lower case in the names of integrations; rules that allow do not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Literal

from gitbook_integrations_api.choices import Level
from gitbook_integrations_api.endpoint import PolicyAction
from gitbook_integrations_mcp.calls.content_policies import find_weaknesses, join_policy
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.config.models import PolicyRule

Effect = Literal["deny", "allow"]


@dataclass(frozen=True, slots=True)
class JudgedIntegration:
    """The facts of an integration that rules check. A fact that is unknown is None."""

    name: str
    owner: str | None = None
    verified: bool | None = None
    visibility: str | None = None
    scopes: tuple[str, ...] | None = None
    target: str | None = None
    content_security_policy: Literal["missing", "weak", "strict"] | None = None


@dataclass(frozen=True, slots=True)
class JudgedPlace:
    """A space or site, or all current and future ones if `id` is None. `public` is None if it is unknown."""

    level: Level
    id: str | None = None
    public: bool | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A call or an installation that is judged.

    Without `place`, it concerns no space or site. Only a tunnel has a `tunnel_host`.
    """

    action: PolicyAction
    integration: JudgedIntegration
    place: JudgedPlace | None = None
    tunnel_host: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about a case, and the rule that made it, if one did. `unknown` are facts that counted against it."""

    effect: Effect
    rule: PolicyRule | None = None
    unknown: tuple[str, ...] = ()

    @property
    def is_denied(self) -> bool:
        """Whether the policy denies the case."""
        return self.effect == "deny"

    @property
    def explanation(self) -> str:
        """A sentence about the rule, its reason and what is unknown."""
        if self.rule is None:
            return "No rule of the policy matches, so it is allowed."
        verb = "denies" if self.is_denied else "allows"
        text = f"The policy rule {self.rule.name} {verb} it: {self.rule.reason.rstrip('.')}."
        if self.unknown:
            text += f" These facts are unknown and count against it: {', '.join(self.unknown)}."
        return text


def read_judged(name: str, integration: Mapping[str, Any] | None) -> JudgedIntegration:
    """Return the facts that rules check, of an integration as GitBook shows it. None are known if it was not read."""
    if integration is None:
        return JudgedIntegration(name)
    scopes = integration.get("scopes")
    return JudgedIntegration(
        name=name,
        owner=_read_text(get_path(integration, "owner.id")),
        verified=flag if isinstance(flag := integration.get("verified"), bool) else None,
        visibility=_read_text(integration.get("visibility")),
        scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else None,
        target=_read_text(integration.get("target")),
        content_security_policy=classify_policy(integration.get("contentSecurityPolicy")),
    )


def classify_policy(policy: Any) -> Literal["missing", "weak", "strict"]:
    """Return how well a content security policy, as text or by directive, limits scripts."""
    if isinstance(policy, Mapping):
        policy = join_policy(policy)
    if not isinstance(policy, str) or not policy.strip():
        return "missing"
    return "weak" if find_weaknesses(policy) else "strict"


def read_public(visibility: Any) -> bool | None:
    """Return whether a space or site with this visibility is public, or None if that is unknown."""
    if not isinstance(visibility, str) or visibility == "in-collection":  # that of a collection which is not shown
        return None
    return visibility == "public"


def judge(rules: Sequence[PolicyRule], case: Case) -> Decision:
    """Return the decision of the first rule that matches, or the permission that is the default."""
    for rule in rules:
        if rule.actions is not None and case.action not in rule.actions:
            continue
        results = {name: _CONDITIONS[name](wanted, case, rule.effect) for name, wanted in rule.conditions.items()}
        unknown = tuple(_FACTS.get(name, name) for name, holds in results.items() if holds is None)
        if False not in results.values() and not (unknown and rule.effect == "allow"):
            return Decision(rule.effect, rule, unknown)
    return Decision("allow")


def list_conditions(rules: Iterable[PolicyRule], action: PolicyAction) -> frozenset[str]:
    """Return the names of the conditions in rules about an action, and thereby of the facts that they need."""
    return frozenset(
        name for rule in rules if rule.actions is None or action in rule.actions for name in rule.conditions
    )


# Conditions: each returns whether it holds, or None if that is unknown.


def _matches_any(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _check_name(patterns: Sequence[str], case: Case, effect: Effect) -> bool:
    if effect == "deny":
        return _matches_any(case.integration.name.casefold(), [pattern.casefold() for pattern in patterns])
    return _matches_any(case.integration.name, patterns)


def _check_owner(owners: Sequence[str], case: Case, _: Effect) -> bool | None:
    return _is_among(case.integration.owner, owners)


def _check_verified(wanted: bool, case: Case, _: Effect) -> bool | None:
    verified = case.integration.verified
    return None if verified is None else verified is wanted


def _check_visibility(wanted: Sequence[str], case: Case, _: Effect) -> bool | None:
    return _is_among(case.integration.visibility, wanted)


def _check_scopes(patterns: Sequence[str], case: Case, effect: Effect) -> bool | None:
    if case.integration.scopes is None:
        return None
    matches = [_matches_any(scope, patterns) for scope in case.integration.scopes]
    return any(matches) if effect == "deny" else all(matches)


def _check_target(targets: Sequence[str], case: Case, _: Effect) -> bool | None:
    return _is_among(case.integration.target, targets)


def _check_content_policy(wanted: Sequence[str], case: Case, _: Effect) -> bool | None:
    return _is_among(case.integration.content_security_policy, wanted)


def _check_place(wanted: Sequence[str], case: Case, effect: Effect) -> bool | None:
    place = case.place
    if place is None:
        return False
    public, other = (f"{kind}-{place.level}s" in wanted for kind in ("public", "non-public"))
    if place.id is None:
        named = any(entry.startswith(f"{place.level}:") for entry in wanted)
        return (public or other or named) if effect == "deny" else (public and other)
    if f"{place.level}:{place.id}" in wanted or public is other:
        return f"{place.level}:{place.id}" in wanted or public
    return None if place.public is None else place.public is public


def _check_tunnel(patterns: Sequence[str], case: Case, _: Effect) -> bool:
    return case.tunnel_host is not None and _matches_any(normalize_host(case.tunnel_host), patterns)


def normalize_host(host: str) -> str:
    """Return the host of a URL in the spelling that patterns match."""
    return host.lower().strip("[]").rstrip(".")


def _is_among(fact: str | None, wanted: Sequence[str]) -> bool | None:
    return None if fact is None else fact in wanted


def _read_text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "owners": "owner",
        "targets": "target",
        "content_security_policy": "content security policy",
        "places": "visibility of the space or site",
    }
)
"""Names of the facts that conditions need, where they differ from the key of the condition."""

_CONDITIONS: Mapping[str, Any] = MappingProxyType(
    {
        "integrations": _check_name,
        "owners": _check_owner,
        "verified": _check_verified,
        "visibility": _check_visibility,
        "scopes": _check_scopes,
        "targets": _check_target,
        "content_security_policy": _check_content_policy,
        "places": _check_place,
        "tunnel_hosts": _check_tunnel,
    }
)
"""The check of each condition, by its key in a rule."""
