"""When each caller last changed something through this process. A report from before then no longer holds."""

from collections import OrderedDict
from collections.abc import Callable

from gitbook_integrations_api.endpoint import Risk
from gitbook_integrations_mcp.calls.call import EndpointCall

CAPACITY = 1000
"""Maximum number of callers that are kept apart."""


class OwnChanges:
    """Remembers, in this process, the time of the latest change by credentials. `clock` is in seconds since 1970.

    The tokens of one user count as different callers, and so do processes.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._dropped = float("-inf")
        self._latest: OrderedDict[str, float] = OrderedDict()

    def record(self, call: EndpointCall) -> None:
        """Record a call that may have changed something."""
        if call.tool.risk is Risk.READ:
            return
        caller = call.caller.credentials.digest
        self._latest[caller] = self._clock()
        self._latest.move_to_end(caller)
        if len(self._latest) > CAPACITY:
            self._dropped = self._latest.popitem(last=False)[1]

    def find_latest(self, caller: str) -> float:
        """Return the time of the latest change, or of that of a caller who was dropped, if it may be theirs."""
        return self._latest.get(caller, self._dropped)
