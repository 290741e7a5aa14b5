"""The way of one call: `pipeline` puts the stages in order, each of which can be read and tested alone.

A `call` has its `arguments` checked, gets back through `masks` what a model was not shown, passes the gate, and is
sent by `sender`, or by `pages` where it asks for a list. `answer` reads GitBook's reply, `view` says what of it is
shown, and `budget` makes it fit. `journal` keeps what changes something, `progress` tells how far a call has come.
"""
