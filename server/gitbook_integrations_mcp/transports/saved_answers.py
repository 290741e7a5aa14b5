"""Compares the server's answers with those that `front` gave, and saves them for the next start."""

import json
import logging
from collections.abc import Mapping

from mcp_types import RequestId
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gitbook_integrations_mcp.front import METHODS, AnswerFile, Front, Opening

logger = logging.getLogger(__name__)

MAX_ANSWERS = 64
"""Maximum number of answers in a file. Clients can put anything into the parameters of a request."""

NOTIFICATIONS: Mapping[str, bytes] = {
    method: b'{"jsonrpc":"2.0","method":"notifications/%s/list_changed"}\n' % kind.encode()
    for method in METHODS
    if (kind := method.partition("/")[0]) and method.endswith("/list")
}
"""What clients get when the list that they got is out of date."""


class SavedAnswers:
    """The saved answers of one connection. The first `answered` requests were answered by the front already."""

    def __init__(self, file: AnswerFile, answers: Mapping[str, str], answered: int = 0) -> None:
        self._file = file
        self._answers = dict(answers)
        self._answered = answered
        self._opening: Opening | None = Opening()
        self._waiting: list[tuple[RequestId, str, bool]] = []
        """Requests of the opening without an answer of the server: ID, key, and whether the front answered them."""

    @classmethod
    def continue_from(cls, front: Front) -> "SavedAnswers":
        """Return the saved answers of a connection that a front began."""
        return cls(front.file, front.answers, front.answered)

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
        result = line.partition(b',"result":')[2].rstrip()[:-1].decode()  # an error has none
        before = self._answers.pop(key, None)
        if result and len(self._answers) < MAX_ANSWERS:
            self._answers[key] = result
        if result != before:
            self._save()
        if not answered:
            return line
        version, method, _ = json.loads(key)
        if result == before or version in MODERN_PROTOCOL_VERSIONS:  # these notify in streams that clients open
            return b""
        return NOTIFICATIONS.get(method, b"")

    def _save(self) -> None:
        try:
            self._file.save(self._answers)
        except OSError as error:
            logger.info("The answers for the next start were not saved: %s.", error.strerror)
