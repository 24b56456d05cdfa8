"""What a worker prints and displays, on its way to the cell."""
