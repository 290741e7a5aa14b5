"""The result of the tools that change something by several calls."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class PlanResult(BaseModel):
    """The calls of a plan, how each ended, and how to undo all of them."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    status: str
    message: str
    changeId: str | None = None
    undo: Any = None
    calls: list[dict[str, Any]] | None = None
    lost: list[str] | None = None


class OffboardingResult(PlanResult):
    """The same, with the settings whose credentials the maker of the integration may still have."""

    credentialsToRevoke: list[str] | None = None
