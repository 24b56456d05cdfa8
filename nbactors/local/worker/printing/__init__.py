"""A worker's output, displays and progress bars, on their way to the cell."""
