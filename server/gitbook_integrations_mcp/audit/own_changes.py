"""The latest change that each caller made through this server. A report from before it no longer holds."""

from collections import OrderedDict

from gitbook_integrations_api.endpoint import Risk
from gitbook_integrations_mcp.calls.call import EndpointCall

CAPACITY = 1000
"""Maximum number of callers that are kept apart."""


class OwnChanges:
    """Numbers the changes. A caller has the number of their latest change."""

    def __init__(self) -> None:
        self._count = 0
        self._dropped = 0
        self._latest: OrderedDict[str, int] = OrderedDict()

    def record(self, call: EndpointCall) -> None:
        """Record a call that may have changed something."""
        if call.tool.risk is Risk.READ:
            return
        self._count += 1
        self._latest[call.caller.id] = self._count
        self._latest.move_to_end(call.caller.id)
        if len(self._latest) > CAPACITY:
            self._dropped = self._latest.popitem(last=False)[1]

    def find_latest(self, caller: str) -> int:
        """Return the number of the caller's latest change. Of a caller that was dropped, a report never holds."""
        return self._latest.get(caller, self._dropped)
