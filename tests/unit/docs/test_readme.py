"""The README says what the code does."""

import re

from gitbook_integrations_api.catalog import TOOLS
from gitbook_integrations_api.prompts import PROMPTS
from gitbook_integrations_mcp.config.settings import CLI_VARIABLES, Settings, iterate_settings, name_variable
from tests.support.repository import README

TEXT = README.read_text(encoding="utf-8")


def test_every_tool_setting_and_variable_it_names_exists() -> None:
    variables = {name_variable(section, key) for section, key, _ in iterate_settings()} | set(CLI_VARIABLES)
    variables |= {"GITBOOK_MCP_CONFIG", "GITBOOK_MCP_<SECTION>__<KEY>"}
    for variable in re.findall(r"GITBOOK_[A-Z_<>]+", TEXT):
        assert variable in variables, variable
    settings = {f"{section}.{key}" for section, key, _ in iterate_settings()}
    for name in re.findall(rf"`((?:{'|'.join(Settings.model_fields)})\.\w+)`", TEXT):
        assert name in settings, name
    for name in re.findall(
        r"`((?:audit|get|list|install|uninstall|update|publish|unpublish|create|queue|render)_\w+)`", TEXT
    ):
        assert name in {*TOOLS, *PROMPTS}, name
