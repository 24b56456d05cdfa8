"""Errors of calls, and the debugger."""
