"""Messages to Slack: new findings only, plain text, and the URL nowhere but in the request."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gitbook_integrations_api.report import Comparison, Report
from gitbook_integrations_mcp.cli.notification import VARIABLE, NotificationError, list_new, notify, read_target
from gitbook_integrations_mcp.errors import UsageError
from tests.support.sandbox_audit import audit

SECRET = "T000-B000-hidden"
URL = f"https://hooks.slack.example/services/{SECRET}"


@dataclass
class Slack:
    """An incoming webhook, as an ASGI app."""

    status: int = 200
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Keep a message, and answer."""
        body = (await receive())["body"]
        self.received.append((scope["path"], json.loads(body)))
        location = [(b"location", b"https://elsewhere.example/")] if self.status == 302 else []
        await send({"type": "http.response.start", "status": self.status, "headers": location})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def report() -> Report:
    return audit()


async def send(report: Report, slack: Slack) -> bool:
    return await notify(SecretStr(URL), report, httpx.ASGITransport(app=slack))


def compare(report: Report, *new: str) -> Report:
    changes = Comparison(baseline=report.generatedAt, baselineComplete=True, newFindings=new)
    return report.model_copy(update={"comparison": changes})


async def test_only_new_findings_are_sent(report: Report) -> None:
    slack = Slack()
    first = report.findings[0]
    assert await send(compare(report, first.id), slack)
    ((path, message),) = slack.received
    assert path.endswith(SECRET)
    text = "\n".join(block["text"]["text"] for block in message["blocks"])
    assert re.findall(r"\(([a-z-]+:[0-9a-f]{10})\)", text) == [first.id]
    assert "1 new finding" in message["text"]


async def test_nothing_is_sent_without_new_findings(report: Report) -> None:
    slack = Slack()
    assert not await send(compare(report), slack)
    assert slack.received == []


async def test_a_reopened_finding_is_sent_too(report: Report) -> None:
    slack = Slack()
    changes = Comparison(baseline=report.generatedAt, baselineComplete=True, reopened=(report.findings[0].id,))
    assert await send(report.model_copy(update={"comparison": changes}), slack)
    [(_, message)] = slack.received
    assert report.findings[0].id in str(message["blocks"])
    assert "1 new or reopened finding" in message["text"]


def test_without_an_earlier_report_all_open_findings_are_new(report: Report) -> None:
    assert list_new(report) == [finding for finding in report.findings if finding.accepted is None]


async def test_titles_of_third_parties_mention_and_link_nothing(report: Report) -> None:
    slack = Slack()
    organization = report.organization.model_copy(update={"title": "<!channel> <https://evil.example|x>"})
    assert await send(report.model_copy(update={"organization": organization}), slack)
    ((_, message),) = slack.received
    assert "<" not in message["text"]
    assert {block["text"]["type"] for block in message["blocks"]} == {"plain_text"}


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_a_refused_message_is_an_error_without_the_url(status: int, report: Report) -> None:
    slack = Slack(status)
    with pytest.raises(NotificationError) as caught:
        await send(report, slack)
    assert str(status) in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(slack.received) == 1  # no redirect is followed


@pytest.mark.parametrize(
    "text",
    [
        f"slack:http://hooks.slack.example/{SECRET}",
        f"https://hooks.slack.example/{SECRET}",
        f"teams:{URL}",
        f"slack:https://user:{SECRET}@hooks.slack.example/",
        f"slack:https://[{SECRET}",
        f"slack:https://hooks.slack.example:{SECRET}/",
        "slack:",
        "slack",
        "",
    ],
)
def test_other_targets_are_refused_without_being_quoted(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(UsageError) as caught:
        read_target(text)
    assert SECRET not in str(caught.value)


def test_the_url_may_come_from_the_environment_and_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, URL)
    for text in ("slack", f"slack:{URL}"):
        target = read_target(text)
        assert target.get_secret_value() == URL
        assert SECRET not in repr(target)
