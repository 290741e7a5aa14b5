"""Which tools this server offers, and which calls need confirmation.

The operator's settings filter the table of tools, both when tools are listed and when they are called.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from gitbook_integrations_api.catalog import TOOLS, TOOLSET_OF, TOOLSETS
from gitbook_integrations_api.endpoint import Composite, Endpoint, Risk, Tool
from gitbook_integrations_mcp.config.models import ConfirmationSection, ToolsSection
from gitbook_integrations_mcp.errors import DisabledToolError, SettingsError, UnknownToolError
from gitbook_integrations_mcp.spelling import find_alike, suggest

_NAMES = re.compile(rf"(?<!answered )\b(?:{'|'.join(TOOLS)})\b")
"""The tools that a text names, without the one whose call GitBook answered."""


class Policy:
    """The operator's selection of tools. `folders` offers those that read folders of the server's machine.

    Raises:
        SettingsError: unknown toolset or tool. A misspelt name must not leave a tool enabled.
    """

    def __init__(
        self,
        settings: ToolsSection,
        confirmation: ConfirmationSection,
        narrowed: ToolsSection | None = None,
        withheld: frozenset[str] = frozenset(),
        *,
        folders: bool = False,
    ) -> None:
        _check_names("tools.toolsets", "toolset", settings.toolsets or (), TOOLSETS)
        _check_names("tools.include", "tool", settings.include or (), TOOLS)
        _check_names("tools.exclude", "tool", settings.exclude, TOOLS)
        _check_names("confirmation.extra_tools", "tool", confirmation.extra_tools, TOOLS)
        self._settings = settings
        self._confirmation = confirmation
        self._narrowed = narrowed
        self._folders = folders
        self._extra_tools = frozenset(confirmation.extra_tools).union(
            _find_updates(TOOLS[name] for name in confirmation.extra_tools)
        )
        self._permitted = {name: tool for name, tool in TOOLS.items() if self._find_reason(tool) is None}
        self._withheld = withheld
        self.tools: Mapping[str, Tool] = MappingProxyType(
            {name: tool for name, tool in self._permitted.items() if name not in withheld}
        )
        """The tools that are offered, in the catalog's order."""

    def _find_reason(self, tool: Tool) -> str | None:
        """Return why a tool is disabled, by settings or by the client's headers, or None if it is offered."""
        if isinstance(tool, Composite) and tool.reads_folder and not self._folders:
            return (
                "it reads folders of the server's machine, only over stdio or on loopback, below publishing.roots "
                "(--roots FOLDER)"
            )
        if reason := _find_excluding_setting(self._settings, tool):
            return reason
        if self._narrowed and (reason := _find_excluding_setting(self._narrowed, tool)):
            return f"the client's headers exclude it: {reason}"
        return None

    def narrow(self, *, read_only: bool, toolsets: Iterable[str] | None) -> "Policy":
        """Return this policy with fewer tools. A caller can never add tools."""
        known = None if toolsets is None else frozenset(toolsets).intersection(TOOLSETS)  # bounds the size of the cache
        return self._narrow(read_only, known)

    @cache  # noqa: B019  # a policy lives as long as the server
    def with_folders(self) -> "Policy":
        """Return this policy with the tools for folders, for a client on the server's machine that declares roots."""
        return Policy(self._settings, self._confirmation, self._narrowed, self._withheld, folders=True)

    @cache  # noqa: B019
    def _narrow(self, read_only: bool, toolsets: frozenset[str] | None) -> "Policy":
        filters = ToolsSection(read_only=read_only, toolsets=None if toolsets is None else tuple(toolsets))
        return Policy(self._settings, self._confirmation, filters, self._withheld, folders=self._folders)

    @cache  # noqa: B019  # a policy lives as long as the server
    def withhold(self, names: frozenset[str]) -> "Policy":
        """Return this policy without the tools that no credential serves. A call of one ends in an error about that."""
        return Policy(self._settings, self._confirmation, self._narrowed, names, folders=self._folders)

    def needs_confirmation(self, tool: Tool, arguments: Mapping[str, Any]) -> bool:
        """Whether a call needs confirmation. The operator can add tools to this list but not remove any.

        A tool that calls the endpoints of other tools needs confirmation if one of those tools does, because its result
        contains theirs. An update of an object needs confirmation if the tool that reads it does, because its
        errors name fields of the object.
        """
        names = {tool.name, *tool.uses} if isinstance(tool, Composite) else {tool.name}
        widens = self.asks_to_widen and tool.widens is not None and tool.widens.always_asks
        return tool.needs_confirmation(arguments) or widens or not self._extra_tools.isdisjoint(names)

    def may_need_confirmation(self, tool: Tool) -> bool:
        """Whether any call of this tool needs confirmation."""
        configures = isinstance(tool, Endpoint) and tool.configures is not None
        widens = self.asks_to_widen and (tool.widens is not None or configures)
        return widens or self.needs_confirmation(tool, dict.fromkeys(tool.confirm_with))

    @property
    def hides_results(self) -> bool:
        """Whether something that this server reads may be shown to a model only after approval."""
        return any(TOOLS[name].risk is Risk.READ for name in self._extra_tools)

    @property
    def asks_to_widen(self) -> bool:
        """Whether a call that gives power needs confirmation."""
        return self._confirmation.widening == "ask"

    def admit(self, name: str) -> Tool:
        """Return a tool that is offered, or withheld only because no credential serves it.

        Raises:
            UnknownToolError: the tool does not exist.
            DisabledToolError: the settings or the client's headers exclude it.
        """
        if tool := self._permitted.get(name):
            return tool
        if name not in TOOLS:
            nearest = find_alike(name, self.tools)
            raise UnknownToolError(
                "Unknown tool. Nothing was sent. "
                + (f"Similar names: {', '.join(nearest)}." if nearest else "tools/list returns all names.")
            )
        raise DisabledToolError(
            f"{name} is disabled on this server: {self._find_reason(TOOLS[name])}. Nothing was sent. "
            "Only the operator of the server or of the client can enable it."
        )

    def explain(self, name: str) -> str:
        """Return why a tool is not offered."""
        return self._find_reason(TOOLS[name]) or "no credential of this server serves it"

    def name_missing(self, text: str) -> str:
        """Return a sentence with the tools that a text of this server names but that are not offered, or ""."""
        missing = [name for name in dict.fromkeys(_NAMES.findall(text)) if name not in self.tools]
        return f" Not offered on this server: {', '.join(missing)}." if missing else ""

    def keep_offered(self, text: str) -> str:
        """Return a text of this server without the sentences that name tools which are not offered."""
        return " ".join(one for one in re.split(r"(?<=\.) ", text) if not self.name_missing(one))

    def may_read(self, name: str) -> bool:
        """Whether a tool can be read as a resource. Reading a resource cannot ask a human for confirmation."""
        tool = self.tools.get(name)
        return tool is not None and tool.risk is Risk.READ and not self.may_need_confirmation(tool)

    def admit_read(self, name: str) -> None:
        """Check that a tool can be read as a resource.

        Raises:
            UnknownToolError: the tool does not exist.
            DisabledToolError: the tool is disabled, or cannot be read as a resource.
        """
        self.admit(name)
        if name not in self._withheld and not self.may_read(name):
            raise DisabledToolError(
                f"{name} requires confirmation on this server, so it cannot be read as a resource. Call the tool."
            )


def _find_updates(readers: Iterable[Tool]) -> Iterator[str]:
    """Yield the names of the tools that update what `readers` read."""
    paths = {one.path for one in readers if isinstance(one, Endpoint) and (one.method, one.is_list) == ("GET", False)}
    for tool in TOOLS.values():
        if isinstance(tool, Endpoint) and tool.path in paths and tool.body_names:
            yield tool.name


def _check_names(setting: str, kind: str, names: Iterable[str], valid: Mapping[str, object]) -> None:
    for name in names:
        if name not in valid:
            hint = suggest(name, valid) or (f" Valid toolsets: {', '.join(valid)}." if kind == "toolset" else "")
            raise SettingsError(f"{setting}: {name}: unknown {kind}.{hint}")


def _find_excluding_setting(settings: ToolsSection, tool: Tool) -> str | None:
    """Return the setting that excludes a tool, with an explanation, or None."""
    name = tool.name
    if settings.read_only and tool.risk is not Risk.READ:
        return f"read-only mode excludes tools with risk {tool.risk} (tools.read_only)"
    if name in settings.exclude:
        return "it is excluded (tools.exclude)"
    all_selected = settings.toolsets is None and settings.include is None
    if not (all_selected or TOOLSET_OF[name] in (settings.toolsets or ()) or name in (settings.include or ())):
        return f"its toolset {TOOLSET_OF[name]} is not enabled (tools.toolsets, tools.include)"
    return None
