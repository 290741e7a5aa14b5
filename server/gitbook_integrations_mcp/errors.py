"""Errors that reach the model, written for it and for the human who reads over its shoulder.

    CallError                    a call that did not give its result; `str()` is what the model reads
    ├── RefusedError             refused here, nothing was sent
    │   ├── UnknownToolError     no tool of that name
    │   ├── UnknownResourceError no resource at that address
    │   ├── DisabledToolError    the operator switched that tool off
    │   ├── ArgumentsError       arguments that do not fit the tool's schema
    │   ├── MaskError            a mask that stands for no value that could be found
    │   ├── TargetError          what is to be changed cannot be read before
    │   ├── CredentialError      no token is configured that this endpoint accepts
    │   ├── JournalError         the call cannot be recorded
    │   └── StoreError           what waits for a human's yes cannot be kept or found
    ├── UpstreamError            GitBook's side
    │   ├── StatusError          an answer that is an error
    │   ├── AnswerError          an answer that cannot be read: not JSON, empty, a redirect, another shape
    │   └── UnreachableError     no whole answer: connection, TLS, proxy, time-out, more than is read
    │       └── LimitError       not sent, as GitBook would refuse it now, or too many calls are ahead
    └── DefectError              a defect of this server

Each says what happened, why, and what to do next. None holds a credential, and none quotes the text of the HTTP
library, which may.
"""


class CallError(Exception):
    """A call that did not give its result."""


class RefusedError(CallError):
    """Refused by this server; nothing was sent to GitBook."""


class UnknownToolError(RefusedError):
    """There is no tool of that name."""


class UnknownResourceError(RefusedError):
    """There is no resource at that address."""


class DisabledToolError(RefusedError):
    """The operator's settings leave the tool out."""


class ArgumentsError(RefusedError):
    """Arguments that do not fit the tool's schema."""


class MaskError(RefusedError):
    """Something in the arguments stands for a value that cannot be found."""


class TargetError(RefusedError):
    """What is to be changed cannot be read before."""


class CredentialError(RefusedError):
    """No token is configured that the endpoint accepts."""


class JournalError(RefusedError):
    """The call cannot be recorded, and the operator wants it recorded."""


class StoreError(RefusedError):
    """The store of pending questions fails, so nobody's yes can be known; `reason` is what it does, or does not."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"This waits for a human's yes, and the store of such questions {reason}; nothing was sent. A yes given "
            "meanwhile may be lost. Try again in a while; if it stays so, the operator of this server has to see to "
            "confirmation.store."
        )


class UpstreamError(CallError):
    """GitBook, or the way to it, failed."""


class StatusError(UpstreamError):
    """GitBook answered with an error; `status` is the HTTP status code."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class AnswerError(UpstreamError):
    """GitBook answered with something that is not an answer of its API."""


class UnreachableError(UpstreamError):
    """GitBook did not answer, or not completely.

    `sent` is false only where the request provably never left, `passing` is true where another attempt may succeed, and
    `attempts` tells how often it was sent.
    """

    def __init__(self, message: str, *, sent: bool, passing: bool = False, attempts: int = 1) -> None:
        self.sent = sent
        self.passing = passing
        self.attempts = attempts
        super().__init__(message)


class LimitError(UnreachableError):
    """Not sent: GitBook's limit for the token is used up, to be renewed in `wait` seconds, or too many are ahead."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(message, sent=False)


class DefectError(CallError):
    """Something in this server failed that must not."""
