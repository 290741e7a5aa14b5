"""A human's yes, without which nothing destructive runs: `gate` is the stage, `verdict` what it can say of a call.

`preview` reads what a call would do. `question` puts it to the human through the client; where the client cannot ask,
`page` does in a browser, written in `markup`. Whichever way it is given, a yes is spent in `pending`, or in
`redis_store` where several servers share the questions.
"""
