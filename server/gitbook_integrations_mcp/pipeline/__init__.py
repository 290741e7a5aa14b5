"""The stages of a call: `pipeline` runs them in order, and each can be read and tested alone.

`masked_values` restores values that a model was not shown, `execution` sends the request, `paging` reads lists, and
`budget` cuts results that are too long. `change_log` records changes, `change_list` lists them,
`undo` undoes one, and `progress` reports the progress of long calls.
The stages that other packages need too are in `calls` (arguments, response, view) and `confirmation`.
"""
