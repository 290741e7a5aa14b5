"""The stages of a call: `pipeline` runs them in order, and each can be read and tested alone.

`policy_check` refuses what the operator's policy denies, `masked_values` restores values that a model was not shown,
`configuration` compares settings with their schema, and `widening` decides whether a call gives power. `execution`
sends the request, `paging` reads lists, `plan_run` runs plans, and `budget` cuts results that are too long.
`change_log` records changes, and `progress` reports the progress of long calls.
The stages that other packages need too are in `calls` (arguments, response, view) and `confirmation`.
"""
