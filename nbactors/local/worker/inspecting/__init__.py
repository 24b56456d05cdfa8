"""What a worker tells of what it does: tracebacks, stacks, breakpoints, imported files."""
