"""Human confirmation, without which no destructive call runs.

`service` is the stage of the pipeline. `preview` reads the effect of a call from GitBook. `elicitation` asks the human
through the client; if the client cannot ask, `page` asks in a browser. `results` has the outcomes: an approval, or the
reason why a call was not sent. Pending confirmations are kept in the store.
"""
