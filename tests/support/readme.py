"""The README's generated parts: tables of tools and settings, and a session as the terminal really shows it.

`python -m tests.support.readme` writes them; a test fails where they are not what the code says.
"""

import contextlib
import io
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

from gitbook_integrations_api.catalog import NOT_EXPOSED, TOOLS, TOOLSETS
from gitbook_integrations_api.endpoint import CredentialKind, Endpoint, Risk, Tool
from gitbook_integrations_api.prompts import PROMPTS
from gitbook_integrations_api.resources import RESOURCES
from gitbook_integrations_api.rules import RULES
from gitbook_integrations_mcp.cli.main import main
from gitbook_integrations_mcp.config.settings import CLI_VARIABLES, iterate_settings, name_variable

README = Path(__file__).parents[2] / "README.md"

_TOKENS = {
    CredentialKind.USER: "user",
    CredentialKind.INTEGRATION: "integration",
    CredentialKind.INSTALLATION: "installation",
}


def build_tool_table() -> str:
    """Return the table of tools, by toolset."""
    lines = ["| Tool | Endpoint | Risk | Token | What it does |", "| --- | --- | --- | --- | --- |"]
    for toolset, tools in TOOLSETS.items():
        lines.append(f"| **{toolset}** | | | | |")
        lines += [_describe(tool) for tool in tools]
    lines += ["", f"{len(TOOLS)} tools. Deliberately none:"]
    lines += [f"`{operation}`, which {reason}" for operation, reason in NOT_EXPOSED.items()]
    return "\n".join(lines)


def _describe(tool: Tool) -> str:
    place = f"{tool.method} `{tool.path}`" if isinstance(tool, Endpoint) else "several"
    tokens = ", ".join(word for kind, word in _TOKENS.items() if kind in tool.credentials)
    risk = f"{tool.risk} 🔒" if tool.needs_confirmation({}) else str(tool.risk)
    if tool.confirm_if:
        risk += " (🔒 with " + ", ".join(f"`{name}: {json.dumps(value)}`" for name, value in tool.confirm_if) + ")"
    return f"| `{tool.name}` | {place} | {risk} | {tokens} | {tool.description} |"


def build_prompt_table() -> str:
    """Return the table of prompts."""
    lines = ["| Prompt | Arguments | What it does | Read-only |", "| --- | --- | --- | --- |"]
    for prompt in PROMPTS.values():
        arguments = ", ".join(f"`{one.name}`" + ("" if one.required else " (optional)") for one in prompt.arguments)
        reads = all(TOOLS[name].risk is Risk.READ for name in prompt.needs)
        lines.append(f"| `{prompt.name}` | {arguments} | {prompt.description} | {'yes' if reads else 'no'} |")
    return "\n".join(lines)


def build_resource_table() -> str:
    """Return the table of resources."""
    lines = ["| Resource | Address | What it holds | Reads with |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {one.name} | `{one.uri_template}` | {one.description} | `{one.tool.name}` |" for one in RESOURCES.values()
    ]
    return "\n".join(lines)


def build_settings_table() -> str:
    """Return the table of settings."""
    short = {place: variable for variable, place in CLI_VARIABLES.items()}
    lines = ["| Setting | Variable | Default | Meaning |", "| --- | --- | --- | --- |"]
    for section, key, field in iterate_settings():
        variable = short.get((section, key)) or name_variable(section, key)
        default = json.dumps(field.get_default()) if field.get_default() is not None else "–"
        lines.append(f"| `{section}.{key}` | `{variable}` | `{default}` | {field.description} |")
    return "\n".join(lines)


def build_rule_table() -> str:
    """Return the table of the audit's rules."""
    lines = ["| Rule | Severity | What it finds | Why it matters |", "| --- | --- | --- | --- |"]
    lines += [f"| `{rule.id}` | {rule.severity} | {rule.meaning} | {rule.why} |" for rule in RULES.values()]
    return "\n".join(lines)


SESSION = ("audit --sandbox",)
"""What a newcomer runs first: the main job, on the embedded GitBook."""


def record_session() -> str:
    """Return the first session as a terminal shows it, by running it."""
    lines = ["```console"]
    for command in SESSION:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            assert main(shlex.split(command)) == 0
        lines += [f"$ gitbook-integrations-mcp {command}", *(line.rstrip() for line in output.getvalue().splitlines())]
    return "\n".join([*lines, "```"])


PARTS: dict[str, Callable[[], str]] = {
    "tools": build_tool_table,
    "prompts": build_prompt_table,
    "resources": build_resource_table,
    "settings": build_settings_table,
    "session": record_session,
    "rules": build_rule_table,
}


def fill(text: str) -> str:
    """Return `text` with every generated part renewed."""
    for name, build in PARTS.items():
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
        place = re.search(pattern, text, re.DOTALL)
        assert place is not None, f"the README has no place for {name}"
        text = text[: place.end(1)] + build() + text[place.start(2) :]
    return text


if __name__ == "__main__":
    README.write_text(fill(README.read_text(encoding="utf-8")), encoding="utf-8")
