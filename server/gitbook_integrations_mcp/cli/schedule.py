"""The command `schedule`: prints a file that runs the audit every week, without any secret in it."""

import json
import re
import shlex
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gitbook_integrations_mcp import NAME, __version__
from gitbook_integrations_mcp.cli.flags import format_flags, list_variables
from gitbook_integrations_mcp.cli.launcher import find_command
from gitbook_integrations_mcp.cli.notification import VARIABLE
from gitbook_integrations_mcp.config.settings import Settings, name_variable
from gitbook_integrations_mcp.errors import SettingsError
from gitbook_integrations_mcp.process import SUCCESS

MINUTE, HOUR = 17, 6
"""When the audit runs on Mondays. Jobs that start on the full hour wait longest in GitHub Actions."""

_SECTIONS = frozenset({"gitbook", "policy", "store", "audit", "limits"})
"""Sections that an audit depends on."""

SECRETS_FILE = f"~/.config/{NAME}/audit.env"
"""Where cron and systemd read the token from."""


def run(settings: Settings, arguments: Namespace) -> int:
    """Print the file, and return the exit code.

    Raises:
        SettingsError: no organization is named.
    """
    organization = arguments.organization or settings.gitbook.organization
    if not organization:
        raise SettingsError("The organization is missing. Pass its ID, or set GITBOOK_ORGANIZATION.")
    has_file = arguments.system != "github"
    environment = {
        **list_variables(settings, _SECTIONS, has_file=has_file),
        "GITBOOK_ORGANIZATION": organization,
    }
    options = ["--fail-on", arguments.fail_on, *(["--notify", "slack"] if arguments.notify else [])]
    config = getattr(arguments, "config", None)
    if arguments.system == "github":
        text = _write_workflow(environment, options, settings.audit.accepted, notifies=arguments.notify)
    else:
        words = [*find_command(), "audit", *format_flags(settings, config, "audit"), *options]
        text = _WRITERS[arguments.system](environment, words, arguments.notify)
    print(text, end="")
    return SUCCESS


def _write_workflow(
    environment: Mapping[str, str], options: Sequence[str], accepted: Path | None, *, notifies: bool
) -> str:
    """Return a workflow of GitHub Actions. The store, with the last report, is kept in a cache."""
    variables = {
        **environment,
        "GITBOOK_TOKEN": "${{ secrets.GITBOOK_TOKEN }}",
        **({VARIABLE: f"${{{{ secrets.{VARIABLE} }}}}"} if notifies else {}),
        "GITBOOK_MCP_STORE__URL": "sqlite:///audit/store.db",
    }
    checkout = ""
    if accepted:
        variables[name_variable("audit", "accepted")] = accepted.name
        checkout = f"      - uses: actions/checkout@v4  # has {_on_one_line(accepted.name)}\n"
    lines = "\n".join(
        f"      {name}: {value if value.startswith('${{ secrets.') else _quote_yaml(value)}"
        for name, value in variables.items()
    )
    return f"""\
# Save this as .github/workflows/gitbook-audit.yml in a private repository, and add the secret GITBOOK_TOKEN\
{f" and the secret {VARIABLE}" if notifies else ""}.
# The first run keeps a report. Later ones fail while there are new findings, until they are fixed or accepted.
name: GitBook installation audit
on:
  schedule:
    - cron: "{MINUTE} {HOUR} * * 1"
  workflow_dispatch: {{}}
permissions:
  contents: read
jobs:
  audit:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    env:
{lines}
    steps:
{checkout}      - uses: actions/cache@v4
        with:
          path: audit
          key: gitbook-audit-${{{{ github.run_id }}}}
          restore-keys: gitbook-audit-
      - run: pipx install {NAME}=={__version__}
      - run: |
          mkdir -p audit
          if [ -f audit/store.db ]; then set -- --baseline last {shlex.join(options)}; fi
          {NAME} audit --format html --output audit.html "$@"
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: gitbook-audit
          path: audit.html
          if-no-files-found: ignore
"""


def _quote_yaml(value: str) -> str:
    """Return a string of YAML, in which GitHub evaluates no expression."""
    return json.dumps(value.replace("${{", "$ {{"))


def _write_crontab(environment: Mapping[str, str], words: Sequence[str], notifies: bool) -> str:
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    command = f"set -a; . {SECRETS_FILE}; set +a; {variables} exec {shlex.join(words)}"
    return (
        f"# Add this line with `crontab -e`. {_describe_secrets(notifies)}\n"
        "# Cron mails the report to you. Without mail, add --format html --output FILE.\n"
        f"{MINUTE} {HOUR} * * 1 {_on_one_line(command).replace('%', chr(92) + '%')}\n"
    )


def _write_units(environment: Mapping[str, str], words: Sequence[str], notifies: bool) -> str:
    variables = "\n".join(f"Environment={_quote_unit(f'{name}={value}')}" for name, value in environment.items())
    return f"""\
# Save the two parts in ~/.config/systemd/user, and run `systemctl --user enable --now gitbook-audit.timer`.
# {_describe_secrets(notifies)}
# `systemctl --user status gitbook-audit` shows the report; the service fails while there are such findings.

# --- gitbook-audit.service ---
[Unit]
Description=Audit of GitBook installations
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
{variables}
EnvironmentFile=%h/{SECRETS_FILE.removeprefix("~/")}
ExecStart={" ".join(map(_quote_unit, words)).replace("$", "$$")}

# --- gitbook-audit.timer ---
[Unit]
Description=Weekly audit of GitBook installations

[Timer]
OnCalendar=Mon {HOUR:02}:{MINUTE:02}
Persistent=true

[Install]
WantedBy=timers.target
"""


def _describe_secrets(notifies: bool) -> str:
    names = f"GITBOOK_TOKEN=…{f' and {VARIABLE}=…' if notifies else ''}"
    return f"Put {names} into {SECRETS_FILE}, and make it private: chmod 600."


def _quote_unit(word: str) -> str:
    """Return a word for a unit of systemd, in which it expands nothing."""
    escaped = _on_one_line(word).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return escaped if re.fullmatch(r"[\w./:=@,+-]+", escaped) else f'"{escaped}"'


def _on_one_line(text: str) -> str:
    """Return text whose line breaks cannot start another line of the file."""
    return " ".join(text.splitlines())


_WRITERS: Mapping[str, Callable[[Mapping[str, str], Sequence[str], bool], str]] = {
    "cron": _write_crontab,
    "systemd": _write_units,
}
