"""A real model that does the jobs through Anthropic's Messages API. It needs a key and the name of a model."""

import os
import sys
from dataclasses import dataclass, field
from typing import Any

import httpx

from gitbook_integrations_mcp.sandbox import create_sandbox
from tests.evaluations.job import Happening, Job
from tests.evaluations.runner import PROMPT, Cost, Host, JobError, judge
from tests.support.tokens import count_tokens

ENDPOINT = "https://api.anthropic.com"
SYSTEM = (
    f"You work for people who build or administer GitBook integrations. {PROMPT} Do what is asked with the tools, in "
    "as few calls as are needed and without asking back, then answer in a few sentences that name what was asked for."
)
MOST_TURNS = 40
"""Maximum number of model responses per job."""
CUE = "Now."
"""Message of the user after a change by other people."""


@dataclass
class Model:
    """One model. `ANTHROPIC_API_KEY` is required; `ANTHROPIC_BASE_URL` can set another endpoint."""

    name: str
    key: str = field(default_factory=lambda: os.environ["ANTHROPIC_API_KEY"], repr=False)
    endpoint: str = field(default_factory=lambda: os.environ.get("ANTHROPIC_BASE_URL", ENDPOINT))

    async def do(self, job: Job, host: Host) -> Cost | None:
        """Let the model do `job` and return its cost, or None if it was not done. The reason is written to stderr."""
        host.stage.sandbox = create_sandbox()
        conversation = _Conversation(self, host, [{"role": "user", "content": job.request}])
        try:
            said = await conversation.go_on()
            for step in job.steps:
                if isinstance(step, Happening):
                    step.change(host.stage.sandbox.state)
                    conversation.messages.append({"role": "user", "content": CUE})
                    said = await conversation.go_on()
            judge(job, host.stage, said)
        except JobError as error:
            print(f"{self.name} on {host.name}: {error}", file=sys.stderr)
            return None
        return Cost(conversation.calls, conversation.tokens)


@dataclass
class _Conversation:
    model: Model
    host: Host
    messages: list[dict[str, Any]]
    calls: int = 0
    tokens: int = 0
    turns: int = 0

    async def go_on(self) -> str:
        """Let the model call tools until it makes no more calls, and return its final text."""
        while self.turns < MOST_TURNS:
            self.turns += 1
            content = await self._ask()
            self.messages.append({"role": "assistant", "content": content})
            wanted = [block for block in content if block["type"] == "tool_use"]
            if not wanted:
                return "".join(block["text"] for block in content if block["type"] == "text")
            self.messages.append({"role": "user", "content": [await self._call(block) for block in wanted]})
        raise JobError(f"not finished after {MOST_TURNS} responses")

    async def _ask(self) -> list[dict[str, Any]]:
        order = {
            "model": self.model.name,
            "max_tokens": 4096,
            "system": SYSTEM,
            "tools": self.host.listed,
            "messages": self.messages,
        }
        headers = {"x-api-key": self.model.key, "anthropic-version": "2023-06-01"}
        async with httpx.AsyncClient(base_url=self.model.endpoint, headers=headers, timeout=300) as client:
            response = await client.post("/v1/messages", json=order)
        if response.is_error:
            raise JobError(f"{self.model.endpoint} answered {response.status_code}: {response.text[:500]}")
        content: list[dict[str, Any]] = response.json()["content"]
        return content

    async def _call(self, block: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        text, failed = await self.host.call(block["name"], block["input"])
        self.tokens += count_tokens(text)
        return {"type": "tool_result", "tool_use_id": block["id"], "content": text, "is_error": failed}
