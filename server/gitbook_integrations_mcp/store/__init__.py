"""One database for everything that outlives a process: a SQLite file, PostgreSQL for several machines, or memory.

`store` gives access to its parts. `database` opens it and runs its `migrations`; `schema` declares the tables. Each
table has a module that alone writes its rows, for example `confirmations`; only `maintenance` deletes rows of all.
`sealing` encrypts values. SQLAlchemy, and what needs it, is imported for the first transaction. The login of this
machine's user has a file of its own (`logins`).
"""
