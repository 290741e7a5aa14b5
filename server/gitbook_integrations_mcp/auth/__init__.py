"""Who is calling and what they may do.

`callers` identifies the caller of a request, `policy` says which tools they have. Over HTTP, `hosts` refuses requests
meant for somebody else, and `authentication` puts the guard of `bearer` before an application; it verifies
static tokens or, with the keys of an `issuer`, `access_tokens` of an authorization server.
"""
