"""Compares the server's answers with those that `front` gave, and saves them for the next start.

`prepare_answers` saves them before the first start: `install` uses it, and the container image when it is built.
"""

import itertools
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
from mcp.server.lowlevel import NotificationOptions
from mcp.shared.message import SessionMessage
from mcp_types import (
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
    jsonrpc_message_adapter,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from gitbook_integrations_mcp.features.server import IntegrationsServer
from gitbook_integrations_mcp.front import CAPABILITIES, METHODS, AnswerFile, Front, Opening

logger = logging.getLogger(__name__)

LISTS_CHANGE = NotificationOptions(tools_changed=True, prompts_changed=True, resources_changed=True)
"""On stdio, a client can get the list of an earlier start. A notification follows if that list is out of date."""

MAX_ANSWERS = 64
"""Maximum number of answers in a file. Clients can ask for any version of the protocol."""

NOTIFICATIONS: Mapping[str, bytes] = {
    method: b'{"jsonrpc":"2.0","method":"notifications/%s/list_changed"}\n' % kind.encode()
    for method in METHODS
    if (kind := method.partition("/")[0]) and method.endswith("/list")
}
"""Messages for clients that got a list that is out of date, by the method of the list."""


class SavedAnswers:
    """The saved answers of one connection. The first `answered` requests were answered by the front already."""

    def __init__(self, file: AnswerFile, answers: Mapping[str, str], answered: int = 0) -> None:
        self._file = file
        self._given = answers
        self._answers = dict(answers)
        self._answered = answered
        self._opening: Opening | None = Opening()
        self._waiting: list[tuple[RequestId, str, bool]] = []
        """Requests of the opening without an answer of the server: ID, key, and whether the front answered them."""

    @classmethod
    def continue_from(cls, front: Front) -> "SavedAnswers":
        """Return the saved answers of a connection that a front began."""
        return cls(front.file, front.answers, front.answered)

    @property
    def is_complete(self) -> bool:
        """Whether the opening has ended and everything in it is answered."""
        return self._opening is None and not self._waiting

    def read_request(self, line: bytes) -> None:
        """Take note of the client's next line."""
        found = self._opening.read(line) if self._opening else None
        if found is None:
            self._opening = None
        elif found[0] is not None:
            self._waiting.append((found[0], found[1], self._answered > 0))
            self._answered -= 1

    def forget(self, request: RequestId) -> None:
        """Take note that a request gets no answer, because the client cancelled it."""
        self._waiting = [one for one in self._waiting if one[0] != request]

    def read_answer(self, request: RequestId | None, line: bytes) -> bytes:
        """Take note of an answer, and return what to send: the answer, or less if the client has one already."""
        place = next((place for place, one in enumerate(self._waiting) if one[0] == request), None)
        if place is None:
            return line
        _, key, answered = self._waiting.pop(place)
        result = line.partition(b',"result":')[2].rstrip()[:-1].decode() or None  # an error has none
        before = self._answers.pop(key, None)
        if result and len(self._answers) < MAX_ANSWERS:
            self._answers[key] = result
        if result != before:
            self._save()
        if not answered:
            return line
        version, method, _ = json.loads(key)
        # Clients with protocol 2026-07-28 accept notifications only in the streams that they open.
        is_notified = result != self._given[key] and version not in MODERN_PROTOCOL_VERSIONS
        return NOTIFICATIONS.get(method, b"") if is_notified else b""

    def _save(self) -> None:
        try:
            self._file.save(self._answers)
        except OSError as error:
            logger.info("The answers for the next start were not saved: %s.", error.strerror)


async def prepare_answers(server: IntegrationsServer, file: AnswerFile) -> None:
    """Save what `server` answers to the handshake and the lists, in all versions of the protocol.

    Clients with and without `CAPABILITIES` are prepared for.

    Raises:
        OSError: the file cannot be written.
    """
    file.save({})
    versions = (*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS)
    clients: tuple[dict[str, Any], ...] = ({}, {name: {} for name in CAPABILITIES})
    for version, capabilities in itertools.product(versions, clients):
        saved = SavedAnswers(file, file.load())
        to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception]()
        outgoing, from_server = anyio.create_memory_object_stream[SessionMessage]()
        async with anyio.create_task_group() as group:
            group.start_soon(server.run, incoming, outgoing, server.create_initialization_options(LISTS_CHANGE))
            async with to_server, from_server:
                for line in _list_requests(version, capabilities):
                    saved.read_request(line)
                    message = jsonrpc_message_adapter.validate_json(line)
                    await to_server.send(SessionMessage(message))
                    if isinstance(message, JSONRPCRequest):
                        answer = (await from_server.receive()).message
                        assert isinstance(answer, JSONRPCResponse | JSONRPCError)
                        saved.read_answer(answer.id, write_message(answer))


def _list_requests(version: str, capabilities: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the lines that open a connection."""
    messages: list[dict[str, Any]]
    meta: dict[str, Any] = {}
    if version in MODERN_PROTOCOL_VERSIONS:
        prefix = "io.modelcontextprotocol/"
        meta = {"_meta": {f"{prefix}protocolVersion": version, f"{prefix}clientCapabilities": capabilities}}
        messages = [{"id": "server/discover", "method": "server/discover", "params": meta}]
    else:
        hello = {"protocolVersion": version, "capabilities": capabilities, "clientInfo": {"name": "", "version": ""}}
        messages = [
            {"id": "initialize", "method": "initialize", "params": hello},
            {"method": "notifications/initialized"},
        ]
    messages += [{"id": one, "method": one, "params": meta} for one in sorted(METHODS) if one.endswith("/list")]
    for message in messages:
        yield json.dumps({"jsonrpc": "2.0", **message}).encode()


def write_message(message: JSONRPCMessage) -> bytes:
    """Return a message as a line."""
    return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
