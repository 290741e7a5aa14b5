"""The evaluation jobs stay within their budgets, and the checks detect jobs that were not done."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID
from tests.benchmarks.subject import baseline
from tests.evaluations.job import Call, Happening, Job, call
from tests.evaluations.jobs import JOBS
from tests.evaluations.model import Model
from tests.evaluations.report import Column, render
from tests.evaluations.runner import Cost, Host, JobError, meet_peer, meet_product, run
from tests.support.loopback import listen, open_listener


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with meet_product() as host:
        yield host


def find(name: str) -> Job:
    return next(job for job in JOBS if job.name == name)


@pytest.mark.parametrize("job", JOBS, ids=[job.name for job in JOBS])
async def test_a_job_is_done_within_its_budget(host: Host, job: Job) -> None:
    cost = await run(job, host, job.steps)
    assert cost.calls == sum(isinstance(step, Call) for step in job.steps)
    assert job.forms in {None, cost.forms}
    assert cost.tokens <= job.most_tokens, f"{cost.tokens} tokens"
    assert cost.tokens >= job.most_tokens * 0.6 or job.most_tokens <= 20, f"{cost.tokens} tokens: lower the budget"


def test_there_are_at_least_twenty_jobs_each_with_something_to_check() -> None:
    assert len({job.name for job in JOBS}) == len(JOBS) >= 20
    fields = Job.__dataclass_fields__
    for job in JOBS:
        assert job.facts or job.done is not fields["done"].default, job.name


@pytest.mark.parametrize("job", [job for job in JOBS if not job.facts], ids=lambda job: job.name)
async def test_a_job_that_was_not_done_does_not_pass(host: Host, job: Job) -> None:
    with pytest.raises(JobError, match="GitBook's state is wrong"):
        await run(job, host, job.steps[:-1])


async def test_a_call_with_an_unknown_id_does_not_pass(host: Host) -> None:
    job = find("uninstall it everywhere")
    with pytest.raises(JobError, match="no earlier result contains"):
        await run(job, host, job.steps[1:])


async def test_results_without_the_facts_and_failed_calls_do_not_pass(host: Host) -> None:
    job = find("what runs on one site")
    with pytest.raises(JobError, match="no result contains"):
        await run(job, host, job.steps[:1])
    with pytest.raises(JobError, match="404"):
        await run(job, host, (call("get_integration_by_name", integrationName="nowhere"),))


async def test_the_bare_server_does_every_job_that_is_compared() -> None:
    async with meet_peer(baseline()) as bare:
        for job in JOBS:
            if job.bare_steps is not None:
                await run(job, bare, job.bare_steps)


def test_the_table_sums_what_all_can_do() -> None:
    jobs = (find("unpublish"), find("queue a task for the bot"))
    here = Column(100, {jobs[0].name: Cost(1, 10), jobs[1].name: Cost(2, 2000)})
    there = Column(1000, {jobs[0].name: Cost(3, 40), jobs[1].name: None})
    assert render(jobs, {"here": here, "there": there}).splitlines()[2:] == [
        "| unpublish | 1 | 10 | 3 | 40 |",
        "| queue a task for the bot | 2 | 2,000 | – | – |",
        "| the 1 that all can do | 1 | 10 | 3 | 40 |",
        "| reading the list of tools |  | 100 |  | 1,000 |",
    ]


class Actor:
    """An endpoint of the Messages API at which the script of a job plays the model."""

    def __init__(self, job: Job) -> None:
        self.lines: list[list[Call]] = [[]]
        for step in job.steps:
            if isinstance(step, Happening):
                self.lines.append([])
            else:
                self.lines[-1].append(step)
        self.orders: list[dict[str, Any]] = []

    async def answer(self, request: Request) -> JSONResponse:
        """Make the next call of the script or, when there is none, say what was read last."""
        assert request.headers["x-api-key"] == "key-of-nobody"
        order = await request.json()
        self.orders.append(order)
        if self.lines[0]:
            step = self.lines[0].pop(0)
            use = {"type": "tool_use", "id": f"use-{len(self.orders)}", "name": step.tool, "input": step.arguments}
            return JSONResponse({"content": [{"type": "text", "text": "Let me see."}, use], "stop_reason": "tool_use"})
        if len(self.lines) > 1:
            self.lines.pop(0)
        said = json.dumps(order["messages"][-1]["content"], ensure_ascii=False)
        return JSONResponse({"content": [{"type": "text", "text": said}], "stop_reason": "end_turn"})


@pytest.mark.parametrize("name", ["take it off a site", "compare with the last audit", "the ID of an installation"])
async def test_a_model_does_a_job_over_the_wire(host: Host, name: str) -> None:
    job = find(name)
    actor = Actor(job)
    with open_listener() as (listener, address):
        application = Starlette(routes=[Route("/v1/messages", actor.answer, methods=["POST"])])
        async with listen(application, HttpSection(), listener):
            cost = await Model("actor", "key-of-nobody", address).do(job, host)
    assert cost is not None
    assert cost.calls == sum(isinstance(step, Call) for step in job.steps)
    assert 0 < cost.tokens <= job.most_tokens
    first = actor.orders[0]
    assert ORGANIZATION_ID in first["system"]
    assert {"name", "description", "input_schema"} == set(first["tools"][0])
    asked = [message["content"] for message in actor.orders[-1]["messages"] if isinstance(message["content"], str)]
    assert asked[0] == job.request


async def test_a_model_that_only_claims_success_does_not_pass(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    job = find("unpublish")
    actor = Actor(Job(name="idle", request="", steps=(), most_tokens=0))
    with open_listener() as (listener, address):
        application = Starlette(routes=[Route("/v1/messages", actor.answer, methods=["POST"])])
        async with listen(application, HttpSection(), listener):
            assert await Model("actor", "key-of-nobody", address).do(job, host) is None
            assert await Model("actor", "key-of-nobody", f"{address}/nowhere").do(job, host) is None
    assert re.findall(r"GitBook's state is wrong|answered 404", capsys.readouterr().err) == [
        "GitBook's state is wrong",
        "answered 404",
    ]
    assert "key-of-nobody" not in repr(Model("actor", "key-of-nobody", address))
