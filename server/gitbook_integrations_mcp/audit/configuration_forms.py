"""The forms that integrations declare for their settings, and what a configuration says when it is read with its form.

A form is a schema with properties, or a component that the integration renders itself. A form exists for the
organization ("account"), for spaces and for sites.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gitbook_integrations_mcp.calls.masking import MaskingScope, find_secrets
from gitbook_integrations_mcp.calls.response import read_list, read_object
from gitbook_integrations_mcp.calls.secret_detection import is_secret_key, split_key
from gitbook_integrations_mcp.text import clean_text, extend_path, strip_unseen

Origin = Literal["typed", "stored", "unknown"]
"""Whether a person typed a setting into a form or the integration stored it; unknown without any form.

If the integration renders a form itself, its code stores the settings in it, perhaps on another level.
"""

_KEY_LIMIT = 200
_NEVER_PUBLIC = frozenset({"secret", "secrets", "password", "passphrase", "passwd", "pwd", "private", "signing"})
_GRANTED = frozenset({"access", "refresh", "oauth"})
"""Words in the keys of tokens that another service granted to an integration."""

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "bucket": ("secret_key",),
    "cognito": ("client_id", "client_secret", "cognito_domain"),
    "github": ("repository", "branch"),
    "gitlab": ("accessToken", "project", "branch"),
    "launchdarkly": ("project_key", "service_token"),
    "oidc": ("client_id", "client_secret", "authorization_endpoint", "access_token_endpoint", "scope"),
    "pendo": ("api_key",),
    "VA-Auth0": ("client_id", "client_secret", "issuer_base_url"),
    "VA-Azure": ("client_id", "client_secret", "tenant_id"),
    "VA-Okta": ("client_id", "client_secret", "okta_domain"),
}
"""Settings without which GitBook's own integrations refuse to work, if they render the form themselves, by their name.

The sources are in https://github.com/GitbookIO/integrations. Names are unique: nobody else can have these.
"""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of one level. `public` if the integration serves the settings to every reader, in a script."""

    declared: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...] = ()
    is_component: bool = False
    exists: bool = False
    public: bool = False
    is_stored: bool = False
    """Whether the integration renders a form itself, of this level or another."""

    def find_missing(self, configuration: Any, status: str | None) -> tuple[str, ...]:
        """Return the required settings that have no value and no default.

        GitBook decides about buttons: the integration behind one may store what it gets elsewhere. A form that the
        integration renders itself declares nothing, but it needs a credential for which it saved a blank text. Before
        anybody saved it, no setting is missing: the whole configuration is.
        """
        given = read_object(configuration)
        if self.is_component and not given:
            return ()
        missing = [
            key
            for key in self.required
            if _is_empty(given.get(key))
            and "default" not in (declared := self.declared.get(key, {}))
            and not (declared.get("type") == "button" and status == "active")
        ]
        if self.is_component or (self.is_stored and not self.exists):
            missing += [key for key, value in given.items() if _is_blank(value) and is_secret_key(strip_unseen(key))]
        return tuple(clean_text(key, _KEY_LIMIT) for key in dict.fromkeys(missing))

    def find_secrets(self, configuration: Any, scope: MaskingScope) -> Iterator[tuple[str, Origin]]:
        """Yield the paths of credentials in a configuration, without public ones, and where they come from.

        `scope` says which values results show. A choice that the form offers to everybody is no credential.
        """
        if isinstance(configuration, Mapping):
            configuration = {key: value for key, value in configuration.items() if not self._is_public(key, value)}
        for path in find_secrets(configuration, scope=scope):
            yield clean_text(path, _KEY_LIMIT), self._find_origin(path)

    def find_identifiers(self, configuration: Any) -> Iterator[tuple[str, str]]:
        """Yield required text that is free to choose, for example a tracking ID: its key and its value."""
        for key in self.required:
            declared = self.declared.get(key, {})
            free = self.is_component or (declared.get("type") == "string" and "enum" not in declared)
            value = read_object(configuration).get(key)
            if free and isinstance(value, str) and value.strip():
                yield key, value.strip()

    def _find_origin(self, path: str) -> Origin:
        if not self.exists:
            return "stored" if self.is_stored or path.startswith("oauth_credentials") else "unknown"
        typed = (extend_path("", key) for key, declared in self.declared.items() if declared.get("type") != "button")
        return "typed" if any(path == key or path.startswith(f"{key}.") for key in typed) else "stored"

    def _is_public(self, key: str, value: Any) -> bool:
        choices = self.declared.get(key, {}).get("enum")
        if isinstance(choices, list) and value in choices:
            return True
        words = set(split_key(strip_unseen(key)))
        if not self.public or not _NEVER_PUBLIC.isdisjoint(words):
            return False
        return key in self.declared or (self.is_component and isinstance(value, str) and _GRANTED.isdisjoint(words))


def read_form(integration: Mapping[str, Any], level: str, *, public: bool) -> Form:
    """Return the form that an integration declares for a level."""
    forms = read_object(integration.get("configurations"))
    is_stored = any(isinstance(each, Mapping) and "componentId" in each for each in forms.values())
    form = forms.get(level)
    if not isinstance(form, Mapping):
        return Form({}, public=public, is_stored=is_stored)
    properties = read_object(form.get("properties"))
    is_component = "componentId" in form
    required = list(_NEEDED.get(str(integration.get("name")), ())) if is_component else form.get("required")
    return Form(
        {key: declared for key, declared in properties.items() if isinstance(declared, Mapping)},
        tuple(key for key in read_list(required) if isinstance(key, str)),
        is_component=is_component,
        exists=True,
        public=public,
        is_stored=is_stored,
    )


def _is_empty(value: Any) -> bool:
    return value is None or value == {} or value == [] or _is_blank(value)


def _is_blank(value: Any) -> bool:
    """Whether it is text without content. Several integrations put https:// before a field, even before a blank one."""
    return isinstance(value, str) and value.strip() in {"", "http://", "https://"}
