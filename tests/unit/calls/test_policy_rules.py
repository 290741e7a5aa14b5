"""The first rule that matches decides, and whatever is in doubt counts against the call."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbook_integrations_mcp.calls.policy_rules import (
    Case,
    Decision,
    JudgedIntegration,
    JudgedPlace,
    judge,
    list_conditions,
    read_judged,
    read_public,
)
from gitbook_integrations_mcp.config.models import PolicyRule

SLACK = JudgedIntegration(
    name="slack",
    owner="gitbook",
    verified=True,
    visibility="public",
    scopes=("space:content:read", "space:metadata:read"),
    target="space",
    content_security_policy="strict",
)


def make_rule(effect: str = "deny", **conditions: Any) -> PolicyRule:
    return PolicyRule.model_validate({"name": "one", "effect": effect, "reason": "Because.", **conditions})


def decide(case: Case, *rules: PolicyRule) -> Decision:
    return judge([replace_name(rule, number) for number, rule in enumerate(rules)], case)


def replace_name(rule: PolicyRule, number: int) -> PolicyRule:
    return rule.model_copy(update={"name": f"rule-{number}"})


def install(place: JudgedPlace | None = None, **facts: Any) -> Case:
    return Case("install", replace(SLACK, **facts), place)


PUBLIC, PRIVATE, UNKNOWN = (JudgedPlace("space", "s1", public) for public in (True, False, None))
EVERY_SPACE = JudgedPlace("space")
TUNNEL = Case("tunnel", SLACK, tunnel_host="Dev.Tunnel.Example.")


@pytest.mark.parametrize(
    ("case", "conditions", "denies", "allows"),
    [
        (install(), {}, True, True),
        (install(), {"actions": ["install", "publish"]}, True, True),
        (install(), {"actions": ["widen"]}, False, False),
        (install(), {"integrations": ["sl*"]}, True, True),
        (install(), {"integrations": ["figma", "s?ack"]}, True, True),
        (install(), {"integrations": ["lack"]}, False, False),
        (install(name="Slack"), {"integrations": ["slack"]}, True, False),
        (install(), {"integrations": ["SLACK"]}, True, False),
        (install(), {"owners": ["gitbook"]}, True, True),
        (install(), {"owners": ["GitBook"]}, False, False),
        (install(owner=None), {"owners": ["gitbook"]}, True, False),
        (install(), {"verified": True}, True, True),
        (install(), {"verified": False}, False, False),
        (install(verified=None), {"verified": False}, True, False),
        (install(verified=None), {"verified": True}, True, False),
        (install(), {"visibility": ["private", "unlisted"]}, False, False),
        (install(visibility=None), {"visibility": ["private"]}, True, False),
        (install(), {"scopes": ["space:content:read"]}, True, False),
        (install(), {"scopes": ["space:*:read"]}, True, True),
        (install(), {"scopes": ["*:write"]}, False, False),
        (install(scopes=()), {"scopes": ["*"]}, False, True),
        (install(scopes=None), {"scopes": ["*:write"]}, True, False),
        (install(), {"targets": ["space", "all"]}, True, True),
        (install(target=None), {"targets": ["site"]}, True, False),
        (install(), {"content_security_policy": ["missing", "weak"]}, False, False),
        (install(content_security_policy=None), {"content_security_policy": ["weak"]}, True, False),
        (install(), {"places": ["public-spaces"]}, False, False),
        (install(PUBLIC), {"places": ["public-spaces"]}, True, True),
        (install(PUBLIC), {"places": ["non-public-spaces", "public-sites"]}, False, False),
        (install(PRIVATE), {"places": ["non-public-spaces"]}, True, True),
        (install(UNKNOWN), {"places": ["non-public-spaces"]}, True, False),
        (install(UNKNOWN), {"places": ["public-spaces", "non-public-spaces"]}, True, True),
        (install(UNKNOWN), {"places": ["public-sites"]}, False, False),
        (install(UNKNOWN), {"places": ["space:s1", "public-spaces"]}, True, True),
        (install(PUBLIC), {"places": ["space:s2", "site:s1"]}, False, False),
        (install(EVERY_SPACE), {"places": ["public-spaces"]}, True, False),
        (install(EVERY_SPACE), {"places": ["space:s9"]}, True, False),
        (install(EVERY_SPACE), {"places": ["public-spaces", "non-public-spaces"]}, True, True),
        (install(EVERY_SPACE), {"places": ["public-sites", "site:s9"]}, False, False),
        (install(), {"tunnel_hosts": ["*"]}, False, False),
        (TUNNEL, {"tunnel_hosts": ["*.tunnel.example"]}, True, True),
        (TUNNEL, {"tunnel_hosts": ["*.TUNNEL.example"]}, True, True),
        (TUNNEL, {"tunnel_hosts": ["tunnel.example"]}, False, False),
        (install(), {"verified": True, "owners": ["gitbook"]}, True, True),
        (install(), {"verified": True, "owners": ["acme"]}, False, False),
        (install(verified=None), {"verified": True, "owners": ["acme"]}, False, False),
    ],
)
def test_a_rule_matches_if_all_its_conditions_hold(
    case: Case, conditions: dict[str, Any], denies: bool, allows: bool
) -> None:
    assert decide(case, make_rule(**conditions)).is_denied is denies
    assert decide(case, make_rule("allow", **conditions), make_rule()).is_denied is not allows


def test_the_first_rule_that_matches_decides() -> None:
    named, rest = make_rule("allow", integrations=["slack"]), make_rule()
    assert decide(install(), named, rest).effect == "allow"
    assert decide(install(), rest, named).effect == "deny"
    assert decide(install()).rule is None


def test_an_explanation_names_the_rule_its_reason_and_what_is_unknown() -> None:
    text = decide(install(UNKNOWN, owner=None), make_rule(owners=["x"], places=["public-spaces"])).explanation
    for part in ("rule-0", "Because.", "owner", "visibility of the space or site", "unknown"):
        assert part in text
    assert "unknown" not in decide(install(), make_rule()).explanation


def test_only_the_facts_that_rules_about_an_action_need_are_listed() -> None:
    rules = [make_rule(verified=False), make_rule(actions=["tunnel"], tunnel_hosts=["*"])]
    assert list_conditions(rules, "install") == {"verified"}
    assert list_conditions(rules, "tunnel") == {"verified", "tunnel_hosts"}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (None, "missing"),
        (" ", "missing"),
        ({}, "missing"),
        ("script-src *", "weak"),
        ({"script-src": "'self' 'unsafe-eval'"}, "weak"),
        ({"script-src": "https://cdn.example"}, "strict"),
        ("default-src 'none'", "strict"),
    ],
)
def test_a_content_security_policy_is_missing_weak_or_strict(policy: Any, expected: str) -> None:
    assert read_judged("slack", {"contentSecurityPolicy": policy}).content_security_policy == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        *((source, "weak") for source in ("*:*", "*:443", "*/", "*/a.js", "http:", "https:", "wss:", "data:")),
        *((f"https://*{more}", "weak") for more in ("", "/", ":*", ":443", ":443/a.js", ".com", ".com:443/")),
        *((f"{scheme}://*:*", "weak") for scheme in ("HTTP", "wss")),
        *((f"https://cdn.example{more}", "strict") for more in ("", ":*", ":443", "/*", "/")),
        *((source, "strict") for source in ("*.plain.example", "https://*.plain.example:*", "blob:", "'self'")),
    ],
)
def test_a_source_that_allows_any_host_is_weak_with_every_scheme_port_and_path(source: str, expected: str) -> None:
    assert read_judged("slack", {"contentSecurityPolicy": f"script-src {source}"}).content_security_policy == expected


def test_what_gitbook_does_not_say_in_the_expected_shape_is_unknown() -> None:
    assert read_judged("slack", None) == JudgedIntegration("slack")
    odd = {"owner": "gitbook", "verified": "yes", "visibility": None, "scopes": "all", "target": ["space"]}
    assert read_judged("slack", odd) == JudgedIntegration("slack", content_security_policy="missing")


@pytest.mark.parametrize(
    ("visibility", "public"),
    [("public", True), ("private", False), ("visitor-auth", False), ("in-collection", None), (None, None), (7, None)],
)
def test_only_public_is_public(visibility: Any, public: bool | None) -> None:
    assert read_public(visibility) is public


FACTS: dict[str, st.SearchStrategy[Any]] = {
    "owner": st.sampled_from(["acme", "gitbook"]),
    "verified": st.booleans(),
    "visibility": st.sampled_from(["public", "private"]),
    "scopes": st.lists(st.sampled_from(["space:content:read", "space:content:write"]), unique=True).map(tuple),
    "target": st.sampled_from(["space", "site"]),
    "content_security_policy": st.sampled_from(["missing", "weak", "strict"]),
}
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "owners": st.just(["acme"]),
        "verified": st.booleans(),
        "visibility": st.just(["public"]),
        "scopes": st.sampled_from([["*:read"], ["*:write"]]),
        "targets": st.just(["site"]),
        "content_security_policy": st.just(["strict"]),
        "places": st.sampled_from([["public-spaces"], ["non-public-spaces"]]),
    },
)
RULES = st.lists(
    st.builds(lambda effect, more: make_rule(effect, **more), st.sampled_from(["deny", "allow"]), CONDITIONS)
)


@given(RULES, st.fixed_dictionaries(FACTS), st.booleans(), st.sets(st.sampled_from([*FACTS, "public"])))
def test_a_fact_that_becomes_unknown_never_turns_a_denial_into_a_permission(
    rules: list[PolicyRule], facts: dict[str, Any], public: bool, hidden: set[str]
) -> None:
    known = Case("install", JudgedIntegration("slack", **facts), JudgedPlace("space", "s1", public))
    fewer = {name: None if name in hidden else fact for name, fact in facts.items()}
    place = JudgedPlace("space", "s1", None if "public" in hidden else public)
    doubtful = Case("install", JudgedIntegration("slack", **fewer), place)
    if judge(rules, known).is_denied:
        assert judge(rules, doubtful).is_denied
