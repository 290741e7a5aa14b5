"""Asking GitBook: `client` is the one way, whoever asks, and each of the others is one of its concerns.

`credentials` picks the token, `flights` joins what is asked twice at once, `limiter` waits for its turn, `exchange` is
one request and its answer, `retry` says whether there is another, and `trace` makes a span of each.
"""
