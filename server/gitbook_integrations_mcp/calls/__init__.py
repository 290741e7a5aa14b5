"""A call and what belongs to it, for every package above.

`call` is the call, `arguments` checks what it was given, `related` finds the endpoints that read its target. `response`
reads what GitBook answered; `view` and `masking` decide what of that is shown; `output` is what the call returns.
"""
