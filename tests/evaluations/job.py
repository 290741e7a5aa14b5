"""The definition of a job: the user's request, the calls that do it, and the checks of the outcome."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gitbook_integrations_mcp.sandbox.state import State


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a model would make. Every ID in it comes from the request or an earlier result."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Happening:
    """A change that other people make at GitBook between two calls."""

    change: Callable[[State], None]


LAST_CHANGE = "the changeId of the last result"
"""Stands, in the arguments of a call, for an ID that only the last result has."""

Step = Call | Happening


def call(tool: str, **arguments: Any) -> Call:
    return Call(tool, arguments)


def nothing(_: State) -> bool:
    """Accept any state: the job is a question."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job with its token budget on this server.

    `bare` are the calls on a server with only GitBook's endpoints; by default they are the same. None is a job that is
    impossible there: it needs an integration's token, where that server has only a user's, or this server's audit.
    """

    name: str
    request: str
    steps: tuple[Step, ...]
    bare: tuple[Step, ...] | None = field(default=())
    facts: tuple[str, ...] = ()
    """Texts that the results must contain."""
    done: Callable[[State], bool] = nothing
    """Check of GitBook's state afterwards."""
    most_tokens: int
    """Maximum tokens of the results that a model reads. The maximum number of calls is the number of `steps`."""
    forms: int | None = None
    """Number of questions that a human answers on this server, if it is counted."""

    @property
    def bare_steps(self) -> tuple[Step, ...] | None:
        return self.steps if self.bare == () else self.bare
