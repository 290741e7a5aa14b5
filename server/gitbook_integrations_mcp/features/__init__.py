"""What MCP clients are offered: tools, resources, prompts, completion, subscriptions and pages beside answers.

`tool` and `prompts` derive from the table what clients see. `resources` reads what has an `address`, `directory` lists
what there is, and `subscriptions` tells who watches. `completion` helps to fill in arguments, `views` are MCP Apps.
"""
