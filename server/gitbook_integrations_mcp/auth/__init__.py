"""Authentication of callers, and the tools that they can use.

`callers` identifies the caller of a request, and `policy` selects the tools they can use. Over HTTP, `hosts` rejects
requests with a foreign Host or Origin, and `authentication` protects an application with the guard in `bearer`. The
guard verifies static tokens or the `access_tokens` of an authorization server, with the keys of its `issuer`.
"""
