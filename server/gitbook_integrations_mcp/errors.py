"""Errors, each with a stable code and one text for the model and the human who reads over its shoulder.

    ProgramError                 every error of this program; `code` is stable, `str()` is the text
    ├── SettingsError            settings that cannot be used
    ├── UsageError               a command line that cannot be understood
    └── CallError                a call that gave no result
        ├── RefusedError         refused here, nothing was sent
        │   ├── UnknownToolError
        │   ├── UnknownResourceError
        │   ├── DisabledToolError
        │   ├── PolicyError
        │   ├── ArgumentsError
        │   ├── MaskError
        │   ├── TargetError
        │   ├── CredentialError
        │   ├── LoginError
        │   ├── ResultError
        │   └── StoreError
        ├── UpstreamError        GitBook, or the way to it, failed
        │   ├── StatusError      GitBook answered with an error status
        │   ├── AnswerError      an answer that cannot be read: not JSON, empty, a redirect, another shape
        │   └── UnreachableError no complete answer: connection, TLS, proxy, time-out, size
        │       ├── LimitError   not sent: GitBook's rate limit is used up, or too many calls are ahead
        │       └── SessionError not sent: the login with GitBook has ended, or cannot be read
        └── DefectError          a defect of this server

A text says what happened, why, and what to do next. None holds a credential, and none quotes the HTTP library, whose
texts may hold one.
"""

from enum import StrEnum
from typing import ClassVar, Self


class ErrorCode(StrEnum):
    """Everything that can go wrong, by stable code; the page on troubleshooting is made from this table.

    Texts of errors may change in any release, codes and their meaning do not.
    """

    meaning: str
    """A sentence that says what happened and why."""
    remedy: str
    """A sentence that says what to do next."""

    def __new__(cls, value: str, meaning: str, remedy: str) -> Self:
        code = str.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        code.remedy = remedy
        return code

    # Calls refused by this server; nothing was sent to GitBook

    UNKNOWN_TOOL = (
        "unknown_tool",
        "No tool has this name.",
        "Use a name from `tools/list`; the error suggests the nearest.",
    )
    TOOL_DISABLED = (
        "tool_disabled",
        "The settings of the server, or headers of the client, leave this tool out.",
        "Ask the operator to change the setting that the error names (`tools.*`), or use another tool.",
    )
    UNKNOWN_ARGUMENT = (
        "unknown_argument",
        "The call has an argument that the tool does not know.",
        "Use one of the valid names that the error lists.",
    )
    INVALID_ARGUMENTS = (
        "invalid_arguments",
        "An argument is missing, or its value does not fit the tool's schema.",
        "Correct every argument that the error lists, then call again.",
    )
    INVALID_PUBLICATION = (
        "invalid_publication",
        "GitBook would accept the publication, but it would not work, or GitBook's command line would never send it.",
        "Correct every argument that the error lists; `gitbook publish` builds a bundle from a folder.",
    )
    INVALID_CONFIGURATION = (
        "invalid_configuration",
        "The configuration does not fit the schema that the integration publishes for this level.",
        "Correct every key that the error lists; `get_integration_by_name` returns the schema.",
    )
    TUNNEL_NOT_ALLOWED = (
        "tunnel_not_allowed",
        "The tunnel's host is not on the internet: a loopback, private or link-local address, or a local name.",
        "Use the public URL of a tunnel, or set `tools.allow_private_tunnels`.",
    )
    DENIED_BY_POLICY = (
        "denied_by_policy",
        "A rule of the operator's policy denies the call. The error names the rule, its reason and unknown facts.",
        "Call `check_policy` for the decision, or ask the operator to change `policy.rules`.",
    )
    INVALID_PLACEHOLDER = (
        "invalid_placeholder",
        "An update contains `[masked]`, `[redacted]` or a `[cut: …]` mark that matches no single current value.",
        "Send the real value, or return the field exactly as you received it.",
    )
    CREDENTIAL_OMITTED = (
        "credential_omitted",
        "An update leaves out a field or an item that holds a credential, which would be lost for good.",
        "Include `[masked]` to keep the credential, or `null` to delete it.",
    )
    TARGET_UNREADABLE = (
        "target_unreadable",
        "The server reads the current state before an update, a confirmation or a decision, and could not.",
        "Solve the problem that the error names, then call again.",
    )
    MISSING_TOKEN = (
        "missing_token",
        "No configured GitBook token is of a kind that this endpoint accepts.",
        "Set the variable or the header that the error names.",
    )
    MISSING_SCOPE = (
        "missing_scope",
        "The login with GitBook does not have a scope that this endpoint requires.",
        "Run the `login` command that the error names.",
    )
    ACCOUNT_NOT_LINKED = (
        "account_not_linked",
        "The caller has linked no GitBook account to this server (`http.credentials: login`).",
        "Open the page that the error names, sign in there, and link your account. Then call again.",
    )
    LOGIN_FAILED = (
        "login_failed",
        "The login with GitBook failed: the authorization server rejected it, or did not answer as expected.",
        "Do what the error says, then run `gitbook-integrations-mcp login` again. An earlier login still works.",
    )
    LOGIN_DECLINED = (
        "login_declined",
        "The user declined the login in the browser, or did not complete it in time.",
        "Run `gitbook-integrations-mcp login` again. An earlier login still works.",
    )
    LOGIN_MISMATCH = (
        "login_mismatch",
        "The response to the login has another state or issuer, or the metadata name another issuer.",
        "Run `gitbook-integrations-mcp login` again, and check `gitbook.oauth_endpoint`.",
    )
    LOGIN_EXPIRED = (
        "login_expired",
        "The login with GitBook has ended: it expired or was revoked, and GitBook did not renew it.",
        "Run `gitbook-integrations-mcp login`. The server does not have to be restarted.",
    )
    LOGIN_UNAVAILABLE = (
        "login_unavailable",
        "The login cannot be read or written: the system's keyring is locked, or its file cannot be used.",
        "Unlock the keyring, or run `gitbook-integrations-mcp login` again.",
    )
    UNKNOWN_CHANGE = (
        "unknown_change",
        "There is no change with this ID, or another caller made it.",
        "Use an ID from `list_changes`.",
    )
    CHANGE_NOT_UNDOABLE = (
        "change_not_undoable",
        "The change had no effect, was undone before, has no undo, or its target was removed or installed again.",
        "Read the current state, and make the opposite change with the tool for it.",
    )
    UNKNOWN_VERSION = (
        "unknown_version",
        "The store keeps no version of the integration with this number or ID, or more than one.",
        "Use an ID from `list_integration_versions`. A version that was published elsewhere must be published there.",
    )
    FOLDER_NOT_ALLOWED = (
        "folder_not_allowed",
        "The folder is not below one of those that the operator allows (`publishing.roots`). Nothing was read.",
        "Name a folder below one of these, or ask the operator to add it.",
    )
    INVALID_FOLDER = (
        "invalid_folder",
        "The folder has no manifest, or what it contains cannot be published. Nothing was sent.",
        "Fix each problem that the error lists with file and line; `check_integration_folder` lists them, too.",
    )
    STORE_UNAVAILABLE = (
        "store_unavailable",
        "The store (`store.url`) cannot be used. Calls that must be confirmed or recorded are not sent.",
        "Try again later. If it lasts, run `gitbook-integrations-mcp store` and fix what it reports.",
    )
    STORE_TOO_NEW = (
        "store_too_new",
        "A newer version of this program wrote the store. This version does not change it.",
        "Update this program, or set `store.url` to another place.",
    )
    STORE_KEY_UNKNOWN = (
        "store_key_unknown",
        "A kept value was encrypted with a key that this server does not have.",
        "Add the earlier key to `store.keys`, or restore the key file beside the store.",
    )
    UNKNOWN_RESOURCE = (
        "unknown_resource",
        "No resource has this address.",
        "Use an address from `resources/list`, or one of the templates that the error lists.",
    )
    UNKNOWN_PROMPT = (
        "unknown_prompt",
        "No prompt or template has this name, or the tools it needs are disabled.",
        "Use a name from `prompts/list` or `resources/templates/list`.",
    )
    TOO_MANY_SUBSCRIPTIONS = (
        "too_many_subscriptions",
        "This session, or all sessions together, watch as many resources as they may.",
        "Unsubscribe from resources that you no longer need.",
    )
    INVALID_ACCEPTED_FINDINGS = (
        "invalid_accepted_findings",
        "The file of accepted findings (`audit.accepted`) cannot be read, or an entry is wrong.",
        "Fix the entries that the error lists.",
    )
    INVALID_BASELINE = (
        "invalid_baseline",
        "There is no earlier report to compare with, it cannot be read, or it covers something else.",
        "Audit without a baseline first, or pass a complete report of the same organization.",
    )

    RESULT_TOO_LONG = (
        "result_too_long",
        "The result does not fit into `limits.result_tokens`, and half of it would mislead.",
        "Request it in parts, or in one of the other ways that the error names.",
    )

    # Approvals

    CONFIRMATION_REQUIRED = (
        "confirmation_required",
        "The call needs a human's approval. Nothing was sent.",
        "Give the human the address or the preview; repeat the call unchanged after they approved.",
    )
    CONFIRMATION_DECLINED = (
        "confirmation_declined",
        "The human declined. Nothing was sent.",
        "Ask again only on request. If nobody saw the question, set `confirmation.ask` or `confirmation.fallback`.",
    )
    CONFIRMATION_CANCELLED = (
        "confirmation_cancelled",
        "The client closed the form, or did not open the confirmation page. Nothing was sent.",
        "If nobody saw the question, set `confirmation.ask` to `fallback`, or `confirmation.fallback` to `two-step`.",
    )
    CONFIRMATION_INVALID = (
        "confirmation_invalid",
        "The form came back without a tick, with another name, or in another shape. Nothing was sent.",
        "Complete the form exactly. If the client answers forms unseen, set `confirmation.ask` to `fallback`.",
    )
    CONFIRMATION_EXPIRED = (
        "confirmation_expired",
        "The confirmation was already used, has expired, or is for another call or client. Nothing was sent.",
        "Call the tool again to request a new one.",
    )
    TARGET_CHANGED = (
        "target_changed",
        "The target changed while the confirmation was pending. Nothing was sent.",
        "Read the current state, then call the tool again.",
    )
    CONFIRMATION_UNAVAILABLE = (
        "confirmation_unavailable",
        "The client cannot ask the human, and `confirmation.fallback` allows no other way. Nothing was sent.",
        "Use a client that supports elicitation, change `confirmation.fallback`, or do it in GitBook itself.",
    )

    # GitBook, or the way to it

    GITBOOK_REJECTED = (
        "gitbook_rejected",
        "GitBook rejected the arguments (400, 422) or the method (4xx without a code of its own).",
        "Correct the arguments as GitBook's message says.",
    )
    TOKEN_REJECTED = (
        "token_rejected",
        "GitBook rejected the token (401): it is wrong, expired or revoked.",
        "Set a valid token and restart the server; `doctor` checks it.",
    )
    FORBIDDEN = (
        "forbidden",
        "The token has no right to do this (403).",
        "Use the token of a user with the needed role, or of the integration concerned.",
    )
    NOT_FOUND = (
        "not_found",
        "GitBook found nothing there (404), or the token may not see it.",
        "Check the IDs with the tools that the error names.",
    )
    CONFLICT = (
        "conflict",
        "The call conflicts with the current state, or a precondition does not hold (409, 412).",
        "Read the current state, then decide.",
    )
    RATE_LIMITED = (
        "rate_limited",
        "GitBook's rate limit for this token and endpoint is used up, or too many calls with this token wait.",
        "Wait as long as the error says, or call a tool of another endpoint; send fewer calls in parallel.",
    )
    GITBOOK_FAILED = (
        "gitbook_failed",
        "GitBook failed (5xx).",
        "Try again later; after a change, read the current state first. After a 500, check the token with `doctor`.",
    )
    INVALID_RESPONSE = (
        "invalid_response",
        "The answer is not one of GitBook's API: a web page, a redirect, or invalid JSON.",
        "Check `GITBOOK_ENDPOINT` and proxies; after a change, read the current state first.",
    )
    UNREACHABLE = (
        "unreachable",
        "GitBook could not be reached. Nothing was sent.",
        "Check the network, `HTTPS_PROXY` and `GITBOOK_ENDPOINT`.",
    )
    NO_RESPONSE = (
        "no_response",
        "The request was sent, but no complete answer came.",
        "After a change, read the current state before you repeat the call.",
    )
    INTERNAL_ERROR = (
        "internal_error",
        "This server has a defect.",
        "Report it with the log. After a change, read the current state first.",
    )

    # Transports

    INVALID_MESSAGE = (
        "invalid_message",
        "The client sent something that is not a JSON-RPC message, or is too long.",
        "Send each message as JSON in UTF-8, with a string or an integer as ID; over stdio on a line of its own.",
    )
    UNKNOWN_PATH = (
        "unknown_path",
        "This server has nothing at the path of the request.",
        "Use a URL with one of the paths that the error names; `http.streamable_path` sets the usual one.",
    )
    DUPLICATE_HEADER = (
        "duplicate_header",
        "A header that identifies or limits the caller came more than once.",
        "Send each of them once; check what the proxy adds.",
    )
    HOST_NOT_ALLOWED = (
        "host_not_allowed",
        "The Host header is not one of this server's.",
        "Add the host to `http.allowed_hosts`, or set `http.public_url`.",
    )
    ORIGIN_NOT_ALLOWED = (
        "origin_not_allowed",
        "A web page of another origin sent the request.",
        "Add its host to `http.allowed_hosts` if you trust it.",
    )
    UNKNOWN_TOOLSET = (
        "unknown_toolset",
        "`X-MCP-Toolsets` contains a toolset that does not exist.",
        "Use the names that the error lists.",
    )
    AUTHENTICATION_REQUIRED = (
        "authentication_required",
        "The request has no bearer token.",
        "Send `Authorization: Bearer <token>`.",
    )
    INVALID_TOKEN = (
        "invalid_token",
        "The bearer token is unknown, expired, or issued for another server.",
        "Get a new token; the error says what is wrong with this one.",
    )
    INSUFFICIENT_SCOPE = (
        "insufficient_scope",
        "The access token lacks a scope that this server requires.",
        "Request a token with the scopes in `WWW-Authenticate`.",
    )
    TEMPORARILY_UNAVAILABLE = (
        "temporarily_unavailable",
        "The server has too many connections or stops, or the authorization server or GitBook does not answer.",
        "Try again later; `Retry-After` says when, where it is known. After a change, read the current state first.",
    )
    TOO_MANY_REQUESTS = (
        "too_many_requests",
        "The session has many requests whose responses the client did not read.",
        "Read the responses, then send further requests.",
    )
    REQUEST_TOO_LARGE = (
        "request_too_large",
        "The body of the request has more than `http.body_bytes`.",
        "Send less at a time, or raise the setting.",
    )
    REQUEST_TIMEOUT = (
        "request_timeout",
        "The request did not arrive completely within `http.request_seconds`.",
        "Send it faster, or raise the setting.",
    )

    # Command line

    INVALID_SETTINGS = (
        "invalid_settings",
        "A setting, variable, flag or file cannot be used; the server does not start.",
        "Fix what the error names.",
    )
    INVALID_USAGE = (
        "invalid_usage",
        "The command line cannot be understood.",
        "See `--help` of the command.",
    )


class ProgramError(Exception):
    """An error of this program. `code` is stable; the text may change in any release."""

    code: ErrorCode

    def __init__(self, message: str, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class SettingsError(ProgramError):
    """Settings that cannot be used. The message names each setting, what is wrong, and never a secret's value."""

    code = ErrorCode.INVALID_SETTINGS


class UsageError(ProgramError):
    """A command line that cannot be understood; the message says why."""

    code = ErrorCode.INVALID_USAGE


class CallError(ProgramError):
    """A call that gave no result."""


class RefusedError(CallError):
    """Refused by this server; nothing was sent to GitBook."""


class UnknownToolError(RefusedError):
    """No tool has that name."""

    code = ErrorCode.UNKNOWN_TOOL


class UnknownResourceError(RefusedError):
    """No resource has that address."""

    code = ErrorCode.UNKNOWN_RESOURCE


class DisabledToolError(RefusedError):
    """The operator's settings leave the tool out."""

    code = ErrorCode.TOOL_DISABLED


class PolicyError(RefusedError):
    """The operator's policy denies the call."""

    code = ErrorCode.DENIED_BY_POLICY


class ArgumentsError(RefusedError):
    """Arguments that do not fit the tool's schema."""

    code = ErrorCode.INVALID_ARGUMENTS


class MaskError(RefusedError):
    """A placeholder in the arguments matches no current value, or a credential is left out."""

    code = ErrorCode.INVALID_PLACEHOLDER


class TargetError(RefusedError):
    """The current state of what the call is about cannot be read."""

    code = ErrorCode.TARGET_UNREADABLE


class CredentialError(RefusedError):
    """No token is configured that the endpoint accepts."""

    code = ErrorCode.MISSING_TOKEN


class LoginError(RefusedError):
    """A login with GitBook failed. An earlier login still works."""

    code = ErrorCode.LOGIN_FAILED


class ResultError(RefusedError):
    """The result is too long, and cannot be cut."""

    code = ErrorCode.RESULT_TOO_LONG


class StoreError(RefusedError):
    """The store fails; `reason` is a predicate about it. Nothing that must be confirmed or recorded was sent.

    Only the operator's own commands name its `place`.
    """

    code = ErrorCode.STORE_UNAVAILABLE

    def __init__(self, reason: str, code: ErrorCode | None = None, place: str | None = None) -> None:
        self.reason = reason
        text = (
            f"The store of this server {reason}. Nothing was sent to GitBook. Try again later; if it lasts, ask the "
            "operator to check store.url."
        )
        super().__init__(f"The store {place} {reason}. Fix this, or change store.url." if place else text, code)


class UpstreamError(CallError):
    """GitBook, or the way to it, failed."""


class StatusError(UpstreamError):
    """GitBook answered with an error; `status` is the HTTP status code."""

    _CODES: ClassVar = {
        401: ErrorCode.TOKEN_REJECTED,
        403: ErrorCode.FORBIDDEN,
        404: ErrorCode.NOT_FOUND,
        409: ErrorCode.CONFLICT,
        412: ErrorCode.CONFLICT,
        429: ErrorCode.RATE_LIMITED,
    }

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        other = ErrorCode.GITBOOK_FAILED if status >= 500 else ErrorCode.GITBOOK_REJECTED
        super().__init__(message, self._CODES.get(status, other))


class AnswerError(UpstreamError):
    """GitBook answered with something that is not an answer of its API."""

    code = ErrorCode.INVALID_RESPONSE


class UnreachableError(UpstreamError):
    """GitBook did not answer, or not completely.

    `sent` is false only where the request provably never left, `transient` is true where another attempt may succeed,
    and `attempts` says how often it was sent.
    """

    def __init__(self, message: str, *, sent: bool, transient: bool = False, attempts: int = 1) -> None:
        self.sent = sent
        self.transient = transient
        self.attempts = attempts
        super().__init__(message, ErrorCode.NO_RESPONSE if sent else ErrorCode.UNREACHABLE)


class LimitError(UnreachableError):
    """Not sent: GitBook's rate limit for token and endpoint resets in `wait` s, or too many calls are ahead."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(message, sent=False)
        self.code = ErrorCode.RATE_LIMITED


class SessionError(UnreachableError):
    """The login with GitBook has no valid token, so the call had no effect."""

    code = ErrorCode.LOGIN_EXPIRED

    def __init__(self, message: str, code: ErrorCode | None = None) -> None:
        super().__init__(message, sent=False)
        self.code = code or type(self).code


class DefectError(CallError):
    """Something in this server failed that must not."""

    code = ErrorCode.INTERNAL_ERROR
