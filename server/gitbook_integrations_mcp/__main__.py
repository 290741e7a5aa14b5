"""The command `gitbook-integrations-mcp`, also as `python -m gitbook_integrations_mcp`.

The first answers come from `front`, before the command line and, with it, everything else is imported.
"""

import gc

from gitbook_integrations_mcp import front


def main() -> int:
    """Run the command and return its exit code."""
    gc.disable()  # imported objects stay: searching them for garbage would take a tenth of the start
    try:
        if front.begin():
            return 0
        from gitbook_integrations_mcp.sdk import defer_packages

        defer_packages()
        from gitbook_integrations_mcp.cli.main import main as run_command
    except KeyboardInterrupt:
        return 130  # as shells report it
    return run_command()


if __name__ == "__main__":
    raise SystemExit(main())
