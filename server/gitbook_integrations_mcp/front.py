"""Answers the first requests on stdio from saved answers, while the server is imported, which takes a second.

The server saves its answers to the requests that open a connection: the handshake and the lists. They depend only on
the settings and the installed packages, so the next start of the same kind can give them at once. A thread gives them
until `take_over`. Then the server gets every byte that was read, and answers again. It compares these answers with
those that were given, drops them, and saves what is different: see `transports.saved_answers`.

Only requests that have a saved answer are answered, in their order. The first other line, and everything after it,
waits for the server. This module does nothing where something is unusual: terminals and files as standard streams,
Windows, no cache folder, and a file of answers that is damaged or that other users can change.

This module imports nothing but small modules of the standard library.
"""

from __future__ import annotations

import json
import os
import select
import stat
import sys
from binascii import crc32
from collections.abc import Iterator, Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` and `threading` take as long to import as the rest
    import threading

FOLDER = "gitbook-integrations-mcp"
PREFIX = "GITBOOK_MCP_"

SECRET_VARIABLES = frozenset(
    {
        f"{PREFIX}GITBOOK__TOKEN",
        f"{PREFIX}GITBOOK__INTEGRATION_TOKEN",
        f"{PREFIX}HTTP__TOKENS",
        f"{PREFIX}CONFIRMATION__KEYS",
        f"{PREFIX}STORE__URL",
        f"{PREFIX}STORE__KEYS",
    }
)
"""Variables whose value is a secret. No answer depends on them, so they distinguish no starts."""

_SECRET_SECTIONS = frozenset(name.partition("__")[0] for name in SECRET_VARIABLES)
"""Variables whose value is a section as JSON, with secrets in it."""

_OTHER_VARIABLES = frozenset({"GITBOOK_ENDPOINT", "GITBOOK_ORGANIZATION"})

METHODS = frozenset({"initialize", "server/discover", "ping", "tools/list", "prompts/list", "resources/templates/list"})
"""Requests whose answers depend neither on the client, the token nor the time."""

CAPABILITIES = ("roots",)
"""Capabilities of clients that distinguish answers: clients with roots can be offered more tools."""

QUIET_SECONDS = 0.05
"""Without a request for this long, the import of the server begins."""

_LINE_BYTES = 64 * 1024
_FILE_BYTES = 8 * 1024 * 1024
_FILES = 32
"""Kinds of start whose answers are kept: the latest."""

_PIECE_BYTES = 4096
"""As much can be written without blocking to a pipe or socket that is ready: POSIX's PIPE_BUF on Linux."""

_META = "io.modelcontextprotocol/"

RequestId = int | str


class Opening:
    """Recognizes the requests that open a connection, by their lines in order."""

    def __init__(self) -> None:
        self._version: object = None
        self._capabilities: list[str] = []
        self._modern = False
        self._initialized = False

    def read(self, line: bytes) -> tuple[RequestId | None, str] | None:
        """Return ID and key of a request. Requests of one key get one answer.

        The notification that ends the handshake has no ID. None means any other line, which ends the opening.
        """
        if len(line) > _LINE_BYTES or rb"\u" in line or line.count(b"{") + line.count(b"[") > 100:
            return None  # JSON that strict parsers may refuse
        try:
            text = line.decode()  # of bytes, `json` would guess the encoding
            message = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return None
        if not isinstance(message, dict) or message.pop("jsonrpc", None) != "2.0":
            return None
        method, params = message.pop("method", None), message.pop("params", {})
        if method == "notifications/initialized" and not message and params == {}:
            self._initialized = self._version is not None and not self._modern
            return (None, "") if self._initialized else None
        request = message.pop("id", None)
        valid = isinstance(method, str) and method in METHODS and isinstance(params, dict)
        if message or not valid or not _is_plain(request) or not self._check(method, params):
            return None
        return request, json.dumps([self._version, method, self._capabilities])

    def _check(self, method: str, params: dict[str, object]) -> bool:
        """Whether a request is valid at this point, and has no parameters but those that every client sends."""
        if method == "initialize":
            version = params.pop("protocolVersion", None)
            valid = self._version is None and self._remove_client(params, "clientInfo", "capabilities")
        elif params:
            meta = params.pop("_meta", None)
            if not isinstance(meta, dict):
                return False
            version = meta.pop(f"{_META}protocolVersion", None)
            valid = self._version in (None, version) and (self._modern or self._version is None)
            valid = valid and self._remove_client(meta, f"{_META}clientInfo", f"{_META}clientCapabilities") and not meta
            self._modern = True
        else:
            return self._initialized
        self._version = version
        return valid and isinstance(version, str) and not params

    def _remove_client(self, params: dict[str, object], info: str, capabilities: str) -> bool:
        """Remove name, version and capabilities of the client, and return whether they are valid."""
        about = params.pop(info, {"name": "", "version": ""} if info.startswith(_META) else None)
        able = params.pop(capabilities, None)
        if not isinstance(about, dict) or not isinstance(able, dict):
            return False
        self._capabilities = [name for name in CAPABILITIES if name in able]
        named = {"name", "version"} <= about.keys() and all(map(_is_text, about.values()))
        return named and all(isinstance(one, dict) for one in able.values())


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _is_plain(request: object) -> bool:
    """Whether every writer of JSON writes an ID in the same way."""
    if isinstance(request, str):
        return len(request) <= 100 and request.isascii() and request.isprintable()
    return type(request) is int and abs(request) < 2**53


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def write_answer(request: RequestId, result: str) -> bytes:
    """Return the line of a response, as the server writes it."""
    return f'{{"jsonrpc":"2.0","id":{json.dumps(request)},"result":{result}}}\n'.encode()


class AnswerFile:
    """The saved answers of starts of one kind, by the key of their request.

    `kind` is all that distinguishes kinds: equal texts get equal answers. It contains no secret.
    """

    def __init__(self, folder: str, kind: str) -> None:
        self._folder = folder
        self._kind = kind
        self.path = os.path.join(folder, f"answers-{crc32(kind.encode(errors='replace')):08x}.json")

    def load(self) -> dict[str, str]:
        """Return the answers: none if the file is missing, damaged, of another kind, or writable for other users."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                private = status.st_uid in {0, os.geteuid()} and not status.st_mode & 0o022
                if not (stat.S_ISREG(status.st_mode) and private and status.st_size <= _FILE_BYTES):
                    return {}
                content = json.loads(file.read())
        except (OSError, ValueError, RecursionError):
            return {}
        try:
            answers = {key: content["texts"][place] for key, place in content["answers"].items()}
            valid = content["kind"] == self._kind and all(map(_is_text, answers.values()))
        except (AttributeError, LookupError, TypeError):
            return {}
        return answers if valid else {}

    def save(self, answers: Mapping[str, str]) -> None:
        """Replace the file.

        Raises:
            OSError: it cannot be written.
        """
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        texts = sorted(set(answers.values()))  # most are equal in several versions of the protocol
        places = {key: texts.index(text) for key, text in answers.items()}
        content = json.dumps({"kind": self._kind, "texts": texts, "answers": places})
        new = f"{self.path}.{os.getpid()}"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(content)
            os.replace(new, self.path)
        except OSError:
            os.unlink(new)
            raise
        with os.scandir(self._folder) as entries:
            files = sorted((one.stat().st_mtime, one.path) for one in entries if one.name.startswith("answers-"))
        for _, path in files[:-_FILES]:
            os.unlink(path)


def find_file(words: Sequence[str], environ: Mapping[str, str]) -> AnswerFile | None:
    """Return the file of answers for a start with these command-line arguments and variables, or None."""
    if sys.platform == "win32" or (words and words[0] != "serve" and not words[0].startswith("-")):
        return None  # which cannot wait for pipes, or is another command
    if sys.platform == "darwin":
        caches = os.path.expanduser("~/Library/Caches")
    else:
        caches = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(caches):
        return None
    variables = {name.upper(): value for name, value in environ.items() if name.upper().startswith("GITBOOK_")}
    if any(variables.get(name) for name in _SECRET_SECTIONS):
        return None
    settings = {
        name: value
        for name, value in sorted(variables.items())
        if (name.startswith(PREFIX) and name not in SECRET_VARIABLES) or name in _OTHER_VARIABLES
    }
    files = [*words, *(word.partition("=")[2] for word in words), variables.get(f"{PREFIX}CONFIG", "")]
    kind = [list(words), settings, list(_describe_files(files)), sys.version, sys.prefix, list(_describe_packages())]
    return AnswerFile(os.path.join(caches, FOLDER), json.dumps(kind))


def _describe_files(names: Sequence[str]) -> Iterator[list[object]]:
    """Yield path and state of each file, above all of the settings file. Its content can be secret."""
    for name in map(os.path.expanduser, names):
        try:
            status = os.stat(name)
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(status.st_mode):
            yield [os.path.abspath(name), status.st_ino, status.st_size, status.st_mtime_ns]


def _describe_packages() -> Iterator[list[object]]:
    """Yield place, name, version and time of installation of each package.

    The modification time of a whole folder would also change when Python writes byte code.
    """
    yield [os.path.dirname(os.path.abspath(__file__))]
    for folder in sys.path:
        if folder.endswith(("site-packages", "dist-packages")) and os.path.isdir(folder):
            with os.scandir(folder) as entries:
                found = [(one.name, int(one.stat().st_mtime)) for one in entries if one.name.endswith(".dist-info")]
            yield [folder, *sorted(found)]


class Front:
    """Gives saved answers on two file descriptors, and remembers what the server needs to continue."""

    def __init__(self, file: AnswerFile, reader: int = 0, writer: int = 1) -> None:
        self.file = file
        self.answers = file.load()
        self.received = bytearray()
        """All bytes that were read."""
        self.unsent = bytearray()
        """The end of the answers, as far as it is not written yet."""
        self.answered = 0
        """How many requests are answered. These are the first ones."""
        self._answering = bool(self.answers)
        self._ended = False
        self._opening = Opening()
        self._parsed = 0
        self._reader = reader
        self._writer = writer
        self._wake: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the client closed its end after all of its requests were answered."""
        return self._ended and not self.unsent

    def feed(self, chunk: bytes) -> None:
        """Answer the requests in the next bytes."""
        self.received += chunk
        while self._answering and (end := self.received.find(b"\n", self._parsed)) >= 0:
            found = self._opening.read(bytes(self.received[self._parsed : end]))
            self._parsed = end + 1
            if found is None or (found[0] is not None and found[1] not in self.answers):
                self._answering = False
            elif found[0] is not None:
                self.unsent += write_answer(found[0], self.answers[found[1]])
                self.answered += 1
        if len(self.received) - self._parsed > _LINE_BYTES:
            self._answering = False

    def answer(self, seconds: float | None = None) -> None:
        """Answer until a line has no answer, nothing happens for so many seconds, or the server takes over."""
        wake = [self._wake[0]] if self._wake else []
        try:
            while self._answering or self.unsent:
                reading = [self._reader] if self._answering else []
                writing = [self._writer] if self.unsent else []
                readable, writable, _ = select.select([*wake, *reading], writing, [], seconds)
                if not (readable or writable) or (wake and wake[0] in readable):
                    return
                if writable:
                    del self.unsent[: os.write(self._writer, self.unsent[:_PIECE_BYTES])]
                elif chunk := os.read(self._reader, _LINE_BYTES):
                    self.feed(chunk)
                else:
                    self._answering = False
                    self._ended = not self.received[self._parsed :].strip()
        except (OSError, ValueError):
            self._answering = False  # the server meets the same error, and handles it

    def start(self) -> None:
        """Answer in a thread from now on. It ends the process when the client has ended the connection."""
        if not (self._answering or self.unsent):
            return
        import threading

        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name="front", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.answer()
        if self.is_finished:
            os._exit(0)

    def stop(self) -> None:
        """Stop answering. Afterwards, nothing here reads or writes."""
        if self._thread and self._wake:
            os.write(self._wake[1], b"x")
            self._thread.join()
            for descriptor in self._wake:
                os.close(descriptor)
            self._thread = self._wake = None
        self._answering = False


_current: Front | None = None


def begin() -> bool:
    """Answer the first requests, if this start has saved answers, and return whether that was all that was asked."""
    global _current
    try:
        modes = [os.fstat(descriptor).st_mode for descriptor in (0, 1)]
        if not all(stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) for mode in modes):
            return False
        file = find_file(sys.argv[1:], os.environ)
    except (OSError, ValueError):
        return False  # a closed stream, or a folder that cannot be read
    if file is None:
        return False
    _current = Front(file)
    _current.answer(QUIET_SECONDS)
    if _current.is_finished:
        return True
    _current.start()
    return False


def take_over() -> Front | None:
    """Stop the front of this process and return it, or None if there is none."""
    global _current
    front, _current = _current, None
    if front:
        front.stop()
    return front
