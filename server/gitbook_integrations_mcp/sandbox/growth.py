"""Names and kinds for what a bigger organization has beyond the hand-made one, in unlimited supply."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from gitbook_integrations_mcp.sandbox.state import Integration, Level, Setup, Status, identify
from gitbook_integrations_mcp.sandbox.templates import Published

Option = TypeVar("Option")

WORDS = (
    "Acorn Beacon Cobalt Drift Ember Falcon Granite Hazel Indigo Juniper Krill Lattice Marble Nimbus Onyx Pebble "
    "Quartz Raven Saffron Tundra Umber Vertex Willow"
)

KINDS: tuple[tuple[str, str, str, list[str]], ...] = (
    # noun, category, target, scopes
    ("Metrics", "analytics", "site", ["site:script:inject", "site:script:cookies"]),
    ("Tasks", "collaboration", "space", ["space:content:read", "space:metadata:read"]),
    ("Diagrams", "content", "space", []),
    ("Chat", "marketing", "site", ["site:script:inject", "site:metadata:read"]),
    ("Translate", "content", "all", ["space:content:read", "space:content:write"]),
    ("Feedback", "marketing", "all", ["page:feedback:read", "site:views:read"]),
    ("Sign-In", "visitor-auth", "site", ["site:visitor:auth"]),
    ("Exporter", "other", "organization", ["openapi:read"]),
)

TOPICS = (
    "Guide Reference Tutorials Changelog FAQ Recipes Troubleshooting Glossary Concepts Migration Benchmarks Internals "
    "Policies Runbook Onboarding Roadmap Research Training Archive"
)

OWNERS = ("gitbook", "lumen-analytics", "chatterbox", "heatlens", "harbor-id", "aurora-robotics")


def pick(options: Sequence[Option], *parts: object) -> Option:
    """Return one of `options`: arbitrary, but the same for the same `parts`."""
    return options[int.from_bytes(identify(*parts).encode()) % len(options)]


def weigh(*parts: object) -> float:
    """Return a number from 0 to 1: arbitrary, but the same for the same `parts`."""
    return pick(range(1_000_003), *parts) / 1_000_003


def _join(first: Sequence[str], second: Sequence[str]) -> Iterator[str]:
    """Yield all pairs of words whose numbers have no common divisor, then all of them with a 2, a 3 …"""
    number = 0
    while True:
        lap = number // (len(first) * len(second))
        name = f"{first[number % len(first)]} {second[number % len(second)]}"
        yield f"{name} {lap + 1}" if lap else name
        number += 1


def invent_integrations() -> Iterator[Published]:
    kinds = {noun: rest for noun, *rest in KINDS}
    for title in _join(WORDS.split(), list(kinds)):
        noun = title.split()[1]
        category, target, scopes = kinds[noun]
        owner = pick(OWNERS, "owner", title)
        is_own = owner == "aurora-robotics"
        manifest: dict[str, Any] = {
            "title": title,
            "description": f"{noun} for documentation, by the people behind {title.split()[0]}.",
            "visibility": "private" if is_own else pick(("public", "public", "public", "unlisted"), "visible", title),
            "target": target,
            "scopes": scopes,
            "categories": [category],
        }
        if noun in {"Metrics", "Chat"} and weigh("policy", title) < 0.5:
            manifest["contentSecurityPolicy"] = f"script-src https://cdn.{title.split()[0].lower()}.example"
        if noun == "Diagrams":
            manifest["blocks"] = [{"id": "diagram", "title": title}]
        if noun in {"Tasks", "Chat", "Translate"}:
            key = {"type": "string", "title": "API key"}
            manifest["configurations"] = {"account": {"properties": {"api_key": key}, "required": ["api_key"]}}
        name = title.lower().replace(" ", "-")
        yield Published(name, owner, pick(range(1, 40), "version", name), weigh("verified", name) < 0.6, manifest)


def invent_spaces() -> Iterator[tuple[str, str, str]]:
    """Yield title, emoji and visibility."""
    for title in _join(WORDS.split(), TOPICS.split()):
        yield title, pick("📗📙📕🧪🧰🗂", "emoji", title), pick(("public", "private", "visitor-auth"), "space", title)


def invent_sites(spaces: int) -> Iterator[tuple[str, str, str, bool, str, tuple[int, ...]]]:
    """Yield title, type, visibility, whether it is published, host name, and which of the spaces are its own."""
    for title in _join(WORDS.split(), ("Docs", "Developers", "Help", "Academy")):
        hostname = f"{title.lower().replace(' ', '-')}.aurora-robotics.example"
        kind = pick(("basic", "premium", "ultimate"), "type", title)
        visibility = pick(("public", "public", "unlisted", "visitor-auth"), "site", title)
        chosen = {pick(range(spaces), "content", title, number) for number in range(3)} if spaces else set()
        yield title, kind, visibility, weigh("published", title) < 0.9, hostname, tuple(sorted(chosen))


def invent_setup(integration: Integration, level: Level | None, *parts: object) -> Setup:
    """Return a setup in an arbitrary state: configured with obviously fake values, unless it is pending."""
    statuses: tuple[Status, ...] = ("active",) * 10 + ("paused", "pending")
    status = pick(statuses, "status", integration.name, *parts)
    schema = integration.manifest.get("configurations", {}).get(level or "account", {})
    names = schema.get("required", []) if status != "pending" else []
    return Setup(
        status=status,
        configuration={name: f"sandbox-FAKE-{identify(name, integration.name, *parts, length=8)}" for name in names},
        external_ids=[f"ext-{identify(integration.name, *parts, length=8)}"] if weigh(*parts, status) < 0.3 else [],
    )
