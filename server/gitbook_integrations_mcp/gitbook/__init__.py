"""Requests to GitBook: all of them go through `client`.

`credentials` selects the token, `rate_limit` delays requests to stay within GitBook's limits, `http` sends one request
and returns the response, `json_body` reads its JSON, `retry` decides whether to send again, and `tracing` records a
span for each attempt. `opening` creates the client that the settings describe.
"""
