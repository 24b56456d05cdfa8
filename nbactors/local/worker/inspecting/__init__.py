"""A worker's reports on the user code that it runs: tracebacks, stacks, breakpoints, imported files."""
