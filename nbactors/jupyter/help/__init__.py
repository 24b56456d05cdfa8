"""Completion by Tab, and help by `?`."""
