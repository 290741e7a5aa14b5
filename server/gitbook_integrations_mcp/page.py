"""Placeholder: being written."""

from gitbook_integrations_mcp.pending import Pending, PendingQuestions


class ConfirmationPage:
    def __init__(self, questions: PendingQuestions) -> None: ...

    async def open(self, pending: Pending) -> str:
        return f"http://127.0.0.1:1/{pending.id}"

    async def close(self) -> None: ...
