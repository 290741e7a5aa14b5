"""An MCP server for GitBook's Integrations API.

`cli` reads the command line and `config` the settings. `app` creates the server, `transports` connect clients to it
(over HTTP with `net`). `features` are what it offers over MCP: tools, resources, prompts, completion. A tool call
passes through the stages of the `pipeline`: `auth` decides whether the caller may use the tool, `calls` checks its
arguments, `confirmation` obtains a human's approval if one is required, and `gitbook` sends the request to GitBook or
to the GitBook sandbox (`sandbox`). `audit`, `publishing` and `composites` are the tools that do a whole job with
several endpoints. The `store` keeps what outlives a process, and `accounts` lets callers over HTTP link their GitBook
accounts. The tools are declared as data in `gitbook_integrations_api`.
"""

__version__ = "0.1.0"

NAME = "gitbook-integrations-mcp"
TITLE = "GitBook Integrations"
WEBSITE = "https://gitbook-integrations-mcp.github.io/gitbook-integrations-mcp/"
