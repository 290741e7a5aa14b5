"""The tools, a module for each toolset."""
