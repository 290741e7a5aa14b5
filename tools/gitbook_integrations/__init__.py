"""GitBook's Integrations API as a table of tools: data and types, no I/O.

`catalog` is the table, `endpoint` says what a row is, the subject modules hold the rows.
"""
