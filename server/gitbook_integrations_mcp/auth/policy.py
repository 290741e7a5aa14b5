"""Which tools this server offers, and which calls wait for a human: the operator's choice, within what the table says.

The filters hold when listing and again when calling.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from gitbook_integrations_api.catalog import TOOLS, TOOLSET_OF, TOOLSETS
from gitbook_integrations_api.endpoint import Composite, Risk, Tool
from gitbook_integrations_mcp.config.models import ConfirmationSection, ToolsSection
from gitbook_integrations_mcp.errors import DisabledToolError, SettingsError, UnknownToolError
from gitbook_integrations_mcp.spelling import find_nearest, suggest


class Policy:
    """The operator's choice among the tools.

    Raises:
        SettingsError: a toolset or tool that does not exist; a typing error must not leave a tool on.
    """

    def __init__(
        self, settings: ToolsSection, confirmation: ConfirmationSection, narrowed: ToolsSection | None = None
    ) -> None:
        _check_names("tools.toolsets", "toolset", settings.toolsets or (), TOOLSETS)
        _check_names("tools.include", "tool", settings.include or (), TOOLS)
        _check_names("tools.exclude", "tool", settings.exclude, TOOLS)
        _check_names("confirmation.extra_tools", "tool", confirmation.extra_tools, TOOLS)
        self._settings = settings
        self._confirmation = confirmation
        self._narrowed = narrowed
        self._extra_tools = frozenset(confirmation.extra_tools)
        self.tools: Mapping[str, Tool] = MappingProxyType(
            {name: tool for name, tool in TOOLS.items() if self._find_objection(tool) is None}
        )
        """The tools on offer, in the catalog's order."""

    def _find_objection(self, tool: Tool) -> str | None:
        """Return what leaves a tool out, settings or the client's wish, or None where it is on offer."""
        if objection := _object(self._settings, tool):
            return objection
        if self._narrowed and (objection := _object(self._narrowed, tool)):
            return f"the client asked for it: {objection}"
        return None

    def narrow(self, *, read_only: bool, toolsets: Iterable[str] | None) -> "Policy":
        """Return this policy with less on offer. Nothing that a caller wishes can add to it."""
        known = None if toolsets is None else frozenset(toolsets).intersection(TOOLSETS)  # bounds what is cached
        return self._narrow(read_only, known)

    @cache  # noqa: B019  # a policy lives as long as the server
    def _narrow(self, read_only: bool, toolsets: frozenset[str] | None) -> "Policy":
        wish = ToolsSection(read_only=read_only, toolsets=None if toolsets is None else tuple(toolsets))
        return Policy(self._settings, self._confirmation, wish)

    def needs_confirmation(self, tool: Tool, arguments: Mapping[str, Any]) -> bool:
        """Whether a call waits for a human's yes. The operator can add tools to those that do, never remove one.

        What asks the endpoints of other tools waits where one of those does, as it answers with what they would.
        """
        names = {tool.name, *tool.uses} if isinstance(tool, Composite) else {tool.name}
        return tool.needs_confirmation(arguments) or not self._extra_tools.isdisjoint(names)

    def may_need_confirmation(self, tool: Tool) -> bool:
        """Whether some call of this tool waits for a human's yes."""
        return self.needs_confirmation(tool, dict(tool.confirm_if))

    def admit(self, name: str) -> Tool:
        """Return a tool that is on offer.

        Raises:
            UnknownToolError: there is no such tool.
            DisabledToolError: there is, but the operator left it out.
        """
        if tool := self.tools.get(name):
            return tool
        if name not in TOOLS:
            nearest = find_nearest(name, self.tools, most=3)
            raise UnknownToolError(
                "There is no tool of that name; nothing was sent. "
                + (f"Nearest: {', '.join(nearest)}." if nearest else "tools/list names all of them.")
            )
        raise DisabledToolError(
            f"{name} is switched off on this server: {self._find_objection(TOOLS[name])}. Nothing was sent. "
            "Only the operator of the server, or of the client, can change that."
        )

    def may_read(self, name: str) -> bool:
        """Whether a tool may be read where there is no call of it, and so nobody who could be asked."""
        tool = self.tools.get(name)
        return tool is not None and tool.risk is Risk.READ and not self.may_need_confirmation(tool)

    def admit_read(self, name: str) -> None:
        """Check that a tool may be read where there is no call of it.

        Raises:
            UnknownToolError: there is no such tool.
            DisabledToolError: there is, but not for this.
        """
        self.admit(name)
        if not self.may_read(name):
            raise DisabledToolError(f"{name} waits for a human on this server; only a call of that tool can ask one.")


def _check_names(setting: str, kind: str, names: Iterable[str], valid: Mapping[str, object]) -> None:
    for name in names:
        if name not in valid:
            hint = suggest(name, valid) or (f" There are: {', '.join(valid)}." if kind == "toolset" else "")
            raise SettingsError(f"{setting}: {name}: no such {kind}.{hint}")


def _object(settings: ToolsSection, tool: Tool) -> str | None:
    """Return which setting leaves a tool out, if one does."""
    name = tool.name
    if settings.read_only and tool.risk is not Risk.READ:
        return f"the server is read-only and this tool's risk is {tool.risk} (tools.read_only)"
    if name in settings.exclude:
        return "it is excluded (tools.exclude)"
    chosen_by_default = settings.toolsets is None and settings.include is None
    if not (chosen_by_default or TOOLSET_OF[name] in (settings.toolsets or ()) or name in (settings.include or ())):
        return f"its toolset {TOOLSET_OF[name]} is not enabled (tools.toolsets, tools.include)"
    return None
