"""Prompts as clients get them: those whose tools are on offer, written out with what was chosen."""

import json
from collections.abc import Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    PromptArgument,
    PromptMessage,
    TextContent,
)
from mcp_types import Prompt as PublishedPrompt

from gitbook_integrations_api.prompts import PROMPTS, RULES, Argument, Prompt
from gitbook_integrations_mcp.auth.callers import Callers
from gitbook_integrations_mcp.auth.policy import Policy
from gitbook_integrations_mcp.calls.arguments import ORGANIZATION
from gitbook_integrations_mcp.text import clean_text

_LONGEST = 200
"""Characters of an argument: an ID, or a title that somebody typed instead."""


def list_prompts(policy: Policy) -> list[Prompt]:
    """Return the prompts on offer: those that can be followed to their end with the tools on offer."""
    return [prompt for prompt in PROMPTS.values() if prompt.needs <= policy.tools.keys()]


def find_prompt(name: str, policy: Policy) -> Prompt:
    """Return a prompt on offer.

    Raises:
        MCPError: there is none of that name; the message says what is missing.
    """
    prompt = PROMPTS.get(name)
    if prompt is None:
        offered = ", ".join(prompt.name for prompt in list_prompts(policy))
        raise MCPError(INVALID_PARAMS, f"There is no prompt of that name. There are: {offered or 'none'}.")
    if missing := sorted(prompt.needs - policy.tools.keys()):
        raise MCPError(
            INVALID_PARAMS,
            f"{name} needs tools that are switched off on this server: {', '.join(missing)}. Only the operator of the "
            "server, or of the client, can change that.",
        )
    return prompt


class Prompts:
    """Serves prompts."""

    def __init__(self, callers: Callers, organization: str | None) -> None:
        self._callers = callers
        self._organization = organization

    def register(self, server: Server[Any]) -> None:
        """Have `server` offer prompts."""
        server.add_request_handler("prompts/list", PaginatedRequestParams, self.list)
        server.add_request_handler("prompts/get", GetPromptRequestParams, self.get)

    async def list(self, context: ServerRequestContext[Any, Any], _params: PaginatedRequestParams) -> ListPromptsResult:
        """Answer prompts/list."""
        policy = self._callers.identify(context).policy
        return ListPromptsResult(prompts=[self._describe(prompt) for prompt in list_prompts(policy)])

    async def get(self, context: ServerRequestContext[Any, Any], params: GetPromptRequestParams) -> GetPromptResult:
        """Answer prompts/get."""
        policy = self._callers.identify(context).policy
        prompt = find_prompt(params.name, policy)
        text = write_prompt(prompt, self._check(prompt, params.arguments or {}), policy)
        message = PromptMessage(role="user", content=TextContent(type="text", text=text))
        return GetPromptResult(description=prompt.description, messages=[message])

    def _describe(self, prompt: Prompt) -> PublishedPrompt:
        return PublishedPrompt(
            name=prompt.name,
            title=prompt.title,
            description=prompt.description,
            arguments=[
                PromptArgument(
                    name=argument.name, description=argument.description, required=self._is_required(argument)
                )
                for argument in prompt.arguments
            ],
        )

    def _is_required(self, argument: Argument) -> bool:
        return argument.required and not (argument.name == ORGANIZATION and self._organization)

    def _check(self, prompt: Prompt, arguments: Mapping[str, str]) -> dict[str, str]:
        """Return the arguments as they may stand in the text, the default organization among them.

        Raises:
            MCPError: one is missing, unknown, or not a single line that a human would see as it is.
        """
        given = {name: value.strip() for name, value in arguments.items() if value.strip()}
        names = [argument.name for argument in prompt.arguments]
        problems = [
            f"{argument.name} is required"
            for argument in prompt.arguments
            if self._is_required(argument) and argument.name not in given
        ]
        if set(given) - set(names):
            problems.append(f"the arguments are {', '.join(names)}")
        problems += [
            f"{name} must be one visible line of at most {_LONGEST} characters"
            for name in names
            if clean_text(given.get(name, ""), _LONGEST) != given.get(name, "")
        ]
        if problems:
            raise MCPError(INVALID_PARAMS, f"The arguments do not fit {prompt.name}: {'; '.join(problems)}.")
        if self._organization and ORGANIZATION in names:
            given.setdefault(ORGANIZATION, self._organization)
        return given


def write_prompt(prompt: Prompt, arguments: Mapping[str, str], policy: Policy) -> str:
    """Return the prompt's text for these arguments and the tools on offer."""
    steps = [step for step in prompt.steps if not set(step.tools) - policy.tools.keys()]
    named = {tool: None for step in prompt.steps for tool in step.tools}
    gated = [name for name in named if name in policy.tools and policy.may_need_confirmation(policy.tools[name])]
    off = [name for name in named if name not in policy.tools]
    rules = [*RULES]
    if gated:
        rules.append(f"These may wait for a human's yes of their own, which you cannot give: {', '.join(gated)}.")
    if off:
        rules.append(f"Switched off on this server: {', '.join(off)}. Say so where they would have been needed.")
    return "\n".join(
        [
            prompt.goal,
            "",
            *(
                _give(argument, arguments[argument.name], policy)
                for argument in prompt.arguments
                if argument.name in arguments
            ),
            "",
            *(f"{number}. {step.text}" for number, step in enumerate(steps, 1)),
            "",
            "Throughout:",
            *(f"- {rule}" for rule in rules),
        ]
    )


def _give(argument: Argument, value: str, policy: Policy) -> str:
    source = argument.source.tool
    hint = f" (if it is a title: {source} has what belongs here)" if source in policy.tools else ""
    return f"- {argument.name}: {json.dumps(value, ensure_ascii=False)}{hint}"
