"""Publishes an integration from a folder: its manifest, images and script, without their content in a model's context.

`tools` has the handler and the planner, and imports the rest on the first call.
"""
