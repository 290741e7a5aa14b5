"""GitBook's Integrations API as a table of tools: data and types, no I/O.

`catalog` is the table, `endpoint` defines a row, and the modules in `endpoints` contain the rows. Other modules build
on the table: `prompts` for common jobs, `resources` to attach and watch, `sources` for the values of arguments.
"""
