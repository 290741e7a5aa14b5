"""The command line: `main` runs it, `parser` is its grammar, `flags` the table of flags that stand for settings.

Each command has a module of its name; `console` prints results, and `assistants` lists where `install` writes.
`healthcheck` and `answers` are no commands: the container image runs them.
"""
