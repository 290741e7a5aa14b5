"""What a job is: what a user asks for, the calls that do it, and how to tell that it was done."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gitbook_integrations_mcp.sandbox.state import State


@dataclass(frozen=True, slots=True)
class Call:
    """A call as a model would make it: every ID in it was in the request or in an earlier answer."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that others do at GitBook between two calls."""

    change: Callable[[State], None]


Step = Call | Happening


def call(tool: str, **arguments: Any) -> Call:
    return Call(tool, arguments)


def nothing(_: State) -> bool:
    """Of a question, no state has to come true."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job, and what it may cost here.

    `bare` are the calls where a server has GitBook's endpoints and nothing else; by default the same. None is a job
    that cannot be done there, as such a server has one token, a user's.
    """

    name: str
    request: str
    steps: tuple[Step, ...]
    bare: tuple[Step, ...] | None = field(default=())
    facts: tuple[str, ...] = ()
    """What has to be read in the answers."""
    done: Callable[[State], bool] = nothing
    """What has to be true at GitBook afterwards."""
    most_tokens: int
    """Budget of all that a model reads here while doing it; that of calls is the number of `steps`."""

    @property
    def bare_steps(self) -> tuple[Step, ...] | None:
        return self.steps if self.bare == () else self.bare
