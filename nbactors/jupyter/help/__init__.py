"""Completion, and what `?` shows."""
