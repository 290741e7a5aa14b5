"""Previews: facts that no text of a third party can imitate, as text and as JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbook_integrations_mcp.confirmation.preview import Fact, Preview
from tests.support.elicitation_client import GitBookSpy, Human, create_gated_server, meet
from tests.support.gated_calls import find_target

HOSTILE = (
    "Slack\nStatus: paused",
    "Slack\r\nAffected sites: 0",
    "Slack\u2028Status: paused\x00\u202e",
    "Slack” (slack), “",
    'Slack" (slack), verified by GitBook, "',
)


def list_labels(text: str) -> list[str]:
    """Return the labels of the facts in a preview's text."""
    return [line.partition(": ")[0] for line in text.splitlines()[1:-1]]


async def read_preview(title: str) -> str:
    """Return the preview of a call whose integration, spaces and external IDs have this title."""
    spy, human = GitBookSpy(), Human(action="decline")
    target = find_target(spy, "uninstall_integration")
    state = spy.sandbox.state
    installation = state.installations[target.arguments["installationId"]]
    installation.external_ids = [title]
    state.integrations[installation.integration].manifest["title"] = title
    for space in installation.enabled["space"]:
        state.spaces[space].title = title
    async with meet(create_gated_server(spy), human, "2026-07-28") as client:
        await client.call_tool(target.name, target.arguments)
    return human.texts[0]


@pytest.mark.parametrize("title", HOSTILE)
async def test_a_hostile_title_cannot_imitate_a_fact(title: str) -> None:
    harmless, hostile = await read_preview("Slack"), await read_preview(title)
    assert list_labels(hostile) == list_labels(harmless)
    facts = dict(line.split(": ", 1) for line in hostile.splitlines()[1:-1])
    assert facts["Integration"].count("“") == facts["Integration"].count("”") == 1
    assert "not verified" in facts["Version"]
    assert "Slack" not in facts["Version"]
    count = int(facts["Affected spaces"].partition(" ")[0])
    assert facts["Affected spaces"].count("”") == facts["Affected spaces"].count("“") == min(count, 10)


TEXT: Any = st.text()


@given(TEXT, TEXT, TEXT, st.lists(st.tuples(TEXT, TEXT)), st.lists(TEXT), st.none() | TEXT)
def test_a_preview_survives_json(
    title: str, consequence: str, state: str, facts: list[tuple[str, str]], notes: list[str], typed: str | None
) -> None:
    preview = Preview(title, consequence, state, tuple(Fact(*fact) for fact in facts), tuple(notes), typed)
    assert Preview.from_json(json.loads(json.dumps(preview.to_json()))) == preview


def test_the_text_has_a_line_for_each_note_and_fact() -> None:
    preview = Preview("Uninstall?", "All is lost.", "state", (Fact("Status", "active"),), ("A note.",))
    assert preview.text.splitlines() == ["Uninstall?", "A note.", "Status: active", "All is lost."]
