"""`python -m gitbook_integrations_mcp` is the command `gitbook-integrations-mcp`."""

from gitbook_integrations_mcp.cli.main import main

raise SystemExit(main())
