"""Every error text of this program in one table: what it says, and what it means to whoever reads it.

The README's section on what goes wrong is made of it. `tests/test_troubles.py` reads the source for texts that have no
row here, and provokes what has one.
"""

import re
from typing import NamedTuple


class Trouble(NamedTuple):
    """Texts that mean the same. `…` in them stands for what differs from time to time."""

    kind: str
    """The class of the error, or the status of a call that no human said yes to."""
    texts: tuple[str, ...]
    meaning: str

    def covers(self, said: str) -> bool:
        """Whether one of the texts is in what was said."""
        return any(re.search(".*".join(map(re.escape, text.split("…"))), said, re.DOTALL) for text in self.texts)


def _of(kind: str, *texts: str, means: str) -> Trouble:
    return Trouble(kind, texts, means)


TROUBLES: dict[str, tuple[Trouble, ...]] = {
    "Calls that were refused here": (
        _of(
            "ArgumentsError",
            "The arguments do not fit …; nothing was sent.",
            means="Each line below it names an argument, the rule, and the nearest valid name or value.",
        ),
        _of(
            "ArgumentsError",
            "hold text that is not valid Unicode, a number that is not finite, or too many levels of nesting",
            means="JSON cannot carry such a value to GitBook.",
        ),
        _of(
            "ArgumentsError",
            "is no page of this section",
            "There is no such cursor.",
            means="A cursor is good for the list that gave it; start that list again.",
        ),
        _of(
            "SegmentError",
            "must not be empty",
            'must not be "." or "..", which would change the path',
            "must not contain slashes, backslashes or control characters",
            "is not valid Unicode text",
            means="The value becomes part of an address, and may not change which.",
        ),
        _of(
            "PydanticCustomError",
            "must be an absolute http or https URL",
            "is not valid Base64 (padded, without line breaks)",
            "must not name a property twice",
            means="The value of an argument, or of a setting, is not what GitBook or this program can use.",
        ),
        _of("UnknownToolError", "There is no tool of that name", means="The nearest names are told."),
        _of(
            "UnknownResourceError",
            "There is no resource at that address.",
            means="The addresses there are follow.",
        ),
        _of(
            "MCPError",
            "There is no such template",
            "There is no prompt of that name.",
            "The arguments do not fit …:",
            means="A prompt or a template was asked for by a wrong name, or without what it needs.",
        ),
        _of(
            "DisabledToolError",
            "is switched off on this server",
            "that are switched off on this server",
            means="Read-only mode or a filter of toolsets; the setting is named.",
        ),
        _of(
            "DisabledToolError",
            "waits for a human on this server; only a call of that tool can ask one",
            means="A resource reads with a tool in `confirmation.also`; call the tool.",
        ),
        _of(
            "MaskError",
            "holds what stands for a value that was not shown",
            "GitBook has none there",
            "GitBook has several there",
            "holds a credential, which GitBook may drop",
            means="A mask was sent back in a place where it can stand for nothing, or for several values.",
        ),
        _of(
            "TargetError",
            "first reads what it changes, and that failed",
            means="Masks can be filled in only from what is there now; the reason why it could not be read follows.",
        ),
        _of(
            "CredentialError",
            "needs …, and … Nothing was sent.",
            means="None is configured, or came with the request, of the kinds of token that the endpoint accepts.",
        ),
        _of(
            "JournalError",
            "The journal cannot be written",
            means="What cannot be recorded is not sent; `journal.path`, its rights, or the disk has to be mended.",
        ),
        _of(
            "StoreError",
            "the store of such questions …; nothing was sent",
            "cannot be reached",
            "refuses this server's login",
            "does not answer in time",
            means="Redis (`confirmation.store`) is down, slow, or refuses the login.",
        ),
        _of(
            "MCPError",
            "Too many clients watch resources of this server.",
            "This session watches …, which is all it may.",
            means="End subscriptions that nobody needs.",
        ),
    ),
    "Calls without a human's yes": (
        _of(
            "confirmation_required",
            "this waits for a human's yes. Give them the url",
            "Show the human the preview and ask.",
            means="The client cannot ask by a form; a page or a second call does (`confirmation.fallback`).",
        ),
        _of("declined", "A human declined.", means="Nothing happened, and it is not to be tried again unasked."),
        _of(
            "cancelled",
            "The question was closed without an answer.",
            means="Somebody closed it; or the client did, unshown: set `confirmation.ask` to `fallback`.",
        ),
        _of("not_ticked", "The form came back without its box ticked", means="That is a no."),
        _of(
            "wrong_name",
            "The name that was typed is not the one that was asked for.",
            means="A guard against a yes to the wrong thing; call again.",
        ),
        _of("malformed", "is not the form that was asked for", means="A defect of the client."),
        _of(
            "expired",
            "The question is spent or too old.",
            means="A yes is good once, and for `confirmation.ttl` seconds.",
        ),
        _of(
            "target_changed",
            "The target kept changing while the question was put.",
            means="A yes is to what was shown; somebody else changes it at the same time.",
        ),
        _of(
            "refused",
            "The client cannot ask for one, and the operator of this server allows no other way",
            means="`confirmation.fallback` is `refuse`, or a shell without a terminal called.",
        ),
    ),
    "GitBook, and the way to it": (
        _of(
            "StatusError",
            "GitBook answered … with 401",
            "GitBook answered … with 403",
            means="The token is wrong or expired / has no right to this. The kinds the endpoint accepts are named.",
        ),
        _of(
            "StatusError",
            "GitBook answered … with 404",
            means="It does not exist, or the token may not see it. The tools that list valid IDs are named.",
        ),
        _of(
            "StatusError",
            "GitBook answered … with 400",
            "GitBook answered … with 409",
            "GitBook answered … with 412",
            "GitBook answered … with 422",
            means="GitBook's own words follow; nothing was changed.",
        ),
        _of("StatusError", "GitBook answered … with 5…", means="The fault is GitBook's; see its status page."),
        _of(
            "LimitError",
            "GitBook answered … with 429",
            "GitBook's limit for this token is used up.",
            means="Too many requests; how long to wait is told. Shorter waits happen unseen.",
        ),
        _of(
            "LimitError",
            "other calls with this token are under way or wait",
            means="More parallel calls than `limits.concurrency` lets through in time.",
        ),
        _of(
            "UnreachableError",
            "Whether it took effect is not known",
            means="No answer came to what was sent. Read the current state first; the tool that tells it is named.",
        ),
        _of(
            "UnreachableError",
            "An earlier attempt of this call, whose answer got lost",
            means="A request was repeated, and the first time may have done it.",
        ),
        _of(
            "UnreachableError",
            "did not answer within …",
            "did not answer completely within …",
            "took nothing of the request for …",
            "broke before the answer was complete",
            means="GitBook, or something on the way, fails; what could safely be repeated was.",
        ),
        _of(
            "UnreachableError",
            "more than … MB, which is not read",
            means="Ask for less, with a smaller `limit`.",
        ),
        _of(
            "UnreachableError",
            "an answer compressed in a way that was not asked for",
            "an answer whose compression is cut off",
            "an answer whose compression is broken",
            "an answer that is not valid HTTP",
            means="Something between here and GitBook damages answers, or `GITBOOK_ENDPOINT` leads somewhere else.",
        ),
        _of(
            "UnreachableError",
            "GitBook could not be reached at …: …",
            "no secure connection",
            "the proxy did not connect",
            "the name does not resolve",
            "nothing answers there",
            "no connection within …",
            means="Name, network, proxy or certificate; what to check is told.",
        ),
        _of(
            "AnswerError",
            "GitBook answered … with … (status …)",
            "with a redirect (…), which is not followed",
            "a web page instead of JSON",
            "with JSON that is not",
            "text that is not valid JSON, perhaps cut off",
            "an empty answer",
            means="`GITBOOK_ENDPOINT` or a proxy leads somewhere else.",
        ),
        _of(
            "AnswerError",
            "GitBook says that the list goes on, but not where",
            "GitBook's list does not end",
            "of its items are malformed",
            "GitBook gave an ID that cannot be asked for",
            means="A list is not as the API has it. An audit goes on without it, and says so.",
        ),
        _of(
            "AnswerError",
            "GitBook lists no … here.",
            means="An audit was narrowed to something that there is not; the nearest name is told.",
        ),
        _of(
            "DefectError",
            "failed inside this server",
            means="Please report it, with what standard error says; it holds no arguments.",
        ),
    ),
    "Audits": (
        _of(
            "BaselineError",
            "The earlier report is no audit report",
            "The earlier report is on another organization or another part of it",
            "There is no earlier audit of this to compare with",
            "The last audit was not compared with any",
            means="A comparison takes a whole earlier report of the same organization, with the same narrowing.",
        ),
        _of(
            "AcceptanceError",
            "The file of accepted findings (audit.accepted) cannot be read",
            "The file of accepted findings (audit.accepted) is not valid JSON",
            "The file of accepted findings (audit.accepted) must be a list",
            means="No audit is made, as findings would be shown that were accepted, or accepted that were not.",
        ),
        _of(
            "SettingsError",
            "Which organization? Give its ID, or set GITBOOK_ORGANIZATION.",
            means="An audit is of one. Its ID is what `call list_organizations_for_authenticated_user` lists.",
        ),
        _of(
            "SettingsError",
            "The settings file … cannot be read: …",
            "… cannot be read: …",
            "… cannot be written: …",
            "… is not valid JSON",
            means="A file that `audit` or `--config` was told to use.",
        ),
    ),
    "Settings and the command line": (
        _of(
            "SettingsError",
            "no such setting",
            "no such variable",
            "no such tool",
            "no such …",
            means="A name is misspelt; the nearest one is told.",
        ),
        _of(
            "SettingsError",
            "must hold a JSON object of sections",
            "holds JSON that cannot be parsed",
            means="See [config.example.json](config.example.json).",
        ),
        _of(
            "PydanticCustomError",
            "contains a space or a line break: only a part of it is the token",
            "contains characters that cannot be part of a token",
            "is empty",
            means="The token was not copied whole, or with something around it.",
        ),
        _of(
            "PydanticCustomError",
            "must not carry a user, a password, a query or a fragment",
            "must be an address without a path",
            "must be an https URL (http only on loopback)",
            "must not carry a query or a fragment",
            "must be memory, or an absolute redis or rediss URL",
            means="The setting in front of it is an address of another form.",
        ),
        _of(
            "PydanticCustomError",
            "must have at least … characters each",
            "must differ from each other",
            "keys needs one, or no replica could open what another sealed",
            means="`confirmation.keys`: `openssl rand -hex 32` makes one.",
        ),
        _of(
            "PydanticCustomError",
            "needs oauth.issuer; without it, nobody is asked for an access token",
            means="Other settings of `oauth` mean nothing alone.",
        ),
        _of(
            "SettingsError",
            "Redis needs a package that is not installed",
            "the URL has a part that Redis's client cannot use",
            means="`confirmation.store` cannot be opened.",
        ),
        _of(
            "SettingsError",
            "stdio serves one client alone",
            "an SSE client's stream lives in one process",
            "each would have an embedded GitBook of its own",
            "what a human is asked by one worker must be known to all",
            means="Transports or workers that cannot work together.",
        ),
        _of(
            "SettingsError",
            "can be reached by others, so callers must show who they are",
            "the page on which people confirm needs an address",
            "access tokens are issued for an address, and clients are told it",
            means="Beyond loopback, the server wants to know its callers and its own address.",
        ),
        _of(
            "JSONRPCError",
            "The line is not JSON in UTF-8.",
            "The line is not a JSON-RPC 2.0 message.",
            "The line is longer than … bytes; it was skipped.",
            "Batches are not part of MCP.",
            means="Over stdio, a line came that is no message. Nothing else is lost.",
        ),
        _of("SettingsError", "http.host …, http.port …: …", means="It cannot listen there; the system says why."),
        _of(
            "UsageError",
            "the arguments are not valid JSON",
            "the arguments must be one JSON object",
            "not key=value",
            means="`call TOOL` takes pairs, one JSON object, or `-`.",
        ),
    ),
    "Callers over HTTP": (
        _of(
            "408",
            "The request did not arrive in time.",
            means="A client, or something on its way, sends too slowly; `http.request_seconds` is its time.",
        ),
        _of(
            "503",
            "Too many connections to this server; try again later.",
            means="`http.connections` is how many it takes.",
        ),
        _of(
            "400",
            "One of these headers came twice, which says nothing",
            means="Have the proxy replace the header that its client sends, not add one to it.",
        ),
        _of(
            "400",
            "… names a toolset that there is not.",
            means="`X-MCP-Toolsets` takes names that it then lists, with commas between them.",
        ),
        _of(
            "421",
            "This server does not answer to that Host",
            "Requests from that Origin are not let in",
            means="Set `http.public_url` or `http.allowed_hosts` to the address under which clients reach the server.",
        ),
        _of(
            "BearerError",
            "Callers of this server show a bearer token",
            "This server does not know the bearer token.",
            means="401: `gitbook-integrations-mcp token NAME` makes one, for `http.tokens`.",
        ),
        _of(
            "BearerError",
            "The access token is refused",
            "it has expired",
            "it is not valid yet",
            "it is meant for another audience than …",
            "its signature is wrong",
            "it does not say …",
            "it is malformed",
            "The access token lacks the scope",
            "The authorization server does not answer",
            means="401, 403, 503: the reason is told; see `oauth`.",
        ),
        _of(
            "IssuerError",
            "publishes no metadata of an authorization server",
            "does not answer with a key set (JWKS)",
            "cannot be reached (…)",
            "did not answer within",
            "describes another issuer than oauth.issuer",
            "names no https address of keys (jwks_uri)",
            means="In the log, and from `doctor`: the authorization server is not as `oauth.issuer` says.",
        ),
    ),
    "The page on which a human decides": (
        _of(
            "403",
            "The decision did not come from this page, so it does not count.",
            means="Another page sent it, or the browser tells no origin. Open the link itself.",
        ),
        _of(
            "410",
            "This question is answered, expired, or never was.",
            means="A link is good for one decision, and for `confirmation.ttl` seconds.",
        ),
        _of(
            "421",
            "Open the link exactly as you were given it.",
            means="A proxy or a forwarded port changed the address; `http.public_url` tells the server its own.",
        ),
        _of(
            "422",
            "To approve, tick the box as well.",
            "is not the one asked for. To approve, type exactly …",
            means="Half an approval decides nothing; the page can be sent again.",
        ),
        _of(
            "400, 413",
            "That is not what this page sends.",
            "That is neither of the two answers that the page offers.",
            means="Something else than the page's form came. Nothing was decided.",
        ),
        _of(
            "503",
            "The server cannot reach what it needs to decide this.",
            means="Redis (`confirmation.store`) fails; the question is still open.",
        ),
    ),
    "`doctor`, `install` and other commands": (
        _of(
            "Finding",
            "refused by GitBook (…)",
            means="The token is wrong or expired; the variable to set is named.",
        ),
        _of(
            "Finding",
            "an integration's or an installation's",
            "a user's (…)",
            means="As a warning: the token works, but is of another kind than its variable is for.",
        ),
        _of(
            "Finding", "the answer describes no user", means="What answers at `GITBOOK_ENDPOINT` is not GitBook's API."
        ),
        _of("Finding", "the endpoint is plain http", means="Tokens travel in the clear; use https."),
        _of(
            "Finding", "… s from GitBook's", means="This machine's clock is wrong, and so would be waits for the limit."
        ),
        _of("Finding", "… of … requests left", means="As a warning: another program uses the same token."),
        _of("Finding", "… cannot be written", means="Until the journal can be written, nothing is changed."),
        _of(
            "Finding",
            "Redis …",
            means="Until the store answers, nothing runs that waits for a yes.",
        ),
        _of(
            "Finding",
            "… publishes no key for …",
            means="Add the kind of signature that the issuer makes to `oauth.algorithms`.",
        ),
        _of("Finding", "a call to the embedded GitBook failed", means="A defect of this program; please report it."),
        _of(
            "install",
            "… was not changed: …. Add this by hand:",
            means="The file has comments, is broken, or cannot be written; what to add follows.",
        ),
        _of(
            "sandbox",
            "cannot listen on …: …",
            means="The port is taken, or the address is not this machine's.",
        ),
        _of(
            "call",
            "Run this in a terminal, where it asks.",
            means="What waits for a human's yes does not run from a script.",
        ),
        _of(
            "journal",
            "No journal is kept: set journal.path, or name a file.",
            "… does not exist: nothing has been recorded there yet.",
            "The journal … cannot be read: …",
            means="There is nothing to show.",
        ),
    ),
    "Standard error of a server": (
        _of(
            "log",
            "the outcome of … is not in the journal: …",
            means="The call is recorded, but not how it ended; mend the disk before the next.",
        ),
        _of(
            "log",
            "… raised …",
            means="A defect; please report it with the lines below it, which hold no arguments.",
        ),
        _of("log", "confirmation.store: …", means="The kind of error that Redis's client met."),
        _of(
            "log",
            "Callers cannot be told from strangers: …",
            means="The issuer's keys cannot be fetched, so its access tokens let nobody in.",
        ),
        _of(
            "log",
            "More than … connections (http.connections): clients are turned away",
            means="Told at most once a minute.",
        ),
    ),
}
"""By section of the README."""

ROWS = tuple(trouble for rows in TROUBLES.values() for trouble in rows)


def build_trouble_tables() -> str:
    """Return the README's tables of what errors mean."""
    lines = []
    for section, rows in TROUBLES.items():
        lines += ["", f"| {section}: it says | It means |", "| --- | --- |"]
        lines += [f"| {'<br>'.join(f'`{text}`' for text in row.texts)} | {row.meaning} |" for row in rows]
    return "\n".join(lines[1:])
