"""What the store costs: `python -m tests.benchmarks.store`.

- an approval, in memory and in a SQLite file: the server's CPU beside that of the same call without approval, through
  clients in this process that take turns, so that a busy machine is unfair to none;
- simultaneous uses of one approval through two servers with one file: how many requests GitBook gets;
- `list_changes` among 100,000 changes, and the baseline among 1,000 reports.
"""

import argparse
import sys
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import anyio
import httpx
from mcp import Client
from sqlalchemy import insert

from gitbook_integrations_api.report import Report
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.audit.auditor import Auditor
from gitbook_integrations_mcp.audit.runner import AuditRunner, ReportKey
from gitbook_integrations_mcp.config.settings import Settings, load_settings
from gitbook_integrations_mcp.gitbook.opening import open_gitbook
from gitbook_integrations_mcp.sandbox import create_sandbox
from gitbook_integrations_mcp.store.change import Change
from gitbook_integrations_mcp.store.schema import changes, reports
from gitbook_integrations_mcp.store.store import Store
from tests.support.elicitation_client import GitBookSpy, Human
from tests.support.gated_calls import find_target
from tests.support.sandbox_audit import audit

TOOL = "update_integration_installation"
CALLS = 100
"""Calls of each kind. The first tenth is not counted."""

OVERHEAD = 10
"""Milliseconds of CPU by which the file may be slower than memory. An approval also reads GitBook for its preview."""

USES = 40
CHANGES = 100_000
REPORTS = 1000
MOST = 100
"""Milliseconds that a lookup may take."""

DAY = 86400


def load(url: str, **confirmation: Any) -> Settings:
    store = {"url": url, "reports": REPORTS, "report_days": REPORTS + 1, "change_days": REPORTS}
    return load_settings({"server": {"sandbox": True}, "store": store, "confirmation": confirmation})


def meet(spy: GitBookSpy, settings: Settings, human: Human | None = None) -> Client:
    server = create_server(settings, http_transport=httpx.ASGITransport(app=spy), run="the benchmark")
    return Client(server, elicitation_callback=human.answer if human else None)


async def measure_approvals(folder: Path) -> dict[str, float]:
    """Return the median milliseconds of CPU of a call, by store and approval."""
    spy = GitBookSpy(create_sandbox(rate_limit=100 * CALLS))
    state = spy.sandbox.state
    installation = next(one for one in state.installations.values() if one.integration == "mermaid")
    named = {"integrationName": "mermaid", "installationId": installation.id}
    taken: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        clients = {}
        for name, url in (("memory", "memory"), ("SQLite", f"sqlite:///{folder}/approvals.db")):
            clients[name] = await stack.enter_async_context(meet(spy, load(url)))
            gated = load(url, extra_tools=[TOOL])
            clients[f"{name}, approved"] = await stack.enter_async_context(meet(spy, gated, Human()))
        for _ in range(CALLS):
            for name, client in clients.items():
                other = "all" if installation.selection["space"] == "selected" else "selected"
                started = time.process_time()
                result = await client.call_tool(TOOL, {**named, "space_selection": other})
                taken.setdefault(name, []).append(1000 * (time.process_time() - started))
                assert not result.is_error, result.content
    return {name: median(values[CALLS // 10 :]) for name, values in taken.items()}


async def count_requests(folder: Path) -> int:
    """Return how many requests reach GitBook when one approval is used many times at once."""
    spy = GitBookSpy()
    target = find_target(spy, "uninstall_integration")
    settings = load(f"sqlite:///{folder}/uses.db", fallback="two-step")
    async with meet(spy, settings) as first, meet(spy, settings) as second:
        asked = (await first.call_tool(target.name, target.arguments)).structured_content or {}
        arguments = {**target.arguments, "confirmationId": asked["confirmationId"]}
        async with anyio.create_task_group() as group:
            for number in range(USES):
                group.start_soon((first, second)[number % 2].call_tool, target.name, arguments)
    return len(spy.mutations)


async def measure_changes(folder: Path) -> float:
    """Return the median milliseconds of `list_changes` among many changes."""
    spy = GitBookSpy()
    settings = load(f"sqlite:///{folder}/changes.db")
    store = Store(settings)
    async with meet(spy, settings, Human()) as client:
        target = find_target(spy, "uninstall_integration_from_space")
        await client.call_tool(target.name, target.arguments)
        [written] = await store.changes.search(None)
        rows = []
        for number in range(CHANGES):
            moment = written.time - number
            one = replace(written, id=f"chg_{round(moment * 1000):012x}{number:010x}", time=moment)
            rows.append({each.name: getattr(one, each.name) for each in fields(Change)})
        async with store.database.write() as connection:
            await connection.execute(insert(changes), rows)
        await store.close()
        conditions: list[dict[str, Any]] = [{}, {"since": "1h"}, {"outcome": "failed"}, {"organizationId": "nowhere"}]
        return max([await _time(partial(client.call_tool, "list_changes", given)) for given in conditions])


async def measure_baseline(report: Report, folder: Path) -> float:
    """Return the median milliseconds of the lookup as an audit makes it: query, decompression, and validation."""
    settings = load(f"sqlite:///{folder}/reports.db")
    key = ReportKey("user:u1", report.organization.id, report.narrowing)
    content = report.model_dump_json().encode()
    fixed = {**dict(zip(("user", "organization", "narrowing"), key.scope, strict=True)), "complete": True}
    fixed |= {"size": len(content), "report": zlib.compress(content)}
    store, now = Store(settings), time.time()
    async with store.database.write() as connection:
        rows = [{"id": f"r{number}", "time": now - number * DAY, **fixed} for number in range(REPORTS)]
        await connection.execute(insert(reports), rows)
    runner = AuditRunner(Auditor(open_gitbook(settings)[0], settings), store)
    taken = await _time(lambda: runner.find_baseline(key, "500d"))
    await store.close()
    return taken


async def _time(call: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(9):
        started = time.perf_counter()
        await call()
        taken.append(1000 * (time.perf_counter() - started))
    return median(taken)


async def measure() -> int:
    """Print the table, and return how many targets are missed."""
    missed = 0

    def show(title: str, measured: str, target: str = "", *, met: bool = True) -> None:
        nonlocal missed
        missed += not met
        print(f"| {title} | {measured} | {target} |", flush=True)

    print("| | measured | target |")
    print("| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cpu = await measure_approvals(folder)
        for store in ("memory", "SQLite"):
            plain, approved = cpu[store], cpu[f"{store}, approved"]
            show(f"CPU of a change without approval, {store}", f"{plain:.1f} ms")
            show(f"the same with approval, {store}", f"{approved:.1f} ms ({approved / plain:.1f}×)")
        cost = cpu["SQLite, approved"] - cpu["memory, approved"]
        show("SQLite over memory, with approval", f"{cost:.1f} ms", f"≤ {OVERHEAD} ms", met=cost <= OVERHEAD)
        sent = await count_requests(folder)
        show(f"requests after {USES} simultaneous uses of one approval, two servers", f"{sent}", "1", met=sent == 1)
        listed = await measure_changes(folder)
        show(f"`list_changes` among {CHANGES:,} changes", f"{listed:.0f} ms", f"≤ {MOST} ms", met=listed <= MOST)
        report = await anyio.to_thread.run_sync(audit, 60, 500, 50, 2000)
        found = await measure_baseline(report, folder)
        title = f"baseline among {REPORTS:,} reports on 2,000 installations"
        show(title, f"{found:.0f} ms", f"≤ {MOST} ms", met=found <= MOST)
    return missed


def main() -> None:
    argparse.ArgumentParser(prog="python -m tests.benchmarks.store", description=__doc__).parse_args()
    sys.exit(anyio.run(measure) > 0)


if __name__ == "__main__":
    main()
