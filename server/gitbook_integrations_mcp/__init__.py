"""An MCP server that gives an AI assistant the whole of GitBook's Integrations API.

`command` reads the command line and `configuration` the settings; `transport` takes messages in, and `server` is what
they reach. It offers the `features` of MCP: tools, resources, prompts, completion. A call goes through the `pipeline`
one way, a module a stage; `policy` says whether it may run here and `confirmation` gets a human's yes where it takes
one. `gitbook` asks GitBook, or the `sandbox`, which is one. `audit` is the one tool that asks many endpoints.
What the tools are is data, in the package `gitbook_integrations_api`.
"""

__version__ = "0.1.0"

NAME = "gitbook-integrations-mcp"
TITLE = "GitBook Integrations"
WEBSITE = "https://gitbook.com/docs/developers/integrations"
