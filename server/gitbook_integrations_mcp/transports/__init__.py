"""How messages come in: `serving` starts the transports that are set, each with a server from `create_server`.

`stdio` reads lines from `wire`. `web` is streamable HTTP and SSE, at the socket of `listener`, behind a `door`: its
`doorkeeper` lets in bearers of keys, or of tokens that `access` judges by the keys of their `issuer`. `exposure`
refuses settings that would leave it open. There is `patience` for slow clients, `readiness` for monitors, and there are
`workers` where one process is not enough.
"""
