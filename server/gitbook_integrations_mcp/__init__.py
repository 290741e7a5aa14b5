"""An MCP server that gives an AI assistant the whole of GitBook's Integrations API.

A call flows one way, a module a stage:
`server` (transport) → `arguments` (validate) → `policy` (may it run here) → `gate` (a human's yes) → `sender` (request)
→ `answer` (shape), put together in `pipeline`. What the tools are is data, in the package `gitbook_integrations`.
"""

__version__ = "0.1.0"
