"""The transports: how messages of MCP reach a server.

`serving` starts the configured transports. `stdio` serves one client on standard input and output, with the streams of
`stdio_streams`. `web` is streamable HTTP and SSE in one application, `health` responds to monitors, and `workers` runs
the application in several processes.
"""
