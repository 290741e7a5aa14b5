"""Serving HTTP: the listening socket, uvicorn's configuration, bounds on slow clients, and error responses."""
