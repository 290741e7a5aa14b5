"""A GitBook whose responses are altered, to see what comes of a malformed one."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Change = Callable[[Any], object]
"""Changes the JSON of a response in place."""


@dataclass
class AlteredGitBook:
    """The GitBook `app`, with `changes` of what it returns, by the end of the path of a request with `method`."""

    app: ASGIApp
    changes: Mapping[str, Change]
    method: str = "GET"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        change = next((change for end, change in self.changes.items() if scope.get("path", "").endswith(end)), None)
        if change is None or scope["method"] != self.method:
            await self.app(scope, receive, send)
            return
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, keep)
        data = json.loads(b"".join(message.get("body", b"") for message in messages))
        change(data)
        headers = [(name, value) for name, value in messages[0]["headers"] if name != b"content-length"]
        await send({**messages[0], "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(data).encode()})
