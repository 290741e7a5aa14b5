"""The command line: `cli` reads it, and each subcommand that is more than a function has a module.

`doctor` checks, `connections` puts this server into the configurations of `assistants`, `listing` shows the tools and
the journal, `calling` runs one tool; `console` is how all of them speak to people.
"""
