"""A call, its arguments and its result, for all packages above.

`call` is the call itself, `arguments` validates its arguments, and `related` finds the endpoints that read its target.
`response` reads GitBook's response, `masking` and `view` decide how much of it a model is shown, and `output` is the
result.
"""
