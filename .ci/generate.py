"""Everything in this repository that is generated: `python .ci/generate.py` renews it.

With `--check` it changes nothing, names the files that are out of date and exits with 1.
"""

import argparse
import contextlib
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from pydantic_core import to_jsonable_python
from ruamel.yaml import YAML

from clients import build_client_table, build_page, describe_extension, describe_marketplace, describe_plugin
from gitbook_integrations_api.catalog import NOT_EXPOSED, TOOLS, TOOLSETS
from gitbook_integrations_api.endpoint import CredentialKind, Endpoint, Risk, Tool
from gitbook_integrations_api.prompts import PROMPTS
from gitbook_integrations_api.report import Report
from gitbook_integrations_api.resources import RESOURCES
from gitbook_integrations_api.rules import RULES
from gitbook_integrations_mcp import NAME
from gitbook_integrations_mcp.app import create_server
from gitbook_integrations_mcp.cli.assistants import ASSISTANTS
from gitbook_integrations_mcp.cli.main import main as run_command
from gitbook_integrations_mcp.cli.parser import build_parser
from gitbook_integrations_mcp.config.settings import iterate_settings, load_settings, name_variable
from gitbook_integrations_mcp.config.variables import CLI_VARIABLES
from gitbook_integrations_mcp.errors import ErrorCode
from publication import describe_registry_entry

ROOT = Path(__file__).parent.parent
PAGES_URL = "https://raw.githubusercontent.com/gitbook-integrations-mcp/gitbook-integrations-mcp/main"

# Tables of the documentation, and a session as the terminal shows it

_TOKENS = {
    CredentialKind.USER: "user",
    CredentialKind.INTEGRATION: "integration",
    CredentialKind.INSTALLATION: "installation",
}


def build_tool_table() -> str:
    """Return a section for each toolset, with a table of its tools."""
    lines: list[str] = []
    for toolset, tools in TOOLSETS.items():
        lines += ["", f"## {toolset}", "", "| Tool | What it does | Risk and approval | Token |"]
        lines += ["| --- | --- | --- | --- |", *(_build_tool_row(tool) for tool in tools)]
    lines += ["", "## Operations without a tool", "", f"There are {len(TOOLS)} tools. These operations have none:", ""]
    lines += [f"- `{operation}`, which {reason}" for operation, reason in NOT_EXPOSED.items()]
    return "\n".join([*lines, ""])


def build_toolset_table() -> str:
    """Return the table of toolsets, each with its tools' names."""
    lines = ["| Toolset | Tools |", "| --- | --- |"]
    lines += [f"| {toolset} | {', '.join(f'`{tool.name}`' for tool in tools)} |" for toolset, tools in TOOLSETS.items()]
    return "\n".join(lines)


def _build_tool_row(tool: Tool) -> str:
    place = f"<br>{tool.method} `{tool.path}`" if isinstance(tool, Endpoint) else ""
    tokens = ", ".join(word for kind, word in _TOKENS.items() if kind in tool.credentials)
    if CredentialKind.OAUTH in tool.credentials:
        tokens += ", login" + (f" ({', '.join(f'`{scope}`' for scope in tool.scopes)})" if tool.scopes else "")
    return f"| `{tool.name}`{place} | {tool.description} | {tool.risk}{_describe_approval(tool)} | {tokens} |"


def _describe_approval(tool: Tool) -> str:
    if tool.needs_confirmation({}) or (tool.widens is not None and tool.widens.always_asks):
        return ", approval"
    cases = ["if it gives power"] if tool.widens or (isinstance(tool, Endpoint) and tool.configures) else []
    if tool.confirm_with:
        cases.append("with " + ", ".join(f"`{name}`" for name in tool.confirm_with))
    return f", approval {' or '.join(cases)}" if cases else ""


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


def build_settings_tables() -> str:
    """Return a section for each section of the settings, with a table."""
    short = {place: variable for variable, place in CLI_VARIABLES.items()}
    lines: list[str] = []
    last = ""
    for section, key, field in iterate_settings():
        if section != last:
            lines += ["", f"## {section}", "", "| Setting and variable | Default | Meaning |", "| --- | --- | --- |"]
            last = section
        variable = short.get((section, key)) or name_variable(section, key)
        default = f"`{json.dumps(field.get_default())}`" if field.get_default() is not None else "–"
        lines.append(f"| `{section}.{key}`<br>`{variable}` | {default} | {field.description} |")
    return "\n".join([*lines, ""])


def build_rules() -> str:
    """Return a section for each rule of the audit; its anchor is the rule's ID."""
    parts = [
        f"## {rule.id}\n\n**{str(rule.severity).capitalize()}.** {rule.meaning} {rule.why}" for rule in RULES.values()
    ]
    return "\n\n".join(["", *parts, ""])


def build_command_reference() -> str:
    """Return a section for each command, with its arguments and options."""
    parser, commands = build_parser()
    parts = [""]
    for name, command in commands.items():
        parts.append(f"## {name}\n\n{command.description}")
        rows = [row for action in command._actions if (row := _describe_action(action, command))]
        if rows:
            parts.append("\n".join(["| Argument | Meaning |", "| --- | --- |", *rows]))
        if command.epilog:
            parts.append(f"```text\n{command.epilog.strip()}\n```")
    assert parser.epilog is not None
    parts.append(f"## Exit codes\n\n```text\n{parser.epilog.partition('exit codes:')[2].strip(chr(10))}\n```")
    return "\n\n".join([*parts, ""])


def _describe_action(action: argparse.Action, command: argparse.ArgumentParser) -> str | None:
    if action.help == argparse.SUPPRESS or action.dest == "help":
        return None
    if isinstance(action, argparse._SubParsersAction):
        choices = {one.dest: one.help for one in action._choices_actions}
        return "<br>".join(f"| `{word}` | {text} |" for word, text in choices.items()).replace("<br>", "\n")
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    takes = f" {value}" if action.nargs != 0 else ""
    word = f"{', '.join(action.option_strings)}{takes}" if action.option_strings else str(value)
    escaped = word.replace("|", "\\|")
    return f"| `{escaped}` | {str(action.help or '').replace('|', chr(92) + '|')} |"


def copy_tasks() -> str:
    """Return the README's table of tasks with the links of a page in `docs/`."""
    table = re.search(r"<!-- tasks -->\n(.*?)\n<!-- /tasks -->", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert table is not None
    return table[1].replace("](docs/", "](")


SESSION = ("audit --sandbox",)
"""Commands that a newcomer runs first."""


def record_session() -> str:
    """Return the first session as a terminal shows it, by running it."""
    lines = ["```console"]
    for command in SESSION:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            assert run_command(shlex.split(command)) == 0
        lines += [f"$ gitbook-integrations-mcp {command}", *(line.rstrip() for line in output.getvalue().splitlines())]
    return "\n".join([*lines, "```"])


def fill(path: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """Return the text of a file with every generated part renewed."""
    text = (ROOT / path).read_text(encoding="utf-8")
    for name, build in parts.items():
        place = re.search(rf"(<!-- {name} -->\n).*?(\n?<!-- /{name} -->)", text, re.DOTALL)
        assert place is not None, f"{path} has no place for {name}"
        text = text[: place.end(1)] + build() + "\n" + text[place.start(2) :].lstrip("\n")
    return text


# Error codes

_GROUPS = {
    ErrorCode.UNKNOWN_TOOL: "Calls that the server refuses",
    ErrorCode.CONFIRMATION_REQUIRED: "Confirmation",
    ErrorCode.GITBOOK_REJECTED: "GitBook and the way to it",
    ErrorCode.DUPLICATE_HEADER: "HTTP",
    ErrorCode.INVALID_SETTINGS: "Command line",
}
"""Headings, each by the first code below it in the order of `ErrorCode`."""


def build_code_tables() -> str:
    """Return a table of error codes for each group, with an anchor for each code."""
    lines: list[str] = []
    for code in ErrorCode:
        if code in _GROUPS:
            lines += ["", f"## {_GROUPS[code]}", "", "| Code | What happened | What to do |", "| --- | --- | --- |"]
        lines.append(f'| <a id="{code}"></a>`{code}` | {code.meaning} | {code.remedy} |')
    return "\n".join(lines[1:])


def build_report_tables() -> str:
    """Return a table of the fields of each part of a report."""
    schema = Report.model_json_schema(mode="serialization")
    parts = {"Report": schema, **{name: one for name, one in schema["$defs"].items() if "properties" in one}}
    lines: list[str] = []
    for name, part in parts.items():
        lines += ["", f"## {name}", ""]
        lines += [part["description"].partition("\n\n")[0], ""] if "description" in part else []
        lines += ["| Field | Type | Meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{field}` | {_name_type(one)} | {one.get('description', '')} |"
            for field, one in part["properties"].items()
        ]
    return "\n".join([*lines, ""])


def _name_type(schema: Mapping[str, Any]) -> str:
    """Return the type of a field in words; objects link to their table."""
    match schema:
        case {"$ref": reference}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": choices}:
            return " or ".join(_name_type(one) for one in choices)
        case {"const": value}:
            return f"`{json.dumps(value)}`"
        case {"enum": values}:
            return " or ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            return f"list of {_name_type(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"object of {_name_type(values)}"
    return str(schema.get("type", "any"))


PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"clients": build_client_table, "toolsets": build_toolset_table},
    "docs/index.md": {"tasks": copy_tasks},
    "docs/quickstart.md": {"session": record_session},
    "docs/reference/command-line.md": {"commands": build_command_reference},
    "docs/reference/errors.md": {"codes": build_code_tables},
    "docs/reference/prompts.md": {"prompts": build_prompt_table},
    "docs/reference/report.md": {"fields": build_report_tables},
    "docs/reference/resources.md": {"resources": build_resource_table},
    "docs/reference/rules.md": {"rules": build_rules},
    "docs/reference/settings.md": {"settings": build_settings_tables},
    "docs/reference/tools.md": {"tools": build_tool_table},
}
"""The generated parts of pages, by the page's path and the part's name."""


# Whole files


def render_settings() -> str:
    """Return every setting with its default, as a settings file."""
    sections: dict[str, dict[str, object]] = {}
    for section, key, field in iterate_settings():
        sections.setdefault(section, {})[key] = to_jsonable_python(field.get_default(call_default_factory=True))
    return json.dumps(sections, indent=2, ensure_ascii=False) + "\n"


def _write_json(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def build_index() -> str:
    """Return `llms.txt`: the pages in the order of the site, with the first sentence of each, for language models."""
    site = YAML(typ="safe").load(ROOT / "mkdocs.yml")
    files = site["extra"]["root_pages"]
    lines = ["# gitbook-integrations-mcp", "", f"> {metadata(NAME)['Summary']}", "", "## Start", ""]
    for entry in site["nav"]:
        for title, pages in entry.items():
            if isinstance(pages, str):
                lines.append(_describe_page(f"docs/{pages}"))
                continue
            paths = [page if isinstance(page, str) else next(iter(page.values())) for page in pages]
            own = [files.get(path, f"docs/{path}") for path in paths if not path.startswith("https:")]
            lines += ["", f"## {title}", "", *map(_describe_page, own)]
    return "\n".join(lines) + "\n"


def _describe_page(path: str) -> str:
    text = re.sub(r"<!--.*?-->\n*", "", (ROOT / path).read_text(encoding="utf-8"), flags=re.DOTALL)
    title, _, body = text.removeprefix("# ").partition("\n")
    first = next((block for block in body.split("\n\n") if re.match(r"\s*[A-Z\[`*]", block)), "").replace("\n", " ")
    first = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", first).replace("**", "")
    sentence = re.match(r".*?[.:](?= |$)", first.strip())
    return f"- [{title}]({PAGES_URL}/{path}){': ' + sentence[0].rstrip(':') if sentence else ''}"


def render_tools() -> str:
    """Return all tools as a client gets them."""

    async def list_tools() -> list[dict[str, object]]:
        async with Client(create_server(load_settings()), mode="legacy") as client:
            tools = (await client.list_tools()).tools
        return [tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in tools]

    return json.dumps(anyio.run(list_tools), indent=2, ensure_ascii=False) + "\n"


def render_report_schema() -> str:
    """Return the JSON Schema of an audit's report."""
    schema = Report.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


FILES: Mapping[str, Callable[[], str]] = {
    ".claude-plugin/marketplace.json": lambda: _write_json(describe_marketplace()),
    ".claude-plugin/plugin.json": lambda: _write_json(describe_plugin()),
    "gemini-extension.json": lambda: _write_json(describe_extension()),
    "llms.txt": build_index,
    **{path: partial(fill, path, parts) for path, parts in PARTS.items()},
    **{f"docs/install/{name}.md": partial(build_page, name) for name in ASSISTANTS},
    "config.example.json": render_settings,
    "server.json": describe_registry_entry,
    "tests/snapshots/tools.json": render_tools,
    "tools/gitbook_integrations_api/report.schema.json": render_report_schema,
}
"""How each file is generated, by its path."""


@contextlib.contextmanager
def ignore_settings() -> Iterator[None]:
    """Remove the settings of this machine from the environment meanwhile: files show the defaults."""
    removed = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(("GITBOOK", "XDG_"))}
    try:
        yield
    finally:
        os.environ.update(removed)


def find_outdated() -> dict[str, str]:
    """Return the new text of every generated file that is out of date, by its path."""
    with ignore_settings():
        texts = {path: build() for path, build in FILES.items()}
    return {
        path: text
        for path, text in texts.items()
        if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != text
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python .ci/generate.py", description="Renew all generated files.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where a file is out of date")
    check = parser.parse_args().check
    outdated = find_outdated()
    for path, text in outdated.items():
        if check:
            print(f"out of date: {path} (run python .ci/generate.py)", file=sys.stderr)
        else:
            (ROOT / path).parent.mkdir(exist_ok=True)
            (ROOT / path).write_text(text, encoding="utf-8")
            print(f"written: {path}")
    return 1 if check and outdated else 0


if __name__ == "__main__":
    raise SystemExit(main())
