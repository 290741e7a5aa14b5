"""The command: `python -m tests.evaluations` prints one Markdown table on stdout."""

import argparse
import asyncio
import os
import sys

from tests.benchmarks import peers, subject
from tests.benchmarks.subject import Subject
from tests.evaluations.jobs import JOBS
from tests.evaluations.model import Model
from tests.evaluations.report import Column, render
from tests.evaluations.runner import Cost, meet_peer, meet_product, run

NOTE = (
    "\nTokens are o200k, of results as a model reads them. –: not done; by script, where a server holds one token, a "
    "user's, and the endpoint takes an integration's. Only this server asks a human before it deletes."
)


async def compare(*, with_peers: bool, model: Model | None) -> str:
    """Do every job on every server, by script or by a model, and return the table."""
    others = {"bare server": subject.baseline, **({"FastMCP 4 `from_openapi`": peers.fastmcp} if with_peers else {})}
    columns = {"this server": await _do_here(model)}
    for name, find_peer in others.items():
        columns[name] = await _do_there(find_peer(), model)
    return f"{render(JOBS, columns)}\n{NOTE}"


async def _do_here(model: Model | None) -> Column:
    """Do each job in a conversation of its own, as this server remembers its last audit."""
    costs: dict[str, Cost | None] = {}
    for job in JOBS:
        async with meet_product() as host:
            costs[job.name] = await (model.do(job, host) if model else run(job, host, job.steps))
    return Column(host.tokens, costs)


async def _do_there(peer: Subject, model: Model | None) -> Column:
    """Do all jobs with one process, which remembers nothing."""
    costs: dict[str, Cost | None] = {}
    async with meet_peer(peer) as host:
        for job in JOBS:
            if job.bare_steps is None:
                costs[job.name] = None
            else:
                costs[job.name] = await (model.do(job, host) if model else run(job, host, job.bare_steps))
        return Column(host.tokens, costs)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.evaluations", description="What jobs cost a model.")
    parser.add_argument("--peers", action="store_true", help="also FastMCP 4 from_openapi (needs pip and npm)")
    parser.add_argument(
        "--model", metavar="NAME", help="let this model do the jobs, and pay for it (needs ANTHROPIC_API_KEY)"
    )
    options = parser.parse_args()
    if options.model and not os.environ.get("ANTHROPIC_API_KEY"):
        sys.exit("A model needs ANTHROPIC_API_KEY. Without --model, the jobs are done by script.")
    model = Model(options.model) if options.model else None
    print(asyncio.run(compare(with_peers=options.peers, model=model)))


if __name__ == "__main__":
    main()
