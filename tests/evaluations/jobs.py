"""Twenty-eight jobs on the sandbox, for developers of integrations and for administrators of installations.

The comparison is fair to servers without an audit: their scripts read only necessary lists, by the way that costs the
fewest tokens.
"""

from typing import Any

from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, OWN_INTEGRATION, create_sandbox
from gitbook_integrations_mcp.sandbox.state import Installation, State, identify
from tests.evaluations.job import LAST_CHANGE, Call, Happening, Job, call

_STATE = create_sandbox().state
SITES = {site.title: site.id for site in _STATE.sites.values()}
SPACES = {space.title: space.id for space in _STATE.spaces.values()}
INSTALLED = {
    installation.integration: installation.id for installation in _STATE.get_installations(organization=ORGANIZATION_ID)
}
[OTHER_ORGANIZATION] = [each.id for each in _STATE.organizations.values() if each.member and each.id != ORGANIZATION_ID]
FAILED = [event.id for event in _STATE.events if event.status == "failed"]
OWN_SITES = [site.id for site in _STATE.get_places("site", ORGANIZATION_ID)]
SLACK = _STATE.installations[INSTALLED["slack"]]
SLACK_SPACES, SLACK_CONFIGURATION = list(SLACK.enabled["space"]), dict(SLACK.configuration)
THREE = [SPACES[title] for title in ("Simulator", "Vision SDK", "API Reference")]
WITH_SECRET = {"channel": "#help-center", "api_key": "xoxb-1234567890-abcdefghij"}
TUNNEL = "https://ann-laptop.tunnel.example"
LINTER = {
    "organization": ORGANIZATION_ID,
    "title": "Style Linter",
    "description": "Checks pages against our style guide.",
    "visibility": "unlisted",
    "target": "space",
    "scopes": ["space:content:read"],
    "categories": ["content"],
    "blocks": [{"id": "style-report", "title": "Style report"}],
}


def find(integration: str) -> Call:
    """Find an installation, as all other calls need its ID."""
    return call("list_organization_installations", search=integration)


def of(integration: str) -> dict[str, Any]:
    return {"integrationName": integration, "installationId": INSTALLED[integration]}


def read_scripts() -> tuple[Call, ...]:
    """Read the scripts of each site, as there is no list of all scripts."""
    return call("list_sites"), *(call("list_site_integration_scripts", siteId=site) for site in OWN_SITES)


def read_everything() -> tuple[Call, ...]:
    """Read everything that an audit needs, except lists that are known to be empty."""
    installed = _STATE.get_installations(organization=ORGANIZATION_ID)
    return (
        call("list_organization_installations"),
        call("list_spaces_in_organization_by_id"),
        *read_scripts(),
        *(
            call("list_integration_installation_spaces", **of(each.integration))
            for each in installed
            if _fits(each, "space")
        ),
        *(
            call("list_integration_installation_sites", **of(each.integration))
            for each in installed
            if _fits(each, "site")
        ),
    )


def _fits(installation: Installation, level: Any) -> bool:
    return _STATE.integrations[installation.integration].fits(level)


def get(state: State, integration: str) -> Installation | None:
    """Return the current installation of an integration in the organization."""
    return next(iter(state.get_installations(integration=integration, organization=ORGANIZATION_ID)), None)


def is_on(state: State, integration: str, level: Any, place: str) -> bool:
    installation = get(state, integration)
    return installation is not None and place in installation.enabled[level]


def configure(state: State, integration: str, level: Any, place: str) -> dict[str, Any]:
    """Return the configuration of an integration on a place."""
    installation = get(state, integration)
    assert installation is not None
    return installation.enabled[level][place].configuration


def add_secret(state: State) -> None:
    """Add a credential to the settings of Slack on a space."""
    state.integrations["slack"].manifest.pop("configurations", None)
    state.installations[INSTALLED["slack"]].enabled["space"][SLACK_SPACES[0]].configuration = dict(WITH_SECRET)


def install_figma(state: State) -> None:
    """Install an integration between two audits, as a colleague would."""
    new = Installation(
        id=identify("installation", "figma"),
        integration="figma",
        organization=ORGANIZATION_ID,
        created_at=1.76e9,
        updated_at=1.76e9,
    )
    state.installations[new.id] = new


ORGANIZATIONS = call("list_organizations_for_authenticated_user")
SCRIPT, EARLIER_SCRIPT = "export default { version: 3 };", "export default { version: 2 };"

JOBS = (
    Job(
        name="the ID of an installation",
        request="What is the installation ID of Slack in our organization?",
        steps=(find("slack"),),
        facts=(INSTALLED["slack"],),
        most_tokens=200,
    ),
    Job(
        name="audit the organization",
        request="What is installed where, what runs on our sites, and what should worry us?",
        steps=(call("audit_installations"),),
        bare=(ORGANIZATIONS, *read_everything()),
        facts=("heatlens", "crisp", "chatterbox", "harbor-auth", "Internal Handbook", "Kestrel Collective"),
        most_tokens=1000,
    ),
    Job(
        name="compare two organizations",
        request="What do my organizations have installed, and what does only one of them have?",
        steps=(call("audit_installations", organizations="all"),),
        bare=(
            ORGANIZATIONS,
            *read_everything(),
            call("list_organization_installations", organizationId=OTHER_ORGANIZATION),
        ),
        facts=("Aurora Robotics", "Kestrel Collective", "slack", "heatlens"),
        most_tokens=1000,
    ),
    Job(
        name="explain a finding",
        request="The audit reports unverified-write. What does that mean, and what should we do?",
        steps=(call("audit_installations", explain="unverified-write"),),
        bare=None,
        facts=("Heatlens", "unverified-write:"),
        most_tokens=160,
    ),
    Job(
        name="report for the security officer",
        request="Give me a report of the audit that I can send to our security officer.",
        steps=(call("export_report", format="html"),),
        bare=None,
        facts=("gitbook-integrations://", "complete"),
        most_tokens=150,
    ),
    Job(
        name="scripts without a policy",
        request="Which of our sites run scripts without a content security policy?",
        steps=(call("audit_installations", section="scripts"),),
        bare=read_scripts(),
        facts=("googleanalytics", "heatlens", "crisp", "Developer Portal", "Help Center", "cdn.lumen.example"),
        most_tokens=1000,
    ),
    Job(
        name="compare with the last audit",
        request="Audit us, and when I say so, tell me what has changed since.",
        steps=(
            call("audit_installations"),
            Happening(install_figma),
            call("audit_installations", section="changes", refresh=True),
        ),
        bare=(*read_everything(), Happening(install_figma), *read_everything()),
        facts=("figma",),
        most_tokens=1250,
    ),
    Job(
        name="where is it enabled",
        request="On which spaces and sites is GitHub Sync (github) enabled?",
        steps=(call("audit_installations", section="installations", integration="github"),),
        bare=(
            find("github"),
            call("list_integration_installation_spaces", **of("github")),
            call("list_spaces_in_organization_by_id"),
        ),
        facts=("API Reference", "Vision SDK"),
        most_tokens=340,
    ),
    Job(
        name="who may write",
        request="Which of the installed integrations may write to our content?",
        steps=(call("audit_installations", section="access"),),
        bare=(call("list_organization_installations"),),
        facts=("release-notes-bot", "github", "heatlens", "space:content:write", "Release Notes"),
        most_tokens=1250,
    ),
    Job(
        name="what is paused or pending",
        request="Is anything that we installed paused, or waiting for somebody to finish its setup?",
        steps=(call("list_organization_integrations_status"),),
        facts=("paused", "pending", "chatterbox", "harbor-auth"),
        most_tokens=480,
    ),
    Job(
        name="what runs on one site",
        request="Which scripts does the Help Center load?",
        steps=(call("list_sites", title="Help"), call("list_site_integration_scripts", siteId=SITES["Help Center"])),
        facts=("googleanalytics", "heatlens", "crisp"),
        most_tokens=325,
    ),
    Job(
        name="uninstall it everywhere",
        request="Get rid of heatlens, everywhere.",
        steps=(find("heatlens"), call("uninstall_integration", **of("heatlens"))),
        done=lambda state: get(state, "heatlens") is None,
        most_tokens=370,
    ),
    Job(
        name="take it off a site",
        request="Take googleanalytics off the Developer Portal, and only there.",
        steps=(
            find("googleanalytics"),
            call("list_sites", title="Developer"),
            call("uninstall_integration_from_site", **of("googleanalytics"), siteId=SITES["Developer Portal"]),
        ),
        done=lambda state: (
            not is_on(state, "googleanalytics", "site", SITES["Developer Portal"])
            and is_on(state, "googleanalytics", "site", SITES["Help Center"])
        ),
        most_tokens=435,
    ),
    Job(
        name="no longer on all spaces to come",
        request="Mermaid shall stay where it is, but not come to new spaces by itself.",
        steps=(
            find("mermaid"),
            call("update_integration_installation", **of("mermaid"), space_selection="selected"),
        ),
        done=lambda state: (
            (mermaid := get(state, "mermaid")) is not None
            and mermaid.selection["space"] == "selected"
            and len(mermaid.enabled["space"]) == 20
        ),
        most_tokens=520,
    ),
    Job(
        name="rotate external IDs",
        request="The GitHub app of the github integration was installed anew: external ID 48151623 is now 51234567.",
        steps=(
            find("github"),
            call("update_integration_installation", **of("github"), externalIds=["51234567"]),
        ),
        done=lambda state: (github := get(state, "github")) is not None and github.external_ids == ["51234567"],
        most_tokens=540,
        forms=1,
    ),
    Job(
        name="install it",
        request="Install harbor-people in our organization.",
        steps=(call("install_integration", integrationName="harbor-people", organization=ORGANIZATION_ID),),
        done=lambda state: (people := get(state, "harbor-people")) is not None and people.status == "active",
        most_tokens=320,
    ),
    Job(
        name="put it on a space",
        request="Put slack on the space Simulator, with channel #simulator.",
        steps=(
            find("slack"),
            call("list_spaces_in_organization_by_id"),
            call("install_integration_on_space", **of("slack"), space=SPACES["Simulator"]),
            call(
                "update_integration_space_installation",
                **of("slack"),
                spaceId=SPACES["Simulator"],
                configuration={"channel": "#simulator"},
            ),
        ),
        done=lambda state: configure(state, "slack", "space", SPACES["Simulator"]) == {"channel": "#simulator"},
        most_tokens=2160,
    ),
    Job(
        name="install on three spaces",
        request="Put slack on the spaces Simulator, Vision SDK and API Reference, too.",
        steps=(
            find("slack"),
            call("list_integration_installation_spaces", **of("slack")),
            call("list_spaces_in_organization_by_id"),
            call("set_installation_places", **of("slack"), spaces=[*SLACK_SPACES, *THREE]),
        ),
        bare=(
            find("slack"),
            call("list_spaces_in_organization_by_id"),
            *(call("install_integration_on_space", **of("slack"), space=space) for space in THREE),
        ),
        done=lambda state: all(is_on(state, "slack", "space", space) for space in (*SLACK_SPACES, *THREE)),
        most_tokens=1850,
        forms=1,
    ),
    Job(
        name="move a configuration with a secret",
        request=f"Give slack the same settings on the space {SLACK_SPACES[1]} as on {SLACK_SPACES[0]}.",
        steps=(
            Happening(add_secret),
            find("slack"),
            call(
                "copy_configuration",
                source={**of("slack"), "spaceId": SLACK_SPACES[0]},
                target={**of("slack"), "spaceId": SLACK_SPACES[1]},
            ),
        ),
        bare=(
            Happening(add_secret),
            find("slack"),
            call("get_integration_space_installation", **of("slack"), spaceId=SLACK_SPACES[0]),
            call("get_integration_space_installation", **of("slack"), spaceId=SLACK_SPACES[1]),
            call(
                "update_integration_space_installation",
                **of("slack"),
                spaceId=SLACK_SPACES[1],
                configuration=WITH_SECRET,
            ),
        ),
        done=lambda state: configure(state, "slack", "space", SLACK_SPACES[1]) == WITH_SECRET,
        most_tokens=365,
        forms=1,
    ),
    Job(
        name="offboard everywhere",
        request="We no longer use Slack (slack). Remove it from our organization.",
        steps=(call("uninstall_everywhere", integrationName="slack"),),
        bare=(find("slack"), call("uninstall_integration", **of("slack"))),
        done=lambda state: get(state, "slack") is None,
        most_tokens=200,
        forms=1,
    ),
    Job(
        name="undo it",
        request="Remove Slack (slack) from our organization. If somebody complains, bring it back as it was.",
        steps=(
            call("uninstall_everywhere", integrationName="slack"),
            Happening(lambda _: None),
            call("undo_change", changeId=LAST_CHANGE),
        ),
        bare=None,
        done=lambda state: (
            (slack := get(state, "slack")) is not None
            and slack.id != INSTALLED["slack"]
            and list(slack.enabled["space"]) == SLACK_SPACES
            and slack.configuration == SLACK_CONFIGURATION
        ),
        most_tokens=550,
        forms=2,
    ),
    Job(
        name="configure it on a site",
        request="The Help Center has a new tracking ID for googleanalytics: G-AURORA0009.",
        steps=(
            find("googleanalytics"),
            call("list_sites", title="Help"),
            call(
                "update_integration_site_installation",
                **of("googleanalytics"),
                siteId=SITES["Help Center"],
                configuration={"tracking_id": "G-AURORA0009"},
            ),
        ),
        done=lambda state: (
            configure(state, "googleanalytics", "site", SITES["Help Center"]) == {"tracking_id": "G-AURORA0009"}
        ),
        most_tokens=580,
        forms=1,
    ),
    Job(
        name="why events failed",
        request=f"Why did the last two content updates that {OWN_INTEGRATION} could not handle fail?",
        steps=(
            call("list_integration_events", integrationName=OWN_INTEGRATION),
            *(call("get_integration_event", integrationName=OWN_INTEGRATION, eventId=event) for event in FAILED[:2]),
        ),
        facts=("410 Gone", "webhook URL of this installation may be out of date"),
        most_tokens=1480,
    ),
    Job(
        name="publish and roll back",
        request="Publish the style-linter of aurora-robotics with the title Style Linter Beta and the script "
        f"`{SCRIPT}`. If it fails for our writers, put back what was there, with the script `{EARLIER_SCRIPT}`.",
        steps=(
            call("get_integration_by_name", integrationName="style-linter"),
            call(
                "publish_integration",
                **{**LINTER, "organization": "aurora-robotics", "title": "Style Linter Beta"},
                integrationName="style-linter",
                script=SCRIPT,
            ),
            call(
                "publish_integration",
                **{**LINTER, "organization": "aurora-robotics"},
                integrationName="style-linter",
                script=EARLIER_SCRIPT,
            ),
        ),
        done=lambda state: (
            state.integrations["style-linter"].version == 4
            and state.integrations["style-linter"].manifest["title"] == "Style Linter"
            and state.integrations["style-linter"].manifest["blocks"] == LINTER["blocks"]
        ),
        most_tokens=850,
    ),
    Job(
        name="development mode on",
        request=f"Send the events of {OWN_INTEGRATION} to my tunnel, {TUNNEL}.",
        steps=(call("set_integration_development_mode", integrationName=OWN_INTEGRATION, tunnelUrl=TUNNEL),),
        done=lambda state: (
            (mode := state.integrations[OWN_INTEGRATION].development) is not None
            and (mode.tunnel, mode.all) == (TUNNEL, False)
        ),
        most_tokens=200,
    ),
    Job(
        name="development mode off",
        request="Robin's laptop is gone: take style-linter out of development mode.",
        steps=(call("disable_integration_development_mode", integrationName="style-linter"),),
        done=lambda state: state.integrations["style-linter"].development is None,
        most_tokens=80,
    ),
    Job(
        name="unpublish",
        request="Nobody uses style-linter. Delete it.",
        steps=(call("unpublish_integration", integrationName="style-linter"),),
        done=lambda state: "style-linter" not in state.integrations,
        most_tokens=80,
    ),
    Job(
        name="find one in the marketplace",
        request="Which integrations for analytics are there, and whose are they?",
        steps=(call("list_integrations", category="analytics"),),
        facts=("googleanalytics", "lumen-analytics", "Lumen Analytics"),
        most_tokens=130,
    ),
    Job(
        name="queue a task for the bot",
        request=f'Let {OWN_INTEGRATION} run its task {{"kind": "weekly-digest"}} now.',
        steps=(call("queue_integration_task", integrationName=OWN_INTEGRATION, task={"kind": "weekly-digest"}),),
        bare=None,
        done=lambda state: state.events[-1].payload.get("task") == {"kind": "weekly-digest"},
        most_tokens=60,
        forms=1,
    ),
)
