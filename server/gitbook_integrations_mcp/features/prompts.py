"""Prompts as clients get them: those whose tools are offered, with the chosen arguments in their text."""

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
from gitbook_integrations_mcp.errors import ErrorCode
from gitbook_integrations_mcp.text import clean_text

_MAX_LENGTH = 200
"""Maximum length of an argument in characters. People can type a title instead of an ID."""


def list_prompts(policy: Policy) -> list[Prompt]:
    """Return the offered prompts: those whose required tools are all offered."""
    return [prompt for prompt in PROMPTS.values() if prompt.needs <= policy.tools.keys()]


def find_prompt(name: str, policy: Policy) -> Prompt:
    """Return an offered prompt.

    Raises:
        MCPError: the prompt does not exist, or tools that it needs are disabled.
    """
    prompt = PROMPTS.get(name)
    if prompt is None:
        offered = ", ".join(prompt.name for prompt in list_prompts(policy))
        text = f"Unknown prompt. Offered prompts: {offered or 'none'}."
        raise MCPError(INVALID_PARAMS, text, {"code": ErrorCode.UNKNOWN_PROMPT})
    if missing := sorted(prompt.needs - policy.tools.keys()):
        text = (
            f"{name} needs tools that are disabled on this server: {', '.join(missing)}. Only the operator of the "
            "server or of the client can enable them."
        )
        raise MCPError(INVALID_PARAMS, text, {"code": ErrorCode.UNKNOWN_PROMPT})
    return prompt


class Prompts:
    """Serves prompts."""

    def __init__(self, callers: Callers, organization: str | None) -> None:
        self._callers = callers
        self._organization = organization

    def register(self, server: Server[Any]) -> None:
        """Register prompts with `server`."""
        server.add_request_handler("prompts/list", PaginatedRequestParams, self.list)
        server.add_request_handler("prompts/get", GetPromptRequestParams, self.get)

    async def list(self, context: ServerRequestContext[Any, Any], _params: PaginatedRequestParams) -> ListPromptsResult:
        """Handle prompts/list."""
        policy = self._callers.identify(context).policy
        return ListPromptsResult(prompts=[self._describe(prompt) for prompt in list_prompts(policy)])

    async def get(self, context: ServerRequestContext[Any, Any], params: GetPromptRequestParams) -> GetPromptResult:
        """Handle prompts/get."""
        policy = self._callers.identify(context).policy
        prompt = find_prompt(params.name, policy)
        text = write_prompt(prompt, self._check_arguments(prompt, params.arguments or {}), policy)
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

    def _check_arguments(self, prompt: Prompt, arguments: Mapping[str, str]) -> dict[str, str]:
        """Return the arguments, with the default organization added.

        Raises:
            MCPError: an argument is missing, unknown, longer than one line, or has invisible characters.
        """
        given = {name: value.strip() for name, value in arguments.items() if value.strip()}
        names = [argument.name for argument in prompt.arguments]
        problems = [
            f"{argument.name} is required"
            for argument in prompt.arguments
            if self._is_required(argument) and argument.name not in given
        ]
        if set(given) - set(names):
            problems.append(f"the valid arguments are {', '.join(names)}")
        problems += [
            f"{name} must be one visible line of at most {_MAX_LENGTH} characters"
            for name in names
            if clean_text(given.get(name, ""), _MAX_LENGTH) != given.get(name, "")
        ]
        if problems:
            text = f"Invalid arguments for {prompt.name}: {'; '.join(problems)}."
            raise MCPError(INVALID_PARAMS, text, {"code": ErrorCode.INVALID_ARGUMENTS})
        if self._organization and ORGANIZATION in names:
            given.setdefault(ORGANIZATION, self._organization)
        return given


def write_prompt(prompt: Prompt, arguments: Mapping[str, str], policy: Policy) -> str:
    """Return the prompt's text for these arguments and the offered tools."""
    steps = [step for step in prompt.steps if not set(step.tools) - policy.tools.keys()]
    named = {tool: None for step in prompt.steps for tool in step.tools}
    confirmed = [name for name in named if name in policy.tools and policy.may_need_confirmation(policy.tools[name])]
    disabled = [name for name in named if name not in policy.tools]
    rules = [*RULES]
    if confirmed:
        rules.append(f"These tools may ask for human confirmation, which you cannot give: {', '.join(confirmed)}.")
    for reason in dict.fromkeys(map(policy.explain, disabled)):
        names = ", ".join(name for name in disabled if policy.explain(name) == reason)
        rules.append(f"Steps are left out that need {names}. The reason: {reason}. Say so if the user asks for them.")
    return "\n".join(
        [
            prompt.goal,
            "",
            *(
                _format_argument(argument, arguments[argument.name], policy)
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


def _format_argument(argument: Argument, value: str, policy: Policy) -> str:
    source = argument.source.tool
    hint = f" (if this is a title, find the ID or name with {source})" if source in policy.tools else ""
    return f"- {argument.name}: {json.dumps(value, ensure_ascii=False)}{hint}"
