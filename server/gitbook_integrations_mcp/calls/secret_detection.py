"""Which values are credentials: the one notion of a secret, for results, the record of changes, and audits.

A value is a credential by the words of its key or by its own shape. `tests/unit/calls/test_secret_detection.py` is the
table of examples, both of what is one and of what is none.
"""

import re
from collections.abc import Mapping


def _read_words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_SECRET_WORDS = _read_words(
    "apikey apikeys auth authorization bearer cookie cookies credential credentials dsn hmac jwt otp pass passcode "
    "passphrase passwd password passwords pin pwd sas secret secrets sig signature token tokens webhook webhooks"
)
"""Last words of keys whose values are credentials."""

_KEY_OWNERS = _read_words(
    "access account admin aes api auth client deploy deployment encryption hmac host integration license master pem "
    "private rest secret security server service shared sign signing ssh ssl storage tls webhook"
)
"""Words before "key": an `api_key` is a credential, a `project_key`, `primary_key` or `sortKey` is not."""

_SECRET_PAIRS = frozenset(
    {
        ("connection", "string"),
        ("security", "code"),
        ("recovery", "code"),
        ("recovery", "codes"),
        ("backup", "codes"),
        ("webhook", "url"),  # anyone who knows it can post
        ("webhook", "urls"),
    }
)

_COUNT_WORDS = _read_words("max min maximum minimum num number count total limit used remaining input output per")
"""Words that make "tokens" a number of them."""

_PUBLIC_WORDS = frozenset({"public", "publishable"})
"""Words that say that everybody may know the value."""

_NUMERIC_WORDS = _read_words("code codes otp passcode pin")
"""Last words of keys whose values are credentials even as numbers."""

_HARMLESS_WORDS = _read_words(
    "algorithm at audience by count date enabled endpoint endpoints expiration expire expires expiry id ids issuer "
    "kind length method region scope scopes seconds status time timestamp ttl type types uri uris url urls version"
)
"""Last words of keys whose values are no credentials, even below a key that holds credentials."""

_PUBLIC_SETTINGS: Mapping[str, frozenset[str]] = {
    "amplitude": _read_words("amplitude_api_key"),
    "mixpanel": _read_words("project_token"),
    "pendo": _read_words("api_key"),
    "posthog": _read_words("projectApiKey"),
    "unify": _read_words("api_key"),
}
"""Settings of sites that GitBook's own integrations put into the script in the pages, by the integration's unique name.

Every reader of the site can see them, although the words of their keys say otherwise.
"""

_SHAPES = (
    # prefixes that issuers give to their tokens
    (
        r"(?<![A-Za-z0-9])(?:"
        r"[sr]k_(?:live|test)_[A-Za-z0-9]{8,}|sk-(?:proj|ant|or|svcacct|admin)-[A-Za-z0-9_-]{12,}"
        r"|sk-(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{20,}|whsec_[A-Za-z0-9+/=]{12,}|gb_[a-z]+_[A-Za-z0-9_-]{8,}"
        r"|gh[oprsu]_[A-Za-z0-9]{12,}|github_pat_[A-Za-z0-9_]{12,}|gl[a-z]{2,5}-(?=[A-Za-z_-]{0,30}[0-9A-Z])[A-Za-z0-9_-]{16,}"
        r"|xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}"
        r"|A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{12,}|AIza[A-Za-z0-9_-]{16,}|ya29\.[A-Za-z0-9_-]{12,}|GOCSPX-[A-Za-z0-9_-]{12,}"
        r"|shp(?:at|ca|pa|ss)_[A-Za-z0-9]{12,}|npm_[A-Za-z0-9]{16,}|pypi-[A-Za-z0-9_-]{16,}"
        r"|SG\.[A-Za-z0-9_-]{12,}|hf_[A-Za-z0-9]{16,}|r8_[A-Za-z0-9]{16,}|A(?:TATT|TCTT)[A-Za-z0-9_=-]{12,}"
        r"|ntn_[A-Za-z0-9]{16,}|secret_[A-Za-z0-9]{32,}|lin_(?:api|oauth)_[A-Za-z0-9]{12,}|do[opr]_v1_[A-Za-z0-9]{12,}"
        r"|dapi[a-f0-9]{24,}|sq0(?:atp|csp)-[A-Za-z0-9_-]{12,}|PMAK-[A-Za-z0-9-]{16,}|figd_[A-Za-z0-9_-]{12,}"
        r"|pat[A-Za-z0-9]{14}\.[a-f0-9]{16,}|sntrys?_[A-Za-z0-9_=-]{16,}|glc_[A-Za-z0-9+/=]{16,}"
        r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"  # JSON web tokens; each start is tried once
        r")"
    ),
    r"-----BEGIN [A-Z ]*PRIVATE KEY",
    # addresses at which anyone who knows them can post
    (
        r"(?i:hooks\.slack\.com/(?:services|workflows|triggers)/\S|discord(?:app)?\.com/api/webhooks/\S"
        r"|webhook\.office\.com/\S|hooks\.zapier\.com/hooks/\S|api\.telegram\.org/bot\S|maker\.ifttt\.com/\S{1,200}/key/\S"
        r"|hook\.[a-z0-9.]{1,20}make\.com/\S|logic\.azure\.com\S{0,500}[?&]sig=)"
    ),
    # credentials inside addresses: a password, a long user without one, a parameter
    r"://[^/\s:@?#]*:[^/\s@]+@",
    r"://[^@/:\s?#]{20,}@",
    (
        r"(?i:[?&#;](?:access_?token|refresh_?token|id_?token|auth_?token|api[_-]?key|client_?secret|token|secret|password"
        r"|passwd|pwd|sig|signature|key|auth|x-amz-signature|x-goog-signature)=[^&#\s]{6,})"
    ),
    # credentials inside texts
    r"(?i:\b(?:bearer|basic|token|apikey))\s+(?=[^\s]{0,80}(?:[0-9=]|[a-z][A-Z]))[A-Za-z0-9._~+/=-]{6,}",
    (
        r"(?i:(?<![a-z0-9])(?:password|passwd|pwd|accountkey|sharedaccesskey|sharedaccesssignature|client_secret|secret"
        r"|api[_-]?key|access[_-]?token))\s*(?:=\s*[^\s;,&]{4,}|:\s*(?=[^\s]{0,80}[0-9])[^\s;,&]{6,})"
    ),
)
_SHAPE = re.compile("|".join(_SHAPES))


def split_key(key: str) -> list[str]:
    """Return the words of a key in lower case: `["api", "key"]` for api_key, apiKey, API-Key and api.key."""
    return [word.lower() for word in _WORD.findall(key)]


def is_secret_key(key: str) -> bool:
    """Whether the words of a key say that its value is a credential."""
    words = [word for word in split_key(key) if not word.isdecimal()]
    if not words or not _PUBLIC_WORDS.isdisjoint(words):
        return False
    *before, last = words
    owner = before[-1] if before else ""
    if last in {"key", "keys"}:
        return owner in _KEY_OWNERS
    if last == "tokens" and not _COUNT_WORDS.isdisjoint(before):
        return False
    return last in _SECRET_WORDS or (owner, last) in _SECRET_PAIRS


def list_public_settings(integration: str) -> frozenset[str]:
    """Return the settings of a site that everybody can read in the script of an integration with this name."""
    return _PUBLIC_SETTINGS.get(integration, frozenset())


def is_harmless_key(key: str) -> bool:
    """Whether the words of a key, like those of `expires_at`, say that its value is harmless even among credentials."""
    words = split_key(key)
    return bool(words) and words[-1] in _HARMLESS_WORDS


def allows_numbers(key: str) -> bool:
    """Whether a number under a secret key is no credential: it is one only under keys like `pin`."""
    words = split_key(key)
    return not words or words[-1] not in _NUMERIC_WORDS


def has_secret_shape(text: str) -> bool:
    """Whether a text is, or contains, a credential whatever its key is."""
    return _SHAPE.search(text) is not None
