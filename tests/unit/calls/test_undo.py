"""Which calls undo a call: what they restore, and what they say about the rest."""

from typing import Any

import pytest
from pydantic import SecretStr

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.undo import GONE, compare_states, describe_state, list_undo
from gitbook_integrations_mcp.gitbook.json_body import read_json

WHERE = {"integrationName": "acme", "installationId": "i"}
BEFORE = {
    "configuration": {"a": 1},
    "externalIds": [],
    "space_selection": "all",
    "site_selection": "selected",
    "target": {"organization": "o"},
}
UNDOABLE = [one for one in ENDPOINTS.values() if one.undo is not None]


def build(tool: str, **arguments: Any) -> EndpointCall:
    """Return a call."""
    endpoint = ENDPOINTS[tool]
    given: Any = {"caller": None, "params": None, "context": None, "token": SecretStr("")}
    arguments = {**WHERE, **arguments}
    return EndpointCall(tool=endpoint, arguments=arguments, request=endpoint.build_request(arguments), **given)


def test_an_update_is_undone_only_where_it_changed_something() -> None:
    call = build("update_integration_installation", externalIds=["new"], space_selection="selected")
    [step], lost = list_undo(call, BEFORE, None)
    assert step["arguments"] == {**WHERE, "externalIds": [], "space_selection": "all"}
    assert lost == []


ACTIVE = "While it is active, it can use its scopes; to end that, uninstall it."


@pytest.mark.parametrize(
    ("arguments", "before", "result", "kept"),
    [
        (
            {"site_selection": "all"},
            BEFORE,
            None,
            ["The integration stays on the sites that the selection all added. "],
        ),
        ({"space_selection": "all"}, BEFORE, None, []),
        (
            {"configuration": {}},
            {**BEFORE, "status": "pending"},
            {"status": "active"},
            [f"Its status changed from pending to active. Only GitBook sets the status. {ACTIVE}"],
        ),
        ({"configuration": {}}, {**BEFORE, "status": "active"}, {"status": "active"}, []),
    ],
)
def test_what_an_update_did_besides_its_settings_is_named(
    arguments: Any, before: Any, result: Any, kept: list[str]
) -> None:
    steps, lost = list_undo(build("update_integration_installation", **arguments), before, result)
    assert len(steps) == 1
    assert [text[:40] for text in lost] == [text[:40] for text in kept]


@pytest.mark.parametrize("before", [None, {}])
def test_an_update_of_what_could_not_be_read_has_no_undo(before: Any) -> None:
    assert list_undo(build("update_integration_installation", externalIds=["new"]), before, None) == ([], [])


@pytest.mark.parametrize("name", ["configuration", "externalIds", "space_selection"])
def test_a_setting_of_another_type_is_not_restored_but_named(name: str) -> None:
    call = build("update_integration_installation", externalIds=["new"], configuration={}, space_selection="all")
    [step], lost = list_undo(call, {**BEFORE, name: 7}, None)
    assert name not in step["arguments"]
    assert any(text.startswith(f"{name} is not restored") for text in lost)


def test_a_value_that_could_not_be_read_exactly_is_not_restored_but_named() -> None:
    before = {**BEFORE, "configuration": read_json(rb'{"title": "half \ud83d"}')}
    call = build("update_integration_installation", externalIds=["new"], configuration={})
    [step], [lost] = list_undo(call, before, None)
    assert step["arguments"] == {**WHERE, "externalIds": []}
    assert lost.startswith("configuration is not restored")
    without = {name: value for name, value in BEFORE.items() if name != "configuration"}
    assert list_undo(call, without, None)[1] == [lost]


def test_an_uninstalled_integration_returns_with_its_places_before_their_selection() -> None:
    place = {"configuration": {"b": 2}, "externalIds": ["x"]}
    before = {**BEFORE, "spaces": [{"space": {"id": "s"}, **place}], "sites": [{"site": "t", **place}]}
    steps, lost = list_undo(build("uninstall_integration"), before, None)
    assert [one["tool"] for one in steps] == [
        "install_integration",
        "install_integration_on_space",
        "update_integration_space_installation",
        "install_integration_on_site",
        "update_integration_site_installation",
        "update_integration_installation",
    ]
    assert [one["created"] for one in steps] == [{}, *[{"installationId": "id"}] * 5]
    assert steps[2]["arguments"] == {"integrationName": "acme", "spaceId": "s", **place}
    assert steps[4]["arguments"]["siteId"] == "t"
    assert len(lost) == 1  # nothing was paused


@pytest.mark.parametrize(
    ("tool", "arguments", "before", "named"),
    [
        ("uninstall_integration", {}, {**BEFORE, "id": "i", "status": "paused"}, "installation i"),
        (
            "uninstall_integration",
            {},
            {**BEFORE, "status": "active", "sites": [{"site": "t", "status": "paused"}, {"site": "u"}]},
            "site t",
        ),
        (
            "uninstall_integration_from_space",
            {"spaceId": "s"},
            {"space": {"id": "s"}, "status": "paused", "configuration": {}, "externalIds": []},
            "space s",
        ),
    ],
)
def test_an_undo_says_that_what_was_paused_becomes_active(tool: str, arguments: Any, before: Any, named: str) -> None:
    _, lost = list_undo(build(tool, **arguments), before, None)
    [sentence] = [one for one in lost if "paused" in one]
    assert f"It was paused: {named}." in sentence


def test_places_that_could_not_be_read_are_named_once_for_each_level() -> None:
    steps, lost = list_undo(build("uninstall_integration"), BEFORE, None)
    assert [one["tool"] for one in steps] == ["install_integration", "update_integration_installation"]
    assert [text.split()[:4] for text in lost[1:]] == [
        ["The", "spaces", "are", "not"],
        ["The", "sites", "are", "not"],
    ]


def test_what_a_call_created_is_deleted_only_if_its_id_is_known() -> None:
    call = build("install_integration", organization="o")
    assert list_undo(call, None, None) == ([], [])
    [step], _ = list_undo(call, None, {"id": "new"})
    assert step["arguments"] == {"integrationName": "acme", "installationId": "new"}


@pytest.mark.parametrize("endpoint", UNDOABLE, ids=lambda one: one.name)
def test_every_declared_undo_uses_arguments_that_exist(endpoint: Endpoint) -> None:
    assert endpoint.undo is not None
    for step in endpoint.undo.steps:
        undoing = ENDPOINTS[step.tool]
        assert {name for name, _ in step.arguments} <= undoing.input.model_fields.keys()
        assert all(
            source.removeprefix("arguments.") in endpoint.input.model_fields
            for _, source in step.arguments
            if source.startswith("arguments.")
        )


@pytest.mark.parametrize(
    ("left", "current", "expected"),
    [
        (describe_state(BEFORE), describe_state(BEFORE), None),
        (describe_state(BEFORE), describe_state({**BEFORE, "status": "active"}), None),
        (describe_state(BEFORE), describe_state({**BEFORE, "externalIds": ["x"]}), "externalIds"),
        (GONE, GONE, None),
    ],
)
def test_a_difference_to_what_a_change_left_is_said(left: Any, current: Any, expected: str | None) -> None:
    found = compare_states(left, current)
    assert found is None if expected is None else found is not None and found.startswith(expected)
