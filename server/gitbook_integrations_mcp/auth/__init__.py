"""Who is calling and what they may do.

`callers` identifies the caller of a request, and `policy` selects the tools they can use. Over HTTP, `hosts` rejects
requests with a foreign Host or Origin, and `authentication` protects an application with the guard in `bearer`. The
guard verifies static tokens or the `access_tokens` of an authorization server, with the keys of its `issuer`.
"""
