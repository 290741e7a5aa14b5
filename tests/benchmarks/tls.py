"""What new TLS connections cost: many calls at once to a GitBook that is reached over TLS."""

import shutil
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks.measure import COMPARED, MANY, SMALL_TOOL, Metric, Results, name_integrations, take_turns
from tests.benchmarks.session import ServerError, Session
from tests.benchmarks.subject import Subject, upstream
from tests.support.certificates import create_certificate

RUNS = 5
"""Runs at most, each with new processes."""

WALL = Metric(f"wall time of {MANY} small GETs at once over new TLS connections", "ms", most_ratio=1.0)
CPU = Metric("server CPU of them together", "ms", most_ratio=1.0)
METRICS = (WALL, CPU)


@contextmanager
def tls_upstream(latency_ms: float) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the endpoint of a fake GitBook over TLS, and the environment of a server that trusts it.

    It trusts the certificates of the operating system, too, because their number is what takes time.
    """
    with tempfile.TemporaryDirectory() as folder:
        certificate, bundle = Path(folder, "server.pem"), Path(folder, "bundle.pem")
        create_certificate(certificate)
        if system := ssl.get_default_verify_paths().cafile:
            shutil.copyfile(system, bundle)
        with bundle.open("ab") as file:
            file.write(certificate.read_bytes())
        with upstream(latency_ms, certificate) as endpoint:
            yield endpoint, {"SSL_CERT_FILE": str(bundle), "NODE_EXTRA_CA_CERTS": str(certificate)}


def measure(subjects: Sequence[Subject], runs: int, results: Results) -> None:
    """Add to `results` bursts of calls, of which all but one need a new connection."""
    with tls_upstream(20) as (endpoint, trust):
        for run in range(min(runs, RUNS)):
            with ExitStack() as stack:
                for subject in take_turns(subjects, run):
                    try:
                        _burst(stack.enter_context(Session(subject, endpoint, trust)), results)
                    except ServerError as error:
                        if subject in subjects[:COMPARED]:
                            raise
                        results.gaps["calls over TLS", subject.name] = str(error)


def _burst(session: Session, results: Results) -> None:
    session.initialize()
    session.list_tools()
    session.call(SMALL_TOOL, name_integrations(1), in_flight=1)  # what is imported for the first call is no part of it
    clock, cpu = time.perf_counter(), session.cpu_seconds()
    session.call(SMALL_TOOL, name_integrations(MANY), MANY)
    results.add(WALL, session.subject, (time.perf_counter() - clock) * 1000)
    results.add(CPU, session.subject, (session.cpu_seconds() - cpu) * 1000)
