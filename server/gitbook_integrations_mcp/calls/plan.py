"""A plan: several calls that are confirmed as a whole and then run one by one."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.output import Output
from gitbook_integrations_mcp.calls.undo import SETTINGS
from gitbook_integrations_mcp.digest import digest_json


@dataclass(frozen=True, slots=True)
class Step:
    """A call of a plan. `created` maps further arguments to their places in the response of the first call."""

    tool: Endpoint
    arguments: Mapping[str, Any] = field(repr=False)
    created: Mapping[str, str] = field(default_factory=dict)

    @property
    def restored(self) -> list[str]:
        """Names of the settings that the call restores."""
        return [name for name in SETTINGS if name in self.arguments]


@dataclass(frozen=True, slots=True)
class Plan:
    """Calls in order. `facts` are labelled texts about the whole, `lost` says what the calls cannot restore.

    `undoes` is the ID of the change that the plan undoes. The result of the call contains `report`, and the parts
    `returned` of the response to the last call.
    """

    steps: tuple[Step, ...]
    facts: tuple[tuple[str, str], ...] = ()
    lost: tuple[str, ...] = ()
    undoes: str | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    returned: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of every call with all its arguments."""
        return digest_json([[step.tool.name, step.arguments, step.created] for step in self.steps])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall(Call):
    """A call of a tool that changes something by several calls."""

    plan: Plan


def isolate_step(call: PlannedCall, step: Step) -> Call:
    """Return a call of a plan as a call of its own, with the arguments that are known before the plan runs."""
    return Call(tool=step.tool, arguments=step.arguments, caller=call.caller, params=call.params, context=call.context)


Planner = Callable[[Call], Awaitable[Plan | Output]]
"""Makes the plan of a call, or the result of a call that changes nothing. Raises `CallError` if there is none."""
