"""One database for everything that outlives a process: a SQLite file, PostgreSQL for several machines, or memory.

`database` opens it and runs its `migrations`; `schema` declares the tables. Each other module is the only one that
reads and writes its table: `confirmations`, `changes`, `reports`, `acceptances`, `versions`. `sealing` encrypts values.
Nothing here is imported at the start: `sqlalchemy` and the rest load with the first transaction.
"""
