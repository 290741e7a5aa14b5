"""What many calls at once do to a server whose GitBook takes its time, and an answer that is far too large."""

import time
from collections.abc import Sequence
from contextlib import ExitStack

from tests.benchmarks.measure import COMPARED, SMALL_TOOL, TURNS, Metric, Results, name_integrations, take_turns
from tests.benchmarks.session import ServerError, Session
from tests.benchmarks.subject import Subject

LATENCY_MS = 50
BURST = 200
"""Calls in flight."""
SETTINGS = {"GITBOOK_MCP_LIMITS__CONCURRENCY": str(BURST)}
RUNS = 5
"""As many as show it; the huge answer takes seconds where it is not refused."""

WALL_BURST = Metric(f"wall time of {BURST} small GETs at once, {LATENCY_MS} ms each", "ms", most_ratio=0.37)
PEAK_HUGE = Metric("peak memory with an answer of 50 MB, to that when idle", "×", most=1.5)

METRICS = (WALL_BURST, PEAK_HUGE)


def stress(subjects: Sequence[Subject], endpoint: str, runs: int, results: Results) -> None:
    """Add to `results` what `subjects` do with a slow `endpoint`, in at most `RUNS` interleaved runs."""
    able = [*subjects[:COMPARED], *(peer for peer in subjects[COMPARED:] if _stands(peer, endpoint, results))]
    for run in range(min(runs, RUNS)):
        with ExitStack() as stack:
            order = take_turns(able, run)
            sessions = [stack.enter_context(Session(subject, endpoint, SETTINGS)) for subject in order]
            idle = {session: _warm(session) for session in sessions}
            for turn in range(TURNS):
                for session in take_turns(sessions, turn):
                    clock = time.perf_counter()
                    session.call(SMALL_TOOL, name_integrations(BURST), BURST)
                    results.add(WALL_BURST, session.subject, (time.perf_counter() - clock) * 1000)
            for session in sessions:
                session.read(SMALL_TOOL, {"integrationName": "huge"})
                results.add(PEAK_HUGE, session.subject, session.peak_bytes() / idle[session])


def _stands(peer: Subject, endpoint: str, results: Results) -> bool:
    """Whether a peer survives it once."""
    try:
        with Session(peer, endpoint, SETTINGS) as session:
            _warm(session)
            session.read(SMALL_TOOL, {"integrationName": "huge"})
    except ServerError as error:
        results.gaps["many calls at once, and 50 MB", peer.name] = str(error)
        return False
    return True


def _warm(session: Session) -> int:
    """Start the server, and return its memory when it idles after the first calls."""
    session.initialize()
    session.list_tools()
    session.call(SMALL_TOOL, name_integrations(1), in_flight=1)
    idle = session.resident_bytes()
    session.call(SMALL_TOOL, name_integrations(BURST), BURST)
    return idle
