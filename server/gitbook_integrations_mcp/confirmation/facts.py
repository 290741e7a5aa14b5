"""The facts of a preview: what the call itself names, and what GitBook says about its target. Pure functions.

The values of the call are shown exactly: characters that format text as others that look alike, invisible ones as
escapes. GitBook's response contains text of third parties. It cannot end a line, a fact or its quotation marks. A
client that renders Markdown finds none in either. No part of third parties' text is a link.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import Url

from gitbook_integrations_api.catalog import ENDPOINTS
from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_api.rules import RULES
from gitbook_integrations_api.scopes import SIGN_IN
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.masking import list_revocable
from gitbook_integrations_mcp.calls.response import get_path
from gitbook_integrations_mcp.errors import CallError, CredentialError, LimitError, StatusError, UnreachableError
from gitbook_integrations_mcp.store.pending import Fact
from gitbook_integrations_mcp.text import QUOTES, clean_text, escape_character, escape_unseen, format_count

MAX_NAMED = 10
"""Number of affected spaces, sites or installations that are named; the others are counted."""

_ENDING = frozenset(one.ended_by for one in ENDPOINTS.values() if one.ended_by)
"""Tools that end a mode, and remove nothing."""

MAX_LISTED = 50
"""Number of keys or texts of the call that are listed; the others are counted."""

LOSSES = "Losses"
"""Label of what a deletion removes below its target, where not all of it is shown."""

_UNITS: Mapping[str, str] = {"schedule": " seconds"}
"""Units of the arguments whose names do not say it."""

_LOOK_ALIKES = dict(zip("[]*<>&`_~$|\\\n", "［］∗＜＞＆｀＿～＄｜＼↵", strict=True))
"""Characters that are shown instead of line feeds and of those with which Markdown hides, strikes or replaces text."""

_HARMLESS = str.maketrans(
    {
        **dict.fromkeys('“”„‟″❝❞〝〞＂"«»‹›‘’‚‛「」『』`', "'"),
        **{char: _LOOK_ALIKES[char] for char in "[]*<>&~$|\\"},
        "!": "！",
    }
)
"""Replaces quotation marks, and what begins links, images, code, emphasis, formulas, entities and HTML in Markdown."""

_MARKUP = re.compile(rf"[<>\[\]`*~$|\\\n{''.join(_LOOK_ALIKES.values())}]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w{{1,40}};)")
"""The characters that have a look-alike, and the look-alikes. Underscores within words format nothing."""

_LINK = re.compile(r":(?=//)|(?<=\w)[.@](?=[^\W\d_])")
"""The characters by which clients recognize URLs, hosts and e-mail addresses in plain text, and make links of them."""

_APP = re.compile(r"https://app\.gitbook\.com/[\w/.-]{1,200}", re.ASCII)
"""A URL of GitBook's app, without characters that could format text."""

_REMOVED = re.compile(r"[\t\r\n]")
"""Characters that browsers remove from an address before they read it."""

_ADDRESS = re.compile(r"[^\w/\\]*(?:[a-z][a-z0-9+.-]+:[/\\]|(?:https?|wss?|ftp):|[/\\]{2})", re.IGNORECASE)
"""The beginning of each text that some program reads as an address with a host."""

_CLEAR_ADDRESS = re.compile(r"\w[\w+.-]+://(?:[^\s\\@/?#]*@)?[^\s\\@/?#%,;|]+(?:[/?#].*)?", re.DOTALL)
"""An address in which all programs find the same host. Elsewhere, a backslash for example ends the host or does not."""

_ANOTHER_ADDRESS = re.compile(r"[^\w.~%/?#=&:@+$*!-](?:[a-z][a-z0-9+.-]+:)?[/\\]{2}", re.IGNORECASE)
"""The beginning of a further address, for a program that reads a list of addresses."""

UNCLEAR_HOST = "unclear (programs can read this address in different ways)"

_ESCAPED_QUOTES = str.maketrans({mark: escape_character(mark) for mark in QUOTES})
_NO_LINK = str.maketrans(":.@", "：․＠")


def describe_call(call: Call) -> Iterator[Fact]:
    """Yield what the call itself names: the arguments in its path and query, and its options."""
    tool, arguments = call.tool, call.arguments
    named = tool.input.model_fields.keys() - (tool.body_names if isinstance(tool, Endpoint) else ())
    values = {**arguments, **call.chosen_options}
    for name in values:
        if name in named or name in call.chosen_options:
            yield from _describe_argument(name, values[name])


def describe_effect(effect: Sequence[tuple[str, str]]) -> Iterator[Fact]:
    """Yield what a call of a composite tool would do, as its handler or its plan describes it."""
    for label, value in effect:
        yield Fact(label, clean_foreign(value, 500))


def scrub_facts(described: Iterable[Fact | str], scrub: Callable[[str], str]) -> tuple[Fact, ...]:
    """Return the facts of what was described, without tokens. Texts among them are notes, not facts."""
    return tuple(Fact(scrub(one.label), scrub(one.value)) for one in described if isinstance(one, Fact))


def name_all(things: Sequence[Any]) -> str:
    """Return objects by title and ID. If there are very many, the others are counted."""
    return f"{len(things)}: {join_items([format_name(thing) for thing in things])}" if things else "0"


def name_keys(keys: Sequence[str]) -> str:
    """Return the keys of a configuration without their values. If there are very many, the others are counted."""
    return join_items([clean_foreign(key, 60) for key in keys]) or "none"


def describe_settings(call: Call) -> Iterator[Fact]:
    """Yield what the call sets, without objects: `setting_facts` shows these, because some hold credentials."""
    if isinstance(call.tool, Endpoint):
        for name, value in call.arguments.items():
            if name in call.tool.body_names and not isinstance(value, Mapping):
                yield from _describe_argument(name, value)


def write_title(
    call: Call,
    integration: Mapping[str, Any] | CallError | None,
    target: Mapping[str, Any] | CallError,
    organization: Mapping[str, Any] | str | None,
    places: Mapping[Any, Mapping[str, Any] | None],
) -> str:
    """Return the title of a question: the act with the titles of what it is about, or else with names and IDs."""
    arguments = call.arguments
    known = target if isinstance(target, Mapping) else {}
    names = {
        "integration": _format_title(integration, arguments.get("integrationName")),
        "organization": _format_title(organization, organization or "its organization"),
    }
    finding = clean_foreign(arguments.get("finding"), 60)
    names["finding"] = f"all findings of the rule {finding}" if finding in RULES else f"the finding {finding}"
    for level in LEVELS:
        identifier = arguments.get(f"{level}Id") or arguments.get(level)
        items = (places.get(level) or {}).get("items", ())
        listed = next((one for one in items if one.get("id") == identifier), None)
        names[level] = _format_title(listed or known.get(level), identifier)
    return f"{call.tool.act.format_map(names) if call.tool.act else call.tool.title}?"


def _format_title(thing: Any, otherwise: Any) -> str:
    title = thing.get("title") if isinstance(thing, Mapping) else None
    return f"“{clean_title(title, 60)}”" if title else clean_foreign(otherwise, 60)


def name_requester(session: Any) -> str:
    """Return name and version of the client, as it gives them, or nothing if it gives none."""
    params = session.client_params
    info = params.client_info if params else None
    return clean_title(f"{info.name} {info.version}", 80) if info else ""


def find_link(*things: Mapping[str, Any] | CallError | None) -> str:
    """Return the URL of the first of `things` that GitBook gives one in its app, or nothing."""
    links = (get_path(one, "urls.app") for one in things if isinstance(one, Mapping))
    return next((link for link in links if isinstance(link, str) and _APP.fullmatch(link)), "")


def describe_target(
    reader: Endpoint | None,
    target: Mapping[str, Any] | CallError,
    organization: Mapping[str, Any] | str | None,
) -> Iterator[Fact | str]:
    """Yield the state of the target, or why it is unknown."""
    if reader is None:
        return
    if isinstance(target, CallError):
        yield f"The target could not be read ({describe_failure(target)}). Its state is unknown."
        return
    if "name" in target and "version" in target:
        yield from describe_integration(target)
        return
    for level in LEVELS:
        if level in target:
            yield Fact(level.capitalize(), format_name(target[level]))
    if organization and target:  # else the call creates the target, and names the organization itself
        yield Fact("Organization", format_name(organization))
    if "status" in target:
        yield Fact("Status", format_name(target["status"]))
    for level in LEVELS:
        if f"{level}_selection" in target:
            yield Fact(f"{level.capitalize()}s", format_name(target[f"{level}_selection"]))


def describe_integration(integration: Mapping[str, Any]) -> Iterator[Fact]:
    """Yield facts about an integration. No text of its publisher stands beside what GitBook says about it."""
    yield Fact("Integration", format_name(integration))
    version, visibility = (clean_foreign(integration.get(key), 40) for key in ("version", "visibility"))
    verified = "verified by GitBook" if integration.get("verified") else "not verified by GitBook"
    yield Fact("Version", f"{version} ({visibility}, {verified})")
    if owner := integration.get("owner"):
        yield Fact("Owner", format_name(owner))


def describe_removal(call: Call, integration: Any) -> Iterator[Fact]:
    """Yield what readers lose with an integration that a call removes everywhere or from a place: sign-in, and blocks.

    Visitors sign in on sites, and blocks are in the pages of spaces.
    """
    tool = call.tool
    if not isinstance(tool, Endpoint) or tool.method != "DELETE" or tool.name in _ENDING:
        return
    known = integration if isinstance(integration, Mapping) else {}
    if "spaceId" not in call.arguments and isinstance(scopes := known.get("scopes"), list) and SIGN_IN in scopes:
        effect = "Without it, they may be locked out, or the sites may be open to everyone."
        yield Fact("Sign-in", f"Visitors of sites sign in with this integration. {effect}")
    if "siteId" not in call.arguments and isinstance(blocks := known.get("blocks"), list) and blocks:
        yield Fact("Blocks that pages lose", name_all(blocks))


def describe_context(
    reader: Endpoint, response: Mapping[str, Any] | CallError, organizations: Sequence[Mapping[str, Any]] = ()
) -> Iterator[Fact | str]:
    """Yield the integration, or a list of what a deletion affects, or why it is unknown.

    `organizations` are those whose titles are known.
    """
    if reader.result.shape == "object":
        if isinstance(response, CallError):
            yield f"The integration could not be read ({describe_failure(response)})."
        else:
            yield from describe_integration(response)
        return
    level = reader.path.rpartition("/")[2]
    label = f"Affected {level}"
    if isinstance(response, CallError):
        yield Fact(label, f"could not be read ({describe_failure(response)})")
        return
    items = response["items"]
    more = "" if response.get("next") is None else "+"
    named = ", ".join(format_name(item.get(level[:-1], item), organizations) for item in items[:MAX_NAMED])
    rest = f", and {len(items) - MAX_NAMED}{more} more" if len(items) > MAX_NAMED else ""
    yield Fact(label, f"{len(items)}{more}" + (f": {named}{rest}" if items else ""))


def describe_loss(call: Call, target: Mapping[str, Any] | CallError) -> Iterator[Fact]:
    """Yield what a call removes: keys of the configuration without values, external IDs, and what to revoke."""
    if isinstance(target, CallError) or not isinstance(call.tool, Endpoint) or call.tool.method == "GET":
        return
    for name, label, kind in (("configuration", "Configuration", Mapping), ("externalIds", "External IDs", list)):
        current, kept = target.get(name), call.arguments.get(name)
        if not isinstance(current, kind) or (kept is None and call.tool.method != "DELETE"):
            continue
        if lost := [clean_title(one, 60) for one in current if kept is None or one not in kept]:
            yield Fact(f"{label} that {'is' if name == 'configuration' else 'are'} lost", join_items(lost))
    if call.tool.method == "DELETE" and (revocable := list_revocable(target)):
        yield Fact("Credentials to revoke where they were issued", name_keys(revocable))


def name_losses(
    losses: Iterable[Fact], target: Mapping[str, Any] | CallError, arguments: Mapping[str, Any]
) -> Iterator[Fact]:
    """Yield losses with the space or site on which they are, for the preview of several calls.

    The arguments name the place of a target that could not be read, or that an earlier call creates.
    """
    places = {} if isinstance(target, CallError) else target
    place = places.get("space") or places.get("site") or arguments.get("spaceId") or arguments.get("siteId")
    for loss in losses:
        yield Fact(loss.label, f"{loss.value}; on {format_name(place)}") if place else loss


def describe_losses(call: Call, places: Iterable[Mapping[str, Any]]) -> Iterator[Fact]:
    """Yield what a deletion removes on installations, spaces or sites of its target."""
    for place in places:
        named = format_name(place.get("space") or place.get("site") or place.get("id"))
        yield from (Fact(loss.label, f"{loss.value}; on {named}") for loss in describe_loss(call, place))


def limit_facts(facts: Sequence[Fact], what: str) -> list[Fact]:
    """Return as many facts as are shown. If there are more, the first fact says how many of `what` are not shown."""
    if len(facts) <= MAX_LISTED:
        return list(facts)
    return [Fact(f"{what}, not shown", f"{len(facts) - MAX_LISTED:,} of {len(facts):,}"), *facts[:MAX_LISTED]]


def describe_failure(error: CallError) -> str:
    """Return why something could not be read, without GitBook's text."""
    match error:
        case StatusError():
            return f"GitBook answered {error.status}"
        case CredentialError():
            return "GitBook accepts none of the configured tokens for it"
        case LimitError():
            return "GitBook's rate limit is used up"
        case UnreachableError():
            return "GitBook did not answer" if error.sent else "GitBook could not be reached"
        case _:
            return "GitBook's response is invalid"


def _describe_argument(name: str, value: Any) -> Iterator[Fact]:
    """Yield the value of an argument, and the host of a URL as a fact of its own."""
    label = name_argument(name)
    yield Fact(label, f"{_format_argument(value)}{_UNITS.get(name, '')}")
    if host := find_host(value):
        yield Fact(f"{label}, host", format_text(host))


def name_argument(name: str) -> str:
    """Return the name of an argument or field in words: `Tunnel URL` for `tunnelUrl`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).lower()
    words = re.sub(r"\b(?:id|url)", lambda found: found.group().upper(), words)
    return words[:1].upper() + words[1:]


def find_host(text: Any) -> str | None:
    """Return the host of a text that is an address, in ASCII, or that it is unclear. Return None for any other text."""
    if not isinstance(text, str) or not _ADDRESS.match(_REMOVED.sub("", text)):
        return None
    is_clear = _CLEAR_ADDRESS.fullmatch(text) and not _ANOTHER_ADDRESS.search(text)
    try:
        host = Url(text).host if is_clear else None
    except ValueError:
        host = None
    return host or UNCLEAR_HOST


def _format_argument(value: Any) -> str:
    """Return a value as it is sent. A character that cannot be seen appears as its escape, and a cut value says so."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return f"{join_items([format_item(str(key), 40) for key in value])} (values not shown)" if value else "empty"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return join_items([format_item(item, 256) for item in value]) or "empty"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return (
        format_text(str(value)) or "empty"
        if isinstance(value, str | int | float)
        else f"{format_count(len(value), 'item')} (not shown)"
    )


def format_item(text: str, limit: int) -> str:
    """Return an item of a list, in quotation marks if it could be read as several."""
    shown = format_text(text, limit)
    return f'"{shown}"' if not text or '"' in text or "," in text or text != text.strip() else shown


def format_text(text: str, limit: int = 256) -> str:
    # A look-alike that is in the text is escaped, so that different texts never look the same.
    shown = _MARKUP.sub(lambda found: _LOOK_ALIKES.get(found.group()) or escape_character(found.group()), text[:limit])
    shown = escape_unseen(shown)
    return shown if len(text) <= limit else f"{shown}… ({len(text):,} characters)"


def quote_text(text: str, limit: int) -> str:
    """Return a text of the call in quotation marks, which it cannot close."""
    return f"“{format_text(text, limit).translate(_ESCAPED_QUOTES)}”"


def join_items(items: Sequence[str]) -> str:
    """Return items on one line. If there are many, the others are counted."""
    rest = f", and {len(items) - MAX_LISTED:,} more" if len(items) > MAX_LISTED else ""
    return ", ".join(items[:MAX_LISTED]) + rest


def format_name(thing: Any, organizations: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return ID and title of an object, or only one of them. No title can close the quotes that it stands in.

    An installation has no title, but an organization, which is among `organizations` if its title is known.
    """
    if not isinstance(thing, Mapping):
        return clean_foreign(thing, 80)
    identifier = thing.get("name") or thing.get("id") or ""
    if organization := get_path(thing, "target.organization"):
        known = next((one for one in organizations if one.get("id") == organization), organization)
        return f"{clean_foreign(identifier, 100)} in organization {format_name(known)}"
    title = f"“{clean_title(title, 80)}”" if (title := thing.get("title")) else ""
    name = clean_foreign(identifier, 100)
    return f"{name} ({title})" if name and title else name or title


def clean_foreign(text: Any, limit: int) -> str:
    """Return text of GitBook or a third party as one line, without characters that quote or format."""
    return clean_text(str(text), limit).translate(_HARMLESS)


def clean_title(text: Any, limit: int) -> str:
    """Return free text of a third party like `clean_foreign`, and so that no client makes a link of a part of it."""
    return _LINK.sub(lambda found: found.group().translate(_NO_LINK), clean_foreign(text, limit))


def quote_value(text: str, limit: int) -> str:
    """Return a value like `clean_title`, with line feeds as `quote_text` shows them in the value that replaces it."""
    shown = clean_title(text.replace("\n", _LOOK_ALIKES["\n"]), limit)
    return f"“{shown}”"
