"""The baseline among 1,000 kept reports, in a SQLite file: `python -m tests.benchmarks.kept_reports`.

The time is that of the lookup as an audit makes it: query, decompression, and validation of the report.
"""

import argparse
import sys
import tempfile
import time
import zlib
from pathlib import Path
from statistics import median

import anyio
from sqlalchemy import insert

from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.audit.auditor import Auditor
from gitbook_integrations_mcp.audit.runner import AuditRunner, ReportKey
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from gitbook_integrations_mcp.store.schema import reports
from gitbook_integrations_mcp.store.store import Store
from tests.support.sandbox_audit import audit

KEPT = 1000
MOST = 100
"""Milliseconds that the lookup may take."""

DAY = 86400


async def measure(report: Report, file: Path, runs: int) -> float:
    """Return the median milliseconds of a lookup."""
    section = {"url": f"sqlite:///{file}", "reports": KEPT, "report_days": KEPT + 1}
    settings = load_settings({"server": {"sandbox": True}, "store": section})
    key = ReportKey("user:u1", report.organization.id, report.narrowing)
    content = report.model_dump_json().encode()
    fixed = {**dict(zip(("user", "organization", "narrowing"), key.scope, strict=True)), "complete": True}
    fixed |= {"size": len(content), "report": zlib.compress(content)}
    store, now = Store(settings), time.time()
    async with store.database.write() as connection:
        rows = [{"id": f"r{number}", "time": now - number * DAY, **fixed} for number in range(KEPT)]
        await connection.execute(insert(reports), rows)
    runner = AuditRunner(Auditor(open_gitbook(settings)[0], settings), store)
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        await runner.find_baseline(key, "500d")
        taken.append(1000 * (time.perf_counter() - started))
    await store.close()
    return median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.kept_reports", description=__doc__)
    parser.add_argument("--runs", type=int, default=9, help="how often the baseline is looked up (default: 9)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        taken = anyio.run(measure, audit(60, 500, 50, 2000), Path(folder) / "store.db", options.runs)
    print(f"| {KEPT:,} reports on 2,000 installations; median of {options.runs} | measured | demanded |")
    print("| --- | ---: | ---: |")
    print(f"| baseline | {taken:.0f} ms | ≤ {MOST} ms |")
    sys.exit(taken > MOST)


if __name__ == "__main__":
    main()
