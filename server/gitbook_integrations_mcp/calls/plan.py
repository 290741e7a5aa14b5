"""A plan: several calls that are confirmed as a whole and then run one by one."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp.calls.call import Call
from gitbook_integrations_mcp.calls.response import find_id
from gitbook_integrations_mcp.calls.undo import SETTINGS, describe_state
from gitbook_integrations_mcp.digest import digest_json
from gitbook_integrations_mcp.store.pending import Fact
from gitbook_integrations_mcp.text import format_count


@dataclass(frozen=True, slots=True)
class Step:
    """A call of a plan.

    `created` maps further arguments to their places in the response of the first call of the same `group`. `before` is
    the target as the planner read it: the call is sent only if the target is still the same. `undoes` is the ID of the
    change that the call undoes.
    """

    tool: Endpoint
    arguments: Mapping[str, Any] = field(repr=False)
    created: Mapping[str, str] = field(default_factory=dict)
    group: int = 0
    before: Mapping[str, Any] | None = field(default=None, repr=False)
    undoes: str | None = None

    @property
    def restored(self) -> list[str]:
        """Names of the settings that the call sets."""
        return [name for name in SETTINGS if name in self.arguments]


def count_calls(steps: Iterable[Step]) -> str:
    """Return how many calls of each tool these are."""
    counted = Counter(step.tool.name for step in steps)
    return ", ".join(f"{name} ({format_count(number, 'call')})" for name, number in counted.items())


@dataclass(frozen=True, slots=True)
class Plan:
    """Calls in order. `facts` are about the whole, and `lost` says what the calls cannot restore.

    The texts of third parties in `facts` are clean. `undoes` is the ID of the change that the plan undoes, and
    `unchanged` says why there are no calls. The record of the plan names `organization`. The result of the call
    contains `report`, and the parts `returned` of the response to the last call, by the last word of their path. Of a
    `dry_run`, the result shows what a human would be asked, and nothing is sent.
    """

    steps: tuple[Step, ...]
    facts: tuple[Fact, ...] = ()
    lost: tuple[str, ...] = ()
    undoes: str | None = None
    unchanged: str = ""
    organization: str | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    returned: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def digest(self) -> str:
        """Digest of every call with all its arguments, and of the state of every target that the planner read."""
        return digest_json(
            [
                [step.tool.name, step.arguments, step.created, step.group, digest_target(step.before)]
                for step in self.steps
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall(Call):
    """A call of a tool that changes something by several calls."""

    plan: Plan

    @classmethod
    def create(cls, call: Call, plan: Plan) -> "PlannedCall":
        """Return a call together with its plan."""
        return cls(**{one.name: getattr(call, one.name) for one in fields(Call)}, plan=plan)


def digest_target(target: Mapping[str, Any] | None) -> str | None:
    """Return a digest of the settings of a target, and of its spaces and sites if they were read with it."""
    if target is None:
        return None
    below = {
        level: sorted(_digest_place(level[:-1], one) for one in found)
        for level in ("spaces", "sites")
        if isinstance(found := target.get(level), list)
    }
    return digest_json([describe_state(target), below])


def _digest_place(level: str, place: Any) -> str:
    """Return the digest of a place in a target, whatever GitBook sent in its stead: each change of it counts."""
    known = isinstance(place, Mapping)
    return digest_json([str(find_id(place.get(level))), digest_target(place)] if known else place)


def isolate_step(call: PlannedCall, step: Step) -> Call:
    """Return a call of a plan as a call of its own, with the arguments that are known before the plan runs."""
    return call.derive(step.tool, step.arguments)


PUBLISHED = ("version", "visibility", "urls.app")
"""Parts of GitBook's response in the result of a plan that publishes an integration."""

Planner = Callable[[Call], Awaitable[Plan]]
"""Makes the plan of a call. Raises `CallError` if there is none."""
