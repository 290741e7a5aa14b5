"""GitBook's Integrations API as a table of tools: data and types, no I/O.

`catalog` is the table, `endpoint` says what a row is, the subject modules hold the rows. What else is made of
them: `prompts` for the common jobs, `resources` to attach and watch, `sources` from which people choose arguments.
"""
