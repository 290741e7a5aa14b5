"""The job of an integration: analytics, chat, sign-in and so on.

GitBook's categories are too coarse: its category analytics contains chats, a video player and a consent manager. Scopes
show sign-in and sync; the other jobs are known by name. A category or a title is only a hint: a copy of an integration
has another name, but often the same title. Anyone can choose a name, a category and a title, so none of them makes an
integration one for consent without the scope for scripts, which asking readers needs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from gitbook_integrations_api.report import IntegrationFacts
from gitbook_integrations_api.scopes import GIT_SYNC, INJECT_SCRIPT, SIGN_IN

Job = Literal[
    "web analytics",
    "product analytics",
    "session recording",
    "visitor identification",
    "chat",
    "assistant",
    "marketing automation",
    "feature flags",
    "consent",
    "sign-in",
    "sync",
    "other",
]

PROTECTED: frozenset[Job] = frozenset({"sync", "sign-in", "consent"})
"""Jobs whose integrations an audit never proposes to remove."""

EXCLUSIVE: frozenset[Job] = frozenset(get_args(Job)) - {"marketing automation", "sync", "other"}
"""Jobs for which a site needs only one integration."""

_NAMES: Mapping[Job, str] = {
    "web analytics": "ahrefs ahrefs-web-analytics clicky cloudflare-web-analytics fathom goatcounter google-analytics "
    "googleanalytics matomo pirsch piwik piwik-pro plausible simple-analytics simpleanalytics umami",
    "product analytics": "amplitude heap june mixpanel pendo posthog",
    "session recording": "clarity fullstory hotjar logrocket lucky-orange microsoft-clarity mouseflow smartlook",
    "visitor identification": "clearbit koala lead-forensics leadfeeder rb2b reo reodotdev salesviewer scarf syft "
    "unify warmly zoominfo",
    "chat": "chatwoot crisp drift freshchat freshdesk front helpscout intercom livechat olark salesforce-chat "
    "salesforce-service-cloud-chat salesmartly tawk tawk-to tidio zendesk zendesk-chat",
    "assistant": "gurubase inkeep kapa kapa-ai markprompt mendable runllm runllm-widget",
    "marketing automation": "hubspot marketo pardot",
    "feature flags": "bucket launchdarkly reflag split statsig",
    "consent": "axeptio complianz cookiebot cookiehub cookiescript cookieyes didomi gravito iubenda ketch klaro "
    "onetrust osano termly transcend trustarc usercentrics",
    "sync": "github gitlab",
    "other": "calibermind devtune google-tag-manager gtm loom segment slack vimeo webhook wistia",
}
_BY_NAME: Mapping[str, Job] = {name: job for job, names in _NAMES.items() for name in names.split()}

_OFFICIAL = frozenset({"devtune", "github", "gitlab"})
"""Integrations that GitBook publishes itself, but does not list. Names are unique: nobody else can have these."""

_CONSENT = re.compile(r"consent|cookie[ -]?(?:banner|notice|manager|bot)|\bcmp\b", re.IGNORECASE)
_CHAT = re.compile(r"chat(?!gpt)|messenger", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Purpose:
    """The job of an integration. `certain` is false if only its category or title hints at the job."""

    job: Job
    certain: bool = True


def find_purpose(integration: IntegrationFacts) -> Purpose | None:
    """Return the job of an integration, or None if it is unknown."""
    if GIT_SYNC in integration.scopes:
        return Purpose("sync")
    if SIGN_IN in integration.scopes:
        return Purpose("sign-in")
    injects = INJECT_SCRIPT in integration.scopes
    name = integration.name.casefold()
    job = _BY_NAME.get(name) or _BY_NAME.get(name.removeprefix("gitbook-"))
    if job and (injects or job != "consent"):
        return Purpose(job)
    if not injects:
        return None
    text = f"{integration.name} {integration.title}"
    if _CONSENT.search(text):
        return Purpose("consent", certain=False)
    if job := _BY_NAME.get(integration.title.casefold().replace(" ", "-")):
        return Purpose(job, certain=False)
    if _CHAT.search(text):
        return Purpose("chat", certain=False)
    return Purpose("web analytics", certain=False) if "analytics" in integration.categories else None


def find_protected_job(integration: IntegrationFacts) -> Job | None:
    """Return the job of an integration that must not be removed on an audit's word, if it has one."""
    purpose = find_purpose(integration)
    return purpose.job if purpose and purpose.job in PROTECTED else None


def is_trusted(integration: IntegrationFacts) -> bool | None:
    """Whether it is the organization's own, GitBook's own, or verified by GitBook; None if that is unknown."""
    if integration.own or integration.verified or integration.name in _OFFICIAL:
        return True
    return None if integration.verified is None else False
