"""The seam between the runtime and a front end, such as a notebook: cells, interrupts, output, progress bars."""
