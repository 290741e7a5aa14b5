"""Serving HTTP: `listener` opens the socket, `http_server` configures uvicorn, `timeouts` bounds its clients."""
