"""Which values are credentials: the one notion of a secret, for results, the record of changes, and audits.

A value is a credential by the words of its key or by its own shape. `tests/unit/calls/test_secret_detection.py` is the
table of examples, both of what is one and of what is none.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from gitbook_integrations_mcp.text import strip_unseen


def _read_words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_SECRET_WORDS = _read_words(
    "accesskey accesstoken apikey apikeys apisecret apitoken appsecret auth authkey authorization authtoken bearer "
    "bottoken clientsecret cookie cookies cred credential credentials creds csrf dbpassword dsn hmac jwt kubeconfig "
    "mnemonic otp pass passcode passphrase passwd privkey userpass"
) | _read_words(
    "password passwords passwort pat pin privatekey psk pw pwd refreshtoken sas secret secretkey secrets seed "
    "sessionid sig signature signingkey signingsecret token tokens totp userpassword usertoken webhook webhooks "
    "webhookurl xsrf"
)
"""Last words of keys whose values are credentials, also if they are written as two words."""

_KEY_OWNERS = _read_words(
    "access account admin aes api app application auth bot cipher client consumer crypto deploy deployment ecdsa "
    "encryption function functions gpg hmac host ingest ingestion integration jwt license master oidc pass pem "
    "pgp preshared priv private"
) | _read_words(
    "read rest routing rsa saml secret security server service session shared sign signature signing ssh ssl storage "
    "certificate subscription tls vapid webhook webhooks write"
)
"""Words before "key": an `api_key` is a credential, a `project_key`, `primary_key` or `sortKey` is not."""

_SECRET_PAIRS = frozenset(
    {
        ("connection", "string"),
        ("security", "code"),
        ("recovery", "code"),
        ("recovery", "codes"),
        ("backup", "codes"),
        ("access", "code"),
        ("auth", "code"),
        ("authorization", "code"),
        ("auth", "header"),
        ("authorization", "header"),
        ("basic", "auth"),
        ("hook", "url"),
        ("verification", "code"),
        ("password", "hash"),
        ("passwd", "hash"),
        ("mnemonic", "phrase"),
        ("recovery", "phrase"),
        ("secret", "phrase"),
        ("seed", "phrase"),
        ("rsa", "private"),
        ("ssh", "private"),
        ("webhook", "urls"),  # anyone who knows one can post
    }
)

_COUNT_WORDS = _read_words(
    "context max min maximum minimum num number count total limit used remaining input output per"
)
"""Words that make "tokens" a number of them."""

_TEXT_OWNERS = _read_words("email html mail message text")
"""Words before "signature" that make it the last lines of a letter."""

_PUBLIC_WORDS = frozenset({"public", "publishable"})
"""Words that say that everybody may know the value."""

_NUMERIC_WORDS = _read_words("code codes otp passcode pin")
"""Last words of keys whose values are credentials even as numbers."""

_HARMLESS_WORDS = _read_words(
    "algorithm at audience by count date enabled endpoint endpoints expiration expire expires expiry id ids issuer "
    "kind length method region scope scopes seconds status time timestamp ttl type types uri uris url urls version"
)
"""Last words of keys whose values are no credentials, even below a key that holds credentials."""

_ENVIRONMENTS = _read_words(
    "b backup base confirm confirmation current default dev development encoded eu hex json live local main new old pem"
) | _read_words(
    "plain plaintext previous primary prod production raw sandbox secondary staging stg string test us v value values"
)
"""Last words that say which of several credentials it is, and so nothing about whether it is one."""

_PREFIXED = (
    # token prefixes that issuers document, each with what follows it
    r"[sr]k_(?:live|test|prod|org_live|org_test)_[A-Za-z0-9]{8,}",
    r"sk-(?:proj|ant|or|lf|svcacct|admin|None)-[A-Za-z0-9_-]{12,}",
    r"[c]?sk[-_](?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{20,}",
    r"whsec_[A-Za-z0-9+/=]{12,}",
    r"gb_[a-z]+_[A-Za-z0-9_-]{8,}",
    r"gh[oprsu]_[A-Za-z0-9]{12,}|github_pat_[A-Za-z0-9_]{12,}",
    r"gl[a-z]{2,5}-(?=[A-Za-z_-]{0,30}[0-9A-Z])[A-Za-z0-9_-]{16,}|GR1348941[A-Za-z0-9_-]{12,}",
    r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{8,}|x(?:app|wfp)-[A-Za-z0-9-]{8,}",
    r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{12,}|LTAI[A-Za-z0-9]{12,}|AKID[A-Za-z0-9]{24,}",
    r"AIza[A-Za-z0-9_-]{16,}|ya29\.[A-Za-z0-9_-]{12,}|GOCSPX-[A-Za-z0-9_-]{12,}|1//0[A-Za-z0-9_-]{24,}",
    r"shp(?:at|ca|pa|ss)_[A-Za-z0-9]{12,}|rzp_(?:live|test)_[A-Za-z0-9]{12,}|FLWSECK[-_][A-Za-z0-9_-]{12,}",
    r"access_token\$[a-z]{2,20}\$[a-z0-9]+\$[a-f0-9]{16,}|sq0(?:atp|csp)-[A-Za-z0-9_-]{12,}|EZ[AT]K[A-Za-z0-9]{40,}",
    r"(?:npm|hf|r8|ntn)_[A-Za-z0-9]{16,}",
    r"(?:fw|gsk|pcsk|rnd|nfp|napi|sbp|tfp|sgp|phx|phs|bkua|pnu|fo1|fm2|vcp)_(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{16,}",
    r"(?:pypi|nvapi|xai|pplx|tvly|pul|fio-u|ico|tk-[a-z]{2})-(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9_-]{16,}",
    r"(?:sb_secret|pscale_(?:tkn|pw|oauth)|dckr_(?:pat|oat)|lsv2_(?:pt|sk)|snyk_[a-z]{2,5}|cf(?:ut|at|k))[_.][A-Za-z0-9_.-]{16,}",
    r"(?:secret|rubygems)_[A-Za-z0-9]{32,}|(?:hcaik|glsa|CCIPAT|rdme)_[A-Za-z0-9_]{24,}|ops_eyJ[A-Za-z0-9_-]{24,}",
    r"SG\.[A-Za-z0-9_-]{12,}|mlsn\.[a-f0-9]{24,}|xkeysib-[a-f0-9]{24,}|key-[a-f0-9]{32}|re_[A-Za-z0-9]{6,12}_[A-Za-z0-9]{16,}",
    r"[a-f0-9]{32}-us[0-9]{1,2}|md-(?=[A-Za-z_-]{0,20}[0-9])[A-Za-z0-9_-]{22}",
    r"(?:SK|AC)[a-f0-9]{32}:[a-f0-9]{32}|SK[a-f0-9]{32}",
    r"A(?:TATT|TCTT|TBB)[A-Za-z0-9_=-]{12,}|lin_(?:api|oauth|wh)_[A-Za-z0-9]{12,}|figd_[A-Za-z0-9_-]{12,}",
    r"do[opr]_v1_[A-Za-z0-9]{12,}|dapi[a-f0-9]{24,}|dp\.[a-z]{2,8}\.[A-Za-z0-9._-]{24,}|hv[bsr]\.[A-Za-z0-9_-]{20,}",
    r"PMAK-[A-Za-z0-9-]{16,}|CFPAT-[A-Za-z0-9_-]{24,}|NR(?:AK|II|RA|JS)-[A-Za-z0-9_-]{16,}|tskey-[a-z]+-[A-Za-z0-9-]{12,}",
    r"pat[A-Za-z0-9]{14}\.[a-f0-9]{16,}|pat-[a-z]{2}[0-9]-[a-f0-9-]{32,}|sntry[su]_[A-Za-z0-9_=+/-]{16,}|glc_[A-Za-z0-9+/=]{16,}",
    r"dt0[a-z][0-9]{2}\.[A-Z0-9]{20,}\.[A-Z0-9]{32,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{32,}|HRKU-[A-Za-z0-9_-]{24,}",
    r"(?:sdk|api|mob)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}",
    r"[12]/[0-9]{10,}(?:/[0-9]{10,})?:[a-f0-9]{32}|[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}|mfa\.[A-Za-z0-9_-]{40,}",
    r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}|[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
    r"AQ\.(?=[A-Za-z_-]{0,20}[0-9])[A-Za-z0-9_-]{32,}|fc-[a-f0-9]{32}|v1\.0-[a-f0-9]{24}-[a-f0-9]{64,}|[a-f0-9]{36}NRAL",
    r"access-(?:production|development|sandbox)-[a-f0-9-]{32,}|(?:(?:shippo|duffel)_)?live_[A-Za-z0-9_-]{32,}",
    r"EAA[A-Za-z0-9]{60,}|sl\.[A-Za-z0-9_-]{60,}|pk_[0-9]{6,}_[A-Z0-9]{32}|dG9rOj[A-Za-z0-9+/=]{40,}|A{20}[A-Za-z0-9%]{60,}",
    r"AGE-SECRET-KEY-1[A-Z0-9]{40,}|AKCp[A-Za-z0-9]{40,}|cmVmdGtu[A-Za-z0-9]{40,}|oy2[a-z0-9]{43}|sq[upa]_[a-f0-9]{40}",
    r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+",  # JSON web tokens; each start is tried once
)

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
    rf"(?<![A-Za-z0-9])(?:{'|'.join(_PREFIXED)})",
    r"-----BEGIN [A-Z ]*PRIVATE KEY|---- BEGIN SSH2 [A-Z ]*PRIVATE KEY|PuTTY-User-Key-File",
    # credentials inside addresses: a password, a long user without one, the code of an Azure function
    r"://[^/\s:@?#]*:[^/\s@]+@",
    r"://[^@/:\s?#]{18,}@",
    r"[?&]code=[A-Za-z0-9_/+%-]{40,}",
    # credentials inside texts
    r"(?i:\b(?:bearer|basic|token|apikey|ssws|geniekey|splunk|flyv1))\s+(?=[^\s]{0,80}(?:[0-9=]|[a-z][A-Z]))[A-Za-z0-9._~+/=-]{6,}",
    r"(?:\s-u|--user)[ =]['\"]?[^\s:'\"]{1,100}:[^\s'\"]{4,}",
    r"(?i:\S@\S{1,200}/token:\S{8,})",
    # an option of a command, and a line of .netrc
    r"(?:(?<![A-Za-z0-9-])--?[Pp]assword|\blogin\s{1,8}\S{1,100}\s{1,8}password)\s{1,8}(?=\S{0,80}(?:[0-9]|[a-z][A-Z]))[^\s-]\S{5,}",
)
_SHAPE = re.compile("|".join(_SHAPES))

_SHORTEST = 6
"""Characters of the shortest text with the shape of a credential, `://:p@`."""

_SHORTEST_WORD = 16
"""The same for letters and digits alone: AWS's access keys have 16 or more."""

_MAX_REMEMBERED = 64
"""Characters of a key whose judgement is remembered."""

_HOOK = re.compile(
    r"(?i:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/\S|discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/\S"
    r"|outlook\.office(?:365)?\.com/webhook/\S|webhook\.office\.com/\S|hooks\.zapier\.com/hooks/\S"
    r"|api\.telegram\.org/bot\S|maker\.ifttt\.com/\S{1,200}/key/\S|hook\.[a-z0-9.]{0,20}(?:make|celonis|integromat)\.com/\S"
    r"|events\.pagerduty\.com/integration/\S|hc-ping\.com/\S|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/\S{0,20}hook/\S"
    r"|hooks\.airtable\.com/\S|alert\.victorops\.com/integrations/\S|uptime\.betterstack\.com/api/v1/heartbeat/\S"
    r"|\.m\.pipedream\.net|webhooks\.gitter\.im/e/\S|api\.vercel\.com/v1/integrations/deploy/\S"
    r"|logic\.azure\.com\S{0,500}[?&]sig=|http-intake\.logs\.[a-z0-9.]{1,20}/v1/input/\S)"
)
"""Addresses at which anyone who knows them can post."""

_ADDRESS = re.compile(r"://([^\s?#\"'<>]+)")
_UNGUESSABLE = re.compile(
    r"(?=[^0-9]*[0-9])[A-Za-z0-9_]{20,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
"""A segment of a path that nobody can guess. Below a segment with "hook", anyone who knows it can post."""

_PARAMETER = re.compile(r"(?:[?&#;]|%3F|%26)([A-Za-z0-9_.\[\]-]{1,64})(?:=|%3D)(?=[^&#\s]{6})", re.IGNORECASE)
"""A parameter in an address, which can be encoded within another address."""

_HEADINGS = frozenset({"webhook", "webhooks", "auth", "pass", "cookies", "sig"})
"""Words that are credentials as keys, but in a text more often begin a sentence."""

_OPAQUE_PARAMETERS = frozenset({"key", "zapikey", "hapikey", "sessionid", "sid"})
"""Names of parameters that are credentials in addresses, and too common as keys of settings."""

_ASSIGNMENT = re.compile(
    r"(?<![A-Za-z0-9_.-])[_.-]{0,8}([A-Za-z][A-Za-z0-9_.-]{1,63}+)((?:\\{0,16}[\"']|&quot;|&#34;)?)"
    r"(?:\s{0,8}=>?\s{0,8}(?:\\{0,16}[\"'{]|&quot;|&#34;)?(?=[^\s;,&\"'}]{4})"
    r"|(?:\s{0,8}:\s{0,8}(?:\\{0,16}[\"']|&quot;|&#34;)?|>)(?=[^\s]{0,80}(?:[0-9]|[a-z][A-Z]))(?=[^\s;,&\"'<]{6}))"
)
"""A name before its value in a text: `NAME=value`, `name: value`, `"name": "value"`, also as text in text, and
`<name>value`."""


def split_key(key: str) -> list[str]:
    """Return the words of a key in lower case: `["api", "key"]` for api_key, apiKey, API-Key and api.key."""
    return [word.lower() for word in _WORD.findall(unicodedata.normalize("NFKC", key))]


def is_secret_key(key: str) -> bool:
    """Whether the words of a key say that its value is a credential."""
    return _is_secret_name(key) if len(key) <= _MAX_REMEMBERED else _has_secret_words(key)


def _has_secret_words(key: str) -> bool:
    words = [word for word in split_key(key) if not word.isdecimal()]
    if not words or not _PUBLIC_WORDS.isdisjoint(words):
        return False
    while len(words) > 1 and words[-1] in _ENVIRONMENTS and tuple(words[-2:]) not in _SECRET_PAIRS:
        words.pop()
    *before, last = words
    owner = before[-1] if before else ""
    if last in {"key", "keys"}:
        return owner in _KEY_OWNERS
    if last == "signature" and not _TEXT_OWNERS.isdisjoint(before):
        return False
    if last == "tokens" and not _COUNT_WORDS.isdisjoint(before):
        return False
    return last in _SECRET_WORDS or owner + last in _SECRET_WORDS or (owner, last) in _SECRET_PAIRS


_is_secret_name = lru_cache(4096)(_has_secret_words)  # objects of one kind have the same keys


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
    """Whether a text, or what is shown of it, is or contains a credential, whatever its key is."""
    shown = strip_unseen(text)
    return _has_shape(text) or (shown != text and _has_shape(shown))


def _has_shape(text: str) -> bool:
    if len(text) < _SHORTEST or (len(text) < _SHORTEST_WORD and text.isalnum()):
        return False
    return (
        _SHAPE.search(text) is not None
        or ("/" in text and _HOOK.search(text) is not None)
        or any(_is_secret_hook(path) for path in _ADDRESS.findall(text))
        or (("=" in text or "%3" in text) and any(_is_secret_parameter(name) for name in _PARAMETER.findall(text)))
        or any(_is_secret_assignment(name, quote) for name, quote in _ASSIGNMENT.findall(text))
    )


def _is_secret_hook(path: str) -> bool:
    """Whether a host and path lead to a hook that only those know who may post to it."""
    if "hook" not in path.lower():
        return False
    segments = path.split("/")
    hooks = (number for number, segment in enumerate(segments) if "hook" in segment.lower())
    first = next(hooks, len(segments))
    return any(_UNGUESSABLE.fullmatch(segment) for segment in segments[first + 1 :])


def _is_secret_parameter(name: str) -> bool:
    return name.lower() in _OPAQUE_PARAMETERS or is_secret_key(name)


@lru_cache(1024)  # a text repeats few names
def _is_secret_assignment(name: str, quote: str) -> bool:
    """Whether a name in a text says that a credential follows. Without quotes, some are headings."""
    return is_secret_key(name) and (bool(quote) or split_key(name)[-1] not in _HEADINGS)
