"""The features of MCP for clients: tools, resources, prompts, completion, subscriptions, and pages of MCP Apps.

`tools` and `prompts` publish what the tables declare. `resources` reads resources at their `addresses`, `resource_list`
lists them, and `subscriptions` notifies clients of changes. `completion` suggests values for arguments, `apps` serves
the pages that hosts show, and `server` is the SDK's server with the parts that all connections share.
"""
