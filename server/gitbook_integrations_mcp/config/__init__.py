"""What can be set: `sections` says it, `values` checks it, `settings` puts it together from file, environment, flags.

A new setting is a field with a description in its section; documentation and the example file follow from it.
"""
