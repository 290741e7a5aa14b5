"""The sample installations: 9 on the organization, 25 on spaces and 6 on sites, with every status.

All credentials are invented and say so.
"""

from dataclasses import dataclass, field
from typing import Any

from gitbook_integrations_api.choices import Level
from gitbook_integrations_mcp.sandbox.state import Selection, Setup, Status
from gitbook_integrations_mcp.sandbox.templates import OWN_INTEGRATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A sample installation. Spaces and sites are given by their index in the lists of `templates`."""

    integration: str
    day: int
    status: Status = "active"
    configuration: dict[str, Any] = field(default_factory=dict)
    external_ids: list[str] = field(default_factory=list)
    selection: dict[Level, Selection] = field(default_factory=dict)
    enabled: dict[Level, dict[int, Setup]] = field(default_factory=dict)


def _sync(repository: str, branch: str) -> dict[str, Any]:
    return {
        "key": f"aurora-robotics/{repository}:{branch}",
        "installation": "48151623",
        "accountName": "aurora-robotics",
        "repository": 73021144,
        "repoName": repository,
        "branch": branch,
        "priority": "github",
    }


PLAN = (
    Planned(
        integration=OWN_INTEGRATION,
        day=210,
        configuration={
            "webhook_url": "https://hooks.aurora-robotics.example/releases",
            "api_key": "sandbox-FAKE-tracker-key-4f9a2c",
            "digest": True,
        },
        external_ids=["tracker:aurora"],
        enabled={"space": {3: Setup(configuration={"channel": "#releases"}, external_ids=["channel:releases"])}},
    ),
    Planned(integration="mermaid", day=20, selection={"space": "all"}),
    Planned(
        integration="slack",
        day=33,
        configuration={"team": "aurora", "oauth_credentials": {"access_token": "sandbox-FAKE-slack-token-77b1"}},
        external_ids=["T02AURORA"],
        enabled={
            "space": {
                4: Setup(configuration={"channel": "#help-center"}, external_ids=["C01HELP"]),
                11: Setup(status="pending"),
            }
        },
    ),
    Planned(
        integration="github",
        day=41,
        enabled={
            "space": {
                2: Setup(configuration=_sync("api-docs", "main"), external_ids=["48151623"]),
                8: Setup(status="paused", configuration=_sync("vision-sdk", "v2"), external_ids=["48151623"]),
            }
        },
    ),
    Planned(
        integration="googleanalytics",
        day=58,
        enabled={
            "site": {
                0: Setup(configuration={"tracking_id": "G-AURORA0001"}),
                1: Setup(configuration={"tracking_id": "G-AURORA0002"}),
                2: Setup(configuration={"tracking_id": "G-AURORA0003"}),
            }
        },
    ),
    Planned(
        integration="lumen-analytics",
        day=160,
        configuration={"api_token": "sandbox-FAKE-lumen-token-0d3e91"},
        enabled={"site": {0: Setup(configuration={"domain": "docs.aurora-robotics.example"})}},
    ),
    Planned(
        integration="chatterbox",
        day=97,
        status="paused",
        configuration={"workspace": "aurora-help", "access_token": "sandbox-FAKE-chatterbox-token-5e"},
        external_ids=["ws_aurora-help", "inbox_12"],
        enabled={"site": {2: Setup(status="paused")}},
    ),
    Planned(
        integration="heatlens",
        day=288,
        configuration={"secret_key": "sandbox-FAKE-heatlens-secret-c0ffee"},
        enabled={"site": {2: Setup()}},
    ),
    Planned(
        integration="harbor-auth",
        day=301,
        status="pending",
        configuration={"issuer": "https://id.aurora-robotics.example"},
        selection={"site": "all"},
    ),
)
