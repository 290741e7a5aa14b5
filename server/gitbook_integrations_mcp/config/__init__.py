"""Settings: `models` declares them, `types` checks single values, and `settings` loads them.

`validation` checks settings that depend on each other. To add a setting, add a field with a description to its section
in `models`; the documentation is generated from it.
"""
