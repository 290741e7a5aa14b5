"""How messages come in: `serving` starts the transports that are set, each with a server from `create_server`.

`stdio` reads lines from `wire`. `web` is streamable HTTP and SSE, at the socket of `listener`, behind the `doorkeeper`,
who lets in bearers of keys or of tokens that `access` judges by the keys of their `issuer`; with `patience` for slow
clients, and with `workers` where one process is not enough.
"""
