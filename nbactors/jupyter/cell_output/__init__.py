"""Output, displays and progress bars of calls, under the cell that made the call."""
