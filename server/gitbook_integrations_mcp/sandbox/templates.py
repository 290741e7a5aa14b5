"""The sample data of the GitBook sandbox: organizations, published integrations, spaces and sites.

All companies except GitBook are invented, and so are all credentials. Some integrations have risks on purpose, for an
audit to find: no content security policy, cookies, write scopes without verification.
"""

from typing import Any, NamedTuple

ORGANIZATION_ID = "WxR7pNq2bTzK4mVs9LhC"
"""The organization of the sandbox's user."""

OWN_INTEGRATION = "release-notes-bot"
"""The integration that this organization developed."""

ORGANIZATIONS = (
    # id, title, hostname, plan, type, whether the user belongs to it
    (ORGANIZATION_ID, "Aurora Robotics", "aurora-robotics", "pro_2024", "business", True),
    ("q8ZfYc1JtDu5RkEo3BwA", "Kestrel Collective", "kestrel-collective", "community_2024", "community", True),
    ("gB0okPlatformTeam001", "GitBook", "gitbook", "internal", "business", False),
    ("Lm5vT8sXnP0dQaHj6YgU", "Lumen Analytics", "lumen-analytics", "plus_2024", "business", False),
    ("cH4tTyRb7KwEz2MfQn9S", "Chatterbox Support", "chatterbox", "pro_2024", "business", False),
    ("h3ATl6nSuV1pJxDq8ZrW", "Heatlens Labs", "heatlens", "free_2024", "business", False),
    ("hA5bR9oKiD2yTgLc7FeX", "Harbor Identity", "harbor-id", "enterprise_2024", "business", False),
)


class Published(NamedTuple):
    """A published integration; `manifest` holds the arguments of `publishIntegration`."""

    name: str
    owner: str
    version: int
    verified: bool
    manifest: dict[str, Any]


def _text(title: str, description: str = "", **more: Any) -> dict[str, Any]:
    return {"type": "string", "title": title, **({"description": description} if description else {}), **more}


def _button(title: str, text: str) -> dict[str, Any]:
    return {"type": "button", "title": title, "button_text": text, "callback_url": "/oauth"}


INTEGRATIONS = (
    Published(
        OWN_INTEGRATION,
        "aurora-robotics",
        7,
        False,
        {
            "title": "Release Notes Bot",
            "description": "Turns merged change requests into release notes and posts them to the team.",
            "summary": "Watches a space and drafts **release notes** whenever its content changes.",
            "visibility": "private",
            "target": "space",
            "scopes": ["space:content:read", "space:content:write", "space:metadata:read", "page:feedback:read"],
            "categories": ["content", "collaboration"],
            "blocks": [
                {"id": "release-notes", "title": "Release notes", "description": "The notes of the latest release."}
            ],
            "configurations": {
                "account": {
                    "properties": {
                        "webhook_url": _text("Webhook URL", "Where finished notes are posted."),
                        "api_key": _text("API key", "Key of the release tracker."),
                        "digest": {"type": "boolean", "title": "Weekly digest", "default": False},
                    },
                    "required": ["webhook_url"],
                },
                "space": {"properties": {"channel": _text("Channel")}, "required": ["channel"]},
            },
            "externalLinks": [{"label": "Runbook", "url": "https://wiki.aurora-robotics.example/release-notes-bot"}],
        },
    ),
    Published(
        "mermaid",
        "gitbook",
        41,
        True,
        {
            "title": "Mermaid",
            "description": "Draw diagrams from text inside your pages.",
            "summary": "Flowcharts, sequence diagrams and Gantt charts from [Mermaid](https://mermaid.js.org) text.",
            "visibility": "public",
            "target": "space",
            "scopes": [],
            "blocks": [
                {
                    "id": "diagram",
                    "title": "Mermaid diagram",
                    "description": "A diagram drawn from text.",
                    "markdown": {"codeblock": "mermaid", "body": "content"},
                }
            ],
        },
    ),
    Published(
        "slack",
        "gitbook",
        63,
        True,
        {
            "title": "Slack",
            "description": "Tell channels about content changes and answer questions from your docs.",
            "visibility": "public",
            "target": "space",
            "scopes": ["space:content:read", "space:metadata:read"],
            "categories": ["collaboration"],
            "configurations": {
                "account": {
                    "properties": {
                        "oauth_credentials": _button("Connection", "Authorize"),
                        "default_channel": _text("Default channel"),
                    },
                    "required": ["oauth_credentials"],
                },
                "space": {
                    "properties": {
                        "channel": _text("Channel"),
                        "notify_content_update": {"type": "boolean", "title": "Notify of content updates"},
                        "notify_visibility_update": {"type": "boolean", "title": "Notify of visibility updates"},
                    },
                    "required": ["channel"],
                },
            },
            "externalLinks": [{"label": "Documentation", "url": "https://gitbook.com/docs/integrations/slack"}],
        },
    ),
    Published(
        "github",
        "gitbook",
        88,
        True,
        {
            "title": "GitHub Sync",
            "description": "Keep a space and a GitHub repository in sync, in both directions.",
            "visibility": "unlisted",
            "target": "space",
            "scopes": ["space:metadata:read", "space:content:read", "space:git:sync"],
            "configurations": {"space": {"componentId": "configure"}},
        },
    ),
    Published(
        "googleanalytics",
        "gitbook",
        29,
        True,
        {
            "title": "Google Analytics",
            "description": "Measure the traffic of your published sites with Google Analytics 4.",
            "visibility": "public",
            "target": "site",
            "scopes": ["site:script:inject", "site:script:cookies"],
            "categories": ["analytics"],
            "configurations": {
                "site": {
                    "properties": {"tracking_id": _text("Measurement ID", "Starts with G-.")},
                    "required": ["tracking_id"],
                }
            },
            "contentSecurityPolicy": {
                "script-src": "https://www.google-analytics.com\nhttps://ssl.google-analytics.com;\n",
                "img-src": "data:\nwww.google-analytics.com\nwww.google.com;\n",
                "connect-src": "www.google-analytics.com\nanalytics.google.com;\n",
                "font-src": "data:;\n",
            },
        },
    ),
    Published(
        "lumen-analytics",
        "lumen-analytics",
        12,
        True,
        {
            "title": "Lumen Analytics",
            "description": "Visitor statistics without cookies.",
            "visibility": "public",
            "target": "site",
            "scopes": ["site:script:inject", "site:views:read"],
            "categories": ["analytics"],
            "configurations": {
                "account": {"properties": {"api_token": _text("API token")}, "required": ["api_token"]},
                "site": {"properties": {"domain": _text("Domain")}},
            },
            "contentSecurityPolicy": "script-src https://cdn.lumen.example; connect-src https://in.lumen.example",
        },
    ),
    Published(
        "chatterbox",
        "chatterbox",
        19,
        True,
        {
            "title": "Chatterbox",
            "description": "A chat widget that lets readers talk to your support team.",
            "visibility": "public",
            "target": "site",
            "scopes": ["site:script:inject", "site:script:cookies", "site:metadata:read"],
            "categories": ["marketing", "other"],
            "configurations": {
                "account": {
                    "properties": {
                        "workspace": _text("Workspace"),
                        "access_token": _text("Access token"),
                        "connect": _button("Connect", "Sign in to Chatterbox"),
                    },
                    "required": ["workspace", "access_token"],
                }
            },
            "contentSecurityPolicy": {
                "script-src": "https://widget.chatterbox.example",
                "connect-src": "https://api.chatterbox.example wss://live.chatterbox.example",
                "frame-src": "https://widget.chatterbox.example",
            },
        },
    ),
    Published(
        "heatlens",
        "heatlens",
        3,
        False,
        {
            "title": "Heatlens",
            "description": "Heat maps and session recordings of your documentation.",
            "visibility": "unlisted",
            "target": "all",
            "scopes": ["site:script:inject", "site:script:cookies", "site:metadata:read", "space:content:write"],
            "categories": ["analytics", "marketing"],
            "configurations": {"account": {"properties": {"secret_key": _text("Secret key")}}},
        },
    ),
    Published(
        "harbor-auth",
        "harbor-id",
        24,
        True,
        {
            "title": "Harbor Sign-In",
            "description": "Let only signed-in visitors read a site, by OpenID Connect.",
            "visibility": "public",
            "target": "site",
            "scopes": ["site:visitor:auth", "site:visitor:claims", "site:metadata:read"],
            "categories": ["visitor-auth"],
            "configurations": {
                "account": {
                    "properties": {
                        "issuer": _text("Issuer URL"),
                        "client_id": _text("Client ID"),
                        "client_secret": _text("Client secret"),
                        "session_minutes": {"type": "number", "title": "Session length in minutes", "default": 60},
                    },
                    "required": ["issuer", "client_id", "client_secret"],
                }
            },
        },
    ),
    Published(
        "figma",
        "gitbook",
        17,
        True,
        {
            "title": "Figma",
            "description": "Embed Figma files in your pages.",
            "visibility": "public",
            "target": "space",
            "scopes": [],
            "blocks": [{"id": "embed", "title": "Figma", "urlUnfurl": ["https://www.figma.com/file/**"]}],
            "configurations": {
                "account": {
                    "properties": {"oauth_credentials": _button("Connection", "Authorize")},
                    "required": ["oauth_credentials"],
                }
            },
            "externalLinks": [{"label": "Figma", "url": "https://www.figma.com"}],
        },
    ),
    Published(
        "harbor-people",
        "harbor-id",
        17,
        True,
        {
            "title": "Harbor People",
            "description": "Show who is who: cards of people in your pages.",
            "visibility": "public",
            "target": "organization",
            "scopes": [],
            "categories": ["content"],
            "blocks": [{"id": "person", "title": "Person", "urlUnfurl": ["https://people.harbor.example/**"]}],
            "externalLinks": [{"label": "Harbor", "url": "https://harbor.example"}],
        },
    ),
    Published(
        "ticket-importer",
        "chatterbox",
        5,
        False,
        {
            "title": "Ticket Importer",
            "description": "Turns solved support tickets into help articles.",
            "visibility": "public",
            "target": "all",
            "scopes": ["space:content:read", "space:content:write"],
            "categories": ["content", "other"],
            "contentSources": [
                {"id": "tickets", "title": "Solved tickets", "configuration": {"componentId": "choose-queue"}}
            ],
        },
    ),
    Published(
        "style-linter",
        "aurora-robotics",
        2,
        False,
        {
            "title": "Style Linter",
            "description": "Checks pages against our style guide.",
            "visibility": "unlisted",
            "target": "space",
            "scopes": ["space:content:read"],
            "categories": ["content"],
            "blocks": [{"id": "style-report", "title": "Style report"}],
        },
    ),
)

TUNNELS = {"style-linter": "https://robin-laptop.tunnel.example"}
"""Integrations in development mode, with the URLs that get their events."""

FOREIGN = Published(
    "pricing-sync",
    "heatlens",
    1,
    False,
    {
        "title": "Pricing Sync",
        "description": "Internal to another organization.",
        "visibility": "private",
        "target": "organization",
        "scopes": [],
        "categories": ["other"],
    },
)
"""Another organization's private integration, which must stay invisible to the sandbox's user."""

SpaceRow = tuple[str, str, str]
"""Title, emoji and visibility of a space."""

SPACES: tuple[SpaceRow, ...] = (
    ("Getting Started", "🚀", "public"),
    ("Product Guide", "📘", "public"),
    ("API Reference", "🧩", "public"),
    ("Release Notes", "📣", "public"),
    ("Help Articles", "🛟", "public"),
    ("Partner Handbook", "🤝", "visitor-auth"),
    ("Fleet Manager", "🛰️", "public"),
    ("Arm Controller", "🦾", "public"),
    ("Vision SDK", "👁️", "public"),
    ("Simulator", "🕹️", "public"),
    ("Safety and Compliance", "🦺", "visitor-auth"),
    ("Internal Handbook", "🏠", "private"),
    ("Engineering Onboarding", "🧭", "private"),
    ("Architecture Decisions", "🏛️", "private"),
    ("Incident Reviews", "🚨", "private"),
    ("Support Playbook", "🎧", "private"),
    ("Brand and Voice", "🎨", "private"),
    ("Security Policies", "🔐", "private"),
    ("Roadmap Drafts", "🗺️", "private"),
    ("Archive 2023", "📦", "private"),
)

SiteRow = tuple[str, str, str, bool, str | None, tuple[int, ...]]
"""Title, type and visibility of a site, whether it is published, its host name, and the indexes of its spaces."""

SITES: tuple[SiteRow, ...] = (
    ("Aurora Docs", "ultimate", "public", True, "docs.aurora-robotics.example", (0, 1, 3, 6, 7, 9)),
    ("Developer Portal", "premium", "public", True, "developers.aurora-robotics.example", (2, 8)),
    ("Help Center", "premium", "public", True, "help.aurora-robotics.example", (4,)),
    ("Partner Portal", "ultimate", "visitor-auth", True, "partners.aurora-robotics.example", (5, 10)),
    ("Changelog Preview", "basic", "unlisted", False, None, (3,)),
)

ORPHANED_SCRIPT = {
    "script": "https://integrations.gitbook.com/v1/integrations/crisp/installations/Vd0rGoneSince2024xYz/script.js",
    "cookies": True,
}
"""A script on the help center of an integration that was uninstalled long ago."""
