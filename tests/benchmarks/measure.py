"""What is measured and how: subjects take turns within every run, so that a drifting machine is unfair to none."""

import itertools
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import bpe_openai

from tests.benchmarks.session import ServerError, Session
from tests.benchmarks.subject import Subject
from tests.benchmarks.upstream import NAMES

T = TypeVar("T")

SMALL_TOOL = "get_integration_by_name"
PAGE_TOOL = "list_integrations"
CALLS = 100
"""Small calls in one block: long enough for the CPU clock, short enough that both subjects meet the same machine."""
WARM_CALLS = 2000
"""Calls before the first one that counts: Node compiles what runs often, and needs this many for it."""
PAGE_CALLS = 10
SETTINGS = {"GITBOOK_MCP_LIMITS__RESULT_TOKENS": "100000"}
"""No result is cut, so that a page has as many integrations everywhere."""
TURNS = 3
"""Blocks of each kind per run."""
COMPARED = 2
"""Subjects that must take part: the product and the baseline. Those after them are peers, and may fail."""
IDLE_SECONDS = 1
"""A server that needs almost no CPU time for this long has nothing more to prepare."""
MANY = 16
"""Calls in flight where more than one is."""
BUSY = 64
"""Calls in flight where throughput counts."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table; less is better, except where `least_ratio` is the target."""

    title: str
    unit: Literal["s", "ms", "MiB", "tokens", "calls/s", "×", ""]
    most_ratio: float | None = None
    """Target: at most this many times the baseline."""
    least_ratio: float | None = None
    """Target: at least this many times the baseline."""
    most: float | None = None
    """Target: at most this, whatever the baseline has."""


START = Metric("spawn → `tools/list` answered", "ms", most_ratio=0.08)
START_UNSAVED = Metric("the same without saved answers", "ms", most_ratio=1.10)
FIRST_QUIET = Metric("server CPU of the first small GET of an idle server", "ms", most=10)
FIRST = Metric("first small GET after that", "ms")
"""Without a target, but shown: what a server puts off at the start is paid for here."""
RSS_LISTED = Metric("resident memory after `tools/list`", "MiB", most=20)
RSS_CALLED = Metric(f"resident memory after {CALLS} calls", "MiB", most_ratio=1.18)
CPU_SMALL = Metric("server CPU of one small GET, 1 in flight", "ms", most_ratio=0.55)
CPU_SMALL_MANY = Metric(f"server CPU of one small GET, {MANY} in flight", "ms")
CPU_SMALL_BUSY = Metric(f"server CPU of one small GET, {BUSY} in flight", "ms", most_ratio=0.3)
CPU_PAGE = Metric("server CPU of a page of 50 integrations (100 KB)", "ms", most_ratio=0.9)
CPU_FULL = Metric('the same with `detail: "full"`', "ms", most_ratio=1.5)
WALL_SMALL = Metric("wall time of one small GET, 1 in flight", "ms")
THROUGHPUT = Metric(f"throughput of small GETs, {BUSY} in flight", "calls/s", least_ratio=3.0)
TOKENS_WHOLE = Metric("`tools/list` as a whole", "tokens", most=13_500)
TOKENS_VISIBLE = Metric("`tools/list`, what a model sees", "tokens", most=8_900)
TOKENS_PAGE = Metric("a page of 50 integrations, as the model reads it", "tokens", most_ratio=0.15)
TOKENS_FULL = Metric('the same with `detail: "full"`', "tokens", most_ratio=1.0)
"""The baseline hands on GitBook's JSON as it is, so these are ratios to that."""

METRICS = (
    START,
    START_UNSAVED,
    FIRST,
    FIRST_QUIET,
    RSS_LISTED,
    RSS_CALLED,
    CPU_SMALL,
    CPU_SMALL_MANY,
    CPU_SMALL_BUSY,
    WALL_SMALL,
    CPU_PAGE,
    CPU_FULL,
    THROUGHPUT,
    TOKENS_WHOLE,
    TOKENS_VISIBLE,
    TOKENS_PAGE,
    TOKENS_FULL,
)


@dataclass(slots=True)
class Results:
    """Every value taken, in milliseconds, MiB or tokens, by metric and subject.

    Values at the same place of two subjects' lists were taken one after the other.
    """

    values: dict[tuple[Metric, str], list[float]] = field(default_factory=dict)
    gaps: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why there are no values, by what was to be measured and subject."""

    def add(self, metric: Metric, subject: Subject, value: float) -> None:
        self.values.setdefault((metric, subject.name), []).append(value)

    def ratios(self, metric: Metric, subject: str, other: str) -> list[float]:
        """Return the ratio of each value to its neighbour in time, which a machine that slows down leaves alone."""
        pairs = zip(self.values[metric, subject], self.values.get((metric, other), []), strict=False)
        return [value / reference for value, reference in pairs]


def measure(subjects: Sequence[Subject], endpoint: str, runs: int, results: Results) -> None:
    """Add to `results` everything about all `subjects`, in `runs` interleaved runs.

    Every run has new processes, as some are slower than others of the same program for all their life. A first run is
    not counted: it writes byte code, warms the page cache, and tells which peers cannot take part.
    """
    able = []
    for place, subject in enumerate(subjects):
        try:
            _run([subject], endpoint, Results())
        except ServerError as error:
            if place < COMPARED:
                raise
            results.gaps["calls over stdio", subject.name] = str(error)
        else:
            able.append(subject)
    for run in range(runs):
        for subject in take_turns(able, run):
            _start_alone(subject, endpoint, results)
        _run(take_turns(able, run), endpoint, results)


def _run(subjects: Sequence[Subject], endpoint: str, results: Results) -> None:
    with ExitStack() as stack:
        sessions = [_start(stack.enter_context(Session(subject, endpoint, SETTINGS)), results) for subject in subjects]
        for turn in range(TURNS):
            for session in take_turns(sessions, turn):
                _call(session, results)


def _start_alone(subject: Subject, endpoint: str, results: Results) -> None:
    """Measure a start without saved answers, and the first call of a server that had time to prepare itself."""
    with Session(subject, endpoint, {"GITBOOK_MCP_SERVER__SAVE_ANSWERS": "false"}) as session:
        session.initialize()
        session.list_tools()
        results.add(START_UNSAVED, subject, (time.perf_counter() - session.spawned) * 1000)
    with Session(subject, endpoint, SETTINGS) as session:
        session.initialize()
        session.list_tools()
        cpu = _wait_until_idle(session)
        session.call(SMALL_TOOL, name_integrations(1), in_flight=1)
        results.add(FIRST_QUIET, subject, (session.cpu_seconds() - cpu) * 1000)


def _wait_until_idle(session: Session) -> float:
    """Wait until a server does nothing, and return its CPU time so far, in seconds."""
    before, cpu = 0.0, session.cpu_seconds()
    while cpu - before > IDLE_SECONDS / 200:
        time.sleep(IDLE_SECONDS)
        before, cpu = cpu, session.cpu_seconds()
    return cpu


def take_turns(items: Sequence[T], turn: int) -> Sequence[T]:
    """Return `items` in the order of this turn: every other one goes backwards."""
    return items if turn % 2 == 0 else items[::-1]


def _start(session: Session, results: Results) -> Session:
    """Measure a new server up to its first calls, and leave it warm."""
    subject = session.subject
    session.initialize()
    tools = session.list_tools()
    results.add(START, subject, (time.perf_counter() - session.spawned) * 1000)
    results.add(RSS_LISTED, subject, session.resident_bytes() / 2**20)
    clock = time.perf_counter()
    session.call(SMALL_TOOL, name_integrations(1), in_flight=1)
    results.add(FIRST, subject, (time.perf_counter() - clock) * 1000)
    session.call(SMALL_TOOL, name_integrations(CALLS - 1), in_flight=1)
    results.add(RSS_CALLED, subject, session.resident_bytes() / 2**20)
    session.call(SMALL_TOOL, name_integrations(WARM_CALLS), MANY)
    session.call(PAGE_TOOL, [{}] * PAGE_CALLS, in_flight=1)
    visible = [{key: tool[key] for key in ("name", "description", "inputSchema") if key in tool} for tool in tools]
    results.add(TOKENS_WHOLE, subject, count_tokens({"tools": tools}))
    results.add(TOKENS_VISIBLE, subject, count_tokens(visible))
    schema = next(tool["inputSchema"] for tool in tools if tool["name"] == subject.name_tool(PAGE_TOOL))
    session.full = {"detail": "full"} if "detail" in schema.get("properties", {}) else {}
    for metric, arguments in ((TOKENS_PAGE, {}), (TOKENS_FULL, session.full)):
        text = session.read(PAGE_TOOL, arguments)
        if len(_read_json(text).get("items", ())) != len(NAMES):
            raise ServerError(f"{PAGE_TOOL} answers something else than the page: {text[:200]}")
        results.add(metric, subject, count_tokens(text))
    return session


def _call(session: Session, results: Results) -> None:
    """Measure a block of calls of each kind to a warm server."""
    for metric, tool, arguments, in_flight in (
        (CPU_SMALL, SMALL_TOOL, name_integrations(CALLS), 1),
        (CPU_SMALL_MANY, SMALL_TOOL, name_integrations(CALLS), MANY),
        (CPU_PAGE, PAGE_TOOL, [{}] * PAGE_CALLS, 1),
        (CPU_FULL, PAGE_TOOL, [session.full] * PAGE_CALLS, 1),
        (THROUGHPUT, SMALL_TOOL, name_integrations(4 * BUSY), BUSY),
    ):
        clock, cpu = time.perf_counter(), session.cpu_seconds()
        session.call(tool, arguments, in_flight)
        wall = time.perf_counter() - clock
        if metric is THROUGHPUT:
            results.add(THROUGHPUT, session.subject, len(arguments) / wall)
            results.add(CPU_SMALL_BUSY, session.subject, (session.cpu_seconds() - cpu) * 1000 / len(arguments))
        else:
            results.add(metric, session.subject, (session.cpu_seconds() - cpu) * 1000 / len(arguments))
        if metric is CPU_SMALL:
            results.add(WALL_SMALL, session.subject, wall * 1000 / len(arguments))


def _read_json(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    content = content.get("result", content) if isinstance(content, dict) else {}  # FastMCP wraps a list so
    return content if isinstance(content, dict) else {}


_numbers = itertools.count()


def name_integrations(count: int) -> list[dict[str, Any]]:
    """Arguments for small calls. No name comes twice, so that no server can answer two calls with one request."""
    return [{"integrationName": f"slack-{next(_numbers)}"} for _ in range(count)]


def count_tokens(content: object) -> int:
    """Return the length of `content`, a text or else as compact JSON, in tokens of o200k_base."""
    text = content if isinstance(content, str) else json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return len(bpe_openai.get_encoding("o200k_base").encode(text))
