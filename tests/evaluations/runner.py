"""Runs jobs: each with a new sandbox, a real client, a human who approves, and a check of the IDs in the calls."""

import contextlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from mcp import Client, StdioServerParameters
from mcp_types import TextContent
from starlette.types import Receive, Scope, Send

from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.config.models import HttpSection
from gitbook_integrations_mcp.config.settings import load_settings
from gitbook_integrations_mcp.sandbox import ORGANIZATION_ID, USER_TOKEN, create_sandbox
from tests.benchmarks.subject import ROOT, Subject, environment
from tests.evaluations.job import LAST_CHANGE, Call, Happening, Job, Step
from tests.support.elicitation_client import Human
from tests.support.loopback import listen, open_listener
from tests.support.tokens import count_tokens

PROMPT = f"The organization is {ORGANIZATION_ID}."
"""Context that a model gets with the request, on every server."""
NAMES = frozenset({"organization", "space", "page"})
"""Arguments that contain an ID, in addition to those named …Id."""


class JobError(AssertionError):
    """A job was not done, or used unknown IDs. The text has the reason."""


@dataclass
class Stage:
    """A sandbox that can be replaced, so that a server does not restart for every job."""

    sandbox: Any = field(default_factory=create_sandbox)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request to the current sandbox."""
        await self.sandbox(scope, receive, send)


@dataclass
class Host:
    """A client of a server in front of a stage, with the tools that its model can call."""

    name: str
    client: Client
    stage: Stage
    listed: list[dict[str, Any]]
    """The tools as a model sees them: name, description and input_schema."""
    human: Human = field(default_factory=Human)

    @property
    def tokens(self) -> int:
        """Tokens of the list of tools, which a model reads once per conversation."""
        return count_tokens(self.listed)

    async def call(self, tool: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        """Return the text of a call's result, and whether it is an error."""
        result = await self.client.call_tool(tool, arguments)
        text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
        return text, result.is_error


@dataclass(frozen=True)
class Cost:
    """Calls and tokens of a model, and forms of a human."""

    calls: int
    tokens: int
    forms: int = 0


@contextlib.asynccontextmanager
async def meet_product() -> AsyncIterator[Host]:
    """Yield this server, in memory; the sandbox's two tokens are configured, and the organization."""
    stage = Stage()
    flags: dict[str, dict[str, Any]] = {"server": {"sandbox": True}, "gitbook": {"organization": ORGANIZATION_ID}}
    server = create_server(load_settings(flags), http_transport=httpx.ASGITransport(app=stage))
    human = Human()
    async with Client(server, elicitation_callback=human.answer) as client:
        yield replace(await _make_host("this server", client, stage), human=human)


@contextlib.asynccontextmanager
async def meet_peer(subject: Subject) -> AsyncIterator[Host]:
    """Yield another server over stdio, in front of a sandbox on loopback."""
    stage = Stage()
    with open_listener() as (listener, address):
        env = {**environment(address), "GITBOOK_TOKEN": USER_TOKEN}
        command = StdioServerParameters(command=subject.argv[0], args=list(subject.argv[1:]), env=env, cwd=ROOT)
        async with listen(stage, HttpSection(), listener), Client(command) as client:
            yield await _make_host(subject.name, client, stage)


async def _make_host(name: str, client: Client, stage: Stage) -> Host:
    listed = [
        {"name": tool.name, "description": tool.description or "", "input_schema": tool.input_schema}
        for tool in (await client.list_tools()).tools
    ]
    return Host(name, client, stage, listed)


async def run(job: Job, host: Host, steps: tuple[Step, ...]) -> Cost:
    """Do `job` by `steps` and return what it cost.

    Raises:
        JobError: a call failed or used an unknown ID, or the job is not done afterwards.
    """
    host.stage.sandbox = create_sandbox()
    schemas = {tool["name"]: tool["input_schema"] for tool in host.listed}
    known = [PROMPT, job.request]
    tokens, forms = 0, len(host.human.requests)
    for step in steps:
        if isinstance(step, Happening):
            step.change(host.stage.sandbox.state)
            continue
        arguments = _complete(step, schemas[step.tool], known[-1])
        for unknown in _find_unknown(arguments, "\n".join(known)):
            raise JobError(f"{job.name}: {step.tool} uses {unknown}, which no earlier result contains")
        text, failed = await host.call(step.tool, arguments)
        if failed:
            raise JobError(f"{job.name}: {step.tool} failed: {text}")
        tokens += count_tokens(text)
        known.append(text)
    judge(job, host.stage, "\n".join(known[2:]))
    return Cost(sum(isinstance(step, Call) for step in steps), tokens, len(host.human.requests) - forms)


def judge(job: Job, stage: Stage, said: str) -> None:
    """Raise a JobError if `said` lacks a fact or GitBook's state is wrong."""
    for fact in job.facts:
        if fact.lower() not in said.lower():
            raise JobError(f"{job.name}: no result contains {fact}")
    if not job.done(stage.sandbox.state):
        raise JobError(f"{job.name}: GitBook's state is wrong")


def _complete(step: Call, schema: Mapping[str, Any], last: str) -> dict[str, Any]:
    """Add the organization if the tool requires it, and the ID of the last change."""
    required = "organizationId" in schema.get("required", ()) and "organizationId" not in step.arguments
    change = re.search(r'"changeId":"(chg_\w+)"', last)
    given = {name: change[1] if value == LAST_CHANGE and change else value for name, value in step.arguments.items()}
    return {**({"organizationId": ORGANIZATION_ID} if required else {}), **given}


def _find_unknown(arguments: Mapping[str, Any], known: str) -> Iterator[str]:
    for name, value in arguments.items():
        if isinstance(value, str) and (name.endswith("Id") or name in NAMES) and value not in known:
            yield value
